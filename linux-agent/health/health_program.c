/* SPDX-License-Identifier: MIT */
#include "health_program.h"

#include "clock.h"
#include "io.h"
#include "out.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>

enum { LEFT_READS = 16 };	/* how much to read from a pipe whose writers may live on */

extern char **environ;

static int64_t posix_now_ms(void *ctx)
{
	(void)ctx;
	return clock_ms(CLOCK_BOOTTIME);
}

static int posix_poll(void *ctx, struct pollfd *fds, nfds_t count, int ms)
{
	(void)ctx;
	return poll(fds, count, ms);
}

const struct health_clock health_clock_posix = { posix_now_ms, posix_poll, NULL };

/* A running check. */
struct check {
	pid_t pid;
	int pidfd, output;
	health_line *on_line;
	void *ctx;
	char line[HEALTH_LINE_BYTES];
	size_t len;
};

static void line_end(struct check *c)
{
	c->line[c->len] = 0;
	c->len = 0;
	out_clean(c->line, sizeof c->line);
	if (c->on_line && c->line[strspn(c->line, " \t?")])
		c->on_line(c->ctx, c->line);
}

/* One read: false at the end of the output, or where there is none at the moment. */
static bool output_take(struct check *c)
{
	char buf[4096];
	ssize_t n = read(c->output, buf, sizeof buf);

	for (ssize_t i = 0; i < n; i++) {
		if (buf[i] == '\n')
			line_end(c);
		else if (c->len < sizeof c->line - 1)
			c->line[c->len++] = buf[i];
	}
	return n > 0 || (n < 0 && errno == EINTR);
}

static int attributes_set(posix_spawnattr_t *attr)
{
	sigset_t set;

	(void)sigemptyset(&set);
	(void)posix_spawnattr_setsigmask(attr, &set);
	(void)sigaddset(&set, SIGPIPE);		/* slotctl ignores it */
	(void)posix_spawnattr_setsigdefault(attr, &set);
	(void)posix_spawnattr_setpgroup(attr, 0);
	return posix_spawnattr_setflags(attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
					      POSIX_SPAWN_SETPGROUP);
}

static int spawn(const char *const argv[], int output, pid_t *ret_pid)
{
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	int error = posix_spawn_file_actions_init(&files);

	if (error)
		return error;
	error = posix_spawnattr_init(&attr);
	if (error == 0) {
		(void)posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
		(void)posix_spawn_file_actions_adddup2(&files, output, STDOUT_FILENO);
		(void)posix_spawn_file_actions_adddup2(&files, output, STDERR_FILENO);
		error = attributes_set(&attr);
		if (error == 0)
			error = posix_spawn(ret_pid, argv[0], &files, &attr, (char *const *)argv, environ);
		(void)posix_spawnattr_destroy(&attr);
	}
	(void)posix_spawn_file_actions_destroy(&files);
	return error;
}

/* 0, or an errno; then nothing runs and nothing is open. */
static int check_start(const char *const argv[], struct check *c)
{
	_cleanup_close_ int reads = -1, writes = -1;
	int pipes[2], error;

	if (pipe2(pipes, O_CLOEXEC) < 0)
		return errno;
	reads = pipes[0];
	writes = pipes[1];
	if (fcntl(reads, F_SETFL, O_NONBLOCK) < 0)
		return errno;
	(void)signal(SIGCHLD, SIG_DFL);	/* ignored, as inherited, no end would be told */
	error = spawn(argv, writes, &c->pid);
	if (error)
		return error;
	c->pidfd = pidfd_open(c->pid, 0);
	if (c->pidfd < 0) {
		error = errno;
		(void)kill(-c->pid, SIGKILL);
		(void)waitpid(c->pid, NULL, 0);
		return error;
	}
	c->output = reads;
	reads = -1;
	return 0;
}

/* Wait until it ends; false: the time limit was reached first. */
static bool check_wait(const struct health_clock *clock, struct check *c, int64_t limit_ms)
{
	struct pollfd fds[] = { { .fd = c->pidfd, .events = POLLIN },
				{ .fd = c->output, .events = POLLIN } };
	int64_t begin = clock->now_ms(clock->ctx), left = limit_ms;

	for (; left > 0; left = limit_ms - (clock->now_ms(clock->ctx) - begin)) {
		int ms = left < INT32_MAX ? (int)left : INT32_MAX;

		if (clock->poll(clock->ctx, fds, ARRAY_SIZE(fds), ms) <= 0)
			continue;
		if (fds[1].revents && !output_take(c))
			fds[1].fd = -1;		/* it closed its output and may still run */
		if (fds[0].revents)
			return true;
	}
	return false;
}

static void check_end(struct check *c, int *ret_status)
{
	(void)kill(-c->pid, SIGKILL);	/* not reaped yet, so the process number is still its own */
	while (waitpid(c->pid, ret_status, 0) < 0 && errno == EINTR)
		;
	for (int i = 0; i < LEFT_READS && output_take(c); i++)
		;
	line_end(c);
	(void)close(c->pidfd);
	(void)close(c->output);
}

bool health_program_run(const struct health_clock *clock, const char *const argv[],
			int64_t limit_ms, health_line *on_line, void *ctx,
			char how[HEALTH_LINE_BYTES])
{
	struct check c = { .on_line = on_line, .ctx = ctx };
	int status = 0, error = check_start(argv, &c);
	bool ended;

	if (error) {
		(void)snprintf(how, HEALTH_LINE_BYTES, "failed to run: %s", strerror(error));
		return false;
	}
	ended = check_wait(clock, &c, limit_ms);
	check_end(&c, &status);
	if (!ended)
		(void)snprintf(how, HEALTH_LINE_BYTES, "no end within %lld s",
			       (long long)(limit_ms + 999) / 1000);
	else if (WIFSIGNALED(status))
		(void)snprintf(how, HEALTH_LINE_BYTES, "signal %d", WTERMSIG(status));
	else
		(void)snprintf(how, HEALTH_LINE_BYTES, "status %d", WEXITSTATUS(status));
	return ended && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}
