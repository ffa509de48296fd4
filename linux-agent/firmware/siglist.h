/* SPDX-License-Identifier: MIT */
/*
 * What db, dbx and shim's MokListRT hold: EFI_SIGNATURE_LISTs one behind the other
 * (UEFI 2.10 section 32.4.1). Each:
 *
 *     offset  size
 *          0    16  SignatureType, a GUID
 *         16     4  SignatureListSize, all of this list
 *         20     4  SignatureHeaderSize; no type that is known here has a header
 *         24     4  SignatureSize, of each that follows: 16 bytes of its owner, and its data
 *         28        the header, then the signatures
 *
 * Any bytes are safe. The parser changes nothing, and says nothing of what is trusted.
 */
#pragma once

#include "err.h"

#include <stddef.h>
#include <stdint.h>

#define SIGLIST_MAX_BYTES (1024 * 1024)		/* of a variable */
#define SIGLIST_MAX_ENTRIES 16384
#define SIGLIST_TIME_BYTES 16			/* EFI_TIME; all zero: revoked from the beginning */

enum siglist_kind {
	SIGLIST_SHA1,			/* digests of images, as in pe_digest.h */
	SIGLIST_SHA256,
	SIGLIST_SHA384,
	SIGLIST_SHA512,
	SIGLIST_X509,			/* a certificate (DER) */
	SIGLIST_X509_SHA256,		/* digests of certificates, of what is signed in them; */
	SIGLIST_X509_SHA384,		/* of dbx only, and with a time */
	SIGLIST_X509_SHA512,
	SIGLIST_OTHER,			/* what no firmware is known to hold against images */
	SIGLIST_KINDS
};

struct siglist_entry {
	enum siglist_kind kind;
	const uint8_t *data;		/* into the bytes; without the owner and the time */
	size_t len;			/* of a digest, the digest's own */
	const uint8_t *time;		/* SIGLIST_X509_SHA*: since when it is revoked; else NULL */
};

struct siglist {
	uint8_t *bytes;			/* the variable's */
	struct siglist_entry *entries;
	size_t count;
};

/* Takes over bytes (may be NULL where len is 0), also on failure. EX_DATAERR: a size that
 * lies, or more than SIGLIST_MAX_*; name is for the message. EX_SOFTWARE. */
int siglist_parse(const char *name, uint8_t *bytes, size_t len, struct siglist *ret_list,
		  struct err *err);
void siglist_clear(struct siglist *list);
