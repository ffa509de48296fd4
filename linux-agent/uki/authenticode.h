/* SPDX-License-Identifier: MIT */
/*
 * The signature in a PE image (Microsoft's "Windows Authenticode Portable
 * Executable Signature Format" and "PE Format"): what the running kernel looks at
 * in a .linux section before kexec. The digest is computed again and compared, and
 * the signature checked with the certificate that comes with it. Whether anybody
 * trusts that certificate is not decided here: the kernel's keyrings do that.
 *
 * As the kernel does, only the first entry of the certificate table is looked at.
 */
#pragma once

#include "err.h"
#include "pe.h"

#define AUTHENTICODE_MAX_BYTES (256 * 1024)	/* of a certificate table */
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

/* EX_IOERR: the image cannot be read; EX_SOFTWARE. Any bytes are safe; memory is
 * bounded by AUTHENTICODE_MAX_BYTES whatever the image's size. */
int authenticode_read(const struct pe_source *pe, struct authenticode *ret_signature,
		      struct err *err);
