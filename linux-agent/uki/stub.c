/* SPDX-License-Identifier: MIT */
#include "stub.h"

#include "utf.h"
#include "io.h"

#include <errno.h>
#include <string.h>

/* The version that brought it. */
static const unsigned since[] = {
	[STUB_ALWAYS] = 0,
	[STUB_ADDONS] = 254,
	[STUB_TRIMS] = 254,
	[STUB_CONFEXT] = 256,
	[STUB_UCODE] = 256,
	[STUB_PROFILES] = 257,
	[STUB_OSREL] = 257,
	[STUB_ADDON_INITRDS] = 257,
	[STUB_GLOBAL_EXTENSIONS] = 258,
};

bool stub_does(unsigned version, enum stub_feature feature)
{
	return version >= since[feature];
}

int stub_version(const struct ukifile *uki, unsigned *ret_version, struct err *err)
{
	static const char before[] = "#### LoaderInfo: systemd-stub ";
	_cleanup_free_ uint8_t *magic = NULL;
	unsigned version = 0;
	size_t len;

	if (ukifile_section(uki, ".sdmagic", 1024, &magic, &len, err) < 0)
		return -1;
	if (strncmp((char *)magic, before, sizeof before - 1) != 0 ||
	    sscanf((char *)magic + sizeof before - 1, "%5u", &version) != 1)
		version = STUB_NEWEST;
	*ret_version = version;
	return 0;
}

/* Bytes of the character at text; 0 if it is none, or beyond U+FFFF. */
static size_t bmp_length(const char *text)
{
	uint32_t code = 0;
	size_t len = utf8_get(text, UTF8_TO_NUL, &code);

	return code > 0xffff ? 0 : len;
}

int stub_text(unsigned version, const char *text, char **ret_text, struct err *err)
{
	bool trims = stub_does(version, STUB_TRIMS);
	size_t out = 0;
	char *copy;

	for (size_t i = 0, n; text[i]; i += n) {
		n = bmp_length(text + i);
		if (n == 0)
			return err_set(err, EX_DATAERR, "byte %zu of the command line (0x%02x) "
				       "begins no UTF-8 character up to U+FFFF", i,
				       (uint8_t)text[i]);
	}
	copy = strdup(text);
	if (!copy)
		return err_errno(err, EX_SOFTWARE, errno, "failed to make the command line");
	for (const char *p = text; *p; p++) {
		uint8_t c = (uint8_t)*p;
		bool space = c <= 0x20 || (trims && c == 0x7f);

		if (!space || out > 0 || !trims)
			copy[out++] = space ? ' ' : (char)c;
	}
	while (out > 0 && copy[out - 1] == ' ')
		out--;
	copy[out] = 0;
	*ret_text = copy;
	return 0;
}

bool stub_profile_parse(const char *text, unsigned *ret_profile, const char **ret_rest)
{
	unsigned profile = 0;
	const char *p = text + 1;

	if (text[0] != '@' || *p < '0' || *p > '9')
		return false;
	for (; *p >= '0' && *p <= '9'; p++) {
		profile = profile * 10 + (unsigned)(*p - '0');
		if (profile > PE_MAX_SECTIONS)
			profile = PE_MAX_SECTIONS;
	}
	if (*p && *p != ' ')
		return false;
	*ret_profile = profile;
	*ret_rest = *p ? p + 1 : p;
	return true;
}
