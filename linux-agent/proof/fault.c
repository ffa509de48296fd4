/* SPDX-License-Identifier: MIT */
/* Which mutation fails, and how. */
#include "world.h"

#include <errno.h>
#include <string.h>

uint64_t sim_cut_kinds[MUT_COUNT];

const char *mutation_text(enum mutation kind)
{
	static const char *const text[MUT_COUNT] = {
		"create", "write", "truncate", "flush", "remove", "make-dir", "flush-dir",
		"variable-set", "variable-delete",
	};

	return text[kind];
}

static enum verdict fail(struct world *w, int error)
{
	w->fault.hit = true;
	errno = error;
	return VERDICT_FAIL;
}

static bool needs_space(enum mutation kind)
{
	return kind == MUT_CREATE || kind == MUT_WRITE || kind == MUT_MAKE_DIR ||
	       kind == MUT_VAR_SET;
}

static enum verdict store_verdict(struct world *w, enum mutation kind)
{
	if (kind != MUT_VAR_SET || w->fault.store == STORE_OK)
		return VERDICT_DO;
	return w->fault.store == STORE_FULL ? fail(w, ENOSPC) : VERDICT_LIE;
}

enum verdict fault_next(struct world *w, enum mutation kind)
{
	struct fault *f = &w->fault;
	unsigned n = f->count++;

	f->var_writes += kind == MUT_VAR_SET || kind == MUT_VAR_DELETE;
	if (f->dead)
		return fail(w, EIO);
	if (f->mode == FAULT_CUT && n == f->at) {
		f->dead = f->hit = true;
		sim_cut_kinds[kind]++;
		return store_verdict(w, kind) == VERDICT_DO ? VERDICT_CUT : VERDICT_FAIL;
	}
	if ((f->mode == FAULT_ONE && n == f->at) || (f->mode == FAULT_FROM && n >= f->at))
		return fail(w, EIO);
	if (f->mode == FAULT_NOSPACE && n >= f->at && needs_space(kind))
		return fail(w, ENOSPC);
	if (f->mode == FAULT_LIE && n == f->at && (kind == MUT_WRITE || kind == MUT_VAR_SET)) {
		f->hit = true;
		return VERDICT_LIE;
	}
	return store_verdict(w, kind);
}

bool fault_read(struct world *w)
{
	struct fault *f = &w->fault;

	if (f->mode != FAULT_READ || f->reads++ != f->at)
		return false;
	(void)fail(w, EIO);
	return true;
}

void world_init(struct world *w)
{
	memset(w, 0, sizeof *w);
	memset(w->name_now, -1, sizeof w->name_now);
	memset(w->name_kept, -1, sizeof w->name_kept);
	w->var_flight = -1;
	w->broken = w->refuse = w->hangs = w->loader_broken = -1;
	w->session.staged = -1;
}
