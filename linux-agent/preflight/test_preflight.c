/* SPDX-License-Identifier: MIT */
/* Every branch of every check, on a tree of files that stand for /proc and /sys. The keys of the
 * signature are tested in test_preflight_key.c. */
#include "testpreflight.h"

static void on_a_sound_machine_every_check_passes(void **state)
{
	struct fixture f;

	(void)state;
	if (NATIVE_MACHINE != PE_MACHINE_X86_64)
		skip();		/* the fixture's kernel is for x86-64 */
	fixture_make(&f);
	run(&f, NULL, 0);
	for (unsigned i = 0; i < f.preflight.count; i++)
		expect(&f, f.preflight.findings[i].check, PREFLIGHT_PASS, 0, "");
	assert_int_equal(f.preflight.verdict, PREFLIGHT_PASS);
	assert_null(preflight_worst(&f.preflight));
	fixture_free(&f);
}

#define NO_LSM { "sys/kernel/security/lsm", NULL }
#define NO_LOCKDOWN { "sys/kernel/security/lockdown", NULL }

static const struct row {
	const char *check;
	enum preflight_verdict verdict;
	int error;
	const char *evidence;
	struct change changes[3];
} rows[] = {
	{ "support", PREFLIGHT_FAIL, ENOSYS, "does not list kexec_add_buffer",
	  { { "proc/kallsyms", "0000000000000000 T kexec_add_buffers\n" } } },
	{ "support", PREFLIGHT_PASS, 0, "CONFIG_KEXEC_FILE=y",
	  { { "proc/kallsyms", NULL }, CONFIG("CONFIG_A=y\nCONFIG_KEXEC_FILE=y\n") } },
	{ "support", PREFLIGHT_FAIL, ENOSYS, "built without CONFIG_KEXEC_FILE",
	  { { "proc/kallsyms", NULL }, CONFIG("# CONFIG_KEXEC_FILE is not set\n") } },
	{ "support", PREFLIGHT_FAIL, ENOSYS, "built without CONFIG_KEXEC_FILE",
	  { { "proc/kallsyms", "" },
	    { "lib/modules/6.1.0-test/config", "NOT_CONFIG_KEXEC_FILE=y\n" } } },
	{ "support", PREFLIGHT_UNKNOWN, ENOSYS, "neither /proc/kallsyms",
	  { { "proc/kallsyms", NULL } } },
	{ "support", PREFLIGHT_FAIL, ENOSYS, "no /sys/kernel/kexec_loaded",
	  { { "sys/kernel/kexec_loaded", NULL } } },
	{ "capability", PREFLIGHT_FAIL, EPERM, "not among",
	  { { "proc/self/status", "Name:\tx\nCapEff:\t000001ffffbfffff\n" } } },
	{ "capability", PREFLIGHT_FAIL, EPERM, "user namespace",
	  { { "proc/self/uid_map", "         0     100000      65536\n" } } },
	{ "capability", PREFLIGHT_PASS, 0, "0000000000400000",
	  { { "proc/self/status", "Name:\tx\nCapEff:\t0000000000400000\n" },
	    { "proc/self/uid_map", NULL } } },
	{ "capability", PREFLIGHT_UNKNOWN, EPERM, "cannot be read",
	  { { "proc/self/status", NULL } } },
	{ "seccomp", PREFLIGHT_UNKNOWN, EPERM, "Seccomp: 2",
	  { { "proc/self/status", "Name:\tx\nCapEff:\t000001ffffffffff\nSeccomp:\t2\n" } } },
	{ "load-disabled", PREFLIGHT_FAIL, EPERM, "kexec_load_disabled is 1",
	  { { "proc/sys/kernel/kexec_load_disabled", "1\n" } } },
	{ "load-disabled", PREFLIGHT_UNKNOWN, EPERM, "cannot be read",
	  { { "proc/sys/kernel/kexec_load_disabled", NULL } } },
	{ "load-limit", PREFLIGHT_FAIL, EPERM, "is spent",
	  { { "proc/sys/kernel/kexec_load_limit_reboot", "0\n" } } },
	{ "load-limit", PREFLIGHT_PASS, 0, "leaves 1 load;",
	  { { "proc/sys/kernel/kexec_load_limit_reboot", "1\n" } } },
	{ "load-limit", PREFLIGHT_PASS, 0, "not limited",
	  { { "proc/sys/kernel/kexec_load_limit_reboot", "-1\n" } } },
	{ "load-limit", PREFLIGHT_UNKNOWN, EPERM, "cannot be read",
	  { { "proc/sys/kernel/kexec_load_limit_reboot", "many\n" } } },
	{ "memfd", PREFLIGHT_PASS, 0, "memfd_noexec is 2",
	  { { "proc/sys/vm/memfd_noexec", "2\n" } } },
	{ "loadpin", PREFLIGHT_FAIL, EPERM, "LoadPin enforces",
	  { { "sys/kernel/security/lsm", "lockdown,loadpin\n" },
	    { "proc/sys/kernel/loadpin/enforce", "1\n" } } },
	{ "loadpin", PREFLIGHT_PASS, 0, "enforce is 0",
	  { { "sys/kernel/security/lsm", "loadpin\n" },
	    { "proc/sys/kernel/loadpin/enforce", "0\n" } } },
	{ "loadpin", PREFLIGHT_PASS, 0, "leaves kexec out",
	  { { "sys/kernel/security/lsm", "loadpin\n" },
	    { "proc/sys/kernel/loadpin/enforce", "1\n" },
	    { "proc/cmdline", "a loadpin.exclude=module,kexec-image,kexec-initramfs b\n" } } },
	{ "loadpin", PREFLIGHT_FAIL, EPERM, "LoadPin enforces",
	  { { "sys/kernel/security/lsm", "loadpin\n" },
	    { "proc/sys/kernel/loadpin/enforce", "1\n" },
	    { "proc/cmdline", "loadpin.exclude=kexec-image,module\n" } } },
	{ "loadpin", PREFLIGHT_UNKNOWN, EPERM, "whether it enforces",
	  { { "sys/kernel/security/lsm", "loadpin\n" } } },
	{ "loadpin", PREFLIGHT_PASS, 0, "there is no LoadPin", { NO_LSM } },
	{ "loadpin", PREFLIGHT_FAIL, EPERM, "LoadPin enforces",
	  { NO_LSM, { "proc/sys/kernel/loadpin/enforce", "1\n" } } },
	{ "ima", PREFLIGHT_FAIL, EACCES, "func=KEXEC_KERNEL_CHECK appraise_type=imasig\"",
	  { { "sys/kernel/security/ima/policy", "measure func=KEXEC_KERNEL_CHECK\n"
	      "appraise func=KEXEC_KERNEL_CHECK appraise_type=imasig\nx\n" } } },
	{ "ima", PREFLIGHT_FAIL, EACCES, "KEXEC_INITRAMFS_CHECK",
	  { { "sys/kernel/security/ima/policy", "appraise func=KEXEC_INITRAMFS_CHECK" } } },
	{ "ima", PREFLIGHT_UNKNOWN, EACCES, "appended signatures",
	  { { "sys/kernel/security/ima/policy",
	      "appraise func=KEXEC_KERNEL_CHECK appraise_type=imasig|modsig\n" } } },
	{ "ima", PREFLIGHT_PASS, 0, "no rule",
	  { { "sys/kernel/security/ima/policy", "measure func=KEXEC_KERNEL_CHECK\n" } } },
	{ "ima", PREFLIGHT_PASS, 0, "does not enforce",
	  { { "sys/kernel/security/ima/policy", "appraise func=KEXEC_KERNEL_CHECK\n" },
	    { "proc/cmdline", "ima_appraise=log\n" } } },
	{ "ima", PREFLIGHT_FAIL, EACCES, "ima_policy=secure_boot",
	  { { "proc/cmdline", "ima_policy=tcb|secure_boot\n" } } },
	{ "ima", PREFLIGHT_PASS, 0, "nothing has IMA", { { "proc/cmdline", "ima_policy=tcb\n" } } },
	{ "ima", PREFLIGHT_UNKNOWN, EACCES, "/etc/ima/ima-policy",
	  { { "etc/ima/ima-policy", "whatever\n" } } },
	{ "signature", PREFLIGHT_PASS, 0, "is not signed, and no signature is demanded: kernel "
	  "lockdown is none", { { NULL, NULL } } },
	{ "signature", PREFLIGHT_FAIL, EPERM, "is not signed; kernel lockdown is integrity",
	  { { "sys/kernel/security/lockdown", "none [integrity] confidentiality\n" } } },
	{ "signature", PREFLIGHT_FAIL, EPERM, "lockdown is confidentiality",
	  { { "sys/kernel/security/lockdown", "none integrity [confidentiality]\n" } } },
	{ "signature", PREFLIGHT_UNKNOWN, EPERM, "cannot be understood",
	  { { "sys/kernel/security/lockdown", "none\n" } } },
	{ "signature", PREFLIGHT_PASS, 0, "has no lockdown", { NO_LOCKDOWN } },
	{ "signature", PREFLIGHT_FAIL, EPERM, "lockdown= of the running kernel",
	  { NO_LSM, NO_LOCKDOWN, { "proc/cmdline", "lockdown=integrity\n" } } },
	{ "signature", PREFLIGHT_PASS, 0, "nothing asks for kernel lockdown",
	  { NO_LSM, NO_LOCKDOWN } },
	{ "signature", PREFLIGHT_PASS, 0, "has no lockdown",
	  { NO_LSM, NO_LOCKDOWN, CONFIG("CONFIG_KEXEC=y\n") } },
	{ "signature", PREFLIGHT_UNKNOWN, EPERM, "securityfs is not mounted",
	  { NO_LSM, NO_LOCKDOWN, CONFIG("CONFIG_SECURITY_LOCKDOWN_LSM=y\n"
					"CONFIG_LOCK_DOWN_KERNEL_FORCE_INTEGRITY=y\n") } },
	{ "signature", PREFLIGHT_FAIL, ENODATA, "CONFIG_KEXEC_SIG_FORCE",
	  { CONFIG("CONFIG_KEXEC_SIG=y\nCONFIG_KEXEC_SIG_FORCE=y\n") } },
	{ "segments", PREFLIGHT_FAIL, EINVAL, "more than half",
	  { { "proc/meminfo", "MemTotal: 307196 kB\nMemAvailable: 300000 kB\n" } } },
	{ "segments", PREFLIGHT_PASS, 0, "half of memory",
	  { { "proc/meminfo", "MemTotal: 307200 kB\nMemAvailable: 300000 kB\n" } } },
	{ "segments", PREFLIGHT_UNKNOWN, EINVAL, "does not tell", { { "proc/meminfo", NULL } } },
	{ "memory", PREFLIGHT_UNKNOWN, ENOMEM, "does not tell", { { "proc/meminfo", NULL } } },
	{ "memory", PREFLIGHT_FAIL, ENOMEM, "250 MiB for a moment; 195 MiB are available",
	  { { "proc/meminfo", "MemTotal: 1000000 kB\nMemAvailable: 200000 kB\nSwapFree: 50000 kB\n" } } },
	{ "memory", PREFLIGHT_UNKNOWN, ENOMEM, "if others go to swap",
	  { { "proc/meminfo", "MemTotal: 1000000 kB\nMemAvailable: 200000 kB\nSwapFree: 60000 kB\n" } } },
};

static void each_branch_gives_its_verdict_errno_evidence_and_fix(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct fixture f;

		fixture_make(&f);
		run(&f, rows[i].changes, ARRAY_SIZE(rows[i].changes));
		expect(&f, rows[i].check, rows[i].verdict, rows[i].error, rows[i].evidence);
		fixture_free(&f);
	}
}

static void secure_boot_may_demand_a_signature(void **state)
{
	static const struct {
		int secure_boot;
		enum preflight_verdict verdict;
		int error;
		const char *evidence;
		struct change changes[2];
	} wanted[] = {
		{ 0, PREFLIGHT_PASS, 0, "no Secure Boot", { NO_LSM, NO_LOCKDOWN } },
		{ -1, PREFLIGHT_UNKNOWN, EPERM, "securityfs is not mounted", { NO_LSM, NO_LOCKDOWN } },
		{ 1, PREFLIGHT_UNKNOWN, EPERM, "securityfs is not mounted", { NO_LSM, NO_LOCKDOWN } },
		{ 1, PREFLIGHT_FAIL, ENODATA, "CONFIG_IMA_ARCH_POLICY",
		  { CONFIG("CONFIG_KEXEC_SIG=y\nCONFIG_IMA_ARCH_POLICY=y\n") } },
		{ 0, PREFLIGHT_PASS, 0, "lockdown is none",
		  { CONFIG("CONFIG_KEXEC_SIG=y\nCONFIG_IMA_ARCH_POLICY=y\n") } },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(wanted); i++) {
		struct fixture f;

		fixture_make(&f);
		f.input.secure_boot = wanted[i].secure_boot;
		run(&f, wanted[i].changes, ARRAY_SIZE(wanted[i].changes));
		expect(&f, "signature", wanted[i].verdict, wanted[i].error, wanted[i].evidence);
		fixture_free(&f);
	}
}

/* One field of the image is changed in each row. */
static void each_objection_to_the_image_is_named(void **state)
{
	static const struct {
		size_t at;
		uint32_t value;
		const char *check;
		int error;
		const char *evidence;
	} images[] = {
		{ 0x1fe, 0, "format", ENOEXEC, "boot flag" },
		{ 0x202, 0, "format", ENOEXEC, "no setup header" },
		{ 0x206, 0x020b, "format", ENOEXEC, "older than 2.12 (protocol 2.11)" },
		{ 0x210, 0, "format", ENOEXEC, "a zImage" },
		{ 0x236, 0x7e, "format", ENOEXEC, "no 64-bit entry" },
		{ 0x236, 0x7d, "format", ENOEXEC, "above 4 GiB" },
		{ 0x1f0, 0xff00, "format", ENOEXEC, "shorter than its own setup" },
		{ 4, 0x676d697a, "format", ENOEXEC, "EFI zboot" },
		{ 0x238, 53, "command-line", EINVAL, "has 53 bytes" },
		{ 0x260, 0x7fffffff, "segments", EINVAL, "2047 MiB" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(images); i++) {
		struct fixture f;

		fixture_make(&f);
		if (images[i].at == 4)
			memset(f.pe.bytes + 0x202, 0, 4);
		le32_put(f.pe.bytes + images[i].at, images[i].value);
		run(&f, NULL, 0);
		expect(&f, images[i].check, PREFLIGHT_FAIL, images[i].error, images[i].evidence);
		fixture_free(&f);
	}
}

static void the_command_line_may_have_one_byte_less_than_the_header_says(void **state)
{
	static const struct {
		uint32_t size;
		enum preflight_verdict verdict;
		int error;
		const char *evidence;
	} lines[] = {
		{ 54, PREFLIGHT_PASS, 0, "53 bytes of at most 53" },
		{ 53, PREFLIGHT_FAIL, EINVAL, "takes at most 52" },
		{ 0, PREFLIGHT_UNKNOWN, EINVAL, "does not say" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		struct fixture f;

		fixture_make(&f);
		le32_put(f.pe.bytes + 0x238, lines[i].size);
		run(&f, NULL, 0);
		expect(&f, "command-line", lines[i].verdict, lines[i].error, lines[i].evidence);
		fixture_free(&f);
	}
}

static void arm64_takes_an_image_and_2047_bytes_of_command_line(void **state)
{
	static const struct {
		const char *name;		/* in the header's second word */
		const char *magic;
		const char *check;
		size_t line;
		int error;
		const char *evidence;
	} images[] = {
		{ "", "ARM\x64", "format", 53, 0, "an arm64 Image, not compressed" },
		{ "", "ARM\x64", "command-line", 53, 0, "53 bytes of at most 2047" },
		{ "", "ARM\x64", "command-line", 2047, 0, "2047 bytes of at most 2047" },
		{ "", "ARM\x64", "command-line", 2048, EINVAL, "takes at most 2047" },
		{ "zimg", "\xcd\x23\x82\x81", "format", 53, EINVAL, "EFI zboot" },
		{ "", "", "format", 53, EINVAL, "no header of an arm64 Image" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(images); i++) {
		char line[2049] = "";
		struct fixture f;

		fixture_make(&f);
		f.machine = PE_MACHINE_AARCH64;
		memset(f.pe.bytes + 0x202, 0, 4);
		memcpy(f.pe.bytes + 4, images[i].name, strlen(images[i].name));
		memcpy(f.pe.bytes + 56, images[i].magic, strlen(images[i].magic));
		memset(line, 'x', images[i].line);
		f.input.cmdline = line;
		run(&f, NULL, 0);
		expect(&f, images[i].check, images[i].error ? PREFLIGHT_FAIL : PREFLIGHT_PASS,
		       images[i].error, images[i].evidence);
		fixture_free(&f);
	}
}

static void five_level_paging_and_32_bit_firmware_matter(void **state)
{
	static const struct {
		struct change changes[2];
		enum preflight_verdict verdict;
		const char *evidence;
	} machines[] = {
		{ { { "proc/cpuinfo", "flags : lm la57\n" }, CONFIG("CONFIG_X86_5LEVEL=y\n") },
		  PREFLIGHT_FAIL, "as the running kernel has it" },
		{ { { "proc/cpuinfo", "flags : lm la57\n" }, CONFIG("CONFIG_X=y\n") },
		  PREFLIGHT_PASS, "bzImage" },
		{ { { "proc/cpuinfo", "flags : lm la57\n" } }, PREFLIGHT_UNKNOWN, "cannot be seen" },
		{ { { "proc/cpuinfo", NULL } }, PREFLIGHT_UNKNOWN, "cannot be seen" },
		{ { { "sys/firmware/efi/fw_platform_size", "32\n" } }, PREFLIGHT_FAIL, "32-bit" },
		{ { { "sys/firmware/efi/fw_platform_size", "64\n" } }, PREFLIGHT_PASS, "bzImage" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(machines); i++) {
		struct fixture f;

		fixture_make(&f);
		le16_put(f.pe.bytes + 0x236, 0x5f);
		run(&f, machines[i].changes, 2);
		expect(&f, "format", machines[i].verdict,
		       machines[i].verdict == PREFLIGHT_PASS ? 0 : ENOEXEC, machines[i].evidence);
		fixture_free(&f);
	}
}

static int errno_explain(struct fixture *f, int error, struct err *err)
{
	int r;

	*err = (struct err){ 0 };
	uki_open(f);
	r = preflight_error(&f->input, error, err);
	ukifile_close(&f->uki);
	return r;
}

static void an_errno_is_turned_into_its_cause(void **state)
{
	struct fixture f;
	struct err err;

	(void)state;
	fixture_make(&f);
	testdir_text(&f.dir, "proc/sys/kernel/kexec_load_disabled", "1\n");
	assert_int_equal(errno_explain(&f, EPERM, &err), -1);
	assert_int_equal(err.exit, EX_NOPERM);
	assert_non_null(strstr(err.text, "uki.efi for kexec: kernel.kexec_load_disabled is 1 ("));
	assert_non_null(strstr(err.text, "cannot be taken back"));
	/* A check that fails with another errno is not the cause. */
	assert_int_equal(errno_explain(&f, EINVAL, &err), 0);
	assert_int_equal(err.exit, 0);
	testdir_text(&f.dir, "proc/sys/kernel/kexec_load_disabled", "0\n");
	testdir_text(&f.dir, "etc/ima/ima-policy", "x\n");
	assert_int_equal(errno_explain(&f, EACCES, &err), -1);
	assert_non_null(strstr(err.text, "perhaps, an IMA policy"));
	fixture_free(&f);
}

static void the_first_failure_decides_and_beats_what_is_unknown(void **state)
{
	static const struct change changes[] = {
		{ "proc/self/status", "Name:\tx\nCapEff:\t000001ffffffffff\nSeccomp:\t2\n" },
		{ "proc/sys/kernel/kexec_load_disabled", "1\n" },
		{ "sys/kernel/security/lockdown", "none [integrity] x\n" },
	};
	struct fixture f;

	(void)state;
	if (NATIVE_MACHINE != PE_MACHINE_X86_64)
		skip();		/* the fixture's kernel is for x86-64 */
	fixture_make(&f);
	run(&f, changes, 1);
	assert_int_equal(f.preflight.verdict, PREFLIGHT_UNKNOWN);
	assert_string_equal(preflight_worst(&f.preflight)->check, "seccomp");
	run(&f, changes, 3);
	assert_int_equal(f.preflight.verdict, PREFLIGHT_FAIL);
	assert_string_equal(preflight_worst(&f.preflight)->check, "load-disabled");
	fixture_free(&f);
}

static void loadpin_takes_the_files_that_the_configuration_names(void **state)
{
	static const struct change changes[] = {
		{ "sys/kernel/security/lsm", "loadpin\n" },
		{ "proc/sys/kernel/loadpin/enforce", "1\n" },
	};
	struct fixture f;

	(void)state;
	fixture_make(&f);
	f.input.pinned = true;
	run(&f, changes, 2);
	expect(&f, "loadpin", PREFLIGHT_PASS, 0, "names files for it");
	fixture_free(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(on_a_sound_machine_every_check_passes),
		cmocka_unit_test(each_branch_gives_its_verdict_errno_evidence_and_fix),
		cmocka_unit_test(secure_boot_may_demand_a_signature),
		cmocka_unit_test(each_objection_to_the_image_is_named),
		cmocka_unit_test(the_command_line_may_have_one_byte_less_than_the_header_says),
		cmocka_unit_test(arm64_takes_an_image_and_2047_bytes_of_command_line),
		cmocka_unit_test(five_level_paging_and_32_bit_firmware_matter),
		cmocka_unit_test(an_errno_is_turned_into_its_cause),
		cmocka_unit_test(loadpin_takes_the_files_that_the_configuration_names),
		cmocka_unit_test(the_first_failure_decides_and_beats_what_is_unknown),
	};

	return cmocka_run_group_tests_name("preflight", tests, NULL, NULL);
}
