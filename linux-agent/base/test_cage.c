/* SPDX-License-Identifier: MIT */
/* A process that was taken over: it is in the real cage, and tries what an attacker would. */
#include "cage.h"
#include "child.h"

#include "io.h"
#include "testcage.h"
#include "unittest.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>

/* What the parent has, and the child must not come by. */
static char slot_path[] = "/tmp/slotboot-test-cage-XXXXXX";
static int slot_fd;
static char secret[] = "the parent's own";
static struct sockaddr_in elsewhere = { .sin_family = AF_INET };

static long open_passwd(void)
{
	return open("/etc/passwd", O_RDONLY);
}

static long open_slot(void)
{
	return open(slot_path, O_WRONLY);
}

static long make_file(void)
{
	return open("/tmp/slotboot-test-cage-made", O_CREAT | O_WRONLY, 0600);
}

static long write_slot(void)
{
	return pwrite(slot_fd, "wrong", 5, 0);
}

static long write_any_descriptor(void)
{
	for (int fd = 4; fd < 1024; fd++)
		if (write(fd, "wrong", 5) > 0)
			return 0;
	errno = EBADF;
	return -1;
}

static long remove_slot(void)
{
	return unlink(slot_path);
}

static long socket_internet(void)
{
	return socket(AF_INET, SOCK_STREAM, 0);
}

static long socket_raw(void)
{
	return socket(AF_PACKET, SOCK_RAW, 0);
}

static long trace_parent(void)
{
	return ptrace(PTRACE_ATTACH, getppid(), NULL, NULL);
}

static long kill_parent(void)
{
	return kill(getppid(), SIGTERM);
}

static long kill_all(void)
{
	return kill(-1, SIGKILL);
}

static long write_parent(void)
{
	char other[sizeof secret] = "overwritten";
	struct iovec here = { other, sizeof other }, there = { secret, sizeof secret };

	return process_vm_writev(getppid(), &here, 1, &there, 1, 0);
}

static long execute(void)
{
	char *argv[] = { (char[]){ "true" }, NULL };

	return execve("/bin/true", argv, NULL);
}

static long fork_again(void)
{
	return syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
}

static long become_root(void)
{
	return setuid(0);
}

static long new_namespace(void)
{
	return unshare(CLONE_NEWUSER);
}

static long raise_limit(void)
{
	const struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };

	return setrlimit(RLIMIT_FSIZE, &all);
}

static long make_code(void)
{
	void *code = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return code == MAP_FAILED ? -1 : 0;
}

static long type_into_terminal(void)
{
	return ioctl(STDIN_FILENO, TIOCSTI, "x");
}

static long load_bpf(void)
{
	union bpf_attr attr = { 0 };

	return syscall(SYS_bpf, BPF_MAP_CREATE, &attr, sizeof attr);
}

static long make_ring(void)
{
	char parameters[120] = "";

	return syscall(SYS_io_uring_setup, 1, parameters);
}

static long be_traced(void)
{
	return prctl(PR_SET_DUMPABLE, 1);
}

static long fast_open(void)
{
	return sendto(3, "x", 1, MSG_FASTOPEN, (struct sockaddr *)&elsewhere, sizeof elsewhere);
}

/* For each cage whether it may. */
static const struct attempt {
	const char *name;
	long (*run)(void);
	bool gate_may;
} attempts[] = {
	{ "open /etc/passwd", open_passwd, true },
	{ "open the slot", open_slot, false },
	{ "make a file", make_file, false },
	{ "write to the slot's descriptor", write_slot, false },
	{ "write to a descriptor that was left open", write_any_descriptor, false },
	{ "remove the slot", remove_slot, false },
	{ "make a socket", socket_internet, true },
	{ "make a raw socket", socket_raw, false },
	{ "connect by TCP Fast Open", fast_open, false },
	{ "trace the parent", trace_parent, false },
	{ "kill the parent", kill_parent, false },
	{ "kill everybody", kill_all, false },
	{ "write into the parent", write_parent, false },
	{ "execute a program", execute, false },
	{ "fork", fork_again, false },
	{ "become root", become_root, false },
	{ "have a namespace", new_namespace, false },
	{ "raise a limit", raise_limit, false },
	{ "make code", make_code, true },
	{ "type into the terminal", type_into_terminal, false },
	{ "load BPF", load_bpf, false },
	{ "use io_uring", make_ring, false },
	{ "leave a core", be_traced, false },
};

struct report {
	char lack[CAGE_LACK_BYTES];
	bool did[ARRAY_SIZE(attempts)];
};

static void attack(void *ctx, int channel, uint8_t *area)
{
	const enum cage *cage = ctx;
	struct report report = { 0 };
	struct err err = { 0 };
	char last;

	(void)area;
	if (cage_enter(*cage, report.lack, &err) < 0)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(attempts); i++)
		report.did[i] = attempts[i].run() >= 0;
	(void)child_tell(channel, &report, sizeof report);
	(void)child_asked(channel, &last, sizeof last);
}

static void cage_start(enum cage *cage, struct child *child)
{
	const struct child_job job = { .run = attack, .ctx = cage, .keep = -1 };
	struct err err = { 0 };

	if (child_start(child, &job, &err) < 0)
		fail_msg("%s", err.text);
}

static void nothing_that_an_attacker_would_do_can_be_done_in_the_cage(void **state)
{
	(void)state;
	for (enum cage cage = CAGE_COMPUTE; cage <= CAGE_GATE; cage++) {
		struct report report;
		struct child child;

		cage_start(&cage, &child);
		assert_true(child_greets(&child, &report, sizeof report));
		assert_string_equal(report.lack, "");
		for (size_t i = 0; i < ARRAY_SIZE(attempts); i++)
			if (report.did[i] != (cage == CAGE_GATE && attempts[i].gate_may))
				fail_msg("cage %d: %s: %s", cage, attempts[i].name,
					 report.did[i] ? "done" : "refused");
		child_stop(&child);
	}
	assert_string_equal(secret, "the parent's own");
}

/* A line of /proc/PID/status, without its name. */
static void status_line(pid_t pid, const char *name, char *value, size_t room)
{
	char path[64], line[256];
	FILE *f;

	snprintf(path, sizeof path, "/proc/%d/status", pid);
	f = fopen(path, "r");
	assert_non_null(f);
	value[0] = 0;
	while (fgets(line, sizeof line, f))
		if (strncmp(line, name, strlen(name)) == 0 && line[strlen(name)] == ':')
			snprintf(value, room, "%s", line + strlen(name) + 2);
	fclose(f);
	value[strcspn(value, "\n")] = 0;
}

static unsigned files_count(pid_t pid)
{
	_cleanup_(cleanup_closedirp) DIR *dir = NULL;
	unsigned count = 0;
	char path[64];

	snprintf(path, sizeof path, "/proc/%d/fd", pid);
	dir = opendir(path);
	assert_non_null(dir);
	for (const struct dirent *e; (e = readdir(dir));)
		count += e->d_name[0] != '.';
	return count;
}

static void the_kernel_says_that_no_right_is_left(void **state)
{
	static const struct { const char *name, *value; } rows[] = {
		{ "CapInh", "0000000000000000" }, { "CapPrm", "0000000000000000" },
		{ "CapEff", "0000000000000000" }, { "CapAmb", "0000000000000000" },
		{ "CapBnd", "0000000000000000" },
		{ "NoNewPrivs", "1" }, { "Seccomp", "2" }, { "Groups", " " },
	};

	(void)state;
	if (geteuid() != 0)
		skip();
	for (enum cage cage = CAGE_COMPUTE; cage <= CAGE_GATE; cage++) {
		struct report report;
		struct child child;
		char value[256];

		cage_start(&cage, &child);
		assert_true(child_greets(&child, &report, sizeof report));
		for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
			status_line(child.pid, rows[i].name, value, sizeof value);
			if (strcmp(value, rows[i].value) != 0)
				fail_msg("cage %d: %s is %s", cage, rows[i].name, value);
		}
		status_line(child.pid, "Uid", value, sizeof value);
		assert_true(value[0] != '0' && !strstr(value, "\t0"));
		/* The gate has made a socket and opened a file. */
		assert_int_equal(files_count(child.pid), cage == CAGE_GATE ? 6 : 4);
		child_stop(&child);
	}
}

static void the_slot_is_as_it_was(void **state)
{
	char byte;

	(void)state;
	assert_int_equal(pread(slot_fd, &byte, 1, 0), 0);
	assert_int_equal(access(slot_path, F_OK), 0);
	(void)unlink(slot_path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_that_an_attacker_would_do_can_be_done_in_the_cage),
		cmocka_unit_test(the_kernel_says_that_no_right_is_left),
		cmocka_unit_test(the_slot_is_as_it_was),
	};

	if (!testcage_is_there())
		return 0;
	slot_fd = mkostemp(slot_path, 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
