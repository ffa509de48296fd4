/* SPDX-License-Identifier: MIT */
#include "init.h"

#include "io.h"

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>

extern char **environ;

bool init_is_systemd(const char *sysroot)
{
	_cleanup_free_ char *path = NULL;

	if (asprintf(&path, "%s/run/systemd/system", sysroot) < 0) {
		path = NULL;
		return false;
	}
	return access(path, F_OK) == 0;
}

/* Ignore PATH, which comes from the caller: sudo may pass it on. NULL with errno. */
char *init_program_find(const char *sysroot, const char *name)
{
	static const char *const places[] = { "/usr/sbin", "/usr/bin", "/sbin", "/bin" };

	if (strchr(name, '/'))
		return strdup(name);
	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		char *path;

		if (asprintf(&path, "%s%s/%s", sysroot, places[i], name) < 0)
			return NULL;
		if (access(path, X_OK) == 0)
			return path;
		free(path);
	}
	errno = ENOENT;
	return NULL;
}

/* Init begins a shutdown by signalling all processes, including the one that asked and
 * waits for the answer. */
static int spawn(const char *sysroot, char *const argv[], pid_t *ret_pid)
{
	_cleanup_free_ char *program = init_program_find(sysroot, argv[0]);
	posix_spawnattr_t attr;
	sigset_t blocked;
	int error;

	if (!program)
		return errno;
	error = posix_spawnattr_init(&attr);
	if (error)
		return error;
	(void)sigemptyset(&blocked);
	(void)sigaddset(&blocked, SIGTERM);
	(void)sigaddset(&blocked, SIGINT);
	(void)sigaddset(&blocked, SIGHUP);
	(void)posix_spawnattr_setsigmask(&attr, &blocked);
	(void)posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK);
	error = posix_spawn(ret_pid, program, NULL, &attr, argv, environ);
	(void)posix_spawnattr_destroy(&attr);
	return error;
}

int init_run(const char *sysroot, char *const argv[], struct err *err)
{
	pid_t pid;
	int status, error;

	(void)signal(SIGCHLD, SIG_DFL);	/* ignored, as inherited, no end would be told */
	error = spawn(sysroot, argv, &pid);
	if (error)
		return err_errno(err, EX_UNAVAILABLE, error, "failed to run %s", argv[0]);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return err_errno(err, EX_UNAVAILABLE, errno, "failed to wait for %s",
					 argv[0]);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return err_set(err, EX_UNAVAILABLE, "failed to run %s %s: it ended with status %d",
			       argv[0], argv[1] ? argv[1] : "",
			       WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
	return 0;
}
