/* SPDX-License-Identifier: MIT */
#include "statefile.h"

#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

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

static enum sb_error var_write(void *ctx, const uint8_t bytes[RECORD_BYTES])
{
	struct statefile *file = ctx;

	if (vars_set(file->vars, VARS_SLOTBOOT, VARS_SLOT_STATE, bytes, RECORD_BYTES,
		     VARS_NV_BS_RT, &file->why) < 0)
		return SB_IO;
	return SB_OK;
}

static enum sb_error mirror_read(void *ctx, unsigned copy, uint8_t buf[RECORD_BYTES])
{
	struct statefile *file = ctx;
	_cleanup_close_ int fd = open(file->mirror, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return errno == ENOENT ? SB_NOT_FOUND : SB_IO;
	if (pread_full(fd, buf, RECORD_BYTES, (off_t)(copy * STATE_SECTOR)) < 0)
		return errno == ENODATA ? SB_SHORT : SB_IO;
	return SB_OK;
}

/* Gives state.bin its full size once; from then on it is only overwritten. */
static int mirror_open(const char *path)
{
	static const uint8_t zero[STATE_MIRROR_BYTES];
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	struct stat st;

	if (fd < 0)
		return -1;
	if (fstat(fd, &st) == 0 && st.st_size >= (off_t)STATE_MIRROR_BYTES)
		return fd;
	if (pwrite_full(fd, zero, sizeof zero, 0) == 0 && fsync(fd) == 0)
		return fd;
	(void)close(fd);
	return -1;
}

static enum sb_error mirror_write(void *ctx, unsigned copy, const uint8_t bytes[RECORD_BYTES])
{
	struct statefile *file = ctx;
	uint8_t sector[STATE_SECTOR] = { 0 };
	_cleanup_close_ int fd = mirror_open(file->mirror);

	memcpy(sector, bytes, RECORD_BYTES);
	if (fd < 0 ||
	    pwrite_full(fd, sector, sizeof sector, (off_t)(copy * STATE_SECTOR)) < 0 ||
	    fsync(fd) < 0)
		return errno == ENOSPC ? SB_FULL : SB_IO;
	return SB_OK;
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
