/* SPDX-License-Identifier: MIT */
/*
 * The signature of an update of KEK, db or dbx (efi_auth.h), by libcrypto: PKCS#7 SignedData, with
 * a ContentInfo around it or without (as efitools makes it), that carries its signer's certificate.
 * Signed are (UEFI 2.10, section 8.2.2) the variable's name in UTF-16 without its NUL, its GUID,
 * its attributes, the time stamp and the lists: so an update of one variable is none of another,
 * and one that was signed for replacing is none for appending.
 */
#pragma once

#include "efi_auth.h"

/* Whether the signature holds for appending to its variable, and the certificates that would be
 * appended are some. Whether the machine knows the signer is the firmware's to say. EX_DATAERR,
 * with the mistake named where it is a usual one. */
int auth_signature_check(const char *name, const struct efi_auth *auth, struct err *err);

/* The subject of the signer's certificate; "": it carries none. */
void auth_signature_signer(const struct efi_auth *auth, char *ret_signer, size_t size);
