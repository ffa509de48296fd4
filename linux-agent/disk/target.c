/* SPDX-License-Identifier: MIT */
#include "target.h"

#include "io.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#define BLOCK 4096u
#define PIECE (1u << 20)

/* --- opening --- */

static int in_use(const char *path, const char *by, struct err *err)
{
	return err_set(err, EX_IOERR, "failed to open %s: it is in use%s%s: unmount it, or choose another disk", path,
		       *by ? " by " : " (mounted, as swap, or by device mapper or RAID)", by);
}

/* Only the loop device refers to the file. */
static bool below_loop(const char *path, char name[static 32])
{
	_cleanup_(cleanup_closedirp) DIR *dir = opendir("/sys/block");
	struct stat st, back;
	struct dirent *entry;

	if (!dir || stat(path, &st) < 0)
		return false;
	while ((entry = readdir(dir))) {
		char file[300];
		_cleanup_free_ uint8_t *text = NULL;
		size_t len = 0;

		(void)snprintf(file, sizeof file, "/sys/block/%s/loop/backing_file", entry->d_name);
		if (strncmp(entry->d_name, "loop", 4) != 0 || read_file(file, BLOCK, &text, &len) < 0)
			continue;
		text[strcspn((char *)text, "\n")] = 0;
		if (stat((char *)text, &back) == 0 && back.st_dev == st.st_dev && back.st_ino == st.st_ino) {
			(void)snprintf(name, 32, "/dev/%.20s", entry->d_name);
			return true;
		}
	}
	return false;
}

static int device_sector(const char *path, unsigned *ret_bytes, struct err *err)
{
	_cleanup_close_ int fd = open_data(path);
	int bytes = 0;

	if (fd < 0 || ioctl(fd, BLKSSZGET, &bytes) < 0)
		return err_errno(err, EX_IOERR, errno, "failed to find the sector size of %s", path);
	if (bytes != 512 && bytes != 4096)
		return err_set(err, EX_IOERR, "%s has sectors of %d bytes: neither 512 nor 4096", path, bytes);
	*ret_bytes = (unsigned)bytes;
	return 0;
}

static int stat_target(struct target *t, uint64_t size, struct err *err)
{
	struct disk_stat st;

	if (t->io->stat(t->io->ctx, t->path, &st) == 0) {
		t->device = st.device;
		t->bytes = st.size;
		if (size && size != st.size)
			return err_set(err, EX_USAGE, "--size: %s is there already, and has %llu bytes", t->path,
				       (unsigned long long)st.size);
		return 0;
	}
	if (errno == ENODEV)
		return err_set(err, EX_USAGE, "%s is neither a block device nor a regular file", t->path);
	if (errno != ENOENT)
		return err_errno(err, EX_NOINPUT, errno, "failed to look at %s", t->path);
	/* A misspelled device name must not create a file in /dev. */
	if (!size || strncmp(t->path, "/dev/", 5) == 0)
		return err_set(err, EX_NOINPUT, "%s does not exist%s", t->path,
			       size ? "" : "; with --size it is made, as an image file");
	t->missing = true;
	t->bytes = size;
	return 0;
}

static int open_both(struct target *t, struct err *err)
{
	t->write = t->io->open(t->io->ctx, t->path, DISK_WRITE);
	if (t->write < 0 && errno == EBUSY)
		return in_use(t->path, "", err);
	if (t->write >= 0)
		t->read = t->io->open(t->io->ctx, t->path, DISK_READ);
	if (t->write < 0 || t->read < 0)
		return err_errno(err, EX_IOERR, errno, "failed to open %s", t->path);
	return 0;
}

int target_open(const struct disk *io, const char *path, uint64_t size, struct target *ret_target,
		struct err *err)
{
	struct target *t = ret_target;
	char loop[32];

	*t = (struct target){ .io = io, .path = path, .write = -1, .read = -1 };
	(void)snprintf(t->esp_name, sizeof t->esp_name, "%s:esp", path);
	if (strlen(path) > sizeof t->esp_name - 32)
		return err_set(err, EX_USAGE, "the name of the disk is too long");
	if (stat_target(t, size, err) < 0)
		return -1;
	if (t->missing)
		return 0;
	if (!t->device && below_loop(path, loop))
		return in_use(path, loop, err);
	if (t->device && device_sector(path, &t->sector_bytes, err) < 0)
		return -1;
	return open_both(t, err);
}

int target_create(struct target *target, struct err *err)
{
	const struct disk *io = target->io;
	int file, r;

	if (!target->missing)
		return 0;
	file = io->open(io->ctx, target->path, DISK_NEW);
	if (file < 0)
		return err_errno(err, EX_IOERR, errno, "failed to create %s", target->path);
	r = io->truncate(io->ctx, file, target->bytes);
	io->close(io->ctx, file);
	if (r < 0)
		return err_errno(err, EX_IOERR, errno, "failed to create %s", target->path);
	target->missing = false;
	return open_both(target, err);
}

void target_close(struct target *target)
{
	if (target->write >= 0)
		target->io->close(target->io->ctx, target->write);
	if (target->read >= 0)
		target->io->close(target->io->ctx, target->read);
	target->write = target->read = -1;
	esp_stage_clear(&target->stage);
}

/* --- writing --- */

int target_write(struct target *target, const void *data, size_t len, uint64_t offset, struct err *err)
{
	if (target->io->write(target->io->ctx, target->write, data, len, offset) < 0)
		return err_errno(err, EX_IOERR, errno, "failed to write %s", target->path);
	return 0;
}

int target_zero(struct target *target, uint64_t bytes, uint64_t offset, struct err *err)
{
	_cleanup_free_ uint8_t *zeros = aligned_alloc(BLOCK, PIECE);

	if (!zeros)
		return err_set(err, EX_SOFTWARE, "failed to write %s: out of memory", target->path);
	memset(zeros, 0, PIECE);
	for (uint64_t done = 0; done < bytes;) {
		size_t n = bytes - done < PIECE ? (size_t)(bytes - done) : PIECE;

		if (target_write(target, zeros, n, offset + done, err) < 0)
			return -1;
		done += n;
	}
	return 0;
}

int target_flush(struct target *target, struct err *err)
{
	if (target->io->flush(target->io->ctx, target->write) < 0)
		return err_errno(err, EX_IOERR, errno, "failed to flush %s", target->path);
	return 0;
}

static int piece_check(struct target *t, const uint8_t *data, uint8_t *back, size_t len, uint64_t offset,
		       struct err *err)
{
	size_t ask = (len + BLOCK - 1) / BLOCK * BLOCK;
	int64_t n = t->io->read(t->io->ctx, t->read, back, ask, offset);

	if (n < (int64_t)len)
		return err_errno(err, EX_IOERR, n < 0 ? errno : EIO, "failed to read back %s", t->path);
	if (memcmp(data, back, len) != 0)
		return err_set(err, EX_IOERR, "%s reads back differently at byte %llu: the disk does not keep what is "
			       "written to it", t->path, (unsigned long long)offset);
	return 0;
}

int target_copy(struct target *target, int fd, uint64_t from, uint64_t end, uint64_t to, bool check,
		struct err *err)
{
	_cleanup_free_ uint8_t *data = aligned_alloc(BLOCK, PIECE), *back = aligned_alloc(BLOCK, PIECE);

	if (!data || !back)
		return err_set(err, EX_SOFTWARE, "failed to write %s: out of memory", target->path);
	for (uint64_t at = from; at < end;) {
		off_t next = lseek(fd, (off_t)at, SEEK_DATA);
		size_t n;

		if (next < 0 || (uint64_t)next >= end)
			break;
		at = (uint64_t)next > at ? (uint64_t)next / BLOCK * BLOCK : at;
		n = end - at < PIECE ? (size_t)(end - at) : PIECE;
		if (pread_full(fd, data, n, (off_t)at) < 0)
			return err_errno(err, EX_SOFTWARE, errno, "failed to write %s", target->path);
		if (check ? piece_check(target, data, back, n, to + at - from, err) < 0
			  : target_write(target, data, n, to + at - from, err) < 0)
			return -1;
		at += n;
	}
	return 0;
}

bool target_reread(const struct target *target)
{
	return !target->device || ioctl(target->write, BLKRRPART) == 0;
}

/* --- what an install sees --- */

/* No descriptors of this process: from here on two for each partition, to write and to read it. */
enum { PART_FILES = 1 << 24 };

static const struct layout_part *part_of(const struct target *t, int file)
{
	return &t->layout->parts[(file - PART_FILES) / 2];
}

/* "": the ESP itself; NULL: not on it. */
static const char *on_esp(const struct target *t, const char *path)
{
	size_t len = strlen(t->esp_name);

	if (strncmp(path, t->esp_name, len) != 0)
		return NULL;
	return path[len] == '/' ? path + len + 1 : path[len] ? NULL : "";
}

/* "DISK:slotboot-a": its place in the layout; -1: it is no partition of slot A. */
static int slot_part(const struct target *t, const char *path)
{
	size_t len = strlen(t->path);

	if (strncmp(path, t->path, len) != 0 || path[len] != ':')
		return -1;
	for (size_t i = 0; i < t->layout->count; i++)
		if (t->layout->parts[i].role == LAYOUT_A && strcmp(path + len + 1, t->layout->parts[i].name) == 0)
			return (int)i;
	return -1;
}

static int missing(void)
{
	errno = ENOENT;
	return -1;
}

static int seen_open(void *ctx, const char *path, enum disk_open how)
{
	struct target *t = ctx;
	const char *file = on_esp(t, path);
	int part;

	if (file)
		return esp_stage_open(&t->stage, file, how);
	part = slot_part(t, path);
	if (part < 0 || (how != DISK_WRITE && t->read < 0))
		return missing();
	return PART_FILES + 2 * part + (how == DISK_WRITE ? 0 : 1);
}

static void seen_close(void *ctx, int file)
{
	(void)ctx;
	if (file < PART_FILES)
		(void)close(file);
}

static int64_t seen_read(void *ctx, int file, void *buf, size_t len, uint64_t offset)
{
	struct target *t = ctx;
	const struct layout_part *p;

	if (file < PART_FILES)
		return pread(file, buf, len, (off_t)offset);
	p = part_of(t, file);
	if (offset >= p->bytes)
		return 0;
	if (len > p->bytes - offset)
		len = (size_t)(p->bytes - offset);
	return t->io->read(t->io->ctx, t->read, buf, len, p->start + offset);
}

static int seen_write(void *ctx, int file, const void *buf, size_t len, uint64_t offset)
{
	struct target *t = ctx;

	if (file < PART_FILES)
		return pwrite_full(file, buf, len, (off_t)offset);
	return t->io->write(t->io->ctx, t->write, buf, len, part_of(t, file)->start + offset);
}

static int seen_truncate(void *ctx, int file, uint64_t size)
{
	(void)ctx;
	return ftruncate(file, (off_t)size);
}

static int seen_reserve(void *ctx, int file, uint64_t size)
{
	(void)ctx, (void)file, (void)size;
	return 0;
}

static int seen_flush(void *ctx, int file)
{
	struct target *t = ctx;

	return file < PART_FILES ? 0 : t->io->flush(t->io->ctx, t->write);
}

static int seen_stat(void *ctx, const char *path, struct disk_stat *ret_stat)
{
	struct target *t = ctx;
	const char *file = on_esp(t, path);
	int part;

	if (file)
		return esp_stage_stat(&t->stage, file, ret_stat);
	part = slot_part(t, path);
	if (part < 0)
		return missing();
	*ret_stat = (struct disk_stat){ .size = t->layout->parts[part].bytes, .device = true };
	return 0;
}

static int seen_remove(void *ctx, const char *path)
{
	struct target *t = ctx;
	const char *file = on_esp(t, path);

	return file ? esp_stage_remove(&t->stage, file) : missing();
}

static int seen_make_dir(void *ctx, const char *path)
{
	struct target *t = ctx;
	const char *file = on_esp(t, path);

	return file ? esp_stage_make_dir(&t->stage, file) : missing();
}

static int seen_flush_dir(void *ctx, const char *path)
{
	(void)ctx, (void)path;
	return 0;
}

static int seen_room(void *ctx, const char *path, uint64_t *ret_bytes)
{
	struct target *t = ctx;
	const struct fat_size *fat = &t->layout->fat;
	uint64_t room = fat->clusters * fat->cluster_sectors * fat->sector_bytes, used = esp_stage_bytes(&t->stage);

	(void)path;
	*ret_bytes = room > used ? room - used : 0;
	return 0;
}

struct disk target_disk(struct target *target)
{
	return (struct disk){
		.ctx = target, .open = seen_open, .close = seen_close, .read = seen_read, .write = seen_write,
		.truncate = seen_truncate, .reserve = seen_reserve, .flush = seen_flush, .stat = seen_stat,
		.remove = seen_remove, .make_dir = seen_make_dir, .flush_dir = seen_flush_dir, .room = seen_room,
	};
}
