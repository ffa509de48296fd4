/* SPDX-License-Identifier: MIT */
/*
 * version_compare(): UAPI.10, Version Format Specification, "Version
 * Comparison". The step numbers below are those of that section.
 */
#include "version_compare.h"

#include <stdbool.h>
#include <string.h>

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_alpha(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static const char *separators_skip(const char *s)
{
	while (*s && !is_digit(*s) && !is_alpha(*s) && !strchr("-.~^", *s))
		s++;
	return s;
}

/* The string that starts with the mark is the lower one; skipped in both. */
static int mark_compare(const char **a, const char **b, char mark)
{
	int r = (**b == mark) - (**a == mark);

	if (r == 0 && **a == mark) {
		(*a)++;
		(*b)++;
	}
	return r;
}

/* Numbers of any length: without leading zeros the longer one is the bigger. */
static int number_compare(const char **a, const char **b)
{
	size_t na = 0, nb = 0;
	int r;

	while (**a == '0')
		(*a)++;
	while (**b == '0')
		(*b)++;
	while (is_digit((*a)[na]))
		na++;
	while (is_digit((*b)[nb]))
		nb++;
	r = na != nb ? (na > nb) - (na < nb) : memcmp(*a, *b, na);
	*a += na;
	*b += nb;
	return r;
}

static int letters_compare(const char **a, const char **b)
{
	while (is_alpha(**a) && **a == **b) {
		(*a)++;
		(*b)++;
	}
	if (is_alpha(**a) && is_alpha(**b))
		return **a - **b;
	return is_alpha(**a) - is_alpha(**b);
}

int version_compare(const char *a, const char *b)
{
	for (;;) {
		int r;

		a = separators_skip(a);						/* 1 */
		b = separators_skip(b);
		r = mark_compare(&a, &b, '~');					/* 2 */
		if (r != 0)
			return r;
		if (!*a || !*b)							/* 3 */
			return (*a != 0) - (*b != 0);
		for (const char *mark = "-^."; *mark && r == 0; mark++)		/* 4, 5, 6 */
			r = mark_compare(&a, &b, *mark);
		if (r == 0 && (is_digit(*a) || is_digit(*b)))			/* 7 */
			r = number_compare(&a, &b);
		else if (r == 0)						/* 8 */
			r = letters_compare(&a, &b);
		if (r != 0)
			return r;
	}
}
