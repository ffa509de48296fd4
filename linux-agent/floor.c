/* SPDX-License-Identifier: MIT */
#include "floor.h"

#include "bytes.h"
#include "crc32.h"
#include "espfile.h"
#include "manifest.h"
#include "util.h"

#include <errno.h>
#include <libgen.h>
#include <string.h>

enum { BLOCK = 4096, LAYOUT = 1 };
enum { AT_LAYOUT = 8, AT_LEN = 10, AT_TEXT = 16, AT_RESERVED = 80, AT_CRC = 124, COPY = 128 };

static const uint8_t magic[8] = "SLOTFLOR";

enum copy { COPY_NONE, COPY_VALID, COPY_DAMAGED };

static bool is_version(const char *text, size_t len)
{
	static const char chars[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789._~^+-";

	for (size_t i = 0; i < len; i++)
		if (!text[i] || !strchr(chars, text[i]))
			return false;
	return true;
}

static bool is_zero(const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (p[i])
			return false;
	return true;
}

static enum copy copy_decode(const uint8_t sector[FLOOR_SECTOR],
			     char ret_version[FLOOR_VERSION_MAX + 1])
{
	const char *text = (const char *)sector + AT_TEXT;
	size_t len = le16_get(sector + AT_LEN);

	if (is_zero(sector, FLOOR_SECTOR))
		return COPY_NONE;
	if (memcmp(sector, magic, sizeof magic) != 0 || le16_get(sector + AT_LAYOUT) != LAYOUT ||
	    le32_get(sector + AT_CRC) != crc32_of(sector, AT_CRC) ||
	    len < 1 || len > FLOOR_VERSION_MAX || !is_version(text, len))
		return COPY_DAMAGED;
	memcpy(ret_version, text, len);
	ret_version[len] = 0;
	return COPY_VALID;
}

bool floor_decode(const uint8_t *bytes, size_t len, struct floor *ret_floor)
{
	uint8_t whole[FLOOR_BYTES] = { 0 };
	char version[2][FLOOR_VERSION_MAX + 1] = { "", "" };
	struct floor floor = { 0 };
	enum copy copy[2];

	memcpy(whole, bytes, len < sizeof whole ? len : sizeof whole);
	for (unsigned i = 0; i < 2; i++) {
		copy[i] = copy_decode(whole + i * FLOOR_SECTOR, version[i]);
		if (copy[i] == COPY_VALID &&
		    (!*floor.version || version_compare(version[i], floor.version) > 0))
			memcpy(floor.version, version[i], sizeof floor.version);
	}
	if (copy[0] == COPY_DAMAGED && copy[1] == COPY_DAMAGED)
		return false;
	for (unsigned i = 0; i < 2; i++)
		floor.held[i] = copy[i] == COPY_VALID && strcmp(version[i], floor.version) == 0;
	*ret_floor = floor;
	return true;
}

static int floor_path(const char *esp, char **ret_path, struct err *err)
{
	if (asprintf(ret_path, "%s/" ESP_OURS "/floor", esp) < 0)
		return err_errno(err, EX_SOFTWARE, errno, "failed to name the rollback floor");
	return 0;
}

/* A whole block, because reads past the page cache come in blocks. 1: damaged. */
static int floor_read(const struct disk *disk, const char *path, struct floor *ret_floor,
		      struct err *err)
{
	_cleanup_free_ uint8_t *block = aligned_alloc(BLOCK, BLOCK);
	int file = block ? disk->open(disk->ctx, path, DISK_READ) : -1;
	int64_t n;

	if (block && file < 0 && errno == ENOENT) {
		*ret_floor = (struct floor){ 0 };
		return 0;
	}
	if (file < 0)
		return err_errno(err, EX_IOERR, errno, "failed to read the rollback floor %s",
				 path);
	n = disk->read(disk->ctx, file, block, BLOCK, 0);
	if (n < 0)
		(void)err_errno(err, EX_IOERR, errno, "failed to read the rollback floor %s",
				path);
	disk->close(disk->ctx, file);
	if (n < 0)
		return -1;
	return floor_decode(block, (size_t)n, ret_floor) ? 0 : 1;
}

int floor_load(const struct disk *disk, const char *esp, struct floor *ret_floor,
	       struct err *err)
{
	_cleanup_free_ char *path = NULL;
	int r;

	if (floor_path(esp, &path, err) < 0)
		return -1;
	r = floor_read(disk, path, ret_floor, err);
	if (r > 0)
		return err_set(err, EX_CONFIG, "the rollback floor %s is damaged: slotctl "
			       "mark-good writes it anew where the running version raises it; "
			       "otherwise remove the file, and any version may be installed",
			       path);
	return r;
}

static void copy_encode(const char *version, uint8_t ret_sector[FLOOR_SECTOR])
{
	size_t len = strlen(version);

	memset(ret_sector, 0, FLOOR_SECTOR);
	memcpy(ret_sector, magic, sizeof magic);
	le16_put(ret_sector + AT_LAYOUT, LAYOUT);
	le16_put(ret_sector + AT_LEN, (uint16_t)len);
	memcpy(ret_sector + AT_TEXT, version, len);
	le32_put(ret_sector + AT_CRC, crc32_of(ret_sector, AT_CRC));
}

/* The name too, each time: an earlier run may have been cut before it was durable. */
static int copy_write(const struct disk *disk, const char *path, int file, unsigned copy,
		      const char *version)
{
	_cleanup_free_ char *dir = strdup(path);
	uint8_t sector[FLOOR_SECTOR];

	copy_encode(version, sector);
	if (!dir || disk->write(disk->ctx, file, sector, sizeof sector, copy * FLOOR_SECTOR) < 0 ||
	    disk->flush(disk->ctx, file) < 0)
		return -1;
	return disk->flush_dir(disk->ctx, dirname(dir));
}

/* First the copy that may go: the other one holds the floor until this is done. */
static int copies_write(const struct disk *disk, const char *path, const struct floor *now,
			const char *version, struct err *err)
{
	unsigned first = now->held[0] ? 1 : 0;
	int file = disk->open(disk->ctx, path, DISK_CREATE);
	bool good = file >= 0;

	for (unsigned i = 0; good && i < 2; i++)
		good = copy_write(disk, path, file, first ^ i, version) == 0;
	if (!good)
		(void)err_errno(err, EX_IOERR, errno, "failed to write the rollback floor %s",
				path);
	if (file >= 0)
		disk->close(disk->ctx, file);
	return good ? 0 : -1;
}

static bool holds_both(const struct floor *floor, const char *version)
{
	return floor->held[0] && floor->held[1] && strcmp(floor->version, version) == 0;
}

int floor_raise(const struct disk *disk, const char *esp, const char *version,
		struct err *err)
{
	_cleanup_free_ char *path = NULL;
	char want[FLOOR_VERSION_MAX + 1];
	struct floor now = { 0 };
	int r;

	if (floor_path(esp, &path, err) < 0)
		return -1;
	if (floor_read(disk, path, &now, err) < 0)
		return -1;
	if (*now.version && version_compare(version, now.version) <= 0)
		version = now.version;
	(void)snprintf(want, sizeof want, "%s", version);
	if (holds_both(&now, want))
		return 0;
	if (copies_write(disk, path, &now, want, err) < 0)
		return -1;
	r = floor_read(disk, path, &now, err);
	if (r < 0 || (r == 0 && holds_both(&now, want)))
		return r;
	return err_set(err, EX_IOERR, "the rollback floor %s reads back differently", path);
}
