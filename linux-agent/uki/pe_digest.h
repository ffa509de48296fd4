/* SPDX-License-Identifier: MIT */
/* Which bytes of a PE image Authenticode's digest covers: all but the checksum, the
 * certificate table's entry in the header, and that table ("Calculating the PE
 * Image Hash" of Microsoft's Authenticode document). */
#pragma once

#include "err.h"
#include "pe.h"

#include <openssl/evp.h>

struct pe_digest_layout {
	uint64_t checksum;		/* offset of the 4 bytes of CheckSum */
	uint64_t entry;			/* of the table's 8 in the header; 0: it has none */
	uint64_t header_size;		/* SizeOfHeaders */
	uint64_t table, table_size;	/* the certificate table; size 0: none */
	unsigned section_count;
	struct {
		uint64_t offset, size;
	} sections[PE_MAX_SECTIONS];	/* those with bytes, by offset */
};

/* SB_MAGIC: not a PE image (PE32 or PE32+); SB_RANGE: a header, a section or the
 * table reaches past its end; SB_IO. */
enum sb_error pe_digest_read(const struct pe_source *pe, struct pe_digest_layout *ret_layout);

/* EX_IOERR, EX_SOFTWARE. */
int pe_digest(const struct pe_source *pe, const struct pe_digest_layout *layout,
	      const EVP_MD *md, uint8_t ret_digest[EVP_MAX_MD_SIZE],
	      unsigned *ret_len, struct err *err);

/* Digests of one image, each of which is made once. Zeroed at first. */
#define PE_DIGESTS_MAX 4

struct pe_digests {
	unsigned count;
	struct {
		int nid;		/* libcrypto's, of the algorithm */
		unsigned len;
		uint8_t bytes[EVP_MAX_MD_SIZE];
	} list[PE_DIGESTS_MAX];
};

/* *ret_digest is in *digests. EX_IOERR; EX_SOFTWARE, also: no more of them fit. */
int pe_digests_get(const struct pe_source *pe, const struct pe_digest_layout *layout,
		   const EVP_MD *md, struct pe_digests *digests, const uint8_t **ret_digest,
		   unsigned *ret_len, struct err *err);
