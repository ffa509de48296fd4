/* SPDX-License-Identifier: MIT */
#include "uki_layout.h"

#include "io.h"

#include <stdio.h>
#include <string.h>

enum {
	PAGE = 4096,
	SECTOR = 512,
	SECTIONS_SAFE = 25,	/* an AMI firmware of UEFI 2.5 takes no more */
	GAP_SAFE = PAGE,	/* the stub of Debian 12 has one before its .sbat */
};

static uint64_t end_of(const struct pe_section *s)
{
	return (uint64_t)s->address + s->memory;
}

/* Nothing reads these sections from where they are loaded. */
static bool is_read_from_file_only(const struct pe_section *s)
{
	return pe_section_named(s, ".sbat") || pe_section_named(s, ".sdmagic");
}

static int check_apart(const struct ukifile *uki, const struct pe_section *a,
		       const struct pe_section *b, struct err *err)
{
	if (a->memory == 0 || b->memory == 0 || end_of(a) <= b->address ||
	    end_of(b) <= a->address ||
	    (is_read_from_file_only(a) && is_read_from_file_only(b)))
		return 0;
	return err_set(err, EX_DATAERR, "%s cannot be loaded: its sections %s (0x%x to 0x%llx) and "
		       "%s (0x%x to 0x%llx) overlap in memory; build it with ukify, or with "
		       "addresses that leave room for the sections before them", uki->name,
		       a->name, a->address, (unsigned long long)end_of(a), b->name, b->address,
		       (unsigned long long)end_of(b));
}

static int check_place(const struct ukifile *uki, const struct pe_section *s, struct err *err)
{
	const struct pe_image *image = &uki->image;

	if (s->memory == 0)
		return 0;
	if (s->address < image->headers_size)
		return err_set(err, EX_DATAERR, "%s cannot be loaded: its section %s is at 0x%x in "
			       "memory, within the headers, which end at 0x%x", uki->name, s->name,
			       s->address, image->headers_size);
	if (end_of(s) > image->image_size)
		return err_set(err, EX_DATAERR, "%s cannot be loaded: its section %s ends at 0x%llx "
			       "in memory, beyond SizeOfImage (0x%x)", uki->name, s->name,
			       (unsigned long long)end_of(s), image->image_size);
	if (image->alignment > 0 && image->alignment % PAGE == 0 &&
	    s->address % image->alignment != 0)
		return err_set(err, EX_DATAERR, "%s cannot be loaded: its section %s is at 0x%x in "
			       "memory, no multiple of SectionAlignment (0x%x)", uki->name,
			       s->name, s->address, image->alignment);
	return 0;
}

static int check_cmdline(const struct ukifile *uki, const struct pe_section *s, struct err *err)
{
	char text[PAGE];
	size_t len = (size_t)s->size, i = 0;

	if (!pe_section_named(s, ".cmdline") || len == 0 || len > sizeof text)
		return 0;
	if (pread_full(uki->fd, text, len, (off_t)s->offset) < 0)
		return err_set(err, EX_IOERR, "failed to read %s", uki->name);
	while (i < len && (text[i] == 0 || strchr(" \t\r\n", text[i])))
		i++;
	if (i < len)
		return 0;
	return err_set(err, EX_DATAERR, "%s has a .cmdline section with nothing in it, at which "
		       "systemd-stub may hang: leave the section out", uki->name);
}

int uki_layout_check(const struct ukifile *uki, struct err *err)
{
	struct pe_section sections[PE_MAX_SECTIONS];

	for (unsigned i = 0; i < uki->image.section_count; i++) {
		if (pe_section_at(&uki->image, i, &sections[i]) != SB_OK)
			return err_set(err, EX_IOERR, "failed to read %s", uki->name);
		if (check_place(uki, &sections[i], err) < 0 ||
		    check_cmdline(uki, &sections[i], err) < 0)
			return -1;
		for (unsigned k = 0; k < i; k++)
			if (check_apart(uki, &sections[k], &sections[i], err) < 0)
				return -1;
	}
	return 0;
}

static bool doubt_many(const struct ukifile *uki, char *text, size_t size)
{
	unsigned count = uki->image.section_count;

	(void)snprintf(text, size, "%s has %u sections, and there is firmware that takes no more than %d",
		       uki->name, count, SECTIONS_SAFE);
	return count > SECTIONS_SAFE;
}

static bool doubt_place(const struct ukifile *uki, char *text, size_t size)
{
	struct pe_section s;

	for (unsigned i = 0; i < uki->image.section_count; i++)
		if (pe_section_at(&uki->image, i, &s) == SB_OK && s.size > 0 && s.offset % SECTOR != 0) {
			(void)snprintf(text, size, "the section %s of %s is at 0x%llx in the file, no "
				       "multiple of %d, and there is firmware that refuses it under Secure "
				       "Boot", s.name, uki->name, (unsigned long long)s.offset, SECTOR);
			return true;
		}
	return false;
}

/* Microsoft's PE format wants sections in the order of their addresses, and adjacent. */
static bool doubt_gap(const struct ukifile *uki, char *text, size_t size)
{
	uint32_t alignment = uki->image.alignment < PAGE ? PAGE : uki->image.alignment;
	struct pe_section s, before = { .memory = 0 };

	for (unsigned i = 0; i < uki->image.section_count; i++) {
		uint64_t wanted = (end_of(&before) + alignment - 1) / alignment * alignment;

		if (pe_section_at(&uki->image, i, &s) != SB_OK || s.memory == 0)
			continue;
		if (before.memory > 0 && s.address > wanted + GAP_SAFE) {
			(void)snprintf(text, size, "there is a gap of 0x%llx bytes in memory between the "
				       "sections %s and %s of %s, and there is firmware that takes none",
				       (unsigned long long)(s.address - wanted), before.name, s.name,
				       uki->name);
			return true;
		}
		if (s.address < before.address) {
			(void)snprintf(text, size, "the section %s of %s is before %s in memory and behind it "
				       "in the table, and there is firmware that wants them in order",
				       s.name, uki->name, before.name);
			return true;
		}
		before = s;
	}
	return false;
}

static bool doubt_cmdline(const struct ukifile *uki, char *text, size_t size)
{
	struct pe_section s;
	char line[PAGE];

	for (unsigned i = 0; i < uki->image.section_count; i++) {
		if (pe_section_at(&uki->image, i, &s) != SB_OK || !pe_section_named(&s, ".cmdline") ||
		    s.size > sizeof line || pread_full(uki->fd, line, (size_t)s.size, (off_t)s.offset) < 0 ||
		    !memchr(line, '\n', strnlen(line, (size_t)s.size)))
			continue;
		(void)snprintf(text, size, "the .cmdline section of %s has a line break, which some stubs "
			       "hand to the kernel as it is", uki->name);
		return true;
	}
	return false;
}

bool uki_layout_doubt(const struct ukifile *uki, unsigned kind, char *text, size_t size)
{
	static bool (*const doubts[UKI_LAYOUT_DOUBTS])(const struct ukifile *, char *, size_t) = {
		doubt_many, doubt_place, doubt_gap, doubt_cmdline,
	};

	return doubts[kind](uki, text, size);
}
