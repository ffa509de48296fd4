/* SPDX-License-Identifier: MIT */
/* A slot's directory with UKI, manifest and signature, spoilt in one place each: once
 * without uki.index beside them and once with it. */
#include "slot_uki.h"

#include "bytes.h"
#include "cms.h"
#include "testindex.h"
#include "testpki.h"
#include "io.h"
#include "native.h"

#include <fcntl.h>
#include <openssl/sha.h>

enum { UKI_BYTES = 2 * 1024 * 1024 + 777 };	/* more than one chunk */

struct fixture {
	struct testdir dir;
	struct testpki signer, stranger;
	uint8_t *uki;
	struct slot slot;
	struct slot_uki_trust trust;
	uint8_t *index;		/* of uki, in three chunks */
	size_t index_len;
	char keyring[128];
};

static bool with_index;

/* PE headers with one section; the rest is any bytes. */
static uint8_t *uki_make(void)
{
	uint8_t *file = malloc(UKI_BYTES);

	assert_non_null(file);
	for (size_t i = 0; i < UKI_BYTES; i++)
		file[i] = (uint8_t)(i * 13);
	memset(file, 0, 512);
	memcpy(file, "MZ", 2);
	le32_put(file + 0x3c, 64);
	memcpy(file + 64, "PE\0\0", 4);
	le16_put(file + 68, NATIVE_MACHINE);
	le16_put(file + 70, 1);
	le16_put(file + 84, 112);
	le16_put(file + 88, 0x20b);
	memcpy(file + 200, ".linux", 6);
	le32_put(file + 208, 1000);
	le32_put(file + 216, 1000);
	le32_put(file + 220, 1024);
	return file;
}

static void manifest_put(struct fixture *f, const struct testpki *signer)
{
	char json[512], hex[65], index_hex[65], path[128], cert[128];
	uint8_t *sig, sha256[32];
	size_t len;

	hex_encode(f->slot.uki_sha256, 32, hex);
	SHA256(f->index, f->index_len, sha256);
	hex_encode(sha256, 32, index_hex);
	snprintf(json, sizeof json, "{\"format\":2,\"compatible\":\"acme\",\"version\":\"2\","
		 "\"payloads\":[{\"type\":\"uki\",\"file\":\"uki.efi.zst\",\"size\":%d,"
		 "\"sha256\":\"%s\",\"index\":{\"file\":\"uki.index\",\"size\":%zu,"
		 "\"sha256\":\"%s\"}}]}", UKI_BYTES, hex, f->index_len, index_hex);
	testdir_text(&f->dir, "manifest.json", json);
	snprintf(path, sizeof path, "%s/%s.key", f->dir.path,
		 signer == &f->signer ? "signer" : "stranger");
	snprintf(cert, sizeof cert, "%s/%s.crt", f->dir.path,
		 signer == &f->signer ? "signer" : "stranger");
	assert_int_equal(cms_sign_detached((uint8_t *)json, strlen(json), path, cert, &sig, &len,
					   NULL), 0);
	testdir_put(&f->dir, "manifest.p7s", sig, len);
	free(sig);
}

static void index_make(struct fixture *f)
{
	struct chunkindex index;

	free(f->index);
	testindex_make(&index, 20, f->uki, UKI_BYTES);
	assert_int_equal(chunkindex_encode(&index, &f->index, &f->index_len, NULL), 0);
	chunkindex_clear(&index);
}

static void index_put(const struct fixture *f)
{
	if (with_index)
		testdir_put(&f->dir, "uki.index", f->index, f->index_len);
}

/* The UKI as it is now becomes the slot's. */
static void uki_put(struct fixture *f)
{
	testdir_put(&f->dir, "uki.efi", f->uki, UKI_BYTES);
	f->slot = (struct slot){ .flags = SLOT_FLAG_DIGEST, .uki_size = UKI_BYTES };
	SHA256(f->uki, UKI_BYTES, f->slot.uki_sha256);
	index_make(f);
}

static void fixture_make(struct fixture *f)
{
	*f = (struct fixture){ 0 };
	testdir_make(&f->dir);
	f->signer = testpki_make("release");
	f->stranger = testpki_make("stranger");
	testpki_write(&f->signer, &f->dir, "signer");
	testpki_write(&f->stranger, &f->dir, "stranger");
	snprintf(f->keyring, sizeof f->keyring, "%s/signer.crt", f->dir.path);
	f->trust = (struct slot_uki_trust){ .slot = &f->slot, .keyring = f->keyring,
					    .compatible = "acme" };
	f->uki = uki_make();
	uki_put(f);
	index_put(f);
	manifest_put(f, &f->signer);
}

static void fixture_free(struct fixture *f)
{
	testdir_remove(&f->dir);
	testpki_free(&f->signer);
	testpki_free(&f->stranger);
	free(f->uki);
	free(f->index);
}

static int run(struct fixture *f, struct slot_uki *e, struct err *err)
{
	*err = (struct err){ 0 };
	return slot_uki_open(f->dir.path, &f->trust, e, err);
}

static void refused(struct fixture *f, int exit, const char *want)
{
	struct slot_uki e;
	struct err err;

	assert_int_equal(run(f, &e, &err), -1);
	assert_int_equal(err.exit, exit);
	if (!strstr(err.text, want))
		fail_msg("\"%s\" does not say \"%s\"", err.text, want);
}

static void what_was_installed_is_taken_into_sealed_memory(void **state)
{
	struct fixture f;
	struct slot_uki e;
	struct err err;
	uint8_t *copy = malloc(UKI_BYTES);
	char text[200];

	(void)state;
	fixture_make(&f);
	assert_int_equal(run(&f, &e, &err), 0);
	assert_int_equal(e.basis, SLOT_UKI_MANIFEST);
	assert_int_equal(e.by_chunks, with_index);
	assert_string_equal(e.signer, "O=Acme, CN=release");
	slot_uki_text(&e, text, sizeof text);
	assert_non_null(strstr(text, "CN=release"));
	assert_int_equal(fcntl(e.uki.fd, F_GET_SEALS) & (F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK),
			 F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK);
	testdir_text(&f.dir, "uki.efi", "changed after it was checked");
	assert_int_equal(pread_full(e.uki.fd, copy, UKI_BYTES, 0), 0);
	assert_memory_equal(copy, f.uki, UKI_BYTES);
	slot_uki_close(&e);
	free(copy);
	fixture_free(&f);
}

static void one_changed_byte_is_refused(void **state)
{
	static const size_t places[] = { 0x30, 1024, 1024 * 1024 - 1, 1024 * 1024, UKI_BYTES - 1 };
	struct fixture f;

	(void)state;
	fixture_make(&f);
	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		f.uki[places[i]] ^= 1;
		testdir_put(&f.dir, "uki.efi", f.uki, UKI_BYTES);
		f.uki[places[i]] ^= 1;
		refused(&f, EX_DATAERR, "not that of the signed manifest");
		f.slot.flags = 0;
		refused(&f, EX_DATAERR, "not that of the signed manifest");
		f.slot.flags = SLOT_FLAG_DIGEST;
	}
	testdir_put(&f.dir, "uki.efi", f.uki, UKI_BYTES - 1);
	refused(&f, EX_DATAERR, "not that of the signed manifest");
	assert_int_equal(remove(testdir_path(&f.dir, "manifest.p7s")), 0);
	refused(&f, EX_DATAERR, "not that of the slot record");
	f.uki[1024] ^= 1;
	testdir_put(&f.dir, "uki.efi", f.uki, UKI_BYTES);
	refused(&f, EX_DATAERR, "not that of the slot record");
	fixture_free(&f);
}

static void uki_and_manifest_changed_together_are_refused(void **state)
{
	struct fixture f;

	(void)state;
	fixture_make(&f);
	f.uki[5000] ^= 1;
	testdir_put(&f.dir, "uki.efi", f.uki, UKI_BYTES);
	SHA256(f.uki, UKI_BYTES, f.slot.uki_sha256);
	f.slot.flags = 0;
	manifest_put(&f, &f.stranger);
	refused(&f, EX_DATAERR, "who is not in the keyring");
	testdir_text(&f.dir, "manifest.p7s", "nonsense");
	refused(&f, EX_DATAERR, "not a CMS signature");
	fixture_free(&f);
}

static void a_signed_manifest_with_another_digest_is_refused_even_if_the_record_agrees(void **state)
{
	struct fixture f;

	(void)state;
	fixture_make(&f);
	f.uki[5000] ^= 1;
	testdir_put(&f.dir, "uki.efi", f.uki, UKI_BYTES);
	SHA256(f.uki, UKI_BYTES, f.slot.uki_sha256);
	refused(&f, EX_DATAERR, "not that of the signed manifest");
	fixture_free(&f);
}

static void a_slot_without_a_signed_manifest_goes_by_its_record(void **state)
{
	struct fixture f;
	struct slot_uki e;
	struct err err;

	(void)state;
	fixture_make(&f);
	assert_int_equal(remove(testdir_path(&f.dir, "manifest.p7s")), 0);
	assert_int_equal(run(&f, &e, &err), 0);
	assert_int_equal(e.basis, SLOT_UKI_RECORD);
	slot_uki_close(&e);
	f.slot.flags = 0;
	assert_int_equal(run(&f, &e, &err), 0);
	assert_int_equal(e.basis, SLOT_UKI_NOTHING);
	slot_uki_close(&e);
	f.trust.slot = NULL;
	assert_int_equal(run(&f, &e, &err), 0);
	assert_int_equal(e.basis, SLOT_UKI_NOTHING);
	slot_uki_close(&e);
	fixture_free(&f);
}

static void where_a_signed_manifest_is_demanded_nothing_else_will_do(void **state)
{
	struct fixture f;
	struct slot_uki e;
	struct err err;

	(void)state;
	fixture_make(&f);
	f.trust.demand = "Secure Boot is on";
	assert_int_equal(run(&f, &e, &err), 0);
	assert_int_equal(e.basis, SLOT_UKI_MANIFEST);
	slot_uki_close(&e);
	assert_int_equal(remove(testdir_path(&f.dir, "manifest.p7s")), 0);
	refused(&f, EX_DATAERR, "no signed manifest beside it (manifest.p7s), and needs one, because "
		"Secure Boot is on; install the slot again, or reboot through the firmware");
	f.trust.slot = NULL;
	refused(&f, EX_DATAERR, "no signed manifest");
	fixture_free(&f);
}

static void a_signed_manifest_must_fit_machine_and_floor(void **state)
{
	static const struct {
		const char *compatible, *floor;
		int exit;		/* 0: taken */
		const char *want;
	} rows[] = {
		{ "acme", NULL, 0, "" },
		{ "acme", "1.9", 0, "" },
		{ "acme", "2", 0, "" },		/* the manifest's own */
		{ "acme", "2.0.1", EX_DATAERR, "version 2, which is lower than this machine's rollback "
		  "floor 2.0.1: no kexec into it; a reboot through the firmware" },
		{ "umbrella", NULL, EX_DATAERR, "is for acme by the signed manifest beside it, and this "
		  "machine is umbrella" },
		{ NULL, NULL, EX_CONFIG, "compatible= is not set" },
	};
	struct fixture f;

	(void)state;
	fixture_make(&f);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct slot_uki e;
		struct err err;

		f.trust.compatible = rows[i].compatible;
		f.trust.floor = rows[i].floor;
		if (rows[i].exit) {
			refused(&f, rows[i].exit, rows[i].want);
			continue;
		}
		assert_int_equal(run(&f, &e, &err), 0);
		slot_uki_close(&e);
	}
	fixture_free(&f);
}

static void what_is_missing_is_named(void **state)
{
	struct fixture f;

	(void)state;
	fixture_make(&f);
	assert_int_equal(remove(testdir_path(&f.dir, "manifest.json")), 0);
	refused(&f, EX_DATAERR, "manifest.json is not");
	manifest_put(&f, &f.signer);
	assert_int_equal(remove(f.keyring), 0);
	refused(&f, EX_CONFIG, "keyring");
	assert_int_equal(remove(testdir_path(&f.dir, "uki.efi")), 0);
	refused(&f, EX_NOINPUT, "uki.efi");
	assert_int_equal(mkdir(testdir_path(&f.dir, "uki.efi"), 0755), 0);
	refused(&f, EX_DATAERR, "is not a file");
	fixture_free(&f);
}

static void a_file_that_is_no_uki_is_refused_though_its_digest_is_right(void **state)
{
	struct fixture f;

	(void)state;
	fixture_make(&f);
	memset(f.uki, 0, 2);
	uki_put(&f);
	index_put(&f);
	manifest_put(&f, &f.signer);
	refused(&f, EX_DATAERR, "not a PE file");
	fixture_free(&f);
}

static void an_index_that_is_not_the_manifests_is_ignored(void **state)
{
	struct fixture f;
	struct slot_uki e;
	struct err err;

	(void)state;
	fixture_make(&f);
	for (size_t len = 0; len < f.index_len; len += 20) {
		testdir_put(&f.dir, "uki.index", f.index, len);
		assert_int_equal(run(&f, &e, &err), 0);
		assert_false(e.by_chunks);
		slot_uki_close(&e);
	}
	f.uki[5000] ^= 1;		/* a changed UKI, and an index that fits it */
	testdir_put(&f.dir, "uki.efi", f.uki, UKI_BYTES);
	index_make(&f);
	testdir_put(&f.dir, "uki.index", f.index, f.index_len);
	refused(&f, EX_DATAERR, "not that of the signed manifest");
	fixture_free(&f);
}

/* Whoever signed it: it is no index of this UKI. */
static void an_index_that_cannot_be_read_is_ignored_and_a_signed_one_is_believed(void **state)
{
	struct fixture f;
	struct slot_uki e;
	struct err err;

	(void)state;
	fixture_make(&f);
	f.index[0] ^= 1;
	testdir_put(&f.dir, "uki.index", f.index, f.index_len);
	manifest_put(&f, &f.signer);
	assert_int_equal(run(&f, &e, &err), 0);
	assert_false(e.by_chunks);
	slot_uki_close(&e);
	f.index[0] ^= 1;
	f.index[f.index_len - 36] ^= 1;		/* the last chunk's digest */
	testdir_put(&f.dir, "uki.index", f.index, f.index_len);
	manifest_put(&f, &f.signer);
	refused(&f, EX_DATAERR, "not that of the signed manifest");
	f.index[f.index_len - 36] ^= 1;
	testdir_put(&f.dir, "uki.index", f.index, f.index_len);
	f.slot.uki_sha256[0] ^= 1;		/* of the manifest, and of the record as well */
	manifest_put(&f, &f.signer);
	assert_int_equal(run(&f, &e, &err), 0);
	slot_uki_close(&e);
	fixture_free(&f);
}

static void another_manifest_with_its_index_is_refused_by_the_record(void **state)
{
	struct fixture f;

	(void)state;
	fixture_make(&f);
	f.slot.uki_sha256[0] ^= 1;
	refused(&f, EX_DATAERR, "not that of the slot record");
	fixture_free(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_installed_is_taken_into_sealed_memory),
		cmocka_unit_test(one_changed_byte_is_refused),
		cmocka_unit_test(uki_and_manifest_changed_together_are_refused),
		cmocka_unit_test(a_signed_manifest_with_another_digest_is_refused_even_if_the_record_agrees),
		cmocka_unit_test(a_slot_without_a_signed_manifest_goes_by_its_record),
		cmocka_unit_test(where_a_signed_manifest_is_demanded_nothing_else_will_do),
		cmocka_unit_test(a_signed_manifest_must_fit_machine_and_floor),
		cmocka_unit_test(what_is_missing_is_named),
		cmocka_unit_test(a_file_that_is_no_uki_is_refused_though_its_digest_is_right),
		cmocka_unit_test(an_index_that_is_not_the_manifests_is_ignored),
		cmocka_unit_test(an_index_that_cannot_be_read_is_ignored_and_a_signed_one_is_believed),
		cmocka_unit_test(another_manifest_with_its_index_is_refused_by_the_record),
	};
	int failed = cmocka_run_group_tests_name("slot_uki", tests, NULL, NULL);

	with_index = true;
	return failed + cmocka_run_group_tests_name("slot_uki with an index", tests, NULL, NULL);
}
