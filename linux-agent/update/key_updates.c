/* SPDX-License-Identifier: MIT */
#include "key_updates.h"

#include "auth_signature.h"
#include "cmdline.h"
#include "install_check.h"
#include "io.h"
#include "slot_manifest.h"
#include "trip.h"

#include <openssl/evp.h>
#include <stdarg.h>
#include <string.h>

static const char *const state_texts[KEY_STATES] = { "applied", "ready", "waiting", "failed" };
static const char *const reason_texts[KEY_REASONS] = {
	"none", "slot-status", "unsigned", "secure-boot-off", "setup-mode", "unreadable", "order", "kexec",
	"one-a-boot", "slot-a", "slot-b", "loader", "shim", "damaged", "refused", "given-up",
};

const char *key_state_text(enum key_state state)
{
	return state_texts[state];
}

const char *key_reason_text(enum key_reason reason)
{
	return reason_texts[reason];
}

void key_updates_freep(struct key_updates **updates)
{
	for (size_t i = 0; *updates && i < (*updates)->count; i++)
		free((*updates)->list[i].path);
	free(*updates);
}

/* What all of them are held against. */
struct scene {
	const struct machine *machine;
	struct key_rules *rules;
	struct err rules_error;
	bool setup;
	struct siglist variables[EFI_AUTH_VARIABLES];
	struct err variable_errors[EFI_AUTH_VARIABLES];
	struct key_note note;
	char boot_id[37];
	bool verified[SLOT_COUNT];	/* the signed manifest */
	const struct key_update *first;	/* that holds back what comes behind it; NULL: none yet */
};

static void __attribute__((format(printf, 4, 5)))
set(struct key_update *u, enum key_state state, enum key_reason reason, const char *fmt, ...)
{
	va_list args;

	u->state = state;
	u->reason = reason;
	va_start(args, fmt);
	(void)vsnprintf(u->words, sizeof u->words, fmt, args);
	va_end(args);
}

/* --- what there is --- */

static bool is_known(const struct key_updates *all, const uint8_t sha256[32])
{
	for (size_t i = 0; i < all->count; i++)
		if (memcmp(all->list[i].sha256, sha256, 32) == 0)
			return true;
	return false;
}

static int update_add(const struct machine *m, unsigned slot, const struct payload *p, struct key_updates *all,
		      struct err *err)
{
	struct key_update *u = &all->list[all->count];

	if (p->type != PAYLOAD_EFI_AUTH || is_known(all, p->sha256) || all->count == KEY_NOTE_MAX)
		return 0;
	*u = (struct key_update){ .slot = slot, .size = p->size, .variable = efi_auth_variable_of(p->name) };
	(void)snprintf(u->name, sizeof u->name, "%.*s", (int)strcspn(p->name, "."), p->name);
	u->number = (unsigned)strtoul(u->name + strlen(efi_auth_name(u->variable)) + 1, NULL, 10);
	memcpy(u->sha256, p->sha256, sizeof u->sha256);
	if (slot_payload_file(m, slot, p, &u->path, err) < 0)
		return -1;
	all->count++;
	return 0;
}

static int slot_add(const struct machine *m, unsigned slot, struct key_updates *all, struct err *err)
{
	const enum slot_status status = m->state.record.slots[slot].status;
	_cleanup_(manifest_freep) struct manifest *manifest = NULL;

	if (status == SLOT_EMPTY || status == SLOT_WRITING)
		return 0;
	manifest = slot_manifest_read(m->esp.dir, slot);
	for (size_t i = 0; manifest && i < manifest->payload_count; i++)
		if (update_add(m, slot, &manifest->payloads[i], all, err) < 0)
			return -1;
	return 0;
}

static int by_order(const void *a, const void *b)
{
	const struct key_update *x = a, *y = b;

	if (x->variable != y->variable)
		return x->variable < y->variable ? -1 : 1;
	if (x->number != y->number)
		return x->number < y->number ? -1 : 1;
	return memcmp(x->sha256, y->sha256, sizeof x->sha256);
}

/* --- how far each is --- */

static void variable_read(struct scene *s, enum efi_auth_variable v)
{
	const struct vars *vars = &s->machine->vars;
	uint8_t *data = NULL;
	size_t len = 0;
	int r = vars_get(vars, efi_auth_guid(v), efi_auth_name(v), &data, &len, NULL, &s->variable_errors[v]);

	if (r == 0)
		(void)siglist_parse(efi_auth_name(v), data, len, &s->variables[v], &s->variable_errors[v]);
}

/* UEFI 2.10, 3.3: SetupMode is 1 as long as there is no PK. */
static bool is_setup_mode(const struct vars *vars)
{
	_cleanup_free_ uint8_t *data = NULL;
	size_t len = 0;

	return vars_get(vars, VARS_GLOBAL, "SetupMode", &data, &len, NULL, NULL) == 0 && len > 0 && data[0] == 1;
}

static bool is_verified(const struct machine *m, const struct key_updates *all, unsigned slot)
{
	_cleanup_(signed_manifest_clear) struct signed_manifest manifest = { 0 };
	size_t i = 0;

	while (i < all->count && all->list[i].slot != slot)
		i++;
	return i < all->count && install_check_slot_signed(m, slot, &manifest, NULL) == 1;
}

static void scene_read(const struct machine *m, const struct key_updates *all, struct scene *s)
{
	*s = (struct scene){ .machine = m, .setup = is_setup_mode(&m->vars) };
	s->rules = key_rules_read(&m->vars, &s->rules_error);
	for (unsigned v = 0; v < EFI_AUTH_VARIABLES; v++)
		variable_read(s, v);
	key_note_read(m, &s->note);
	trip_boot_id(m, s->boot_id);
	for (unsigned slot = 0; slot < SLOT_COUNT; slot++)
		s->verified[slot] = is_verified(m, all, slot);
}

static void scene_clear(struct scene *s)
{
	key_rules_free(s->rules);
	for (unsigned v = 0; v < EFI_AUTH_VARIABLES; v++)
		siglist_clear(&s->variables[v]);
}

uint8_t *key_update_read(const struct key_update *update, size_t *ret_len)
{
	uint8_t sha256[32], *data;

	if (!update->path || read_file(update->path, MANIFEST_MAX_EFI_AUTH_BYTES, &data, ret_len) < 0)
		return NULL;
	if (*ret_len == update->size && EVP_Digest(data, *ret_len, sha256, NULL, EVP_sha256(), NULL) == 1 &&
	    memcmp(sha256, update->sha256, sizeof sha256) == 0)
		return data;
	free(data);
	return NULL;
}

static void failed_say(const struct key_try *tried, const struct efi_auth *auth, struct key_update *u)
{
	char signer[160];

	if (tried->why != KEY_FAILED_REFUSED) {
		set(u, KEY_FAILED, KEY_REASON_GIVEN_UP, "given up after %u boots: %s; to have it tried again, "
		    "remove " KEY_NOTE_FILE " from the ESP", tried->tries, key_failure_words(tried->why));
		return;
	}
	auth_signature_signer(auth, signer, sizeof signer);
	set(u, KEY_FAILED, KEY_REASON_REFUSED, "%s: %s is changed by %s, and this is signed by %s",
	    key_failure_words(tried->why), efi_auth_name(u->variable),
	    u->variable == EFI_AUTH_KEK ? "whom PK names" : "whom KEK names", *signer ? signer : "nobody");
}

/* What keeps all of them: true, and the update has the words. */
static bool scene_waits(const struct scene *s, struct key_update *u)
{
	const enum slot_status status = s->machine->state.record.slots[u->slot].status;

	if (status != SLOT_GOOD)
		set(u, KEY_WAITS, KEY_REASON_SLOT_STATUS, "slot %c, whose bundle has brought it, is %s, not good",
		    slot_letter(u->slot), slot_status_text(status));
	else if (!s->verified[u->slot])
		set(u, KEY_WAITS, KEY_REASON_UNSIGNED, "no signed manifest vouches for it");
	else if (s->setup)
		set(u, KEY_WAITS, KEY_REASON_SETUP, "the firmware is in Setup Mode: it has no PK, and so nobody "
		    "whose signature could count");
	else if (!s->rules || s->variable_errors[u->variable].exit)
		set(u, KEY_WAITS, KEY_REASON_UNREADABLE, "%.700s",
		    s->rules ? s->variable_errors[u->variable].text : s->rules_error.text);
	else if (!key_rules_on(s->rules))
		set(u, KEY_WAITS, KEY_REASON_OFF, "Secure Boot is off: what the firmware would start cannot be "
		    "foretold");
	else
		return false;
	return true;
}

static void turn_judge(const struct scene *s, const struct key_try *tried, struct key_update *u)
{
	if (s->first)
		set(u, KEY_WAITS, KEY_REASON_ORDER, "%s comes first", s->first->name);
	else if (s->machine->running.kexec)
		set(u, KEY_WAITS, KEY_REASON_KEXEC, "this system was started by kexec: a boot through the firmware "
		    "comes first");
	else if (*s->boot_id && strcmp(s->note.boot_id, s->boot_id) == 0)
		set(u, KEY_WAITS, KEY_REASON_BOOT, "there is one in each boot, and this one had its own%s%s",
		    tried ? ": " : "", tried ? key_failure_words(tried->why) : "");
	else
		set(u, KEY_READY, KEY_REASON_NONE, "%s", tried ? key_failure_words(tried->why) : "");
}

static void parsed_judge(struct scene *s, const struct efi_auth *auth, struct key_update *u)
{
	const struct key_try *tried = key_note_find(&s->note, u->sha256);
	enum key_reason reason = KEY_REASON_NONE;
	char words[sizeof u->words];

	if (!s->variable_errors[u->variable].exit && efi_auth_is_in(auth, &s->variables[u->variable])) {
		set(u, KEY_APPLIED, KEY_REASON_NONE, "%s", "");
		return;
	}
	if (tried && key_try_is_last(tried)) {
		failed_say(tried, auth, u);
		return;
	}
	if (scene_waits(s, u))
		return;
	if (u->variable == EFI_AUTH_DBX)
		reason = key_judge(s->machine, s->rules, auth, words, sizeof words);
	if (reason != KEY_REASON_NONE) {
		set(u, KEY_WAITS, reason, "%s", words);
		return;
	}
	turn_judge(s, tried, u);
	s->first = s->first ? s->first : u;
}

static void update_judge(struct scene *s, struct key_update *u)
{
	_cleanup_free_ uint8_t *data = NULL;
	struct err why = { 0 };
	struct efi_auth auth;
	size_t len;

	data = key_update_read(u, &len);
	if (!data) {
		set(u, KEY_FAILED, KEY_REASON_DAMAGED, "its file cannot be read, or is not the one that was "
		    "installed; install the slot again");
		return;
	}
	if (efi_auth_parse(u->name, u->variable, data, len, &auth, &why) < 0) {
		set(u, KEY_FAILED, KEY_REASON_DAMAGED, "%.700s", why.text);
		return;
	}
	parsed_judge(s, &auth, u);
	efi_auth_clear(&auth);
}

int key_updates_find(const struct machine *machine, struct key_updates **ret_updates, struct err *err)
{
	_cleanup_(key_updates_freep) struct key_updates *all = calloc(1, sizeof *all);
	bool is_good = machine->state.record.slots[machine->running.slot].status == SLOT_GOOD;
	unsigned first = is_good ? machine->running.slot : 1 - machine->running.slot;
	_cleanup_free_ struct scene *scene = NULL;

	if (!all)
		return err_set(err, EX_SOFTWARE, "failed to look for updates of keys: out of memory");
	if (slot_add(machine, first, all, err) < 0 || slot_add(machine, 1 - first, all, err) < 0)
		return -1;
	qsort(all->list, all->count, sizeof all->list[0], by_order);
	scene = malloc(sizeof *scene);
	if (!scene)
		return err_set(err, EX_SOFTWARE, "failed to look for updates of keys: out of memory");
	if (all->count > 0) {
		scene_read(machine, all, scene);
		for (size_t i = 0; i < all->count; i++)
			update_judge(scene, &all->list[i]);
		scene_clear(scene);
	}
	*ret_updates = all;
	all = NULL;
	return 0;
}
