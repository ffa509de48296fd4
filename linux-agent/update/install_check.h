/* SPDX-License-Identifier: MIT */
/* Everything an install can find wrong before it writes its first byte. */
#pragma once

#include "bundle.h"
#include "machine.h"
#include "report.h"
#include "signedmanifest.h"

/* The idle slot, where the running slot is confirmed; EX_CONFIG: it is not, with
 * what to do. */
int install_check_target(const struct machine *machine, unsigned *ret_slot, struct err *err);

/* The signed manifest beside a slot's UKI, for what it says of the slot: the signature
 * holds by the keyring (whatever the dates of certificates: the install looked at those),
 * and the UKI is the record's, where that has a digest. 1: the caller clears; 0: there is
 * no signature; -1: EX_DATAERR, it is not to be believed; EX_CONFIG, EX_IOERR. */
int install_check_slot_signed(const struct machine *machine, unsigned slot,
			      struct signed_manifest *ret_manifest, struct err *err);

/* The version in a slot, for people: from the manifest kept beside its UKI, signed or
 * not; NULL: unknown. The caller frees. *ret_verified: what install_check_slot_signed()
 * says; else err has why not, or is as it was where there is no signature. */
char *install_check_slot_version(const struct machine *machine, unsigned slot,
				 bool *ret_verified, struct err *err);

/* Compatible, architecture, floor and version; EX_DATAERR, EX_CONFIG (no compatible configured, a floor
 * that is not known, or a running version that no signature vouches for, unless a
 * downgrade is allowed). Warns of a floor that is ignored. */
int install_check_identity(const struct machine *machine, const struct manifest *manifest,
			   bool allow_downgrade, struct report *report, struct err *err);

/* Every payload has a target, and room in it; every configured image is a payload; the slot
 * is mounted nowhere. EX_DATAERR, EX_CONFIG. */
int install_check_room(const struct machine *machine, const struct bundle *bundle,
		       unsigned slot, struct err *err);

/* Of an update of the firmware's keys, the whole of it in memory: whether it has the form of one
 * (efi_auth.h). Whether the firmware takes it shows when it is applied. EX_DATAERR. */
int install_check_keys(const struct payload *payload, int memory, struct err *err);

/* The UKI in the file uki: architecture, .linux, its layout in memory (uki_layout.h), the
 * slots' command lines (slot_cmdline.h) with the slot's addon (-1: none), and the root
 * hashes, which must be the manifest's (roothash.h). Where Secure Boot is on, whether this
 * machine's firmware would start UKI and addon (secureboot.h); what cannot be told is a
 * warning. EX_DATAERR. Warns of what some firmware does not take. */
int install_check_uki(struct machine *machine, const struct manifest *manifest, unsigned slot,
		      int uki, int addon, struct report *report, struct err *err);
