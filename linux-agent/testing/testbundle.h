/* SPDX-License-Identifier: MIT */
/*
 * For tests: a good bundle as a list of ZIP entries, so that a test can spoil one
 * of them before the ZIP is written; and what the tests of the reader share. It has
 * the FULL layout only, in chunks of 64 KiB.
 */
#pragma once

#include "bundle.h"
#include "chunkindex.h"
#include "cms.h"
#include "manifest.h"
#include "testpki.h"
#include "io.h"

#include <zip.h>
#include <zstd.h>

enum {
	ENTRY_JSON, ENTRY_P7S, ENTRY_UKI_INDEX, ENTRY_UKI, ENTRY_ROOTFS_INDEX, ENTRY_ROOTFS,
	ENTRY_COUNT,
	ENTRY_APP_INDEX = ENTRY_COUNT, ENTRY_APP,	/* of a test with a second image */
	ENTRY_ALL
};

struct testentry {
	const char *name;	/* NULL: left out */
	uint8_t *data;
	size_t len;
	int method;		/* ZIP_CM_... */
	uint16_t encryption;	/* ZIP_EM_... */
};

struct testbundle {
	struct testentry entries[ENTRY_ALL];
	uint8_t *uki, *rootfs, *app;	/* the payloads themselves; app NULL: there is none */
	size_t uki_len, rootfs_len, app_len;
};

static inline void testbundle_set(struct testbundle *b, int entry, const void *data, size_t len)
{
	free(b->entries[entry].data);
	b->entries[entry].data = malloc(len + 1);
	assert_non_null(b->entries[entry].data);
	memcpy(b->entries[entry].data, data, len);
	b->entries[entry].len = len;
}

/* Signs whatever is in ENTRY_JSON now with NAME.key. */
static inline void testbundle_sign(struct testbundle *b, const struct testdir *dir,
				   const char *name)
{
	char key[128], crt[128];
	struct err err = { 0 };
	uint8_t *sig;
	size_t len;

	snprintf(key, sizeof key, "%s/%s.key", dir->path, name);
	snprintf(crt, sizeof crt, "%s/%s.crt", dir->path, name);
	if (cms_sign_detached(b->entries[ENTRY_JSON].data, b->entries[ENTRY_JSON].len, key, crt,
			      &sig, &len, &err) < 0)
		fail_msg("%s", err.text);
	testbundle_set(b, ENTRY_P7S, sig, len);
	free(sig);
}

static inline void testbundle_set_text(struct testbundle *b, const struct testdir *dir,
				       const char *json)
{
	testbundle_set(b, ENTRY_JSON, json, strlen(json));
	testbundle_sign(b, dir, "acme");
}

/* Packs data as payload p: the frames go to entry + 1, the index to entry. */
static inline void testbundle_pack(struct testbundle *b, int entry, struct payload *p,
				   const uint8_t *data, size_t len)
{
	size_t count = (size_t)chunkindex_parts(len, CHUNK_MIN_LOG), frames_len = 0, index_len;
	struct chunk *rows = calloc(count, sizeof *rows);
	struct chunkindex index = { CHUNK_MIN_LOG, (uint32_t)count, len, 0, rows };
	uint8_t *frames = malloc(len + len / 128 + count * 1024 + 64), *index_data;
	struct err err = { 0 };

	for (uint32_t i = 0; i < count; i++) {
		const uint8_t *chunk = data + ((size_t)i << CHUNK_MIN_LOG);
		uint32_t n = chunkindex_length(&index, i);

		EVP_Digest(chunk, n, rows[i].sha256, NULL, EVP_sha256(), NULL);
		rows[i].frame = (uint32_t)ZSTD_compress(frames + frames_len, ZSTD_compressBound(n),
							chunk, n, 1);
		frames_len += rows[i].frame;
	}
	assert_int_equal(chunkindex_encode(&index, &index_data, &index_len, &err), 0);
	testbundle_set(b, entry, index_data, index_len);
	testbundle_set(b, entry + 1, frames, frames_len);
	p->size = len;
	EVP_Digest(data, len, p->sha256, NULL, EVP_sha256(), NULL);
	p->index.size = index_len;
	EVP_Digest(index_data, index_len, p->index.sha256, NULL, EVP_sha256(), NULL);
	free(index_data);
	free(frames);
	free(rows);
}

static inline void testbundle_app(struct testbundle *b, struct manifest *m)
{
	struct payload *app = &m->payloads[m->payload_count++];

	app->type = PAYLOAD_IMAGE;
	app->name = (char *)"app";
	app->file = (char *)(b->entries[ENTRY_APP].name = "app.img.zst");
	app->index.file = (char *)(b->entries[ENTRY_APP_INDEX].name = "app.index");
	testbundle_pack(b, ENTRY_APP_INDEX, app, b->app, b->app_len);
}

/* Packs the payloads, writes and signs the manifest; size_bias is added to the size of
 * rootfs that the manifest tells. */
static inline void testbundle_manifest(struct testbundle *b, const struct testdir *dir,
				       long size_bias)
{
	struct manifest *m = calloc(1, sizeof *m);
	struct payload *uki = &m->payloads[0], *rootfs = &m->payloads[1];
	struct err err = { 0 };
	char *json;

	m->compatible = (char *)"acme-gw";
	m->version = (char *)"1.4.2";
	m->payload_count = 2;
	uki->type = PAYLOAD_UKI;
	uki->name = (char *)"uki";
	uki->file = (char *)"uki.efi.zst";
	uki->index.file = (char *)"uki.index";
	rootfs->type = PAYLOAD_IMAGE;
	rootfs->name = (char *)"rootfs";
	rootfs->file = (char *)"rootfs.img.zst";
	rootfs->index.file = (char *)"rootfs.index";
	testbundle_pack(b, ENTRY_UKI_INDEX, uki, b->uki, b->uki_len);
	testbundle_pack(b, ENTRY_ROOTFS_INDEX, rootfs, b->rootfs, b->rootfs_len);
	if (b->app)
		testbundle_app(b, m);
	rootfs->size += (uint64_t)size_bias;
	if (size_bias < 0)
		EVP_Digest(b->rootfs, rootfs->size, rootfs->sha256, NULL, EVP_sha256(), NULL);
	assert_int_equal(manifest_format(m, &json, &err), 0);
	testbundle_set_text(b, dir, json);
	free(json);
	free(m);
}

/* A good bundle, signed with acme.key, of rootfs_len bytes of rootfs. */
static inline void testbundle_make(struct testbundle *b, const struct testdir *dir,
				   size_t rootfs_len)
{
	static const char *const names[ENTRY_COUNT] = {
		"manifest.json", "manifest.p7s", "uki.index", "uki.efi.zst", "rootfs.index",
		"rootfs.img.zst",
	};

	memset(b, 0, sizeof *b);
	for (int i = 0; i < ENTRY_COUNT; i++)
		b->entries[i].name = names[i];
	b->uki_len = 15;
	b->uki = (uint8_t *)strdup("MZ and a kernel");
	b->rootfs_len = rootfs_len;
	b->rootfs = malloc(rootfs_len);
	for (size_t i = 0; i < rootfs_len; i++)
		b->rootfs[i] = (uint8_t)((i * i >> 7) + (i >> 16));
	testbundle_manifest(b, dir, 0);
}

static inline void testbundle_zip(const struct testbundle *b, const char *path)
{
	zip_t *zip = zip_open(path, ZIP_CREATE | ZIP_TRUNCATE, NULL);

	assert_non_null(zip);
	for (int i = 0; i < ENTRY_ALL; i++) {
		const struct testentry *e = &b->entries[i];
		zip_int64_t index;

		if (!e->name)
			continue;
		index = zip_file_add(zip, e->name, zip_source_buffer(zip, e->data, e->len, 0), 0);
		assert_true(index >= 0);
		assert_int_equal(zip_set_file_compression(zip, (zip_uint64_t)index, e->method, 0), 0);
		if (e->encryption)
			assert_int_equal(zip_file_set_encryption(zip, (zip_uint64_t)index,
								 e->encryption, "pw"), 0);
	}
	assert_int_equal(zip_close(zip), 0);
}

/* A ZIP whose entries are stored gets this as one of them. It is written anew: libzip 1.11 compresses what it
 * replaces, also where it is told to store it as before. */
static inline void testzip_replace(const char *path, const char *name, const void *data, size_t len)
{
	zip_t *old = zip_open(path, ZIP_RDONLY, NULL), *zip;
	unsigned replaced = 0;
	char part[256];

	(void)snprintf(part, sizeof part, "%s.part", path);
	zip = zip_open(part, ZIP_CREATE | ZIP_TRUNCATE, NULL);
	assert_true(old && zip);
	for (zip_uint64_t i = 0; i < (zip_uint64_t)zip_get_num_entries(old, 0); i++) {
		const char *entry = zip_get_name(old, i, 0);
		bool this_one = strcmp(entry, name) == 0;
		uint8_t *kept = NULL;
		zip_int64_t index;
		zip_stat_t st;

		replaced += this_one;
		if (!this_one) {
			zip_file_t *file = zip_fopen_index(old, i, 0);

			assert_int_equal(zip_stat_index(old, i, 0, &st), 0);
			kept = malloc(st.size + 1);
			assert_int_equal(zip_fread(file, kept, st.size), st.size);
			zip_fclose(file);
		}
		index = zip_file_add(zip, entry, kept ? zip_source_buffer(zip, kept, st.size, 1) :
				     zip_source_buffer(zip, data, len, 0), 0);
		assert_true(index >= 0);
		assert_int_equal(zip_set_file_compression(zip, (zip_uint64_t)index, ZIP_CM_STORE, 0), 0);
	}
	assert_int_equal(replaced, 1);
	zip_discard(old);
	assert_int_equal(zip_close(zip), 0);
	assert_int_equal(rename(part, path), 0);
}

static inline void testbundle_free(struct testbundle *b)
{
	for (int i = 0; i < ENTRY_ALL; i++)
		free(b->entries[i].data);
	free(b->uki);
	free(b->rootfs);
	free(b->app);
}

#define ROOTFS_LEN 3000

static struct testdir dir;
static struct testbundle good;		/* made anew for each test, which may spoil it */
static char zip_path[128], keyring[128];

/* What a sink saw. */
struct seen {
	uint8_t *data;
	size_t len, chunks, longest;
	int fail_at;		/* this call fails; 0: none does */
};

static inline int sink(void *ctx, const uint8_t *data, size_t len, struct err *err)
{
	struct seen *seen = ctx;

	if (++seen->chunks == (size_t)seen->fail_at)
		return err_set(err, EX_IOERR, "the slot is broken");
	if (len > seen->longest)
		seen->longest = len;
	seen->data = realloc(seen->data, seen->len + len);
	memcpy(seen->data + seen->len, data, len);
	seen->len += len;
	return 0;
}

static inline int open_zip(struct bundle **b, struct err *err)
{
	const struct bundle_options options = { .keyring = keyring };

	*err = (struct err){ 0 };
	return bundle_open(zip_path, &options, b, err);
}

static inline void expect_err(const struct err *err, int exit, const char *why)
{
	if (!strstr(err->text, why) || err->exit != exit)
		fail_msg("expected \"%s\", got exit %d: %s", why, err->exit, err->text);
}

/* What is in zip_path must be refused by bundle_open(). */
static inline void expect_refused(int exit, const char *why)
{
	struct bundle *b = NULL;
	struct err err;

	assert_int_equal(open_zip(&b, &err), -1);
	assert_null(b);
	expect_err(&err, exit, why);
	if (exit == EX_DATAERR)
		expect_err(&err, exit, zip_path);
}

static inline void expect_good_refused(const char *why)
{
	testbundle_zip(&good, zip_path);
	expect_refused(EX_DATAERR, why);
}

/* Opens and extracts rootfs, which must be refused; *ret_seen may be NULL. */
static inline void expect_extract_refused(const char *why, size_t most)
{
	struct seen seen = { 0 };
	struct bundle *b;
	struct err err;

	if (open_zip(&b, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(bundle_extract(b, &bundle_manifest(b)->payloads[1], sink, &seen, NULL,
					&err), -1);
	expect_err(&err, EX_DATAERR, why);
	expect_err(&err, EX_DATAERR, zip_path);
	assert_true(seen.len <= most);
	free(seen.data);
	bundle_close(b);
}

static inline int each_setup(void **state)
{
	(void)state;
	snprintf(zip_path, sizeof zip_path, "%s/bundle.zip", dir.path);
	snprintf(keyring, sizeof keyring, "%s/acme.crt", dir.path);
	(void)remove(zip_path);
	testbundle_make(&good, &dir, ROOTFS_LEN);
	return 0;
}

static inline int each_teardown(void **state)
{
	(void)state;
	testbundle_free(&good);
	return 0;
}

static inline int setup(void **state)
{
	struct testpki old = testpki_make_full("old", NULL, EVP_EC_gen("P-256"), false, -3 * DAY,
					       -2 * DAY, NULL);
	struct testpki acme = testpki_make("release"), stranger = testpki_make("stranger");

	(void)state;
	testdir_make(&dir);
	testpki_write(&acme, &dir, "acme");
	testpki_write(&stranger, &dir, "stranger");
	testpki_write(&old, &dir, "old");
	testpki_free(&acme);
	testpki_free(&stranger);
	testpki_free(&old);
	return 0;
}

static inline int teardown(void **state)
{
	(void)state;
	testdir_remove(&dir);
	return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, each_setup, each_teardown)
