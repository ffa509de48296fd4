/* SPDX-License-Identifier: MIT */
/*
 * An update of KEK, db or dbx, as its signer hands it out (a .auth file of efitools'
 * sign-efi-sig-list -a): EFI_VARIABLE_AUTHENTICATION_2, and what is appended (UEFI 2.10,
 * section 8.2.2):
 *
 *     offset  size
 *          0    16  TimeStamp, an EFI_TIME; all but year to second must be 0
 *         16     4  dwLength: 24, and CertData
 *         20     2  wRevision: 0x0200
 *         22     2  wCertificateType: 0x0ef1, WIN_CERT_TYPE_EFI_GUID
 *         24    16  CertType: EFI_CERT_TYPE_PKCS7_GUID
 *         40        CertData: PKCS#7 SignedData (DER), over name, GUID, attributes, TimeStamp and
 *                   the lists
 *                   EFI_SIGNATURE_LISTs (siglist.h), up to the end
 *
 * Any bytes are safe. Whether somebody signed it: auth_signature.h.
 */
#pragma once

#include "siglist.h"
#include "vars.h"

enum efi_auth_variable { EFI_AUTH_KEK, EFI_AUTH_DB, EFI_AUTH_DBX, EFI_AUTH_VARIABLES };

struct efi_auth {
	enum efi_auth_variable variable;
	const uint8_t *bytes;		/* all of it, the caller's */
	size_t len;
	const uint8_t *time;		/* into bytes: SIGLIST_TIME_BYTES */
	const uint8_t *signature;	/* CertData */
	size_t signature_len;
	size_t authentication;		/* bytes before the lists */
	struct siglist list;		/* what is appended; a copy */
};

/* "KEK", "db", "dbx". */
const char *efi_auth_name(enum efi_auth_variable variable);
enum vars_guid efi_auth_guid(enum efi_auth_variable variable);

/* The variable of a name like "dbx-1" or "dbx-1.auth". EFI_AUTH_VARIABLES: none. */
enum efi_auth_variable efi_auth_variable_of(const char *name);

/* Whether bytes can be an update of the variable, by form and by the kinds of signatures that it
 * may have: certificates in KEK; also digests of images in db; also digests of certificates in
 * dbx. bytes must outlive *ret_auth. name is for the message. EX_DATAERR, EX_SOFTWARE. */
int efi_auth_parse(const char *name, enum efi_auth_variable variable, const uint8_t *bytes, size_t len,
		   struct efi_auth *ret_auth, struct err *err);
void efi_auth_clear(struct efi_auth *auth);

/* Whether the variable has every signature of the update; their owners do not matter. */
bool efi_auth_is_in(const struct efi_auth *auth, const struct siglist *variable);
