/* SPDX-License-Identifier: MIT */
#include "prefetch.h"

#include "io.h"

#include <stdlib.h>
#include <string.h>

static uint64_t bytes_of(const struct prefetch *p)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < p->count; i++)
		bytes += p->parts[i].len;
	return bytes;
}

static void part_drop(struct prefetch *p, struct prefetched *part)
{
	free(part->data);
	*part = p->parts[--p->count];
}

void prefetch_add(struct prefetch *p, const struct source_range *ranges, size_t count, uint64_t gap)
{
	struct prefetched *last = NULL;

	for (size_t i = 0; i < count; i++) {
		const struct source_range *r = &ranges[i];
		uint64_t end = r->offset + r->len, grown;

		if (prefetch_find(p, r->offset, (size_t)r->len))
			continue;
		grown = last && end > last->offset + last->len ? end - last->offset - last->len : 0;
		if (last && r->offset <= last->offset + last->len + gap) {
			if (bytes_of(p) + grown <= PREFETCH_BYTES)
				last->len += grown;
		} else if (p->count < PREFETCH_MAX && bytes_of(p) + r->len <= PREFETCH_BYTES) {
			last = &p->parts[p->count++];
			*last = (struct prefetched){ r->offset, r->len, NULL };
		}
	}
}

struct prefetched *prefetch_find(struct prefetch *p, uint64_t offset, size_t len)
{
	for (size_t i = 0; i < p->count; i++) {
		struct prefetched *part = &p->parts[i];

		if (offset >= part->offset && offset - part->offset <= part->len &&
		    len <= part->len - (offset - part->offset))
			return part;
	}
	return NULL;
}

static int part_load(struct prefetched *part, struct remote *remote, const char *url, struct err *err)
{
	_cleanup_free_ uint8_t *data = malloc(part->len);
	size_t got = 0;

	if (!data)
		return err_set(err, EX_SOFTWARE, "failed to read %s: out of memory", url);
	if (remote_read(remote, data, part->len, &got, err) < 0)
		return -1;
	if (got != part->len)
		return err_set(err, EX_DATAERR, "%s ends early", url);
	part->data = data;
	data = NULL;
	return 0;
}

/* Those behind it are asked for with it. */
static void part_name(const struct prefetch *p, size_t at, struct remote *remote)
{
	remote_range(remote, p->parts[at].offset, p->parts[at].len);
	for (size_t i = at + 1; i < p->count; i++)
		if (!p->parts[i].data)
			remote_ahead(remote, p->parts[i].offset, p->parts[i].len);
}

int prefetch_load(struct prefetch *p, struct remote *remote, const char *url, struct err *err)
{
	for (size_t i = 0; i < p->count; i++) {
		if (p->parts[i].data)
			continue;
		part_name(p, i, remote);
		if (part_load(&p->parts[i], remote, url, err) < 0)
			return -1;
	}
	return 0;
}

void prefetch_take(struct prefetch *p, struct prefetched *part, void *buf, size_t len, uint64_t offset)
{
	memcpy(buf, part->data + (offset - part->offset), len);
	if (offset + len == part->offset + part->len)
		part_drop(p, part);
}

void prefetch_clear(struct prefetch *p)
{
	while (p->count > 0)
		part_drop(p, &p->parts[0]);
}
