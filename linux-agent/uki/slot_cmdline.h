/* SPDX-License-Identifier: MIT */
/*
 * The kernel command line that a slot's UKI gives it, and what that takes. The first that
 * applies:
 *
 *   way      the UKI has                        the stub is told   under Secure Boot
 *   PROFILE  a profile for each slot            "@N"               the same (stub 257)
 *   FILL     {slot} or {SLOT} in its .cmdline   that, filled in    ignored: unfilled
 *   SAME     neither                            nothing            the same
 *
 * Each may have an addon for the slot besides (systemd-stub 254), whose command line comes
 * after it, under Secure Boot too if it is signed.
 *
 * The loader (efi-app/options.c), the direct boot entries and kexec all do as this says.
 */
#pragma once

#include "ukifile.h"

#include <stdbool.h>

enum slot_way {
	SLOT_WAY_SAME,
	SLOT_WAY_FILL,
	SLOT_WAY_PROFILE,
};

struct slot_cmdline {
	enum slot_way way;
	unsigned profile;	/* whose sections go before the common ones; 0 unless PROFILE */
	char *text;		/* .cmdline up to its first NUL, less white space at the end; with
				 * the slot in it where that is the way; "" where there is none */
	bool has_addon;		/* its text is behind that */
};

/* EX_DATAERR: a profile for the other slot alone, two for this one, or one that the stub in
 * the UKI knows nothing of; a .cmdline that is too large. EX_IOERR. The caller clears, only
 * after success. */
int slot_cmdline_read(const struct ukifile *uki, unsigned slot, struct slot_cmdline *ret_cmdline,
		      struct err *err);
void slot_cmdline_clear(struct slot_cmdline *cmdline);

/* What the loader passes as load options, in UTF-8: "" where it passes none. The caller
 * frees; NULL: no memory. */
char *slot_cmdline_options(const struct slot_cmdline *cmdline);

/* Both slots, as they are read for an install: whether each gets a command line that is
 * right for it. addons: each slot's, or NULL; of slots with addons one may be NULL that is
 * not at hand. EX_DATAERR says what is wrong, and under Secure Boot which ways there are.
 * The addons' text is in the result. The caller clears both, only after success. */
int slot_cmdline_check(const struct ukifile *uki, const struct ukifile *const addons[2],
		       bool secure_boot, struct slot_cmdline ret_cmdlines[2], struct err *err);

/* "by a profile of the UKI, and an addon"; never NULL. */
const char *slot_cmdline_way(const struct slot_cmdline *cmdline);
