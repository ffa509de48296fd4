/* SPDX-License-Identifier: MIT */
#include "loader_file.h"

#include "bootentries.h"
#include "bytes.h"
#include "espfile.h"
#include "io.h"
#include "native.h"
#include "pe.h"

#include <errno.h>
#include <openssl/evp.h>
#include <string.h>

#define SBAT_MARK "slotboot,1,slotboot,slotboot,"
#define INFO_MARK "slotboot "

enum { BLOCK = 4096 };

/* What shim starts where nothing is named. */
#define BEHIND_SHIM "EFI/BOOT/grub" NATIVE_EFI ".efi"

static const char *const names[LOADER_ELSEWHERE] = {
	[LOADER_HOME] = ESP_OURS "/slotboot" NATIVE_EFI ".efi",
	[LOADER_TRIAL] = ESP_OURS "/slotboot" NATIVE_EFI ".new.efi",
	[LOADER_FALLBACK] = "EFI/BOOT/BOOT" NATIVE_EFI_CAPITALS ".EFI",
};

static const char *name_of(const struct machine *m, enum loader_place place)
{
	return place == LOADER_FALLBACK && m->config->shim ? BEHIND_SHIM : names[place];
}

static enum sb_error memory_read(void *ctx, uint64_t offset, uint8_t *buf, size_t len)
{
	const struct loader_file *file = ctx;

	bytes_copy(buf, file->data + offset, len);
	return SB_OK;
}

static void version_copy(const char *from, size_t len, char ret_version[LOADER_VERSION_BYTES])
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._~^+-";
	size_t n = 0;

	while (n < len && from[n] && strchr(allowed, from[n]))
		n++;
	if (n >= LOADER_VERSION_BYTES)
		n = 0;
	memcpy(ret_version, from, n);
	ret_version[n] = 0;
}

static void sbat_judge(struct loader_file *file, const struct pe_image *image)
{
	const char *text, *end, *mark;
	struct pe_section sbat;

	if (pe_section_find(image, ".sbat", &sbat) != SB_OK)
		return;
	text = (const char *)file->data + sbat.offset;
	end = text + sbat.size;
	mark = memmem(text, (size_t)sbat.size, SBAT_MARK, strlen(SBAT_MARK));
	file->ours = mark && (mark == text || mark[-1] == '\n');
	if (file->ours)
		version_copy(mark + strlen(SBAT_MARK), (size_t)(end - mark) - strlen(SBAT_MARK),
			     file->version);
}

void loader_file_judge(struct loader_file *file)
{
	const struct pe_source source = { .ctx = file, .size = file->len, .read = memory_read };
	struct pe_image image;

	file->ours = false;
	file->version[0] = 0;
	file->why = (struct err){ 0 };
	if (EVP_Digest(file->data, file->len, file->sha256, NULL, EVP_sha256(), NULL) != 1)
		(void)err_set(&file->why, EX_SOFTWARE, "it cannot be hashed");
	else if (pe_open(&source, &image) != SB_OK)
		(void)err_set(&file->why, EX_DATAERR, "it is no whole EFI program: cut off, or "
			      "overwritten");
	else if (image.machine != NATIVE_MACHINE)
		(void)err_set(&file->why, EX_DATAERR, "it is for another architecture");
	else
		sbat_judge(file, &image);
}

/* -1 with errno. */
static int data_read(const struct disk *disk, struct loader_file *file)
{
	size_t cap = (file->len + BLOCK) / BLOCK * BLOCK, done = 0;
	int fd = disk->open(disk->ctx, file->path, DISK_READ);
	int64_t n = 1;

	if (fd < 0)
		return -1;
	file->data = aligned_alloc(BLOCK, cap);
	while (file->data && done < file->len && n > 0) {
		n = disk->read(disk->ctx, fd, file->data + done, cap - done, done);
		done += n > 0 ? (size_t)n : 0;
		if (done % BLOCK)
			break;
	}
	disk->close(disk->ctx, fd);
	if (file->data && n >= 0 && done >= file->len)
		return 0;
	if (n >= 0)
		errno = file->data ? EIO : ENOMEM;
	free(file->data);
	file->data = NULL;
	return -1;
}

int loader_file_read_at(const struct machine *machine, const char *dir, enum loader_place place,
			struct loader_file *ret_file, struct err *err)
{
	const struct disk *disk = &machine->disk;
	struct loader_file *f = ret_file;
	struct disk_stat st = { 0 };

	*f = (struct loader_file){ 0 };
	if (asprintf(&f->path, "%s/%s", dir, name_of(machine, place)) < 0) {
		f->path = NULL;
		return err_errno(err, EX_SOFTWARE, errno, "failed to name a file on the ESP");
	}
	f->there = disk->stat(disk->ctx, f->path, &st) == 0 || errno != ENOENT;
	f->len = st.size <= LOADER_MAX_BYTES ? (size_t)st.size : 0;
	if (!f->there)
		(void)err_set(&f->why, EX_NOINPUT, "it is not there");
	else if (f->len == 0)
		(void)err_set(&f->why, EX_DATAERR, "it is %s", st.size ? "far too large" : "empty");
	else if (data_read(disk, f) < 0)
		(void)err_errno(&f->why, EX_IOERR, errno, "failed to read %s", f->path);
	else
		loader_file_judge(f);
	return 0;
}

int loader_file_read(const struct machine *machine, enum loader_place place,
		     struct loader_file *ret_file, struct err *err)
{
	return loader_file_read_at(machine, machine->esp.dir, place, ret_file, err);
}

void loader_file_clear(struct loader_file *file)
{
	free(file->path);
	free(file->data);
	*file = (struct loader_file){ 0 };
}

bool loader_file_good(const struct loader_file *file)
{
	return file->there && !file->why.exit && file->ours;
}

/* Compare only the last component: firmware spells directories differently. */
static enum loader_place place_of(const struct machine *m, const char *identifier)
{
	const char *last = strrchr(identifier, '\\');

	for (unsigned place = 0; place < LOADER_ELSEWHERE; place++)
		if (strcasecmp(last ? last + 1 : identifier, strrchr(name_of(m, place), '/') + 1) == 0)
			return place;
	return LOADER_ELSEWHERE;
}

enum loader_place loader_started(const struct machine *machine,
				 char ret_version[LOADER_VERSION_BYTES])
{
	_cleanup_free_ char *info = machine_loader_variable(machine, "LoaderInfo");
	_cleanup_free_ char *identifier = machine_loader_variable(machine, "LoaderImageIdentifier");

	ret_version[0] = 0;
	if (!info || !identifier || strncmp(info, INFO_MARK, strlen(INFO_MARK)) != 0)
		return LOADER_ELSEWHERE;
	version_copy(info + strlen(INFO_MARK), strlen(info) - strlen(INFO_MARK), ret_version);
	return place_of(machine, identifier);
}
