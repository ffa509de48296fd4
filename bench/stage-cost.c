/* SPDX-License-Identifier: MIT */
/* Run by bench/stage-cost. Both ways read from the page cache: what differs is memory
 * traffic and system calls, not the disk. */
#include "handover.h"
#include "testuki.h"
#include "util.h"

#include <fcntl.h>
#include <time.h>

enum { KERNEL_BYTES = 15 * 1000 * 1000, INITRD_BYTES = 85 * 1000 * 1000, MAX_ROUNDS = 99 };

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static double now_ms(void)
{
	struct timespec t;

	if (clock_gettime(CLOCK_MONOTONIC, &t) < 0)
		die("clock_gettime");
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void section_at(struct testuki *uki, const char *name, uint32_t at, uint32_t size)
{
	unsigned i = testuki_put(uki, name, "", 0);
	uint8_t *h = testuki_header(uki, i);

	le32_put(h + 8, size);
	le32_put(h + 16, size);
	le32_put(h + 20, at);
}

static int uki_create(const char *path)
{
	static uint8_t bulk[KERNEL_BYTES + INITRD_BYTES];
	static struct testuki uki;
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	uint64_t noise = 88172645463325252u;

	for (size_t i = 0; i + 8 <= sizeof bulk; i += 8) {
		noise ^= noise << 13, noise ^= noise >> 7, noise ^= noise << 17;
		memcpy(bulk + i, &noise, 8);
	}
	testuki_kernel(bulk);
	testuki_begin(&uki, PE_MACHINE_X86_64);
	(void)testuki_text(&uki, ".sdmagic", "#### LoaderInfo: systemd-stub 257.1 ####");
	(void)testuki_text(&uki, ".cmdline", "quiet root=/dev/{slot}");
	(void)testuki_text(&uki, ".osrel", "ID=x\n");
	section_at(&uki, ".linux", TESTUKI_BYTES, KERNEL_BYTES);
	section_at(&uki, ".initrd", TESTUKI_BYTES + KERNEL_BYTES, INITRD_BYTES);
	if (fd < 0 || pwrite_full(fd, uki.bytes, sizeof uki.bytes, 0) < 0 ||
	    pwrite_full(fd, bulk, sizeof bulk, sizeof uki.bytes) < 0 || fsync(fd) < 0)
		die(path);
	return fd;
}

/* read and write, 1 MiB at a time. */
static double copy_once(int fd)
{
	static uint8_t buf[1024 * 1024];
	double begin = now_ms();
	int out = memfd_create("copy", MFD_CLOEXEC);
	off_t at = TESTUKI_BYTES;
	ssize_t n;

	if (out < 0)
		die("memfd_create");
	for (; (n = pread(fd, buf, sizeof buf, at)) > 0; at += n)
		if (write(out, buf, (size_t)n) != n)
			die("write");
	begin = now_ms() - begin;
	(void)close(out);
	return begin;
}

static double stage_once(const char *path)
{
	struct uki_place place = { .esp = "/nonexistent", .extra_dir = "/nonexistent" };
	double begin = now_ms();
	struct handover h;
	struct ukifile uki;
	struct err err;

	if (ukifile_open(path, &uki, &err) < 0 ||
	    handover_make(&uki, &place, 0, false, &h, &err) < 0) {
		(void)fprintf(stderr, "%s\n", err.text);
		exit(1);
	}
	begin = now_ms() - begin;
	handover_clear(&h);
	ukifile_close(&uki);
	return begin;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *values, size_t count)
{
	qsort(values, count, sizeof *values, by_value);
	return values[count / 2];
}

int main(int argc, char **argv)
{
	double copies[MAX_ROUNDS], stages[MAX_ROUNDS], copy, stage;
	size_t rounds = argc > 2 ? strtoul(argv[2], NULL, 10) : 9;
	int fd;

	if (argc < 2 || rounds < 5 || rounds > MAX_ROUNDS) {
		(void)fprintf(stderr, "usage: stage-cost FILE [ROUNDS, 5 to %d]\n", MAX_ROUNDS);
		return 64;
	}
	fd = uki_create(argv[1]);
	(void)copy_once(fd);
	for (size_t i = 0; i < rounds; i++) {
		copies[i] = copy_once(fd);
		stages[i] = stage_once(argv[1]);
	}
	copy = median(copies, rounds);
	stage = median(stages, rounds);
	(void)printf("100 MB: plain copy %.1f ms, staging %.1f ms (medians of %zu), ratio %.2f\n",
		     copy, stage, rounds, stage / copy);
	(void)close(fd);
	return 0;
}
