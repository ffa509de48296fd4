/* SPDX-License-Identifier: MIT */
/* What the firmware would start after an update of dbx. */
#include "key_updates.h"

#include "cmdline.h"
#include "direct.h"
#include "io.h"
#include "shim_file.h"
#include "slot_secureboot.h"

#include <string.h>

struct key_rules {
	struct secureboot now;
	uint8_t *dbx;		/* as the variable has it; NULL: there is none */
	size_t dbx_len;
};

struct key_rules *key_rules_read(const struct vars *vars, struct err *why)
{
	struct key_rules *rules = calloc(1, sizeof *rules);

	if (!rules) {
		(void)err_set(why, EX_SOFTWARE, "out of memory");
		return NULL;
	}
	if (secureboot_read(vars, &rules->now, why) == 0 &&
	    vars_get(vars, VARS_SECURITY, "dbx", &rules->dbx, &rules->dbx_len, NULL, why) >= 0)
		return rules;
	key_rules_free(rules);
	return NULL;
}

void key_rules_free(struct key_rules *rules)
{
	if (!rules)
		return;
	secureboot_clear(&rules->now);
	free(rules->dbx);
	free(rules);
}

bool key_rules_on(const struct key_rules *rules)
{
	return rules->now.on;
}

static int dbx_append(const struct key_rules *rules, const struct efi_auth *auth, struct siglist *ret_dbx,
		      struct err *err)
{
	size_t more = auth->len - auth->authentication;
	uint8_t *both = malloc(rules->dbx_len + more);

	if (!both)
		return err_set(err, EX_SOFTWARE, "out of memory");
	if (rules->dbx_len > 0)
		memcpy(both, rules->dbx, rules->dbx_len);
	memcpy(both + rules->dbx_len, auth->bytes + auth->authentication, more);
	return siglist_parse("dbx", both, rules->dbx_len + more, ret_dbx, err);
}

/* What it refuses already, it may go on to refuse. */
static bool is_lost(const struct secureboot_verdict *now, const struct secureboot_verdict *then)
{
	return now->answer != SECUREBOOT_REFUSED &&
	       (then->answer == SECUREBOOT_REFUSED || then->answer == SECUREBOOT_UNKNOWN);
}

static void lost_say(const struct secureboot_verdict *then, const char *what, char *ret_words, size_t size)
{
	bool refused = then->answer == SECUREBOOT_REFUSED;

	(void)snprintf(ret_words, size, "%s %s: %s", refused ? "the firmware would then not start"
							       : "it cannot be foretold whether the firmware "
								 "would then start",
		       what, then->words);
}

/* Also one that is to be reached by kexec: it is on trial at the firmware next. */
static bool may_be_booted(enum slot_status status)
{
	return status == SLOT_GOOD || status == SLOT_TRIAL || status == SLOT_KEXEC_TRIAL;
}

static bool slot_is_lost(const struct machine *m, const struct secureboot *now, const struct secureboot *then,
			 unsigned slot, char *ret_words, size_t size)
{
	const char what[] = { 's', 'l', 'o', 't', ' ', slot_letter(slot), 0 };
	struct secureboot_verdict before, after;

	if (!may_be_booted(m->state.record.slots[slot].status) || !slot_secureboot(m, now, slot, &before) ||
	    !slot_secureboot(m, then, slot, &after) || !is_lost(&before, &after))
		return false;
	lost_say(&after, what, ret_words, size);
	return true;
}

static bool loader_is_lost(const struct machine *m, const struct secureboot *now, const struct secureboot *then,
			   const char *dir, enum loader_place place, char *ret_words, size_t size)
{
	_cleanup_(loader_file_clear) struct loader_file file = { 0 };
	struct secureboot_verdict before, after;

	if (!dir || loader_file_read_at(m, dir, place, &file, NULL) < 0 || !loader_file_good(&file) ||
	    !slot_secureboot_loader(now, &file, &before) || !slot_secureboot_loader(then, &file, &after) ||
	    !is_lost(&before, &after))
		return false;
	lost_say(&after, file.path, ret_words, size);
	return true;
}

static bool shim_is_lost(const struct machine *m, const struct secureboot *now, const struct secureboot *then,
			 const char *dir, enum shim_place place, char *ret_words, size_t size)
{
	_cleanup_(shim_file_clear) struct shim_file file = { 0 };
	struct secureboot_verdict before, after;

	if (!dir || shim_file_read(m, dir, place, &file, NULL) < 0 || !shim_file_judge(now, &file, &before) ||
	    !shim_file_judge(then, &file, &after) || !is_lost(&before, &after))
		return false;
	lost_say(&after, file.path, ret_words, size);
	return true;
}

static bool any_shim_is_lost(const struct machine *m, const struct secureboot *now, const struct secureboot *then,
			     char *ret_words, size_t size)
{
	const char *dirs[] = { m->esp.dir, m->other_esp.dir };

	for (unsigned i = 0; m->config->shim && i < ARRAY_SIZE(dirs); i++)
		for (enum shim_place place = 0; place < SHIM_PLACES; place++)
			if (shim_is_lost(m, now, then, dirs[i], place, ret_words, size))
				return true;
	return false;
}

static enum key_reason all_judge(const struct machine *m, const struct secureboot *now,
				 const struct secureboot *then, char *ret_words, size_t size)
{
	const char *dirs[] = { m->esp.dir, m->other_esp.dir };

	for (unsigned slot = 0; slot < SLOT_COUNT; slot++)
		if (slot_is_lost(m, now, then, slot, ret_words, size))
			return slot ? KEY_REASON_SLOT_B : KEY_REASON_SLOT_A;
	for (unsigned i = 0; !machine_is_direct(m) && i < ARRAY_SIZE(dirs); i++)
		for (enum loader_place place = 0; place < LOADER_ELSEWHERE; place++)
			if (loader_is_lost(m, now, then, dirs[i], place, ret_words, size))
				return KEY_REASON_LOADER;
	return any_shim_is_lost(m, now, then, ret_words, size) ? KEY_REASON_SHIM : KEY_REASON_NONE;
}

enum key_reason key_judge(const struct machine *machine, const struct key_rules *rules,
			  const struct efi_auth *auth, char *ret_words, size_t size)
{
	struct secureboot then = rules->now;
	enum key_reason reason;
	struct siglist dbx;
	struct err why = { 0 };

	if (rules->now.shim && !machine->config->shim) {
		(void)snprintf(ret_words, size, "this boot went through shim, of which slotboot.conf says nothing "
			       "(shim = shimx64.efi), so that nobody can tell whether the firmware would then start it");
		return KEY_REASON_SHIM;
	}
	if (dbx_append(rules, auth, &dbx, &why) < 0) {
		(void)snprintf(ret_words, size, "what dbx would be cannot be read: %s", why.text);
		return KEY_REASON_UNREADABLE;
	}
	then.lists[SECUREBOOT_DBX] = dbx;
	reason = all_judge(machine, &rules->now, &then, ret_words, size);
	siglist_clear(&dbx);
	return reason;
}
