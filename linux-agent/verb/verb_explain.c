/* SPDX-License-Identifier: MIT */
/* slotctl kexec explain: the preflight of a slot, in words or as JSON. */
#include "cmdline.h"
#include "slot_uki.h"
#include "kexec.h"
#include "kexec_slot.h"
#include "options.h"
#include "out.h"
#include "preflight.h"
#include "secureboot.h"
#include "io.h"
#include "verbs.h"

#include <jansson.h>
#include <string.h>

/* Checks that slotctl makes itself before it asks the kernel. */
enum { OWN_SLOT, OWN_ENVELOPE, OWN_COUNT };

struct explanation {
	unsigned slot;
	struct preflight_finding own[OWN_COUNT];
	struct preflight preflight;
	enum preflight_verdict verdict;
};

static void own_fail(struct preflight_finding *f, const struct err *err)
{
	f->verdict = PREFLIGHT_FAIL;
	f->exit = err->exit;
	(void)snprintf(f->evidence, sizeof f->evidence, "%s", err->text);
}

static void slot_explain(const struct machine *m, unsigned slot, struct preflight_finding *f)
{
	struct err err = { 0 };

	f->check = "slot";
	if (kexec_slot_check(m, slot, &err) < 0)
		own_fail(f, &err);
	else
		(void)snprintf(f->evidence, sizeof f->evidence, "slot %c may be started: it is %s",
			       slot_letter(slot), m->state.source == STATE_LOST ? "not recorded"
			       : slot_status_text(m->state.record.slots[slot].status));
}

/* handed: the command line from the UKI and its addons; a nonce as long as any comes
 * behind it. */
static int kernel_explain(const struct machine *m, const struct slot_uki *image,
			  const char *handed, uint64_t initrd_size, struct explanation *e,
			  struct err *err)
{
	_cleanup_free_ char *cmdline = NULL;
	struct preflight_input input = {
		.sysroot = m->config->sysroot,
		.uki = &image->uki,
		.initrd_size = initrd_size,
		.pinned = kexec_is_pinned(m->config),
		.secure_boot = secureboot_known(&m->vars),
	};

	if (kexec_cmdline(m->config, handed, e->slot, 1, &cmdline, err) < 0)
		return -1;
	input.cmdline = cmdline;
	/* Serial numbers in another tree's /proc/keys mean nothing to this kernel. */
	if (!*m->config->sysroot)
		input.keyring_read = preflight_keyring_read;
	preflight_run(&input, &e->preflight);
	return 0;
}

static int image_explain(struct machine *m, struct explanation *e, struct err *err)
{
	_cleanup_(handover_clear) struct handover h = { .kernel = MEMFILE_NONE,
							.initrd = MEMFILE_NONE };
	struct preflight_finding *f = &e->own[OWN_ENVELOPE];
	struct slot_uki image;
	struct err why = { 0 };
	int r = 0;

	f->check = "image";
	if (kexec_slot_open(m, e->slot, &image, &why) < 0) {
		own_fail(f, &why);
		return 0;
	}
	slot_uki_text(&image, f->evidence, sizeof f->evidence);
	if (kexec_handover(m, &image.uki, image.manifest, e->slot, &h, &why) == 0) {
		r = kernel_explain(m, &image, h.cmdline, h.initrd.size, e, err);
	} else {
		/* The checks may know better why, as where .linux is no kernel. */
		r = kernel_explain(m, &image, "", 0, e, err);
		if (e->preflight.verdict != PREFLIGHT_FAIL)
			own_fail(f, &why);
	}
	slot_uki_close(&image);
	return r;
}

/* The kernel can only be asked about an existing image. */
static int explain(struct machine *m, struct explanation *e, struct err *err)
{
	int r;

	slot_explain(m, e->slot, &e->own[OWN_SLOT]);
	r = image_explain(m, e, err);
	e->verdict = e->preflight.verdict;
	for (int i = 0; i < OWN_COUNT; i++)
		if (e->own[i].verdict > e->verdict)
			e->verdict = e->own[i].verdict;
	return r;
}

static const struct preflight_finding *at(const struct explanation *e, unsigned i)
{
	return i < OWN_COUNT ? &e->own[i] : &e->preflight.findings[i - OWN_COUNT];
}

static unsigned count(const struct explanation *e)
{
	return OWN_COUNT + e->preflight.count;
}

static const struct preflight_finding *decisive(const struct explanation *e)
{
	for (unsigned i = 0; i < count(e); i++)
		if (at(e, i)->verdict == e->verdict)
			return at(e, i);
	return NULL;
}

static void print_text(const struct explanation *e)
{
	static const char *const words[] = { "ok", "unknown", "FAILS" };

	out_print("kexec into slot %c %s\n\n", slot_letter(e->slot),
		  preflight_verdict_text(e->verdict));
	for (unsigned i = 0; i < count(e); i++) {
		const struct preflight_finding *f = at(e, i);

		out_print("%-8s %-14s %s\n", words[f->verdict], f->check, f->evidence);
		if (*f->fix && f->verdict != PREFLIGHT_PASS)
			out_print("%-8s %-14s fix: %s\n", "", "", f->fix);
	}
}

/* JSON takes nothing that is no UTF-8. */
static void clean(struct preflight_finding *findings, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		out_clean(findings[i].evidence, sizeof findings[i].evidence);
		out_clean(findings[i].fix, sizeof findings[i].fix);
	}
}

static int print_json(const struct explanation *e, struct err *err)
{
	static const char *const verdicts[] = { "pass", "unknown", "fail" };
	static const char *const overall[] = { "yes", "unknown", "no" };
	char slot[2] = { slot_letter(e->slot), 0 };
	json_t *list = json_array();

	for (unsigned i = 0; list && i < count(e); i++) {
		const struct preflight_finding *f = at(e, i);

		(void)json_array_append_new(
			list, json_pack("{s:s, s:s, s:s, s:s?}", "check", f->check, "verdict",
					verdicts[f->verdict], "evidence", f->evidence, "fix",
					*f->fix ? f->fix : NULL));
	}
	if (out_json(json_pack("{s:s, s:s, s:o}", "slot", slot, "will_work", overall[e->verdict],
			       "checks", list), JSON_INDENT(2)) < 0)
		return err_set(err, EX_SOFTWARE, "failed to make JSON of the explanation");
	return 0;
}

/* The exit status says it too: EX_UNAVAILABLE will not work, EX_CONFIG unknown. */
static int conclude(const struct explanation *e, struct err *err)
{
	const struct preflight_finding *f = decisive(e);

	if (e->verdict == PREFLIGHT_PASS || !f)
		return 0;
	return err_set(err, e->verdict == PREFLIGHT_FAIL ? EX_UNAVAILABLE : EX_CONFIG,
		       "kexec into slot %c %s: %s", slot_letter(e->slot),
		       preflight_verdict_text(e->verdict), f->evidence);
}

int kexec_explain(const struct options *o, struct err *err)
{
	struct explanation e = { 0 };
	struct machine machine;
	int r = machine_open(o->config, MACHINE_LOOK, &machine, err);

	e.slot = machine.state.record.preferred;
	if (r == 0 && o->operand_count > 1)
		r = options_slot(o->operands[1], &e.slot, err);
	if (r == 0)
		r = explain(&machine, &e, err);
	machine_close(&machine);
	if (r < 0)
		return -1;
	clean(e.own, OWN_COUNT);
	clean(e.preflight.findings, e.preflight.count);
	if (o->json)
		r = print_json(&e, err);
	else
		print_text(&e);
	return r < 0 ? -1 : conclude(&e, err);
}
