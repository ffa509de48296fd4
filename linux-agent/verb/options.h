/* SPDX-License-Identifier: MIT */
/*
 * The command line of the verbs that work on this machine. One table of options
 * serves all of them; each verb names those it takes.
 */
#pragma once

#include "activation.h"
#include "err.h"

#include <stdbool.h>

/* Which options a verb takes besides --config and --help. */
#define TAKES_JSON 0x01u
#define TAKES_ACTIVATE 0x02u	/* and demands it */
#define TAKES_TRIES 0x04u
#define TAKES_DOWNGRADE 0x08u
#define TAKES_FORCE 0x10u
#define TAKES_URL_FILE 0x20u
#define TAKES_VERIFY_FIRST 0x40u
#define TAKES_GIVE_UP 0x80u
#define TAKES_EXPORT 0x100u
#define TAKES_REPAIR 0x200u

/* Yes, no, or as the configuration says. */
enum choice { CHOICE_CONFIG, CHOICE_NO, CHOICE_YES };

struct options {
	const char *config;	/* NULL: the default file */
	bool json;
	enum activate activate;
	unsigned tries;		/* 0: not given */
	bool allow_downgrade;
	bool force;
	bool give_up;
	bool export;
	bool repair;
	const char *url_file;	/* urlfile.h; NULL: not given */
	enum choice verify_first;
	char **operands;	/* what follows the options */
	int operand_count;
};

/* 0; 1: help was asked for and printed; -1: EX_USAGE. */
int options_parse(int argc, char **argv, unsigned takes, const char *help,
		  struct options *ret_options, struct err *err);

#define OPTION_WORD_BYTES 256

/* The option that getopt_long() just refused: "-y" of the cluster -xy, else the word. */
const char *options_word(char **argv, char buf[static OPTION_WORD_BYTES]);

/* The value of --tries: 1 to 255; EX_USAGE otherwise. */
int options_tries(const char *text, unsigned *ret_tries, struct err *err);

/* "a" or "b" (either case); EX_USAGE otherwise. */
int options_slot(const char *text, unsigned *ret_slot, struct err *err);
