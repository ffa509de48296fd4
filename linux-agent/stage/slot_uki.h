/* SPDX-License-Identifier: MIT */
/*
 * The UKI of a slot: copied into sealed memory and hashed on the way (uki_copy.h),
 * compared, and only then parsed. So what is parsed and staged is what was hashed,
 * whatever happens to the file meanwhile.
 *
 * What the bytes must be, in this order:
 *
 *   the signed manifest          manifest.json with manifest.p7s beside the UKI: the
 *                                signature must hold against the keyring now, it must
 *                                be for this kind of machine and not below the rollback
 *                                floor, and the digest of its UKI that of the bytes
 *   the slot record's digest     if it has one
 *
 * Beside a signed manifest may lie uki.index, the chunk index that the manifest pins. Then
 * the digests of the chunks stand for that of the whole, at the word of whoever signed the
 * manifest; an install has compared both. The record is compared with the manifest then.
 * An index that is not the manifest's is ignored.
 *
 * A slot that was provisioned by hand has neither, or a manifest without a signature:
 * where no signed manifest is demanded (kexec_slot.c has the reasons to), it is taken as
 * it stands, and ret_uki->basis says so. The firmware starts it likewise, and
 * without it there would be no way back by kexec from a first update.
 */
#pragma once

#include "chunkindex.h"
#include "cms.h"
#include "manifest.h"
#include "record.h"
#include "ukifile.h"

#include <stdbool.h>

enum slot_uki_basis {
	SLOT_UKI_MANIFEST,	/* the signed manifest, and the record where it has a digest */
	SLOT_UKI_RECORD,	/* the record's digest alone */
	SLOT_UKI_NOTHING,
};

/* What a slot's UKI is held against. */
struct slot_uki_trust {
	const struct slot *slot;	/* its part of the record; NULL: that does not count */
	const char *keyring;
	const struct cms_rules *rules;	/* of the signature, or NULL (cms.h) */
	const char *compatible;		/* this machine's; NULL: no signed manifest passes */
	const char *floor;		/* the rollback floor; NULL: none */
	const char *demand;		/* why nothing but a signed manifest will do ("Secure Boot
					 * is on"); NULL: the others will, too */
};

struct slot_uki {
	enum slot_uki_basis basis;
	char *signer;		/* MANIFEST: the subject of who signed it; else NULL */
	struct ukifile uki;	/* over a sealed memfd; its name is the file's path */
	struct manifest *manifest;	/* MANIFEST: the signed one; else NULL */
	bool by_chunks;		/* hashed with the manifest's uki.index */
};

/* dir: the slot's directory on the ESP. The object must not move while it is open;
 * the caller closes it after success. EX_DATAERR: the UKI is not
 * what was installed, no signature holds for it, or it is not for this machine;
 * EX_NOINPUT: there is none; EX_CONFIG: the keyring, or no compatible; EX_IOERR;
 * EX_UNAVAILABLE, EX_SOFTWARE: no room, no thread. */
int slot_uki_open(const char *dir, const struct slot_uki_trust *trust,
		  struct slot_uki *ret_uki, struct err *err);
void slot_uki_close(struct slot_uki *uki);

/* "the signed manifest (Acme release)": one line about the basis. */
void slot_uki_text(const struct slot_uki *uki, char *out, size_t size);
