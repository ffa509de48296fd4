/* SPDX-License-Identifier: MIT */
#include "provision_esp.h"

#include "io.h"
#include "pe.h"
#include "state.h"

#include <errno.h>
#include <string.h>

#define LOADER_MAX (16u << 20)

#if defined(__aarch64__)
#define SUFFIX "aa64"
#define FALLBACK "BOOTAA64"
#define MACHINE PE_MACHINE_AARCH64
#else
#define SUFFIX "x64"
#define FALLBACK "BOOTX64"
#define MACHINE PE_MACHINE_X86_64
#endif

struct bytes_at {
	const uint8_t *data;
};

static enum sb_error pe_read(void *ctx, uint64_t offset, uint8_t *buf, size_t len)
{
	const struct bytes_at *at = ctx;

	memcpy(buf, at->data + offset, len);
	return SB_OK;
}

static int loader_read(const char *path, uint8_t **ret_data, size_t *ret_len, struct err *err)
{
	_cleanup_free_ uint8_t *data = NULL;
	struct pe_image image;
	struct bytes_at at;

	if (read_file(path, LOADER_MAX, &data, ret_len) < 0)
		return err_errno(err, EX_NOINPUT, errno, "failed to read the loader %s (--loader=FILE)", path);
	at.data = data;
	if (pe_open(&(struct pe_source){ .ctx = &at, .size = *ret_len, .read = pe_read }, &image) != SB_OK ||
	    image.machine != MACHINE)
		return err_set(err, EX_DATAERR, "%s is no EFI program for this architecture (%s)", path, SUFFIX);
	*ret_data = data;
	data = NULL;
	return 0;
}

int provision_loader_check(const char *loader, uint64_t *ret_bytes, struct err *err)
{
	_cleanup_free_ uint8_t *data = NULL;
	size_t len;

	if (loader_read(loader, &data, &len, err) < 0)
		return -1;
	*ret_bytes = len;
	return 0;
}

static int loader_put(struct esp_stage *stage, const char *loader, struct err *err)
{
	_cleanup_free_ uint8_t *data = NULL;
	size_t len;

	if (loader_read(loader, &data, &len, err) < 0 ||
	    esp_stage_put(stage, "EFI/BOOT/" FALLBACK ".EFI", data, len, err) < 0)
		return -1;
	return esp_stage_put(stage, "EFI/slotboot/slotboot" SUFFIX ".efi", data, len, err);
}

static int mirror_put(struct esp_stage *stage, const struct record *record, struct err *err)
{
	uint8_t bytes[STATE_MIRROR_BYTES] = { 0 };

	for (unsigned copy = 0; copy < STATE_MIRROR_COPIES; copy++)
		record_encode(record, bytes + copy * STATE_STRIDE);
	return esp_stage_put(stage, "EFI/slotboot/state.bin", bytes, sizeof bytes, err);
}

/* Of two keys for the same file a boot manager takes the one that it knows, or the last. */
static int snippet_put(struct esp_stage *stage, char slot, struct err *err)
{
	char path[64], text[256];

	(void)snprintf(path, sizeof path, "loader/entries/slotboot-%c.conf", slot);
	(void)snprintf(text, sizeof text,
		       "title slotboot, slot %c\n"
		       "sort-key slotboot\n"
		       "efi /EFI/slotboot/%c/uki.efi\n"
		       "uki /EFI/slotboot/%c/uki.efi\n", slot - 'a' + 'A', slot, slot);
	return esp_stage_put(stage, path, text, strlen(text), err);
}

int provision_esp_fill(struct esp_stage *stage, const char *loader, const struct record *record, struct err *err)
{
	if (loader_put(stage, loader, err) < 0 || mirror_put(stage, record, err) < 0 ||
	    snippet_put(stage, 'a', err) < 0 || snippet_put(stage, 'b', err) < 0)
		return -1;
	if (esp_stage_make_dir(stage, "EFI/slotboot/b") < 0)
		return err_errno(err, EX_SOFTWARE, errno, "failed to make the ESP");
	return 0;
}
