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
};

struct pe_section {
	char name[9];		/* up to 8 bytes, terminated */
	uint64_t offset;	/* of its bytes in the source */
	uint64_t size;		/* min(VirtualSize, SizeOfRawData); of a file section
				 * whose VirtualSize is 0, 0 */
};

/* SB_MAGIC: not a PE32+ image; SB_RANGE: headers or a section reach past the
 * end, or a count is out of range; SB_IO. Every section is checked here, so that
 * what pe_section_*() returns can be read. The source must outlive the image. */
enum sb_error pe_open(const struct pe_source *source, struct pe_image *ret_image);

/* index < image->section_count. */
enum sb_error pe_section_at(const struct pe_image *image, unsigned index,
			    struct pe_section *ret_section);

/* The first section of that name (with its dot). SB_NOT_FOUND. */
enum sb_error pe_section_find(const struct pe_image *image, const char *name,
			      struct pe_section *ret_section);
