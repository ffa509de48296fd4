/* SPDX-License-Identifier: MIT */
#include "secureboot.h"

#include "io.h"

static const struct {
	const char *text, *remedy;
} rules[SECUREBOOT_RULES] = {
	[SECUREBOOT_RULE_OFF] = { "off", "" },
	[SECUREBOOT_RULE_DB_CERT] = { "db-certificate", "" },
	[SECUREBOOT_RULE_DB_DIGEST] = { "db-digest", "" },
	[SECUREBOOT_RULE_MOK_CERT] = { "mok-certificate", "" },
	[SECUREBOOT_RULE_MOK_DIGEST] = { "mok-digest", "" },
	[SECUREBOOT_RULE_SHIM_OFF] = { "shim-off", "" },
	[SECUREBOOT_RULE_LISTS] = { "lists", "" },
	[SECUREBOOT_RULE_TIME] = { "time-stamp", "" },
	[SECUREBOOT_RULE_UNREADABLE] = { "unreadable", "" },
	[SECUREBOOT_RULE_NO_IMAGE] = { "no-image", "make it anew" },
	[SECUREBOOT_RULE_UNSIGNED] = { "unsigned", "sign it with a key whose certificate is in db" },
	[SECUREBOOT_RULE_MALFORMED] = { "malformed", "sign it anew" },
	[SECUREBOOT_RULE_ALTERED] = { "altered", "sign it last, when nothing changes it any more" },
	[SECUREBOOT_RULE_WRONG] = { "wrong", "sign it anew" },
	[SECUREBOOT_RULE_SIGNER] = { "signer", "sign it with a key whose certificate is in db, or enroll "
					       "the signer's certificate first" },
	[SECUREBOOT_RULE_DBX_DIGEST] = { "dbx-digest", "build one that is not revoked" },
	[SECUREBOOT_RULE_DBX_CERT] = { "dbx-certificate", "sign it with a key that is not revoked" },
	[SECUREBOOT_RULE_MOKX_DIGEST] = { "mokx-digest", "build one that is not revoked" },
	[SECUREBOOT_RULE_MOKX_CERT] = { "mokx-certificate", "sign it with a key that is not revoked" },
	[SECUREBOOT_RULE_SBAT] = { "sbat", "build it with a version whose flaw is mended" },
	[SECUREBOOT_RULE_SBAT_MISSING] = { "sbat-missing", "build it with a .sbat section" },
	[SECUREBOOT_RULE_SBAT_MALFORMED] = { "sbat-malformed", "build it with a .sbat section that is one" },
};

const char *secureboot_answer_text(enum secureboot_answer answer)
{
	static const char *const texts[] = {
		[SECUREBOOT_OFF] = "off",
		[SECUREBOOT_STARTS] = "starts",
		[SECUREBOOT_UNKNOWN] = "unknown",
		[SECUREBOOT_REFUSED] = "refused",
	};

	return texts[answer];
}

const char *secureboot_would(enum secureboot_answer answer)
{
	static const char *const words[] = {
		[SECUREBOOT_OFF] = "",
		[SECUREBOOT_STARTS] = "the firmware would start",
		[SECUREBOOT_UNKNOWN] = "it is not known whether the firmware would start",
		[SECUREBOOT_REFUSED] = "the firmware would not start",
	};

	return words[answer];
}

const char *secureboot_rule_text(enum secureboot_rule rule)
{
	return rules[rule].text;
}

const char *secureboot_remedy(enum secureboot_rule rule)
{
	return rules[rule].remedy;
}

int secureboot_refuse(const struct secureboot_verdict *verdict, const char *what, struct err *err)
{
	return err_set(err, EX_DATAERR, "Secure Boot is on, and %s %s: %s: refused; %s",
		       secureboot_would(SECUREBOOT_REFUSED), what, verdict->words,
		       secureboot_remedy(verdict->rule));
}
