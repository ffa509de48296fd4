/* SPDX-License-Identifier: MIT */
#include "http_answer.h"

#include "io.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

/* Copies printable characters up to the end of the line, nothing that a terminal would
 * interpret. */
static void text_copy(char *out, size_t room, const char *p, const char *end)
{
	size_t n = 0;

	for (; p < end && n + 1 < room; p++)
		if (*p >= 0x20 && *p < 0x7f)
			out[n++] = *p;
	out[n] = 0;
}

static void status_line(struct http_answer *a, const char *p, const char *end)
{
	*a = (struct http_answer){ 0 };
	while (p < end && *p != ' ')
		p++;
	while (p < end && *p == ' ')
		p++;
	while (p < end && isdigit((unsigned char)*p) && a->status < 1000)
		a->status = a->status * 10 + (*p++ - '0');
	while (p < end && *p == ' ')
		p++;
	text_copy(a->reason, sizeof a->reason, p, end);
}

/* Reads at most 19 digits, which cannot overflow; false if there is no number. */
static bool number_take(const char **p, uint64_t *ret_value)
{
	uint64_t value = 0;
	int digits = 0;

	for (; isdigit((unsigned char)**p) && digits < 19; digits++)
		value = value * 10 + (uint64_t)(*(*p)++ - '0');
	*ret_value = value;
	return digits > 0 && !isdigit((unsigned char)**p);
}

/* RFC 9110, 14.4: "bytes 0-99/1000", "bytes 0-99/" and a star, or "bytes", a star and "/1000". */
static void content_range(struct http_answer *a, const char *text)
{
	const char *p = text;
	uint64_t first = 0, last = 0, total = UINT64_MAX;
	bool unsatisfied;

	if (strncasecmp(p, "bytes ", 6) != 0)
		return;
	p += 6;
	unsatisfied = *p == '*';
	if (unsatisfied)
		p++;
	else if (!number_take(&p, &first) || *p++ != '-' || !number_take(&p, &last) ||
		 last < first)
		return;
	if (*p++ != '/')
		return;
	if (*p == '*' ? unsatisfied : !number_take(&p, &total))
		return;
	a->ranged = !unsatisfied;
	a->unsatisfied = unsatisfied;
	a->first = first;
	a->last = last;
	a->total = total;
}

static bool header_is(const char *line, const char *end, const char *name, const char **ret_value)
{
	size_t len = strlen(name);

	if ((size_t)(end - line) <= len || strncasecmp(line, name, len) != 0 || line[len] != ':')
		return false;
	for (line += len + 1; line < end && (*line == ' ' || *line == '\t');)
		line++;
	*ret_value = line;
	return true;
}

void http_answer_header(struct http_answer *answer, const char *line, size_t len)
{
	const char *end = line + len, *value;
	char range[80];

	if (len > 5 && memcmp(line, "HTTP/", 5) == 0)
		status_line(answer, line, end);
	else if (header_is(line, end, "ETag", &value))
		text_copy(answer->etag, sizeof answer->etag, value, end);
	else if (header_is(line, end, "Last-Modified", &value))
		text_copy(answer->modified, sizeof answer->modified, value, end);
	else if (header_is(line, end, "Content-Type", &value))
		text_copy(answer->type, sizeof answer->type, value, end);
	else if (header_is(line, end, "Content-Encoding", &value))
		text_copy(answer->encoding, sizeof answer->encoding, value, end);
	else if (header_is(line, end, "Content-Range", &value)) {
		text_copy(range, sizeof range, value, end);
		content_range(answer, range);
	}
}

static bool is_weak(const char *etag)
{
	return strncmp(etag, "W/", 2) == 0;
}

void object_learn(struct object *object, const struct http_answer *answer, uint64_t size)
{
	*object = (struct object){ .known = true, .size = size };
	if (!is_weak(answer->etag))
		memcpy(object->etag, answer->etag, sizeof object->etag);
	memcpy(object->modified, answer->modified, sizeof object->modified);
}

bool object_has_size(const struct object *object, uint64_t size, char *why, size_t why_room)
{
	if (object->size == UINT64_MAX || size == UINT64_MAX || object->size == size)
		return true;
	(void)snprintf(why, why_room, "it changed on the server while it was read: %llu "
		       "bytes, then %llu", (unsigned long long)object->size,
		       (unsigned long long)size);
	return false;
}

static bool has_other_validators(const struct object *object, const struct http_answer *answer,
				 char *why, size_t why_room)
{
	const struct { const char *what, *was, *is; } rows[] = {
		{ "ETag", object->etag, is_weak(answer->etag) ? "" : answer->etag },
		{ "Last-Modified", object->modified, answer->modified },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (!*rows[i].was || !*rows[i].is || strcmp(rows[i].was, rows[i].is) == 0)
			continue;
		(void)snprintf(why, why_room, "perhaps it changed on the server while it was read: "
			       "%s %s, then %s", rows[i].what, rows[i].was, rows[i].is);
		return true;
	}
	return false;
}

bool object_is_doubtful(const struct object *object, const struct http_answer *answer,
			char *why, size_t why_room)
{
	if (*answer->encoding && strcasecmp(answer->encoding, "identity") != 0)
		(void)snprintf(why, why_room, "the server sent it with Content-Encoding: %s",
			       answer->encoding);
	else if (strncasecmp(answer->type, "text/html", 9) == 0)
		(void)snprintf(why, why_room, "the server sent a page of HTML (Content-Type: %s)",
			       answer->type);
	else
		return object->known && has_other_validators(object, answer, why, why_room);
	return true;
}
