/* SPDX-License-Identifier: MIT */
#include "readback.h"

#include "digest.h"
#include "io.h"

#include <errno.h>
#include <string.h>

enum { CHUNK = 1024 * 1024, ALIGN = 4096 };

static int hash_file(const struct disk *disk, int file, const char *path, uint64_t size,
		     const volatile int *cancel, EVP_MD_CTX *ctx, struct err *err)
{
	_cleanup_free_ uint8_t *buf = aligned_alloc(ALIGN, CHUNK);
	uint64_t done = 0;

	if (!buf)
		return err_errno(err, EX_SOFTWARE, errno, "failed to read back %s", path);
	while (done < size) {
		int64_t n = disk->read(disk->ctx, file, buf, CHUNK, done);

		if (cancel && *cancel)
			return err_set(err, EX_TEMPFAIL, "cancelled by a signal");
		if (n < 0)
			return err_errno(err, EX_IOERR, errno, "failed to read back %s", path);
		if (n == 0)
			return err_set(err, EX_IOERR, "failed to read back %s: it ends early",
				       path);
		if ((uint64_t)n > size - done)
			n = (int64_t)(size - done);
		if (!EVP_DigestUpdate(ctx, buf, (size_t)n))
			return err_set(err, EX_SOFTWARE, "failed to hash %s", path);
		done += (uint64_t)n;
	}
	return 0;
}

int readback_sha256(const struct disk *disk, const char *path, uint64_t size,
		    const volatile int *cancel, uint8_t ret_sha256[32], struct err *err)
{
	_cleanup_(md_ctx_freep) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	int file, r;

	if (!ctx || !EVP_DigestInit_ex(ctx, EVP_sha256(), NULL))
		return err_set(err, EX_SOFTWARE, "failed to hash %s", path);
	file = disk->open(disk->ctx, path, DISK_READ);
	if (file < 0)
		return err_errno(err, EX_IOERR, errno, "failed to read back %s", path);
	r = hash_file(disk, file, path, size, cancel, ctx, err);
	disk->close(disk->ctx, file);
	if (r == 0 && !EVP_DigestFinal_ex(ctx, ret_sha256, NULL))
		return err_set(err, EX_SOFTWARE, "failed to hash %s", path);
	return r;
}

int readback_check(const struct disk *disk, const char *path, uint64_t size,
		   const uint8_t sha256[32], const volatile int *cancel, struct err *err)
{
	uint8_t now[32];

	if (readback_sha256(disk, path, size, cancel, now, err) < 0)
		return -1;
	if (memcmp(now, sha256, sizeof now) != 0)
		return err_set(err, EX_IOERR,
			       "%s reads back differently from what was written: the medium "
			       "may be failing", path);
	return 0;
}
