/* SPDX-License-Identifier: MIT */
/* Processor time of the loader's SHA-256 over 100 MB, in plain C and by the processor's instructions. */
#include "sha256.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { BYTES = 100 * 1000 * 1000, ROUNDS = 9 };

static double seconds(const uint8_t *data, sha256_blocks *blocks)
{
	uint8_t digest[SHA256_BYTES];
	struct timespec begin, end;
	struct sha256 s;

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &begin);
	sha256_init(&s);
	s.blocks = blocks;
	sha256_update(&s, data, BYTES);
	sha256_final(&s, digest);
	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &end);
	return (double)(end.tv_sec - begin.tv_sec) + 1e-9 * (double)(end.tv_nsec - begin.tv_nsec);
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

int main(void)
{
	double plain[ROUNDS], native[ROUNDS];
	uint8_t *data = malloc(BYTES);

	if (!data)
		return EXIT_FAILURE;
	memset(data, 7, BYTES);
	if (!sha256_blocks_native()) {
		(void)printf("digest: this processor has no SHA instructions\n");
		return EXIT_SUCCESS;
	}
	for (int i = 0; i < ROUNDS; i++) {
		plain[i] = seconds(data, sha256_blocks_plain);
		native[i] = seconds(data, sha256_blocks_native());
	}
	qsort(plain, ROUNDS, sizeof *plain, by_size);
	qsort(native, ROUNDS, sizeof *native, by_size);
	(void)printf("digest of 100 MB: plain C %.3f s, SHA instructions %.3f s: %.1f times faster (medians of %d)\n",
		     plain[ROUNDS / 2], native[ROUNDS / 2], plain[ROUNDS / 2] / native[ROUNDS / 2], ROUNDS);
	free(data);
	return EXIT_SUCCESS;
}
