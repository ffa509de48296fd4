/* SPDX-License-Identifier: MIT */
#include "doctor.h"
#include "io.h"
#include "options.h"
#include "out.h"
#include "verbs.h"

#include <string.h>

/* Beside those of sysexits.h: something is left to be mended. */
#define EXIT_FINDINGS 1

static const char help[] =
	"Usage: slotctl doctor [--repair] [--json] [--config=FILE]\n"
	"\n"
	"Looks at all that a boot depends on: boot entries, EFI variables, the ESP and the\n"
	"loader on it, the slot record, the slots. Says what is wrong, why, and what to do.\n"
	"Changes nothing, takes no lock.\n"
	"\n"
	"  --repair    write boot entries and slot record as they should be, then look again\n"
	"\n"
	"Exit status 1: there are faults. Notes are not.\n";

static void finding_print(const struct finding *f, bool repaired)
{
	out_print("%s%s\n", repaired ? "repaired   " : f->level == FINDING_FAULT ? "fault      "
									    : "note       ", f->what);
	if (*f->cause && !repaired)
		out_print("  cause    %s\n", f->cause);
	if (*f->remedy && !repaired)
		out_print("  remedy   %s\n", f->remedy);
}

/* The findings of one list that the other lacks. */
static json_t *list_json(const struct findings *findings, const struct findings *less)
{
	json_t *list = json_array();

	for (size_t i = 0; i < findings->count; i++)
		if (!findings_have(less, &findings->list[i]))
			(void)json_array_append_new(list, finding_json(&findings->list[i]));
	return list;
}

static int show(const struct findings *before, const struct findings *now, bool json, struct err *err)
{
	static const struct findings none;

	if (json)
		return out_json(json_pack("{s:o, s:o}", "findings", list_json(now, &none), "repaired",
					  list_json(before, now)), JSON_INDENT(2)) < 0
			       ? err_set(err, EX_SOFTWARE, "failed to make JSON of the findings")
			       : 0;
	for (size_t i = 0; i < before->count; i++)
		if (!findings_have(now, &before->list[i]))
			finding_print(&before->list[i], true);
	for (size_t i = 0; i < now->count; i++)
		finding_print(&now->list[i], false);
	if (now->count == 0)
		out_print("nothing wrong was found\n");
	return 0;
}

/* Where it cannot be repaired the findings are shown all the same, before the error. */
static int doctor(const struct options *o, struct err *err)
{
	_cleanup_(findings_clear) struct findings before = { 0 }, now = { 0 };
	struct err why = { 0 };

	if (o->repair && doctor_examine(o->config, &before, err) < 0)
		return -1;
	if (findings_repairable(&before) && doctor_repair(o->config, &why) < 0)
		(void)err_prefix(&why, "failed to repair");
	if (doctor_examine(o->config, &now, err) < 0 || show(&before, &now, o->json, err) < 0)
		return -1;
	if (why.exit) {
		*err = why;
		return -1;
	}
	if (findings_faults(&now) > 0)
		return err_set(err, EXIT_FINDINGS, "faults found: %zu", findings_faults(&now));
	return 0;
}

int verb_doctor(int argc, char **argv, struct err *err)
{
	struct options o;
	int r = options_parse(argc, argv, TAKES_JSON | TAKES_REPAIR, help, &o, err);

	if (r != 0)
		return r < 0 ? -1 : 0;
	if (o.operand_count > 0)
		return err_set(err, EX_USAGE, "doctor takes no arguments");
	return doctor(&o, err);
}
