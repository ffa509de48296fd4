/* SPDX-License-Identifier: MIT */
#include "status_secureboot.h"

#include "io.h"
#include "out.h"

#include <string.h>

/* JSON takes nothing that is no UTF-8. */
static void verdict_clean(struct secureboot_verdict *v)
{
	out_clean(v->words, sizeof v->words);
	out_clean(v->signer, sizeof v->signer);
}

void status_secureboot_find(const struct machine *machine, struct status_secureboot *ret_status)
{
	_cleanup_(loader_file_clear) struct loader_file home = { 0 };
	struct status_secureboot *s = ret_status;

	*s = (struct status_secureboot){ .known = false };
	s->known = secureboot_read(&machine->vars, &s->rules, NULL) == 0;
	if (!s->known || !s->rules.on)
		return;
	for (unsigned slot = 0; slot < SLOT_COUNT; slot++) {
		s->slots[slot].there = slot_secureboot(machine, &s->rules, slot, &s->slots[slot].verdict);
		verdict_clean(&s->slots[slot].verdict);
	}
	s->loader.there = slot_secureboot_place(machine, &s->rules, LOADER_HOME, &home, &s->loader.verdict);
	verdict_clean(&s->loader.verdict);
}

void status_secureboot_clear(struct status_secureboot *status)
{
	secureboot_clear(&status->rules);
}

static json_t *verdict_json(const struct secureboot_verdict *v)
{
	return json_pack("{s:s, s:s, s:s, s:s?, s:s?}", "answer", secureboot_answer_text(v->answer), "rule",
			 secureboot_rule_text(v->rule), "words", v->words, "signer",
			 *v->signer ? v->signer : NULL, "expires", *v->expires ? v->expires : NULL);
}

json_t *status_secureboot_slot_json(const struct status_secureboot *status, unsigned slot)
{
	return status->slots[slot].there ? verdict_json(&status->slots[slot].verdict) : json_null();
}

json_t *status_secureboot_json(const struct status_secureboot *status)
{
	if (!status->known)
		return json_null();
	return json_pack("{s:b, s:b, s:o}", "on", status->rules.on, "shim", status->rules.shim, "loader",
			 status->loader.there ? verdict_json(&status->loader.verdict) : json_null());
}

static void would_print(const char *label, const struct secureboot_verdict *v, const char *what)
{
	out_print("%-10s %s%s %s: %s", label, v->answer == SECUREBOOT_REFUSED ? "warning: " : "",
		  secureboot_would(v->answer), what, v->words);
}

static void verdict_print(const struct secureboot_verdict *v)
{
	would_print("", v, "it");
	if (*v->expires)
		out_print("; its certificate %s %s%s", v->expired ? "has expired on" : "expires on", v->expires,
			  v->expired ? ", which the firmware does not look at" : "");
	(void)putchar('\n');
}

void status_secureboot_print_slot(const struct status_secureboot *status, unsigned slot)
{
	if (status->slots[slot].there)
		verdict_print(&status->slots[slot].verdict);
}

void status_secureboot_print(const struct status_secureboot *status)
{
	const struct secureboot_verdict *v = &status->loader.verdict;

	if (!status->known)
		return;
	out_print("secureboot %s%s\n", status->rules.on ? "on" : "off", status->rules.shim ? ", by shim" : "");
	if (!status->loader.there || v->answer == SECUREBOOT_STARTS)
		return;
	would_print("loader", v, "its file");
	(void)putchar('\n');
}
