/* SPDX-License-Identifier: MIT */
/*
 * Every file of the ESP and every slot target that the agent changes, behind a
 * small table of functions, so that a test can stand in for the medium and cut
 * the power at each call. All return -1 with errno on failure, as POSIX does.
 *
 * A write is durable only after flush() of its file; a file that was made or
 * removed, only after flush_dir() of its directory.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum disk_open {
	DISK_READ,		/* past the page cache, where the file system can */
	DISK_READ_MEDIUM,	/* past it in any case; EINVAL: the file system cannot */
	DISK_WRITE,		/* past the page cache where that can be done; a block
				 * device exclusively: EBUSY while in use */
	DISK_CREATE,		/* read and write, made if it is not there */
	DISK_NEW,		/* write, and it must not be there */
};

struct disk_stat {
	uint64_t size;		/* of the file, or of the device */
	bool device;		/* else a regular file */
	uint64_t taken;		/* bytes of its file system that a regular file has */
};

struct disk {
	void *ctx;
	int (*open)(void *ctx, const char *path, enum disk_open how);
	void (*close)(void *ctx, int file);
	/* At most len bytes at offset, 0 at the end. Offset and buf are aligned to
	 * 4096 bytes where the file was opened with one of DISK_READ*. */
	int64_t (*read)(void *ctx, int file, void *buf, size_t len, uint64_t offset);
	/* All of them. */
	int (*write)(void *ctx, int file, const void *buf, size_t len, uint64_t offset);
	int (*truncate)(void *ctx, int file, uint64_t size);
	/* Takes the room for the first size bytes of a regular file, which grows to that.
	 * ENOSPC, EDQUOT, EFBIG: it has the size it had. 0 also where the file system cannot do that. */
	int (*reserve)(void *ctx, int file, uint64_t size);
	int (*flush)(void *ctx, int file);
	/* ENODEV: neither a block device nor a regular file. */
	int (*stat)(void *ctx, const char *path, struct disk_stat *ret_stat);
	int (*remove)(void *ctx, const char *path);
	int (*make_dir)(void *ctx, const char *path);
	int (*flush_dir)(void *ctx, const char *path);
	/* Bytes free for new files on the file system of path. EROFS: read-only. */
	int (*room)(void *ctx, const char *path, uint64_t *ret_bytes);
};

/* flush_dir() of the directory that path is in: 0, or -1 with errno. */
int disk_flush_parent(const struct disk *disk, const char *path);

/* The machine's own. */
extern const struct disk disk_posix;
