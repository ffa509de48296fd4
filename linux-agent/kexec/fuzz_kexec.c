/* SPDX-License-Identifier: MIT */
/* Any bytes as a slot's UKI, and as an addon of it, on the whole way to the system call:
 * what would be passed to kexec_file_load(2) is looked at in its place. It must be what
 * the same bytes give when they are all in memory. */
#include "fuzz.h"

#include "handover.h"
#include "kexec.h"
#include "slot_uki.h"
#include "testindex.h"
#include "testuki.h"
#include "uki_copy.h"
#include "uki_layout.h"
#include "io.h"

#include <fcntl.h>
#include <openssl/sha.h>
#include <sys/stat.h>

/* In memory: a file system on a disk flushes a file that is cut and written again. */
static const char esp[] = "/dev/shm/slotboot-fuzz-kexec";
static const char extra_dir[] = "/dev/shm/slotboot-fuzz-kexec/uki.efi.extra.d";
static const struct uki_place place = { .esp = esp, .extra_dir = extra_dir };

static int memfd_of(const uint8_t *data, size_t size)
{
	int fd = memfd_create("uki", MFD_CLOEXEC);

	if (fd < 0 || pwrite_full(fd, data, size, 0) < 0)
		abort();
	return fd;
}

static void put(const char *name, const uint8_t *data, size_t size)
{
	char path[128];
	FILE *f;

	(void)snprintf(path, sizeof path, "%s/%s", esp, name);
	f = fopen(path, "we");
	if (!f)
		abort();
	if (size)
		(void)fwrite(data, 1, size, f);
	(void)fclose(f);
}

/* The UKI comes with a credential and with itself as an addon. */
static void files_put(const uint8_t *data, size_t size)
{
	(void)mkdir(esp, 0700);
	(void)mkdir(extra_dir, 0700);
	put("uki.efi", data, size);
	put("uki.efi.extra.d/x.cred", NULL, 0);
	put("uki.efi.extra.d/x.addon.efi", data, size);
}

static void record(const struct handover *h, unsigned slot)
{
	static const struct config config = { .sysroot = (char *)(uintptr_t)"/nonexistent" };
	const int seals = F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK;
	struct stat st;
	char *text;

	if (fstat(h->kernel.fd, &st) < 0 || (uint64_t)st.st_size != h->kernel.size ||
	    (fcntl(h->kernel.fd, F_GET_SEALS) & seals) != seals)
		abort();
	if (h->initrd.fd < 0 || h->initrd.size % 4 || h->own_end < h->own_begin ||
	    h->own_end > h->initrd.size || (fcntl(h->initrd.fd, F_GET_SEALS) & seals) != seals)
		abort();
	if (kexec_cmdline(&config, h->cmdline, slot, 1, &text, NULL) < 0)
		abort();
	for (const char *p = text; *p; p++)
		if ((uint8_t)*p < ' ')
			abort();
	if (!strstr(text, "slotboot.nonce="))
		abort();
	free(text);
}

static void same_file(const struct memfile *a, const struct memfile *b)
{
	uint8_t *x, *y;

	if (a->size != b->size || (a->fd < 0) != (b->fd < 0))
		abort();
	x = malloc(a->size + 1);
	y = malloc(a->size + 1);
	if (!x || !y || (a->size && (pread_full(a->fd, x, a->size, 0) < 0 ||
				     pread_full(b->fd, y, a->size, 0) < 0 ||
				     memcmp(x, y, a->size) != 0)))
		abort();
	free(x);
	free(y);
}

/* got: of the slot; NULL, with its error, where it gave none. */
static void compare(const uint8_t *data, size_t size, unsigned slot, const struct handover *got,
		    const struct err *why)
{
	struct err err = { 0 };
	struct handover h;
	struct ukifile uki;

	if (ukifile_open_fd(memfd_of(data, size), "uki", &uki, &err) < 0) {
		if (got || err.exit != why->exit)
			abort();
		return;
	}
	if (handover_make(&uki, &place, slot, false, &h, &err) < 0) {
		if (got || err.exit != why->exit)
			abort();
	} else {
		if (!got || strcmp(got->cmdline, h.cmdline) != 0)
			abort();
		same_file(&got->kernel, &h.kernel);
		same_file(&got->initrd, &h.initrd);
		handover_clear(&h);
	}
	ukifile_close(&uki);
}

/* Smaller than a bundle's may be: an input has many. */
enum { CHUNK_LOG = 9 };

/* The copy is the file, however it is hashed. */
static void copy(const uint8_t *data, size_t size, bool by_chunks)
{
	struct chunkindex index = { 0 };
	struct memfile file = { .fd = memfd_of(data, size), .size = size };
	struct uki_copy c;

	if (by_chunks)
		testindex_make(&index, CHUNK_LOG, data, size);
	if (uki_copy_make(file.fd, "uki", size, by_chunks ? &index : NULL, &c, NULL) < 0 ||
	    c.is_changed)
		abort();
	same_file(&c.file, &file);
	memfile_close(&c.file);
	memfile_close(&file);
	chunkindex_clear(&index);
}

static void stage(const uint8_t *data, size_t size, unsigned slot)
{
	struct slot recorded = { .flags = SLOT_FLAG_DIGEST, .uki_size = size };
	const struct slot_uki_trust trust = { .slot = &recorded, .keyring = "/nonexistent" };
	struct slot_uki opened;
	struct err err = { 0 };
	struct handover h;
	bool staged = false;

	files_put(data, size);
	(void)SHA256(data, size, recorded.uki_sha256);
	if (slot_uki_open(esp, &trust, &opened, &err) == 0) {
		staged = handover_make(&opened.uki, &place, slot, false, &h, &err) == 0;
		slot_uki_close(&opened);
	}
	fuzz_taken = staged;
	if (staged)
		record(&h, slot);
	else if (!err.exit || !err.text[0] || strstr(err.text, "that was installed"))
		abort();
	compare(data, size, slot, staged ? &h : NULL, &err);
	if (staged)
		handover_clear(&h);
}

/* A UKI that would do, with the input as a list of changes: a place among its headers
 * and texts (2 bytes), a value (1). */
static void stage_changed(const uint8_t *data, size_t size)
{
	static struct testuki uki;
	unsigned slot = size & 1;

	testuki_make(&uki, "257.1");
	(void)testuki_text(&uki, ".cmdline", "@1 root=/dev/{slot}");
	(void)testuki_text(&uki, ".initrd", "initrd");
	(void)testuki_text(&uki, ".ucode", "ucode");
	(void)testuki_text(&uki, ".osrel", "ID=x");
	(void)testuki_text(&uki, ".uname", "6.1");
	(void)testuki_text(&uki, ".profile", "ID=0");
	(void)testuki_text(&uki, ".profile", "ID=1");
	(void)testuki_text(&uki, ".pcrsig", "{}");
	for (; size >= 3; data += 3, size -= 3)
		uki.bytes[le16_get(data) % TESTUKI_BYTES] = data[2];
	stage(uki.bytes, sizeof uki.bytes, slot);
}

/* What an install looks at before any of this. */
static void look(const uint8_t *data, size_t size)
{
	struct ukifile uki;
	char doubt[256];

	if (ukifile_open_fd(memfd_of(data, size), "uki", &uki, NULL) < 0)
		return;
	(void)uki_layout_check(&uki, NULL);
	for (unsigned kind = 0; kind < UKI_LAYOUT_DOUBTS; kind++)
		(void)uki_layout_doubt(&uki, kind, doubt, sizeof doubt);
	ukifile_close(&uki);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	bool taken;

	look(data, size);
	copy(data, size, false);
	if (size > 0)
		copy(data, size, true);
	stage(data, size, size & 1);
	taken = fuzz_taken;
	stage_changed(data, size);
	fuzz_taken = taken;	/* of the input itself */
	return 0;
}
