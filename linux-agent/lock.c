/* SPDX-License-Identifier: MIT */
#include "lock.h"

#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

int lock_take(const char *path, int *ret_fd, struct err *err)
{
	_cleanup_free_ char *copy = strdup(path);
	_cleanup_close_ int fd = -1;
	char pid[32] = "";

	if (!copy)
		return err_errno(err, EX_SOFTWARE, errno, "failed to lock %s", path);
	(void)mkdir(dirname(copy), 0755);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_errno(err, errno == ENOENT ? EX_CONFIG : EX_IOERR, errno,
				 "failed to open the lock %s", path);
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK)
			return err_errno(err, EX_IOERR, errno, "failed to lock %s", path);
		(void)!pread(fd, pid, sizeof pid - 1, 0);
		pid[strcspn(pid, "\n")] = 0;
		return err_set(err, EX_TEMPFAIL,
			       "another slotctl is at work (process %s holds %s); try again "
			       "when it has ended", *pid ? pid : "unknown", path);
	}
	(void)snprintf(pid, sizeof pid, "%ld\n", (long)getpid());
	(void)!ftruncate(fd, 0);
	(void)!pwrite(fd, pid, strlen(pid), 0);
	*ret_fd = fd;
	fd = -1;
	return 0;
}
