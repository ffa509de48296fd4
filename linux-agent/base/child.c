/* SPDX-License-Identifier: MIT */
#include "child.h"

#include "io.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>

enum { CHANNEL = 3, KEPT };

/* Sanitizers report on standard error. */
static bool silence(void)
{
	_cleanup_close_ int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int last = cage_is_sanitized() ? STDOUT_FILENO : STDERR_FILENO;

	for (int fd = STDIN_FILENO; null >= 0 && fd <= last; fd++)
		if (dup2(null, fd) < 0)
			return false;
	return null >= 0;
}

/* Renumber the channel and the descriptor to keep, then close all others. */
static bool files_leave(int channel, int keep)
{
	int high = fcntl(channel, F_DUPFD_CLOEXEC, KEPT + 1);
	int kept = keep < 0 ? -1 : fcntl(keep, F_DUPFD_CLOEXEC, KEPT + 1);

	if (high < 0 || (keep >= 0 && kept < 0) || dup2(high, CHANNEL) < 0 ||
	    (kept >= 0 && dup2(kept, KEPT) < 0))
		return false;
	closefrom(kept < 0 ? KEPT : KEPT + 1);
	return silence();
}

/* Signals sent to the whole group are handled by the parent, which ends its children. */
static void signals_leave(void)
{
	static const int ignored[] = { SIGINT, SIGTERM, SIGQUIT, SIGHUP, SIGPIPE, SIGALRM, SIGTSTP };
	sigset_t none;

	for (int sig = 1; sig < NSIG; sig++)
		(void)signal(sig, SIG_DFL);
	(void)sigemptyset(&none);
	for (size_t i = 0; i < ARRAY_SIZE(ignored); i++)
		(void)signal(ignored[i], SIG_IGN);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

static _Noreturn void child_run(const struct child_job *job, int channel, uint8_t *area, pid_t parent)
{
	signals_leave();
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent ||
	    !files_leave(channel, job->keep))
		_exit(EX_OSERR);
	job->run(job->ctx, CHANNEL, area);
	_exit(0);
}

static int failed(const char *what, struct err *err)
{
	return err_errno(err, EX_SOFTWARE, errno, "failed to start a process for what is not to be "
			 "trusted: %s", what);
}

int child_start(struct child *child, const struct child_job *job, struct err *err)
{
	static const struct timeval tick = { .tv_usec = 100000 };
	pid_t parent = getpid();
	sigset_t all, before;
	int ends[2];

	*child = (struct child){ .channel = -1 };
	cage_prepare();
	if (job->area_bytes) {
		child->area = mmap(NULL, job->area_bytes, PROT_READ | PROT_WRITE,
				   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		if (child->area == MAP_FAILED) {
			child->area = NULL;
			return failed("mmap", err);
		}
		child->area_bytes = job->area_bytes;
	}
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return failed("socketpair", err);
	child->channel = ends[0];
	(void)setsockopt(ends[0], SOL_SOCKET, SO_RCVTIMEO, &tick, sizeof tick);
	/* The parent's signal handlers must not run in the child. */
	(void)sigfillset(&all);
	(void)sigprocmask(SIG_SETMASK, &all, &before);
	child->pid = fork();
	if (child->pid == 0)
		child_run(job, ends[1], child->area, parent);
	(void)sigprocmask(SIG_SETMASK, &before, NULL);
	(void)close(ends[1]);
	if (child->pid < 0) {
		child->pid = 0;
		return failed("fork", err);
	}
	return 0;
}

static void reap(struct child *child)
{
	while (child->pid > 0 && waitpid(child->pid, &child->status, 0) < 0 && errno == EINTR)
		;
	child->pid = 0;
}

void child_stop(struct child *child)
{
	if (child->pid > 0)
		(void)kill(child->pid, SIGKILL);
	reap(child);
	if (child->channel >= 0)
		(void)close(child->channel);
	child->channel = -1;
	if (child->area)
		(void)munmap(child->area, child->area_bytes);
	child->area = NULL;
}

static enum child_word ended(struct child *child)
{
	if (child->pid > 0)
		(void)kill(child->pid, SIGKILL);
	reap(child);
	return CHILD_ENDED;
}

enum child_word child_hear(struct child *child, void *message, size_t len)
{
	ssize_t n;

	if (child->pid == 0)
		return CHILD_ENDED;
	/* MSG_TRUNC: how long it was. Descriptors that come with it are dropped. */
	n = recv(child->channel, message, len, MSG_TRUNC);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return CHILD_WAITS;
	if (n <= 0)
		return ended(child);
	return (size_t)n == len ? CHILD_SAID : CHILD_NONSENSE;
}

bool child_greets(struct child *child, void *message, size_t len)
{
	enum child_word word;

	do
		word = child_hear(child, message, len);
	while (word == CHILD_WAITS);
	return word == CHILD_SAID;
}

struct hello {
	int32_t exit;		/* exit status of the error; 0: none */
	char lack[CAGE_LACK_BYTES];
};

bool child_enter(int channel, enum cage cage)
{
	struct hello hello = { 0 };
	struct err err = { 0 };

	if (cage_enter(cage, hello.lack, &err) < 0)
		hello.exit = err.exit;
	return child_tell(channel, &hello, sizeof hello) && !hello.exit;
}

int child_greeted(struct child *child, const char *what, char ret_lack[static CAGE_LACK_BYTES],
		  struct err *err)
{
	struct hello hello;

	if (!child_greets(child, &hello, sizeof hello) || hello.exit)
		return err_set(err, EX_SOFTWARE, "failed to start %s", what);
	hello.lack[sizeof hello.lack - 1] = 0;
	memcpy(ret_lack, hello.lack, CAGE_LACK_BYTES);
	return 0;
}

bool child_tell(int channel, const void *message, size_t len)
{
	ssize_t n;

	do
		n = send(channel, message, len, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n == (ssize_t)len;
}

bool child_asked(int channel, void *message, size_t len)
{
	ssize_t n;

	do
		n = recv(channel, message, len, MSG_TRUNC);
	while (n < 0 && errno == EINTR);
	return n == (ssize_t)len;
}

void child_fate(const struct child *child, char *text, size_t room)
{
	if (WIFSIGNALED(child->status))
		(void)snprintf(text, room, "was killed by signal %d (%s)", WTERMSIG(child->status),
			       strsignal(WTERMSIG(child->status)));
	else
		(void)snprintf(text, room, "ended with status %d", WEXITSTATUS(child->status));
}
