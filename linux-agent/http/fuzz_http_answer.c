/* SPDX-License-Identifier: MIT */
/* http_answer_header() on each line of the input: texts must stay terminated and free of control
 * characters, and numbers in order. */
#include "fuzz.h"

#include "http_answer.h"

#include <stdlib.h>
#include <string.h>

static void check_text(const char *text, size_t room)
{
	size_t len = strnlen(text, room);

	if (len == room)
		abort();
	for (size_t i = 0; i < len; i++)
		if (text[i] < 0x20 || text[i] >= 0x7f)
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *line = (const char *)data, *end = line + size;
	struct http_answer a = { 0 };

	while (line < end) {
		const char *next = memchr(line, '\n', (size_t)(end - line));

		next = next ? next + 1 : end;
		http_answer_header(&a, line, (size_t)(next - line));
		line = next;
	}
	check_text(a.reason, sizeof a.reason);
	check_text(a.etag, sizeof a.etag);
	check_text(a.modified, sizeof a.modified);
	check_text(a.type, sizeof a.type);
	check_text(a.encoding, sizeof a.encoding);
	if (a.ranged && a.last < a.first)
		abort();
	fuzz_taken = a.ranged || a.unsatisfied;
	return 0;
}
