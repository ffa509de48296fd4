/* SPDX-License-Identifier: MIT */
#include "cage.h"

#include "io.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

/* Sanitizers reserve terabytes of addresses. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED true
#endif
#endif
#ifndef SANITIZED
#define SANITIZED false
#endif

#define CAGE_USER "slotboot"
#define NOBODY 65534
#define ADDRESSES_MAX ((rlim_t)1 << 30)
#define FILES_MAX 64

bool cage_is_sanitized(void)
{
	return SANITIZED;
}

static int limits_set(enum cage cage)
{
	const struct { __rlimit_resource_t what; rlim_t most; } rows[] = {
		{ RLIMIT_CORE, 0 },
		{ RLIMIT_FSIZE, 0 },
		{ RLIMIT_NPROC, 0 },
		{ RLIMIT_MEMLOCK, 0 },
		{ RLIMIT_MSGQUEUE, 0 },
		{ RLIMIT_NOFILE, cage == CAGE_COMPUTE ? 4 : FILES_MAX },
		{ RLIMIT_AS, SANITIZED ? RLIM_INFINITY : ADDRESSES_MAX },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct rlimit limit;

		if (getrlimit(rows[i].what, &limit) < 0)
			return -1;
		limit.rlim_max = limit.rlim_max < rows[i].most ? limit.rlim_max : rows[i].most;
		limit.rlim_cur = limit.rlim_max;
		if (setrlimit(rows[i].what, &limit) < 0)
			return -1;
	}
	return 0;
}

static uid_t uid;
static gid_t gid;

void cage_prepare(void)
{
	const struct passwd *user;

	if (uid != 0 || geteuid() != 0)
		return;
	user = getpwnam(CAGE_USER);
	uid = user && user->pw_uid != 0 ? user->pw_uid : NOBODY;
	gid = user && user->pw_uid != 0 ? user->pw_gid : NOBODY;
}

/* As root, become the user slotboot or, if there is none, nobody. */
static int user_change(void)
{
	if (geteuid() != 0)
		return 0;
	if (setgroups(0, NULL) < 0 || setresgid(gid, gid, gid) < 0)
		return -1;
	return setresuid(uid, uid, uid);
}

/* Drop the capabilities of all sets, the ambient ones too. */
static int capabilities_drop(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	const struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = { 0 };

	(void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	return (int)syscall(SYS_capset, &head, none);
}

static void bounding_set_clear(void)
{
	for (unsigned long cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
		(void)prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
}

/* Deny every file access right that the kernel's Landlock knows; the gate may still
 * read. */
static int files_close(enum cage cage)
{
	const __u64 all = LANDLOCK_ACCESS_FS_MAKE_SYM * 2 - 1;	/* version 1: bits 0 to 12 */
	const struct landlock_ruleset_attr rules = {
		.handled_access_fs = cage == CAGE_GATE
			? all & ~(__u64)(LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
			: all,
	};
	int fd = (int)syscall(SYS_landlock_create_ruleset, &rules, sizeof rules, 0);
	int r;

	if (fd < 0)
		return -1;
	r = (int)syscall(SYS_landlock_restrict_self, fd, 0);
	(void)close(fd);
	return r;
}

static void lack_add(char lack[static CAGE_LACK_BYTES], const char *what)
{
	size_t used = strlen(lack);

	(void)snprintf(lack + used, CAGE_LACK_BYTES - used, "%s%s: %s", used ? ", " : "", what,
		       strerror(errno));
}

int cage_judge(enum sandbox sandbox, const char *lack, struct err *err)
{
	if (!*lack || sandbox != SANDBOX_REQUIRE)
		return 0;
	return err_set(err, EX_CONFIG, "failed to build the sandbox (sandbox = require): %s", lack);
}

int cage_enter(enum cage cage, char ret_lack[static CAGE_LACK_BYTES], struct err *err)
{
	ret_lack[0] = 0;
	bounding_set_clear();
	if (user_change() < 0)
		lack_add(ret_lack, "no other user");
	if (capabilities_drop() < 0 || limits_set(cage) < 0 ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0) < 0)
		return err_errno(err, EX_SOFTWARE, errno, "failed to lay down privileges");
	/* Without Landlock the system call filter still prevents opening files, except in
	 * the gate. */
	(void)files_close(cage);
	/* Changing the user has reset it. */
	if (prctl(PR_SET_PDEATHSIG, 9) < 0)
		return err_errno(err, EX_SOFTWARE, errno, "failed to end with slotctl");
	if (cage_filter(cage) < 0)
		lack_add(ret_lack, "no system call filter");
	return 0;
}
