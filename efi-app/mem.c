/* SPDX-License-Identifier: MIT */
/*
 * The four functions that gcc may call even from freestanding code, for struct
 * copies and initialisers. Built with -fno-tree-loop-distribute-patterns, or
 * gcc would turn each loop into a call of itself.
 */
#include <stddef.h>

void *memcpy(void *restrict to, const void *restrict from, size_t len);
void *memmove(void *to, const void *from, size_t len);
void *memset(void *to, int value, size_t len);
int memcmp(const void *a, const void *b, size_t len);

void *memcpy(void *restrict to, const void *restrict from, size_t len)
{
	const unsigned char *f = from;
	unsigned char *t = to;

	while (len-- > 0)
		*t++ = *f++;
	return to;
}

void *memmove(void *to, const void *from, size_t len)
{
	const unsigned char *f = from;
	unsigned char *t = to;

	if (t < f)
		return memcpy(to, from, len);	/* ours goes upwards */
	while (len-- > 0)
		t[len] = f[len];
	return to;
}

void *memset(void *to, int value, size_t len)
{
	unsigned char *t = to;

	while (len-- > 0)
		*t++ = (unsigned char)value;
	return to;
}

int memcmp(const void *a, const void *b, size_t len)
{
	const unsigned char *x = a, *y = b;

	for (; len > 0; len--, x++, y++)
		if (*x != *y)
			return *x - *y;
	return 0;
}
