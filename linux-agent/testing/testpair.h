/* SPDX-License-Identifier: MIT */
/* For tests: a UKI with a command line, and an image with a dm-verity tree: small, and
 * as real as the readers can tell. */
#pragma once

#include "bytes.h"
#include "native.h"
#include "testdir.h"

#include <openssl/evp.h>

#define TESTPAIR_IMAGE_BYTES (4 * 4096)	/* two data blocks, superblock, tree */

static inline void testpair_section(uint8_t *uki, unsigned index, const char *name, uint32_t at,
				    uint32_t len)
{
	uint8_t *h = uki + 64 + 24 + 112 + 40 * index;

	memcpy(h, name, strlen(name));
	le32_put(h + 8, len);
	le32_put(h + 12, at);	/* in memory as in the file */
	le32_put(h + 16, len);
	le32_put(h + 20, at);
}

static inline void testpair_uki(const struct testdir *top, const char *name, const char *cmdline)
{
	uint8_t uki[2048] = "MZ";

	le32_put(uki + 0x3c, 64);
	memcpy(uki + 64, "PE\0\0", 4);
	le16_put(uki + 64 + 4, NATIVE_MACHINE);
	le16_put(uki + 64 + 6, 2);
	le16_put(uki + 64 + 20, 112);
	le16_put(uki + 64 + 24, 0x20b);
	le32_put(uki + 64 + 24 + 56, sizeof uki);
	testpair_section(uki, 0, ".cmdline", 512, (uint32_t)strlen(cmdline));
	memcpy(uki + 512, cmdline, strlen(cmdline));
	testpair_section(uki, 1, ".linux", 1024, 1024);
	testdir_put(top, name, uki, sizeof uki);
}

/* Its data is of this byte; root gets the root hash. */
static inline void testpair_image(const struct testdir *top, const char *name, int byte,
				  char root[65])
{
	static uint8_t image[TESTPAIR_IMAGE_BYTES];
	uint8_t *super = image + 2 * 4096, *tree = image + 3 * 4096, digest[32];

	memset(image, 0, sizeof image);
	memset(image, byte, 2 * 4096);
	memcpy(super, "verity", 6);
	super[8] = super[12] = 1;
	memcpy(super + 32, "sha256", 6);
	le32_put(super + 64, 4096);
	le32_put(super + 68, 4096);
	le64_put(super + 72, 2);
	for (int i = 0; i < 2; i++)
		EVP_Digest(image + i * 4096, 4096, tree + 32 * i, NULL, EVP_sha256(), NULL);
	EVP_Digest(tree, 4096, digest, NULL, EVP_sha256(), NULL);
	for (int i = 0; i < 32; i++)
		snprintf(root + 2 * i, 3, "%02x", digest[i]);
	testdir_put(top, name, image, sizeof image);
}
