/* SPDX-License-Identifier: MIT */
#include "profile.h"

#include "bytes.h"

struct span {
	const uint8_t *at;
	size_t len;
};

static bool is_space(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static struct span trimmed(struct span s)
{
	while (s.len > 0 && is_space(s.at[0]))
		s.at++, s.len--;
	while (s.len > 0 && is_space(s.at[s.len - 1]))
		s.len--;
	return s;
}

static struct span unquoted(struct span s)
{
	uint8_t quote = s.len >= 2 ? s.at[0] : 0;

	if ((quote == '"' || quote == '\'') && s.at[s.len - 1] == quote)
		return (struct span){ s.at + 1, s.len - 2 };
	return s;
}

/* Up to the end of the line; the rest of the text behind it stays. */
static struct span line_take(struct span *text)
{
	struct span line = { text->at, 0 };

	while (line.len < text->len && text->at[line.len] != '\n')
		line.len++;
	text->at += line.len;
	text->len -= line.len;
	if (text->len > 0)
		text->at++, text->len--;
	return line;
}

static int slot_of_id(struct span id)
{
	static const char begin[] = "slot-";
	const size_t len = sizeof begin - 1;

	if (id.len != len + 1 || !bytes_equal(id.at, (const uint8_t *)begin, len))
		return -1;
	return id.at[len] == 'a' ? 0 : id.at[len] == 'b' ? 1 : -1;
}

int profile_slot(const uint8_t *text, size_t len)
{
	struct span rest = { text, 0 };
	int slot = -1;

	while (rest.len < len && text[rest.len])
		rest.len++;
	while (rest.len > 0) {
		struct span line = trimmed(line_take(&rest));

		if (line.len >= 3 && bytes_equal(line.at, (const uint8_t *)"ID=", 3))
			slot = slot_of_id(unquoted((struct span){ line.at + 3, line.len - 3 }));
	}
	return slot;
}

static enum sb_error section_slot(const struct pe_image *image, const struct pe_section *section,
				  int *ret_slot)
{
	uint8_t text[PROFILE_TEXT_MAX];
	enum sb_error error = SB_OK;

	if (section->size > sizeof text)
		return SB_LONG;
	if (section->size > 0)
		error = image->source.read(image->source.ctx, section->offset, text,
					   (size_t)section->size);
	if (error == SB_OK)
		*ret_slot = profile_slot(text, (size_t)section->size);
	return error;
}

enum sb_error profile_find(const struct pe_image *image, unsigned slot, unsigned *ret_profile)
{
	unsigned begun = 0, found = 0, own = 0, others = 0;

	for (unsigned i = 0; i < image->section_count; i++) {
		struct pe_section section;
		enum sb_error error = pe_section_at(image, i, &section);
		int is = -1;

		if (error == SB_OK && pe_section_named(&section, ".profile")) {
			error = section_slot(image, &section, &is);
			begun++;
		}
		if (error != SB_OK)
			return error;
		if (is == (int)slot) {
			found = begun - 1;
			own++;
		} else if (is >= 0) {
			others++;
		}
	}
	if (own + others == 0)
		return SB_NOT_FOUND;
	if (own != 1)
		return SB_RANGE;
	*ret_profile = found;
	return SB_OK;
}

size_t profile_options(unsigned profile, char ret_text[PROFILE_OPTIONS_MAX])
{
	size_t len = 0;

	ret_text[len++] = '@';
	if (profile >= 10)
		ret_text[len++] = (char)('0' + profile / 10 % 10);
	ret_text[len++] = (char)('0' + profile % 10);
	ret_text[len] = 0;
	return len;
}
