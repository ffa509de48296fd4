/* SPDX-License-Identifier: MIT */
/* ukifile and the command line a kexec gets, on a small PE file made here. The
 * system call itself is driven in a virtual machine (ovmf-test/test_kexec.py). */
#include "kexec.h"

#include "bytes.h"
#include "native.h"
#include "testdir.h"
#include "ukifile.h"

enum { PE_AT = 64, TABLE_AT = PE_AT + 24 + 112, DATA_AT = 512, FILE_BYTES = 2048 };

static struct config config = { .sysroot = (char *)"/nonexistent" };

static void section_put(uint8_t *file, unsigned index, const char *name, const char *data,
			uint32_t size)
{
	uint8_t *h = file + TABLE_AT + 40 * index;
	uint32_t at = DATA_AT + 256 * index;

	memcpy(h, name, strlen(name));
	le32_put(h + 8, size);
	le32_put(h + 16, size);
	le32_put(h + 20, at);
	memcpy(file + at, data, size);
}

static void uki_put(const struct testdir *dir, uint16_t machine, const char *cmdline,
		    uint32_t cmdline_len, const char *linux_name)
{
	uint8_t file[FILE_BYTES] = { 'M', 'Z' };

	le32_put(file + 0x3c, PE_AT);
	memcpy(file + PE_AT, "PE\0\0", 4);
	le16_put(file + PE_AT + 4, machine);
	le16_put(file + PE_AT + 6, 2);
	le16_put(file + PE_AT + 20, 112);
	le16_put(file + PE_AT + 24, 0x20b);
	section_put(file, 0, ".cmdline", cmdline, cmdline_len);
	section_put(file, 1, linux_name, "kernel", 6);
	testdir_put(dir, "uki.efi", file, sizeof file);
}

static void the_command_line_names_slot_and_nonce(void **state)
{
	static const struct {
		const char *in, *want;
	} rows[] = {
		{ "quiet slotboot.slot=b",
		  "quiet slotboot.slot=b slotboot.nonce=00000000000000ff panic=10" },
		{ "quiet root=B",
		  "quiet root=B slotboot.slot=b slotboot.nonce=00000000000000ff panic=10" },
		{ "", "slotboot.slot=b slotboot.nonce=00000000000000ff panic=10" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct err err = { 0 };
		char *text;

		assert_int_equal(kexec_cmdline(&config, rows[i].in, 1, 255, &text, &err), 0);
		assert_string_equal(text, rows[i].want);
		free(text);
	}
}

static void what_cannot_boot_here_is_refused_by_name(void **state)
{
	static const struct {
		uint16_t machine;
		const char *linux_name, *want;
	} rows[] = {
#if defined(__x86_64__)
		{ PE_MACHINE_AARCH64, ".linux", "is for aarch64" },
#else
		{ PE_MACHINE_X86_64, ".linux", "is for x86-64" },
#endif
		{ 0x14c, ".linux", "is for 32-bit x86" },
		{ NATIVE_MACHINE, ".linus", "no .linux section" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct err err = { 0 };
		struct testdir dir;
		struct ukifile uki;

		testdir_make(&dir);
		uki_put(&dir, rows[i].machine, "", 0, rows[i].linux_name);
		assert_int_equal(ukifile_open(testdir_path(&dir, "uki.efi"), &uki, &err), 0);
		assert_int_equal(ukifile_check(&uki, &err), -1);
		assert_int_equal(err.exit, EX_DATAERR);
		assert_non_null(strstr(err.text, rows[i].want));
		ukifile_close(&uki);
		testdir_remove(&dir);
	}
}

static void a_missing_section_is_an_empty_one(void **state)
{
	struct err err = { 0 };
	struct testdir dir;
	struct ukifile uki;
	uint8_t *data;
	size_t len;

	(void)state;
	testdir_make(&dir);
	uki_put(&dir, NATIVE_MACHINE, "quiet", 5, ".linux");
	assert_int_equal(ukifile_open(testdir_path(&dir, "uki.efi"), &uki, &err), 0);
	assert_int_equal(ukifile_section(&uki, ".initrd", 100, &data, &len, &err), 0);
	assert_int_equal(len, 0);
	free(data);
	assert_int_equal(ukifile_section(&uki, ".linux", 5, &data, &len, &err), -1);
	assert_int_equal(err.exit, EX_DATAERR);
	ukifile_close(&uki);
	testdir_remove(&dir);
}

static void only_old_kernels_without_a_runtime_map_need_the_rsdp(void **state)
{
	(void)state;
	assert_true(kexec_rsdp_needed("4.19.0-20-amd64", false));
	assert_true(kexec_rsdp_needed("5.0.21", false));
	assert_false(kexec_rsdp_needed("4.19.0-20-amd64", true));
	assert_false(kexec_rsdp_needed("5.1.0", false));
	assert_false(kexec_rsdp_needed("6.1.0-18-cloud-amd64", false));
	assert_false(kexec_rsdp_needed("nonsense", false));
}

static void a_nonce_is_never_nought_never_the_same_and_names_its_slot(void **state)
{
	uint64_t a, b, c;

	(void)state;
	assert_int_equal(kexec_nonce_new(0, &a, NULL), 0);
	assert_int_equal(kexec_nonce_new(1, &b, NULL), 0);
	assert_int_equal(kexec_nonce_new(1, &c, NULL), 0);
	assert_true(a > 1 && b > 1 && a >> 1 != b >> 1 && b != c);
	assert_true((a & 1) == 0 && (b & 1) == 1 && (c & 1) == 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_command_line_names_slot_and_nonce),
		cmocka_unit_test(what_cannot_boot_here_is_refused_by_name),
		cmocka_unit_test(a_missing_section_is_an_empty_one),
		cmocka_unit_test(only_old_kernels_without_a_runtime_map_need_the_rsdp),
		cmocka_unit_test(a_nonce_is_never_nought_never_the_same_and_names_its_slot),
	};

	return cmocka_run_group_tests_name("kexec", tests, NULL, NULL);
}
