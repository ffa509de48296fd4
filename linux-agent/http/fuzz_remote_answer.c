/* SPDX-License-Identifier: MIT */
/* libFuzzer: any bytes as an answer of the fetching process to its parent. */
#include "fuzz.h"

#include "remote_proto.h"

#include <stdlib.h>
#include <string.h>

enum { WANT = 4096 };

/* What the parent relies on afterwards. */
static bool is_sound(const struct remote_answer *a)
{
	if (!memchr(a->text, 0, sizeof a->text) || !memchr(a->doubt, 0, sizeof a->doubt))
		return false;
	if (a->link.parallel < 1 || a->link.parallel > FETCH_AHEAD_MAX ||
	    http_link_gap(&a->link) > UINT64_MAX / 4)
		return false;
	if (a->word == REMOTE_FAILED)
		return a->exit >= EX__BASE && a->exit <= EX__MAX && *a->text;
	return a->word != REMOTE_DONE ||
	       (a->got <= WANT && (!a->has_ranges || a->got <= a->size));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct remote_answer answer;

	if (size != sizeof answer)
		return 0;
	memcpy(&answer, data, sizeof answer);
	if (!remote_answer_check(&answer, WANT))
		return 0;
	if (!is_sound(&answer))
		abort();
	fuzz_taken = true;
	return 0;
}
