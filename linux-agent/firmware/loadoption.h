/* SPDX-License-Identifier: MIT */
/*
 * EFI_LOAD_OPTION, the content of a Boot#### variable (UEFI 2.10 section 3.1.3):
 *
 *     offset  bytes
 *     0       4      attributes; bit 0 is LOAD_OPTION_ACTIVE
 *     4       2      n, the length of the file path list
 *     6       2 * k  description: UTF-16LE, with its NUL
 *     6+2k    n      device paths (section 10.3); the first is what is booted
 *     6+2k+n  rest   optional data, passed to the program as LoadOptions
 *
 * Anybody writes these, so parsing trusts nothing and changes nothing; what does
 * not parse belongs to somebody else.
 */
#pragma once

#include "err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LOADOPTION_ACTIVE 0x1u
#define LOADOPTION_CATEGORY 0x1f00u	/* 0: to be booted without being asked for */

struct esp_info;

/* Points into the parsed bytes. */
struct load_option {
	uint32_t attributes;
	const uint8_t *description;	/* UTF-16LE, not aligned, without the NUL */
	size_t description_len;		/* bytes, even */
	const uint8_t *path;
	size_t path_len;
	const uint8_t *options;		/* optional data */
	size_t options_len;
};

/* False: the bytes are no load option. The nodes of the path are not looked at. */
bool loadoption_parse(const uint8_t *data, size_t len, struct load_option *ret_option);

/* Whether the description is this ASCII text. */
bool loadoption_description_is(const struct load_option *option, const char *text);

/* Whether the bytes are an entry for that file on that partition: a device path,
 * full or short-form (section 3.1.2), with a GPT hard drive node of this unique
 * partition GUID followed by file path nodes and the end. path is ASCII with
 * backslashes, "\\EFI\\slotboot\\a\\uki.efi"; case is ignored, as FAT does. The
 * description plays no part. False for whatever does not parse. */
bool loadoption_is_ours(const uint8_t *data, size_t len, const uint8_t guid[16],
			const char *path);

/* Whether the path, up to its end, names devices only: no partition, no file and no
 * network. False for whatever does not parse. */
bool loadoption_leads_nowhere(const uint8_t *data, size_t len);

/* Whether the path goes through another partition than that of this GUID. */
bool loadoption_is_elsewhere(const uint8_t *data, size_t len, const uint8_t guid[16]);

/* Builds HD(part,GPT,guid,start,size)/File(path); description and path ASCII;
 * options may be NULL if options_len is 0. The caller frees. EX_SOFTWARE. */
int loadoption_build(const struct esp_info *esp, uint32_t attributes,
		     const char *description, const char *path, const uint8_t *options,
		     size_t options_len, uint8_t **ret_data, size_t *ret_len,
		     struct err *err);
