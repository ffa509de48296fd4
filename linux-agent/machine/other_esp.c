/* SPDX-License-Identifier: MIT */
#include "other_esp.h"

#include "espfile.h"
#include "io.h"
#include "other_esp_files.h"

#include <efivar/efivar.h>
#include <string.h>

/* --- which is which --- */

static bool is_booted(const struct machine *m, const struct esp_info *esp)
{
	_cleanup_free_ char *text = machine_loader_variable(m, "LoaderDevicePartUUID");
	efi_guid_t guid;

	return text && esp->dir && efi_str_to_guid(text, &guid) == 0 &&
	       memcmp(&guid, esp->guid, sizeof guid) == 0;
}

static int both_open(struct machine *m, struct esp_info found[RECORD_ESPS], struct err *err)
{
	const struct config *c = m->config;
	struct err why[RECORD_ESPS] = { { 0 } };

	for (unsigned i = 0; i < RECORD_ESPS; i++) {
		int r = esp_info_find(c->esps[i], c->esp_devices[i], c->sysroot, &found[i], &why[i]);

		if (r < 0 && why[i].exit == EX_NOPERM) {
			*err = why[i];
			return -1;
		}
	}
	if (!found[0].dir && !found[1].dir) {
		*err = why[0];
		return -1;
	}
	if (found[0].dir && found[1].dir &&
	    memcmp(found[0].guid, found[1].guid, sizeof found[0].guid) == 0)
		return err_set(err, EX_CONFIG, "the ESPs at %s and %s have the same partition UUID, "
			       "as after a disk was copied: give one of them another (sfdisk "
			       "--part-uuid)", found[0].dir, found[1].dir);
	for (unsigned i = 0; i < RECORD_ESPS; i++)
		if (!found[i].dir)
			(void)err_set(&m->other_esp_error, EX_CONFIG, "the other ESP (%s) is "
				      "lost: %s", c->esps[i], why[i].text);
	return 0;
}

static int one_open(struct machine *m, struct err *err)
{
	const struct config *c = m->config;

	if (esp_info_find(c->esps[0], c->esp_devices[0], c->sysroot, &m->esp, err) < 0)
		return -1;
	m->esp.shim = c->shim_path;
	return 0;
}

int other_esp_open(struct machine *machine, struct err *err)
{
	struct esp_info found[RECORD_ESPS] = { { 0 } };
	unsigned first;

	if (!other_esp_is_configured(machine))
		return one_open(machine, err);
	if (both_open(machine, found, err) < 0) {
		esp_info_clear(&found[0]);
		esp_info_clear(&found[1]);
		return -1;
	}
	first = !found[0].dir || is_booted(machine, &found[1]);
	machine->esp = found[first];
	machine->other_esp = found[1 - first];
	machine->esp.shim = machine->other_esp.shim = machine->config->shim_path;
	return 0;
}

bool other_esp_is_configured(const struct machine *machine)
{
	return machine->config->esps[1] != NULL;
}

enum other_esp_state other_esp_state(const struct machine *machine)
{
	if (!other_esp_is_configured(machine))
		return OTHER_ESP_NONE;
	if (!machine->other_esp.dir)
		return OTHER_ESP_LOST;
	return machine->state.source != STATE_LOST &&
			       record_belongs(&machine->state.record, machine->other_esp.guid)
		       ? OTHER_ESP_IN_STEP : OTHER_ESP_BEHIND;
}

const char *other_esp_state_text(enum other_esp_state state)
{
	static const char *const text[] = { NULL, "in-step", "behind", "lost" };

	return text[state];
}

static bool in_step(const struct machine *m)
{
	return other_esp_state(m) == OTHER_ESP_IN_STEP;
}

/* In memory; what stands in other_esp_error is the first cause. */
static void leave_out(struct machine *m, const struct err *why)
{
	(void)record_name(&m->state.record, m->esp.guid, NULL);
	if (!m->other_esp_error.exit)
		(void)err_set(&m->other_esp_error, EX_IOERR, "the other ESP (%s) was left "
			      "behind: %s", m->other_esp.dir, why->text);
}

/* --- its state.bin --- */

static int storage_open(const struct machine *m, struct statefile *ret_file,
			struct state_ops *ret_ops, struct err *err)
{
	*ret_file = (struct statefile){ .vars = &m->vars, .disk = &m->disk };
	if (asprintf(&ret_file->mirror, "%s/" ESP_OURS "/state.bin", m->other_esp.dir) < 0)
		return err_set(err, EX_SOFTWARE, "out of memory");
	*ret_ops = statefile_ops(ret_file);
	ret_ops->esp = m->other_esp.guid;
	return 0;
}

/* The sequence of a copy that its loader might believe; 0: it would not. */
static uint64_t copy_sequence(const struct machine *m, const struct state_ops *ops, unsigned copy)
{
	uint8_t bytes[RECORD_BYTES];
	struct record r;

	if (ops->mirror_read(ops->ctx, copy, bytes) != SB_OK ||
	    record_decode(bytes, sizeof bytes, &r) != SB_OK || !record_belongs(&r, ops->esp))
		return 0;
	return r.sequence > m->state.record.sequence &&
			       r.sequence - m->state.record.sequence > STATE_AHEAD_MAX
		       ? 0 : r.sequence;
}

static enum sb_error mirror_store(const struct machine *m, const struct record *record)
{
	struct state s = { .record = *record };
	struct statefile file;
	struct state_ops ops;
	enum sb_error error;

	if (storage_open(m, &file, &ops, NULL) < 0)
		return SB_IO;
	s.mirror_newest = copy_sequence(m, &ops, 1) > copy_sequence(m, &ops, 0);
	error = state_mirror(&ops, &s);
	free(file.mirror);
	return error;
}

void other_esp_store(struct machine *machine)
{
	struct machine *m = machine;
	enum sb_error error;

	if (!in_step(m))
		return;
	error = mirror_store(m, &m->state.record);
	if (error != SB_OK && !m->other_esp_error.exit)
		(void)err_set(&m->other_esp_error, EX_IOERR, "the other ESP (%s) could not be "
			      "written: state.bin: %s", m->other_esp.dir, sb_error_text(error));
}

static bool mirror_is_same(const struct machine *m)
{
	struct state s = { .record = m->state.record };
	struct statefile file;
	struct state_ops ops;

	if (storage_open(m, &file, &ops, NULL) < 0)
		return false;
	state_compare(&ops, &s);
	free(file.mirror);
	return s.mirror_current[0] && s.mirror_current[1];
}

/* What it has counted alone must not be newer than what names it from now on. */
static void sequence_raise(struct machine *m)
{
	struct statefile file;
	struct state_ops ops;

	if (storage_open(m, &file, &ops, NULL) < 0)
		return;
	for (unsigned copy = 0; copy < STATE_MIRROR_COPIES; copy++) {
		uint64_t sequence = copy_sequence(m, &ops, copy);

		if (sequence > m->state.record.sequence)
			m->state.record.sequence = sequence;
	}
	free(file.mirror);
}

/* --- an install --- */

void other_esp_begin(struct machine *machine)
{
	(void)record_name(&machine->state.record, machine->esp.guid,
			  in_step(machine) ? machine->other_esp.guid : NULL);
}

int other_esp_clear_slot(struct machine *machine, unsigned slot, struct err *err)
{
	struct err why = machine->other_esp_error;

	if (!in_step(machine))
		return 0;
	if (!why.exit && other_esp_remove_uki(machine, slot, &why) == 0)
		return 0;
	leave_out(machine, &why);
	return machine_save(machine, err);
}

void other_esp_copy_slot(struct machine *machine, unsigned slot)
{
	struct err why = { 0 };

	if (in_step(machine) && other_esp_copy_files(machine, slot, &why) < 0)
		leave_out(machine, &why);
}

/* --- bringing it up --- */

/* As machine_save() will store it. From here on a loader there, which the variable does not
 * name yet, hands over to the one here: so this comes before that loader. */
static int mirror_prepare(struct machine *m, struct err *err)
{
	struct record next;
	enum sb_error error;

	sequence_raise(m);
	next = m->state.record;
	next.sequence++;
	(void)record_name(&next, m->esp.guid, m->other_esp.guid);
	error = mirror_store(m, &next);
	return error == SB_OK ? 0 : err_set(err, EX_IOERR, "failed to write state.bin: %s",
					    sb_error_text(error));
}

int other_esp_bring_up(struct machine *machine, struct err *err)
{
	struct machine *m = machine;
	bool named = in_step(m);
	struct err why = { 0 };

	if (!m->other_esp.dir || m->state.source == STATE_LOST)
		return 0;
	/* A slot that is about to be written there must not be started there. */
	if (named && !other_esp_slots_are_same(m)) {
		named = false;
		(void)record_name(&m->state.record, m->esp.guid, NULL);
		if (machine_save(m, err) < 0)
			return -1;
	}
	if (other_esp_bring_up_files(m, &why) < 0 || (!named && mirror_prepare(m, &why) < 0) ||
	    other_esp_bring_up_loader(m, &why) < 0) {
		leave_out(m, &why);
		return named ? machine_save(m, err) : 0;
	}
	m->other_esp_error = (struct err){ 0 };
	if (named) {
		other_esp_store(m);
		return 0;
	}
	(void)record_name(&m->state.record, m->esp.guid, m->other_esp.guid);
	return machine_save(m, err);
}

bool other_esp_compare(const struct machine *machine, const char **ret_what)
{
	if (!other_esp_files_are_same(machine, ret_what))
		return false;
	if (mirror_is_same(machine))
		return true;
	*ret_what = OTHER_ESP_RECORD;
	return false;
}
