/* SPDX-License-Identifier: MIT */
/*
 * bundle.h from memory: "2" is a sound bundle of version 2, "2:WORD" one with
 * something wrong. Real bundles have their own tests (test_bundle.c).
 */
#include "bundle.h"

#include "bytes.h"
#include "sha256.h"
#include "sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK = 700 };

struct bundle {
	struct manifest manifest;
	char version[16];
	unsigned number;
	const char *wrong;
	unsigned extracts;
	char *json;
	uint8_t uki[SIM_FILE_MAX];
};

static char uki_word[] = "uki", uki_file[] = "uki.efi.zst", uki_index[] = "uki.index";
static char image_word[] = "rootfs", image_file[] = "rootfs.img.zst";
static char image_index[] = "rootfs.index";
static char compatible[] = "sim", other_compatible[] = "other";

static bool is_wrong(const struct bundle *b, const char *word)
{
	return strcmp(b->wrong, word) == 0;
}

static void digest_of(const uint8_t *data, size_t len, uint8_t ret_digest[32])
{
	struct sha256 hash;

	sha256_init(&hash);
	sha256_update(&hash, data, len);
	sha256_final(&hash, ret_digest);
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
	m->payload_count = 2;
	m->payloads[0] = (struct payload){ .type = PAYLOAD_UKI, .name = uki_word,
					   .file = uki_file, .size = v->uki_len,
					   .index = { .file = uki_index, .size = 60 } };
	m->payloads[1] = (struct payload){ .type = PAYLOAD_IMAGE, .name = image_word,
					   .file = image_file, .size = v->image_len,
					   .index = { .file = image_index, .size = 60 } };
	digest_of(b->uki, v->uki_len, m->payloads[0].sha256);
	digest_of(v->image, v->image_len, m->payloads[1].sha256);
	if (is_wrong(b, "large"))
		m->payloads[0].size = 64 * 1024 * 1024;
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
	manifest_fill(b);
	if (is_wrong(b, "signature") || manifest_format(&b->manifest, &b->json, err) < 0) {
		free(b);
		return err_set(err, EX_DATAERR, "the signature is not good");
	}
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
	static const uint8_t p7s[] = "signature";

	*ret_json = (const uint8_t *)bundle->json;
	*ret_json_len = strlen(bundle->json);
	*ret_p7s = p7s;
	*ret_p7s_len = sizeof p7s;
}

const char *bundle_signer(const struct bundle *bundle)
{
	(void)bundle;
	return "CN=sim";
}

static bool breaks_now(const struct bundle *b)
{
	return (b->extracts == 3 && is_wrong(b, "breaks-image")) ||
	       (b->extracts == 4 && is_wrong(b, "breaks-uki"));
}

int bundle_extract(struct bundle *bundle, const struct payload *payload, bundle_sink_fn *sink,
		   void *ctx, const volatile int *cancel, struct err *err)
{
	const struct sim_version *v = &sim_versions[bundle->number];
	const uint8_t *data = payload->type == PAYLOAD_UKI ? bundle->uki : v->image;
	size_t len = payload->size;

	(void)cancel;
	/* Checked, both payloads; then written: the image, the UKI. */
	bundle->extracts++;
	if (is_wrong(bundle, "hash") && payload->type == PAYLOAD_IMAGE)
		return err_set(err, EX_DATAERR, "%s: the hash differs", payload->file);
	for (size_t done = 0; sink && done < len; done += CHUNK) {
		if (done > 0 && breaks_now(bundle))
			return err_set(err, EX_UNAVAILABLE, "the transfer broke off");
		if (sink(ctx, data + done, len - done < CHUNK ? len - done : CHUNK, err) < 0)
			return -1;
	}
	return 0;
}
