/* SPDX-License-Identifier: MIT */
/*
 * bundle.h from memory, for the real engine: "2" is a sound bundle of version 2,
 * "2:WORD" one with something wrong. Real bundles have their own tests (test_bundle.c).
 */
#include "bundle.h"

#include "bytes.h"
#include "sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One sector, so that images have several chunks; frames are raw blocks. */
enum { CHUNK_LOG = 9, CHUNK = 1 << CHUNK_LOG, FRAME_OVER = 10, PAYLOADS = 6 };
enum { FRAMES_MAX = SIM_FILE_MAX + SIM_SECTORS * FRAME_OVER };

struct bundle {
	struct bundle_source source;		/* the frames of each payload */
	struct manifest manifest;
	char version[16];
	unsigned number;
	const char *wrong;
	char *json;
	uint8_t p7s[SIM_SIGNATURE];
	uint8_t uki[SIM_FILE_MAX];
	uint8_t frames[PAYLOADS][FRAMES_MAX];
	size_t frames_len[PAYLOADS];
};

static char uki_word[] = "uki", uki_file[] = "uki.efi.zst", uki_index[] = "uki.index";
static char image_word[] = "rootfs", image_file[] = "rootfs.img.zst";
static char image_index[] = "rootfs.index";
static char addon_words[][16] = { "slot-a.addon", "slot-b.addon" };
static char addon_files[][32] = { "slot-a.addon.efi.zst", "slot-b.addon.efi.zst" };
static char addon_indexes[][32] = { "slot-a.addon.index", "slot-b.addon.index" };
static char cred_word[] = "wifi.cred", cred_file[] = "credential-1.zst", cred_index[] = "credential-1.index";
static char file_word[] = "model.bin", file_file[] = "file-1.zst", file_index[] = "file-1.index";
static char kek_word[] = "KEK-1.auth", kek_file[] = "efi-auth-1.zst", kek_index[] = "efi-auth-1.index";
static char dbx_word[] = "dbx-1.auth", dbx_file[] = "efi-auth-2.zst", dbx_index[] = "efi-auth-2.index";
static char compatible[] = "sim", other_compatible[] = "other";

static bool is_wrong(const struct bundle *b, const char *word)
{
	return strcmp(b->wrong, word) == 0;
}

void sim_sha256(const uint8_t *data, size_t len, uint8_t ret_digest[SHA256_BYTES])
{
	struct sha256 hash;

	sha256_init(&hash);
	sha256_update(&hash, data, len);
	sha256_final(&hash, ret_digest);
}

void sim_sign(const uint8_t *json, size_t len, uint8_t ret_p7s[SIM_SIGNATURE])
{
	sim_sha256(json, len, ret_p7s);
}

static void beside_fill(struct manifest *m, const struct sim_version *v)
{
	for (unsigned slot = 0; v->addon_len && slot < SLOT_COUNT; slot++) {
		struct payload *p = &m->payloads[m->payload_count++];

		*p = (struct payload){ .type = PAYLOAD_ADDON, .slot = slot, .name = addon_words[slot],
				       .file = addon_files[slot], .size = v->addon_len,
				       .index = { .file = addon_indexes[slot], .size = 60 } };
		sim_sha256(v->addons[slot], v->addon_len, p->sha256);
	}
	if (v->cred_len) {
		m->payloads[m->payload_count] = (struct payload){
			.type = PAYLOAD_CREDENTIAL, .name = cred_word, .file = cred_file,
			.size = v->cred_len, .index = { .file = cred_index, .size = 60 } };
		sim_sha256(v->cred, v->cred_len, m->payloads[m->payload_count++].sha256);
	}
	if (v->file_len) {
		m->payloads[m->payload_count] = (struct payload){
			.type = PAYLOAD_FILE, .name = file_word, .file = file_file,
			.size = v->file_len, .index = { .file = file_index, .size = 60 } };
		sim_sha256(v->file, v->file_len, m->payloads[m->payload_count++].sha256);
	}
	if (v->kek_len) {
		m->payloads[m->payload_count] = (struct payload){
			.type = PAYLOAD_EFI_AUTH, .name = kek_word, .file = kek_file,
			.size = v->kek_len, .index = { .file = kek_index, .size = 60 } };
		sim_sha256(v->kek, v->kek_len, m->payloads[m->payload_count++].sha256);
		m->payloads[m->payload_count] = (struct payload){
			.type = PAYLOAD_EFI_AUTH, .name = dbx_word, .file = dbx_file,
			.size = v->dbx_len, .index = { .file = dbx_index, .size = 60 } };
		sim_sha256(v->dbx, v->dbx_len, m->payloads[m->payload_count++].sha256);
	}
}

static void manifest_fill(struct bundle *b)
{
	const struct sim_version *v = &sim_versions[b->number];
	struct manifest *m = &b->manifest;

	memcpy(b->uki, v->uki, v->uki_len);
	if (is_wrong(b, "arch"))
		le16_put(b->uki + 64 + 4, 0x14c);
	(void)snprintf(b->version, sizeof b->version, "1.0.%u", b->number);
	m->compatible = is_wrong(b, "compatible") ? other_compatible : compatible;
	m->version = b->version;
	m->raises_floor = true;
	m->payload_count = 2;
	m->payloads[0] = (struct payload){ .type = PAYLOAD_UKI, .name = uki_word,
					   .file = uki_file, .size = v->uki_len,
					   .index = { .file = uki_index, .size = 60 } };
	m->payloads[1] = (struct payload){ .type = PAYLOAD_IMAGE, .name = image_word,
					   .file = image_file, .size = v->image_len,
					   .index = { .file = image_index, .size = 60 } };
	sim_sha256(b->uki, v->uki_len, m->payloads[0].sha256);
	sim_sha256(v->image, v->image_len, m->payloads[1].sha256);
	beside_fill(m, v);
	if (is_wrong(b, "large"))
		m->payloads[0].size = 64 * 1024 * 1024;
}

/* RFC 8878: a single segment with its size, one raw block. */
static size_t frame_put(uint8_t *out, const uint8_t *data, size_t len)
{
	bool small = len < 256;
	size_t at = 4;

	le32_put(out, 0xfd2fb528);
	out[at++] = small ? 0x20 : 0x60;
	if (small)
		out[at++] = (uint8_t)len;
	else
		le16_put(out + at, (uint16_t)(len - 256));
	at += small ? 0 : 2;
	out[at++] = (uint8_t)(len << 3 | 1);
	le16_put(out + at, (uint16_t)(len >> 5));
	at += 2;
	memcpy(out + at, data, len);
	return at + len;
}

static const uint8_t *payload_data(const struct bundle *b, size_t i)
{
	const struct payload *p = &b->manifest.payloads[i];
	const struct sim_version *v = &sim_versions[b->number];

	switch (p->type) {
	case PAYLOAD_UKI:
		return b->uki;
	case PAYLOAD_IMAGE:
		return v->image;
	case PAYLOAD_ADDON:
		return v->addons[p->slot];
	case PAYLOAD_FILE:
		return v->file;
	case PAYLOAD_EFI_AUTH:
		return p->name == kek_word ? v->kek : v->dbx;
	default:
		return v->cred;
	}
}

static void frames_fill(struct bundle *b)
{
	for (size_t i = 0; i < b->manifest.payload_count; i++) {
		size_t len = b->manifest.payloads[i].size, at = 0;

		for (size_t done = 0; done < len && len <= SIM_FILE_MAX; done += CHUNK)
			at += frame_put(b->frames[i] + at, payload_data(b, i) + done,
					len - done < CHUNK ? len - done : CHUNK);
		b->frames_len[i] = at;
	}
	if (is_wrong(b, "hash-first"))
		b->frames[1][20] ^= 1;
	if (is_wrong(b, "hash-late") || is_wrong(b, "hash-late-at-hand"))
		b->frames[1][b->frames_len[1] - 1] ^= 1;
}

/* Where the transfer breaks off: before the image's second chunk, or its last. */
static uint64_t break_offset(const struct bundle *b)
{
	if (is_wrong(b, "breaks-image"))
		return FRAMES_MAX + CHUNK + FRAME_OVER;
	if (is_wrong(b, "breaks-late"))
		return FRAMES_MAX + 2 * (CHUNK + FRAME_OVER);
	return UINT64_MAX;
}

static int source_read(struct bundle_source *source, void *buf, size_t len, uint64_t offset,
		       struct err *err)
{
	const struct bundle *b = (const struct bundle *)source;

	/* What goes to the ESP is there before. */
	if (offset + len > break_offset(b) && offset < 2 * FRAMES_MAX)
		return err_set(err, EX_UNAVAILABLE, "the transfer broke off");
	memcpy(buf, b->frames[0] + offset, len);
	return 0;
}

int bundle_open(const char *where, const struct bundle_options *options,
		struct bundle **ret_bundle, struct err *err)
{
	struct bundle *b = calloc(1, sizeof *b);

	(void)options;
	if (!b)
		return err_set(err, EX_SOFTWARE, "out of memory");
	b->number = (unsigned)(where[0] - '0');
	b->wrong = where[1] ? where + 2 : "";
	/* Of a bundle at hand no chunk is copied: the wrong one is the first of all. */
	b->source = (struct bundle_source){ .size = sizeof b->frames, .read = source_read,
				     .remote = !is_wrong(b, "hash-first") &&
					       !is_wrong(b, "hash-late-at-hand") };
	manifest_fill(b);
	frames_fill(b);
	if (is_wrong(b, "signature") || manifest_format(&b->manifest, &b->json, err) < 0) {
		free(b);
		return err_set(err, EX_DATAERR, "the signature is not good");
	}
	sim_sign((const uint8_t *)b->json, strlen(b->json), b->p7s);
	*ret_bundle = b;
	return 0;
}

void bundle_close(struct bundle *bundle)
{
	if (bundle)
		free(bundle->json);
	free(bundle);
}

void bundle_closep(struct bundle **bundle)
{
	bundle_close(*bundle);
}

const struct manifest *bundle_manifest(const struct bundle *bundle)
{
	return &bundle->manifest;
}

void bundle_manifest_bytes(const struct bundle *bundle, const uint8_t **ret_json,
			   size_t *ret_json_len, const uint8_t **ret_p7s, size_t *ret_p7s_len)
{
	*ret_json = (const uint8_t *)bundle->json;
	*ret_json_len = strlen(bundle->json);
	*ret_p7s = bundle->p7s;
	*ret_p7s_len = sizeof bundle->p7s;
}

const char *bundle_signer(const struct bundle *bundle)
{
	(void)bundle;
	return "CN=sim";
}

struct bundle_source *bundle_source(const struct bundle *bundle)
{
	return (struct bundle_source *)(uintptr_t)&bundle->source;
}

int bundle_prefix(const struct bundle *bundle, struct err *err)
{
	(void)bundle;
	return err_prefix(err, "bundle");
}

int bundle_pinned(struct bundle *bundle, const struct pinned_entry *pinned, uint8_t **ret_data,
		  size_t *ret_len, struct err *err)
{
	(void)bundle, (void)pinned, (void)ret_data, (void)ret_len;
	return err_set(err, EX_DATAERR, "there is none");
}

int bundle_index(struct bundle *bundle, const struct payload *payload,
		 struct chunkindex *ret_index, struct err *err)
{
	size_t i = (size_t)(payload - bundle->manifest.payloads);
	struct chunkindex x = { .chunk_log = CHUNK_LOG, .size = payload->size };

	if (payload->size > SIM_FILE_MAX || (i == 1 && is_wrong(bundle, "hash")))
		return err_set(err, EX_DATAERR, "the index is not the manifest's");
	x.count = (uint32_t)chunkindex_parts(x.size, CHUNK_LOG);
	x.chunks = calloc(x.count, sizeof *x.chunks);
	if (!x.chunks)
		return err_set(err, EX_SOFTWARE, "out of memory");
	for (uint32_t k = 0; k < x.count; k++) {
		uint32_t len = chunkindex_length(&x, k);

		sim_sha256(payload_data(bundle, i) + k * CHUNK, len, x.chunks[k].sha256);
		x.chunks[k].offset = x.frames_size;
		x.chunks[k].frame = len + (len < 256 ? FRAME_OVER - 1 : FRAME_OVER);
		x.frames_size += x.chunks[k].frame;
	}
	*ret_index = x;
	return 0;
}

void bundle_soon(struct bundle *bundle, const struct pinned_entry *const *entries, size_t count)
{
	(void)bundle, (void)entries, (void)count;
}

int bundle_frames(struct bundle *bundle, const char *file, uint64_t size,
		  struct zipentry *ret_entry, struct err *err)
{
	for (size_t i = 0; i < bundle->manifest.payload_count; i++)
		if (strcmp(bundle->manifest.payloads[i].file, file) == 0) {
			*ret_entry = (struct zipentry){ i * FRAMES_MAX, size, 0, false };
			return 0;
		}
	return err_set(err, EX_DATAERR, "there is no %s", file);
}
