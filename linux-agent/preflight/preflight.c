/* SPDX-License-Identifier: MIT */
#include "preflight.h"

#include "cmdline.h"
#include "preflight_check.h"
#include "io.h"

#include <assert.h>
#include <errno.h>
#include <linux/keyctl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/syscall.h>

/* In the order in which kexec_file_load(2) refuses, except for what slotctl itself refuses before
 * the call. */
static const struct {
	const char *name;
	preflight_check_fn *run;
	int exit;
} checks[] = {
	{ "architecture", check_architecture, EX_DATAERR },
	{ "support", check_support, EX_UNAVAILABLE },
	{ "capability", check_capability, EX_NOPERM },
	{ "seccomp", check_seccomp, EX_NOPERM },
	{ "load-disabled", check_disabled, EX_NOPERM },
	{ "load-limit", check_limit, EX_NOPERM },
	{ "memfd", check_memfd, EX_NOPERM },
	{ "loadpin", check_loadpin, EX_NOPERM },
	{ "ima", check_ima, EX_NOPERM },
	{ "format", check_format, EX_DATAERR },
	{ "signature", check_signature, EX_NOPERM },
	{ "command-line", check_cmdline, EX_DATAERR },
	{ "segments", check_segments, EX_UNAVAILABLE },
	{ "memory", check_memory, EX_UNAVAILABLE },
};

static_assert(ARRAY_SIZE(checks) <= PREFLIGHT_MAX, "findings[] holds every check");

void finding_set(struct preflight_finding *f, enum preflight_verdict verdict, int error,
		 const char *fix, const char *fmt, ...)
{
	va_list ap;

	f->verdict = verdict;
	f->error = error;
	(void)snprintf(f->fix, sizeof f->fix, "%s", fix ? fix : "");
	va_start(ap, fmt);
	(void)vsnprintf(f->evidence, sizeof f->evidence, fmt, ap);
	va_end(ap);
}

long preflight_keyring_read(int32_t keyring, int32_t *keys, unsigned count)
{
	long n = syscall(SYS_keyctl, KEYCTL_READ, keyring, keys, count * sizeof *keys);

	if (n < 0)
		return -1;
	n /= (long)sizeof *keys;	/* counts all keys, even those that did not fit */
	return n < (long)count ? n : (long)count;
}

/* A field that cannot be read stays empty; the checks report it. */
static void kernel_read(struct preflight_context *ctx)
{
	const struct pe_image *image = &ctx->input->uki->image;
	uint8_t head[KERNEL_IMAGE_HEADER];
	size_t len;

	if (pe_section_find(image, ".linux", &ctx->linux) != SB_OK) {
		ctx->linux.size = 0;
		return;
	}
	len = ctx->linux.size < sizeof head ? (size_t)ctx->linux.size : sizeof head;
	if (image->source.read(image->source.ctx, ctx->linux.offset, head, len) == SB_OK)
		kernel_image_parse(head, len, &ctx->kernel);
}

void preflight_run(const struct preflight_input *input, struct preflight *ret_preflight)
{
	struct preflight_context ctx = { .input = input };
	_cleanup_free_ char *cmdline = fact_read(&ctx, "/proc/cmdline");

	ctx.proc_cmdline = cmdline ? cmdline : "";
	kernel_read(&ctx);
	*ret_preflight = (struct preflight){ .count = ARRAY_SIZE(checks) };
	for (size_t i = 0; i < ARRAY_SIZE(checks); i++) {
		struct preflight_finding *f = &ret_preflight->findings[i];

		f->check = checks[i].name;
		f->exit = checks[i].exit;
		checks[i].run(&ctx, f);
		if (f->verdict > ret_preflight->verdict)
			ret_preflight->verdict = f->verdict;
	}
}

const struct preflight_finding *preflight_worst(const struct preflight *preflight)
{
	for (unsigned i = 0; i < preflight->count; i++)
		if (preflight->findings[i].verdict == preflight->verdict &&
		    preflight->verdict != PREFLIGHT_PASS)
			return &preflight->findings[i];
	return NULL;
}

static const struct preflight_finding *find(const struct preflight *preflight,
					    enum preflight_verdict verdict, int error)
{
	for (unsigned i = 0; i < preflight->count; i++)
		if (preflight->findings[i].verdict == verdict &&
		    preflight->findings[i].error == error)
			return &preflight->findings[i];
	return NULL;
}

int preflight_error(const struct preflight_input *input, int error, struct err *err)
{
	const struct preflight_finding *f;
	struct preflight preflight;
	bool sure;

	preflight_run(input, &preflight);
	f = find(&preflight, PREFLIGHT_FAIL, error);
	sure = f != NULL;
	if (!f)
		f = find(&preflight, PREFLIGHT_UNKNOWN, error);
	if (!f)
		return 0;
	return err_set(err, f->exit, "failed to load %s for kexec: %s%s (%s)%s%s",
		       input->uki->name, sure ? "" : "perhaps, ", f->evidence, strerror(error),
		       *f->fix ? "; " : "", f->fix);
}

const char *preflight_verdict_text(enum preflight_verdict verdict)
{
	switch (verdict) {
	case PREFLIGHT_PASS:
		return "will work";
	case PREFLIGHT_FAIL:
		return "will not work";
	default:
		return "cannot be foretold";
	}
}
