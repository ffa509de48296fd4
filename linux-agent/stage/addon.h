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
	bool has_own;		/* the one that the manifest vouches for is among them */
};

/* None for stubs that know none. EX_DATAERR: the one that the manifest vouches for is
 * missing, or not what it says; EX_IOERR. */
int addons_read(const struct ukifile *uki, unsigned profile, unsigned stub,
		const struct uki_place *place, struct addons *ret_addons, struct err *err);
void addons_clear(struct addons *addons);
