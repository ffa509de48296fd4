/* SPDX-License-Identifier: MIT */
/* For tests of the whole boot: a machine whose storage, images and watchdog fail as each test
 * likes. */
#pragma once

#include "boot.h"

#include "unittest.h"

struct machine {
	uint8_t var[RECORD_BYTES + 8];
	size_t var_len;			/* 0: missing */
	uint8_t mirror[STATE_MIRROR_COPIES][RECORD_BYTES];
	bool no_mirror;			/* there is no state.bin */
	int first_copy;			/* the one that was written first, if it is -1 before */
	const uint8_t *esp;
	bool var_write_fails, var_forgets, var_squatted, mirror_write_fails;
	unsigned mirror_fails_at;	/* which write of it does; 0: none */
	unsigned var_reads, var_writes, mirror_reads, mirror_writes;
	enum slot_reason fails[2];	/* REASON_NONE: it boots */
	char started[16];		/* "ab": what start() was asked for */
	bool digest_asked;
	enum trace_watchdog armable;	/* what watchdog_arm() answers */
	enum trace_reset fired;
	unsigned armed, arms, disarms, asked;	/* armed: seconds, 0 after a disarm */
	unsigned armed_at_start[2];
	unsigned resets;
	bool needs_reset;
	const uint8_t *handed_over;	/* to that ESP's loader, which came back */
	int once;			/* the slot wanted, + 1; 0: none */
	int once_handed_over;		/* as it was then */
	struct trace trace;
	jmp_buf booted;
};

static const uint8_t here[RECORD_GUID_BYTES] = { 1, 2, 3 }, there[RECORD_GUID_BYTES] = { 9 };

static inline enum sb_error var_read(void *ctx, uint8_t *buf, size_t cap, size_t *ret_len)
{
	struct machine *m = ctx;

	m->var_reads++;
	if (m->var_squatted)
		return SB_ATTRIBUTES;
	if (m->var_len == 0)
		return SB_NOT_FOUND;
	memcpy(buf, m->var, m->var_len < cap ? m->var_len : cap);
	*ret_len = m->var_len;
	return SB_OK;
}

static inline enum sb_error var_write(void *ctx, const uint8_t bytes[RECORD_BYTES])
{
	struct machine *m = ctx;

	m->var_writes++;
	if (m->var_squatted)
		return SB_ATTRIBUTES;
	if (m->var_write_fails)
		return SB_FULL;
	if (m->var_forgets)
		return SB_OK;
	memcpy(m->var, bytes, RECORD_BYTES);
	m->var_len = RECORD_BYTES;
	return SB_OK;
}

static inline enum sb_error mirror_read(void *ctx, unsigned copy, uint8_t buf[RECORD_BYTES])
{
	struct machine *m = ctx;

	m->mirror_reads++;
	if (m->no_mirror)
		return SB_NOT_FOUND;
	memcpy(buf, m->mirror[copy], RECORD_BYTES);
	return SB_OK;
}

static inline enum sb_error mirror_write(void *ctx, unsigned copy,
					 const uint8_t bytes[RECORD_BYTES])
{
	struct machine *m = ctx;

	m->mirror_writes++;
	if (m->first_copy < 0)
		m->first_copy = (int)copy;
	if (m->no_mirror)
		return SB_NOT_FOUND;
	if (m->mirror_write_fails || m->mirror_writes == m->mirror_fails_at)
		return SB_IO;
	memcpy(m->mirror[copy], bytes, RECORD_BYTES);
	return SB_OK;
}

static inline enum slot_reason start(void *ctx, unsigned slot, const uint8_t *digest, uint64_t size,
				     uint64_t *ret_efi_status)
{
	struct machine *m = ctx;

	(void)size;
	m->started[strlen(m->started)] = (char)('a' + (int)slot);
	m->digest_asked = digest != NULL;
	m->armed_at_start[slot] = m->armed;
	if (m->fails[slot] == REASON_NONE)
		longjmp(m->booted, 1);
	*ret_efi_status = 0x8000000000000001;
	return m->fails[slot];
}

static inline void report(void *ctx, const struct trace *trace)
{
	((struct machine *)ctx)->trace = *trace;
}

static inline enum trace_watchdog watchdog_arm(void *ctx, enum record_watchdog kind,
					       unsigned seconds)
{
	struct machine *m = ctx;

	assert_int_equal(kind, WATCHDOG_ITCO);
	m->arms++;
	if (m->armable == TRACE_WATCHDOG_ARMED)
		m->armed = seconds;
	return m->armable;
}

static inline void watchdog_disarm(void *ctx)
{
	struct machine *m = ctx;

	m->disarms++;
	m->armed = 0;
}

static inline enum trace_reset watchdog_fired(void *ctx, enum record_watchdog kind)
{
	struct machine *m = ctx;

	assert_int_equal(kind, WATCHDOG_ITCO);
	assert_int_equal(m->var_writes, 0);
	m->asked++;
	return m->fired;
}

/* As if it did not work: the boot goes on. */
static inline bool needs_reset(void *ctx)
{
	return ((struct machine *)ctx)->needs_reset;
}

static inline void reset(void *ctx)
{
	((struct machine *)ctx)->resets++;
}

/* Before anything is written. */
static inline void hand_over(void *ctx, const uint8_t *esp)
{
	struct machine *m = ctx;
	static uint8_t to[RECORD_GUID_BYTES];

	assert_int_equal(m->var_writes + m->mirror_writes, 0);
	memcpy(to, esp, sizeof to);
	m->handed_over = to;
	m->once_handed_over = m->once;
}

/* Asked before anything is written; told once. */
static inline int once(void *ctx)
{
	struct machine *m = ctx;
	int slot = m->once - 1;

	assert_int_equal(m->var_writes + m->mirror_writes, 0);
	m->once = 0;
	return slot;
}

static inline struct state_ops storage_of(struct machine *m)
{
	return (struct state_ops){ m, var_read, var_write, mirror_read, mirror_write, m->esp };
}

/* 'a', 'b', or '-' for back to the firmware. */
static inline char boot(struct machine *m)
{
	struct boot_ops ops = { m, storage_of(m), start, report,
				watchdog_arm, watchdog_disarm, watchdog_fired, reset, needs_reset, once, hand_over, NULL };
	struct trace trace;

	memset(m->started, 0, sizeof m->started);
	m->var_reads = m->var_writes = m->mirror_reads = m->mirror_writes = 0;
	m->armed = m->arms = m->disarms = m->asked = m->resets = 0;
	m->handed_over = NULL;
	if (setjmp(m->booted))
		return m->started[strlen(m->started) - 1];
	boot_run(&ops, &trace);
	return '-';
}

static inline struct record stored(struct machine *m)
{
	struct state_ops ops = storage_of(m);
	struct state s;

	state_load(&ops, &s);
	return s.record;
}

static inline void machine_with(struct machine *m, enum slot_status a, enum slot_status b,
				uint8_t preferred)
{
	struct record r;

	memset(m, 0, sizeof *m);
	m->esp = here;
	record_init(&r);
	record_adopt(&r, here);
	r.sequence = 7;
	r.preferred = preferred;
	r.slots[0] = (struct slot){ .status = a, .flags = SLOT_FLAG_DIGEST };
	r.slots[1] = (struct slot){ .status = b, .flags = SLOT_FLAG_DIGEST };
	for (int i = 0; i < 2; i++)
		if (r.slots[i].status == SLOT_TRIAL)
			r.slots[i].tries_left = r.slots[i].tries_granted = 2;
	record_encode(&r, m->var);
	m->var_len = RECORD_BYTES;
	record_encode(&r, m->mirror[0]);
	record_encode(&r, m->mirror[1]);
}
