/* SPDX-License-Identifier: MIT */
#include "packer.h"

#include "packer_frame.h"
#include "io.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

int packer_open(const char *path, struct packer *ret_packer, struct err *err)
{
	_cleanup_close_ int fd = open_data(path);
	off_t size;

	if (fd < 0 && errno == EINVAL)
		return err_set(err, EX_NOINPUT, "%s is neither a file nor a block device", path);
	if (fd < 0)
		return err_errno(err, EX_NOINPUT, errno, "failed to open %s", path);
	size = lseek(fd, 0, SEEK_END);
	if (size < 0)
		return err_errno(err, EX_NOINPUT, errno, "failed to find the size of %s", path);
	if (size == 0)
		return err_set(err, EX_DATAERR, "%s is empty", path);
	*ret_packer = (struct packer){ .path = path, .fd = fd, .size = (uint64_t)size };
	fd = -1;
	return 0;
}

void packer_clear(struct packer *packer)
{
	chunkindex_clear(&packer->index);
	blockindex_clear(&packer->blocks);
	free(packer->dictionary);
	if (packer->fd >= 0)
		(void)close(packer->fd);
	packer->fd = -1;
}

int packer_read(const struct packer *packer, uint64_t offset, void *buf, size_t len,
		struct err *err)
{
	if (pread_full(packer->fd, buf, len, (off_t)offset) == 0)
		return 0;
	if (errno == ENODATA)
		return packer_changed(packer, err);
	return err_errno(err, EX_NOINPUT, errno, "failed to read %s", packer->path);
}

int packer_changed(const struct packer *packer, struct err *err)
{
	return err_set(err, EX_DATAERR, "%s changed while it was read", packer->path);
}

int packer_chunk_read(const struct packer *packer, uint64_t i, void *buf, struct err *err)
{
	uint32_t len = chunkindex_length(&packer->index, (uint32_t)i);
	uint8_t sha256[32];

	if (packer_read(packer, i << packer->chunk_log, buf, len, err) < 0)
		return -1;
	if (EVP_Digest(buf, len, sha256, NULL, EVP_sha256(), NULL) != 1)
		return packer_no_memory(err);
	if (memcmp(sha256, packer->index.chunks[i].sha256, sizeof sha256) != 0)
		return packer_changed(packer, err);
	return 0;
}

int packer_no_memory(struct err *err)
{
	return err_set(err, EX_SOFTWARE, "failed to make a bundle: out of memory");
}

int packer_write(FILE *out, const void *data, size_t len, struct err *err)
{
	if (len > 0 && fwrite(data, 1, len, out) != len)
		return err_errno(err, EX_IOERR, errno, "failed to write a temporary file beside "
				 "the bundle");
	return 0;
}

void packer_step(const struct packer *packer, const char *what)
{
	if (packer->report)
		report_step(packer->report, "pack", "pack %s: %s (%llu bytes)", packer->name, what,
			    (unsigned long long)packer->size);
}

void packer_progress(const struct packer *packer, uint64_t parts)
{
	uint64_t done = parts << packer->chunk_log;

	if (packer->report)
		report_progress(packer->report, done < packer->size ? done : packer->size,
				packer->size);
}
