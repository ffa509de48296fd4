/* SPDX-License-Identifier: MIT */
#include "cmdline.h"
#include "direct.h"
#include "slot_words.h"
#include "export.h"
#include "health_note.h"
#include "rollback_floor.h"
#include "install_check.h"
#include "kexec_intent.h"
#include "machine_entries.h"
#include "kexec.h"
#include "options.h"
#include "osrel.h"
#include "out.h"
#include "panic.h"
#include "policy.h"
#include "status_beside.h"
#include "status_direct.h"
#include "status_esps.h"
#include "status_kexec.h"
#include "status_keys.h"
#include "status_loader.h"
#include "status_secureboot.h"
#include "io.h"
#include "verbs.h"
#include "watchdog.h"

#include <jansson.h>
#include <string.h>
#include <time.h>

struct view {
	struct machine *machine;
	char *version[SLOT_COUNT];
	bool is_verified[SLOT_COUNT];	/* the version: by a signature */
	struct err version_error[SLOT_COUNT];
	struct osrel image;	/* of the running slot's UKI */
	char *loader;		/* LoaderInfo of a firmware boot, or NULL */
	struct watchdog watchdog;	/* that Linux drives now */
	char why[2048];
	struct rollback_floor floor;
	struct err floor_error;	/* it cannot be read, or a pair is ignored: why */
	struct status_secureboot secureboot;
};

static const char *const source_text[] = { "lost", "variable", "mirror" };

/* NULL where it is of an earlier boot, or the loader left none. */
static const struct trace *trace_of(const struct machine *m)
{
	return m->has_trace && m->is_running && !m->running.kexec ? &m->trace : NULL;
}

/* For a slot in writing, version and time would describe its previous contents. */
static bool slot_is_whole(const struct slot *s)
{
	return s->status != SLOT_EMPTY && s->status != SLOT_WRITING;
}

static void image_find(struct view *v)
{
	_cleanup_free_ char *path = NULL;
	struct ukifile uki;

	if (machine_slot_file(v->machine, v->machine->running.slot, "uki.efi", &path, NULL) < 0 ||
	    ukifile_open(path, &uki, NULL) < 0)
		return;
	if (osrel_read(&uki, &v->image, NULL) < 0)
		osrel_clear(&v->image);
	ukifile_close(&uki);
	if (v->image.image_id)
		out_clean(v->image.image_id, strlen(v->image.image_id) + 1);
	if (v->image.image_version)
		out_clean(v->image.image_version, strlen(v->image.image_version) + 1);
}

static void view_fill(struct view *v)
{
	struct machine *m = v->machine;

	for (unsigned slot = 0; slot < SLOT_COUNT; slot++)
		if (slot_is_whole(&m->state.record.slots[slot]))
			v->version[slot] = install_check_slot_version(m, slot, &v->is_verified[slot],
								      &v->version_error[slot]);
	status_secureboot_find(m, &v->secureboot);
	if (m->is_running)
		image_find(v);
	watchdog_find(m->config, &v->watchdog);
	if (rollback_floor_load(m, &v->floor, &v->floor_error) == 0)
		v->floor_error = v->floor.ignored;
	/* After a kexec it is of an earlier boot. */
	if (m->is_running && !m->running.kexec)
		v->loader = machine_loader_variable(m, "LoaderInfo");
	if (status_direct_is(m))
		status_direct_why(m, v->why, sizeof v->why);
	else if (m->is_running)
		slot_words_why(&m->state, m->has_trace ? &m->trace : NULL, &m->running, v->why,
			       sizeof v->why);
	else
		(void)snprintf(v->why, sizeof v->why, "%s", m->running_error.text);
	/* JSON takes nothing that is no UTF-8. */
	out_clean(v->why, sizeof v->why);
	out_clean(v->watchdog.identity, sizeof v->watchdog.identity);
}

/* Seconds since 1970; 0: not known, or beyond what a time can be. */
static time_t installed_at(const struct slot *s)
{
	return slot_is_whole(s) && s->installed <= INT64_MAX ? (time_t)s->installed : 0;
}

/* What its failed health check said, or NULL. */
static json_t *health_json(const struct view *v, unsigned slot)
{
	struct health_note note;

	if (!health_note_read(v->machine, slot, &note))
		return NULL;
	return json_pack("{s:s, s:s, s:s?, s:o?}", "check", note.finding.check, "how",
			 note.finding.how, "line", *note.finding.line ? note.finding.line : NULL,
			 "time", note.time > 0 ? json_integer(note.time) : NULL);
}

/* What the kernel said last that ended it, or NULL. */
static json_t *panic_json(const struct view *v, unsigned slot)
{
	struct panic panic;

	if (!panic_read(v->machine, slot, &panic))
		return NULL;
	return json_pack("{s:s, s:I}", "words", panic.words, "time", (json_int_t)panic.time);
}

static json_t *slot_json(const struct view *v, unsigned slot)
{
	const struct slot *s = &v->machine->state.record.slots[slot];
	/* It is unknown how the slot that does not run would be reached. */
	bool by_kexec = slot != v->machine->running.slot || v->machine->running.kexec;
	char sha256[65] = "", efi_status[32];

	if (s->flags & SLOT_FLAG_DIGEST)
		hex_encode(s->uki_sha256, sizeof s->uki_sha256, sha256);
	/* A string: beyond 2^63, and JSON numbers are doubles to many readers. */
	(void)snprintf(efi_status, sizeof efi_status, "0x%llx",
		       (unsigned long long)s->efi_status);
	return json_pack("{s:s, s:i, s:i, s:s, s:s, s:s, s:i, s:b, s:{s:b, s:b}, s:s?, s:b, s:o?, s:s?, s:o?, s:o?, s:o, s:o, s:o}",
			 "status", slot_status_text(s->status), "tries_left", s->tries_left,
			 "tries_granted", s->tries_granted, "reason", slot_reason_text(s->reason),
			 "reason_words", slot_reason_words(s->reason), "efi_status",
			 efi_status, "good_boots", s->good_boots, "confirmed",
			 policy_slot_confirmed(s, by_kexec), "proven", "firmware",
			 s->status == SLOT_GOOD, "kexec",
			 (s->flags & SLOT_FLAG_KEXEC_PROVEN) != 0, "version", v->version[slot],
			 "version_verified", v->is_verified[slot], "installed",
			 installed_at(s) ? json_integer(installed_at(s)) : NULL, "uki_sha256", *sha256 ? sha256 : NULL,
			 "health", health_json(v, slot), "panic", panic_json(v, slot), "secure_boot",
			 status_secureboot_slot_json(&v->secureboot, slot), "beside",
			 status_beside_json(v->machine, slot, true), "files",
			 status_beside_json(v->machine, slot, false));
}

static json_t *attempts_json(const struct record *record)
{
	static const char *const events[] = { "none", "started", "failed", "kexec", "confirmed",
					      "installed" };
	json_t *list = json_array();

	for (int i = 0; list && i < RECORD_ATTEMPTS; i++) {
		const struct attempt *a = &record->attempts[i];
		char slot[2] = { slot_letter(a->slot), 0 };

		if (a->event != ATTEMPT_NONE)
			(void)json_array_append_new(
				list, json_pack("{s:s, s:s, s:s, s:I}", "slot", slot, "event",
						events[a->event], "reason",
						slot_reason_text(a->reason), "sequence",
						(json_int_t)a->sequence));
	}
	return list;
}

static json_t *watchdog_json(const struct view *v)
{
	static const char *const boots[TRACE_WATCHDOG_COUNT] = { "off", "armed", "not-found",
								 "failed" };
	static const char *const resets[TRACE_RESET_COUNT] = { "unknown", "watchdog", "other" };
	const struct record *record = &v->machine->state.record;
	const struct trace *trace = trace_of(v->machine);

	return json_pack("{s:s, s:i, s:b, s:b, s:s?, s:s?, s:s?}", "hardware",
			 record_watchdog_text(record->watchdog), "timeout", record->watchdog_s,
			 "trial", record->watchdog_flags & WATCHDOG_FLAG_TRIAL, "good",
			 record->watchdog_flags & WATCHDOG_FLAG_GOOD, "driver",
			 *v->watchdog.identity ? v->watchdog.identity : NULL, "this_boot",
			 trace ? boots[trace->watchdog] : NULL, "last_reset",
			 trace ? resets[trace->reset] : NULL);
}

/* What the firmware has undone and, as far as known, does again. */
static json_t *quirks_json(const struct machine *m)
{
	json_t *list = json_array();
	struct quirks quirks;

	machine_quirks_read(m, &quirks);
	for (unsigned thing = 0; list && thing < QUIRK_COUNT; thing++)
		if (quirks.of[thing].undone > 0)
			(void)json_array_append_new(
				list, json_pack("{s:s, s:i, s:b}", "thing", quirk_key(thing), "undone",
						(int)quirks.of[thing].undone, "given_up",
						thing != QUIRK_RECORD &&
							quirk_is_given_up(&quirks.of[thing])));
	return list;
}

static json_t *view_json(const struct view *v)
{
	const struct machine *m = v->machine;
	const struct state *state = &m->state;
	char running[2] = { slot_letter(m->running.slot), 0 };
	char preferred[2] = { slot_letter(state->record.preferred), 0 };

	return json_pack(
		"{s:s?, s:s, s:s?, s:{s:s?, s:s?}, s:s?, s:{s:s, s:I, s:s, s:s, s:b}, s:{s:o, s:o}, s:i, s:s?, s:s?, s:o, s:b, "
		"s:i, s:o, s:o, s:s, s:o, s:s, s:s?, s:o, s:o, s:o, s:o, s:o, s:s, s:s?}",
		"running", m->is_running ? running : NULL, "preferred", preferred, "boot",
		!m->is_running ? NULL : m->running.kexec ? "kexec" : "firmware", "image",
		"id", v->image.image_id, "version", v->image.image_version, "loader",
		v->loader, "state",
		"source", source_text[state->source], "sequence",
		(json_int_t)state->record.sequence, "variable", sb_error_text(state->var_error),
		"mirror", sb_error_text(state->mirror_error), "provisional",
		state->record.flags & RECORD_FLAG_PROVISIONAL, "slots", "a", slot_json(v, 0), "b",
		slot_json(v, 1), "good_limit", state->record.good_limit, "floor",
		*v->floor.version ? v->floor.version : NULL, "floor_error",
		*v->floor_error.text ? v->floor_error.text : NULL, "watchdog",
		watchdog_json(v), "kexec_loaded", kexec_is_loaded(m->config), "kexec_failures",
		state->record.kexec_failures, "jump", status_kexec_json(m), "timing_ms",
		status_timing_json(m), "why", v->why, "attempts",
		attempts_json(&state->record), "check",
		state->record.flags & RECORD_FLAG_CHECK ? "always" : "trial", "esp_error",
		m->esp_error.exit ? m->esp_error.text : NULL, "quirks", quirks_json(m), "loader_file", status_loader_json(m),
		"secure_boot", status_secureboot_json(&v->secureboot), "keys", status_keys_json(m),
		"esps", status_esps_json(m), "activation", machine_is_direct(m) ? "direct" : "loader",
		"boot_next", status_direct_next(m));
}

static void print_slot(const struct view *v, unsigned slot)
{
	const struct slot *s = &v->machine->state.record.slots[slot];
	char text[256], said[HEALTH_WORDS_BYTES], when[32] = "";
	struct health_note note;
	struct panic panic;
	time_t installed = installed_at(s);
	struct tm tm;

	slot_words_of(s, text, sizeof text);
	out_print("slot %c     %s", slot_letter(slot), text);
	if (health_note_read(v->machine, slot, &note)) {
		health_finding_words(&note.finding, said, sizeof said);
		out_print(" (%s)", said);
	}
	if (panic_read(v->machine, slot, &panic))
		out_print(" (kernel panic: %s)", panic.words);
	if (v->version[slot])
		out_print("; version %s%s", v->version[slot],
			  v->is_verified[slot] ? "" : " (not verified)");
	if (installed && gmtime_r(&installed, &tm) &&
	    strftime(when, sizeof when, "%Y-%m-%d %H:%M UTC", &tm) > 0)
		out_print("; installed %s", when);
	(void)putchar('\n');
	if (*v->version_error[slot].text)
		out_print("           warning: %s\n", v->version_error[slot].text);
	status_secureboot_print_slot(&v->secureboot, slot);
	if (slot_is_whole(s))
		status_beside_print(v->machine, slot);
}

static void print_state(const struct machine *m)
{
	const struct state *state = &m->state;

	if (state->source == STATE_LOST) {
		out_print("record     lost (variable: %s; mirror: %s); slotctl mark-good makes a "
			  "new one\n", sb_error_text(state->var_error),
			  sb_error_text(state->mirror_error));
		return;
	}
	out_print("record     number %llu, from the %s",
		  (unsigned long long)state->record.sequence, source_text[state->source]);
	if (state->var_error != SB_OK)
		out_print("; variable: %s", sb_error_text(state->var_error));
	if (state->mirror_error != SB_OK)
		out_print("; mirror: %s", sb_error_text(state->mirror_error));
	if (state->record.flags & RECORD_FLAG_PROVISIONAL)
		out_print("; made by the loader, because there was none: slotctl mark-good makes "
			  "one that lasts");
	if (m->statefile.closed)
		out_print("; the firmware takes no variables while Linux runs");
	(void)putchar('\n');
}

static void print_quirks(const struct machine *m)
{
	struct quirks quirks;

	machine_quirks_read(m, &quirks);
	for (unsigned thing = 0; thing < BOOT_THING_COUNT; thing++)
		if (quirk_is_given_up(&quirks.of[thing]))
			out_print("warning    this firmware has undone %u writes of %s, which slotctl "
				  "leaves alone now: see slotctl doctor\n", quirks.of[thing].undone,
				  quirk_words(thing));
	if (quirks.of[QUIRK_RECORD].undone > 0)
		out_print("warning    this firmware has not kept the variable SlotState over the last "
			  "resets (%u): the mirror on the ESP stands in for it\n",
			  quirks.of[QUIRK_RECORD].undone);
}

static void print_warnings(const struct machine *m)
{
	if (m->state.var_error == SB_ATTRIBUTES)
		out_print("warning    the variable SlotState is not slotboot's (wrong attributes); "
			  "the mirror on the ESP stands in for it\n");
	if (m->trace_squatted)
		out_print("warning    the variable SlotTrace is not the loader's (wrong attributes): "
			  "what is said below of why this slot runs is a guess\n");
	if (m->esp_error.exit)
		out_print("warning    %s\n", m->esp_error.text);
	print_quirks(m);
}

static void print_watchdog(const struct view *v)
{
	char text[256];

	slot_words_watchdog(&v->machine->state.record, trace_of(v->machine), v->watchdog.identity,
			    text, sizeof text);
	out_print("watchdog   %s\n", text);
}

static void print_floor(const struct view *v)
{
	if (*v->floor.version)
		out_print("floor      %s, by a manifest that %s signed; nothing lower is installed\n",
			  v->floor.version, v->floor.signer);
	if (*v->floor_error.text)
		out_print("floor      warning: %s\n", v->floor_error.text);
}

static void print_staged(const struct machine *m)
{
	unsigned slot;

	if (m->is_running && kexec_intent_staged(m, &slot, NULL) == 0)
		out_print("kexec      slot %c is staged\n", slot_letter(slot));
	else
		out_print("kexec      a kernel is staged, not by slotctl\n");
}

static void print_text(const struct view *v)
{
	const struct machine *m = v->machine;

	if (m->is_running)
		out_print("running    slot %c, by %s (%s)\n", slot_letter(m->running.slot),
			  m->running.kexec ? "kexec" : "the firmware", m->running.evidence);
	else
		out_print("running    unknown\n");
	if (v->image.image_id || v->image.image_version)
		out_print("image      %s %s\n", v->image.image_id ? v->image.image_id : "(no IMAGE_ID)",
			  v->image.image_version ? v->image.image_version : "(no IMAGE_VERSION)");
	if (v->loader)
		out_print("loader     %s\n", v->loader);
	status_loader_print(m);
	status_secureboot_print(&v->secureboot);
	status_keys_print(m);
	if (machine_is_direct(m))
		out_print("activation direct: by BootNext and BootOrder, without the loader\n");
	out_print("preferred  slot %c\n", slot_letter(m->state.record.preferred));
	for (unsigned slot = 0; slot < SLOT_COUNT; slot++)
		print_slot(v, slot);
	if (m->state.record.good_limit)
		out_print("good-limit %u boots without mark-good\n",
			  m->state.record.good_limit);
	if (m->state.record.flags & RECORD_FLAG_CHECK)
		out_print("check      good slots too start only with the digest they were installed with\n");
	print_watchdog(v);
	print_floor(v);
	print_state(m);
	status_esps_print(m);
	print_warnings(m);
	if (kexec_is_loaded(m->config))
		print_staged(m);
	if (m->esp.pmbr_boot)
		out_print("warning    the protective MBR of %s has its boot flag set, for which some "
			  "firmware removes boot entries: parted %s disk_set pmbr_boot off\n",
			  m->esp.disk, m->esp.disk);
	status_kexec_print(m);
	out_print("why        %s\n", v->why);
}

static void view_clear(struct view *v)
{
	free(v->version[0]);
	free(v->version[1]);
	free(v->loader);
	osrel_clear(&v->image);
	status_secureboot_clear(&v->secureboot);
}

json_t *status_json(struct machine *machine)
{
	_cleanup_(view_clear) struct view view = { .machine = machine };

	view_fill(&view);
	return view_json(&view);
}

static int status_show(struct machine *machine, bool json, struct err *err)
{
	_cleanup_(view_clear) struct view view = { .machine = machine };

	if (json && out_json(status_json(machine), JSON_INDENT(2)) < 0)
		return err_set(err, EX_SOFTWARE, "failed to make JSON of the status");
	if (json)
		return 0;
	view_fill(&view);
	print_text(&view);
	return 0;
}

int verb_status(int argc, char **argv, struct err *err)
{
	static const char help[] =
		"Usage: slotctl status [--json | --export] [--config=FILE]\n"
		"\n"
		"Shows which slot runs and why, what is in each slot, and where the slot record\n"
		"was read from. Changes no slot and takes no lock.\n"
		"\n"
		"  --export    write that to /run/slotboot and the like instead: slotctl(8)\n";
	struct machine machine;
	struct options o;
	int r = options_parse(argc, argv, TAKES_JSON | TAKES_EXPORT, help, &o, err);

	if (r != 0)
		return r < 0 ? -1 : 0;
	if (o.operand_count > 0 || (o.json && o.export))
		return err_set(err, EX_USAGE, "status takes no arguments, and --json or --export");
	r = machine_open(o.config, MACHINE_LOOK, &machine, err);
	if (r == 0)
		r = o.export ? export_write(&machine, err) : status_show(&machine, o.json, err);
	machine_close(&machine);
	return r;
}
