/* SPDX-License-Identifier: MIT */
#include "explore.h"

#include "cmdline.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct totals totals;

/* --- what was seen: a set of hashes --- */

enum { SEEN_BITS = 23 };
static uint64_t *seen;

static bool is_new(uint64_t hash)
{
	size_t mask = ((size_t)1 << SEEN_BITS) - 1, i = (size_t)hash & mask;

	if (!seen)
		seen = calloc(mask + 1, sizeof *seen);
	if (!seen)
		abort();
	hash |= 1;
	for (size_t n = 0; n < mask / 2; n++, i = (i + 1) & mask) {
		if (seen[i] == hash)
			return false;
		if (seen[i])
			continue;
		seen[i] = hash;
		return true;
	}
	return true;	/* full: everything is new */
}

static uint64_t random_next(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state * 0x2545f4914f6cdd1du >> 16;
}

/* --- after the cut --- */

static bool is_install(const struct job *job)
{
	return job->step->op == OP_INSTALL || job->step->op == OP_BREAKS;
}

static bool is_agents(const struct job *job)
{
	return job->step->op != OP_BOOT && job->step->op != OP_KEXEC &&
	       job->step->op != OP_LOSE_VARS && job->step->op != OP_FOREIGN &&
	       job->step->op != OP_PULL && job->step->op != OP_RETURN;
}

static bool is_clean(const struct job *job)
{
	return job->mode->fault == FAULT_CUT && job->mode->store == STORE_OK &&
	       !job->mode->no_mirror && !job->power_went;
}

static void check_left(struct world *w, const struct job *job)
{
	bool agent = is_agents(job), clean = is_clean(job);

	check_entries(w);
	check_named(w);
	check_direct(w);
	check_keys(job->result == 0 && job->step->op == OP_GOOD && clean && !job->second ? job->before : NULL, w);
	if (sim_mirror_sequence(w, false) < w->ghost.mirror_floor)
		violation("the mirror has gone back to an older record");
	if (sim_floor(w, false) < w->ghost.floor)
		violation("the rollback floor has fallen from %d to %d", w->ghost.floor,
			  sim_floor(w, false));
	if (job->result == 0 && agent && !job->second)
		check_done(w, job->step, job->record, clean);
	if (job->result == 0 && job->step->op == OP_GOOD && !job->second)
		check_floor(job->before, w);
}

static void check_choice(struct world *w, const struct job *job)
{
	struct world before = *job->before;
	unsigned chosen = sim_state(&before, false).record.preferred;
	unsigned slot = w->session.running;

	if (!is_install(job) || job->result == 0 || job->power_went || job->second ||
	    slot == before.session.running)
		return;
	/* What of a file is there after a flush that failed nobody knows, and here the
	 * file alone is the record. */
	if (job->scenario->squatted && job->mode->fault == FAULT_FROM)
		return;
	if (slot != chosen ||
	    sim_version_of(w, slot, false) != sim_version_of(&before, slot, false))
		violation("the install failed, and then slot %c starts", slot_letter(slot));
}

static void explore_left(struct job *job, const struct world *w, bool deeper, uint64_t random);

/* Cuts boot and repeat together at every mutation once more. */
static void cut_again(struct job *job, const struct world *left, uint64_t random)
{
	unsigned stride = job->budget->second_stride;
	struct job second = *job;

	second.second = true;
	for (unsigned k = (unsigned)(random % stride);; k += stride) {
		struct world w = *left;

		place.cut2 = (int)k;
		w.fault = (struct fault){ .mode = FAULT_CUT, .at = k,
					  .store = job->mode->store };
		simloader_boot(&w);
		w.fault.store = STORE_OK;	/* or the agent could do nothing */
		if (!w.fault.dead && w.session.up)
			recover(&w, job);
		totals.cuts++;
		if (!w.fault.dead)
			break;
		explore_left(&second, &w, false, random + k);
	}
	place.cut2 = -1;
}

/* Where the first choice does not load and there is no other, nothing starts; but
 * the next boot, when it does, has to work. */
static void boot_after(struct world *w)
{
	struct state state = sim_state(w, false);
	unsigned other = w->refuse == 0 ? 1 : 0;

	simloader_boot(w);
	if (!w->session.up && w->refuse >= 0 &&
	    (w->hangs >= 0 || !simdisk_find(w, NAME_UKI(other)) ||
	     (w->direct && !simvars_direct_active(w, other)) ||
	     !policy_slot_bootable(&state.record, other))) {
		w->refuse = -1;
		simloader_boot(w);
	}
	w->refuse = -1;
	if (!w->session.up)
		violation("no slot starts");
}

/* Boot after boot without a health check: tries run out although the variable
 * cannot be written. */
static void boot_out(struct world w)
{
	for (int i = 0; i < SIM_TRIES + 1; i++) {
		power_down(&w);
		simloader_boot(&w);
		if (!w.session.up)
			violation("after some boots no slot starts");
	}
}

/* The disk is new, the variables are old: slot a, which alone is there, starts, and
 * mark-good makes the record that of this disk. */
static void case_reimaged(struct world *w)
{
	struct state old = sim_state(w, false);
	bool is_of_it = old.source != STATE_LOST && sim_digest_is_right(w, &old.record, 0);
	struct step good = { .op = OP_GOOD };
	uint8_t record[RECORD_BYTES];
	struct err err = { 0 };
	struct state state;

	simloader_boot(w);
	if (!w->session.up || w->session.running != 0) {
		violation("the one slot of a new disk does not start");
		return;
	}
	if (op_run(w, &good, record, &err) < 0)
		violation("mark-good on a new disk failed: %s", err.text);
	state = sim_state(w, false);
	if (state.record.slots[0].status != SLOT_GOOD || state.record.preferred != 0 ||
	    (!is_of_it && policy_slot_bootable(&state.record, 1)) ||
	    !sim_digest_is_right(w, &state.record, 0))
		violation("after mark-good on a new disk the record is not the disk's");
	power_down(w);
	simloader_boot(w);
	if (!w->session.up || w->session.running != 0)
		violation("slot a of a new disk was marked good, and does not start");
}

/* One world after a cut. */
static void case_run(struct job *job, struct world *w, bool deeper, uint64_t random)
{
	uint64_t hash;

	totals.cases++;
	check_left(w, job);
	after_cut(w, job, random);
	if (job->mode->after == AFTER_REIMAGE) {
		case_reimaged(w);
		return;
	}
	if (job->mode->after == AFTER_FALL_BACK && job->result == 0 && is_agents(job) &&
	    is_clean(job) && !job->second)
		check_done(w, job->step, job->record, false);
	hash = world_hash(w, (uint64_t)(job->step - job->scenario->steps) * 1000003 +
			     (uint64_t)(job->scenario - scenarios) * 64 +
			     (uint64_t)(job->mode - modes));
	if (deeper && is_new(hash ^ 0x5555) && random % job->budget->second_share == 0)
		cut_again(job, w, random);
	boot_after(w);
	if (!w->session.up)
		return;
	check_choice(w, job);
	if (job->mode->store == STORE_OK)
		check_booted(w);
	if (job->mode->store != STORE_OK || w->falls_back)
		boot_out(*w);
	w->falls_back = false;
	if (!is_new(hash))
		return;
	totals.states++;
	w->fault.store = STORE_OK;
	recover(w, job);
}

static uint64_t combinations(const struct power_item *items, unsigned count, uint64_t cap)
{
	uint64_t n = 1;

	for (unsigned i = 0; i < count && n <= cap; i++)
		n *= items[i].choices;
	return n;
}

static void choose(const struct power_item *items, unsigned count, uint64_t number,
		   bool at_random, uint8_t choices[POWER_ITEMS])
{
	for (unsigned i = 0; i < count; i++) {
		choices[i] = (uint8_t)(at_random ? random_next(&number) % items[i].choices
						 : number % items[i].choices);
		if (!at_random)
			number /= items[i].choices;
	}
}

/* Every world that a power cut now may leave of w, or some at random. */
static void explore_left(struct job *job, const struct world *w, bool deeper, uint64_t random)
{
	struct power_item items[POWER_ITEMS];
	unsigned count = power_items(w, items);
	unsigned cap = job->second ? job->budget->second_samples : job->budget->all_up_to;
	unsigned samples = job->second ? cap : job->budget->samples;
	uint64_t n = combinations(items, count, cap);
	bool at_random = n > cap;

	if (at_random)
		n = samples;
	for (uint64_t i = 0; i < n; i++) {
		uint8_t choices[POWER_ITEMS];
		struct world left = *w;
		uint64_t number = at_random ? random_next(&random) | 1 : i;

		choose(items, count, number, at_random, choices);
		power_cut(&left, items, choices, count);
		case_run(job, &left, deeper, random_next(&random));
	}
}

/* A step that failed without a power cut can be repeated at once. */
static void repeat_now(struct job *job, const struct world *w)
{
	struct world again = *w;

	if (job->result == 0 || job->power_went || !w->session.up ||
	    job->step->op == OP_REFUSED)
		return;
	again.fault = (struct fault){ .mode = FAULT_NONE };
	recover(&again, job);
}

static void check_refused(const struct job *job, const struct world *w)
{
	if (job->step->op != OP_REFUSED)
		return;
	if (job->result == 0)
		violation("a bundle that must be refused was installed");
	if (w->fault.count > 0 || world_hash(w, 1) != world_hash(job->before, 1))
		violation("a refused install changed something");
}

/* One run of the step, with the fault at mutation k. False: it has not so many. */
static bool explore_cut(struct job *job, unsigned k)
{
	struct world w = *job->before;
	uint64_t random = (job->seed * 31 + place.step) * 1009 + k * 7919 +
			  (uint64_t)(job->mode - modes) * 104729 +
			  (uint64_t)(job->scenario - scenarios) * 1299709 + 1;
	struct err err = { 0 };
	bool hit;

	for (int i = 0; i < 3; i++)
		(void)random_next(&random);
	place.cut = (int)k;
	w.fault = (struct fault){ .mode = job->mode->fault, .at = k,
				  .store = job->mode->store,
				  .no_mirror = job->mode->no_mirror };
	w.ghost.mirror_floor = sim_mirror_sequence(&w, true);
	w.ghost.floor = sim_floor(&w, true);
	job->result = op_run(&w, job->step, job->record, &err);
	job->power_went = w.fault.dead;
	hit = w.fault.hit && (w.fault.mode != FAULT_CUT || w.fault.dead);
	totals.cuts++;
	check_refused(job, &w);
	repeat_now(job, &w);
	w.fault.mode = FAULT_NONE;
	w.fault.dead = false;
	explore_left(job, &w, job->mode->twice, random);
	return hit || k < w.fault.count;
}

void explore_step(struct job *job)
{
	for (unsigned k = 0; explore_cut(job, k); k++)
		;
}
