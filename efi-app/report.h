/* SPDX-License-Identifier: MIT */
/*
 * What the loader says about this boot: SlotTrace for slotctl status (none after a
 * plain boot, see shared/trace.h), the Boot Loader Interface for systemd, and the
 * console if something is wrong.
 */
#pragma once

#include "boot.h"
#include "loader.h"

/* boot_ops.report; ctx is the struct loader. */
void report_trace(void *ctx, const struct trace *trace);
