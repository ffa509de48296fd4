/* SPDX-License-Identifier: MIT */
#include "cms_pem.h"

#include "io.h"

#include <errno.h>
#include <openssl/err.h>
#include <string.h>
#include <time.h>

int cms_no_memory(struct err *err)
{
	return err_set(err, EX_SOFTWARE, "failed to handle a signature: out of memory");
}

int cms_no_passphrase(char *buf, int size, int writing, void *ctx)
{
	(void)buf, (void)size, (void)writing, (void)ctx;
	return -1;
}

int cms_pem_open(const char *what, const char *path, int exit, uint8_t **ret_text,
		 BIO **ret_bio, struct err *err)
{
	_cleanup_free_ uint8_t *text = NULL;
	size_t len;
	BIO *bio;

	if (read_file(path, CMS_PEM_MAX_BYTES, &text, &len) < 0)
		return err_set(err, exit, "failed to read the %s %s: %s", what, path,
			       strerror(errno));
	bio = BIO_new_mem_buf(text, (int)len);
	if (!bio)
		return cms_no_memory(err);
	*ret_text = text;
	*ret_bio = bio;
	text = NULL;
	return 0;
}

/* After a reader returned NULL: was it the end of the file? */
static int end_check(const char *what, const char *path, const char *unit, int count, int exit,
		     struct err *err)
{
	if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
		return err_set(err, exit, "the %s %s is damaged at its %s number %d", what, path,
			       unit, count + 1);
	ERR_clear_error();
	if (count == 0)
		return err_set(err, exit, "the %s %s holds no %s (PEM)", what, path, unit);
	return 0;
}

int cms_pem_certs(const char *what, const char *path, int exit, x509_stack **ret_certs,
		  struct err *err)
{
	_cleanup_(certs_freep) x509_stack *certs = sk_X509_new_null();
	_cleanup_free_ uint8_t *text = NULL;
	_cleanup_(BIO_free_allp) BIO *bio = NULL;
	X509 *cert;

	if (!certs)
		return cms_no_memory(err);
	if (cms_pem_open(what, path, exit, &text, &bio, err) < 0)
		return -1;
	while ((cert = PEM_read_bio_X509(bio, NULL, cms_no_passphrase, NULL)))
		if (sk_X509_push(certs, cert) <= 0) {
			X509_free(cert);
			return cms_no_memory(err);
		}
	if (end_check(what, path, "certificate", sk_X509_num(certs),
		      exit == EX_CONFIG ? EX_CONFIG : EX_DATAERR, err) < 0)
		return -1;
	*ret_certs = certs;
	certs = NULL;
	return 0;
}

int cms_pem_crls(const char *path, int exit, crl_stack **ret_crls, struct err *err)
{
	_cleanup_(crls_freep) crl_stack *crls = sk_X509_CRL_new_null();
	_cleanup_free_ uint8_t *text = NULL;
	_cleanup_(BIO_free_allp) BIO *bio = NULL;
	X509_CRL *crl;

	if (!crls)
		return cms_no_memory(err);
	if (cms_pem_open("revocation list", path, exit, &text, &bio, err) < 0)
		return -1;
	while ((crl = PEM_read_bio_X509_CRL(bio, NULL, cms_no_passphrase, NULL)))
		if (sk_X509_CRL_push(crls, crl) <= 0) {
			X509_CRL_free(crl);
			return cms_no_memory(err);
		}
	if (end_check("revocation list", path, "CRL", sk_X509_CRL_num(crls),
		      exit == EX_CONFIG ? EX_CONFIG : EX_DATAERR, err) < 0)
		return -1;
	*ret_crls = crls;
	crls = NULL;
	return 0;
}

char *cms_name_text(const X509_NAME *name)
{
	_cleanup_(BIO_free_allp) BIO *bio = BIO_new(BIO_s_mem());
	unsigned long flags = XN_FLAG_ONELINE & ~(unsigned long)(XN_FLAG_SPC_EQ |
								 ASN1_STRFLGS_ESC_MSB);
	char *text;
	long len;

	if (!bio || X509_NAME_print_ex(bio, name, 0, flags | ASN1_STRFLGS_UTF8_CONVERT) < 0)
		return NULL;
	len = BIO_get_mem_data(bio, &text);
	return len > 0 ? strndup(text, (size_t)len) : strdup("(a certificate without a name)");
}

void cms_date_text(const ASN1_TIME *when, char *out, size_t size)
{
	struct tm tm;

	if (!ASN1_TIME_to_tm(when, &tm) || strftime(out, size, "%Y-%m-%d", &tm) == 0)
		(void)snprintf(out, size, "an unknown date");
}
