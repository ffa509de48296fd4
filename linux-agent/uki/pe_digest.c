/* SPDX-License-Identifier: MIT */
#include "pe_digest.h"

#include "bytes.h"
#include "digest.h"
#include "io.h"

#include <string.h>

enum {
	DOS_HEADER = 64,
	DOS_PE_OFFSET = 0x3c,
	COFF_HEADER = 24,	/* with the "PE\0\0" before it */
	SECTION_HEADER = 40,
	MAGIC_PE32 = 0x10b,
	MAGIC_PE32_PLUS = 0x20b,
	OPT_SIZE_OF_HEADERS = 60,
	OPT_CHECKSUM = 64,
	OPT_MAX = 240,		/* a PE32+ header with all its 16 directories */
	CERTIFICATE_TABLE = 4,
	CHUNK = 256 * 1024,
};

/* Offsets are sums of a few 32-bit numbers: they cannot wrap. */
static enum sb_error read_at(const struct pe_source *pe, uint64_t offset, uint8_t *buf,
			     size_t len)
{
	if (offset > pe->size || len > pe->size - offset)
		return SB_RANGE;
	return pe->read(pe->ctx, offset, buf, len);
}

/* at: of the optional header, of len bytes. */
static enum sb_error optional_read(const struct pe_source *pe, uint64_t at, size_t len,
				   struct pe_digest_layout *layout)
{
	uint8_t opt[OPT_MAX] = { 0 };
	size_t directories;
	enum sb_error error = read_at(pe, at, opt, len < OPT_MAX ? len : OPT_MAX);

	if (error != SB_OK)
		return error;
	switch (le16_get(opt)) {
	case MAGIC_PE32:
		directories = 96;
		break;
	case MAGIC_PE32_PLUS:
		directories = 112;
		break;
	default:
		return SB_MAGIC;
	}
	if (len < directories)
		return SB_RANGE;
	layout->checksum = at + OPT_CHECKSUM;
	layout->header_size = le32_get(opt + OPT_SIZE_OF_HEADERS);
	if (le32_get(opt + directories - 4) <= CERTIFICATE_TABLE ||
	    len < directories + 8 * (CERTIFICATE_TABLE + 1))
		return SB_OK;
	layout->entry = at + directories + 8 * CERTIFICATE_TABLE;
	layout->table = le32_get(opt + directories + 8 * CERTIFICATE_TABLE);
	layout->table_size = le32_get(opt + directories + 8 * CERTIFICATE_TABLE + 4);
	return SB_OK;
}

/* In order of their offsets, as they are hashed. */
static void section_insert(struct pe_digest_layout *layout, uint64_t offset, uint64_t size)
{
	unsigned at = layout->section_count++;

	for (; at > 0 && layout->sections[at - 1].offset > offset; at--)
		layout->sections[at] = layout->sections[at - 1];
	layout->sections[at].offset = offset;
	layout->sections[at].size = size;
}

static enum sb_error sections_read(const struct pe_source *pe, uint64_t table, unsigned count,
				   struct pe_digest_layout *layout)
{
	for (unsigned i = 0; i < count; i++) {
		uint8_t h[SECTION_HEADER];
		enum sb_error error = read_at(pe, table + i * (uint64_t)SECTION_HEADER, h,
					      sizeof h);
		uint64_t offset, size;

		if (error != SB_OK)
			return error;
		size = le32_get(h + 16);
		offset = le32_get(h + 20);
		if (size > 0 && (offset > pe->size || size > pe->size - offset))
			return SB_RANGE;
		if (size > 0)
			section_insert(layout, offset, size);
	}
	return SB_OK;
}

/* The digest skips the checksum and this directory entry, both in the headers; the
 * certificate table comes after everything else. */
static bool in_order(const struct pe_source *pe, const struct pe_digest_layout *l)
{
	if (l->header_size > pe->size || l->checksum + 4 > l->header_size ||
	    (l->entry && l->entry + 8 > l->header_size))
		return false;
	return l->table_size == 0 || (l->table <= pe->size &&
				      l->table_size <= pe->size - l->table);
}

enum sb_error pe_digest_read(const struct pe_source *pe, struct pe_digest_layout *ret_layout)
{
	struct pe_digest_layout layout = { 0 };
	uint8_t dos[DOS_HEADER], coff[COFF_HEADER];
	enum sb_error error = read_at(pe, 0, dos, sizeof dos);
	uint64_t at;
	size_t opt_len;
	unsigned count;

	if (error != SB_OK || dos[0] != 'M' || dos[1] != 'Z')
		return error == SB_IO ? SB_IO : SB_MAGIC;
	at = le32_get(dos + DOS_PE_OFFSET);
	error = read_at(pe, at, coff, sizeof coff);
	if (error != SB_OK)
		return error;
	if (memcmp(coff, "PE\0\0", 4) != 0)
		return SB_MAGIC;
	count = le16_get(coff + 6);
	opt_len = le16_get(coff + 20);
	if (count > PE_MAX_SECTIONS)
		return SB_RANGE;
	error = optional_read(pe, at + COFF_HEADER, opt_len, &layout);
	if (error == SB_OK)
		error = sections_read(pe, at + COFF_HEADER + opt_len, count, &layout);
	if (error == SB_OK && !in_order(pe, &layout))
		error = SB_RANGE;
	if (error == SB_OK)
		*ret_layout = layout;
	return error;
}

static int hash_range(const struct pe_source *pe, uint64_t from, uint64_t to, EVP_MD_CTX *ctx,
		      uint8_t *buf, struct err *err)
{
	while (from < to) {
		size_t n = to - from < CHUNK ? (size_t)(to - from) : CHUNK;

		if (read_at(pe, from, buf, n) != SB_OK)
			return err_set(err, EX_IOERR, "failed to read an image to be hashed");
		if (!EVP_DigestUpdate(ctx, buf, n))
			return err_set(err, EX_SOFTWARE, "failed to hash an image");
		from += n;
	}
	return 0;
}

static int hash_all(const struct pe_source *pe, const struct pe_digest_layout *l, EVP_MD_CTX *ctx,
		    uint8_t *buf, struct err *err)
{
	uint64_t done = l->header_size;
	uint64_t from = l->entry ? l->entry + 8 : l->checksum + 4;

	if (hash_range(pe, 0, l->checksum, ctx, buf, err) < 0 ||
	    (l->entry && hash_range(pe, l->checksum + 4, l->entry, ctx, buf, err) < 0) ||
	    hash_range(pe, from, l->header_size, ctx, buf, err) < 0)
		return -1;
	for (unsigned i = 0; i < l->section_count; i++) {
		if (hash_range(pe, l->sections[i].offset,
			       l->sections[i].offset + l->sections[i].size, ctx, buf, err) < 0)
			return -1;
		done += l->sections[i].size;
	}
	/* What follows the sections, by their sum and not by their ends: so it is defined. */
	if (done < pe->size && l->table_size < pe->size - done)
		return hash_range(pe, done, pe->size - l->table_size, ctx, buf, err);
	return 0;
}

int pe_digest(const struct pe_source *pe, const struct pe_digest_layout *layout,
	      const EVP_MD *md, uint8_t ret_digest[EVP_MAX_MD_SIZE],
	      unsigned *ret_len, struct err *err)
{
	_cleanup_(md_ctx_freep) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	_cleanup_free_ uint8_t *buf = malloc(CHUNK);

	if (!ctx || !buf || !EVP_DigestInit_ex(ctx, md, NULL))
		return err_set(err, EX_SOFTWARE, "failed to hash an image");
	if (hash_all(pe, layout, ctx, buf, err) < 0)
		return -1;
	if (!EVP_DigestFinal_ex(ctx, ret_digest, ret_len))
		return err_set(err, EX_SOFTWARE, "failed to hash an image");
	return 0;
}

int pe_digests_get(const struct pe_source *pe, const struct pe_digest_layout *layout,
		   const EVP_MD *md, struct pe_digests *digests, const uint8_t **ret_digest,
		   unsigned *ret_len, struct err *err)
{
	int nid = EVP_MD_get_type(md);
	unsigned i = 0;

	while (i < digests->count && digests->list[i].nid != nid)
		i++;
	if (i == PE_DIGESTS_MAX)
		return err_set(err, EX_SOFTWARE, "failed to hash an image in more than %d ways",
			       PE_DIGESTS_MAX);
	if (i == digests->count) {
		if (pe_digest(pe, layout, md, digests->list[i].bytes, &digests->list[i].len, err) < 0)
			return -1;
		digests->list[i].nid = nid;
		digests->count++;
	}
	*ret_digest = digests->list[i].bytes;
	*ret_len = digests->list[i].len;
	return 0;
}
