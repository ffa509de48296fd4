/* SPDX-License-Identifier: MIT */
/*
 * Reading a UKI: the sections of a PE32+ file (Microsoft PE format; UAPI.5,
 * Unified Kernel Image). The bytes come through a function, from a file, or
 * from an image the firmware has already loaded (mapped: sections then lie at
 * their VirtualAddress). Every offset from the file is checked before use; any
 * bytes are safe.
 */
#pragma once

#include "error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A UKI may hold several profiles: the sections before the first .profile belong
 * to all of them; profile N (from 0) owns those from the N-th .profile up to the
 * next, which go before common ones of the same name. Profile 0 always exists.
 */
#define PE_MAX_SECTIONS 96	/* the PE format's own limit for images */

enum pe_machine {
	PE_MACHINE_X86_64 = 0x8664,
	PE_MACHINE_AARCH64 = 0xaa64,
};

struct pe_source {
	void *ctx;
	uint64_t size;		/* bytes there are; reads past it are never asked for */
	bool mapped;
	/* Reads exactly len bytes at offset. SB_IO where it cannot. */
	enum sb_error (*read)(void *ctx, uint64_t offset, uint8_t *buf, size_t len);
};

struct pe_image {
	struct pe_source source;
	uint16_t machine;
	uint16_t section_count;		/* 1 to PE_MAX_SECTIONS */
	uint64_t section_table;		/* its offset */
	/* As the file says: SectionAlignment, SizeOfImage, SizeOfHeaders. */
	uint32_t alignment, image_size, headers_size;
};

struct pe_section {
	char name[9];		/* up to 8 bytes, terminated */
	uint64_t offset;	/* of its bytes in the source */
	uint64_t size;		/* min(VirtualSize, SizeOfRawData); of a file section
				 * whose VirtualSize is 0, 0 */
	uint32_t address, memory;	/* what a firmware makes of it: VirtualAddress, and
					 * VirtualSize (SizeOfRawData where that is 0) */
};

/* SB_MAGIC: not a PE32+ image; SB_LONG: more sections than PE_MAX_SECTIONS;
 * SB_RANGE: none, or headers or a section reach past the end; SB_IO. Every section
 * is checked here, so that what pe_section_*() returns can be read. The source must
 * outlive the image. */
enum sb_error pe_open(const struct pe_source *source, struct pe_image *ret_image);

/* index < image->section_count. */
enum sb_error pe_section_at(const struct pe_image *image, unsigned index,
			    struct pe_section *ret_section);

/* The first section of that name (with its dot) in a profile. SB_NOT_FOUND, also of
 * ".profile" where there is no such profile. */
enum sb_error pe_section_find_in(const struct pe_image *image, unsigned profile,
				 const char *name, struct pe_section *ret_section);

/* The same in profile 0, which a boot uses that names none. */
enum sb_error pe_section_find(const struct pe_image *image, const char *name,
			      struct pe_section *ret_section);

/* Whether a section has that name. */
bool pe_section_named(const struct pe_section *section, const char *name);
