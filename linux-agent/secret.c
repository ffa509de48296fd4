/* SPDX-License-Identifier: MIT */
#include "secret.h"

#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

/* The authority ends at one of these (RFC 3986, 3.2), or with the word. */
#define END "/?#\\ \t\"'"

void secret_mask_urls(char *text, unsigned long cap)
{
	char *at = text;

	while ((at = strstr(at, "://"))) {
		size_t len = strcspn(at += 3, END), user = 0, dots;

		for (size_t i = 0; i < len; i++)
			if (at[i] == '@')
				user = i;
		if (!at[len] && strlen(text) + 1 >= cap && !user)
			user = len;
		dots = user < 3 ? user : 3;
		memset(at, '.', dots);
		memmove(at + dots, at + user, strlen(at + user) + 1);
	}
}

void secret_wipe(char *text)
{
	explicit_bzero(text, strlen(text));
}

void secret_keep(void)
{
	static const struct rlimit none;

	(void)setrlimit(RLIMIT_CORE, &none);
	(void)prctl(PR_SET_DUMPABLE, 0);
}
