/* SPDX-License-Identifier: MIT */
/* For tests and fuzz targets: UKIs and addons with the sections that are asked for, in
 * memory. What cannot be made aborts. */
#pragma once

#include "bytes.h"
#include "native.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* An architecture that this program is not for. */
#define TESTUKI_FOREIGN (NATIVE_MACHINE == PE_MACHINE_X86_64 ? PE_MACHINE_AARCH64 : PE_MACHINE_X86_64)

enum {
	TESTUKI_PE_AT = 64,
	TESTUKI_TABLE_AT = TESTUKI_PE_AT + 24 + 112,
	TESTUKI_DATA_AT = 8192,
	TESTUKI_STEP = 2048,
	TESTUKI_MAX = 40,
	TESTUKI_BYTES = TESTUKI_DATA_AT + TESTUKI_MAX * TESTUKI_STEP,
	TESTUKI_KERNEL = 1500,
};

struct testuki {
	uint8_t bytes[TESTUKI_BYTES];
	unsigned count;
};

static inline uint8_t *testuki_header(struct testuki *uki, unsigned index)
{
	return uki->bytes + TESTUKI_TABLE_AT + 40 * index;
}

static inline void testuki_begin(struct testuki *uki, uint16_t machine)
{
	memset(uki, 0, sizeof *uki);
	memcpy(uki->bytes, "MZ", 2);
	le32_put(uki->bytes + 0x3c, TESTUKI_PE_AT);
	memcpy(uki->bytes + TESTUKI_PE_AT, "PE\0\0", 4);
	le16_put(uki->bytes + TESTUKI_PE_AT + 4, machine);
	le16_put(uki->bytes + TESTUKI_PE_AT + 20, 112);
	le16_put(uki->bytes + TESTUKI_PE_AT + 24, 0x20b);
}

/* VirtualSize is len, SizeOfRawData rounded up, as tools make them. Returns its index. */
static inline unsigned testuki_put(struct testuki *uki, const char *name, const void *data,
				   uint32_t len)
{
	uint32_t at = TESTUKI_DATA_AT + TESTUKI_STEP * uki->count;
	uint8_t *h = testuki_header(uki, uki->count);

	if (uki->count >= TESTUKI_MAX || len > TESTUKI_STEP)
		abort();
	memcpy(h, name, strlen(name));
	le32_put(h + 8, len);
	le32_put(h + 16, (len + 511) / 512 * 512);
	le32_put(h + 20, at);
	memcpy(uki->bytes + at, data, len);
	le16_put(uki->bytes + TESTUKI_PE_AT + 6, (uint16_t)++uki->count);
	return uki->count - 1;
}

static inline unsigned testuki_text(struct testuki *uki, const char *name, const char *text)
{
	return testuki_put(uki, name, text, (uint32_t)strlen(text));
}

/* An x86 kernel, as far as anyone looks at it. */
static inline void testuki_kernel(uint8_t kernel[TESTUKI_KERNEL])
{
	memset(kernel, 0x90, TESTUKI_KERNEL);
	le16_put(kernel + 0x1fe, 0xaa55);
	memcpy(kernel + 0x202, "HdrS", 4);
	le16_put(kernel + 0x206, 0x20f);
	le32_put(kernel + 0x238, 2047);
}

/* With a kernel, and the .sdmagic of that stub (NULL: none). */
static inline void testuki_make(struct testuki *uki, const char *stub)
{
	uint8_t kernel[TESTUKI_KERNEL];
	char magic[64];

	testuki_begin(uki, NATIVE_MACHINE);
	testuki_kernel(kernel);
	(void)testuki_put(uki, ".linux", kernel, sizeof kernel);
	snprintf(magic, sizeof magic, "#### LoaderInfo: systemd-stub %s ####", stub ? stub : "");
	if (stub)
		(void)testuki_text(uki, ".sdmagic", magic);
}

static inline int testuki_memfd(const struct testuki *uki)
{
	int fd = memfd_create("uki", MFD_CLOEXEC);

	if (write(fd, uki->bytes, sizeof uki->bytes) != sizeof uki->bytes)
		abort();
	return fd;
}
