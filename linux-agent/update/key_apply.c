/* SPDX-License-Identifier: MIT */
/* Applies an update: what is tried is noted first, then the firmware writes, then the variable is read. */
#include "key_updates.h"

#include "io.h"
#include "trip.h"

#include <string.h>

/* Forgets what no bundle here brings any more, and what is applied. */
static void note_prune(struct key_note *note, const struct key_updates *all)
{
	size_t kept = 0;

	for (size_t i = 0; i < note->count; i++)
		for (size_t k = 0; k < all->count; k++)
			if (memcmp(note->tried[i].sha256, all->list[k].sha256, 32) == 0 &&
			    all->list[k].state != KEY_APPLIED) {
				note->tried[kept++] = note->tried[i];
				break;
			}
	note->count = kept;
}

/* After note_prune() there is room. */
static struct key_try *try_begin(const struct machine *m, struct key_note *note, const struct key_update *u)
{
	struct key_try *t = (struct key_try *)(uintptr_t)key_note_find(note, u->sha256);

	if (!t) {
		t = &note->tried[note->count++];
		*t = (struct key_try){ .tries = 0 };
		memcpy(t->sha256, u->sha256, sizeof t->sha256);
	}
	t->tries++;
	t->why = KEY_FAILED_UNKNOWN;
	trip_boot_id(m, note->boot_id);
	return t;
}

static bool is_kept(const struct machine *m, const struct efi_auth *auth)
{
	struct siglist now = { 0 };
	uint8_t *data = NULL;
	size_t len = 0;
	bool kept;

	if (vars_get(&m->vars, efi_auth_guid(auth->variable), efi_auth_name(auth->variable), &data, &len, NULL,
		     NULL) != 0 ||
	    siglist_parse("", data, len, &now, NULL) < 0)
		return false;
	kept = efi_auth_is_in(auth, &now);
	siglist_clear(&now);
	return kept;
}

static enum key_failure append(struct machine *m, const struct efi_auth *auth, struct err *err)
{
	switch (vars_append(&m->vars, efi_auth_guid(auth->variable), efi_auth_name(auth->variable), auth->bytes,
			    auth->len, auth->authentication, err)) {
	case VARS_APPENDED:
		if (is_kept(m, auth))
			return KEY_FAILED_NOT;
		(void)err_set(err, EX_IOERR, "%s", key_failure_words(KEY_FAILED_LOST));
		return KEY_FAILED_LOST;
	case VARS_REFUSED:
		return KEY_FAILED_REFUSED;
	case VARS_FULL:
		return KEY_FAILED_FULL;
	default:
		return KEY_FAILED_WRITE;
	}
}

static int try(struct machine *m, const struct key_updates *all, struct key_update *u, const struct efi_auth *auth,
	       struct err *err)
{
	_cleanup_free_ struct key_note *note = malloc(sizeof *note);
	struct key_try *t;

	if (!note)
		return err_set(err, EX_SOFTWARE, "out of memory");
	key_note_read(m, note);
	note_prune(note, all);
	t = try_begin(m, note, u);
	/* Without it there would be no end to trying. */
	if (key_note_write(m, note, err) < 0)
		return err_prefix(err, "%s is not applied", u->name);
	t->why = append(m, auth, err);
	if (t->why == KEY_FAILED_NOT) {
		u->state = KEY_APPLIED;
		return 1;
	}
	u->state = key_try_is_last(t) ? KEY_FAILED : KEY_READY;
	/* Cut here, it counts as one of its tries. */
	(void)key_note_write(m, note, NULL);
	return 1;
}

static struct key_update *ready_find(struct key_updates *all)
{
	for (size_t i = 0; i < all->count; i++)
		if (all->list[i].state == KEY_READY)
			return &all->list[i];
	return NULL;
}

int key_updates_apply(struct machine *machine, struct key_update *ret_update, struct err *err)
{
	_cleanup_(key_updates_freep) struct key_updates *all = NULL;
	_cleanup_free_ uint8_t *data = NULL;
	struct key_update *u;
	struct efi_auth auth;
	size_t len;
	int r;

	if (key_updates_find(machine, &all, err) < 0)
		return -1;
	u = ready_find(all);
	if (!u)
		return 0;
	data = key_update_read(u, &len);
	if (!data || efi_auth_parse(u->name, u->variable, data, len, &auth, NULL) < 0)
		return err_set(err, EX_IOERR, "%s is not applied: its file cannot be read", u->name);
	r = try(machine, all, u, &auth, err);
	efi_auth_clear(&auth);
	*ret_update = *u;
	ret_update->path = NULL;
	return r;
}
