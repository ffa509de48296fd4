/* SPDX-License-Identifier: MIT */
/* What the checks of preflight.c share: the context, and access to the facts. */
#pragma once

#include "kernel_image.h"
#include "preflight.h"

#include <stdbool.h>

struct preflight_context {
	const struct preflight_input *input;
	struct kernel_image kernel;
	struct pe_section linux;	/* size 0: not found */
	const char *proc_cmdline;	/* of the running kernel; "" if unreadable */
};

/* fix may be NULL. */
void finding_set(struct preflight_finding *f, enum preflight_verdict verdict, int error,
		 const char *fix, const char *fmt, ...) __attribute__((format(printf, 5, 6)));

/* The text of a file below the sysroot, without its last newline; NULL if it cannot be read. The
 * caller frees it. */
char *fact_read(const struct preflight_context *ctx, const char *path);

/* Reads a file that holds one number. */
bool fact_number(const struct preflight_context *ctx, const char *path, long *ret_number);

bool fact_exists(const struct preflight_context *ctx, const char *path);

enum fact_config {
	FACT_CONFIG_UNKNOWN,		/* no configuration file was found for the running kernel */
	FACT_CONFIG_NO,
	FACT_CONFIG_YES,
};

/* name includes the CONFIG_ prefix. */
enum fact_config fact_config(const struct preflight_context *ctx, const char *name);

typedef void preflight_check_fn(const struct preflight_context *ctx,
				struct preflight_finding *f);

/* preflight_limits.c: what the system call checks first. */
preflight_check_fn check_support, check_capability, check_seccomp, check_disabled,
	check_limit, check_memfd;
/* preflight_lsm.c: security modules that check files which the kernel reads. */
preflight_check_fn check_loadpin, check_ima;
/* preflight_kernel.c: the kernel image. */
preflight_check_fn check_architecture, check_format, check_cmdline, check_segments,
	check_memory;
/* preflight_signature.c */
preflight_check_fn check_signature;
