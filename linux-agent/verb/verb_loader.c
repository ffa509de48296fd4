/* SPDX-License-Identifier: MIT */
#include "io.h"
#include "loader_update.h"
#include "options.h"
#include "out.h"
#include "policy.h"
#include "report.h"
#include "verbs.h"

#include <errno.h>
#include <string.h>

static const char help[] =
	"Usage: slotctl loader install [FILE] [--config=FILE]\n"
	"\n"
	"Puts a new loader beside the one on the ESP, and has the firmware try it once, at its\n"
	"next boot. mark-good keeps it if it has started the system, and drops it if not.\n"
	"\n"
	"  FILE        if not given, " LOADER_DEFAULT "\n";

void verb_print_loader(const struct loader_result *result)
{
	const char *version = result->id.version;

	switch (result->what) {
	case LOADER_NOTHING:
		return;
	case LOADER_SAME:
		out_print("loader: version %s is there already\n", version);
		return;
	case LOADER_WAITING:
		out_print("loader: version %s will be tried at the next boot through the firmware\n",
			  version);
		return;
	case LOADER_PROMOTED:
		out_print("loader: version %s has started this machine, and is kept\n", version);
		return;
	case LOADER_RESTORED:
		out_print("loader: there was no whole one left; version %s is in its place, and the next "
			  "boot starts it\n", version);
		return;
	case LOADER_REPAIRED:
		out_print("loader: a file on the ESP was not that of version %s, and is again\n", version);
		return;
	case LOADER_DROPPED:
		out_print("%sloader: version %s was tried and is dropped, the old one stays: %s\n",
			  report_to_journal(STDOUT_FILENO) ? "<4>" : "", version,
			  loader_failure_words(result->failure));
		return;
	}
}

/* A loader is tried with a system that is known to work. */
static int check_confirmed(const struct machine *m, struct err *err)
{
	const struct slot *slot = &m->state.record.slots[m->running.slot];

	if (m->state.source == STATE_LOST || !policy_slot_confirmed(slot, m->running.kexec))
		return err_set(err, EX_CONFIG, "the running slot is not confirmed: run slotctl mark-good "
			       "first");
	return 0;
}

static int install(const struct options *o, const char *path, struct err *err)
{
	_cleanup_free_ uint8_t *data = NULL;
	struct loader_result result;
	struct loader_file file;
	struct machine machine;
	size_t len;
	int r;

	if (read_file(path, LOADER_MAX_BYTES, &data, &len) < 0)
		return err_errno(err, EX_NOINPUT, errno, "failed to read %s", path);
	if (loader_check(data, len, path, &file, err) < 0)
		return -1;
	r = machine_open(o->config, MACHINE_CHANGE, &machine, err);
	if (r == 0)
		r = check_confirmed(&machine, err);
	if (r == 0)
		r = loader_check_machine(&machine, &file, err);
	if (r == 0)
		r = loader_install(&machine, &file, &result, err);
	if (r == 0)
		verb_print_loader(&result);
	machine_close(&machine);
	return r;
}

int verb_loader(int argc, char **argv, struct err *err)
{
	struct options o;
	int r = options_parse(argc, argv, 0, help, &o, err);

	if (r != 0)
		return r < 0 ? -1 : 0;
	if (o.operand_count < 1 || o.operand_count > 2 || strcmp(o.operands[0], "install") != 0)
		return err_set(err, EX_USAGE, "loader: must be install, and at most one file; see slotctl "
			       "loader --help");
	return install(&o, o.operand_count == 2 ? o.operands[1] : LOADER_DEFAULT, err);
}
