/* SPDX-License-Identifier: MIT */
/* For tests of Secure Boot's rules: signers, and a scene of lists and an image made by hand. */
#pragma once

#include "secureboot.h"

#include "io.h"
#include "unittest.h"

#include "testsiglist.h"
#include "testsign.h"

/* root issued middle, and middle issued the signer; the others are independent. */
enum who { ROOT, MIDDLE, SIGNER, STRANGER, LATE, MODULES, PEOPLE };

static struct testpki people[PEOPLE];

static inline int people_make(void **state)
{
	(void)state;
	people[ROOT] = testpki_make_full("root", NULL, EVP_EC_gen("P-256"), true, -DAY, DAY, NULL);
	people[MIDDLE] = testpki_make_full("middle", &people[ROOT], EVP_EC_gen("P-256"), true, -DAY, DAY,
					   NULL);
	people[SIGNER] = testpki_make_full("signer", &people[MIDDLE], EVP_EC_gen("P-256"), false, -DAY,
					   DAY, NULL);
	people[STRANGER] = testpki_make("stranger");
	people[LATE] = testpki_make_full("late", NULL, EVP_EC_gen("P-256"), false, -2 * DAY, -DAY, NULL);
	people[MODULES] = testpki_make_full("modules", NULL, EVP_EC_gen("P-256"), false, -DAY, DAY,
					    "1.3.6.1.4.1.2312.16.1.2");
	return 0;
}

static inline int people_free(void **state)
{
	(void)state;
	for (unsigned i = 0; i < PEOPLE; i++)
		testpki_free(&people[i]);
	return 0;
}

/* The signature carries middle's certificate, too. */
static inline void sign(struct testpe *pe, enum who who)
{
	uint8_t digest[32];
	PKCS7 *p7;

	testpe_digest(pe, digest);
	p7 = testsign_pkcs7(&people[who], digest, true);
	if (who == SIGNER)
		PKCS7_add_certificate(p7, people[MIDDLE].cert);
	testsign_attach(pe, p7);
	PKCS7_free(p7);
}

static inline void list_cert(struct testlists *lists, enum who who)
{
	uint8_t *der = NULL;
	int len = i2d_X509(people[who].cert, &der);

	(void)testlists_add(lists, GUID_X509, der, (size_t)len, 1);
	OPENSSL_free(der);
}

/* Lists the digest of the certificate's signed part; year 0: revoked from the beginning. */
static inline void list_cert_digest(struct testlists *lists, enum who who, unsigned year)
{
	uint8_t *der = NULL, data[32 + SIGLIST_TIME_BYTES] = { 0 };
	int len = i2d_re_X509_tbs(people[who].cert, &der);

	SHA256(der, (size_t)len, data);
	le16_put(data + 32, (uint16_t)year);
	data[34] = data[35] = year ? 7 : 0;
	(void)testlists_add(lists, GUID_X509_SHA256, data, sizeof data, 1);
	OPENSSL_free(der);
}

static inline void list_image(struct testlists *lists, const struct testpe *pe)
{
	uint8_t digest[32];

	testpe_digest(pe, digest);
	(void)testlists_add(lists, GUID_SHA256, digest, 32, 1);
}

struct scene {
	struct testpe pe;
	struct testlists lists[SECUREBOOT_LISTS];
	struct secureboot rules;
	bool second_stage;
};

static inline void scene_make(struct scene *s)
{
	memset(s, 0, sizeof *s);
	testpe_make(&s->pe);
	s->rules = (struct secureboot){ .on = true, .now = time(NULL) };
}

static inline struct secureboot_verdict judge(struct scene *s)
{
	const struct pe_source pe = testpe_source(&s->pe);
	struct secureboot_verdict v;

	for (unsigned i = 0; i < SECUREBOOT_LISTS; i++) {
		uint8_t *bytes = malloc(s->lists[i].len + 1);

		assert_non_null(bytes);
		memcpy(bytes, s->lists[i].bytes, s->lists[i].len);
		assert_int_equal(siglist_parse("list", bytes, s->lists[i].len, &s->rules.lists[i], NULL), 0);
	}
	secureboot_look(&s->rules, &pe, s->second_stage, &v);
	secureboot_clear(&s->rules);
	return v;
}

static inline void expect(struct scene *s, enum secureboot_answer answer, enum secureboot_rule rule,
			  const char *words)
{
	struct secureboot_verdict v = judge(s);

	if (v.answer != answer || v.rule != rule || !strstr(v.words, words))
		fail_msg("%s by %s: %s", secureboot_answer_text(v.answer), secureboot_rule_text(v.rule),
			 v.words);
}

#define DB (&s.lists[SECUREBOOT_DB])
#define DBX (&s.lists[SECUREBOOT_DBX])
#define MOK (&s.lists[SECUREBOOT_MOK])
#define MOKX (&s.lists[SECUREBOOT_MOKX])
#define STARTS(rule, words) expect(&s, SECUREBOOT_STARTS, SECUREBOOT_RULE_##rule, words)
#define REFUSED(rule, words) expect(&s, SECUREBOOT_REFUSED, SECUREBOOT_RULE_##rule, words)
#define UNKNOWN(rule, words) expect(&s, SECUREBOOT_UNKNOWN, SECUREBOOT_RULE_##rule, words)
