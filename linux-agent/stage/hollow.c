/* SPDX-License-Identifier: MIT */
#include "hollow.h"

#include "io.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

enum { HEAD = 64 * 1024 };

/* The file's first bytes, taken once: what is found in them is what goes into rest. */
struct head {
	uint8_t *bytes;
	size_t len;
};

static enum sb_error head_read(void *ctx, uint64_t offset, uint8_t *buf, size_t len)
{
	const struct head *head = ctx;

	if (offset > head->len || len > head->len - offset)
		return SB_IO;
	memcpy(buf, head->bytes + offset, len);
	return SB_OK;
}

static bool is_large(const struct pe_section *section)
{
	return pe_section_named(section, ".linux") || pe_section_named(section, ".initrd") ||
	       pe_section_named(section, ".ucode");
}

static bool is_alone(const struct pe_section *sections, unsigned count, unsigned index,
		     uint64_t headers_end)
{
	const struct pe_section *own = &sections[index];

	for (unsigned i = 0; i < count; i++)
		if (i != index && sections[i].size > 0 &&
		    own->offset < sections[i].offset + sections[i].size &&
		    sections[i].offset < own->offset + own->size)
			return false;
	return own->offset >= headers_end;
}

static int by_offset(const void *a, const void *b)
{
	const struct hollow_part *x = a, *y = b;

	return (x->offset > y->offset) - (x->offset < y->offset);
}

/* Headers that do not parse, or are not within the head, leave everything in rest; who
 * reads that says what is wrong. */
static void parts_find(struct hollow *h, struct head *head, uint64_t size, size_t *ret_end)
{
	struct pe_source source = { .ctx = head, .size = size, .read = head_read };
	struct pe_section sections[PE_MAX_SECTIONS];
	struct pe_image image;
	uint64_t end;

	if (pe_open(&source, &image) != SB_OK)
		return;
	for (unsigned i = 0; i < image.section_count; i++)
		(void)pe_section_at(&image, i, &sections[i]);	/* pe_open() read it */
	end = image.section_table + 40u * (uint64_t)image.section_count;
	for (unsigned i = 0; i < image.section_count; i++)
		if (sections[i].size > 0 && is_large(&sections[i]) &&
		    is_alone(sections, image.section_count, i, end))
			h->parts[h->count++] = (struct hollow_part){
				.offset = sections[i].offset, .size = sections[i].size };
	qsort(h->parts, h->count, sizeof *h->parts, by_offset);
	*ret_end = (size_t)end;
}

/* The headers from the head, and then all but the parts. */
static int rest_make(struct hollow *h, const struct head *head, size_t end, uint64_t size)
{
	struct memfile *rest = &h->rest;

	if (memfile_write(rest, head->bytes, end) < 0)
		return -1;
	for (unsigned i = 0; i < h->count; i++)
		if (memfile_copy(rest, h->from, rest->size,
				 h->parts[i].offset - rest->size) < 0 ||
		    memfile_skip(rest, h->parts[i].size) < 0)
			return -1;
	if (memfile_copy(rest, h->from, rest->size, size - rest->size) < 0)
		return -1;
	return memfile_seal(rest);
}

static int take(struct hollow *h, uint64_t size, bool whole, struct err *err)
{
	struct head head = { .len = size < HEAD ? (size_t)size : HEAD };
	_cleanup_free_ uint8_t *bytes = malloc(HEAD);
	size_t end = 0;

	if (!bytes || memfile_open("uki", &h->rest) < 0)
		return err_errno(err, EX_UNAVAILABLE, errno, "failed to make room in memory for %s",
				 h->name);
	head.bytes = bytes;
	if (pread_full(h->from, bytes, head.len, 0) < 0)
		return err_errno(err, EX_IOERR, errno, "failed to read %s", h->name);
	if (!whole)
		parts_find(h, &head, size, &end);
	if (rest_make(h, &head, end, size) < 0)
		return err_errno(err, EX_IOERR, errno, "failed to read %s", h->name);
	return 0;
}

int hollow_open(const char *path, bool whole, struct hollow *ret_hollow, struct err *err)
{
	struct hollow h = { .from = open(path, O_RDONLY | O_CLOEXEC), .rest = MEMFILE_NONE };
	struct stat st;
	int r = -1;

	h.name = strdup(path);
	if (!h.name || h.from < 0 || fstat(h.from, &st) < 0)
		(void)err_errno(err, errno == ENOENT ? EX_NOINPUT : EX_IOERR, errno,
				"failed to open %s", path);
	else if (!S_ISREG(st.st_mode))
		(void)err_set(err, EX_DATAERR, "%s is not a file", path);
	else
		r = take(&h, (uint64_t)st.st_size, whole, err);
	if (r < 0)
		hollow_close(&h);
	else
		*ret_hollow = h;
	return r;
}

void hollow_close(struct hollow *hollow)
{
	cleanup_closep(&hollow->from);
	hollow->from = -1;
	memfile_close(&hollow->rest);
	free(hollow->name);
	hollow->name = NULL;
}

int hollow_place(struct hollow *hollow, uint64_t offset, uint64_t size, struct memfile *file)
{
	for (unsigned i = 0; i < hollow->count; i++) {
		struct hollow_part *part = &hollow->parts[i];

		if (part->offset != offset || part->size != size)
			continue;
		if (part->file) {
			errno = EEXIST;
			return -1;
		}
		part->at = file->size;
		if (memfile_skip(file, size) < 0)
			return -1;
		part->file = file;
		return 1;
	}
	return 0;
}

void hollow_unplace(struct hollow *hollow)
{
	for (unsigned i = 0; i < hollow->count; i++)
		hollow->parts[i].file = NULL;
}
