/* SPDX-License-Identifier: MIT */
#include "statefile.h"

#include "io.h"

#include <errno.h>
#include <string.h>

enum { BLOCK = 4096 };

static enum sb_error var_read(void *ctx, uint8_t *buf, size_t cap, size_t *ret_len)
{
	struct statefile *file = ctx;
	_cleanup_free_ uint8_t *data = NULL;
	uint32_t attributes;
	size_t len;
	int r = vars_get(file->vars, VARS_SLOTBOOT, VARS_SLOT_STATE, &data, &len, &attributes,
			 &file->why);

	if (r != 0)
		return r > 0 ? SB_NOT_FOUND : SB_IO;
	if (attributes != VARS_NV_BS_RT)
		return SB_ATTRIBUTES;
	memcpy(buf, data, len < cap ? len : cap);
	*ret_len = len;
	return SB_OK;
}

/* Only deleting the variable can change its attributes; that fails if it is authenticated
 * with a foreign key. */
static bool is_squatted(struct statefile *file)
{
	_cleanup_free_ uint8_t *data = NULL;
	uint32_t attributes;
	size_t len;

	return vars_get(file->vars, VARS_SLOTBOOT, VARS_SLOT_STATE, &data, &len, &attributes,
			NULL) == 0 &&
	       attributes != VARS_NV_BS_RT &&
	       vars_delete(file->vars, VARS_SLOTBOOT, VARS_SLOT_STATE, NULL) < 0;
}

static enum sb_error var_write(void *ctx, const uint8_t bytes[RECORD_BYTES])
{
	struct statefile *file = ctx;

	if (is_squatted(file))
		return SB_ATTRIBUTES;
	if (vars_set(file->vars, VARS_SLOTBOOT, VARS_SLOT_STATE, bytes, RECORD_BYTES,
		     VARS_NV_BS_RT, &file->why) < 0)
		return file->closed ? SB_ATTRIBUTES : SB_IO;
	return SB_OK;
}

static enum sb_error error_of(int error)
{
	return error == ENOENT ? SB_NOT_FOUND : error == ENOSPC ? SB_FULL : SB_IO;
}

/* A whole block, because reads past the page cache come in blocks. */
static enum sb_error mirror_read(void *ctx, unsigned copy, uint8_t buf[RECORD_BYTES])
{
	struct statefile *file = ctx;
	const struct disk *disk = file->disk;
	_cleanup_free_ uint8_t *block = aligned_alloc(BLOCK, BLOCK);
	uint64_t offset = (uint64_t)copy * STATE_STRIDE;
	int64_t n;
	int fd;

	if (!block)
		return SB_IO;
	fd = disk->open(disk->ctx, file->mirror, DISK_READ);
	if (fd < 0)
		return error_of(errno);
	n = disk->read(disk->ctx, fd, block, BLOCK, offset);
	disk->close(disk->ctx, fd);
	if (n < RECORD_BYTES)
		return n < 0 ? SB_IO : SB_SHORT;
	memcpy(buf, block, RECORD_BYTES);
	return SB_OK;
}

/* Gives state.bin its full size once; from then on it is only overwritten. */
static int mirror_open(struct statefile *file, int *ret_fd)
{
	static const uint8_t zero[STATE_MIRROR_BYTES];
	const struct disk *disk = file->disk;
	struct disk_stat st = { 0 };
	int fd;

	(void)disk->stat(disk->ctx, file->mirror, &st);
	fd = disk->open(disk->ctx, file->mirror, DISK_CREATE);
	if (fd < 0)
		return -1;
	if (st.size < STATE_MIRROR_BYTES &&
	    (disk->write(disk->ctx, fd, zero, sizeof zero, 0) < 0 ||
	     disk->flush(disk->ctx, fd) < 0 || disk_flush_parent(disk, file->mirror) < 0)) {
		disk->close(disk->ctx, fd);
		return -1;
	}
	*ret_fd = fd;
	return 0;
}

static enum sb_error mirror_write(void *ctx, unsigned copy, const uint8_t bytes[RECORD_BYTES])
{
	struct statefile *file = ctx;
	const struct disk *disk = file->disk;
	uint8_t sector[STATE_SECTOR] = { 0 };
	enum sb_error error = SB_OK;
	int fd;

	memcpy(sector, bytes, RECORD_BYTES);
	if (mirror_open(file, &fd) < 0)
		return error_of(errno);
	if (disk->write(disk->ctx, fd, sector, sizeof sector,
			(uint64_t)copy * STATE_STRIDE) < 0 ||
	    disk->flush(disk->ctx, fd) < 0)
		error = error_of(errno);
	disk->close(disk->ctx, fd);
	return error;
}

struct state_ops statefile_ops(struct statefile *file)
{
	return (struct state_ops){
		.ctx = file,
		.var_read = var_read,
		.var_write = var_write,
		.mirror_read = mirror_read,
		.mirror_write = mirror_write,
	};
}
