/* SPDX-License-Identifier: MIT */
/* LoadPin and IMA: security modules that check each file the kernel reads. */
#include "cmdline.h"
#include "preflight_check.h"
#include "io.h"

#include <errno.h>
#include <string.h>

/* True if the word is in the list, whose words are separated by any character of sep. */
static bool list_has(const char *list, size_t len, const char *sep, const char *word)
{
	const char *end = list + len;

	while (list < end) {
		size_t n = strcspn(list, sep);

		if (n > (size_t)(end - list))
			n = (size_t)(end - list);
		if (n == strlen(word) && strncmp(list, word, n) == 0)
			return true;
		list += n + 1;
	}
	return false;
}

static bool running_option_has(const struct preflight_context *ctx, const char *key,
			       const char *sep, const char *word)
{
	size_t len;
	const char *value = cmdline_get(ctx->proc_cmdline, key, &len);

	return value && list_has(value, len, sep, word);
}

void check_loadpin(const struct preflight_context *ctx, struct preflight_finding *f)
{
	static const char fix[] = "name files of the pinned file system in slotboot.conf "
				  "(kexec-kernel, kexec-initrd), or boot the running kernel with "
				  "loadpin.exclude=kexec-image,kexec-initramfs, or go through the "
				  "firmware: --activate=reboot";
	_cleanup_free_ char *modules = fact_read(ctx, "/sys/kernel/security/lsm");
	long enforce;

	if (modules && !list_has(modules, strlen(modules), ",", "loadpin")) {
		finding_set(f, PREFLIGHT_PASS, 0, NULL, "LoadPin is not among the security modules "
			    "(%s)", modules);
		return;
	}
	if (!fact_number(ctx, "/proc/sys/kernel/loadpin/enforce", &enforce)) {
		if (modules)
			finding_set(f, PREFLIGHT_UNKNOWN, EPERM, fix, "LoadPin is on, and whether "
				    "it enforces cannot be read");
		else
			finding_set(f, PREFLIGHT_PASS, 0, NULL, "there is no LoadPin "
				    "(no kernel.loadpin.enforce)");
		return;
	}
	if (!enforce)
		finding_set(f, PREFLIGHT_PASS, 0, NULL, "kernel.loadpin.enforce is 0");
	else if (running_option_has(ctx, "loadpin.exclude", ",", "kexec-image") &&
		 running_option_has(ctx, "loadpin.exclude", ",", "kexec-initramfs"))
		finding_set(f, PREFLIGHT_PASS, 0, NULL, "LoadPin enforces, but loadpin.exclude= of "
			    "the running kernel leaves kexec out");
	else if (ctx->input->pinned)
		finding_set(f, PREFLIGHT_PASS, 0, NULL, "LoadPin enforces, and slotboot.conf names "
			    "files for it (kexec-kernel)");
	else
		finding_set(f, PREFLIGHT_FAIL, EPERM, fix, "LoadPin enforces "
			    "(kernel.loadpin.enforce is %ld): kernel and initrd must be files of "
			    "the pinned file system, and what slotctl stages is in memory", enforce);
}

/* The first rule that appraises kernels or initrds for kexec; NULL if there is none. */
static char *ima_rule(const char *policy)
{
	while (*policy) {
		size_t len = strcspn(policy, "\n");
		char *rule = strndup(policy, len);

		if (rule && strncmp(rule, "appraise", 8) == 0 &&
		    (strstr(rule, "func=KEXEC_KERNEL_CHECK") ||
		     strstr(rule, "func=KEXEC_INITRAMFS_CHECK")))
			return rule;
		free(rule);
		policy += len + (policy[len] == '\n');
	}
	return NULL;
}

static bool ima_only_logs(const struct preflight_context *ctx)
{
	return running_option_has(ctx, "ima_appraise", ",", "off") ||
	       running_option_has(ctx, "ima_appraise", ",", "log") ||
	       running_option_has(ctx, "ima_appraise", ",", "fix");
}

void check_ima(const struct preflight_context *ctx, struct preflight_finding *f)
{
	static const char fix[] = "take the rule out of the IMA policy (kexec is then guarded by "
				  "lockdown), or go through the firmware: --activate=reboot";
	_cleanup_free_ char *policy = fact_read(ctx, "/sys/kernel/security/ima/policy");
	_cleanup_free_ char *rule = policy ? ima_rule(policy) : NULL;

	if (ima_only_logs(ctx))
		finding_set(f, PREFLIGHT_PASS, 0, NULL, "IMA does not enforce: ima_appraise= of the "
			    "running kernel");
	else if (rule && strstr(rule, "modsig"))
		finding_set(f, PREFLIGHT_UNKNOWN, EACCES, fix, "IMA appraises what is kexeced, and "
			    "takes appended signatures, which are not looked at here: \"%s\"", rule);
	else if (rule)
		finding_set(f, PREFLIGHT_FAIL, EACCES, fix, "IMA appraises what is kexeced, and "
			    "what slotctl stages has no IMA signature: \"%s\"", rule);
	else if (policy && *policy)
		finding_set(f, PREFLIGHT_PASS, 0, NULL, "no rule of the IMA policy appraises what "
			    "is kexeced");
	else if (running_option_has(ctx, "ima_policy", "|", "secure_boot"))
		finding_set(f, PREFLIGHT_FAIL, EACCES, fix, "ima_policy=secure_boot of the running "
			    "kernel has IMA appraise what is kexeced, and what slotctl stages has "
			    "no IMA signature");
	else if (fact_exists(ctx, "/etc/ima/ima-policy"))
		finding_set(f, PREFLIGHT_UNKNOWN, EACCES, "see whether that file has an appraise "
			    "rule for KEXEC_KERNEL_CHECK", "an IMA policy is loaded from "
			    "/etc/ima/ima-policy, and the running kernel's cannot be read");
	else
		finding_set(f, PREFLIGHT_PASS, 0, NULL, "nothing has IMA appraise what is kexeced: "
			    "no ima_policy=secure_boot, no /etc/ima/ima-policy");
}
