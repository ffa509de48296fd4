/* SPDX-License-Identifier: MIT */
#include "provision_esp.h"

#include "io.h"
#include "native.h"
#include "state.h"
#include "ukifile.h"

#include <errno.h>
#include <string.h>

#define LOADER_MAX (16u << 20)

int provision_loader_read(const char *path, uint8_t **ret_data, size_t *ret_len, struct err *err)
{
	_cleanup_(ukifile_close) struct ukifile file = { .fd = open_data(path) };
	_cleanup_free_ uint8_t *data = NULL;
	size_t len;

	if (file.fd < 0 || read_file(path, LOADER_MAX, &data, &len) < 0)
		return err_errno(err, EX_NOINPUT, errno, "failed to read the loader %s (--loader=FILE)", path);
	if (ukifile_open_fd(file.fd, path, &file, NULL) < 0 || !ukifile_is_native(&file))
		return err_set(err, EX_DATAERR, "%s is no EFI program for this architecture (%s)", path, NATIVE_EFI);
	*ret_data = data;
	*ret_len = len;
	data = NULL;
	return 0;
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

static int loader_put(struct esp_stage *stage, const uint8_t *loader, size_t len, struct err *err)
{
	if (!loader)
		return 0;
	if (esp_stage_put(stage, "EFI/BOOT/BOOT" NATIVE_EFI_CAPITALS ".EFI", loader, len, err) < 0)
		return -1;
	return esp_stage_put(stage, "EFI/slotboot/slotboot" NATIVE_EFI ".efi", loader, len, err);
}

int provision_esp_fill(struct esp_stage *stage, const uint8_t *loader, size_t loader_len,
		       const struct record *record, struct err *err)
{
	if (loader_put(stage, loader, loader_len, err) < 0 || mirror_put(stage, record, err) < 0 ||
	    snippet_put(stage, 'a', err) < 0 || snippet_put(stage, 'b', err) < 0)
		return -1;
	if (esp_stage_make_dir(stage, "EFI/slotboot/b") < 0)
		return err_errno(err, EX_SOFTWARE, errno, "failed to make the ESP");
	return 0;
}
