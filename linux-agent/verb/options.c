/* SPDX-License-Identifier: MIT */
#include "options.h"

#include "number.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OPT_CONFIG = 256, OPT_JSON, OPT_ACTIVATE, OPT_TRIES, OPT_DOWNGRADE, OPT_FORCE, OPT_URL_FILE, OPT_VERIFY_FIRST,
       OPT_GIVE_UP, OPT_EXPORT, OPT_REPAIR, OPT_HELP };

static const struct option known[] = {
	{ "config", required_argument, NULL, OPT_CONFIG },
	{ "json", no_argument, NULL, OPT_JSON },
	{ "activate", required_argument, NULL, OPT_ACTIVATE },
	{ "tries", required_argument, NULL, OPT_TRIES },
	{ "allow-downgrade", no_argument, NULL, OPT_DOWNGRADE },
	{ "force", no_argument, NULL, OPT_FORCE },
	{ "url-file", required_argument, NULL, OPT_URL_FILE },
	{ "verify-first", required_argument, NULL, OPT_VERIFY_FIRST },
	{ "export", no_argument, NULL, OPT_EXPORT },
	{ "repair", no_argument, NULL, OPT_REPAIR },
	{ "give-up", no_argument, NULL, OPT_GIVE_UP },
	{ "help", no_argument, NULL, OPT_HELP },
	{ NULL, 0, NULL, 0 },
};

static bool taken(int option, unsigned takes)
{
	switch (option) {
	case OPT_JSON:
		return takes & TAKES_JSON;
	case OPT_ACTIVATE:
		return takes & TAKES_ACTIVATE;
	case OPT_TRIES:
		return takes & TAKES_TRIES;
	case OPT_DOWNGRADE:
		return takes & TAKES_DOWNGRADE;
	case OPT_FORCE:
		return takes & TAKES_FORCE;
	case OPT_URL_FILE:
		return takes & TAKES_URL_FILE;
	case OPT_VERIFY_FIRST:
		return takes & TAKES_VERIFY_FIRST;
	case OPT_EXPORT:
		return takes & TAKES_EXPORT;
	case OPT_GIVE_UP:
		return takes & TAKES_GIVE_UP;
	case OPT_REPAIR:
		return takes & TAKES_REPAIR;
	default:
		return true;
	}
}

int options_tries(const char *text, unsigned *ret_tries, struct err *err)
{
	uint64_t n;

	if (!number_parse(text, 1, 255, &n))
		return err_set(err, EX_USAGE, "--tries=%s: must be a number from 1 to 255", text);
	*ret_tries = (unsigned)n;
	return 0;
}

static int verify_first_parse(const char *text, enum choice *ret_choice, struct err *err)
{
	bool yes = strcmp(text, "yes") == 0;

	if (!yes && strcmp(text, "no") != 0)
		return err_set(err, EX_USAGE, "--verify-first=%s: must be yes or no", text);
	*ret_choice = yes ? CHOICE_YES : CHOICE_NO;
	return 0;
}

static int option_apply(int option, struct options *o, const char **activate,
			struct err *err)
{
	switch (option) {
	case OPT_CONFIG:
		o->config = optarg;
		return 0;
	case OPT_JSON:
		o->json = true;
		return 0;
	case OPT_EXPORT:
		o->export = true;
		return 0;
	case OPT_GIVE_UP:
		o->give_up = true;
		return 0;
	case OPT_REPAIR:
		o->repair = true;
		return 0;
	case OPT_ACTIVATE:
		*activate = optarg;
		return 0;
	case OPT_TRIES:
		return options_tries(optarg, &o->tries, err);
	case OPT_DOWNGRADE:
		o->allow_downgrade = true;
		return 0;
	case OPT_FORCE:
		o->force = true;
		return 0;
	case OPT_URL_FILE:
		o->url_file = optarg;
		return 0;
	case OPT_VERIFY_FIRST:
		return verify_first_parse(optarg, &o->verify_first, err);
	default:
		return -1;
	}
}

/* In a cluster of short options optind does not advance until the last one. */
const char *options_word(char **argv, char buf[static OPTION_WORD_BYTES])
{
	if (optopt > ' ' && optopt <= '~')
		(void)snprintf(buf, OPTION_WORD_BYTES, "-%c", optopt);
	else
		(void)snprintf(buf, OPTION_WORD_BYTES, "%s", argv[optind - 1]);
	return buf;
}

int options_parse(int argc, char **argv, unsigned takes, const char *help,
		  struct options *ret_options, struct err *err)
{
	struct options o = { 0 };
	const char *activate = NULL;
	char word[OPTION_WORD_BYTES];
	int option;

	optind = 0;
	opterr = 0;
	while ((option = getopt_long(argc, argv, ":", known, NULL)) != -1) {
		if (option == OPT_HELP) {
			(void)fputs(help, stdout);
			return 1;
		}
		if (option == ':')
			return err_set(err, EX_USAGE, "%s: %s needs a value", argv[0],
				       argv[optind - 1]);
		if (option == '?')
			return err_set(err, EX_USAGE, "%s: unknown option %s; see slotctl %s "
				       "--help", argv[0], options_word(argv, word), argv[0]);
		if (!taken(option, takes))
			return err_set(err, EX_USAGE, "%s: unknown option %s; see slotctl %s "
				       "--help", argv[0], argv[optind - 1], argv[0]);
		if (option_apply(option, &o, &activate, err) < 0)
			return -1;
	}
	if ((takes & TAKES_ACTIVATE) && activate_parse(activate, &o.activate, err) < 0)
		return -1;
	o.operands = argv + optind;
	o.operand_count = argc - optind;
	*ret_options = o;
	return 0;
}

int options_slot(const char *text, unsigned *ret_slot, struct err *err)
{
	char letter = (char)(text[0] | 0x20);

	if ((letter != 'a' && letter != 'b') || text[1])
		return err_set(err, EX_USAGE, "%s is not a slot: must be a or b", text);
	*ret_slot = (unsigned)(letter - 'a');
	return 0;
}
