/* SPDX-License-Identifier: MIT */
/*
 * Will this machine's firmware start an image, and which rule decides? The rules are read
 * from EFI variables (secureboot_read()), the facts from the image itself
 * (secureboot_image_read()); the answer (secureboot_judge()) is a pure function of both.
 *
 * The firmware's rules (UEFI 2.10 section 32.5.3.3, as implemented by edk2), in order:
 *
 *   the image's digest is in dbx                              refused
 *   a signature leads to a certificate in dbx, or a
 *   certificate on the way has its digest there               refused, whatever else holds
 *   a signature leads to a certificate in db                  started
 *   the image's digest is in db                               started
 *   otherwise                                                 refused
 *
 * Only a valid signature whose digest is the image's counts. The dates of certificates do not
 * count, but are reported. If this boot went through shim, shim's rules count: db is joined by
 * MokListRT and dbx by MokListXRT, a revoked certificate invalidates only its own signature,
 * and the .sbat section must not be below SbatLevelRT (sbat.h).
 *
 * The variables are untrusted input. If one cannot be parsed, the answer is "unknown", with the
 * reason, and never "started".
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
	SECUREBOOT_MOK,		/* shim's: the keys of the machine's owner and of the vendor */
	SECUREBOOT_MOKX,
	SECUREBOOT_LISTS
};

struct secureboot {
	bool on;			/* the firmware enforces Secure Boot; otherwise nothing
					 * below is read */
	bool shim;			/* this boot went through shim */
	bool shim_off;			/* shim checks nothing (mokutil --disable-validation) */
	bool shim_without_db;		/* shim does not use db (mokutil --ignore-db) */
	bool times;			/* there is a dbt, so a revocation may depend on a time
					 * stamp */
	struct siglist lists[SECUREBOOT_LISTS];
	char *level;			/* text of SbatLevelRT, or NULL */
	struct sbat sbat;		/* the parsed level */
	time_t now;			/* to report that a certificate has expired */
	char doubt[320];		/* "", or which variable cannot be parsed, and why */
};

/* Whether the firmware enforces Secure Boot now (UEFI 2.10, 3.3: SecureBoot). All code asks here.
 * Errors as for vars_get(). */
int secureboot_is_on(const struct vars *vars, bool *ret_on, struct err *err);

/* The same without an error: 1, 0, or -1 for unknown. */
int secureboot_known(const struct vars *vars);

/* Reads the rules. The caller clears *ret_rules in every case. Errors as for secureboot_is_on();
 * errors of the other variables become the doubt. */
int secureboot_read(const struct vars *vars, struct secureboot *ret_rules, struct err *err);
void secureboot_clear(struct secureboot *rules);

enum secureboot_sbat { SECUREBOOT_SBAT_NONE, SECUREBOOT_SBAT_READ, SECUREBOOT_SBAT_BAD };

struct secureboot_image {
	struct authenticode_table table;
	enum secureboot_sbat sbat_state;
	char *sbat_text;
	struct sbat sbat;
};

/* Reads what the rules need, with every kind of digest that is in their lists. Reads the image
 * once, and once more for each kind of digest besides SHA-256. EX_IOERR, EX_SOFTWARE. The caller
 * clears *ret_image in every case. It has some 30 KiB, so avoid the stack. */
int secureboot_image_read(const struct pe_source *pe, const struct secureboot *rules,
			  struct secureboot_image *ret_image, struct err *err);
void secureboot_image_clear(struct secureboot_image *image);

enum secureboot_answer {
	SECUREBOOT_OFF,			/* Secure Boot is off: nothing is checked */
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
	SECUREBOOT_RULE_LISTS,		/* a list cannot be parsed */
	SECUREBOOT_RULE_TIME,		/* revoked, unless a time stamp proves it was signed
					 * earlier */
	SECUREBOOT_RULE_UNREADABLE,	/* the file cannot be read */
	/* refused */
	SECUREBOOT_RULE_NO_IMAGE,	/* not a PE image that firmware can load */
	SECUREBOOT_RULE_UNSIGNED,
	SECUREBOOT_RULE_MALFORMED,	/* the certificate table or its content */
	SECUREBOOT_RULE_ALTERED,	/* after it was signed */
	SECUREBOOT_RULE_WRONG,		/* the signature is invalid */
	SECUREBOOT_RULE_SIGNER,		/* the signer is not in db */
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
	char words[640];		/* the reason; "" for OFF */
	char signer[160];		/* of the decisive signature, or of the first; "": none */
	char expires[16];		/* when its certificate does, such as 2036-11-23; "":
					 * none */
	bool expired;			/* no firmware checks this */
};

/* second_stage: for what shim itself starts, the loader, which must have a .sbat section. */
void secureboot_judge(const struct secureboot *rules, const struct secureboot_image *image,
		      bool second_stage, struct secureboot_verdict *ret_verdict);

/* Does all of it. OFF without reading the image; UNKNOWN if it cannot be read. */
void secureboot_look(const struct secureboot *rules, const struct pe_source *pe,
		     bool second_stage, struct secureboot_verdict *ret_verdict);

/* "off", "starts", "unknown", "refused"; "dbx-certificate" and so on. For machine-readable
 * output. */
const char *secureboot_answer_text(enum secureboot_answer answer);
const char *secureboot_rule_text(enum secureboot_rule rule);

/* The beginning of a sentence whose object follows: "the firmware would not start". "" for OFF. */
const char *secureboot_would(enum secureboot_answer answer);
/* A remedy for an image refused by this rule; "" if there is no short one. */
const char *secureboot_remedy(enum secureboot_rule rule);

/* Sets EX_DATAERR, with a message that the firmware would not start what ("the new loader"), which
 * rule refuses it, and the remedy; returns -1. */
int secureboot_refuse(const struct secureboot_verdict *verdict, const char *what, struct err *err);
