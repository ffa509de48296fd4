/* SPDX-License-Identifier: MIT */
#include "shim_file.h"

#include "bytes.h"
#include "espfile.h"
#include "io.h"
#include "native.h"
#include "pe.h"

#include <errno.h>
#include <string.h>

static enum sb_error memory_read(void *ctx, uint64_t offset, uint8_t *buf, size_t len)
{
	const struct shim_file *file = ctx;

	bytes_copy(buf, file->data + offset, len);
	return SB_OK;
}

static struct pe_source source_of(const struct shim_file *file)
{
	return (struct pe_source){ .ctx = (void *)(uintptr_t)file, .size = file->len, .read = memory_read };
}

int shim_file_read(const struct machine *machine, const char *dir, enum shim_place place,
		   struct shim_file *ret_file, struct err *err)
{
	struct shim_file *f = ret_file;
	struct pe_source source;
	struct pe_image image;

	*f = (struct shim_file){ 0 };
	if (asprintf(&f->path, "%s/%s%s", dir, place == SHIM_HOME ? ESP_OURS "/" : "EFI/BOOT/BOOT" NATIVE_EFI_CAPITALS
		     ".EFI", place == SHIM_HOME ? machine->config->shim : "") < 0) {
		f->path = NULL;
		return err_errno(err, EX_SOFTWARE, errno, "failed to name a file on the ESP");
	}
	if (read_file(f->path, SHIM_MAX_BYTES, &f->data, &f->len) < 0) {
		f->there = errno != ENOENT;
		(void)err_errno(&f->why, EX_NOINPUT, errno, "failed to read %s", f->path);
		return 0;
	}
	f->there = true;
	source = source_of(f);
	if (pe_open(&source, &image) != SB_OK)
		(void)err_set(&f->why, EX_DATAERR, "it is no whole EFI program: cut off, or overwritten");
	else if (image.machine != NATIVE_MACHINE)
		(void)err_set(&f->why, EX_DATAERR, "it is for another architecture");
	return 0;
}

void shim_file_clear(struct shim_file *file)
{
	free(file->path);
	free(file->data);
	*file = (struct shim_file){ 0 };
}

bool shim_file_same(const struct shim_file *a, const struct shim_file *b)
{
	return a->data && b->data && a->len == b->len && memcmp(a->data, b->data, a->len) == 0;
}

bool shim_file_judge(const struct secureboot *rules, const struct shim_file *file,
		     struct secureboot_verdict *ret_verdict)
{
	const struct pe_source source = source_of(file);
	struct secureboot firmware = *rules;

	if (!rules->on || !file->data)
		return false;
	firmware.shim = false;
	secureboot_look(&firmware, &source, false, ret_verdict);
	return true;
}
