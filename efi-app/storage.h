/* SPDX-License-Identifier: MIT */
/*
 * struct state_ops over EFI: the variable SlotState, and the mirror
 * \EFI\slotboot\state.bin, which is never created, grown or shortened here.
 */
#pragma once

#include "loader.h"
#include "state.h"

/* l must outlive the ops. */
struct state_ops storage_ops(struct loader *l);
