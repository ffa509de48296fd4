/* SPDX-License-Identifier: MIT */
#include "program.h"

#include "clock.h"
#include "io.h"
#include "out.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum { LEFT_READS = 16 };	/* how much to read from a pipe whose writers may live on */
enum { CANCEL_MS = 500, KEPT = STDERR_FILENO + 1 };

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

const struct program_clock program_clock_posix = { posix_now_ms, posix_poll, NULL };

/* What root does not need for files. */
static const int dropped[] = {
	CAP_SYS_BOOT, CAP_SYS_MODULE, CAP_SYS_RAWIO, CAP_SYS_ADMIN, CAP_SYS_PTRACE, CAP_SYSLOG,
	CAP_MKNOD, CAP_MAC_ADMIN, CAP_MAC_OVERRIDE, CAP_AUDIT_CONTROL, CAP_PERFMON, CAP_BPF,
};

/* A running program. */
struct check {
	pid_t pid;
	int pidfd, output;
	const struct program *program;
	char line[PROGRAM_LINE_BYTES];
	size_t len;
};

static void line_end(struct check *c)
{
	c->line[c->len] = 0;
	c->len = 0;
	out_clean(c->line, sizeof c->line);
	if (c->program->on_line && c->line[strspn(c->line, " \t?")])
		c->program->on_line(c->program->ctx, c->line);
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

/* From the bounding set, and from what a program of root inherits besides. Whoever is not root has
 * none to drop. */
static int capabilities_drop(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3];

	if (geteuid() != 0)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(dropped); i++)
		if (prctl(PR_CAPBSET_DROP, dropped[i], 0, 0, 0) < 0 && errno != EINVAL)
			return -1;	/* EINVAL: the kernel is older than it */
	if (syscall(SYS_capget, &header, sets) < 0)
		return -1;
	for (size_t i = 0; i < _LINUX_CAPABILITY_U32S_3; i++)
		sets[i].inheritable = 0;
	return (int)syscall(SYS_capset, &header, sets);
}

/* In the child. */
static int confine(pid_t parent)
{
	const struct rlimit none = { 0, 0 };

	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || setrlimit(RLIMIT_CORE, &none) < 0 ||
	    chdir("/") < 0)
		return -1;
	return capabilities_drop();
}

/* The others are ours, and closed on exec; or those of whoever started slotctl. */
static int files_set(const struct program *p, int output, int *failed)
{
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(output, STDOUT_FILENO) < 0 ||
	    dup2(output, STDERR_FILENO) < 0)
		return -1;
	if (!p->confined)
		return 0;
	if (*failed != KEPT && dup3(*failed, KEPT, O_CLOEXEC) < 0)
		return -1;
	*failed = KEPT;
	closefrom(KEPT + 1);
	return 0;
}

/* In the child: only what may be called there, for the caller may have threads. failed: is closed
 * by the program's start; else it gets the errno. */
static _Noreturn void child_run(const struct program *p, int output, int failed, pid_t parent)
{
	char *const *environment = (char *const *)p->environment;
	static const int own[] = { SIGPIPE, SIGINT, SIGTERM };	/* slotctl has its ways with them */
	sigset_t none;

	for (size_t i = 0; i < ARRAY_SIZE(own); i++)
		(void)signal(own[i], SIG_DFL);
	(void)sigemptyset(&none);
	(void)setpgid(0, 0);
	if (files_set(p, output, &failed) == 0 && (!p->confined || confine(parent) == 0) &&
	    sigprocmask(SIG_SETMASK, &none, NULL) == 0)
		(void)execve(p->argv[0], (char *const *)p->argv,
			     environment ? environment : environ);
	(void)!write(failed, &errno, sizeof errno);
	_exit(127);
}

/* 0, or an errno. All descriptors are closed on exec, so that it has its output alone. */
static int spawn(const struct program *p, int output, pid_t *ret_pid)
{
	_cleanup_close_ int reads = -1, writes = -1;
	pid_t parent = getpid(), pid;
	sigset_t all, before;
	int ends[2], error;
	ssize_t n;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return errno;
	reads = ends[0];
	writes = ends[1];
	(void)sigfillset(&all);
	(void)sigprocmask(SIG_SETMASK, &all, &before);
	pid = fork();
	if (pid == 0)
		child_run(p, output, writes, parent);
	error = errno;
	(void)sigprocmask(SIG_SETMASK, &before, NULL);
	if (pid < 0)
		return error;
	cleanup_closep(&writes);
	writes = -1;
	do
		n = read(reads, &error, sizeof error);
	while (n < 0 && errno == EINTR);
	if (n == sizeof error) {
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
		return error;
	}
	*ret_pid = pid;
	return 0;
}

/* 0, or an errno; then nothing runs and nothing is open. */
static int check_start(const struct program *program, struct check *c)
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
	error = spawn(program, writes, &c->pid);
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

static bool is_cancelled(const struct program *p)
{
	return p->cancel && *p->cancel;
}

/* Wait until it ends; false: the time limit was reached first, or it was cancelled. */
static bool check_wait(const struct program_clock *clock, struct check *c)
{
	struct pollfd fds[] = { { .fd = c->pidfd, .events = POLLIN },
				{ .fd = c->output, .events = POLLIN } };
	int64_t begin = clock->now_ms(clock->ctx), limit = c->program->limit_ms, left = limit;

	for (; left > 0; left = limit - (clock->now_ms(clock->ctx) - begin)) {
		int64_t most = c->program->cancel ? CANCEL_MS : INT32_MAX;

		if (is_cancelled(c->program))
			return false;
		if (clock->poll(clock->ctx, fds, ARRAY_SIZE(fds), (int)(left < most ? left : most)) <= 0)
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

bool program_run(const struct program_clock *clock, const struct program *program,
		 char how[PROGRAM_LINE_BYTES])
{
	struct check c = { .program = program };
	int status = 0, error = check_start(program, &c);
	bool ended;

	if (error) {
		(void)snprintf(how, PROGRAM_LINE_BYTES, "failed to run: %s", strerror(error));
		return false;
	}
	ended = check_wait(clock, &c);
	check_end(&c, &status);
	if (!ended && is_cancelled(program))
		(void)snprintf(how, PROGRAM_LINE_BYTES, "cancelled by a signal");
	else if (!ended)
		(void)snprintf(how, PROGRAM_LINE_BYTES, "no end within %lld s",
			       (long long)(program->limit_ms + 999) / 1000);
	else if (WIFSIGNALED(status))
		(void)snprintf(how, PROGRAM_LINE_BYTES, "signal %d", WTERMSIG(status));
	else
		(void)snprintf(how, PROGRAM_LINE_BYTES, "status %d", WEXITSTATUS(status));
	return ended && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}
