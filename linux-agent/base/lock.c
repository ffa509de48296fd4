/* SPDX-License-Identifier: MIT */
#include "lock.h"

#include "io.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#define LOOK_EVERY_MS 100

/* 0: acquired; EWOULDBLOCK: timed out; else another errno. */
static int flock_within(int fd, unsigned wait_s)
{
	const struct timespec pause = { .tv_nsec = LOOK_EVERY_MS * 1000000L };

	for (unsigned looks = wait_s * (1000 / LOOK_EVERY_MS);; looks--) {
		if (flock(fd, LOCK_EX | LOCK_NB) == 0)
			return 0;
		if (errno != EWOULDBLOCK || looks == 0)
			return errno;
		(void)nanosleep(&pause, NULL);
	}
}

static int held_by_another(int fd, const char *path, struct err *err)
{
	char pid[32] = "";

	(void)!pread(fd, pid, sizeof pid - 1, 0);
	pid[strcspn(pid, "\n")] = 0;
	return err_set(err, EX_TEMPFAIL, "another slotctl is at work (process %s holds %s); try again "
		       "when it has ended", *pid ? pid : "unknown", path);
}

int lock_take(const char *path, unsigned wait_s, int *ret_fd, struct err *err)
{
	_cleanup_free_ char *copy = strdup(path);
	_cleanup_close_ int fd = -1;
	char pid[32];
	int r;

	if (!copy)
		return err_errno(err, EX_SOFTWARE, errno, "failed to lock %s", path);
	(void)mkdir(dirname(copy), 0755);
	/* The directory may be writable for others: opening a symbolic link would
	 * truncate its target. */
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return err_errno(err, errno == ENOENT || errno == ELOOP ? EX_CONFIG : EX_IOERR, errno,
				 "failed to open the lock %s", path);
	r = flock_within(fd, wait_s);
	if (r == EWOULDBLOCK)
		return held_by_another(fd, path, err);
	if (r != 0)
		return err_errno(err, EX_IOERR, r, "failed to lock %s", path);
	(void)snprintf(pid, sizeof pid, "%ld\n", (long)getpid());
	(void)!ftruncate(fd, 0);
	(void)!pwrite(fd, pid, strlen(pid), 0);
	*ret_fd = fd;
	fd = -1;
	return 0;
}
