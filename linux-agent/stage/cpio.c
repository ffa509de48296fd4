/* SPDX-License-Identifier: MIT */
#include "cpio.h"

#include "io.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

/* Magic, inode, mode, uid, gid, links, mtime, size, four device numbers, bytes of
 * the name with its NUL, checksum (of another format). */
static int header_put(struct cpio *cpio, uint32_t inode, unsigned mode, uint64_t size,
		      const char *name)
{
	char header[6 + 13 * 8 + 1];

	if (size > UINT32_MAX) {
		errno = EFBIG;
		return -1;
	}
	(void)snprintf(header, sizeof header, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x"
		       "%08x%08x", inode, mode, 0, 0, 1, 0, (unsigned)size, 0, 0, 0, 0,
		       (unsigned)strlen(name) + 1, 0);
	if (memfile_write(cpio->out, header, sizeof header - 1) < 0 ||
	    memfile_write(cpio->out, name, strlen(name) + 1) < 0)
		return -1;
	return memfile_align(cpio->out);
}

int cpio_directories(struct cpio *cpio, const char *path, unsigned mode)
{
	_cleanup_free_ char *above = strdup(path);

	if (!above)
		return -1;
	for (char *p = above; (p = strchr(p, '/')); p++) {
		*p = 0;
		if (header_put(cpio, ++cpio->inode, S_IFDIR | 0555, 0, above) < 0)
			return -1;
		*p = '/';
	}
	return header_put(cpio, ++cpio->inode, S_IFDIR | mode, 0, path);
}

int cpio_file(struct cpio *cpio, const char *directory, const char *name, unsigned mode,
	      uint64_t size)
{
	_cleanup_free_ char *path = NULL;

	if (asprintf(&path, "%s/%s", directory, name) < 0)
		return -1;
	return header_put(cpio, ++cpio->inode, S_IFREG | mode, size, path);
}

int cpio_end(struct cpio *cpio)
{
	return header_put(cpio, 0, 0, 0, "TRAILER!!!");
}
