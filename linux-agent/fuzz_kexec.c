/* SPDX-License-Identifier: MIT */
/* Any bytes as a UKI, and as an addon of it, on the whole way to the system call: what
 * would be passed to kexec_file_load(2) is looked at in its place. */
#include "handover.h"
#include "kexec.h"
#include "testuki.h"
#include "util.h"

#include <fcntl.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* In memory: a file system on a disk flushes a file that is cut and written again. */
static const char esp[] = "/dev/shm/slotboot-fuzz-kexec";

static int memfd_of(const uint8_t *data, size_t size)
{
	int fd = memfd_create("uki", MFD_CLOEXEC);

	if (fd < 0 || pwrite_full(fd, data, size, 0) < 0)
		abort();
	return fd;
}

/* The UKI comes with a credential and with itself as an addon. */
static void surroundings(char extra_dir[64], const uint8_t *data, size_t size)
{
	char path[128];
	FILE *f;

	(void)mkdir(esp, 0700);
	(void)snprintf(extra_dir, 64, "%s/extra.d", esp);
	(void)mkdir(extra_dir, 0700);
	(void)snprintf(path, sizeof path, "%s/x.cred", extra_dir);
	f = fopen(path, "we");
	if (f)
		(void)fclose(f);
	(void)snprintf(path, sizeof path, "%s/x.addon.efi", extra_dir);
	f = fopen(path, "we");
	if (!f)
		return;
	(void)fwrite(data, 1, size, f);
	(void)fclose(f);
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

static void stage(const uint8_t *data, size_t size, unsigned slot)
{
	struct uki_place place = { .esp = esp };
	struct err err = { 0 };
	struct handover h;
	char extra_dir[64];
	struct ukifile uki;

	surroundings(extra_dir, data, size);
	place.extra_dir = extra_dir;
	if (ukifile_open_fd(memfd_of(data, size), "uki", &uki, &err) < 0)
		return;
	if (handover_make(&uki, &place, slot, false, &h, &err) == 0) {
		record(&h, slot);
		handover_clear(&h);
	} else if (!err.exit || !err.text[0]) {
		abort();
	}
	ukifile_close(&uki);
}

/* A UKI that would do, with the input as a list of changes: a place among its headers
 * and texts (2 bytes), a value (1). */
static void stage_changed(const uint8_t *data, size_t size)
{
	static struct testuki uki;

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
	stage(uki.bytes, sizeof uki.bytes, size & 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	stage(data, size, size & 1);
	stage_changed(data, size);
	return 0;
}
