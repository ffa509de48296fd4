/* SPDX-License-Identifier: MIT */
/* Registers of Intel's chipsets behind their sideband (shared/p2sb.h). */
#pragma once

#include "loader.h"

/* Where in memory a register of that port of the sideband is; NULL: there is no way to it. */
volatile uint32_t *sideband_register(struct loader *l, uint8_t port, uint16_t offset);
