/* SPDX-License-Identifier: MIT */
/*
 * For tests of the preflight: a tree of files in the place of /proc and /sys on which
 * every check passes, a kernel to match, and changes to both.
 */
#pragma once

#include "preflight.h"
#include "testsign.h"
#include "io.h"

#include <sys/mman.h>

#define CONFIG(text) { "boot/config-6.1.0-test", text }

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

enum { LINUX_AT = 1024 };

struct change {
	const char *path, *text;	/* text NULL: the file is removed */
};

struct fixture {
	struct testdir dir;
	struct testpe pe;
	uint16_t machine;		/* of the UKI */
	struct ukifile uki;
	struct preflight_input input;
	struct preflight preflight;
};

/* .linux: a PE image with a setup header of x86 in its headers. */
static inline void kernel_make(struct testpe *pe)
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

static inline void fixture_make(struct fixture *f)
{
	memset(f, 0, sizeof *f);
	testdir_make(&f->dir);
	for (size_t i = 0; i < ARRAY_SIZE(baseline); i++)
		testdir_text(&f->dir, baseline[i][0], baseline[i][1]);
	kernel_make(&f->pe);
	f->machine = PE_MACHINE_X86_64;
	f->input = (struct preflight_input){
		.sysroot = f->dir.path,
		.uki = &f->uki,
		.cmdline = "quiet slotboot.slot=a slotboot.nonce=0123456789abcdef",
		.initrd_size = 50 * 1024 * 1024,
	};
}

static inline void fixture_free(struct fixture *f)
{
	testdir_remove(&f->dir);
}

static inline void uki_open(struct fixture *f)
{
	uint8_t head[LINUX_AT] = { 'M', 'Z' };
	int fd = memfd_create("uki", MFD_CLOEXEC);

	le32_put(head + 0x3c, 64);
	memcpy(head + 64, "PE\0\0", 4);
	le16_put(head + 68, f->machine);
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

static inline const struct preflight_finding *finding(const struct fixture *f, const char *check)
{
	for (unsigned i = 0; i < f->preflight.count; i++)
		if (strcmp(f->preflight.findings[i].check, check) == 0)
			return &f->preflight.findings[i];
	fail_msg("no check %s", check);
	return NULL;
}

static inline void run(struct fixture *f, const struct change *changes, size_t count)
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

static inline void expect(const struct fixture *f, const char *check, enum preflight_verdict verdict,
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
