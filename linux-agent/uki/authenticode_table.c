/* SPDX-License-Identifier: MIT */
/* The certificate table: entries one behind the other, each with a header and at a multiple of
 * 8 (WIN_CERTIFICATE). */
#include "authenticode.h"

#include "bytes.h"
#include "io.h"

#include <openssl/err.h>
#include <string.h>

enum {
	HEADER = 8,
	GUID_HEADER = HEADER + 16,
	REVISION_2 = 0x0200,
	PKCS_SIGNED_DATA = 2,
	EFI_GUID_TYPE = 0x0ef1,
};

/* EFI_CERT_TYPE_PKCS7_GUID, 4aafd29d-68df-49ee-8aa9-347d375665a7 */
static const uint8_t pkcs7_guid[16] = { 0x9d, 0xd2, 0xaf, 0x4a, 0xdf, 0x68, 0xee, 0x49,
					0x8a, 0xa9, 0x34, 0x7d, 0x37, 0x56, 0x65, 0xa7 };

struct raw {
	uint8_t *bytes;
	size_t size;
};

/* The layout, and the bytes of the table. *ret_state: UNSIGNED, and then there are none, or
 * NO_PE, MALFORMED, SIGNED. */
static int raw_read(const struct pe_source *pe, struct pe_digest_layout *layout, struct raw *ret_raw,
		    enum authenticode_state *ret_state, struct err *err)
{
	struct raw raw = { 0 };

	ERR_clear_error();
	switch (pe_digest_read(pe, layout)) {
	case SB_OK:
		break;
	case SB_IO:
		return err_set(err, EX_IOERR, "failed to read the PE headers of an image");
	default:
		*ret_state = AUTHENTICODE_NO_PE;
		return 0;
	}
	*ret_state = AUTHENTICODE_UNSIGNED;
	if (layout->table_size == 0)
		return 0;
	*ret_state = AUTHENTICODE_MALFORMED;
	if (layout->table_size < HEADER || layout->table_size > AUTHENTICODE_MAX_BYTES)
		return 0;
	raw.size = (size_t)layout->table_size;
	raw.bytes = malloc(raw.size);
	if (!raw.bytes)
		return err_set(err, EX_SOFTWARE, "failed to read a signature: out of memory");
	if (pe->read(pe->ctx, layout->table, raw.bytes, raw.size) != SB_OK) {
		free(raw.bytes);
		return err_set(err, EX_IOERR, "failed to read the signature of an image");
	}
	*ret_raw = raw;
	*ret_state = AUTHENTICODE_SIGNED;
	return 0;
}

/* The entry at at, its header included; 0: none that is whole. */
static size_t entry_len(const struct raw *raw, size_t at)
{
	size_t left = at < raw->size ? raw->size - at : 0, len = 0;

	if (left >= HEADER)
		len = le32_get(raw->bytes + at);
	return len < HEADER || len > left ? 0 : len;
}

static size_t entry_next(size_t at, size_t len)
{
	return at + (len + 7) / 8 * 8;
}

static unsigned entries_count(const struct raw *raw)
{
	unsigned count = 0;

	for (size_t at = 0, len; (len = entry_len(raw, at)) > 0; at = entry_next(at, len))
		count++;
	return count;
}

/* Its PKCS #7; NULL: of another type, which firmware passes over. */
static const uint8_t *entry_pkcs7(const uint8_t *entry, size_t len, size_t *ret_len)
{
	unsigned type = le16_get(entry + 6);
	size_t header = type == PKCS_SIGNED_DATA ? HEADER : GUID_HEADER;

	if (type != PKCS_SIGNED_DATA &&
	    (type != EFI_GUID_TYPE || len < GUID_HEADER || memcmp(entry + HEADER, pkcs7_guid, 16) != 0))
		return NULL;
	*ret_len = len - header;
	return entry + header;
}

static void why_set(struct authenticode *a, const char *why)
{
	(void)snprintf(a->why, sizeof a->why, "%s", why);
}

int authenticode_read(const struct pe_source *pe, struct authenticode *ret_signature,
		      struct err *err)
{
	struct authenticode_entry entry = { 0 };
	struct pe_digests digests = { 0 };
	struct pe_digest_layout layout;
	struct raw raw = { 0 };
	enum authenticode_state state;
	size_t len;
	int r = 0;

	if (raw_read(pe, &layout, &raw, &state, err) < 0)
		return -1;
	*ret_signature = (struct authenticode){ .state = state };
	len = entry_len(&raw, 0);
	if (state == AUTHENTICODE_MALFORMED) {
		why_set(ret_signature, "its certificate table has an impossible size");
	} else if (state == AUTHENTICODE_SIGNED &&
		   (len == 0 || le16_get(raw.bytes + 4) != REVISION_2 ||
		    le16_get(raw.bytes + 6) != PKCS_SIGNED_DATA)) {
		ret_signature->state = AUTHENTICODE_MALFORMED;
		why_set(ret_signature, "the first entry of its certificate table is no PKCS #7 "
				       "signature");
	} else if (state == AUTHENTICODE_SIGNED) {
		r = authenticode_entry_read(pe, &layout, &digests, raw.bytes + HEADER, len - HEADER,
					    &entry, err);
		*ret_signature = entry.signature;
		ret_signature->count = entries_count(&raw);
	}
	authenticode_entry_clear(&entry);
	free(raw.bytes);
	return r;
}

static int entries_read(const struct pe_source *pe, const struct raw *raw,
			struct authenticode_table *table, struct err *err)
{
	size_t at = 0, len, pkcs7_len;

	for (; (len = entry_len(raw, at)) > 0; at = entry_next(at, len)) {
		const uint8_t *pkcs7 = entry_pkcs7(raw->bytes + at, len, &pkcs7_len);

		if (!pkcs7)
			continue;
		if (table->count == AUTHENTICODE_MAX_ENTRIES)
			break;
		if (authenticode_entry_read(pe, &table->layout, &table->digests, pkcs7, pkcs7_len,
					    &table->entries[table->count++], err) < 0)
			return -1;
	}
	if (at != raw->size)
		table->state = AUTHENTICODE_MALFORMED;
	return 0;
}

int authenticode_table_read(const struct pe_source *pe, struct authenticode_table *ret_table,
			    struct err *err)
{
	struct authenticode_table *table = ret_table;
	struct raw raw = { 0 };
	const uint8_t *sha256;
	unsigned len;
	int r;

	*table = (struct authenticode_table){ 0 };
	if (raw_read(pe, &table->layout, &raw, &table->state, err) < 0)
		return -1;
	r = table->state == AUTHENTICODE_NO_PE
		    ? 0 : pe_digests_get(pe, &table->layout, EVP_sha256(), &table->digests, &sha256,
					 &len, err);
	if (r == 0 && table->state == AUTHENTICODE_SIGNED)
		r = entries_read(pe, &raw, table, err);
	free(raw.bytes);
	return r;
}

void authenticode_table_clear(struct authenticode_table *table)
{
	for (unsigned i = 0; i < table->count; i++)
		authenticode_entry_clear(&table->entries[i]);
	*table = (struct authenticode_table){ 0 };
}
