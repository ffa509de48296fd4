/* SPDX-License-Identifier: MIT */
/* What kexec_file_load(2) checks before it looks at any file. */
#include "preflight_check.h"
#include "io.h"

#include <errno.h>
#include <string.h>

#define CAP_SYS_BOOT_BIT 22

#define FIX_FIRMWARE "until then go through the firmware: --activate=reboot"

/* kexec_add_buffer exists only with CONFIG_KEXEC_FILE. It is not exported, so no module can have
 * it. Returns 1, 0, or -1 if the list cannot be read. */
static int symbol_there(const struct preflight_context *ctx)
{
	_cleanup_free_ char *path = NULL;
	_cleanup_free_ char *line = NULL;
	_cleanup_fclose_ FILE *f = NULL;
	size_t cap = 0;
	int lines = 0;
	const char *at;

	if (asprintf(&path, "%s/proc/kallsyms", ctx->input->sysroot) < 0)
		return -1;
	f = fopen(path, "re");
	while (f && getline(&line, &cap, f) > 0) {
		line[strcspn(line, "\n")] = 0;
		lines++;
		at = strstr(line, " kexec_add_buffer");
		if (at && !at[strlen(" kexec_add_buffer")])
			return 1;
	}
	return lines ? 0 : -1;
}

void check_support(const struct preflight_context *ctx, struct preflight_finding *f)
{
	static const char fix[] = "boot a kernel with CONFIG_KEXEC_FILE=y; " FIX_FIRMWARE;
	enum fact_config config;

	if (!fact_exists(ctx, "/sys/kernel/kexec_loaded") && fact_exists(ctx, "/sys/kernel")) {
		finding_set(f, PREFLIGHT_FAIL, ENOSYS, fix, "the running kernel has no kexec: "
			    "there is no /sys/kernel/kexec_loaded");
		return;
	}
	switch (symbol_there(ctx)) {
	case 1:
		finding_set(f, PREFLIGHT_PASS, 0, NULL, "the running kernel has kexec_file_load "
			    "(/proc/kallsyms lists kexec_add_buffer)");
		return;
	case 0:
		finding_set(f, PREFLIGHT_FAIL, ENOSYS, fix, "the running kernel was built without "
			    "kexec_file_load (/proc/kallsyms does not list kexec_add_buffer)");
		return;
	}
	config = fact_config(ctx, "CONFIG_KEXEC_FILE");
	if (config == FACT_CONFIG_YES)
		finding_set(f, PREFLIGHT_PASS, 0, NULL, "the running kernel has kexec_file_load "
			    "(CONFIG_KEXEC_FILE=y in its configuration)");
	else if (config == FACT_CONFIG_NO)
		finding_set(f, PREFLIGHT_FAIL, ENOSYS, fix, "the running kernel was built without "
			    "CONFIG_KEXEC_FILE");
	else
		finding_set(f, PREFLIGHT_UNKNOWN, ENOSYS, "make /proc/kallsyms or /boot/config-"
			    "RELEASE readable", "neither /proc/kallsyms nor a configuration of "
			    "the running kernel tells whether it has kexec_file_load");
}

/* A capability counts only in the initial user namespace, whose map is the identity. */
static bool in_container(const struct preflight_context *ctx)
{
	_cleanup_free_ char *map = fact_read(ctx, "/proc/self/uid_map");
	unsigned long inside, outside, count;

	return map && (sscanf(map, "%lu %lu %lu", &inside, &outside, &count) != 3 || inside ||
		       outside || count != 4294967295UL);
}

void check_capability(const struct preflight_context *ctx, struct preflight_finding *f)
{
	_cleanup_free_ char *status = fact_read(ctx, "/proc/self/status");
	const char *line = status ? strstr(status, "\nCapEff:") : NULL;
	unsigned long long caps;

	if (!line || sscanf(line + 8, "%llx", &caps) != 1)
		finding_set(f, PREFLIGHT_UNKNOWN, EPERM, "mount /proc", "the process's "
			    "capabilities cannot be read from /proc/self/status");
	else if (!(caps >> CAP_SYS_BOOT_BIT & 1))
		finding_set(f, PREFLIGHT_FAIL, EPERM, "run slotctl as root, or with "
			    "AmbientCapabilities=CAP_SYS_BOOT in its unit", "CAP_SYS_BOOT is not "
			    "among the process's effective capabilities (%016llx)", caps);
	else if (in_container(ctx))
		finding_set(f, PREFLIGHT_FAIL, EPERM, "run slotctl on the host", "CAP_SYS_BOOT is "
			    "held in a user namespace only (a container): /proc/self/uid_map");
	else
		finding_set(f, PREFLIGHT_PASS, 0, NULL, "CAP_SYS_BOOT is among the effective "
			    "capabilities (%016llx)", caps);
}

void check_seccomp(const struct preflight_context *ctx, struct preflight_finding *f)
{
	_cleanup_free_ char *status = fact_read(ctx, "/proc/self/status");
	const char *line = status ? strstr(status, "\nSeccomp:") : NULL;
	unsigned mode = 0;

	if (line)
		(void)sscanf(line + 9, "%u", &mode);
	if (mode)
		finding_set(f, PREFLIGHT_UNKNOWN, EPERM, "take SystemCallFilter= out of the unit, "
			    "or allow @reboot in it", "a system call filter is on this process "
			    "(Seccomp: %u); what it lets through cannot be read", mode);
	else
		finding_set(f, PREFLIGHT_PASS, 0, NULL, "no system call filter is on this process");
}

void check_disabled(const struct preflight_context *ctx, struct preflight_finding *f)
{
	long disabled;

	if (!fact_number(ctx, "/proc/sys/kernel/kexec_load_disabled", &disabled))
		finding_set(f, PREFLIGHT_UNKNOWN, EPERM, "mount /proc", "kernel.kexec_load_disabled "
			    "cannot be read");
	else if (disabled)
		finding_set(f, PREFLIGHT_FAIL, EPERM, "it cannot be taken back before the next "
			    "boot: find what sets it (grep -r kexec_load_disabled /etc/sysctl.d "
			    "/usr/lib/sysctl.d) and reboot; " FIX_FIRMWARE,
			    "kernel.kexec_load_disabled is %ld", disabled);
	else
		finding_set(f, PREFLIGHT_PASS, 0, NULL, "kernel.kexec_load_disabled is 0");
}

void check_limit(const struct preflight_context *ctx, struct preflight_finding *f)
{
	static const char path[] = "/proc/sys/kernel/kexec_load_limit_reboot";
	long limit;

	if (!fact_exists(ctx, path))
		finding_set(f, PREFLIGHT_PASS, 0, NULL, "the running kernel knows no limit on loads "
			    "(kernel.kexec_load_limit_reboot is of Linux 6.3)");
	else if (!fact_number(ctx, path, &limit))
		finding_set(f, PREFLIGHT_UNKNOWN, EPERM, "run slotctl as root",
			    "kernel.kexec_load_limit_reboot cannot be read");
	else if (limit == 0)
		finding_set(f, PREFLIGHT_FAIL, EPERM, "it cannot be raised before the next boot; "
			    FIX_FIRMWARE, "kernel.kexec_load_limit_reboot is 0: every load that "
			    "was allowed is spent");
	else if (limit < 0)
		finding_set(f, PREFLIGHT_PASS, 0, NULL, "kernel.kexec_load_limit_reboot is %ld: "
			    "loads are not limited", limit);
	else
		finding_set(f, PREFLIGHT_PASS, 0, NULL, "kernel.kexec_load_limit_reboot leaves %ld "
			    "load%s; the load will spend one", limit, limit == 1 ? "" : "s");
}

void check_memfd(const struct preflight_context *ctx, struct preflight_finding *f)
{
	long noexec;

	if (!fact_number(ctx, "/proc/sys/vm/memfd_noexec", &noexec))
		finding_set(f, PREFLIGHT_PASS, 0, NULL, "the running kernel has no "
			    "vm.memfd_noexec (of Linux 6.3)");
	else
		finding_set(f, PREFLIGHT_PASS, 0, NULL, "vm.memfd_noexec is %ld; kernel and initrd "
			    "are staged in memfds that are not executable", noexec);
}
