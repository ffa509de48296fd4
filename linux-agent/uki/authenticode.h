/* SPDX-License-Identifier: MIT */
/*
 * The signature in a PE image (Microsoft's "Windows Authenticode Portable
 * Executable Signature Format" and "PE Format"): what the firmware looks at before it
 * starts an image, and the running kernel in a .linux section before kexec. The digest
 * is computed again and compared, and the signature checked with the certificate that
 * comes with it. Whether anybody trusts that certificate is not decided here: the
 * kernel's keyrings do that, or the firmware's db (secureboot.h).
 */
#pragma once

#include "err.h"
#include "pe.h"
#include "pe_digest.h"

#include <openssl/pkcs7.h>
#include <stdbool.h>

#define AUTHENTICODE_MAX_BYTES (256 * 1024)	/* of a certificate table */
#define AUTHENTICODE_MAX_ENTRIES 8	/* of those that are looked at */
#define AUTHENTICODE_MAX_KEYS 16
#define AUTHENTICODE_KEY_CHARS 65

enum authenticode_state {
	AUTHENTICODE_NO_PE,		/* not a PE image: nothing could sign it this way */
	AUTHENTICODE_UNSIGNED,		/* no certificate table */
	AUTHENTICODE_MALFORMED,		/* a table, but nothing in it that can be read */
	AUTHENTICODE_ALTERED,		/* its digest is not that of the image */
	AUTHENTICODE_WRONG,		/* the signature does not hold */
	AUTHENTICODE_UNKNOWN_SIGNER,	/* the digest is right; no certificate to check with */
	AUTHENTICODE_SIGNED,
};

struct authenticode {
	enum authenticode_state state;
	char why[160];			/* MALFORMED, WRONG: what is wrong */
	char signer[160], issuer[160];	/* names of the signer's certificate, or "" */
	char digest[16];		/* such as SHA256, or "" */
	unsigned count;			/* of entries in the table, the first included */
	/* How a keyring lists keys that would do, in lower-case hex: the identifiers
	 * (or, of a certificate without one, the serial numbers) of the signer and of
	 * those who certified it, as far as they are known from the signature. */
	char keys[AUTHENTICODE_MAX_KEYS][AUTHENTICODE_KEY_CHARS];
	unsigned key_count;
};

/* As the kernel does it, which looks at the first entry of the certificate table only.
 * EX_IOERR: the image cannot be read; EX_SOFTWARE. Any bytes are safe; memory is
 * bounded by AUTHENTICODE_MAX_BYTES whatever the image's size. */
int authenticode_read(const struct pe_source *pe, struct authenticode *ret_signature,
		      struct err *err);

/* One entry of the table, with what libcrypto made of it. */
struct authenticode_entry {
	struct authenticode signature;	/* its count is 0 */
	PKCS7 *p7;			/* owned; NULL: MALFORMED */
	X509 *signer;			/* in p7; NULL: not known */
	STACK_OF(X509) *carried;	/* in p7: certificates that came with it; may be NULL */
	bool timestamped;		/* an authority has countersigned it (RFC 3161) */
};

/* All of an image that matters to Secure Boot. */
struct authenticode_table {
	/* NO_PE; UNSIGNED; MALFORMED: not made of whole entries, of which firmware takes
	 * none; SIGNED: see the entries. */
	enum authenticode_state state;
	struct pe_digest_layout layout;	/* unless NO_PE */
	struct pe_digests digests;	/* SHA-256, and those that signatures have */
	unsigned count;			/* of entries; more than AUTHENTICODE_MAX_ENTRIES are MALFORMED */
	struct authenticode_entry entries[AUTHENTICODE_MAX_ENTRIES];
};

/* Errors as above. The caller clears *ret_table in every case. */
int authenticode_table_read(const struct pe_source *pe, struct authenticode_table *ret_table,
			    struct err *err);
void authenticode_table_clear(struct authenticode_table *table);

/* Of authenticode.c, for authenticode_table.c: der is one entry's PKCS #7. The caller clears
 * *entry, which was zeroed, by authenticode_entry_clear(). */
int authenticode_entry_read(const struct pe_source *pe, const struct pe_digest_layout *layout,
			    struct pe_digests *digests, const uint8_t *der, size_t len,
			    struct authenticode_entry *entry, struct err *err);
void authenticode_entry_clear(struct authenticode_entry *entry);

/* Whether libcrypto knows the digests that a SignedData names: with another one PKCS7_verify() of
 * OpenSSL 3.0 fails and keeps a BIO. */
bool authenticode_digests_known(const PKCS7 *p7);
