/* SPDX-License-Identifier: MIT */
/* Run by bench/stage-cost. All ways read from the page cache: what differs is memory
 * traffic, hashing and system calls, not the disk. */
#include "handover.h"
#include "slot_uki.h"
#include "testindex.h"
#include "testuki.h"
#include "io.h"

#include <fcntl.h>
#include <openssl/sha.h>
#include <sys/stat.h>
#include <time.h>

enum { KERNEL_BYTES = 15 * 1000 * 1000, INITRD_BYTES = 85 * 1000 * 1000, MAX_ROUNDS = 99 };

/* One round, in milliseconds. */
struct round {
	double copy;		/* read and write, 1 MiB at a time */
	double hash;		/* SHA-256 of the same bytes in memory */
	double bare;		/* staged without a digest */
	double open, stage, slot;	/* a slot's UKI, and both */
	double whole;		/* the same without uki.index */
};

static uint8_t bulk[KERNEL_BYTES + INITRD_BYTES];

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void must(int r, const struct err *err)
{
	if (r == 0)
		return;
	(void)fprintf(stderr, "%s\n", err->text);
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

static void text_put(const char *dir, const char *name, const void *data, size_t len)
{
	char path[4096];
	FILE *f;

	(void)snprintf(path, sizeof path, "%s/%s", dir, name);
	f = fopen(path, "we");
	if (!f || fwrite(data, 1, len, f) != len || fclose(f) != 0)
		die(path);
}

/* In chunks of 1 MiB, as bundle create makes them. */
static size_t index_create(const char *dir, const uint8_t *bytes, size_t size, char hex[65])
{
	struct chunkindex index;
	uint8_t *data, sha256[32];
	struct err err;
	size_t len;

	testindex_make(&index, CHUNK_DEFAULT_LOG, bytes, size);
	must(chunkindex_encode(&index, &data, &len, &err), &err);
	(void)SHA256(data, len, sha256);
	hex_encode(sha256, 32, hex);
	text_put(dir, "uki.index", data, len);
	chunkindex_clear(&index);
	free(data);
	return len;
}

/* As an install leaves it, signed with the key beside it. */
static void manifest_create(const char *dir, int uki, struct slot *slot)
{
	const size_t size = TESTUKI_BYTES + sizeof bulk;
	char json[512], hex[65], index_hex[65], key[4096], cert[4096];
	uint8_t *bytes = malloc(size), *sig;
	size_t len, index_len;
	struct err err;

	if (!bytes || pread_full(uki, bytes, size, 0) < 0)
		die(dir);
	*slot = (struct slot){ .flags = SLOT_FLAG_DIGEST, .uki_size = size };
	(void)SHA256(bytes, size, slot->uki_sha256);
	index_len = index_create(dir, bytes, size, index_hex);
	free(bytes);
	hex_encode(slot->uki_sha256, 32, hex);
	(void)snprintf(json, sizeof json, "{\"format\":2,\"compatible\":\"x\",\"version\":\"1\","
		       "\"payloads\":[{\"type\":\"uki\",\"file\":\"uki.efi.zst\",\"size\":%zu,"
		       "\"sha256\":\"%s\",\"index\":{\"file\":\"uki.index\",\"size\":%zu,"
		       "\"sha256\":\"%s\"}}]}", size, hex, index_len, index_hex);
	(void)snprintf(key, sizeof key, "%s/key", dir);
	(void)snprintf(cert, sizeof cert, "%s/cert", dir);
	must(cms_sign_detached((uint8_t *)json, strlen(json), key, cert, &sig, &len, &err), &err);
	text_put(dir, "manifest.json", json, strlen(json));
	text_put(dir, "manifest.p7s", sig, len);
	free(sig);
}

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

static double hash_once(void)
{
	uint8_t digest[32];
	double begin = now_ms();

	(void)SHA256(bulk, sizeof bulk, digest);
	return now_ms() - begin;
}

static const struct uki_place nowhere = { .esp = "/nonexistent", .extra_dir = "/nonexistent" };

static double bare_once(const char *path)
{
	double begin = now_ms();
	struct handover h;
	struct ukifile uki;
	struct err err;

	must(ukifile_open(path, &uki, &err), &err);
	must(handover_make(&uki, &nowhere, 0, false, &h, &err), &err);
	begin = now_ms() - begin;
	handover_clear(&h);
	ukifile_close(&uki);
	return begin;
}

/* A slot that was not installed from a bundle: its record has a digest, and no more. */
static void plain_create(const char *dir)
{
	int fd = -1;

	if (mkdir(dir, 0700) == 0)
		fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || symlinkat("../uki.efi", fd, "uki.efi") < 0)
		die(dir);
	(void)close(fd);
}

/* As kexec_prepare() does it; returns the time of all. */
static double slot_once(const char *dir, const struct slot_uki_trust *trust, struct round *round)
{
	double times[3] = { now_ms() };
	struct slot_uki uki;
	struct handover h;
	struct err err;

	must(slot_uki_open(dir, trust, &uki, &err), &err);
	times[1] = now_ms();
	must(handover_make(&uki.uki, &nowhere, 0, false, &h, &err), &err);
	times[2] = now_ms();
	handover_clear(&h);
	slot_uki_close(&uki);
	round->open = times[1] - times[0];
	round->stage = times[2] - times[1];
	return times[2] - times[0];
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* The median of one of the times. */
static double middle(const struct round *rounds, size_t count, size_t field)
{
	double values[MAX_ROUNDS];

	for (size_t i = 0; i < count; i++)
		memcpy(&values[i], (const uint8_t *)&rounds[i] + field, sizeof values[i]);
	qsort(values, count, sizeof *values, by_value);
	return values[count / 2];
}

static void print(const struct round *rounds, size_t count)
{
#define MIDDLE(field) middle(rounds, count, offsetof(struct round, field))
	double copy = MIDDLE(copy);

	(void)printf("100 MB, medians of %zu rounds:\n", count);
	(void)printf("  plain copy             %7.1f ms\n", copy);
	(void)printf("  SHA-256 alone          %7.1f ms  %.2f\n", MIDDLE(hash), MIDDLE(hash) / copy);
	(void)printf("  staged, no digest      %7.1f ms  %.2f\n", MIDDLE(bare), MIDDLE(bare) / copy);
	(void)printf("  a slot's UKI           %7.1f ms  %.2f\n", MIDDLE(slot), MIDDLE(slot) / copy);
	(void)printf("    copied and checked   %7.1f ms\n", MIDDLE(open));
	(void)printf("    kernel and initrd    %7.1f ms\n", MIDDLE(stage));
	(void)printf("  without uki.index      %7.1f ms  %.2f\n", MIDDLE(whole),
		     MIDDLE(whole) / copy);
#undef MIDDLE
}

int main(int argc, char **argv)
{
	struct round rounds[MAX_ROUNDS], unused;
	size_t count = argc > 2 ? strtoul(argv[2], NULL, 10) : 9;
	char path[4096], plain[4096], keyring[4096];
	struct slot slot;
	const struct slot_uki_trust trust = { .slot = &slot, .keyring = keyring,
					      .compatible = "x" };
	int fd;

	if (argc < 2 || count < 5 || count > MAX_ROUNDS) {
		(void)fprintf(stderr, "usage: stage-cost DIR [ROUNDS, 5 to %d]\n", MAX_ROUNDS);
		return 64;
	}
	(void)snprintf(path, sizeof path, "%s/uki.efi", argv[1]);
	(void)snprintf(plain, sizeof plain, "%s/plain", argv[1]);
	(void)snprintf(keyring, sizeof keyring, "%s/cert", argv[1]);
	fd = uki_create(path);
	plain_create(plain);
	manifest_create(argv[1], fd, &slot);
	(void)copy_once(fd);
	for (size_t i = 0; i < count; i++) {
		rounds[i].copy = copy_once(fd);
		rounds[i].hash = hash_once();
		rounds[i].bare = bare_once(path);
		rounds[i].whole = slot_once(plain, &trust, &unused);
		rounds[i].slot = slot_once(argv[1], &trust, &rounds[i]);
	}
	print(rounds, count);
	(void)close(fd);
	return 0;
}
