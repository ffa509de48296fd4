/* SPDX-License-Identifier: MIT */
#include "spool.h"

#include "fetch.h"
#include "spool_file.h"

#include <stdlib.h>
#include <string.h>

struct extent {
	uint64_t offset, end;
};

struct spool {
	struct bundle_source source;
	struct bundle_source *inner;
	struct spool_file file;
	bool keeps;
	struct extent *kept;	/* in order, with gaps between them */
	size_t count, room;
	struct extent run;	/* announced and not yet asked for; empty: none */
	struct extent ahead[FETCH_AHEAD_MAX];	/* and what comes after it */
	size_t ahead_count;
};

/* The first extent that ends at or behind offset. */
static size_t extent_at(const struct spool *s, uint64_t offset)
{
	size_t low = 0, high = s->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (s->kept[middle].end < offset)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool is_kept(const struct spool *s, uint64_t offset, uint64_t len)
{
	size_t i = extent_at(s, offset);

	return i < s->count && s->kept[i].offset <= offset && offset <= s->kept[i].end &&
	       len <= s->kept[i].end - offset;
}

static int extent_insert(struct spool *s, size_t at, struct extent extent)
{
	if (s->count == s->room) {
		size_t room = s->room ? 2 * s->room : 64;
		struct extent *more = realloc(s->kept, room * sizeof *more);

		if (!more)
			return -1;
		s->kept = more;
		s->room = room;
	}
	memmove(s->kept + at + 1, s->kept + at, (s->count - at) * sizeof *s->kept);
	s->kept[at] = extent;
	s->count++;
	return 0;
}

/* With those that it touches made one. */
static int extent_add(struct spool *s, uint64_t offset, uint64_t end)
{
	size_t first = extent_at(s, offset), next = first;

	while (next < s->count && s->kept[next].offset <= end) {
		offset = offset < s->kept[next].offset ? offset : s->kept[next].offset;
		end = end > s->kept[next].end ? end : s->kept[next].end;
		next++;
	}
	if (next == first)
		return extent_insert(s, first, (struct extent){ offset, end });
	s->kept[first] = (struct extent){ offset, end };
	memmove(s->kept + first + 1, s->kept + next, (s->count - next) * sizeof *s->kept);
	s->count -= next - first - 1;
	return 0;
}

static int keep(struct spool *s, const void *buf, size_t len, uint64_t offset, struct err *err)
{
	if (spool_file_write(&s->file, buf, len, offset, err) < 0)
		return -1;
	if (extent_add(s, offset, offset + len) < 0)
		return err_set(err, EX_SOFTWARE, "failed to spool the bundle: out of memory");
	return 0;
}

/* Announce a run to the source only if part of it is missing here. */
static void run_begin(struct spool *s, uint64_t offset)
{
	if (offset >= s->run.offset && offset < s->run.end) {
		s->inner->run(s->inner, offset, s->run.end - offset);
		for (size_t i = 0; i < s->ahead_count; i++)
			s->inner->ahead(s->inner, s->ahead[i].offset,
					s->ahead[i].end - s->ahead[i].offset);
	}
	s->run = (struct extent){ 0 };
	s->ahead_count = 0;
}

static int spool_read(struct bundle_source *source, void *buf, size_t len, uint64_t offset,
		      struct err *err)
{
	struct spool *s = (struct spool *)source;

	if (is_kept(s, offset, len))
		return spool_file_read(&s->file, buf, len, offset, err);
	run_begin(s, offset);
	if (s->inner->read(s->inner, buf, len, offset, err) < 0)
		return -1;
	return s->keeps ? keep(s, buf, len, offset, err) : 0;
}

static void spool_run(struct bundle_source *source, uint64_t offset, uint64_t len)
{
	struct spool *s = (struct spool *)source;

	s->run = (struct extent){ offset, offset + len };
	s->ahead_count = 0;
}

static void spool_ahead(struct bundle_source *source, uint64_t offset, uint64_t len)
{
	struct spool *s = (struct spool *)source;

	if (s->ahead_count < FETCH_AHEAD_MAX)
		s->ahead[s->ahead_count++] = (struct extent){ offset, offset + len };
}

static void spool_need(struct bundle_source *source, const struct source_range *ranges, size_t count)
{
	struct spool *s = (struct spool *)source;

	if (s->inner->need)
		s->inner->need(s->inner, ranges, count);
}

static void spool_link(const struct bundle_source *source, struct http_link_figures *ret_figures)
{
	const struct spool *s = (const struct spool *)source;

	s->inner->link(s->inner, ret_figures);
}

static uint64_t spool_fetched(const struct bundle_source *source, unsigned *ret_requests)
{
	const struct spool *s = (const struct spool *)source;

	return s->inner->fetched(s->inner, ret_requests);
}

/* It is unknown which byte was wrong, so fetch all of them again. */
static void spool_anew(struct bundle_source *source)
{
	struct spool *s = (struct spool *)source;

	s->count = 0;
	s->run = (struct extent){ 0 };
	s->ahead_count = 0;
	s->inner->anew(s->inner);
}

static const char *spool_doubt(const struct bundle_source *source)
{
	const struct spool *s = (const struct spool *)source;

	return s->inner->doubt(s->inner);
}

static void spool_free(struct spool *s)
{
	spool_file_close(&s->file);
	free(s->kept);
	free(s);
}

static void spool_close(struct bundle_source *source)
{
	struct spool *s = (struct spool *)source;

	bundle_source_close(s->inner);
	spool_free(s);
}

void spool_keep(struct bundle_source *source)
{
	((struct spool *)source)->keeps = true;
}

int spool_room(const struct bundle_source *source, uint64_t bytes, struct err *err)
{
	return spool_file_room(&((const struct spool *)source)->file, bytes, err);
}

int spool_open(const char *directory, struct bundle_source *source, struct bundle_source **ret_source,
	       struct err *err)
{
	struct spool *s = calloc(1, sizeof *s);

	if (!s)
		return err_set(err, EX_SOFTWARE, "failed to spool the bundle: out of memory");
	s->source = (struct bundle_source){
		.size = source->size,
		.remote = true,
		.read = spool_read,
		.run = spool_run,
		.ahead = spool_ahead,
		.need = spool_need,
		.link = spool_link,
		.fetched = spool_fetched,
		.anew = spool_anew,
		.doubt = spool_doubt,
		.close = spool_close,
	};
	s->inner = source;
	s->file = (struct spool_file){ .directory = directory,
				       .otherwise = "verify as it is written: --verify-first=no" };
	if (spool_file_open(&s->file, err) < 0) {
		spool_free(s);
		return -1;
	}
	*ret_source = &s->source;
	return 0;
}
