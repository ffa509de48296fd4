/* SPDX-License-Identifier: MIT */
/*
 * The verbs of slotctl. Each gets its own name as argv[0], parses its options
 * with getopt_long, prints its help for --help, and returns 0 or -1 with err.
 */
#pragma once

#include "err.h"

#include "native.h"

#include <jansson.h>

struct machine;
struct options;

int verb_status(int argc, char **argv, struct err *err);
int verb_install(int argc, char **argv, struct err *err);
int verb_mark_good(int argc, char **argv, struct err *err);
int verb_confirm(int argc, char **argv, struct err *err);
int verb_mark_bad(int argc, char **argv, struct err *err);
int verb_mark_active(int argc, char **argv, struct err *err);
int verb_rollback(int argc, char **argv, struct err *err);
int verb_kexec(int argc, char **argv, struct err *err);
int verb_rehearse(int argc, char **argv, struct err *err);
int verb_doctor(int argc, char **argv, struct err *err);
int verb_report(int argc, char **argv, struct err *err);
int verb_loader(int argc, char **argv, struct err *err);
int verb_provision(int argc, char **argv, struct err *err);
int verb_bundle(int argc, char **argv, struct err *err);

/* mark-good of the running slot, and what there is to say of it, to standard output. */
int mark_good_running(const char *config, struct err *err);

/* What status --json prints: a new reference, or NULL. */
json_t *status_json(struct machine *machine);

/* The loader that the package brings. */
#define LOADER_DEFAULT "/usr/lib/slotboot/slotboot" NATIVE_EFI ".efi"
/* Debian's shim-signed */
#define SHIM_DEFAULT "/usr/lib/shim/shim" NATIVE_EFI ".efi.signed"

struct loader_result;
/* What has come of the loader, to standard output; nothing where there is nothing to say. */
void verb_print_loader(const struct loader_result *result);

/* "warning: ..." for what the last change could not do, and need not. */
void verb_print_warnings(const struct machine *machine);

/* kexec explain; o->operands[0] is "explain". 0: it will work. EX_UNAVAILABLE: it will
 * not; EX_CONFIG: it cannot be foretold. Changes nothing, takes no lock. */
int kexec_explain(const struct options *o, struct err *err);
