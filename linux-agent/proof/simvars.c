/* SPDX-License-Identifier: MIT */
#include "bootentries.h"
#include "bytes.h"
#include "loadoption.h"
#include "sim.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct sim_var *simvars_find(struct world *w, enum vars_guid guid, const char *name)
{
	for (int i = 0; i < SIM_VARS; i++)
		if (w->vars[i].used && w->vars[i].guid == guid &&
		    strcmp(w->vars[i].name, name) == 0)
			return &w->vars[i];
	return NULL;
}

static int var_get(void *ctx, enum vars_guid guid, const char *name, uint8_t **ret_data,
		   size_t *ret_len, uint32_t *ret_attributes, struct err *err)
{
	const struct sim_var *v = simvars_find(ctx, guid, name);
	uint8_t *data;

	if (fault_read(ctx))
		return err_set(err, EX_IOERR, "failed to get %s: simulated", name);
	if (!v)
		return 1;
	data = malloc(v->len + 1u);
	if (!data)
		return err_set(err, EX_SOFTWARE, "out of memory");
	memcpy(data, v->data, v->len);
	*ret_data = data;
	*ret_len = v->len;
	*ret_attributes = v->attributes;
	return 0;
}

static struct sim_var *var_room(struct world *w)
{
	for (int i = 0; i < SIM_VARS; i++)
		if (!w->vars[i].used)
			return &w->vars[i];
	abort();
}

/* With other attributes it can be neither replaced nor deleted here, as one that is
 * authenticated. Not a mutation: nothing can be cut in it. */
static bool is_squat(const struct sim_var *v)
{
	return v && v->guid == VARS_SLOTBOOT && v->attributes != VARS_NV_BS_RT;
}

void simvars_squat(struct world *w)
{
	struct sim_var *v = var_room(w);

	*v = (struct sim_var){ .used = true, .guid = VARS_SLOTBOOT, .name = VARS_SLOT_STATE,
			       .len = RECORD_BYTES, .attributes = VARS_NV_BS_RT | 0x20u };
}

void simvars_foreign(struct world *w)
{
	static const uint8_t esp[RECORD_GUID_BYTES] = { 7, 7, 7 };
	struct sim_var *v = simvars_find(w, VARS_SLOTBOOT, VARS_SLOT_STATE);
	struct record r;

	if (!v)
		v = var_room(w);
	record_init(&r);
	r.sequence = 1000;
	r.preferred = 1;
	r.slots[0].status = r.slots[1].status = SLOT_GOOD;
	record_adopt(&r, esp);
	*v = (struct sim_var){ .used = true, .guid = VARS_SLOTBOOT, .name = VARS_SLOT_STATE,
			       .len = RECORD_BYTES, .attributes = VARS_NV_BS_RT };
	record_encode(&r, v->data);
}

static int var_set(void *ctx, enum vars_guid guid, const char *name, const uint8_t *data,
		   size_t len, uint32_t attributes, struct err *err)
{
	struct world *w = ctx;
	struct sim_var *v = simvars_find(w, guid, name);
	enum verdict verdict = is_squat(v) ? VERDICT_FAIL : fault_next(w, MUT_VAR_SET);

	if (verdict == VERDICT_FAIL)
		return err_set(err, EX_IOERR, "failed to set %s: simulated", name);
	if (verdict == VERDICT_LIE)
		return 0;
	if (len > SIM_VAR_MAX)
		abort();
	if (!v)
		v = var_room(w);
	if (verdict == VERDICT_CUT) {
		w->var_old = *v;
		w->var_flight = (int)(v - w->vars);
	}
	memset(v, 0, sizeof *v);
	v->used = true;
	v->guid = guid;
	(void)snprintf(v->name, sizeof v->name, "%s", name);
	v->len = (uint16_t)len;
	v->attributes = attributes;
	memcpy(v->data, data, len);
	return verdict == VERDICT_CUT ? err_set(err, EX_IOERR, "the power is gone") : 0;
}

/* As firmware does, which looks at no signature here: whole or not at all. */
static enum vars_append var_append(void *ctx, enum vars_guid guid, const char *name, const uint8_t *data,
				   size_t len, size_t authentication, struct err *err)
{
	struct sim_var *v = simvars_find(ctx, guid, name);
	size_t have = v ? v->len : 0, more = len - authentication;
	uint8_t both[SIM_VAR_MAX];

	if (have + more > sizeof both)
		abort();
	if (v)
		memcpy(both, v->data, have);
	memcpy(both + have, data + authentication, more);
	return var_set(ctx, guid, name, both, have + more, VARS_SIGNED, err) < 0 ? VARS_FAILED : VARS_APPENDED;
}

static int var_delete(void *ctx, enum vars_guid guid, const char *name, struct err *err)
{
	struct world *w = ctx;
	struct sim_var *v = simvars_find(w, guid, name);
	enum verdict verdict;

	if (!v)
		return 1;
	verdict = is_squat(v) ? VERDICT_FAIL : fault_next(w, MUT_VAR_DELETE);
	if (verdict == VERDICT_FAIL)
		return err_set(err, EX_IOERR, "failed to delete %s: simulated", name);
	if (verdict == VERDICT_CUT) {
		w->var_old = *v;
		w->var_flight = (int)(v - w->vars);
	}
	memset(v, 0, sizeof *v);
	return verdict == VERDICT_CUT ? err_set(err, EX_IOERR, "the power is gone") : 0;
}

static int var_list_boot(void *ctx, struct vars_name **ret_names, size_t *ret_count,
			 struct err *err)
{
	const struct world *w = ctx;
	bool fails = fault_read(ctx);
	struct vars_name *names = fails ? NULL : calloc(SIM_VARS, sizeof *names);
	size_t count = 0;

	if (!names)
		return err_set(err, EX_IOERR, "failed to list the variables: simulated");
	for (int i = SIM_VARS; i-- > 0;)	/* backwards: no order is promised */
		if (w->vars[i].used && w->vars[i].guid == VARS_GLOBAL &&
		    strncmp(w->vars[i].name, "Boot0", 5) == 0)
			memcpy(names[count++].text, w->vars[i].name, 9);
	*ret_names = names;
	*ret_count = count;
	return 0;
}

/* Firmware follows it whether the entry is active or not. */
static bool next_names(struct world *w, const struct sim_var *entry)
{
	const struct sim_var *next = simvars_find(w, VARS_GLOBAL, "BootNext");
	char name[16];

	if (!next)
		return false;
	(void)snprintf(name, sizeof name, "Boot%04X", le16_get(next->data));
	return strcmp(entry->name, name) == 0;
}

bool simvars_direct_active(struct world *w, unsigned slot)
{
	for (int i = 0; i < SIM_VARS; i++) {
		const struct sim_var *v = &w->vars[i];

		if (v->used && v->guid == VARS_GLOBAL &&
		    ((v->data[0] & LOADOPTION_ACTIVE) || next_names(w, v)) &&
		    loadoption_is_ours(v->data, v->len, simdisk_esp(w),
				       slot ? BOOTENTRIES_B_PATH : BOOTENTRIES_A_PATH))
			return true;
	}
	return false;
}

struct vars simvars(struct world *w)
{
	return (struct vars){ .ctx = w, .get = var_get, .set = var_set, .append = var_append, .delete = var_delete,
			      .list_boot = var_list_boot };
}
