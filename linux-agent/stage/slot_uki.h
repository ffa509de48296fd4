/* SPDX-License-Identifier: MIT */
/*
 * The UKI of a slot, taken into memory and checked there: what is staged for kexec
 * are the very bytes that were hashed, so that nothing which happens to the file in
 * between matters.
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
 * it stands, and ret_envelope->basis says so. The firmware starts it likewise, and
 * without it there would be no way back by kexec from a first update.
 */
#pragma once

#include "cms.h"
#include "hollow.h"
#include "manifest.h"
#include "record.h"
#include "ukifile.h"

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
	struct hollow hollow;
	struct manifest *manifest;	/* MANIFEST: the signed one; else NULL */
	struct chunkindex index;	/* chunks NULL: none, or not the manifest's */
	const struct slot *slot;	/* as given */
};

/* dir: the slot's directory on the ESP. The object must not move while it is open, and
 * trust->slot must stay; the caller closes it after success. EX_DATAERR: the UKI is not
 * what was installed, no signature holds for it, or it is not for this machine;
 * EX_NOINPUT: there is none; EX_CONFIG: the keyring, or no compatible; EX_IOERR;
 * EX_UNAVAILABLE, EX_SOFTWARE: no room, no thread. */
int slot_uki_open(const char *dir, const struct slot_uki_trust *trust,
		  struct slot_uki *ret_envelope, struct err *err);
/* The same in two steps, for what is to be staged: begin leaves the large parts where
 * they are (hollow.h), check follows when they have been staged. Until it has passed,
 * nothing that was made of the UKI is to be trusted, and no complaint about it to be
 * told; handover_take() sees to both. The caller closes after begin's success. */
int slot_uki_begin(const char *dir, const struct slot_uki_trust *trust,
		   struct slot_uki *ret_envelope, struct err *err);
int slot_uki_check(struct slot_uki *envelope, struct err *err);
void slot_uki_close(struct slot_uki *envelope);

/* "the signed manifest (Acme release)": one line about the basis. */
void slot_uki_text(const struct slot_uki *envelope, char *out, size_t size);
