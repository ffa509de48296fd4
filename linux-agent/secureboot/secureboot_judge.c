/* SPDX-License-Identifier: MIT */
#include "secureboot_chain.h"

#include "cms_pem.h"
#include "io.h"

#include <stdarg.h>
#include <string.h>

/* The inputs and the output for one image. */
struct question {
	const struct secureboot *rules;
	const struct secureboot_image *image;
	bool second_stage;
	struct secureboot_verdict *v;
};

/* A list, and the rules for a digest and a certificate found in it. */
struct pair {
	enum secureboot_list list;
	const char *name;
	enum secureboot_rule digest, cert;
};

static const struct pair db = { SECUREBOOT_DB, "db", SECUREBOOT_RULE_DB_DIGEST, SECUREBOOT_RULE_DB_CERT };
static const struct pair mok = { SECUREBOOT_MOK, "MokListRT", SECUREBOOT_RULE_MOK_DIGEST,
				 SECUREBOOT_RULE_MOK_CERT };
static const struct pair dbx = { SECUREBOOT_DBX, "dbx", SECUREBOOT_RULE_DBX_DIGEST,
				 SECUREBOOT_RULE_DBX_CERT };
static const struct pair mokx = { SECUREBOOT_MOKX, "MokListXRT", SECUREBOOT_RULE_MOKX_DIGEST,
				  SECUREBOOT_RULE_MOKX_CERT };

static void __attribute__((format(printf, 4, 5)))
say(struct secureboot_verdict *v, enum secureboot_answer answer, enum secureboot_rule rule,
    const char *fmt, ...)
{
	va_list args;

	v->answer = answer;
	v->rule = rule;
	va_start(args, fmt);
	(void)vsnprintf(v->words, sizeof v->words, fmt, args);
	va_end(args);
}

/* Records the signer of the decisive signature. */
static void signer_say(const struct question *q, const struct authenticode_entry *e)
{
	struct secureboot_verdict *v = q->v;
	time_t now = q->rules->now;

	(void)snprintf(v->signer, sizeof v->signer, "%s", e->signature.signer);
	if (!e->signer)
		return;
	cms_date_text(X509_get0_notAfter(e->signer), v->expires, sizeof v->expires);
	v->expired = X509_cmp_time(X509_get0_notAfter(e->signer), &now) < 0;
}

static bool counts(const struct authenticode_entry *e)
{
	return e->signature.state == AUTHENTICODE_SIGNED;
}

static bool digest_revoked(const struct question *q, const struct pair *pair)
{
	char text[96];

	if (!chain_digest_listed(q->image, &q->rules->lists[pair->list], text, sizeof text))
		return false;
	say(q->v, SECUREBOOT_REFUSED, pair->digest, "%s is in %s: just this image is revoked", text,
	    pair->name);
	return true;
}

static bool digest_known(const struct question *q, const struct pair *pair)
{
	char text[96];

	if (!chain_digest_listed(q->image, &q->rules->lists[pair->list], text, sizeof text))
		return false;
	say(q->v, SECUREBOOT_STARTS, pair->digest, "%s is in %s", text, pair->name);
	return true;
}

static bool is_zero(const uint8_t *data, size_t len)
{
	while (len > 0 && data[len - 1] == 0)
		len--;
	return len == 0;
}

/* The list has the digest of a certificate in the chain, with a time of revocation (EFI_TIME). An
 * image signed earlier may still start, if dbt has the authority of its time stamp. */
static void chain_cert_say(const struct question *q, const struct authenticode_entry *e,
			   const struct pair *pair, const struct siglist_entry *found, X509 *cert)
{
	_cleanup_free_ char *name = cms_name_text(X509_get_subject_name(cert));
	const uint8_t *t = found->time;
	char since[32] = "";

	signer_say(q, e);
	if (!is_zero(t, SIGLIST_TIME_BYTES))
		(void)snprintf(since, sizeof since, " since %04u-%02u-%02u", t[0] + 256u * t[1], t[2], t[3]);
	if (*since && q->rules->times && e->timestamped)
		say(q->v, SECUREBOOT_UNKNOWN, SECUREBOOT_RULE_TIME, "it is signed by %s, and %s is revoked "
		    "in %s%s; the signature has a time stamp, which only the firmware can judge (dbt)",
		    e->signature.signer, name ? name : "its certificate", pair->name, since);
	else
		say(q->v, SECUREBOOT_REFUSED, pair->cert, "it is signed by %s, and the certificate %s is "
		    "revoked%s: its digest is in %s", e->signature.signer, name ? name : "of its signer",
		    since, pair->name);
}

static bool entry_revoked(const struct question *q, const struct authenticode_entry *e,
			  const struct pair *pair)
{
	const struct siglist *list = &q->rules->lists[pair->list];
	_cleanup_(X509_freep) X509 *anchor = chain_anchor(e, list, false);
	const struct siglist_entry *found;
	X509 *cert;

	if (anchor) {
		_cleanup_free_ char *name = cms_name_text(X509_get_subject_name(anchor));

		signer_say(q, e);
		say(q->v, SECUREBOOT_REFUSED, pair->cert, "it is signed by %s, and the certificate %s is "
		    "revoked: it is in %s", e->signature.signer, name ? name : "of its signer", pair->name);
		return true;
	}
	found = chain_cert_listed(e, e->signer, list, &cert);
	if (found)
		chain_cert_say(q, e, pair, found, cert);
	return found != NULL;
}

/* A certificate in db may itself be revoked by its digest. */
static bool entry_known(const struct question *q, const struct authenticode_entry *e,
			const struct pair *pair, const struct pair *revoked)
{
	bool is_mok = pair->list == SECUREBOOT_MOK;
	_cleanup_(X509_freep) X509 *anchor = chain_anchor(e, &q->rules->lists[pair->list], is_mok);
	_cleanup_free_ char *name = NULL;
	const struct siglist_entry *found;
	X509 *cert;

	if (!anchor)
		return false;
	found = chain_cert_listed(e, anchor, &q->rules->lists[revoked->list], &cert);
	if (found) {
		chain_cert_say(q, e, revoked, found, cert);
		return true;
	}
	signer_say(q, e);
	name = cms_name_text(X509_get_subject_name(anchor));
	say(q->v, SECUREBOOT_STARTS, pair->cert, "it is signed by %s, and %s is in %s",
	    e->signature.signer, name ? name : "its certificate", pair->name);
	return true;
}

/* No rule has accepted the image; says why. */
static void untrusted(const struct question *q)
{
	const struct authenticode_table *table = &q->image->table;
	const struct authenticode_entry *e = &table->entries[0];
	const char *where = q->rules->shim ? "in neither db nor MokListRT" : "not in db";
	struct secureboot_verdict *v = q->v;

	for (unsigned i = 0; i < table->count; i++)
		if (counts(&table->entries[i]) && !counts(e))
			e = &table->entries[i];
	if (table->count == 0) {
		say(v, SECUREBOOT_REFUSED, SECUREBOOT_RULE_UNSIGNED, "it is not signed, and its digest "
		    "is %s", where);
		return;
	}
	signer_say(q, e);
	switch (e->signature.state) {
	case AUTHENTICODE_SIGNED:
		say(v, SECUREBOOT_REFUSED, SECUREBOOT_RULE_SIGNER, "it is signed by %s, certified by %s, "
		    "whose certificates are %s", e->signature.signer, e->signature.issuer, where);
		return;
	case AUTHENTICODE_UNKNOWN_SIGNER:
		say(v, SECUREBOOT_REFUSED, SECUREBOOT_RULE_SIGNER, "it is signed by a key whose certificate "
		    "is not in the signature");
		return;
	case AUTHENTICODE_ALTERED:
		say(v, SECUREBOOT_REFUSED, SECUREBOOT_RULE_ALTERED, "it was altered after it was signed: its "
		    "digest is not the signed one");
		return;
	case AUTHENTICODE_WRONG:
		say(v, SECUREBOOT_REFUSED, SECUREBOOT_RULE_WRONG, "its signature does not hold: %s",
		    e->signature.why);
		return;
	default:
		say(v, SECUREBOOT_REFUSED, SECUREBOOT_RULE_MALFORMED, "%s", e->signature.why);
		return;
	}
}

static void firmware_judge(const struct question *q)
{
	const struct authenticode_table *table = &q->image->table;

	if (digest_revoked(q, &dbx))
		return;
	for (unsigned i = 0; i < table->count; i++)
		if (counts(&table->entries[i]) && entry_revoked(q, &table->entries[i], &dbx) &&
		    q->v->answer == SECUREBOOT_REFUSED)
			return;
	if (q->v->answer == SECUREBOOT_UNKNOWN)
		return;
	for (unsigned i = 0; i < table->count; i++)
		if (counts(&table->entries[i]) && entry_known(q, &table->entries[i], &db, &dbx))
			return;
	if (!digest_known(q, &db))
		untrusted(q);
}

/* False if SBAT does not refuse the image. */
static bool sbat_judge(const struct question *q)
{
	const struct secureboot_image *image = q->image;
	const struct sbat_entry *low;
	unsigned wanted;

	if (q->rules->sbat.count == 0)
		return false;
	switch (image->sbat_state) {
	case SECUREBOOT_SBAT_BAD:
		say(q->v, SECUREBOOT_REFUSED, SECUREBOOT_RULE_SBAT_MALFORMED, "its .sbat section cannot be "
		    "understood");
		return true;
	case SECUREBOOT_SBAT_NONE:
		if (q->second_stage)
			say(q->v, SECUREBOOT_REFUSED, SECUREBOOT_RULE_SBAT_MISSING, "it has no .sbat section, "
			    "without which shim starts nothing");
		return q->second_stage;
	default:
		break;
	}
	low = sbat_revoked(&image->sbat, &q->rules->sbat, &wanted);
	if (low)
		say(q->v, SECUREBOOT_REFUSED, SECUREBOOT_RULE_SBAT, "its %.*s has the SBAT generation %u, and "
		    "shim wants %u at least (SbatLevelRT)", low->name_len < 100 ? (int)low->name_len : 100,
		    low->name, low->generation, wanted);
	return low != NULL;
}

/* A revoked signature only does not count; another one may. */
static bool shim_entry(const struct question *q, const struct authenticode_entry *e)
{
	if (entry_revoked(q, e, &dbx) || entry_revoked(q, e, &mokx))
		return false;
	return ((!q->rules->shim_without_db && entry_known(q, e, &db, &dbx)) ||
		entry_known(q, e, &mok, &mokx)) && q->v->answer == SECUREBOOT_STARTS;
}

static void shim_judge(const struct question *q)
{
	const struct authenticode_table *table = &q->image->table;

	if (q->rules->shim_off) {
		say(q->v, SECUREBOOT_STARTS, SECUREBOOT_RULE_SHIM_OFF, "shim was told to check nothing "
		    "(mokutil --disable-validation)");
		return;
	}
	if (sbat_judge(q) || digest_revoked(q, &dbx) || digest_revoked(q, &mokx))
		return;
	for (unsigned i = 0; i < table->count; i++)
		if (counts(&table->entries[i]) && shim_entry(q, &table->entries[i]))
			return;
	if ((!q->rules->shim_without_db && digest_known(q, &db)) || digest_known(q, &mok))
		return;
	if (q->v->answer == SECUREBOOT_OFF)	/* no signature was revoked */
		untrusted(q);
}

/* True if the rule says that something was not found. A list that cannot be read might have had
 * it. */
static bool is_lack(enum secureboot_rule rule)
{
	return rule == SECUREBOOT_RULE_UNSIGNED || rule == SECUREBOOT_RULE_SIGNER ||
	       rule == SECUREBOOT_RULE_ALTERED || rule == SECUREBOOT_RULE_WRONG ||
	       rule == SECUREBOOT_RULE_MALFORMED;
}

static void doubt_say(const struct question *q)
{
	struct secureboot_verdict *v = q->v;
	char words[sizeof v->words];

	if (!q->rules->doubt[0] || (v->answer == SECUREBOOT_REFUSED && !is_lack(v->rule)))
		return;
	memcpy(words, v->words, sizeof words);
	say(v, SECUREBOOT_UNKNOWN, SECUREBOOT_RULE_LISTS, "%s; as far as can be seen, %s", q->rules->doubt,
	    words);
}

void secureboot_judge(const struct secureboot *rules, const struct secureboot_image *image,
		      bool second_stage, struct secureboot_verdict *ret_verdict)
{
	const struct question q = { rules, image, second_stage, ret_verdict };

	*ret_verdict = (struct secureboot_verdict){ .answer = SECUREBOOT_OFF };
	if (!rules->on)
		return;
	if (image->table.state == AUTHENTICODE_NO_PE) {
		say(ret_verdict, SECUREBOOT_REFUSED, SECUREBOOT_RULE_NO_IMAGE, "it is no PE image that a "
		    "firmware could lay out");
		return;
	}
	if (image->table.state == AUTHENTICODE_MALFORMED) {
		say(ret_verdict, SECUREBOOT_REFUSED, SECUREBOOT_RULE_MALFORMED, "its certificate table is not "
		    "made of whole entries, and firmware takes none of it then");
		return;
	}
	if (rules->shim)
		shim_judge(&q);
	else
		firmware_judge(&q);
	doubt_say(&q);
}

void secureboot_look(const struct secureboot *rules, const struct pe_source *pe,
		     bool second_stage, struct secureboot_verdict *ret_verdict)
{
	_cleanup_free_ struct secureboot_image *image = NULL;
	struct err why = { 0 };

	*ret_verdict = (struct secureboot_verdict){ .answer = SECUREBOOT_OFF };
	if (!rules->on)
		return;
	image = malloc(sizeof *image);
	if (!image) {
		say(ret_verdict, SECUREBOOT_UNKNOWN, SECUREBOOT_RULE_UNREADABLE, "out of memory");
		return;
	}
	if (secureboot_image_read(pe, rules, image, &why) < 0)
		say(ret_verdict, SECUREBOOT_UNKNOWN, SECUREBOOT_RULE_UNREADABLE, "%s", why.text);
	else
		secureboot_judge(rules, image, second_stage, ret_verdict);
	secureboot_image_clear(image);
}
