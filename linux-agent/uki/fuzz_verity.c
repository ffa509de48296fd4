/* SPDX-License-Identifier: MIT */
/* Any bytes as an image with a dm-verity tree, in two cuts: nothing is read past, and
 * both find the same. The first byte says where the cut is. */
#include "fuzz.h"

#include "verity.h"

#include <stdlib.h>

static const char root[] = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct verity_scan whole, cut;
	struct err err = { 0 };
	size_t first;

	if (len < 2)
		return 0;
	first = data[0] * (len - 1) / 256;
	data++, len--;
	if (verity_scan_begin(&whole, root, &err) < 0 || verity_scan_begin(&cut, root, &err) < 0 ||
	    verity_scan_feed(&whole, data, len, &err) < 0 ||
	    verity_scan_feed(&cut, data, first, &err) < 0 ||
	    verity_scan_feed(&cut, data + first, len - first, &err) < 0)
		abort();
	if (whole.found_len != cut.found_len || whole.super_at != cut.super_at)
		abort();
	fuzz_taken = whole.found_len > 0;
	(void)verity_scan_finish(&whole, "image", &err);
	verity_scan_clear(&whole);
	verity_scan_clear(&cut);
	return 0;
}
