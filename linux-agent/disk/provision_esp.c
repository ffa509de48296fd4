/* SPDX-License-Identifier: MIT */
#include "provision_esp.h"

#include "io.h"
#include "native.h"
#include "state.h"
#include "ukifile.h"

#include <errno.h>
#include <string.h>

#define LOADER_MAX (16u << 20)

int provision_program_read(const char *path, const char *what, uint8_t **ret_data, size_t *ret_len, struct err *err)
{
	_cleanup_(ukifile_close) struct ukifile file = { .fd = open_data(path) };
	_cleanup_free_ uint8_t *data = NULL;
	size_t len;

	if (file.fd < 0 || read_file(path, LOADER_MAX, &data, &len) < 0)
		return err_errno(err, EX_NOINPUT, errno, "failed to read the %s %s (--%s=FILE)", what, path, what);
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

#define FALLBACK "EFI/BOOT/BOOT" NATIVE_EFI_CAPITALS ".EFI"

/* shim looks for "grubx64.efi" where nobody names a file to it. */
static int shim_put(struct esp_stage *stage, const struct provision_programs *p, struct err *err)
{
	char path[128];

	(void)snprintf(path, sizeof path, "EFI/slotboot/%s", p->shim_name);
	if (esp_stage_put(stage, FALLBACK, p->shim, p->shim_len, err) < 0 ||
	    esp_stage_put(stage, path, p->shim, p->shim_len, err) < 0)
		return -1;
	return esp_stage_put(stage, "EFI/BOOT/grub" NATIVE_EFI ".efi", p->loader, p->loader_len, err);
}

static int loader_put(struct esp_stage *stage, const struct provision_programs *p, struct err *err)
{
	if (!p->loader)
		return 0;
	if ((p->shim ? shim_put(stage, p, err) : esp_stage_put(stage, FALLBACK, p->loader, p->loader_len, err)) < 0)
		return -1;
	return esp_stage_put(stage, "EFI/slotboot/slotboot" NATIVE_EFI ".efi", p->loader, p->loader_len, err);
}

int provision_esp_fill(struct esp_stage *stage, const struct provision_programs *programs,
		       const struct record *record, struct err *err)
{
	if (loader_put(stage, programs, err) < 0 || mirror_put(stage, record, err) < 0 ||
	    snippet_put(stage, 'a', err) < 0 || snippet_put(stage, 'b', err) < 0)
		return -1;
	if (esp_stage_make_dir(stage, "EFI/slotboot/b") < 0)
		return err_errno(err, EX_SOFTWARE, errno, "failed to make the ESP");
	return 0;
}
