/* SPDX-License-Identifier: MIT */
/* How a slot is to be started once it is in place. */
#pragma once

#include "err.h"

enum activate {
	ACTIVATE_NONE,
	ACTIVATE_REBOOT,
	ACTIVATE_KEXEC,
};

/* "none", "reboot", "kexec"; EX_USAGE otherwise (also for NULL: it must be given). */
int activate_parse(const char *text, enum activate *ret_activate, struct err *err);
