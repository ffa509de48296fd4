/* SPDX-License-Identifier: MIT */
#include "readback.h"

#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <string.h>

enum { CHUNK = 1024 * 1024, ALIGN = 4096 };

static void md_ctx_freep(EVP_MD_CTX **ctx)
{
	EVP_MD_CTX_free(*ctx);
}

/* O_DIRECT goes past the page cache; tmpfs and some others do not have it. */
static int open_uncached(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);

	if (fd >= 0 || errno != EINVAL)
		return fd;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0)
		(void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	return fd;
}

static int hash_fd(int fd, const char *path, uint64_t size, const volatile int *cancel,
		   EVP_MD_CTX *ctx, struct err *err)
{
	_cleanup_free_ uint8_t *buf = aligned_alloc(ALIGN, CHUNK);
	uint64_t done = 0;

	if (!buf)
		return err_errno(err, EX_SOFTWARE, errno, "failed to read back %s", path);
	while (done < size) {
		ssize_t n = pread(fd, buf, CHUNK, (off_t)done);

		if (cancel && *cancel)
			return err_set(err, EX_TEMPFAIL, "cancelled by a signal");
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno(err, EX_IOERR, errno, "failed to read back %s", path);
		if (n == 0)
			return err_set(err, EX_IOERR, "failed to read back %s: it ends early",
				       path);
		if ((uint64_t)n > size - done)
			n = (ssize_t)(size - done);
		if (!EVP_DigestUpdate(ctx, buf, (size_t)n))
			return err_set(err, EX_SOFTWARE, "failed to hash %s", path);
		done += (uint64_t)n;
	}
	return 0;
}

int readback_sha256(const char *path, uint64_t size, const volatile int *cancel,
		    uint8_t ret_sha256[32], struct err *err)
{
	_cleanup_close_ int fd = open_uncached(path);
	_cleanup_(md_ctx_freep) EVP_MD_CTX *ctx = EVP_MD_CTX_new();

	if (fd < 0)
		return err_errno(err, EX_IOERR, errno, "failed to read back %s", path);
	if (!ctx || !EVP_DigestInit_ex(ctx, EVP_sha256(), NULL))
		return err_set(err, EX_SOFTWARE, "failed to hash %s", path);
	if (hash_fd(fd, path, size, cancel, ctx, err) < 0)
		return -1;
	if (!EVP_DigestFinal_ex(ctx, ret_sha256, NULL))
		return err_set(err, EX_SOFTWARE, "failed to hash %s", path);
	return 0;
}

int readback_check(const char *path, uint64_t size, const uint8_t sha256[32],
		   const volatile int *cancel, struct err *err)
{
	uint8_t now[32];

	if (readback_sha256(path, size, cancel, now, err) < 0)
		return -1;
	if (memcmp(now, sha256, sizeof now) != 0)
		return err_set(err, EX_IOERR,
			       "%s reads back differently from what was written: the medium "
			       "may be failing", path);
	return 0;
}
