/* SPDX-License-Identifier: MIT */
/*
 * Makes the seeds that are not text, with the encoders of the programs and with what
 * the unit tests have: fuzz/seeds/TARGET/NAME, below the current directory. To be run
 * by hand when a format has changed (make seeds); keys are new ones each time.
 */
#include "bundle.h"
#include "bundle_create.h"
#include "kernel_image.h"
#include "espinfo.h"
#include "loadoption.h"
#include "policy.h"
#include "remote_proto.h"
#include "trace.h"

#include "unittest.h"

#include "testbundle.h"
#include "testauth.h"
#include "testsiglist.h"
#include "testsign.h"
#include "testuki.h"

#include <sys/stat.h>
#include <zstd.h>

static void put(const char *target, const char *name, const void *data, size_t len)
{
	char path[256];
	FILE *f;

	snprintf(path, sizeof path, "fuzz/seeds/%s", target);
	(void)mkdir(path, 0777);
	snprintf(path, sizeof path, "fuzz/seeds/%s/%s", target, name);
	f = fopen(path, "wbe");
	assert_non_null(f);
	assert_int_equal(fwrite(data, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
}

static void put_file(const char *target, const char *name, const char *from)
{
	uint8_t *data;
	size_t len;

	assert_int_equal(read_file(from, 1 << 20, &data, &len), 0);
	put(target, name, data, len);
	free(data);
}

static void records_make(void)
{
	struct record r;
	struct trace t;
	uint8_t bytes[RECORD_BYTES];

	record_init(&r);
	r.sequence = 5;
	r.slots[0].status = SLOT_GOOD;
	r.slots[1].status = SLOT_TRIAL;
	r.slots[1].tries_left = r.slots[1].tries_granted = 3;
	r.watchdog = WATCHDOG_ITCO;
	r.watchdog_flags = WATCHDOG_FLAG_TRIAL;
	r.watchdog_s = 60;
	record_encode(&r, bytes);
	put("fuzz_record", "trial", bytes, RECORD_BYTES);
	trace_plain(1, &t);
	trace_encode(&t, bytes);
	put("fuzz_record", "trace", bytes, TRACE_BYTES);
}

/* The three kinds of index, of a payload of three chunks: in one frame, in blocks, and the same as the
 * second. The block index has its chunks' kinds in front: see fuzz_chunkindex.c. */
static void indexes_make(void)
{
	struct chunk rows[3] = { { .frame = 100, .sha256 = { 1 } }, { .frame = 16 * 20, .blocks = true },
				 { .repeats = true, .same = 1 } };
	struct chunkindex chunks = { CHUNK_MIN_LOG, 3, 3 << CHUNK_MIN_LOG, 0, rows };
	struct blockindex blocks;
	struct base_chunk parts[2] = {
		{ .frame = 50, .region_count = 1, .regions = { { 4096, 8192 } } },
		{ .region_count = 1, .regions = { { 65536, 65529 } } },
	};
	struct baseindex base = { .count = 2, .base_size = 1 << 20, .chunks = parts };
	struct err err = { 0 };
	uint8_t *data, *with;
	size_t len;

	assert_int_equal(chunkindex_encode(&chunks, &data, &len, &err), 0);
	put("fuzz_chunkindex", "chunks", data, len);
	free(data);
	assert_int_equal(blockindex_make(4, 48, &blocks, &err), 0);
	for (uint16_t i = 16; i < 32; i++) {
		blocks.ids[i] = i + 1;
		blocks.lengths[i] = 20;
	}
	assert_int_equal(blockindex_encode(&blocks, &chunks, &data, &len, &err), 0);
	blockindex_clear(&blocks);
	with = malloc(len + 1);
	with[0] = 0x0a;
	memcpy(with + 1, data, len);
	put("fuzz_chunkindex", "blocks", with, len + 1);
	free(with);
	free(data);
	assert_int_equal(baseindex_encode(&base, &data, &len, &err), 0);
	put("fuzz_chunkindex", "base", data, len);
	free(data);
}

/* The frames of a chunk of two blocks and a part of one: see fuzz_chunk_decode.c. */
static void frames_make(void)
{
	enum { LEN = 2 * BLOCK_BYTES + 100, HEAD = 3 };
	static uint8_t chunk[LEN], seed[HEAD + 4 * BLOCK_BYTES];
	size_t end = HEAD;

	for (size_t i = 0; i < LEN; i++)
		chunk[i] = (uint8_t)(i / 512);
	le16_put(seed, LEN - 1);
	for (size_t at = 0; at < LEN; at += BLOCK_BYTES) {
		size_t n = LEN - at < BLOCK_BYTES ? LEN - at : BLOCK_BYTES;

		end += ZSTD_compress(seed + end, sizeof seed - end, chunk + at, n, 3);
	}
	put("fuzz_chunk_decode", "blocks", seed, end);
	le16_put(seed, BLOCK_BYTES - 1);
	end = HEAD + ZSTD_compress(seed + HEAD, sizeof seed - HEAD, chunk, BLOCK_BYTES, 3);
	put("fuzz_chunk_decode", "block", seed, end);
}

/* Its sections moved together, or most of the file would be zeros. Returns its end. */
static uint32_t uki_shrink(struct testuki *uki)
{
	uint32_t end = 1024;

	for (unsigned i = 0; i < uki->count; i++) {
		uint8_t *h = testuki_header(uki, i);
		uint32_t raw = le32_get(h + 16);

		memmove(uki->bytes + end, uki->bytes + le32_get(h + 20), raw);
		le32_put(h + 12, end);
		le32_put(h + 20, end);
		end += raw;
	}
	return end;
}

static void profiles_make(void)
{
	static const char text[] = "ID=slot-b\nTITLE=\"Slot B\"\n";
	static struct testuki uki;
	uint32_t end;

	testuki_make(&uki, "257.1");
	(void)testuki_text(&uki, ".profile", "ID='slot-a'\n");
	(void)testuki_text(&uki, ".cmdline", "root=/dev/a");
	(void)testuki_text(&uki, ".profile", text);
	(void)testuki_text(&uki, ".cmdline", "root=/dev/b");
	end = uki_shrink(&uki);
	put("fuzz_pe", "profiles", uki.bytes, end);
	put("fuzz_profile", "b", (const uint8_t *)text, sizeof text - 1);
}

static void uki_make(void)
{
	static struct testuki uki;
	uint32_t end;

	testuki_make(&uki, "257.1");
	(void)testuki_text(&uki, ".cmdline", "root=/dev/{slot} slot={SLOT}");
	(void)testuki_text(&uki, ".initrd", "initrd");
	(void)testuki_text(&uki, ".osrel", "ID=x\n");
	end = uki_shrink(&uki);
	put("fuzz_pe", "uki", uki.bytes, end);
	put("fuzz_kexec", "uki", uki.bytes, end);
	put("fuzz_kernel_image", "x86", uki.bytes + 1024, KERNEL_IMAGE_HEADER);
}

/* Of the types that matter. */
static void siglist_make(void)
{
	struct testpki p = testpki_make("db");
	struct testlists lists = { .len = 0 };
	uint8_t digest[48] = { 1 }, *der = NULL;
	int len = i2d_X509(p.cert, &der);

	assert_true(len > 0);
	(void)testlists_add(&lists, GUID_SHA256, digest, 32, 1);
	(void)testlists_add(&lists, GUID_X509_SHA256, digest, 48, 1);
	(void)testlists_add(&lists, GUID_X509, der, (size_t)len, 1);
	put("fuzz_siglist", "three", lists.bytes, lists.len);
	OPENSSL_free(der);
	testpki_free(&p);
}

static void auth_make(void)
{
	struct testpki p = testpki_make("KEK");
	struct testlists lists = { .len = 0 };
	struct testauth auth;
	uint8_t *der = NULL;
	int len = i2d_X509(p.cert, &der);

	assert_true(len > 0);
	(void)testlists_add(&lists, GUID_X509, der, (size_t)len, 1);
	testauth_make(&auth, "db", &lists, &p);
	put("fuzz_efi_auth", "bare", auth.bytes, auth.len);
	testauth_make_full(&auth, "db", &lists, &p, (struct testauth_how){ .content_info = true });
	put("fuzz_efi_auth", "content-info", auth.bytes, auth.len);
	OPENSSL_free(der);
	testpki_free(&p);
}

static void signed_make(void)
{
	struct testpki p = testpki_make_full("signer", NULL, EVP_RSA_gen(2048), false, -DAY, DAY,
					     NULL);
	static struct testpe pe;

	testpe_make(&pe);
	testsign(&pe, &p);
	put("fuzz_authenticode", "signed", pe.bytes, pe.size);
	testpki_free(&p);
}

/* Chunks in blocks, the last of which repeats; with a dictionary. */
static void blocks_bundle_make(void)
{
	enum { CHUNK = 1 << CHUNK_MIN_LOG };
	static uint8_t bytes[3 * CHUNK];
	char uki[160], image[160];
	const struct bundle_image images[] = { { .name = "rootfs", .file = image } };
	const struct bundle_create_options o = {
		.output = zip_path, .compatible = "a", .version = "1", .uki = uki, .images = images,
		.image_count = 1, .chunk_log = CHUNK_MIN_LOG,
	};
	struct err err = { 0 };
	uint32_t seed = 1;

	for (size_t i = 0; i < 2 * CHUNK; i++) {
		seed = seed * 1103515245 + 12345;
		bytes[i] = i % 24 ? (uint8_t)(i >> 8) : (uint8_t)(seed >> 20);
	}
	memcpy(bytes + 2 * CHUNK, bytes + CHUNK, CHUNK);
	snprintf(uki, sizeof uki, "%s/uki", dir.path);
	snprintf(image, sizeof image, "%s/image", dir.path);
	testdir_text(&dir, "uki", "MZ");
	testdir_put(&dir, "image", bytes, sizeof bytes);
	if (bundle_create(&o, &err) < 0)
		fail_msg("%s", err.text);
	put_file("fuzz_bundle", "blocks.zip", zip_path);
}

static void bundle_make(void)
{
	testbundle_zip(&good, zip_path);
	put_file("fuzz_bundle", "signed.zip", zip_path);
	blocks_bundle_make();
}

static void loadoption_make(void)
{
	struct esp_info esp = { .part = 1, .sector_size = 512, .start = 2048, .size = 4096 };
	struct err err = { 0 };
	uint8_t *data;
	size_t len;

	for (uint8_t i = 0; i < 16; i++)
		esp.guid[i] = (uint8_t)(i + 1);
	assert_int_equal(loadoption_build(&esp, LOADOPTION_ACTIVE, "slotboot a",
					  "\\EFI\\slotboot\\a\\uki.efi",
					  (const uint8_t *)"x\0y\0\0", 6, &data, &len, &err), 0);
	put("fuzz_loadoption", "slot-a", data, len);
	free(data);
}

/* A byte for the cut, one block of data, the superblock, the tree's top. */
static void verity_make(void)
{
	uint8_t image[1 + 3 * 512] = { 0x80, 'd', 'a', 't', 'a' }, *super = image + 1 + 512;

	memcpy(super, "verity\0\0", 8);
	le32_put(super + 8, 1);
	le32_put(super + 12, 1);
	memcpy(super + 32, "sha256", 6);
	le32_put(super + 64, 512);
	le32_put(super + 68, 512);
	le64_put(super + 72, 1);
	le16_put(super + 80, 4);
	memcpy(super + 88, "salt", 4);
	memcpy(super + 512, "top", 3);
	put("fuzz_verity", "tree", image, sizeof image);
}

/* ACPI WDAT: one entry for each kind of instruction, memory and port. */
static void wdat_make(void)
{
	static const uint8_t rows[][5] = {	/* action, instruction, memory or port, bits, width */
		{ 0x01, 0x02, 1, 16, 2 }, { 0x06, 0x83, 1, 16, 2 }, { 0x08, 0x00, 1, 16, 2 },
		{ 0x09, 0x82, 0, 32, 3 }, { 0x0b, 0x82, 1, 8, 1 }, { 0x20, 0x01, 0, 8, 1 },
	};
	enum { AT = 68, ENTRY = 24, COUNT = sizeof rows / sizeof rows[0] };
	uint8_t table[AT + COUNT * ENTRY] = "WDAT", sum = 0;

	le32_put(table + 4, sizeof table);
	table[8] = 1;
	le32_put(table + 36, 32);
	le32_put(table + 48, 1000);
	le32_put(table + 52, 1023);
	le32_put(table + 56, 4);
	table[60] = 1;
	le32_put(table + 64, COUNT);
	for (unsigned i = 0; i < COUNT; i++) {
		uint8_t *e = table + AT + i * ENTRY;

		e[0] = rows[i][0];
		e[1] = rows[i][1];
		e[4] = rows[i][2];
		e[5] = rows[i][3];
		e[7] = rows[i][4];
		le64_put(e + 8, 0x660 + 2 * i);
		le32_put(e + 16, 1);
		le32_put(e + 20, 0xff);
	}
	for (unsigned i = 0; i < sizeof table; i++)
		sum = (uint8_t)(sum + table[i]);
	table[9] = (uint8_t)-sum;
	put("fuzz_wdat", "tco", table, sizeof table);
}

/* ACPI GTDT: a timer, a watchdog of the secure world, and one that is not. */
static void gwdt_make(void)
{
	enum { AT = 96, TIMER = 20, WATCHDOG = 28 };
	uint8_t table[AT + TIMER + 2 * WATCHDOG] = "GTDT", sum = 0;

	le32_put(table + 4, sizeof table);
	table[8] = 2;
	le32_put(table + 88, 3);
	le32_put(table + 92, AT);
	table[AT + 1] = TIMER;
	for (unsigned i = 0; i < 2; i++) {
		uint8_t *w = table + AT + TIMER + i * WATCHDOG;

		w[0] = 1;
		w[1] = WATCHDOG;
		le64_put(w + 4, 0x50010000 + i * 0x2000);
		le64_put(w + 12, 0x50011000 + i * 0x2000);
		le32_put(w + 24, i == 0 ? 4 : 0);
	}
	for (unsigned i = 0; i < sizeof table; i++)
		sum = (uint8_t)(sum + table[i]);
	table[9] = (uint8_t)-sum;
	put("fuzz_gwdt", "sbsa", table, sizeof table);
}

static void answers_make(void)
{
	const struct { const char *name; struct remote_answer answer; } rows[] = {
		{ "ready", { .word = REMOTE_READY } },
		{ "done", { .word = REMOTE_DONE, .got = 4096, .has_ranges = 1, .requests = 2,
			    .link = { .rtt_us = 20000, .rate = 2500000, .parallel = 4 },
			    .size = 1 << 20, .received = 70000 } },
		{ "failed", { .word = REMOTE_FAILED, .exit = EX_UNAVAILABLE,
			      .text = "failed to fetch http://192.0.2.1/b.zip: the server answered "
				      "404 Not Found" } },
		{ "retrying", { .word = REMOTE_RETRYING, .wait_ms = 1000,
				.text = "Connection refused" } },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		put("fuzz_remote_answer", rows[i].name, &rows[i].answer, sizeof rows[i].answer);
}

static void all(void **state)
{
	(void)state;
	records_make();
	indexes_make();
	frames_make();
	uki_make();
	profiles_make();
	siglist_make();
	auth_make();
	signed_make();
	bundle_make();
	answers_make();
	loadoption_make();
	verity_make();
	wdat_make();
	gwdt_make();
}

int main(void)
{
	const struct CMUnitTest make[] = { TEST(all) };

	return cmocka_run_group_tests(make, setup, teardown);
}
