/* SPDX-License-Identifier: MIT */
#include "loadpin.h"

#include "cmdline.h"
#include "io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

enum { CHUNK = 64 * 1024 };

static int compare(int fd, const struct memfile *want, uint64_t begin, uint64_t len,
		   bool *ret_equal)
{
	_cleanup_free_ uint8_t *buf = malloc(2 * CHUNK);

	*ret_equal = true;
	if (!buf)
		return -1;
	for (uint64_t at = 0; at < len && *ret_equal;) {
		size_t n = len - at < CHUNK ? (size_t)(len - at) : CHUNK;

		if (pread_full(fd, buf, n, (off_t)at) < 0 ||
		    pread_full(want->fd, buf + CHUNK, n, (off_t)(begin + at)) < 0)
			return -1;
		*ret_equal = memcmp(buf, buf + CHUNK, n) == 0;
		at += n;
	}
	return 0;
}

int loadpin_open(const char *pattern, unsigned slot, const struct memfile *want, uint64_t begin,
		 uint64_t end, int *ret_fd, struct err *err)
{
	_cleanup_free_ char *path = strdup(pattern);
	_cleanup_close_ int fd = -1;
	bool equal = false;
	struct stat st;
	size_t len;

	if (!path)
		return err_errno(err, EX_SOFTWARE, errno, "failed to open %s", pattern);
	(void)cmdline_fill((const uint8_t *)pattern, strlen(pattern), slot, path,
			   strlen(pattern) + 1, &len);		/* never grows */
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_errno(err, EX_NOINPUT, errno, "failed to open %s", path);
	if (fstat(fd, &st) < 0 || ((uint64_t)st.st_size == end - begin &&
				   compare(fd, want, begin, end - begin, &equal) < 0))
		return err_errno(err, EX_IOERR, errno, "failed to read %s", path);
	if (!equal)
		return err_set(err, EX_DATAERR, "%s does not hold what slot %c's UKI holds", path,
			       slot_letter(slot));
	*ret_fd = fd;
	fd = -1;
	return 0;
}
