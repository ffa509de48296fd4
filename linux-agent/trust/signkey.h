/* SPDX-License-Identifier: MIT */
/*
 * Where the key and the certificate that sign a bundle come from: a PEM file, or a
 * PKCS#11 URI (RFC 7512) such as
 *
 *     pkcs11:token=release;object=signing?pin-source=file:/run/pin
 *
 * The latter goes through libcrypto's engine "pkcs11" (libengine-pkcs11-openssl), with the
 * module that PKCS11_MODULE_PATH names or p11-kit's. The key does not leave its token. A
 * PIN comes from the URI (pin-source, pin-value); nothing is asked on the terminal.
 */
#pragma once

#include "cms_pem.h"

/* The private key in where. EX_NOINPUT: no such file, no engine, no such token; EX_DATAERR:
 * it is not an unencrypted private key in PEM form. The caller frees it before the process
 * ends; a token stays open until then. */
int signkey_load(const char *where, EVP_PKEY **ret_key, struct err *err);

/* The signer's certificate, and behind it those that the PEM file has besides. The caller
 * frees. */
int signkey_certs(const char *where, x509_stack **ret_certs, struct err *err);

/* where for messages: a URI without what may be secret in it. */
struct signkey_name {
	char text[256];
};
struct signkey_name signkey_name(const char *where);
