/* SPDX-License-Identifier: MIT */
#include "addon_fit.h"

#include "io.h"

#include <string.h>


static bool has_section(const struct ukifile *addon, const char *name)
{
	struct pe_section section;

	return pe_section_find(&addon->image, name, &section) == SB_OK && section.size > 0;
}

/* Compare as many components as the addon's text has: "6.1.0" fits 6.1.0-1-amd64, too. */
static bool uname_fits(const char *uname, const uint8_t *wanted, size_t len)
{
	return !*uname || len == 0 || strncmp(uname, (const char *)wanted, len) == 0;
}

const char *addon_unfit(const struct ukifile *addon, const char *uname)
{
	static const char *const contents[] = { ".cmdline", ".dtb", ".dtbauto", ".initrd",
						".ucode" };
	_cleanup_free_ uint8_t *wanted = NULL;
	bool has_content = false;
	size_t len;

	if (!ukifile_is_native(addon))
		return "for another architecture";
	for (size_t i = 0; i < ARRAY_SIZE(contents); i++)
		has_content |= has_section(addon, contents[i]);
	if (!has_content)
		return "no .cmdline, .dtb, .initrd or .ucode in it";
	if (has_section(addon, ".linux"))
		return "a UKI, not an addon";
	if (ukifile_section(addon, ".uname", ADDON_UNAME_MAX, &wanted, &len, NULL) < 0 ||
	    !uname_fits(uname, wanted, len))
		return "for another kernel (.uname)";
	return NULL;
}
