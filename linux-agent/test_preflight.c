/* SPDX-License-Identifier: MIT */
/* Every branch of every check, on a tree of files in the place of /proc and /sys. */
#include "preflight.h"

#include "testsign.h"
#include "util.h"

#include <fcntl.h>
#include <sys/mman.h>

static const char *const baseline[][2] = {
	{ "proc/self/status", "Name:\tslotctl\nCapEff:\t000001ffffffffff\nSeccomp:\t0\n" },
	{ "proc/self/uid_map", "         0          0 4294967295\n" },
	{ "proc/cmdline", "quiet\n" },
	{ "proc/cpuinfo", "flags\t\t: fpu lm\n" },
	{ "proc/kallsyms", "0000000000000000 T start\n0000000000000000 T kexec_add_buffer\n" },
	{ "proc/meminfo", "MemTotal:        1000000 kB\nMemAvailable:     800000 kB\n"
			  "SwapFree:              0 kB\n" },
	{ "proc/sys/kernel/osrelease", "6.1.0-test\n" },
	{ "proc/sys/kernel/kexec_load_disabled", "0\n" },
	{ "sys/kernel/kexec_loaded", "0\n" },
	{ "sys/kernel/security/lsm", "lockdown,capability,yama\n" },
	{ "sys/kernel/security/lockdown", "[none] integrity confidentiality\n" },
};

enum { LINUX_AT = 1024, RING_BUILTIN = 0x11, RING_PLATFORM = 0x12, KEY = 0x2a };

struct change {
	const char *path, *text;	/* text NULL: the file is removed */
};

struct fixture {
	struct testdir dir;
	struct testpe pe;
	struct ukifile uki;
	struct preflight_input input;
	struct preflight preflight;
};

/* .linux: a PE image with a setup header of x86 in its headers. */
static void kernel_make(struct testpe *pe)
{
	testpe_make(pe);
	pe->bytes[0x1f1] = 1;
	le16_put(pe->bytes + 0x1fe, 0xaa55);
	memcpy(pe->bytes + 0x202, "HdrS", 4);
	le16_put(pe->bytes + 0x206, 0x020f);
	pe->bytes[0x211] = 1;
	pe->bytes[0x234] = 1;
	le16_put(pe->bytes + 0x236, 0x7f);
	le32_put(pe->bytes + 0x238, 64);
	le32_put(pe->bytes + 0x260, 100 * 1024 * 1024);
}

static void fixture_make(struct fixture *f)
{
	memset(f, 0, sizeof *f);
	testdir_make(&f->dir);
	for (size_t i = 0; i < ARRAY_SIZE(baseline); i++)
		testdir_text(&f->dir, baseline[i][0], baseline[i][1]);
	kernel_make(&f->pe);
	f->input = (struct preflight_input){
		.sysroot = f->dir.path,
		.uki = &f->uki,
		.cmdline = "quiet slotboot.slot=a slotboot.nonce=0123456789abcdef",
		.initrd_size = 50 * 1024 * 1024,
	};
}

static void fixture_free(struct fixture *f)
{
	testdir_remove(&f->dir);
}

static void uki_open(struct fixture *f)
{
	uint8_t head[LINUX_AT] = { 'M', 'Z' };
	int fd = memfd_create("uki", MFD_CLOEXEC);

	le32_put(head + 0x3c, 64);
	memcpy(head + 64, "PE\0\0", 4);
	le16_put(head + 68, PE_MACHINE_X86_64);
	le16_put(head + 70, 1);
	le16_put(head + 84, 112);
	le16_put(head + 88, 0x20b);
	memcpy(head + 200, ".linux", 6);
	le32_put(head + 208, (uint32_t)f->pe.size);
	le32_put(head + 216, (uint32_t)f->pe.size);
	le32_put(head + 220, LINUX_AT);
	assert_int_equal(pwrite_full(fd, head, sizeof head, 0), 0);
	assert_int_equal(pwrite_full(fd, f->pe.bytes, f->pe.size, LINUX_AT), 0);
	assert_int_equal(ukifile_open_fd(fd, "uki.efi", &f->uki, NULL), 0);
}

static const struct preflight_finding *finding(const struct fixture *f, const char *check)
{
	for (unsigned i = 0; i < f->preflight.count; i++)
		if (strcmp(f->preflight.findings[i].check, check) == 0)
			return &f->preflight.findings[i];
	fail_msg("no check %s", check);
	return NULL;
}

static void run(struct fixture *f, const struct change *changes, size_t count)
{
	for (size_t i = 0; i < count && changes[i].path; i++)
		if (changes[i].text)
			testdir_text(&f->dir, changes[i].path, changes[i].text);
		else
			assert_int_equal(remove(testdir_path(&f->dir, changes[i].path)), 0);
	uki_open(f);
	preflight_run(&f->input, &f->preflight);
	ukifile_close(&f->uki);
}

static void expect(const struct fixture *f, const char *check, enum preflight_verdict verdict,
		   int error, const char *evidence)
{
	const struct preflight_finding *got = finding(f, check);

	if (got->verdict != verdict || got->error != error || !strstr(got->evidence, evidence))
		fail_msg("%s: verdict %d, errno %d, \"%s\"; wanted %d, %d, \"%s\"", check,
			 got->verdict, got->error, got->evidence, verdict, error, evidence);
	if (verdict != PREFLIGHT_PASS)
		assert_true(got->fix[0]);
	assert_true(f->preflight.verdict >= verdict);
}

static void on_a_sound_machine_every_check_passes(void **state)
{
	struct fixture f;

	(void)state;
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
#define CONFIG(text) { "boot/config-6.1.0-test", text }

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
	{ "signature", PREFLIGHT_UNKNOWN, EPERM, "securityfs is not mounted",
	  { NO_LSM, NO_LOCKDOWN, { "sys/firmware/efi/systab", "" } } },
	{ "signature", PREFLIGHT_FAIL, ENODATA, "CONFIG_KEXEC_SIG_FORCE",
	  { CONFIG("CONFIG_KEXEC_SIG=y\nCONFIG_KEXEC_SIG_FORCE=y\n") } },
	{ "signature", PREFLIGHT_FAIL, ENODATA, "CONFIG_IMA_ARCH_POLICY",
	  { CONFIG("CONFIG_KEXEC_SIG=y\nCONFIG_IMA_ARCH_POLICY=y\n"),
	    { "sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c",
	      "1111\1" } } },
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

/* One field of the image changed. */
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

static long ring_read(int32_t keyring, int32_t *keys, unsigned count)
{
	assert_true(count >= 1);
	keys[0] = KEY;
	return keyring == RING_PLATFORM ? 1 : 0;
}

static long ring_empty(int32_t keyring, int32_t *keys, unsigned count)
{
	(void)keyring, (void)keys, (void)count;
	return 0;
}

static long ring_refuse(int32_t keyring, int32_t *keys, unsigned count)
{
	(void)keyring, (void)keys, (void)count;
	return -1;
}

#define RINGS "00000011 I------ 1 perm 1f0b0000 0 0 keyring   .builtin_trusted_keys: 1\n" \
	      "00000012 I------ 1 perm 1f0b0000 0 0 keyring   .platform: 1\n"
#define RIGHT_KEY "0000002a I------ 1 perm 1f030000 0 0 asymmetri Acme: kernel: %s: X509.rsa 1234 []\n"
#define OTHER_KEY "0000002a I------ 1 perm 1f030000 0 0 asymmetri Acme: other: 99: X509.rsa 1234 []\n"

static void under_lockdown_the_signers_key_must_be_in_a_keyring(void **state)
{
	static const struct {
		const char *keys;
		long (*read)(int32_t, int32_t *, unsigned);
		enum preflight_verdict verdict;
		const char *evidence;
	} keyrings[] = {
		{ RINGS RIGHT_KEY, ring_read, PREFLIGHT_PASS, "the key for it is in .platform" },
		{ RINGS OTHER_KEY, ring_read, PREFLIGHT_FAIL, "no key for it" },
		{ RINGS RIGHT_KEY, ring_empty, PREFLIGHT_FAIL, "no key for it" },
		{ RINGS RIGHT_KEY, ring_refuse, PREFLIGHT_UNKNOWN, "keyring that cannot be told" },
		{ RINGS RIGHT_KEY, NULL, PREFLIGHT_UNKNOWN, "keyring that cannot be told" },
		{ RINGS OTHER_KEY, NULL, PREFLIGHT_UNKNOWN, "keyrings cannot be read" },
		{ RIGHT_KEY, ring_read, PREFLIGHT_UNKNOWN, "keyrings cannot be read" },
		{ NULL, ring_read, PREFLIGHT_UNKNOWN, "keyrings cannot be read" },
	};
	struct testpki p = testpki_make_full("kernel", NULL, EVP_RSA_gen(2048), false, -DAY, DAY,
					     NULL);
	const ASN1_INTEGER *serial = X509_get0_serialNumber(p.cert);
	char hex[64], keys[1024];

	(void)state;
	hex_encode(serial->data, (size_t)serial->length, hex);
	for (size_t i = 0; i < ARRAY_SIZE(keyrings); i++) {
		struct fixture f;

		fixture_make(&f);
		testsign(&f.pe, &p);
		f.input.keyring_read = keyrings[i].read;
		testdir_text(&f.dir, "sys/kernel/security/lockdown", "none [integrity] x\n");
		if (keyrings[i].keys) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
#pragma GCC diagnostic ignored "-Wformat-extra-args"
			snprintf(keys, sizeof keys, keyrings[i].keys, hex);
#pragma GCC diagnostic pop
			testdir_text(&f.dir, "proc/keys", keys);
		}
		run(&f, NULL, 0);
		expect(&f, "signature", keyrings[i].verdict,
		       keyrings[i].verdict == PREFLIGHT_PASS ? 0 : EPERM, keyrings[i].evidence);
		if (keyrings[i].verdict != PREFLIGHT_UNKNOWN)
			expect(&f, "signature", keyrings[i].verdict,
			       keyrings[i].verdict == PREFLIGHT_PASS ? 0 : EPERM,
			       "signed by O=Acme, CN=kernel");
		fixture_free(&f);
	}
	testpki_free(&p);
}

static void each_defect_of_a_signature_has_its_errno_where_one_is_forced(void **state)
{
	static const struct {
		size_t at;	/* of a byte that is changed; 0: none, but the key is missing */
		int error;
		const char *evidence;
	} defects[] = {
		{ 3000, EKEYREJECTED, "altered after it was signed" },
		{ TESTPE_BYTES + 8, EBADMSG, "no PKCS #7 signature" },
		{ 0, ENOKEY, "no key for it" },
	};
	struct testpki p = testpki_make_full("kernel", NULL, EVP_RSA_gen(2048), false, -DAY, DAY,
					     NULL);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(defects); i++) {
		static const struct change forced[] = {
			CONFIG("CONFIG_KEXEC_SIG=y\nCONFIG_KEXEC_SIG_FORCE=y\n"),
			{ "proc/keys", RINGS },
		};
		struct fixture f;

		fixture_make(&f);
		testsign(&f.pe, &p);
		if (defects[i].at)
			f.pe.bytes[defects[i].at] ^= 1;
		f.input.keyring_read = ring_empty;
		run(&f, forced, 2);
		expect(&f, "signature", PREFLIGHT_FAIL, defects[i].error, defects[i].evidence);
		fixture_free(&f);
	}
	testpki_free(&p);
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
	/* What fails with another errno is not the cause. */
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
	fixture_make(&f);
	run(&f, changes, 1);
	assert_int_equal(f.preflight.verdict, PREFLIGHT_UNKNOWN);
	assert_string_equal(preflight_worst(&f.preflight)->check, "seccomp");
	run(&f, changes, 3);
	assert_int_equal(f.preflight.verdict, PREFLIGHT_FAIL);
	assert_string_equal(preflight_worst(&f.preflight)->check, "load-disabled");
	fixture_free(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(on_a_sound_machine_every_check_passes),
		cmocka_unit_test(each_branch_gives_its_verdict_errno_evidence_and_fix),
		cmocka_unit_test(each_objection_to_the_image_is_named),
		cmocka_unit_test(the_command_line_may_have_one_byte_less_than_the_header_says),
		cmocka_unit_test(five_level_paging_and_32_bit_firmware_matter),
		cmocka_unit_test(under_lockdown_the_signers_key_must_be_in_a_keyring),
		cmocka_unit_test(each_defect_of_a_signature_has_its_errno_where_one_is_forced),
		cmocka_unit_test(an_errno_is_turned_into_its_cause),
		cmocka_unit_test(the_first_failure_decides_and_beats_what_is_unknown),
	};

	return cmocka_run_group_tests_name("preflight", tests, NULL, NULL);
}
