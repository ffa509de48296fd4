/* SPDX-License-Identifier: MIT */
/*
 * Every state of the record that events can lead to: the loader's boot, also where somebody
 * wants one slot for it alone, with each outcome of each save and start, after a reset by the watchdog and by anything
 * else, and each verb of the agent. What holds in all of them is checked on the
 * way. No disk here, only the policy; tries 2, good-limit 0 and 2.
 */
#include "bytes.h"
#include "cmdline.h"
#include "policy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TRIES = 2, WATCHDOG_S = 60, BUCKETS = 1 << 18, NODES_MAX = 1 << 20, DEPTH_MAX = 8 };
enum { DOWN = 2 };	/* running: no slot; the firmware has the machine */

/* A record as stored, and what runs. */
struct node {
	uint8_t bytes[RECORD_BYTES];
	uint8_t running;	/* 0, 1 or DOWN */
	uint8_t kexec;
};

static struct node *nodes;
static uint32_t *buckets;
static uint32_t node_count;
static uint64_t transitions, violations;
static unsigned walks;
static bool first_only;

static void broken(const struct record *record, const char *what)
{
	const struct slot *a = &record->slots[0], *b = &record->slots[1];

	if (violations++ < 10)
		(void)printf("VIOLATION: %s: preferred %c, a %s %u/%u, b %s %u/%u\n", what,
			     slot_letter(record->preferred), slot_status_text(a->status),
			     a->tries_left, a->tries_granted, slot_status_text(b->status),
			     b->tries_left, b->tries_granted);
	if (first_only)
		exit(1);
}

static bool is_provisional(const struct record *record)
{
	return record->flags & RECORD_FLAG_PROVISIONAL;
}

static void check_record(const struct record *record)
{
	unsigned tries = is_provisional(record) ? POLICY_PROVISIONAL_TRIES : TRIES;
	uint8_t bytes[RECORD_BYTES];
	struct record back;

	record_encode(record, bytes);
	if (record_decode(bytes, sizeof bytes, &back) != SB_OK)
		broken(record, "a record that does not decode");
	for (unsigned i = 0; i < SLOT_COUNT; i++) {
		const struct slot *s = &record->slots[i];

		if (s->tries_left > s->tries_granted || s->tries_granted > tries)
			broken(record, "more tries than were granted");
		if (s->status != SLOT_TRIAL && s->tries_left > 0)
			broken(record, "tries without a trial");
		if (s->status == SLOT_BAD && s->reason == REASON_NONE)
			broken(record, "bad without a reason");
		if (record->good_limit > 0 && s->good_boots > record->good_limit)
			broken(record, "more boots than good-limit");
	}
}

/* Which of these it was is told, and nothing goes by it. */
static void reason_plain(struct slot *slot)
{
	if (slot->reason == REASON_DIGEST || slot->reason == REASON_RETURNED)
		slot->reason = REASON_LOAD;
	if (slot->reason == REASON_HEALTH)
		slot->reason = REASON_OPERATOR;
}

/* Of what only grows, the start that was last, and whether the record is as the
 * loader left it then. */
static struct record without_history(const struct record *record)
{
	const struct attempt *last = &record->attempts[RECORD_ATTEMPTS - 1];
	struct record plain = *record;

	plain.sequence = 0;
	reason_plain(&plain.slots[0]);
	reason_plain(&plain.slots[1]);
	memset(plain.attempts, 0, sizeof plain.attempts);
	if (last->event == ATTEMPT_STARTED) {
		plain.attempts[RECORD_ATTEMPTS - 1] = *last;
		plain.attempts[RECORD_ATTEMPTS - 1].sequence =
			last->sequence != (uint32_t)record->sequence;
	}
	return plain;
}

/* Whether the very same was reached a short while ago: most are. Looks at padding, too,
 * so that it may say no of what is alike. */
static bool is_recent(const struct record *plain, unsigned what)
{
	static struct {
		struct record record;
		unsigned what;
	} recent[4096], *r;
	const uint8_t *p = (const uint8_t *)plain;
	uint64_t hash = what;

	for (size_t i = 0; i + 8 <= sizeof *plain; i += 8)
		hash = (hash ^ le64_get(p + i)) * 0x9e3779b97f4a7c15u;
	r = &recent[hash >> 52];
	if (r->what == what && memcmp(&r->record, plain, sizeof *plain) == 0)
		return true;
	r->record = *plain;
	r->what = what;
	return false;
}

/* Adds a node unless it is known. */
static void reach(const struct record *record, unsigned running, bool kexec)
{
	struct record plain = without_history(record);
	struct node node = { .running = (uint8_t)running, .kexec = kexec };
	uint32_t *at;

	transitions++;
	if (is_recent(&plain, walks * 8 + running * 2 + kexec))
		return;
	record_encode(&plain, node.bytes);
	at = &buckets[(le32_get(node.bytes + RECORD_BYTES - 4) ^ (running * 2u + kexec) * 0x9e3779b9u) %
		      BUCKETS];
	for (; *at; at = &buckets[(size_t)(at - buckets + 1) % BUCKETS])
		if (memcmp(&nodes[*at - 1], &node, sizeof node) == 0)
			return;
	if (node_count == NODES_MAX || node_count >= BUCKETS / 2)
		abort();
	check_record(record);
	nodes[node_count++] = node;
	*at = node_count;
}

/* --- the loader --- */

struct boot {
	struct record begin, stored;	/* at power on; what a cut now would keep */
	struct boot_policy policy;
	bool undisturbed;		/* every save and start went well so far */
	bool watchdog;			/* it caused the reset before */
	bool jumped[SLOT_COUNT];	/* was a kexec-trial */
	bool unmirrored;
	int once;			/* wanted for this boot alone; -1: none */
	bool tried[SLOT_COUNT];		/* started, or its digest was wrong */
	bool loaded[SLOT_COUNT];
};

static bool has_image(const struct slot *s)
{
	return s->status != SLOT_EMPTY && s->status != SLOT_WRITING;
}

/* Whether that entry of the ring, counted from the end, says that the slot hung. */
static bool notes_hang(const struct boot *b, unsigned slot, unsigned from_end)
{
	const struct attempt *note = &b->policy.record.attempts[RECORD_ATTEMPTS - from_end];

	return note->event == ATTEMPT_FAILED && note->slot == slot && note->reason == REASON_WATCHDOG;
}

/* Why a slot is bad, and that its hang is noted where it has another try. */
static void check_reasons(const struct boot *b, unsigned slot)
{
	const struct attempt *last = &b->begin.attempts[RECORD_ATTEMPTS - 1];
	const struct slot *begin = &b->begin.slots[slot], *now = &b->policy.record.slots[slot];
	bool ran = last->event == ATTEMPT_STARTED && last->slot == slot && last->sequence == 0;
	bool hung = b->watchdog && (b->jumped[slot] || ran);
	bool noted = notes_hang(b, slot, 2), twice = noted && notes_hang(b, slot, 3);

	if (begin->status == SLOT_BAD || !b->undisturbed)
		return;
	if (now->status == SLOT_BAD && hung != (now->reason == REASON_WATCHDOG))
		broken(&b->begin, "a slot is bad for the wrong reason after a hang");
	if (now->status == SLOT_TRIAL && now->tries_left < begin->tries_left && (hung != noted || twice))
		broken(&b->begin, "the ring is wrong about a hang");
}

static void check_watchdog(const struct boot *b, const struct boot_step *step)
{
	const struct slot *begin = &b->begin.slots[step->slot];
	unsigned flag = begin->status == SLOT_TRIAL ? WATCHDOG_FLAG_TRIAL : WATCHDOG_FLAG_GOOD;
	bool want = !step->last_resort && (b->begin.watchdog_flags & flag);

	if (step->watchdog_s != (want ? WATCHDOG_S : 0))
		broken(&b->begin, "the watchdog is armed, or not, against the flags");
	for (unsigned slot = 0; slot < SLOT_COUNT; slot++)
		check_reasons(b, slot);
}

/* What was not tried goes first, the preferred slot of two that are alike too; and the
 * preference is none of those that failed last. */
static void check_last_resort(const struct boot *b, const struct boot_step *step)
{
	const struct record *now = &b->policy.record;
	unsigned other = 1 - step->slot;
	bool other_waits = has_image(&now->slots[other]) && !b->tried[other];

	if (step->check_digest == step->unchecked)
		broken(&b->begin, "a last resort is neither checked nor unchecked");
	if (step->unchecked && (other_waits || (has_image(&now->slots[step->slot]) &&
						!b->tried[step->slot])))
		broken(&b->begin, "an unchecked start comes before a checked one");
	if (!step->unchecked && other_waits && now->preferred == other &&
	    now->slots[other].status == now->slots[step->slot].status)
		broken(&b->begin, "the last resort does not go by preference");
	if (now->preferred != b->begin.preferred && !policy_slot_bootable(now, 0) &&
	    !policy_slot_bootable(now, 1))
		broken(&b->begin, "both slots have failed, and the preference has moved");
}

static void check_step(const struct boot *b, const struct boot_step *step)
{
	const struct slot *begin = &b->begin.slots[step->slot];

	if (!has_image(begin) && !(step->unchecked && b->unmirrored))
		broken(&b->begin, "a slot without a whole image is started");
	if (begin->status == SLOT_KEXEC_TRIAL && !step->last_resort)
		broken(&b->begin, "a kexec-trial is started by the firmware");
	if (begin->status == SLOT_TRIAL && !step->last_resort &&
	    (!step->save || step->save_required == is_provisional(&b->begin) ||
	     !step->check_digest))
		broken(&b->begin, "a trial is started without its save or its digest");
	if (step->last_resort)
		check_last_resort(b, step);
	if (step->save_required &&
	    b->policy.record.slots[step->slot].tries_left >= begin->tries_left)
		broken(&b->begin, "a try is not spent");
	if (step->save && b->undisturbed && b->begin.good_limit == 0 &&
	    (b->once < 0 || b->begin.slots[b->once].status == SLOT_GOOD) &&
	    b->begin.slots[b->begin.preferred].status == SLOT_GOOD &&
	    b->begin.slots[1 - b->begin.preferred].status != SLOT_KEXEC_TRIAL)
		broken(&b->begin, "a steady boot saves");
	check_watchdog(b, step);
}

/* What is wanted for this boot alone goes first, if it is there and may be counted, and leaves
 * the preference as it was. */
static void check_once(const struct boot *b, const struct boot_step *step)
{
	const struct record *begin = &b->begin;
	const struct slot *slot = &begin->slots[b->once];
	bool limit = slot->status == SLOT_GOOD && begin->good_limit > 0 &&
		     slot->good_boots >= begin->good_limit;

	if (has_image(slot) && !limit && (step->firmware || (int)step->slot != b->once))
		broken(begin, "a slot is wanted for this boot, and another one is started");
	if (has_image(slot) && !limit && begin->slots[0].status != SLOT_KEXEC_TRIAL &&
	    begin->slots[1].status != SLOT_KEXEC_TRIAL &&
	    b->policy.record.preferred != begin->preferred)
		broken(begin, "a slot is wanted for this boot, and the preference has moved");
}

static void boot_on(struct boot b, unsigned depth);

/* The image runs, or it fails in each way. */
static void boot_start(const struct boot *b, const struct boot_step *step, unsigned depth)
{
	static const enum slot_reason reasons[] = { REASON_DIGEST, REASON_LOAD,
						    REASON_RETURNED };
	const struct slot *stored = &b->stored.slots[step->slot];

	if (step->save_required && stored->tries_left >= b->begin.slots[step->slot].tries_left)
		broken(&b->begin, "a trial starts before its try is stored");
	if (b->undisturbed && (b->stored.slots[0].status == SLOT_KEXEC_TRIAL ||
			       b->stored.slots[1].status == SLOT_KEXEC_TRIAL))
		broken(&b->begin, "a kexec-trial outlives a firmware boot");
	if (b->loaded[step->slot] || (b->tried[step->slot] && !step->unchecked))
		broken(&b->begin, "a slot is started twice in one boot");
	reach(&b->stored, step->slot, false);
	for (unsigned i = step->check_digest ? 0 : 1; i < 3; i++) {
		struct boot next = *b;

		next.undisturbed = false;
		next.tried[step->slot] = true;
		next.loaded[step->slot] = reasons[i] != REASON_DIGEST;
		policy_boot_failed(&next.policy, step, reasons[i], 1);
		boot_on(next, depth + 1);
	}
}

static void boot_saved(struct boot b, const struct boot_step *step, bool durable,
		       unsigned depth)
{
	b.policy.record.sequence++;	/* as state_save() does in any case */
	if (durable)
		b.stored = b.policy.record;
	else
		b.undisturbed = false;
	policy_boot_saved(&b.policy, step, durable);
	if (step->firmware)
		reach(&b.stored, DOWN, false);
	else if (durable || !step->save_required)
		boot_start(&b, step, depth);
	else
		boot_on(b, depth + 1);
}

static void boot_on(struct boot b, unsigned depth)
{
	struct boot_step step = policy_boot_next(&b.policy);

	if (depth > DEPTH_MAX) {
		broken(&b.begin, "a boot does not end");
		return;
	}
	if (depth == 0 && b.once >= 0)
		check_once(&b, &step);
	if (!step.firmware)
		check_step(&b, &step);
	else if (b.undisturbed && (has_image(&b.begin.slots[0]) || has_image(&b.begin.slots[1])))
		broken(&b.begin, "nothing starts although there is an image");
	if (step.save) {
		boot_saved(b, &step, true, depth);
		boot_saved(b, &step, false, depth);
	} else if (step.firmware) {
		reach(&b.stored, DOWN, false);
	} else {
		boot_start(&b, &step, depth);
	}
}

static void boot(const struct record *record, bool unmirrored, bool watchdog, int once)
{
	struct boot b = { .begin = *record, .stored = *record, .undisturbed = true,
			  .watchdog = watchdog, .unmirrored = unmirrored, .once = once };

	for (unsigned slot = 0; slot < SLOT_COUNT; slot++)
		b.jumped[slot] = record->slots[slot].status == SLOT_KEXEC_TRIAL;
	policy_boot_begin(&b.policy, record, unmirrored, watchdog);
	if (once >= 0)
		policy_boot_once(&b.policy, (unsigned)once);
	/* The try that it gets for this, as though it had had it. */
	if (once >= 0 && b.policy.record.slots[once].status == SLOT_TRIAL)
		b.begin.slots[once] = b.policy.record.slots[once];
	boot_on(b, 0);
}

/* --- the agent --- */

static void event(const struct record *record, const struct node *node,
		  enum policy_event what, unsigned slot)
{
	struct record next = *record;

	if (!policy_apply(&next, what, slot, TRIES))
		return;
	if (what == ON_INSTALL_NONE || what == ON_INSTALL_REBOOT || what == ON_INSTALL_KEXEC)
		next.slots[slot].flags |= SLOT_FLAG_DIGEST;
	next.sequence++;
	if (what == ON_GOOD_KEXEC && record->slots[slot].status != SLOT_GOOD &&
	    next.slots[slot].status == SLOT_GOOD)
		broken(record, "a kexec alone makes a slot good");
	reach(&next, node->running, node->kexec);
}

static void install_events(const struct record *record, const struct node *node)
{
	unsigned target = 1u - node->running;
	const struct slot *running = &record->slots[node->running];

	/* As install_check_target() has it. */
	if (!policy_slot_confirmed(running, node->kexec))
		return;
	event(record, node, ON_INSTALL_BEGIN, target);
	event(record, node, ON_INSTALL_NONE, target);
	event(record, node, ON_INSTALL_REBOOT, target);
	event(record, node, ON_INSTALL_KEXEC, target);
}

/* As confirm has it, which asks this of a slot that is not confirmed: the machine goes on
 * with the other slot, which can be booted, and never comes back to this one by itself. */
static void health_event(const struct record *record, const struct node *node)
{
	unsigned running = node->running, other = 1 - running;
	enum slot_status status = record->slots[running].status;
	bool wanted = (status == SLOT_TRIAL || status == SLOT_KEXEC_TRIAL) &&
		      policy_slot_bootable(record, other);
	struct record next = *record;

	if (policy_slot_confirmed(&record->slots[running], node->kexec))
		return;
	if (policy_apply(&next, ON_HEALTH_FAILED, running, TRIES) != wanted)
		broken(record, "a failed health check is refused, or not, against the other slot");
	if (wanted && (next.preferred != other || policy_slot_bootable(&next, running) ||
		       !policy_slot_bootable(&next, other) ||
		       next.slots[running].reason != REASON_HEALTH))
		broken(record, "a failed health check does not lead to the other slot");
	event(record, node, ON_HEALTH_FAILED, running);
}

/* As mark_good() has it: a record that is provisional is made anew. */
static void good_event(const struct record *record, const struct node *node)
{
	struct record made = *record;

	if (is_provisional(record)) {
		record_init(&made);
		made.good_limit = record->good_limit;
		for (unsigned slot = 0; slot < SLOT_COUNT; slot++)
			made.slots[slot] = (struct slot){ .status = SLOT_BAD,
							  .reason = REASON_STATE_LOST };
	}
	event(&made, node, node->kexec ? ON_GOOD_KEXEC : ON_GOOD_FIRMWARE, node->running);
}

static void agent_events(const struct record *record, const struct node *node)
{
	unsigned running = node->running;

	install_events(record, node);
	good_event(record, node);
	health_event(record, node);
	if (policy_slot_bootable(record, 1 - running))
		event(record, node, ON_ROLLBACK_FROM, running);
	for (unsigned slot = 0; slot < SLOT_COUNT; slot++) {
		event(record, node, ON_MARK_BAD, slot);
		event(record, node, ON_MARK_ACTIVE, slot);
		if (record->slots[slot].status == SLOT_KEXEC_TRIAL ||
		    policy_slot_bootable(record, slot))
			reach(record, slot, true);
	}
}

static bool walk(uint8_t good_limit, uint8_t watchdog_flags)
{
	struct boot_policy lost;
	struct record first;

	node_count = 0;
	transitions = 0;
	walks++;
	memset(buckets, 0, BUCKETS * sizeof *buckets);
	record_init(&first);
	first.good_limit = good_limit;
	first.watchdog = WATCHDOG_ITCO;
	first.watchdog_flags = watchdog_flags;
	first.watchdog_s = WATCHDOG_S;
	first.slots[0].status = SLOT_GOOD;
	reach(&first, 0, false);
	first.slots[0].status = SLOT_BAD;	/* as after a lost record */
	first.slots[0].reason = REASON_STATE_LOST;
	reach(&first, 0, false);
	policy_boot_begin(&lost, NULL, false, false);
	reach(&lost.record, DOWN, false);
	for (uint32_t i = 0; i < node_count; i++) {
		struct node node = nodes[i];
		struct record record;

		if (record_decode(node.bytes, sizeof node.bytes, &record) != SB_OK)
			continue;
		for (int once = -1; once < SLOT_COUNT; once++) {
			boot(&record, false, false, once);
			boot(&record, false, true, once);
			if (!has_image(&record.slots[0]) || !has_image(&record.slots[1]))
				boot(&record, true, false, once);
		}
		if (node.running != DOWN)
			agent_events(&record, &node);
	}
	(void)printf("walk: tries %d, good-limit %u: %u states, %llu transitions\n", TRIES,
		     good_limit, node_count, (unsigned long long)transitions);
	return violations == 0;
}

/* --first: the first violation ends it. */
int main(int argc, char **argv)
{
	unsigned passed = 0;

	first_only = argc > 1 && strcmp(argv[1], "--first") == 0;
	nodes = calloc(NODES_MAX, sizeof *nodes);
	buckets = calloc(BUCKETS, sizeof *buckets);
	if (!nodes || !buckets)
		return 1;
	passed += walk(0, WATCHDOG_FLAG_TRIAL);
	passed += walk(2, WATCHDOG_FLAG_TRIAL | WATCHDOG_FLAG_GOOD);
	free(nodes);
	free(buckets);
	(void)printf("%u passed, %u failed\n", passed, 2 - passed);
	return passed < 2;
}
