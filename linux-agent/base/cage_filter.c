/* SPDX-License-Identifier: MIT */
/* The allowed system calls, as libseccomp rules. */
#include "cage.h"

#include "io.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <seccomp.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>

enum { COMPUTE = 1 << CAGE_COMPUTE, FETCH = 1 << CAGE_FETCH, GATE = 1 << CAGE_GATE,
       SOCKETS = FETCH | GATE, ALL = COMPUTE | SOCKETS };
enum { ANY = -1 };

/* What a matching call gets. The row matches any call, or one whose masked argument
 * equals the value. For int arguments only the low word counts. */
struct row {
	unsigned cages;
	int call;
	int arg;
	uint32_t mask, value;
	uint32_t answer;
};

#define CALL(cages, name) { cages, SYS_##name, ANY, 0, 0, SCMP_ACT_ALLOW }
#define WITH(cages, name, arg, mask, value) { cages, SYS_##name, arg, mask, value, SCMP_ACT_ALLOW }

static const struct row rows[] = {
	/* the frequent ones first */
	CALL(ALL, read), CALL(ALL, write), CALL(ALL, futex),
	CALL(ALL, recvfrom),
	/* With TCP Fast Open this call would connect. */
	WITH(ALL, sendto, 3, MSG_FASTOPEN, 0),
	CALL(ALL, recvmsg),
	WITH(ALL, sendmsg, 2, MSG_FASTOPEN, 0),
#ifdef SYS_poll
	CALL(ALL, poll),
#endif
	CALL(ALL, ppoll),
	/* memory, but no new code */
	CALL(ALL, brk), CALL(ALL, munmap), CALL(ALL, mremap), CALL(ALL, madvise),
	CALL(GATE, mmap), CALL(GATE, mprotect),	/* of libraries for names */
	WITH(ALL, mmap, 2, PROT_EXEC, 0), WITH(ALL, mprotect, 2, PROT_EXEC, 0),
	/* time, and itself */
	CALL(ALL, clock_gettime), CALL(ALL, clock_getres), CALL(ALL, clock_nanosleep),
	CALL(ALL, nanosleep), CALL(ALL, gettimeofday), CALL(ALL, sched_yield),
	CALL(ALL, getpid), CALL(ALL, gettid), CALL(ALL, getuid), CALL(ALL, geteuid),
	CALL(ALL, getgid), CALL(ALL, getegid), CALL(ALL, getrandom), CALL(ALL, uname),
	CALL(ALL, sysinfo), CALL(ALL, sched_getaffinity),
	CALL(ALL, rt_sigaction), CALL(ALL, rt_sigprocmask), CALL(ALL, rt_sigreturn),
	CALL(ALL, sigaltstack), CALL(ALL, restart_syscall), CALL(ALL, exit), CALL(ALL, exit_group),
	CALL(ALL, close),
	/* sockets it already has */
	CALL(SOCKETS, readv), CALL(SOCKETS, writev),
	CALL(SOCKETS, getsockopt), CALL(SOCKETS, getsockname), CALL(SOCKETS, getpeername),
	CALL(SOCKETS, shutdown),
	WITH(SOCKETS, setsockopt, 1, ~0u, SOL_SOCKET), WITH(SOCKETS, setsockopt, 1, ~0u, IPPROTO_TCP),
	WITH(GATE, setsockopt, 1, ~0u, IPPROTO_IP), WITH(GATE, setsockopt, 1, ~0u, IPPROTO_IPV6),
	WITH(GATE, setsockopt, 1, ~0u, SOL_NETLINK),
	CALL(SOCKETS, fcntl), WITH(SOCKETS, ioctl, 1, ~0u, FIONREAD), WITH(SOCKETS, ioctl, 1, ~0u, FIONBIO),
	/* The sockets it receives are already connecting; see gate.h. */
	{ FETCH, SYS_connect, ANY, 0, 0, SCMP_ACT_ERRNO(EINPROGRESS) },
	/* resolving names as the system is configured to */
	CALL(GATE, connect), CALL(GATE, bind), CALL(GATE, sendmmsg),
	WITH(GATE, socket, 0, ~0u, AF_INET), WITH(GATE, socket, 0, ~0u, AF_INET6),
	WITH(GATE, socket, 0, ~0u, AF_UNIX), WITH(GATE, socket, 0, ~0u, AF_NETLINK),
	WITH(GATE, openat, 2, O_ACCMODE | O_CREAT | O_TRUNC, O_RDONLY),
#ifdef SYS_open
	WITH(GATE, open, 1, O_ACCMODE | O_CREAT | O_TRUNC, O_RDONLY),
#endif
#ifdef SYS_stat
	CALL(GATE, stat), CALL(GATE, lstat), CALL(GATE, access), CALL(GATE, readlink),
#endif
	CALL(GATE, newfstatat), CALL(GATE, fstat), CALL(GATE, statx), CALL(GATE, faccessat),
	CALL(GATE, readlinkat), CALL(GATE, pread64), CALL(GATE, lseek), CALL(GATE, getdents64),
	CALL(GATE, epoll_create1), CALL(GATE, epoll_ctl), CALL(GATE, epoll_pwait),
#ifdef SYS_epoll_wait
	CALL(GATE, epoll_wait),
#endif
};

static int row_add(scmp_filter_ctx filter, const struct row *row)
{
	const struct scmp_arg_cmp cmp = { .arg = (unsigned)row->arg, .op = SCMP_CMP_MASKED_EQ,
					  .datum_a = row->mask, .datum_b = row->value };
	int r = seccomp_rule_add_array(filter, row->answer, row->call, row->arg != ANY, &cmp);

	/* A row for one cage may be wider than one for all. */
	return r == -EEXIST ? 0 : r;
}

int cage_filter(enum cage cage)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(ENOSYS));
	int r = filter ? seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS) : -ENOMEM;

	for (size_t i = 0; i < ARRAY_SIZE(rows) && r == 0; i++)
		if (rows[i].cages & 1u << cage)
			r = row_add(filter, &rows[i]);
	if (r == 0)
		r = seccomp_load(filter);
	if (filter)
		seccomp_release(filter);
	errno = -r;
	return r < 0 ? -1 : 0;
}
