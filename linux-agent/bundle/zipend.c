/* SPDX-License-Identifier: MIT */
#include "zipend.h"

#include "bytes.h"

enum { END_BYTES = 22, AT_DISK_COUNT = 8, AT_COUNT = 10, AT_SIZE = 12, AT_OFFSET = 16,
       AT_COMMENT_LEN = 20 };
enum { LOCATOR_BYTES = 20, AT_END64 = 8 };
enum { END64_BYTES = 56, AT_DISK_COUNT64 = 24, AT_COUNT64 = 32, AT_SIZE64 = 40, AT_OFFSET64 = 48 };

#define LOCAL_MAGIC 0x04034b50u
#define END_MAGIC 0x06054b50u
#define END64_MAGIC 0x06064b50u
#define LOCATOR_MAGIC 0x07064b50u

/* The contents of an end record. */
struct claim {
	uint64_t count, disk_count, size, offset;
	uint64_t at;		/* where the directory must end */
};

static int lie(struct err *err)
{
	return err_set(err, EX_DATAERR, "the ZIP is damaged or truncated: its end names a "
		       "directory that cannot be true");
}

int zipend_start_check(struct bundle_source *source, struct err *err)
{
	uint8_t start[4] = { 0 };

	if (source->size == 0)
		return err_set(err, EX_DATAERR, "it is empty");
	if (source->size >= sizeof start && source->read(source, start, sizeof start, 0, err) < 0)
		return -1;
	return le32_get(start) == LOCAL_MAGIC ? 0 : err_set(err, EX_DATAERR, "it is not a ZIP file");
}

/* The end record must be the last 22 bytes: a comment could hide another one. */
static int end_read(struct bundle_source *source, uint8_t end[END_BYTES], struct err *err)
{
	if (source->size >= END_BYTES &&
	    source->read(source, end, END_BYTES, source->size - END_BYTES, err) < 0)
		return -1;
	if (source->size < END_BYTES || le32_get(end) != END_MAGIC)
		return zipend_start_check(source, err) < 0 ? -1 :
			err_set(err, EX_DATAERR, "it is truncated, or something follows it: the end "
				"of the ZIP is missing");
	if (le16_get(end + AT_COMMENT_LEN) != 0)
		return err_set(err, EX_DATAERR, "it is truncated: its end announces a comment of "
			       "%u bytes", le16_get(end + AT_COMMENT_LEN));
	return 0;
}

/* The ZIP64 record, if a locator precedes the end record: other tools use only that one. */
static int end64_take(struct bundle_source *source, struct claim *claim, struct err *err)
{
	uint8_t locator[LOCATOR_BYTES], end[END64_BYTES];
	uint64_t at;

	if (claim->at < sizeof locator + sizeof end)
		return 0;
	if (source->read(source, locator, sizeof locator, claim->at - sizeof locator, err) < 0)
		return -1;
	if (le32_get(locator) != LOCATOR_MAGIC)
		return 0;
	at = claim->at - sizeof locator - sizeof end;
	if (source->read(source, end, sizeof end, at, err) < 0)
		return -1;
	if (le64_get(locator + AT_END64) != at || le32_get(end) != END64_MAGIC)
		return lie(err);
	*claim = (struct claim){ .count = le64_get(end + AT_COUNT64),
				 .disk_count = le64_get(end + AT_DISK_COUNT64),
				 .size = le64_get(end + AT_SIZE64),
				 .offset = le64_get(end + AT_OFFSET64), .at = at };
	return 0;
}

static int claim_check(const struct claim *c, struct err *err)
{
	if (c->count > ZIPEND_ENTRIES_MAX)
		return err_set(err, EX_DATAERR, "the ZIP has %llu entries, more than any bundle",
			       (unsigned long long)c->count);
	if (c->size > ZIPEND_DIRECTORY_MAX)
		return err_set(err, EX_DATAERR, "the ZIP has a directory of %llu bytes, more than "
			       "any bundle", (unsigned long long)c->size);
	if (c->disk_count != c->count || c->size > c->at || c->offset != c->at - c->size)
		return lie(err);
	return 0;
}

/* What does not even begin as a ZIP is none, whatever its end says. */
static int start_says(struct bundle_source *source, struct err *err)
{
	struct err other = { 0 };

	if (zipend_start_check(source, &other) < 0 && other.exit == EX_DATAERR && err)
		*err = other;
	return -1;
}

int zipend_check(struct bundle_source *source, struct zipend *ret_end, struct err *err)
{
	uint8_t end[END_BYTES];
	struct claim claim;

	if (end_read(source, end, err) < 0)
		return -1;
	claim = (struct claim){ .count = le16_get(end + AT_COUNT),
				.disk_count = le16_get(end + AT_DISK_COUNT),
				.size = le32_get(end + AT_SIZE),
				.offset = le32_get(end + AT_OFFSET),
				.at = source->size - END_BYTES };
	if (end64_take(source, &claim, err) < 0 || claim_check(&claim, err) < 0)
		return start_says(source, err);
	*ret_end = (struct zipend){ .offset = claim.offset, .size = (size_t)claim.size,
				    .behind = (size_t)(source->size - claim.offset) - END_BYTES,
				    .count = (size_t)claim.count };
	return 0;
}
