/* SPDX-License-Identifier: MIT */
#include "install.h"

#include "bootentries.h"
#include "cmdline.h"
#include "direct.h"
#include "espfile.h"
#include "fetch.h"
#include "install_check.h"
#include "install_payload.h"
#include "kexec_intent.h"
#include "kexec.h"
#include "other_esp.h"
#include "policy.h"
#include "report.h"
#include "io.h"
#include "trip.h"
#include "watchdog.h"

#include <string.h>
#include <time.h>

static void on_retry(void *ctx, const char *why, unsigned wait_ms)
{
	report_warning(ctx, "%s; trying again in %.1f s", why, wait_ms / 1000.0);
}

static struct fetch_options fetch_options(struct machine *m, const struct install_options *o)
{
	return (struct fetch_options){
		.deadline_s = m->config->deadline_s,
		.http = &m->config->http,
		.cancel = o->cancel,
		.retrying = on_retry,
		.lacking = report_on_warning,
		.sandbox = m->config->sandbox,
		.ctx = o->report,
	};
}

static int save(struct machine *m, struct report *report, struct err *err)
{
	if (machine_save(m, err) < 0)
		return -1;
	if (m->warning)
		report_warning(report, "%s", m->warning);
	if (m->entries_error.exit)
		report_warning(report, MACHINE_ENTRIES_WARNING, m->entries_error.text);
	return 0;
}

/* Restore the record: not one byte of the slot has been written yet. */
static int begin_undo(struct machine *m, const struct record *before, struct err *err)
{
	uint64_t sequence = m->state.record.sequence;

	m->state.record = *before;
	m->state.record.sequence = sequence;
	(void)machine_save(m, NULL);
	if (machine_is_direct(m))
		(void)machine_sync_entries(m, NULL);
	return err_set(err, EX_IOERR, "failed to mark slot as being written in state.bin on the "
		       "ESP: should the variable be lost, half an image would be started");
}

/* Check for cancellation between the steps; readers and writers check for themselves. */
static int check_cancel(const struct install_options *o, struct err *err)
{
	if (o->cancel && *o->cancel)
		return err_set(err, EX_TEMPFAIL, "cancelled by a signal");
	return 0;
}

/* The record and the floor may have changed while the bundle was fetched. */
static int begin_lock(const struct install *in, struct err *err)
{
	const struct install_options *o = in->options;
	unsigned slot;

	if (machine_lock(in->machine, err) < 0 ||
	    install_check_target(in->machine, &slot, err) < 0 ||
	    install_check_identity(in->machine, bundle_manifest(in->bundle),
				   o->allow_downgrade, o->report, err) < 0)
		return -1;
	if (o->begun)
		*o->begun = 1;
	return check_cancel(o, err);
}

/* Mark the slot as writing in both copies of the record. Unload any staged kernel: it may
 * be the image we are about to overwrite. */
static int mark_writing(struct machine *m, const struct install_options *o, unsigned slot,
			struct err *err)
{
	struct record before = m->state.record;

	if (kexec_cancel(m->config, err) < 0)
		return -1;
	(void)kexec_intent_forget(m);
	if (!policy_apply(&m->state.record, ON_INSTALL_BEGIN, slot, 0))
		return err_set(err, EX_SOFTWARE, "slot %c cannot be written",
			       slot_letter(slot));
	other_esp_begin(m);
	/* Without the loader an active entry starts a slot whatever the record says. */
	if (machine_is_direct(m) && machine_hide_entry(m, slot, err) < 0)
		return -1;
	if (save(m, o->report, err) < 0)
		return -1;
	if (m->mirror_failed)
		return begin_undo(m, &before, err);
	return machine_is_direct(m) ? 0 : machine_hide_entry(m, slot, err);
}

/* Once; the install goes on with the other disk away. */
static void tell_other_esp(struct install *in)
{
	const struct machine *m = in->machine;

	if (m->other_esp_error.exit && !in->other_esp_told)
		report_warning(in->options->report, MACHINE_OTHER_ESP_WARNING,
			       m->other_esp_error.text, m->esp.dir);
	in->other_esp_told = m->other_esp_error.exit != 0;
}

/* Step 3. The old UKI goes before the first byte is written and the new one comes last, so
 * that neither ever stands beside half an image, or the files of another version, where a
 * loader without a record would start it. */
static int begin(struct install *in, struct err *err)
{
	struct machine *m = in->machine;

	if (begin_lock(in, err) < 0 || mark_writing(m, in->options, in->slot, err) < 0 ||
	    install_files_remove(m, in->slot, err) < 0 ||
	    other_esp_clear_slot(m, in->slot, err) < 0)
		return -1;
	tell_other_esp(in);
	machine_unlock(m);
	return 0;
}

int install_write_images(struct install *in, struct err *err)
{
	const struct manifest *manifest = bundle_manifest(in->bundle);

	for (size_t i = 0; i < manifest->payload_count; i++) {
		const struct payload *payload = &manifest->payloads[i];

		if (payload->type != PAYLOAD_IMAGE)
			continue;
		report_step(in->options->report, "write", "writing %s (%llu bytes) to slot %c",
			    payload->name, (unsigned long long)payload->size,
			    slot_letter(in->slot));
		if (install_payload_write(in, &in->payloads[i], err) < 0)
			return -1;
	}
	return 0;
}

void install_describe(const struct payload *uki, struct slot *slot)
{
	slot->uki_size = uki->size;
	memcpy(slot->uki_sha256, uki->sha256, sizeof slot->uki_sha256);
	slot->flags = SLOT_FLAG_DIGEST | SLOT_FLAG_INSTALLED;
	slot->installed = (uint64_t)time(NULL);
}

/* What decides the next boot comes last, the record or BootNext: no later failure can change the
 * boot choice. */
static int publish(struct machine *m, unsigned slot, enum activate how, struct report *report, struct err *err)
{
	if (!machine_is_direct(m))
		return machine_sync_entries(m, err) < 0 ? -1 : save(m, report, err);
	/* Noted first: a kexec-trial that was not begun by this boot counts as one that has failed. */
	if (how == ACTIVATE_KEXEC)
		trip_depart(m, how, slot, NULL);
	if (save(m, report, err) < 0 || machine_sync_entries(m, err) < 0)
		return -1;
	return direct_arm(m, err);
}

/* Steps 5 and 6. */
static int finish(struct machine *m, const struct install_options *o, struct bundle *bundle,
		  unsigned slot, enum activate how, struct err *err)
{
	static const enum policy_event events[] = { ON_INSTALL_NONE, ON_INSTALL_REBOOT,
						    ON_INSTALL_KEXEC };
	unsigned tries = o->tries ? o->tries : m->config->tries;
	struct record before = m->state.record;

	install_describe(manifest_uki(bundle_manifest(bundle)), &m->state.record.slots[slot]);
	settings_to_record(m->config, &m->state.record);
	if (how == ACTIVATE_KEXEC && kexec_intent_make(m, slot, err) < 0)
		return -1;
	if (!policy_apply(&m->state.record, events[how], slot, (uint8_t)tries))
		return err_set(err, EX_SOFTWARE, "slot %c cannot be finished", slot_letter(slot));
	if (publish(m, slot, how, o->report, err) == 0)
		return 0;
	/* If it was stored although the read-back failed, set the slot back to writing. */
	before.sequence = m->state.record.sequence;
	m->state.record = before;
	(void)save(m, o->report, NULL);
	(void)bootentries_set_active(&m->vars, &m->esp, (int)slot, false, NULL);
	return -1;
}

/* Other verbs leave a slot in writing alone; only a record made anew after a loss does
 * not know of it. */
static int complete_lock(const struct install *in, struct err *err)
{
	struct machine *m = in->machine;

	if (machine_lock(m, err) < 0)
		return -1;
	if (m->state.source == STATE_LOST ||
	    m->state.record.slots[in->slot].status != SLOT_WRITING)
		return err_set(err, EX_CONFIG, "the slot record was changed while slot %c was written: "
			       "it is not in writing any more; install again",
			       slot_letter(in->slot));
	return check_cancel(in->options, err);
}

/* Steps 5 to 7. What cannot be staged is known before the record says kexec-trial. */
static int complete(struct install *in, struct err *err)
{
	_cleanup_(kexec_image_freep) struct kexec_image *image = NULL;
	const struct install_options *o = in->options;
	struct machine *m = in->machine;
	enum activate how = o->activate;
	int64_t begin_ms = trip_clock_ms();
	struct err staging = { 0 };

	other_esp_copy_slot(m, in->slot);
	if (how == ACTIVATE_KEXEC && kexec_prepare(m, in->slot, &image, &staging) < 0)
		how = ACTIVATE_NONE;
	if (finish(m, o, in->bundle, in->slot, how, err) < 0)
		return -1;
	tell_other_esp(in);
	if (how == ACTIVATE_KEXEC)
		(void)kexec_intent_load(m, in->slot, image, &staging);
	if (staging.exit) {
		*err = staging;
		return err_prefix(err, "slot %c is installed but not activated",
				  slot_letter(in->slot));
	}
	if (image)
		in->installed.stage_ms = trip_clock_ms() - begin_ms;
	if (image && kexec_image_ignored(image))
		report_warning(o->report, "addons not used: %s", kexec_image_ignored(image));
	return 0;
}

/* Step 2. */
int install_prepare(struct install *in, struct err *err)
{
	const struct manifest *manifest = bundle_manifest(in->bundle);
	const struct install_options *o = in->options;
	struct machine *m = in->machine;

	report_step(o->report, "check", "checking version %s, signed by %s", manifest->version,
		    bundle_signer(in->bundle));
	if (install_check_identity(m, manifest, o->allow_downgrade, o->report, err) < 0 ||
	    install_check_room(m, in->bundle, in->slot, err) < 0 ||
	    install_loader_prepare(in, err) < 0 || install_payloads_prepare(in, err) < 0)
		return -1;
	return check_cancel(o, err);
}

static int install_from(struct install *in, struct err *err)
{
	if (install_prepare(in, err) < 0)
		return -1;
	if (install_program(in, "before", err) < 0)
		return -1;
	/* From here on the slot cannot be booted, until complete(). */
	if (begin(in, err) < 0 || install_write_images(in, err) < 0 ||
	    install_write_uki(in, err) < 0 || install_program(in, "after", err) < 0 ||
	    complete_lock(in, err) < 0 || complete(in, err) < 0)
		return -1;
	install_payloads_report(in);
	report_step(in->options->report, "done", "installed version %s in slot %c",
		    bundle_manifest(in->bundle)->version, slot_letter(in->slot));
	return 0;
}

int install_run(struct machine *machine, const struct install_options *options,
		struct installed *ret_installed, struct err *err)
{
	const struct fetch_options fetch = fetch_options(machine, options);
	const struct bundle_options reading = { .keyring = machine->config->keyring,
						.rules = &machine->config->rules,
						.source = { &fetch, machine->config->spool,
							    options->report },
						.verify_first = options->verify_first };
	_cleanup_free_ struct install *in = calloc(1, sizeof *in);
	int64_t begin_ms = trip_clock_ms();
	int r;

	if (!in)
		return err_set(err, EX_SOFTWARE, "failed to install: out of memory");
	*in = (struct install){ .machine = machine, .options = options,
				.installed.stage_ms = LEDGER_UNKNOWN };
	if (install_check_target(machine, &in->slot, err) < 0 ||
	    (options->activate == ACTIVATE_KEXEC &&
	     kexec_intent_check_allowed(machine, options->force, err) < 0) ||
	    (options->activate == ACTIVATE_REBOOT && direct_check(machine, err) < 0) ||
	    direct_check_tries(machine, options->tries, err) < 0)
		return -1;
	report_step(options->report, "fetch", "reading %s", options->where);
	if (bundle_open(options->where, &reading, &in->bundle, err) < 0)
		return -1;
	in->was_writing = machine->state.record.slots[in->slot].status == SLOT_WRITING;
	r = install_from(in, err);
	if (r == 0)
		install_loader(in);
	install_payloads_close(in);
	bundle_close(in->bundle);
	if (r < 0)
		return -1;
	in->installed.slot = in->slot;
	in->installed.install_ms = trip_clock_ms() - begin_ms;
	*ret_installed = in->installed;
	return 0;
}

int install_activate(struct machine *machine, const struct install_options *options,
		     const struct installed *installed, struct err *err)
{
	const struct trip_times times = { installed->install_ms, installed->stage_ms };
	bool kexec = options->activate == ACTIVATE_KEXEC;

	if (options->activate == ACTIVATE_NONE)
		return 0;
	report_step(options->report, "activate", "leaving for the new slot through %s",
		    kexec ? "kexec" : "the firmware");
	if (leave_for(machine, options->activate, installed->slot, &times, options->report,
		      err) == 0)
		return 0;
	return err_prefix(err, kexec ? "slot %c is installed but not activated"
				     : "slot %c is installed and will be tried at the next boot",
			  slot_letter(installed->slot));
}
