/* SPDX-License-Identifier: MIT */
/* The lists of system calls, made into a program for seccomp(2): classic BPF. */
#include "cage.h"

#include "io.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#ifdef __x86_64__
#define NATIVE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define NATIVE AUDIT_ARCH_AARCH64
#endif

enum { COMPUTE = 1 << CAGE_COMPUTE, FETCH = 1 << CAGE_FETCH, GATE = 1 << CAGE_GATE,
       SOCKETS = FETCH | GATE, ALL = COMPUTE | SOCKETS };
enum { ANY = -1 };
#define YES SECCOMP_RET_ALLOW
#define FAIL(errno_value) (SECCOMP_RET_ERRNO | (errno_value))

/* A call is answered by the first row that it fits: any, or one whose low word of the
 * argument, with the mask, is the value. */
struct row {
	unsigned cages;
	int call;
	int arg;
	uint32_t mask, value;
	uint32_t answer;
};

#define CALL(cages, name) { cages, SYS_##name, ANY, 0, 0, YES }
#define WITH(cages, name, arg, mask, value) { cages, SYS_##name, arg, mask, value, YES }

static const struct row rows[] = {
	/* the frequent ones first */
	CALL(ALL, read), CALL(ALL, write), CALL(ALL, futex),
	CALL(ALL, recvfrom),
	/* TCP Fast Open would connect. */
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
	/* sockets that it has */
	CALL(SOCKETS, readv), CALL(SOCKETS, writev),
	CALL(SOCKETS, getsockopt), CALL(SOCKETS, getsockname), CALL(SOCKETS, getpeername),
	CALL(SOCKETS, shutdown),
	WITH(SOCKETS, setsockopt, 1, ~0u, SOL_SOCKET), WITH(SOCKETS, setsockopt, 1, ~0u, IPPROTO_TCP),
	WITH(GATE, setsockopt, 1, ~0u, IPPROTO_IP), WITH(GATE, setsockopt, 1, ~0u, IPPROTO_IPV6),
	WITH(GATE, setsockopt, 1, ~0u, SOL_NETLINK),
	CALL(SOCKETS, fcntl), WITH(SOCKETS, ioctl, 1, ~0u, FIONREAD), WITH(SOCKETS, ioctl, 1, ~0u, FIONBIO),
	/* What it is handed is connecting already; see gate.h. */
	{ FETCH, SYS_connect, ANY, 0, 0, FAIL(EINPROGRESS) },
	/* names into addresses, as the system's configuration has it */
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

#define LOAD(offset) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offset)
#define RETURN(value) BPF_STMT(BPF_RET | BPF_K, value)
#define UNLESS(value, skip) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, skip)

enum { PER_ROW = 6, AROUND = 8 };

struct program {
	struct sock_filter code[ARRAY_SIZE(rows) * PER_ROW + AROUND];
	unsigned short len;
};

static void put(struct program *p, struct sock_filter instruction)
{
	p->code[p->len++] = instruction;
}

/* Little-endian, both architectures: the low word is first. */
static void row_put(struct program *p, const struct row *row)
{
	put(p, (struct sock_filter)LOAD(offsetof(struct seccomp_data, nr)));
	if (row->arg == ANY) {
		put(p, (struct sock_filter)UNLESS((uint32_t)row->call, 1));
	} else {
		put(p, (struct sock_filter)UNLESS((uint32_t)row->call, 4));
		put(p, (struct sock_filter)LOAD((uint32_t)offsetof(struct seccomp_data, args) +
						8 * (uint32_t)row->arg));
		put(p, (struct sock_filter)BPF_STMT(BPF_ALU | BPF_AND | BPF_K, row->mask));
		put(p, (struct sock_filter)UNLESS(row->value, 1));
	}
	put(p, (struct sock_filter)RETURN(row->answer));
}

int cage_filter(enum cage cage)
{
	struct program p = { .len = 0 };
	struct sock_fprog program = { .filter = p.code };

	put(&p, (struct sock_filter)LOAD(offsetof(struct seccomp_data, arch)));
	put(&p, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, NATIVE, 1, 0));
	put(&p, (struct sock_filter)RETURN(SECCOMP_RET_KILL_PROCESS));
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (rows[i].cages & 1u << cage)
			row_put(&p, &rows[i]);
	put(&p, (struct sock_filter)RETURN(FAIL(ENOSYS)));
	program.len = p.len;
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0);
}
