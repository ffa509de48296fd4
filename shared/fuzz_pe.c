/* SPDX-License-Identifier: MIT */
/* Any bytes as a UKI, from a file and as a loaded image: what a section says it
 * has must be readable, its command line must fill in, and the profile that a slot
 * gets must be there. */
#include "fuzz.h"

#include "cmdline.h"
#include "pe.h"
#include "profile.h"

#include <stdlib.h>
#include <string.h>

static enum sb_error data_read(void *ctx, uint64_t offset, uint8_t *buf, size_t len)
{
	memcpy(buf, (const uint8_t *)ctx + offset, len);	/* ASan watches the bounds */
	return SB_OK;
}

static void sections_read(const struct pe_image *image, const uint8_t *data, size_t size)
{
	for (unsigned i = 0; i < image->section_count; i++) {
		struct pe_section section;
		char *text;
		size_t len;

		if (pe_section_at(image, i, &section) != SB_OK)
			abort();
		if (section.size > 0 && section.offset + section.size > size)
			abort();
		text = malloc(section.size + 1);
		if (!text || section.size == 0) {
			free(text);
			continue;
		}
		fuzz_taken = true;
		if (cmdline_fill(data + section.offset, section.size, i & 1, text,
				 section.size + 1, &len) != SB_OK)
			abort();
		(void)cmdline_get(text, "slotboot.slot", &len);
		free(text);
	}
}

static void profiles_read(const struct pe_image *image)
{
	unsigned profiles[2];
	bool found[2];

	for (unsigned slot = 0; slot < 2; slot++) {
		struct pe_section section;

		found[slot] = profile_find(image, slot, &profiles[slot]) == SB_OK;
		if (found[slot] && pe_section_find_in(image, profiles[slot], ".profile", &section) !=
					   SB_OK)
			abort();
	}
	if (found[0] && found[1] && profiles[0] == profiles[1])
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	for (int mapped = 0; mapped < 2; mapped++) {
		struct pe_source source = { (void *)(uintptr_t)data, size, mapped, data_read };
		struct pe_image image;

		if (pe_open(&source, &image) != SB_OK)
			continue;
		sections_read(&image, data, size);
		profiles_read(&image);
	}
	return 0;
}
