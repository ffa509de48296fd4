/* SPDX-License-Identifier: MIT */
#include "doctor.h"

#include "direct.h"
#include "doctor_checks.h"
#include "io.h"
#include "machine_entries.h"
#include "other_esp.h"

/* What keeps all verbs from working, with the words that they have for it. */
static struct finding *cannot_open(struct findings *findings, const char *id, const char *what,
				   const struct err *why)
{
	struct finding *f = finding_add(findings, FINDING_FAULT, id);

	finding_say(f, what, "%s", what);
	finding_say(f, cause, "%s", why->text);
	return f;
}

static void variables_missing(struct findings *findings, const struct err *why)
{
	struct finding *f = cannot_open(findings, "efivarfs", "there are no EFI variables to be had",
					why);
	struct vars_store store;

	vars_efi_look(&store);
	if (store.confined)
		finding_say(f, remedy, "this is a unit or a container: give it %s, or run slotctl "
			    "outside", store.path);
}

static void slots_unusable(const struct machine *m, const struct err *why, struct findings *findings)
{
	struct finding *f = cannot_open(findings, "slots", "the slots or their record cannot be used", why);

	/* The loader, which must start something, does not stop there. */
	if (m->state.var_error == SB_IO)
		finding_say(f, remedy, "reset the machine, and if that does not help, update its firmware: "
			    "until then the machine boots by the record's mirror, and slotctl changes nothing, "
			    "since the variable may be newer");
}

static void open_machine_examine(struct machine *m, struct findings *findings)
{
	doctor_record(m, findings);
	doctor_slots(m, findings);
	doctor_other_esp(m, findings);
	if (m->state.source != STATE_LOST && !m->statefile.closed)
		doctor_entries(m, findings);
	if (m->is_running)
		doctor_keys(m, findings);
	if (!m->is_running)
		(void)cannot_open(findings, "running-unknown", "it is not known which slot runs",
			    &m->running_error);
}

/* As much as there is, also where a verb would stop. */
static void machine_examine(struct machine *m, const struct err *why, struct findings *findings)
{
	struct vars_store store;
	struct err esp_why = *why;
	bool has_esp = m->step > MACHINE_AT_ESP;

	if (m->step == MACHINE_AT_VARS) {
		variables_missing(findings, why);
		has_esp = other_esp_open(m, &esp_why) == 0;
	} else {
		vars_efi_look(&store);
		doctor_store(&store, m->statefile.closed, findings);
		doctor_immutable(m, &store, findings);
	}
	if (!has_esp) {
		(void)cannot_open(findings, "esp", "the EFI system partition cannot be used", &esp_why);
		return;
	}
	doctor_esp(m, findings);
	if (machine_is_direct(m))
		doctor_direct(m, findings);
	else
		doctor_loader(m, findings);
	doctor_shim(m, findings);
	if (m->step != MACHINE_AT_VARS)
		doctor_secureboot(m, findings);
	if (m->step == MACHINE_AT_SLOTS)
		slots_unusable(m, why, findings);
	if (m->step == MACHINE_OPEN)
		open_machine_examine(m, findings);
}

int doctor_examine(const char *config, struct findings *findings, struct err *err)
{
	struct machine m;
	struct err why = { 0 };
	int r = machine_open(config, MACHINE_LOOK, &m, &why);

	if (r < 0 && (m.step == MACHINE_AT_CONFIG || why.exit == EX_NOPERM)) {
		*err = why;
	} else {
		machine_examine(&m, &why, findings);
		r = findings->lost ? err_set(err, EX_SOFTWARE, "out of memory") : 0;
	}
	machine_close(&m);
	return r;
}

int doctor_repair(const char *config, struct err *err)
{
	struct vars_store store;
	struct machine m;
	int r = machine_open(config, MACHINE_CHANGE, &m, err);

	if (r == 0)
		vars_efi_look(&store);
	if (r == 0 && m.state.source == STATE_LOST)
		r = err_set(err, EX_CONFIG, "there is no valid slot record on this machine; slotctl "
			    "mark-good makes one");
	if (r == 0 && doctor_store_is_full(&store))
		r = err_set(err, EX_IOERR, "refused to write boot entries: the store of EFI variables "
			    "is nearly full (%llu bytes free)", (unsigned long long)store.free);
	if (r == 0)
		r = m.judged ? machine_save(&m, err) : machine_repair(&m, err);
	if (r == 0)
		r = other_esp_bring_up(&m, err);
	if (r == 0)
		r = machine_quirks_forget(&m, err);
	if (r == 0)
		r = machine_sync_entries(&m, err);
	if (r == 0)
		r = direct_arm(&m, err);
	if (r == 0 && m.entries_error.exit) {
		*err = m.entries_error;
		r = -1;
	}
	machine_close(&m);
	return r;
}
