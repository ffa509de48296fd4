/* SPDX-License-Identifier: MIT */
/*
 * Will this machine's firmware start an image, and by which rule? Asked of what the EFI
 * variables say (secureboot_read()) and of the image's own bytes (secureboot_image_read());
 * the answer (secureboot_judge()) is a pure function of both.
 *
 * The firmware's rules (UEFI 2.10 section 32.5.3.3, and what edk2 makes of it):
 *
 *   its digest is in dbx                                      refused
 *   a signature leads to a certificate in dbx, or one on the
 *   way has its own digest there                              refused, whatever else is right
 *   one signature leads to a certificate in db                started
 *   its digest is in db                                       started
 *   else                                                      refused
 *
 * A signature counts where its digest is the image's and it holds. No date of a certificate
 * counts; it is said. Where shim was the way to this boot, its rules count: the lists are db
 * with MokListRT and dbx with MokListXRT, a revoked certificate spoils its own signature
 * only, and the .sbat section must not be below SbatLevelRT (sbat.h).
 *
 * The variables are outside data: what cannot be understood makes the answer "unknown", with
 * the reason, and never "started".
 */
#pragma once

#include "authenticode.h"
#include "err.h"
#include "sbat.h"
#include "siglist.h"
#include "vars.h"

#include <stdbool.h>
#include <time.h>

enum secureboot_list {
	SECUREBOOT_DB,
	SECUREBOOT_DBX,
	SECUREBOOT_MOK,		/* shim's: the machine owner's keys, and the vendor's */
	SECUREBOOT_MOKX,
	SECUREBOOT_LISTS
};

struct secureboot {
	bool on;			/* the firmware enforces it; else nothing below is read */
	bool shim;			/* shim was the way to this boot */
	bool shim_off;			/* it was told to check nothing (mokutil --disable-validation) */
	bool shim_without_db;		/* it was told to leave db out (mokutil --ignore-db) */
	bool times;			/* there is a dbt: a revocation may depend on a time stamp */
	struct siglist lists[SECUREBOOT_LISTS];
	char *level;			/* text of SbatLevelRT, or NULL */
	struct sbat sbat;		/* of it */
	time_t now;			/* to say of a certificate that it has expired */
	char doubt[320];		/* "", or which variable cannot be understood, and why */
};

/* Whether the firmware enforces Secure Boot now (UEFI 2.10, 3.3: SecureBoot). Everybody asks
 * here. Errors as of vars_get(). */
int secureboot_is_on(const struct vars *vars, bool *ret_on, struct err *err);

/* The same as one fact among others: 1, 0, or -1: not known. */
int secureboot_known(const struct vars *vars);

/* The caller clears *ret_rules in every case. Errors as of secureboot_is_on(): what is wrong
 * with the other variables becomes the doubt. */
int secureboot_read(const struct vars *vars, struct secureboot *ret_rules, struct err *err);
void secureboot_clear(struct secureboot *rules);

enum secureboot_sbat { SECUREBOOT_SBAT_NONE, SECUREBOOT_SBAT_READ, SECUREBOOT_SBAT_BAD };

struct secureboot_image {
	struct authenticode_table table;
	enum secureboot_sbat sbat_state;
	char *sbat_text;
	struct sbat sbat;
};

/* With every digest that the rules' lists have. Reads all of it once, and once more for each
 * kind of digest beside SHA-256. EX_IOERR, EX_SOFTWARE. The caller clears *ret_image in every
 * case; some 30 KiB, so not on the stack of much. */
int secureboot_image_read(const struct pe_source *pe, const struct secureboot *rules,
			  struct secureboot_image *ret_image, struct err *err);
void secureboot_image_clear(struct secureboot_image *image);

enum secureboot_answer {
	SECUREBOOT_OFF,			/* nothing is checked */
	SECUREBOOT_STARTS,
	SECUREBOOT_UNKNOWN,
	SECUREBOOT_REFUSED,
};

enum secureboot_rule {
	SECUREBOOT_RULE_OFF,
	/* started */
	SECUREBOOT_RULE_DB_CERT,
	SECUREBOOT_RULE_DB_DIGEST,
	SECUREBOOT_RULE_MOK_CERT,
	SECUREBOOT_RULE_MOK_DIGEST,
	SECUREBOOT_RULE_SHIM_OFF,
	/* unknown */
	SECUREBOOT_RULE_LISTS,		/* a list cannot be understood */
	SECUREBOOT_RULE_TIME,		/* revoked unless its time stamp is from before */
	SECUREBOOT_RULE_UNREADABLE,	/* the file */
	/* refused */
	SECUREBOOT_RULE_NO_IMAGE,	/* the firmware could not lay it out */
	SECUREBOOT_RULE_UNSIGNED,
	SECUREBOOT_RULE_MALFORMED,	/* the certificate table or what is in it */
	SECUREBOOT_RULE_ALTERED,	/* since it was signed */
	SECUREBOOT_RULE_WRONG,		/* the signature does not hold */
	SECUREBOOT_RULE_SIGNER,		/* nobody in db knows the signer */
	SECUREBOOT_RULE_DBX_DIGEST,
	SECUREBOOT_RULE_DBX_CERT,
	SECUREBOOT_RULE_MOKX_DIGEST,
	SECUREBOOT_RULE_MOKX_CERT,
	SECUREBOOT_RULE_SBAT,		/* its generation is revoked */
	SECUREBOOT_RULE_SBAT_MISSING,
	SECUREBOOT_RULE_SBAT_MALFORMED,
	SECUREBOOT_RULES
};

struct secureboot_verdict {
	enum secureboot_answer answer;
	enum secureboot_rule rule;
	char words[640];		/* why, in words; "" for OFF */
	char signer[160];		/* of the signature that decides, or the first; "": none */
	char expires[16];		/* its certificate, such as 2036-11-23; "": none */
	bool expired;			/* which no firmware looks at */
};

/* second_stage: what shim itself starts, the loader, which must have a .sbat section. */
void secureboot_judge(const struct secureboot *rules, const struct secureboot_image *image,
		      bool second_stage, struct secureboot_verdict *ret_verdict);

/* All of it: OFF without a look at the image; what cannot be read is UNKNOWN. */
void secureboot_look(const struct secureboot *rules, const struct pe_source *pe,
		     bool second_stage, struct secureboot_verdict *ret_verdict);

/* "off", "starts", "unknown", "refused"; "dbx-certificate" and so on. For machines. */
const char *secureboot_answer_text(enum secureboot_answer answer);
const char *secureboot_rule_text(enum secureboot_rule rule);

/* What helps where the rule refuses; "" where nothing short does. */
const char *secureboot_remedy(enum secureboot_rule rule);

/* EX_DATAERR in words: the firmware would not start what ("the new loader"), by which rule, and
 * what helps; -1. */
int secureboot_refuse(const struct secureboot_verdict *verdict, const char *what, struct err *err);
