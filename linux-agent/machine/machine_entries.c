/* SPDX-License-Identifier: MIT */
#include "machine_entries.h"

#include "bootnext.h"
#include "direct.h"
#include "esp_note.h"
#include "espfile.h"
#include "loader_note.h"
#include "other_esp.h"
#include "policy.h"
#include "shim_file.h"
#include "slot_cmdline.h"
#include "trip.h"
#include "io.h"

#include <errno.h>
#include <string.h>

unsigned machine_entries_first(const struct record *record)
{
	const struct slot *preferred = &record->slots[record->preferred];
	const struct slot *other = &record->slots[1 - record->preferred];
	bool is_new = preferred->status == SLOT_TRIAL && !(preferred->flags & SLOT_FLAG_KEXEC_GOOD);
	bool is_there = other->status != SLOT_EMPTY && other->status != SLOT_WRITING;

	if (preferred->status != SLOT_GOOD && (other->status == SLOT_GOOD || (is_new && is_there)))
		return 1 - record->preferred;
	return record->preferred;
}

/* Load options are UTF-16 with a NUL (UEFI 2.10, 3.1.3 leaves them to the image;
 * systemd-stub reads a string). A command line beyond ASCII is left to .cmdline. */
static int options_encode(const char *text, uint8_t **ret_data, size_t *ret_len)
{
	size_t len = strlen(text);
	uint8_t *data = calloc(len + 1, 2);

	for (size_t i = 0; data && i < len; i++) {
		if ((unsigned char)text[i] >= 0x80) {
			free(data);
			data = NULL;
			break;
		}
		data[2 * i] = (uint8_t)text[i];
	}
	if (!data)
		return -1;
	*ret_data = data;
	*ret_len = 2 * (len + 1);
	return 0;
}

void machine_entries_options(const struct ukifile *uki, unsigned slot, uint8_t **ret_data,
			     size_t *ret_len)
{
	_cleanup_(slot_cmdline_clear) struct slot_cmdline cmdline = { 0 };
	_cleanup_free_ char *text = NULL;

	if (slot_cmdline_read(uki, slot, &cmdline, NULL) == 0)
		text = slot_cmdline_options(&cmdline);
	if (text && *text)
		(void)options_encode(text, ret_data, ret_len);
}

/* An unreadable UKI gets none. */
static void direct_options(const struct machine *m, unsigned slot, uint8_t **ret_data,
			   size_t *ret_len)
{
	_cleanup_free_ char *path = NULL;
	struct ukifile uki;

	if (machine_slot_file(m, slot, "uki.efi", &path, NULL) < 0 ||
	    ukifile_open(path, &uki, NULL) < 0)
		return;
	machine_entries_options(&uki, slot, ret_data, ret_len);
	ukifile_close(&uki);
}

static bool loader_exists(const struct esp_info *esp, const char *efi_path)
{
	_cleanup_free_ char *path = NULL;
	const char *name = strrchr(efi_path, '\\') + 1;

	return asprintf(&path, "%s/" ESP_OURS "/%s", esp->dir, name) >= 0 &&
	       access(path, F_OK) == 0;
}

/* What the firmware has of entries is as it is: it starts our loader by the fallback path. */
static bool entries_are_closed(const struct machine *m)
{
	return m->statefile.closed && !machine_is_direct(m);
}

/* Some firmware locks its boot entries and starts our loader all the same. Without the loader they
 * are all there is. */
static int result(struct machine *m, int r, const struct err *why, struct err *err)
{
	bool loader_ran = m->has_trace && !m->running.kexec && !machine_is_direct(m);

	m->entries_error = (struct err){ 0 };
	if (r == 0)
		return 0;
	if (loader_ran && why->exit != EX_SOFTWARE) {
		m->entries_error = *why;
		return 0;
	}
	if (err)
		*err = *why;
	return -1;
}

int machine_hide_entry(struct machine *machine, unsigned slot, struct err *err)
{
	struct err why = { 0 };
	int r;

	if (entries_are_closed(machine))
		return 0;
	/* It may be the first in BootOrder. */
	if (machine_is_direct(machine))
		return machine_sync_entries(machine, err);
	r = bootentries_set_active(&machine->vars, &machine->esp, (int)slot, false, &why);
	if (r == 0 && machine->other_esp.dir)
		r = bootentries_set_active(&machine->vars, &machine->other_esp, (int)slot, false,
					   &why);
	return result(machine, r, &why, err);
}

void machine_quirks_read(const struct machine *machine, struct quirks *ret_quirks)
{
	_cleanup_free_ uint8_t *json = NULL;
	size_t len;

	esp_note_read(machine, QUIRKS_FILE, QUIRKS_MAX_BYTES, &json, &len);
	quirks_parse(json, len, ret_quirks);
}

void machine_quirks_write(struct machine *machine, const struct quirks *quirks)
{
	_cleanup_free_ char *json = NULL;

	if (quirks_format(quirks, &json, NULL) == 0)
		(void)esp_note_write(machine, QUIRKS_FILE, json, NULL);
}

int machine_quirks_forget(struct machine *machine, struct err *err)
{
	machine->direct_ignored = 0;
	return esp_note_remove(machine, QUIRKS_FILE, err);
}

void machine_quirks_judge_record(struct machine *machine)
{
	const struct state *state = &machine->state;
	bool behind = state->source == STATE_MIRROR_COPY && state->var_error != SB_ATTRIBUTES &&
		      !machine->statefile.closed;
	char boot_id[QUIRKS_BOOT_ID_BYTES];
	struct quirks quirks;
	struct quirk *quirk = &quirks.of[QUIRK_RECORD];

	trip_boot_id(machine, boot_id);
	if (machine->running.kexec || !*boot_id)
		return;
	machine_quirks_read(machine, &quirks);
	if (!*quirk->boot_id && behind)	/* the first time; the boot is unknown */
		quirk_wrote(quirk, 0, "00000000-0000-0000-0000-000000000000");
	if (!quirk_judge(quirk, behind, 0, boot_id))
		return;
	quirk_wrote(quirk, 0, boot_id);
	machine_quirks_write(machine, &quirks);
}

static void want_make(const struct machine *m, struct machine_entries *e)
{
	const struct record *record = &m->state.record;
	struct boot_want *want = &e->want;
	bool direct = machine_is_direct(m);
	struct loader_note note;

	loader_note_read(m, &note);
	want->trial = !direct && note.trial.known && loader_exists(&m->esp, BOOTENTRIES_TRIAL_PATH);
	want->trial_leads = want->trial && note.proven;
	/* Its file is being replaced. */
	want->loader = !direct && (want->trial_leads || loader_exists(&m->esp, BOOTENTRIES_LOADER_PATH));
	if (m->other_esp.dir) {
		want->other = &m->other_esp;
		want->other_loader = loader_exists(&m->other_esp, BOOTENTRIES_LOADER_PATH);
	}
	want->confirmed = (int)machine_entries_first(record);
	/* The second line is the other disk's loader, which counts. */
	if (other_esp_is_configured(m))
		return;
	for (unsigned slot = 0; slot < SLOT_COUNT; slot++) {
		enum slot_status status = record->slots[slot].status;

		want->direct[slot].present = status != SLOT_EMPTY;
		/* Without the loader the entries' order tells good from bad, and a bad one behind
		 * the other is the last resort. */
		want->direct[slot].active = direct ? status != SLOT_EMPTY && status != SLOT_WRITING
					    : status == SLOT_KEXEC_TRIAL || policy_slot_bootable(record, slot);
		if (want->direct[slot].active)
			direct_options(m, slot, &e->options[slot], &want->direct[slot].options_len);
		want->direct[slot].options = e->options[slot];
	}
}

static bool differs(const struct boot_plan *plan, unsigned thing)
{
	for (size_t i = 0; i < plan->op_count; i++)
		if (boot_op_thing(&plan->ops[i]) == thing)
			return true;
	return plan->withheld[thing];
}

/* Compare what came back after a reset with what was written before it, by a plan that
 * leaves nothing out. A kexec resets nothing. */
static int quirks_judge(const struct machine *m, struct machine_entries *e, struct err *err)
{
	_cleanup_(boot_plan_clear) struct boot_plan plan = { 0 };

	if (boot_plan(&e->view.state, &plan, err) < 0)
		return -1;
	for (unsigned thing = 0; thing < BOOT_THING_COUNT; thing++) {
		struct quirk *quirk = &e->quirks.of[thing];
		uint64_t wish = bootentries_wish(&m->esp, &e->view, &plan, thing);

		if (!m->running.kexec && quirk_judge(quirk, differs(&plan, thing), wish, e->boot_id))
			e->quirks_changed = true;
		e->view.state.given_up[thing] = quirk_is_given_up(quirk);
	}
	return 0;
}

/* An entry for a shim that is not there would take the place of one that starts something. */
static int check_shim(const struct machine *m, struct err *err)
{
	_cleanup_(shim_file_clear) struct shim_file shim = { 0 };

	if (!m->config->shim)
		return 0;
	if (shim_file_read(m, m->esp.dir, SHIM_HOME, &shim, err) < 0)
		return -1;
	if (!shim.why.exit)
		return 0;
	return err_set(err, EX_IOERR, "no boot entry is written, since shim = %s, in slotboot.conf, names no whole EFI "
		       "program: %s", m->config->shim, shim.why.text);
}

int machine_entries_plan(const struct machine *machine, struct machine_entries *ret_entries,
			 struct err *err)
{
	struct machine_entries *e = ret_entries;

	*e = (struct machine_entries){ 0 };
	if (check_shim(machine, err) < 0)
		return -1;
	want_make(machine, e);
	trip_boot_id(machine, e->boot_id);
	machine_quirks_read(machine, &e->quirks);
	if (bootentries_read(&machine->vars, &machine->esp, &e->want, &e->view, err) < 0 ||
	    quirks_judge(machine, e, err) < 0)
		return -1;
	return boot_plan(&e->view.state, &e->plan, err);
}

void machine_entries_clear(struct machine_entries *entries)
{
	free(entries->options[0]);
	free(entries->options[1]);
	boot_view_clear(&entries->view);
	boot_plan_clear(&entries->plan);
	*entries = (struct machine_entries){ 0 };
}

/* Count the write before making it: one that a power cut prevents counts, too. */
static void quirks_note(struct machine *m, struct machine_entries *e)
{
	for (size_t i = 0; *e->boot_id && i < e->plan.op_count; i++) {
		unsigned thing = boot_op_thing(&e->plan.ops[i]);

		quirk_wrote(&e->quirks.of[thing],
			    bootentries_wish(&m->esp, &e->view, &e->plan, thing), e->boot_id);
		e->quirks_changed = true;
	}
	if (e->quirks_changed)
		machine_quirks_write(m, &e->quirks);
}

/* Without the loader nothing makes up for an order of entries that does not last. */
static int check_lasts(const struct machine *m, const struct machine_entries *e, struct err *err)
{
	unsigned first = BOOT_DIRECT_A + machine_entries_first(&m->state.record);
	unsigned thing = e->plan.withheld[BOOT_THING_ORDER] ? (unsigned)BOOT_THING_ORDER : first;

	if (!machine_is_direct(m) || !e->plan.withheld[thing])
		return 0;
	return err_set(err, EX_IOERR, "this firmware has undone %d writes of %s, on which activation = direct "
		       "depends: use the loader (activation = loader, in slotboot.conf)", QUIRKS_UNDONE_MAX,
		       quirk_words(thing));
}

int machine_sync_entries(struct machine *machine, struct err *err)
{
	_cleanup_(machine_entries_clear) struct machine_entries entries = { 0 };
	struct err why = { 0 };
	int r;

	if (entries_are_closed(machine))
		return 0;
	r = machine_entries_plan(machine, &entries, &why);
	/* Do this while its entry exists: later the number might be another's. */
	if (r == 0 && !entries.want.trial)
		r = bootnext_clear(&machine->vars, &machine->esp, BOOTENTRIES_TRIAL_PATH, &why);
	if (r == 0) {
		quirks_note(machine, &entries);
		r = bootentries_apply(&machine->vars, &machine->esp, &entries.view, &entries.plan,
				      &why);
	}
	if (r == 0)
		r = check_lasts(machine, &entries, &why);
	return result(machine, r, &why, err);
}
