/* SPDX-License-Identifier: MIT */
/*
 * Small parts of an object on a web server that will be read soon, each by itself: those that
 * lie near each other in one request, and all requests at once. They are fetched when the first
 * of them is read, and held until the last byte of each was read.
 */
#pragma once

#include "bundle_source.h"
#include "remote.h"

/* All together; and how many: of what is beyond, nothing is held. */
#define PREFETCH_BYTES ((uint64_t)4 << 20)
enum { PREFETCH_MAX = FETCH_AHEAD_MAX };

struct prefetch {
	struct prefetched {
		uint64_t offset, len;
		uint8_t *data;		/* NULL: not fetched yet */
	} parts[PREFETCH_MAX];
	size_t count;
};

/* These ranges, too; ascending. gap: what may lie between two that are fetched by one request. */
void prefetch_add(struct prefetch *p, const struct source_range *ranges, size_t count, uint64_t gap);

/* The part that has all of these bytes; NULL: none. */
struct prefetched *prefetch_find(struct prefetch *p, uint64_t offset, size_t len);

/* Fetches all that are not here yet. As remote_read(); EX_DATAERR: it ends early. */
int prefetch_load(struct prefetch *p, struct remote *remote, const char *url, struct err *err);

/* Out of a part that is here. */
void prefetch_take(struct prefetch *p, struct prefetched *part, void *buf, size_t len, uint64_t offset);

void prefetch_clear(struct prefetch *p);
