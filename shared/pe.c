/* SPDX-License-Identifier: MIT */
#include "pe.h"

#include "bytes.h"

enum {
	DOS_HEADER = 64,
	DOS_PE_OFFSET = 0x3c,
	COFF_HEADER = 24,	/* with the "PE\0\0" before it */
	OPTIONAL_HEADER = 64,	/* the part of it that is read */
	SECTION_HEADER = 40,
	MAGIC_PE32_PLUS = 0x20b,
};

/* Offsets and lengths from the file: both at most 2^33, so sums cannot wrap. */
static enum sb_error read_at(const struct pe_source *source, uint64_t offset, uint8_t *buf,
			     size_t len)
{
	if (offset > source->size || len > source->size - offset)
		return SB_RANGE;
	return source->read(source->ctx, offset, buf, len);
}

static void section_decode(const struct pe_source *source, const uint8_t h[SECTION_HEADER],
			   struct pe_section *section)
{
	uint32_t virtual_size = le32_get(h + 8), raw_size = le32_get(h + 16);

	for (int i = 0; i < 8; i++)
		section->name[i] = (char)h[i];
	section->name[8] = 0;
	section->size = virtual_size < raw_size ? virtual_size : raw_size;
	section->address = le32_get(h + 12);
	section->memory = virtual_size ? virtual_size : raw_size;
	section->offset = le32_get(h + (source->mapped ? 12 : 20));
}

enum sb_error pe_section_at(const struct pe_image *image, unsigned index,
			    struct pe_section *ret_section)
{
	uint8_t h[SECTION_HEADER];
	struct pe_section section;
	enum sb_error error;

	if (index >= image->section_count)
		return SB_RANGE;
	error = read_at(&image->source, image->section_table + index * (uint64_t)SECTION_HEADER,
			h, sizeof h);
	if (error != SB_OK)
		return error;
	section_decode(&image->source, h, &section);
	if (section.size > 0 && (section.offset > image->source.size ||
				 section.size > image->source.size - section.offset))
		return SB_RANGE;
	*ret_section = section;
	return SB_OK;
}

static enum sb_error headers_read(struct pe_image *image)
{
	uint8_t dos[DOS_HEADER], coff[COFF_HEADER + OPTIONAL_HEADER];
	const uint8_t *optional = coff + COFF_HEADER;
	enum sb_error error = read_at(&image->source, 0, dos, sizeof dos);
	uint64_t at;

	if (error != SB_OK)
		return error == SB_RANGE ? SB_MAGIC : error;
	if (dos[0] != 'M' || dos[1] != 'Z')
		return SB_MAGIC;
	at = le32_get(dos + DOS_PE_OFFSET);
	error = read_at(&image->source, at, coff, sizeof coff);
	if (error != SB_OK)
		return error;
	if (coff[0] != 'P' || coff[1] != 'E' || coff[2] || coff[3] ||
	    le16_get(optional) != MAGIC_PE32_PLUS)
		return SB_MAGIC;
	image->machine = le16_get(coff + 4);
	image->section_count = le16_get(coff + 6);
	image->alignment = le32_get(optional + 32);
	image->image_size = le32_get(optional + 56);
	image->headers_size = le32_get(optional + 60);
	image->section_table = at + COFF_HEADER + le16_get(coff + 20);
	if (image->section_count == 0)
		return SB_RANGE;
	return image->section_count > PE_MAX_SECTIONS ? SB_LONG : SB_OK;
}

enum sb_error pe_open(const struct pe_source *source, struct pe_image *ret_image)
{
	struct pe_image image = { .source = *source };
	enum sb_error error = headers_read(&image);

	for (unsigned i = 0; error == SB_OK && i < image.section_count; i++) {
		struct pe_section section;

		error = pe_section_at(&image, i, &section);
	}
	if (error == SB_OK)
		*ret_image = image;
	return error;
}

bool pe_section_named(const struct pe_section *section, const char *name)
{
	const char *own = section->name;

	while (*own && *own == *name)
		own++, name++;
	return *own == *name;
}

enum sb_error pe_section_find_in(const struct pe_image *image, unsigned profile,
				 const char *name, struct pe_section *ret_section)
{
	enum sb_error found = SB_NOT_FOUND;
	unsigned begun = 0;	/* profiles; 0: in the common sections */

	for (unsigned i = 0; i < image->section_count && begun <= profile + 1; i++) {
		struct pe_section section;
		enum sb_error error = pe_section_at(image, i, &section);

		if (error != SB_OK)
			return error;
		if (pe_section_named(&section, ".profile"))
			begun++;
		if (!pe_section_named(&section, name) ||
		    (begun != 0 && begun != profile + 1))
			continue;
		if (begun == 0 && found == SB_OK)
			continue;
		*ret_section = section;
		found = SB_OK;
		if (begun != 0)
			break;
	}
	return found;
}

enum sb_error pe_section_find(const struct pe_image *image, const char *name,
			      struct pe_section *ret_section)
{
	return pe_section_find_in(image, 0, name, ret_section);
}
