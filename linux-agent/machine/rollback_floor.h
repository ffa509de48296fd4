/* SPDX-License-Identifier: MIT */
/*
 * The rollback floor: no bundle of a lower version is installed, signed or not,
 * --allow-downgrade or not, and no kexec goes there. mark-good raises it to the running
 * slot's version where that one's manifest says so ("raises-floor"); nothing lowers it
 * but a hand that removes it.
 *
 * It is evidence, not a number: the signed manifest that raised it, kept twice on the
 * ESP,
 *
 *     EFI/slotboot/floor-1.json and floor-1.p7s
 *     EFI/slotboot/floor-2.json and floor-2.p7s
 *
 * the bundle's own bytes. One pair is written anew, flushed and read back, and only then
 * the other, so that one of them is whole at any time. Each counts if its signature holds
 * by the keyring, it is for this kind of machine and raises the floor; the higher version
 * is the floor. The dates of certificates do not matter: a floor must not fall because one
 * expired. What does not hold is ignored, and said: a floor that nobody signed would keep
 * every update out.
 */
#pragma once

#include "machine.h"
#include "signedmanifest.h"

#define FLOOR_VERSION_MAX 64	/* as in a manifest */

struct rollback_floor {
	char version[FLOOR_VERSION_MAX + 1];	/* "": there is none */
	char signer[128];			/* of it, maybe cut off */
	struct err ignored;			/* a pair that counts for nothing, and why; exit 0:
						 * there is no such */
};

/* EX_CONFIG: the keyring or a revocation list, so that it is not known; EX_IOERR. */
int rollback_floor_load(const struct machine *machine, struct rollback_floor *ret_floor, struct err *err);

/* To that version, if it is higher or one pair does not hold the floor; also where the
 * pairs are damaged. manifest: verified, and one that raises the floor. On 0 both pairs
 * hold it, flushed and read back. As rollback_floor_load(). */
int rollback_floor_raise(const struct machine *machine, const struct signed_manifest *manifest,
			 struct err *err);

/* "/efi/EFI/slotboot/floor-*": what to remove where the floor is wrong. The caller frees;
 * NULL: out of memory. */
char *rollback_floor_files(const struct machine *machine);
