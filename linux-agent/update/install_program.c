/* SPDX-License-Identifier: MIT */
/*
 * One program of the running system, before and after an install, for those who must migrate
 * data. It is the machine's own, never the bundle's. What it is given:
 *
 *   arguments     "before" or "after"
 *   environment   PATH, and SLOTBOOT_PHASE: as the argument; SLOTBOOT_SLOT: a or b, that is
 *                 written; SLOTBOOT_VERSION: the bundle's; SLOTBOOT_COMPATIBLE: the machine's
 *
 * Before: all of the bundle has been checked that can be, and nothing is written yet. After: the
 * slot is written, and in writing: nothing starts it unless the program succeeds.
 */
#include "install_payload.h"

#include "cmdline.h"
#include "io.h"
#include "program.h"
#include "report.h"

static void on_line(void *ctx, const char *line)
{
	report_step(ctx, "program", "%s", line);
}

enum { VARIABLES = 5 };

static int environment_fill(const struct install *in, const char *phase, char *texts[VARIABLES])
{
	int r = 0;

	r |= asprintf(&texts[0], "PATH=/usr/sbin:/usr/bin:/sbin:/bin") < 0;
	r |= asprintf(&texts[1], "SLOTBOOT_PHASE=%s", phase) < 0;
	r |= asprintf(&texts[2], "SLOTBOOT_SLOT=%c", slot_letter(in->slot)) < 0;
	r |= asprintf(&texts[3], "SLOTBOOT_VERSION=%s", bundle_manifest(in->bundle)->version) < 0;
	r |= asprintf(&texts[4], "SLOTBOOT_COMPATIBLE=%s", in->machine->config->compatible) < 0;
	return r ? -1 : 0;
}

static int failed(const struct install *in, const char *phase, const char *how, struct err *err)
{
	const volatile sig_atomic_t *cancel = in->options->cancel;
	const char *name = in->machine->config->install_program;

	if (cancel && *cancel)
		return err_set(err, EX_TEMPFAIL, "cancelled by a signal");
	return err_set(err, EX_CONFIG, *phase == 'b'
		       ? "%s %s: %s; nothing has been written"
		       : "%s %s: %s; the slot is written and not used: install again", name, phase,
		       how);
}

int install_program(struct install *in, const char *phase, struct err *err)
{
	const struct config *config = in->machine->config;
	const char *const argv[] = { config->install_program, phase, NULL };
	char *texts[VARIABLES + 1] = { NULL }, how[PROGRAM_LINE_BYTES];
	const struct program program = {
		.argv = argv, .environment = (const char *const *)texts,
		.limit_ms = (int64_t)config->install_program_s * 1000,
		.on_line = on_line, .ctx = in->options->report, .confined = true,
		.cancel = in->options->cancel,
	};
	int r;

	if (!config->install_program)
		return 0;
	/* From now on a signal sets the flag, so that the program ends before slotctl does. */
	if (in->options->begun)
		*in->options->begun = 1;
	report_step(in->options->report, "program", "running %s %s", config->install_program, phase);
	r = environment_fill(in, phase, texts);
	if (r < 0)
		(void)err_set(err, EX_SOFTWARE, "failed to run %s: out of memory", argv[0]);
	else if (!program_run(&program_clock_posix, &program, how))
		r = failed(in, phase, how, err);
	for (size_t i = 0; i < VARIABLES; i++)
		free(texts[i]);
	return r;
}
