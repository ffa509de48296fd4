/* SPDX-License-Identifier: MIT */
/*
 * Addons of a UKI: *.addon.efi in \loader\addons and then in uki.efi.extra.d, PE files
 * with a .cmdline, .initrd, .ucode or .dtb and no .linux. Like systemd-stub, what is no
 * such file, or is for another kernel (.uname), is passed over.
 */
#pragma once

#include "uki_extras.h"

struct addons {
	struct ukifile **items;	/* in the order in which their command lines go */
	size_t count;
	char *ignored;		/* which were passed over, and why; or NULL */
	const char *stranger;	/* the first that no manifest vouches for, or NULL */
};

/* None for stubs that know none. Those of the UKI are compared with beside: EX_DATAERR: one is
 * not what the manifest says; EX_IOERR. */
int addons_read(const struct ukifile *uki, unsigned profile, unsigned stub,
		const struct uki_place *place, struct beside *beside, struct addons *ret_addons,
		struct err *err);
void addons_clear(struct addons *addons);
