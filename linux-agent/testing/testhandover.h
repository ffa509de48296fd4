/* SPDX-License-Identifier: MIT */
/* For tests of what a kexec hands over: a UKI and the files beside it, in a directory. */
#pragma once

#include "handover.h"

#include "testdir.h"
#include "testuki.h"

struct fixture {
	struct testdir dir;
	char extra_dir[256];
	struct uki_place place;
	struct manifest manifest;
	struct testuki uki;
	struct handover h;
	struct err err;
};

static inline void begin(struct fixture *f, const char *stub)
{
	memset(f, 0, sizeof *f);
	testdir_make(&f->dir);
	snprintf(f->extra_dir, sizeof f->extra_dir, "%s/uki.efi.extra.d", f->dir.path);
	f->place = (struct uki_place){ .esp = f->dir.path, .extra_dir = f->extra_dir };
	testuki_make(&f->uki, stub);
}

static inline void put(struct fixture *f, const char *name, const char *text)
{
	testdir_text(&f->dir, name, text);
}

static inline void put_addon(struct fixture *f, const char *name, const char *const sections[][2])
{
	struct testuki addon;

	testuki_begin(&addon, NATIVE_MACHINE);
	for (unsigned i = 0; sections[i][0]; i++)
		(void)testuki_text(&addon, sections[i][0], sections[i][1]);
	testdir_put(&f->dir, name, addon.bytes, sizeof addon.bytes);
}

static inline int make_secure(struct fixture *f, bool secure)
{
	struct ukifile uki;
	int r = ukifile_open_fd(testuki_memfd(&f->uki), "uki.efi", &uki, &f->err);

	if (r < 0)
		return r;
	r = handover_make(&uki, &f->place, 1, secure, &f->h, &f->err);
	ukifile_close(&uki);
	return r;
}

static inline int make(struct fixture *f)
{
	return make_secure(f, false);
}

static inline void end(struct fixture *f)
{
	handover_clear(&f->h);
	testdir_remove(&f->dir);
}

/* Fails, with that exit status and that text in the message. */
static inline void refused(struct fixture *f, int exit, const char *text)
{
	assert_int_equal(make(f), -1);
	print_message("  %s\n", f->err.text);
	assert_non_null(strstr(f->err.text, text));
	assert_int_equal(f->err.exit, exit);
	testdir_remove(&f->dir);
}

static inline unsigned hex_at(const uint8_t *p)
{
	char digits[9] = { 0 };

	memcpy(digits, p, 8);
	return (unsigned)strtoul(digits, NULL, 16);
}

static inline size_t up4(size_t n)
{
	return (n + 3) & ~(size_t)3;
}

/* The initrd as lines: an archive's entries as "mode name=content", raw parts as text. */
static inline void describe(const struct handover *h, char *out, size_t cap)
{
	uint8_t buf[64 * 1024] = { 0 };
	ssize_t len = h->initrd.fd < 0 ? 0 : pread(h->initrd.fd, buf, sizeof buf, 0);
	size_t n = 0;

	assert_true(len >= 0 && (size_t)len == h->initrd.size && len % 4 == 0);
	for (size_t at = 0; at < (size_t)len;) {
		if (memcmp(buf + at, "070701", 6) != 0) {
			n += (size_t)snprintf(out + n, cap - n, "%s\n", buf + at);
			assert_true(n < cap);
			at += up4(strlen((char *)buf + at));
			continue;
		}
		unsigned mode = hex_at(buf + at + 14), size = hex_at(buf + at + 54);
		unsigned name_len = hex_at(buf + at + 94);
		const char *name = (char *)buf + at + 110;

		assert_int_equal(strlen(name) + 1, name_len);
		at += up4(110 + name_len);
		n += (size_t)snprintf(out + n, cap - n, "%o %s=%.*s\n", mode, name, (int)size,
				      (char *)buf + at);
		at += up4(size);
		assert_true(n < cap);
	}
	out[n] = 0;
}

static inline void gives(struct fixture *f, const char *cmdline, const char *initrd)
{
	char text[8192];
	int r = make(f);

	if (r < 0)
		print_message("%s\n", f->err.text);
	assert_int_equal(r, 0);
	assert_string_equal(f->h.cmdline, cmdline);
	describe(&f->h, text, sizeof text);
	assert_string_equal(text, initrd);
}

#define TRAILER "0 TRAILER!!!=\n"
#define EXTRA "40555 .extra=\n"
