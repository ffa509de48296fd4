/* SPDX-License-Identifier: MIT */
#include "cms_chain.h"

#include "io.h"

#include <openssl/x509v3.h>
#include <string.h>

#define NOT_VALID "the signature of manifest.json is not valid: "

/* Dates are judged by dates_check(), by a time that need not be now; a missing
 * CRL matters only for what is not itself in the keyring. */
static int on_problem(int ok, X509_STORE_CTX *ctx)
{
	struct cms_chain *chain = X509_STORE_CTX_get_app_data(ctx);
	X509 *cert = X509_STORE_CTX_get_current_cert(ctx);

	switch (X509_STORE_CTX_get_error(ctx)) {
	case X509_V_ERR_CERT_HAS_EXPIRED:
	case X509_V_ERR_CERT_NOT_YET_VALID:
		return 1;
	case X509_V_ERR_CRL_HAS_EXPIRED:
		chain->stale = chain->crl_expired_warns;
		return ok || chain->crl_expired_warns;
	case X509_V_ERR_UNABLE_TO_GET_CRL:
		for (int i = 0; i < sk_X509_num(chain->keyring); i++)
			if (X509_cmp(cert, sk_X509_value(chain->keyring, i)) == 0)
				return 1;
		return ok;
	default:
		return ok;
	}
}

/* Accept any purpose here: purposes_check() has the rule. */
static int store_fill(struct cms_chain *c, struct err *err)
{
	const crl_stack *crls = c->crls;
	X509_VERIFY_PARAM *param = X509_STORE_get0_param(c->store);
	unsigned long flags = X509_V_FLAG_PARTIAL_CHAIN;

	if (crls)
		flags |= X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL;
	if (X509_VERIFY_PARAM_set_purpose(param, X509_PURPOSE_ANY) != 1 ||
	    X509_VERIFY_PARAM_set_flags(param, flags) != 1)
		return cms_no_memory(err);
	X509_VERIFY_PARAM_set_auth_level(param, 2);
	for (int i = 0; i < sk_X509_num(c->keyring); i++)
		if (X509_STORE_add_cert(c->store, sk_X509_value(c->keyring, i)) != 1)
			return cms_no_memory(err);
	for (int i = 0; crls && i < sk_X509_CRL_num(crls); i++)
		if (X509_STORE_add_crl(c->store, sk_X509_CRL_value(crls, i)) != 1)
			return cms_no_memory(err);
	return 0;
}

int cms_chain_open(const char *keyring_path, const char *crl_path, struct cms_chain *ret_chain,
		   struct err *err)
{
	struct cms_chain *c = ret_chain;

	*c = (struct cms_chain){ .keyring_path = keyring_path, .crl_path = crl_path };
	if (cms_pem_certs("keyring", keyring_path, EX_CONFIG, &c->keyring, err) < 0 ||
	    (crl_path && cms_pem_crls(crl_path, EX_CONFIG, &c->crls, err) < 0))
		return -1;
	c->store = X509_STORE_new();
	return c->store ? store_fill(c, err) : cms_no_memory(err);
}

/* Whether it is newer than every CRL of its issuer in the file. */
static bool crl_is_news(const struct cms_chain *c, const X509_CRL *crl)
{
	int days, seconds;

	for (int i = 0; i < sk_X509_CRL_num(c->crls); i++) {
		const X509_CRL *own = sk_X509_CRL_value(c->crls, i);

		if (X509_NAME_cmp(X509_CRL_get_issuer(own), X509_CRL_get_issuer(crl)) != 0)
			continue;
		if (ASN1_TIME_diff(&days, &seconds, X509_CRL_get0_lastUpdate(own),
				   X509_CRL_get0_lastUpdate(crl)) != 1 ||
		    days < 0 || seconds < 0 || (days == 0 && seconds == 0))
			return false;
	}
	return true;
}

int cms_chain_add_crls(struct cms_chain *chain, const crl_stack *carried, struct err *err)
{
	for (int i = 0; chain->crls && i < sk_X509_CRL_num(carried); i++) {
		X509_CRL *crl = sk_X509_CRL_value(carried, i);

		if (crl_is_news(chain, crl) && X509_STORE_add_crl(chain->store, crl) != 1)
			return cms_no_memory(err);
	}
	return 0;
}

void cms_chain_close(struct cms_chain *chain)
{
	crls_freep(&chain->crls);
	X509_STORE_free(chain->store);
	certs_freep(&chain->keyring);
	*chain = (struct cms_chain){ 0 };
}

static int stranger(const struct cms_chain *c, X509_STORE_CTX *ctx, const X509 *culprit,
		    const char *signer, struct err *err)
{
	_cleanup_free_ char *issuer = cms_name_text(X509_get_issuer_name(culprit));
	bool alone = X509_NAME_cmp(X509_get_issuer_name(culprit),
				   X509_get_subject_name(culprit)) == 0;

	if (!issuer)
		return cms_no_memory(err);
	if (alone && X509_STORE_CTX_get_error_depth(ctx) == 0)
		return err_set(err, EX_DATAERR, "the signature of manifest.json is by %s, who is "
			       "not in the keyring %s", signer, c->keyring_path);
	return err_set(err, EX_DATAERR, "the signature of manifest.json is by %s, certified by %s, "
		       "who is not in the keyring %s%s", signer, issuer, c->keyring_path,
		       alone ? "" : " nor, as an intermediate certificate, in manifest.p7s");
}

static int crl_problem(const struct cms_chain *c, int why, const X509 *culprit, const char *name,
		       struct err *err)
{
	_cleanup_free_ char *issuer = cms_name_text(X509_get_issuer_name(culprit));

	if (!issuer)
		return cms_no_memory(err);
	switch (why) {
	case X509_V_ERR_CERT_REVOKED:
		return err_set(err, EX_DATAERR, NOT_VALID "the certificate of %s is revoked "
			       "(crl = %s)", name, c->crl_path);
	case X509_V_ERR_UNABLE_TO_GET_CRL:
		return err_set(err, EX_CONFIG, "failed to see whether the certificate of %s is "
			       "revoked: %s has no CRL of %s", name, c->crl_path, issuer);
	case X509_V_ERR_CRL_HAS_EXPIRED:
		return err_set(err, EX_CONFIG, "failed to see whether the certificate of %s is "
			       "revoked: the CRL of %s in %s is out of date; put a newer one there, "
			       "or into the bundle (slotctl bundle create --crl), or set "
			       "crl-expired = warn", name, issuer, c->crl_path);
	case X509_V_ERR_CRL_NOT_YET_VALID:
		return err_set(err, EX_CONFIG, "failed to see whether the certificate of %s is "
			       "revoked: the CRL of %s in %s is from the future; is this machine's "
			       "clock right?", name, issuer, c->crl_path);
	default:
		return err_set(err, EX_CONFIG, "failed to see whether the certificate of %s is "
			       "revoked: the CRL of %s in %s: %s", name, issuer, c->crl_path,
			       X509_verify_cert_error_string(why));
	}
}

static int untrusted(const struct cms_chain *c, X509_STORE_CTX *ctx, const X509 *signer,
		     struct err *err)
{
	int why = X509_STORE_CTX_get_error(ctx);
	const X509 *culprit = X509_STORE_CTX_get_current_cert(ctx);
	_cleanup_free_ char *name = NULL, *signer_name = NULL;

	culprit = culprit ? culprit : signer;
	name = cms_name_text(X509_get_subject_name(culprit));
	signer_name = cms_name_text(X509_get_subject_name(signer));
	if (!name || !signer_name)
		return cms_no_memory(err);
	switch (why) {
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
	case X509_V_ERR_CERT_UNTRUSTED:
		return stranger(c, ctx, culprit, signer_name, err);
	case X509_V_ERR_CERT_REVOKED:
	case X509_V_ERR_UNABLE_TO_GET_CRL:
	case X509_V_ERR_CRL_HAS_EXPIRED:
	case X509_V_ERR_CRL_NOT_YET_VALID:
	case X509_V_ERR_CRL_SIGNATURE_FAILURE:
	case X509_V_ERR_KEYUSAGE_NO_CRL_SIGN:
		return crl_problem(c, why, culprit, name, err);
	default:
		return err_set(err, EX_DATAERR, "the signature of manifest.json is by %s, whose "
			       "certificate does not hold against the keyring %s: %s: %s",
			       signer_name, c->keyring_path, name,
			       X509_verify_cert_error_string(why));
	}
}

static int date_check(X509 *cert, time_t when, bool is_signing_time, struct err *err)
{
	_cleanup_free_ char *name = cms_name_text(X509_get_subject_name(cert));
	const char *by = is_signing_time ? ", and the signature was made" : "";
	char date[32];

	if (!name)
		return cms_no_memory(err);
	if (X509_cmp_time(X509_get0_notAfter(cert), &when) <= 0) {
		cms_date_text(X509_get0_notAfter(cert), date, sizeof date);
		return err_set(err, EX_DATAERR, NOT_VALID "the certificate of %s expired on %s%s%s",
			       name, date, by, is_signing_time ? " later" : "");
	}
	if (X509_cmp_time(X509_get0_notBefore(cert), &when) > 0) {
		cms_date_text(X509_get0_notBefore(cert), date, sizeof date);
		return err_set(err, EX_DATAERR, NOT_VALID "the certificate of %s is valid only "
			       "from %s%s%s", name, date, by,
			       is_signing_time ? " earlier" : "; is this machine's clock right?");
	}
	return 0;
}

/* X509_get_key_usage() and its like give all ones where there is no extension,
 * and nothing where it cannot be read. */
static int purpose_check(X509 *cert, bool is_signer, struct err *err)
{
	_cleanup_free_ char *name = cms_name_text(X509_get_subject_name(cert));

	if (!name)
		return cms_no_memory(err);
	if (!(X509_get_extended_key_usage(cert) & XKU_CODE_SIGN))
		return err_set(err, EX_DATAERR, NOT_VALID "the certificate of %s is not for code "
			       "signing (extendedKeyUsage)", name);
	if (is_signer && !(X509_get_key_usage(cert) & KU_DIGITAL_SIGNATURE))
		return err_set(err, EX_DATAERR, NOT_VALID "the certificate of %s is not for "
			       "signatures (keyUsage)", name);
	return 0;
}

int cms_chain_check(struct cms_chain *chain, X509 *signer, x509_stack *carried,
		    time_t when, bool is_signing_time, struct err *err)
{
	_cleanup_(X509_STORE_CTX_freep) X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	const x509_stack *path;

	chain->stale = false;
	if (!ctx || X509_STORE_CTX_init(ctx, chain->store, signer, carried) != 1 ||
	    X509_STORE_CTX_set_app_data(ctx, chain) != 1)
		return cms_no_memory(err);
	X509_STORE_CTX_set_verify_cb(ctx, on_problem);
	if (X509_verify_cert(ctx) != 1)
		return untrusted(chain, ctx, signer, err);
	path = X509_STORE_CTX_get0_chain(ctx);
	for (int i = 0; i < sk_X509_num(path); i++) {
		X509 *cert = sk_X509_value(path, i);

		if ((when != CMS_CHAIN_ANY_TIME &&
		     date_check(cert, when, is_signing_time, err) < 0) ||
		    purpose_check(cert, i == 0, err) < 0)
			return -1;
	}
	return 0;
}
