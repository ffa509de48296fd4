/* SPDX-License-Identifier: MIT */
/*
 * PEM files for cms.c, and libcrypto's objects with cleanup attributes:
 * _cleanup_(X509_freep) and so on; they take NULL.
 */
#pragma once

#include "err.h"

#include <openssl/cms.h>
#include <openssl/pem.h>
#include <openssl/x509_vfy.h>
#include <stdint.h>

#define CMS_PEM_MAX_BYTES (1024 * 1024)

typedef STACK_OF(X509) x509_stack;
typedef STACK_OF(X509_CRL) crl_stack;

#define DEFINE_FREEP(type, free_function)                      \
	static inline void free_function##p(type **p)          \
	{                                                      \
		free_function(*p);                             \
	}
DEFINE_FREEP(X509, X509_free)
DEFINE_FREEP(X509_STORE, X509_STORE_free)
DEFINE_FREEP(X509_STORE_CTX, X509_STORE_CTX_free)
DEFINE_FREEP(EVP_PKEY, EVP_PKEY_free)
DEFINE_FREEP(CMS_ContentInfo, CMS_ContentInfo_free)
DEFINE_FREEP(BIO, BIO_free_all)

static inline void certs_freep(x509_stack **certs)
{
	sk_X509_pop_free(*certs, X509_free);
}

static inline void crls_freep(crl_stack **crls)
{
	sk_X509_CRL_pop_free(*crls, X509_CRL_free);
}

int cms_no_memory(struct err *err);

/* Without this an encrypted key would make libcrypto ask on the terminal. */
int cms_no_passphrase(char *buf, int size, int writing, void *ctx);

/* Reads a PEM file into memory, *ret_text, which the BIO reads from; the caller
 * frees both. what names the file in messages; exit is what an unreadable one
 * means. */
int cms_pem_open(const char *what, const char *path, int exit, uint8_t **ret_text,
		 BIO **ret_bio, struct err *err);

/* Every certificate of a PEM file, at least one; other blocks are passed over.
 * EX_DATAERR, or EX_CONFIG where exit is that: damaged, or none in it. */
int cms_pem_certs(const char *what, const char *path, int exit, x509_stack **ret_certs,
		  struct err *err);

/* Every CRL of a PEM file, at least one; exit and errors as above. */
int cms_pem_crls(const char *path, int exit, crl_stack **ret_crls, struct err *err);

/* "O=Acme, CN=release"; control characters are escaped. The caller frees; NULL:
 * out of memory. */
char *cms_name_text(const X509_NAME *name);

/* "2026-11-23". */
void cms_date_text(const ASN1_TIME *when, char *out, size_t size);
