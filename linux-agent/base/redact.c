/* SPDX-License-Identifier: MIT */
#include "redact.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

/* The authority ends at one of these (RFC 3986, 3.2), or with the word. */
#define END "/?#\\ \t\"'"
/* A query ends with the word; punctuation that ends a clause does not belong to it. */
#define WORD_END " \t\""
#define CLAUSE_END ":;,.)"

/* Replace len bytes by at most three dots; returns where the rest now begins. */
static char *mask(char *at, size_t len)
{
	size_t dots = len < 3 ? len : 3;

	memset(at, '.', dots);
	memmove(at + dots, at + len, strlen(at + len) + 1);
	return at + dots;
}

static char *query_mask(char *at)
{
	size_t len = strcspn(at, WORD_END);

	while (len > 0 && strchr(CLAUSE_END, at[len - 1]))
		len--;
	return mask(at, len);
}

void redact_mask_urls(char *text, size_t cap)
{
	bool is_cut = strlen(text) + 1 >= cap;
	char *at = text;

	while ((at = strstr(at, "://"))) {
		size_t len = strcspn(at += 3, END), user = 0;

		for (size_t i = 0; i < len; i++)
			if (at[i] == '@')
				user = i;
		if (!at[len] && is_cut && !user)
			user = len;
		at = mask(at, user);
		at += strcspn(at, "?" WORD_END);
		if (*at == '?')
			at = query_mask(at + 1);
	}
}

int redact_argv(int argc, char **argv, struct err *err)
{
	for (int i = 0; i < argc; i++) {
		size_t len = strlen(argv[i]), left;
		char *copy = strdup(argv[i]);

		if (!copy)
			return err_set(err, EX_SOFTWARE, "failed to read the command line: out of memory");
		redact_mask_urls(argv[i], SIZE_MAX);
		left = strlen(argv[i]);
		if (left == len && strcmp(argv[i], copy) == 0) {
			free(copy);
			continue;
		}
		explicit_bzero(argv[i] + left, len - left);
		argv[i] = copy;
		redact_keep();
	}
	return 0;
}

void redact_wipe(char *text)
{
	explicit_bzero(text, strlen(text));
}

void redact_freep(char **text)
{
	if (*text)
		redact_wipe(*text);
	free(*text);
}

int redact_check_mode(const char *path, const struct stat *st, struct err *err)
{
	if (!(st->st_mode & (S_IRWXG | S_IRWXO)))
		return 0;
	return err_set(err, EX_CONFIG, "others may read it (mode %04o); chmod 600 %s",
		       (unsigned)st->st_mode & 07777, path);
}

void redact_keep(void)
{
	static const struct rlimit none;

	(void)setrlimit(RLIMIT_CORE, &none);
	(void)prctl(PR_SET_DUMPABLE, 0);
}
