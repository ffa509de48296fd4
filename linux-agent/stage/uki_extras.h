/* SPDX-License-Identifier: MIT */
/*
 * The files beside a UKI, and the archives that systemd-stub makes of them and of
 * some of the UKI's sections for the initrd. In its order:
 *
 *     from                                to /.extra/              modes
 *     *.cred in uki.efi.extra.d           credentials              0500, 0400
 *     *.cred in loader/credentials        global_credentials       0500, 0400
 *     *.raw in uki.efi.extra.d            sysext                   0555, 0444
 *     *.raw in loader/extensions          global_sysext            and so on
 *     *.confext.raw in uki.efi.extra.d    confext
 *     *.confext.raw in loader/extensions  global_confext
 *     .pcrsig                             tpm2-pcr-signature.json
 *     .pcrpkey                            tpm2-pcr-public-key.pem
 *     .osrel                              os-release
 *     .profile                            profile
 *
 * each line an archive of its own, the files in it by their names' bytes, and left
 * out where there is nothing. Which lines apply depends on the stub (stub.h).
 */
#pragma once

#include "beside.h"
#include "memfile.h"
#include "ukifile.h"

/* Where the extras of a UKI are. */
struct uki_place {
	const char *esp;	/* the file system's root */
	const char *extra_dir;	/* the UKI's own */
	const struct manifest *manifest;	/* the signed one that vouches for what is in
						 * extra_dir; NULL: none does */
};

/* Appends the archives, and compares what comes from extra_dir with beside. EX_IOERR;
 * EX_DATAERR: a file over 4 GiB, or one that is not the manifest's. */
int uki_extras_append(const struct ukifile *uki, unsigned profile, unsigned stub,
		      const struct uki_place *place, struct beside *beside,
		      struct memfile *initrd, struct err *err);

struct name_list {
	char **names;
	size_t count;
};

/* Regular files of a directory, as systemd-stub picks them: names of ASCII that do
 * not begin with a dot and end in suffix, not in except (may be NULL), in any case;
 * sorted by bytes. No directory is an empty list. */
int name_list_read(const char *directory, const char *suffix, const char *except,
		   struct name_list *ret_list, struct err *err);
void name_list_clear(struct name_list *list);
