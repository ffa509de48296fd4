/* SPDX-License-Identifier: MIT */
/* The loader: shared/boot.c over the simulated variable, state.bin and UKIs. In
 * the place of efi-app's adapters, doing what those do. */
#include "boot.h"
#include "espinfo.h"
#include "pe.h"
#include "sim.h"

#include <errno.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#define MIRROR_PATH "esp/EFI/slotboot/state.bin"

static enum sb_error loader_var_read(void *ctx, uint8_t *buf, size_t cap, size_t *ret_len)
{
	const struct sim_var *v = simvars_find(ctx, VARS_SLOTBOOT, VARS_SLOT_STATE);

	if (!v)
		return SB_NOT_FOUND;
	if (v->attributes != VARS_NV_BS_RT)
		return SB_ATTRIBUTES;
	memcpy(buf, v->data, v->len < cap ? v->len : cap);
	*ret_len = v->len;
	return SB_OK;
}

static enum sb_error loader_var_write(void *ctx, const uint8_t bytes[RECORD_BYTES])
{
	struct vars vars = simvars(ctx);

	return vars.set(ctx, VARS_SLOTBOOT, VARS_SLOT_STATE, bytes, RECORD_BYTES,
			VARS_NV_BS_RT, NULL) < 0 ? SB_IO : SB_OK;
}

static enum sb_error copy_read(const struct sim_file *f, bool kept, unsigned copy,
			       uint8_t buf[RECORD_BYTES])
{
	uint8_t sector[STATE_SECTOR];

	if (simdisk_read(f, kept, sector, sizeof sector, copy * STATE_STRIDE) < sizeof sector)
		return SB_SHORT;
	memcpy(buf, sector, RECORD_BYTES);
	return SB_OK;
}

static enum sb_error loader_mirror_read(void *ctx, unsigned copy, uint8_t buf[RECORD_BYTES])
{
	const struct sim_file *f = simdisk_find(ctx, NAME_STATE);

	return f ? copy_read(f, false, copy, buf) : SB_NOT_FOUND;
}

static enum sb_error kept_mirror_read(void *ctx, unsigned copy, uint8_t buf[RECORD_BYTES])
{
	const struct world *w = ctx;
	int file = w->name_kept[NAME_STATE];

	if (file < 0)
		return SB_NOT_FOUND;
	if (w->files[file].dirty >> copy & 1)
		return SB_IO;	/* at worst it is garbage */
	return copy_read(&w->files[file], true, copy, buf);
}

static enum sb_error loader_mirror_write(void *ctx, unsigned copy,
					 const uint8_t bytes[RECORD_BYTES])
{
	const struct disk disk = simdisk(ctx);
	uint8_t sector[STATE_SECTOR] = { 0 };
	int file = disk.open(ctx, MIRROR_PATH, DISK_READ);

	if (file < 0)
		return SB_NOT_FOUND;
	memcpy(sector, bytes, RECORD_BYTES);
	if (disk.write(ctx, file, sector, sizeof sector, copy * STATE_STRIDE) < 0 ||
	    disk.flush(ctx, file) < 0)
		return SB_IO;
	return SB_OK;
}

struct state_ops simloader_storage(struct world *w, bool kept)
{
	return (struct state_ops){
		.ctx = w,
		.var_read = loader_var_read,
		.var_write = loader_var_write,
		.mirror_read = kept ? kept_mirror_read : loader_mirror_read,
		.mirror_write = loader_mirror_write,
		.esp = simdisk_esp(w),
	};
}

struct state sim_state(struct world *w, bool kept)
{
	struct state_ops ops = simloader_storage(w, kept);
	struct state state;

	state_load(&ops, &state);
	return state;
}

bool sim_is_lost(const struct state *state)
{
	return state->source == STATE_LOST || (state->record.flags & RECORD_FLAG_PROVISIONAL);
}

uint64_t sim_mirror_sequence(struct world *w, bool kept)
{
	struct state_ops ops = simloader_storage(w, kept);
	uint8_t bytes[RECORD_BYTES];
	uint64_t newest = 0;
	struct record r;

	for (unsigned copy = 0; copy < STATE_MIRROR_COPIES; copy++)
		if (ops.mirror_read(w, copy, bytes) == SB_OK &&
		    record_decode(bytes, sizeof bytes, &r) == SB_OK && r.sequence > newest)
			newest = r.sequence;
	return newest;
}

/* One boot under way. */
struct firmware {
	struct world *w;
	struct state at_begin;
	struct trace_step step;	/* that the loader is at */
	unsigned armed;		/* seconds; 0: the watchdog is off */
	bool handed_over;
	jmp_buf gone;
};

static enum sb_error uki_read(void *ctx, uint64_t offset, uint8_t *buf, size_t len)
{
	const struct sim_file *f = ctx;

	memcpy(buf, f->now + offset, len);
	return SB_OK;
}

bool sim_uki_loads(const struct sim_file *f)
{
	struct pe_source source = { .ctx = (void *)(uintptr_t)f, .size = f->size,
				    .read = uki_read };
	struct pe_image image;

	return pe_open(&source, &image) == SB_OK;
}

static bool digest_is(const struct sim_file *f, const uint8_t *digest, uint64_t size)
{
	uint8_t found[SHA256_BYTES];

	if (f->size != size)
		return false;
	sim_sha256(f->now, f->size, found);
	return memcmp(found, digest, sizeof found) == 0;
}

bool sim_digest_is_right(const struct world *w, const struct record *record, unsigned slot)
{
	const struct slot *s = &record->slots[slot];
	const struct sim_file *f = simdisk_find(w, NAME_UKI(slot));

	return f && (s->flags & SLOT_FLAG_DIGEST) && digest_is(f, s->uki_sha256, s->uki_size);
}

static enum slot_reason start(void *ctx, unsigned slot, const uint8_t *digest, uint64_t size,
			      uint64_t *ret_efi_status)
{
	struct firmware *fw = ctx;
	struct world *w = fw->w;
	const struct sim_file *f = simdisk_find(w, NAME_UKI(slot));

	*ret_efi_status = 0;
	if (w->fault.dead)
		longjmp(fw->gone, 1);
	if (!f || w->refuse == (int)slot)
		return REASON_LOAD;
	if (digest && !digest_is(f, digest, size))
		return REASON_DIGEST;
	if (!sim_uki_loads(f))
		return REASON_LOAD;
	check_start(w, &fw->at_begin, &fw->step);
	check_armed(&fw->at_begin, slot, fw->step.last_resort, fw->armed);
	if (w->broken >= 0 && sim_version_of(w, slot, true) == w->broken)
		return REASON_RETURNED;
	w->session = (struct session){ .up = true, .running = slot, .staged = -1,
				       .lost = sim_is_lost(&fw->at_begin) };
	w->session.hung = w->hangs >= 0 && sim_version_of(w, slot, true) == w->hangs;
	longjmp(fw->gone, 1);
}

static void report(void *ctx, const struct trace *trace)
{
	struct firmware *fw = ctx;

	if (trace->step_count > 0)
		fw->step = trace->steps[trace->step_count - 1];
}

static enum trace_watchdog watchdog_arm(void *ctx, enum record_watchdog kind, unsigned seconds)
{
	struct firmware *fw = ctx;

	if (kind == WATCHDOG_NONE || !fw->w->watchdog)
		return TRACE_WATCHDOG_NOT_FOUND;
	fw->armed = seconds;
	return TRACE_WATCHDOG_ARMED;
}

static void watchdog_disarm(void *ctx)
{
	((struct firmware *)ctx)->armed = 0;
}

static enum trace_reset watchdog_fired(void *ctx, enum record_watchdog kind)
{
	struct world *w = ((struct firmware *)ctx)->w;
	bool fired = w->latch;

	(void)kind;
	w->latch = false;
	return fired ? TRACE_RESET_WATCHDOG : TRACE_RESET_OTHER;
}

/* Its loader is a whole one. */
static void hand_over(void *ctx, const uint8_t *esp)
{
	struct firmware *fw = ctx;
	struct world *w = fw->w;

	if (!w->two || w->other_lost || memcmp(esp, simdisk_other_esp(w), RECORD_GUID_BYTES) != 0)
		return;
	simdisk_swap(w);
	fw->at_begin = sim_state(w, false);
	fw->handed_over = true;
	longjmp(fw->gone, 1);
}

static void boot(struct firmware *fw)
{
	struct boot_ops ops = { .ctx = fw, .start = start, .report = report,
				.watchdog_arm = watchdog_arm,
				.watchdog_disarm = watchdog_disarm,
				.watchdog_fired = watchdog_fired, .hand_over = hand_over };
	struct trace trace;

	ops.storage = simloader_storage(fw->w, false);
	if (setjmp(fw->gone) == 0)
		boot_run(&ops, &trace);
	if (!fw->handed_over)
		return;
	fw->handed_over = false;
	ops.storage = simloader_storage(fw->w, false);
	if (setjmp(fw->gone) == 0)
		boot_run(&ops, &trace);
	if (fw->handed_over)
		violation("two loaders hand over to each other");
}

/* boot_run() hands the storage its own ctx, the world. Whether the watchdog will
 * reset what it started. */
static bool boot_once(struct world *w, int hung)
{
	struct sim_var *v = simvars_find(w, VARS_SLOTBOOT, VARS_SLOT_STATE), before;
	struct firmware fw = { .w = w };

	if (v && w->falls_back)
		*v = w->old_state;
	before = v ? *v : (struct sim_var){ 0 };
	fw.at_begin = sim_state(w, false);
	w->session = (struct session){ .staged = -1 };
	w->ghost.guard = 3;
	check_tries(w, &fw.at_begin);
	if (w->direct)
		simdirect_boot(w);
	else if (simfirmware_pick(w))
		boot(&fw);
	if (w->ghost.left_behind && !w->fault.dead && w->swapped)
		violation("an ESP that was left behind starts what it has");
	w->ghost.left_behind = false;
	check_guard(w, "the loader");
	if (!w->direct)
		check_stored(w, &fw.at_begin, &before);
	if (hung >= 0 && !w->fault.dead)
		check_hang(w, &fw.at_begin, (unsigned)hung);
	return w->session.hung && fw.armed > 0;
}

/* A last resort that hangs stays as it is, until somebody comes. */
static void boot_on(struct world *w, int hung)
{
	for (int resets = 0; boot_once(w, hung); resets++) {
		if (resets > SIM_TRIES) {
			violation("the watchdog resets the machine for ever");
			break;
		}
		hung = (int)w->session.running;
		power_down(w);
		w->latch = true;
	}
	w->session.up = w->session.up && !w->session.hung;
}

void simloader_boot(struct world *w)
{
	boot_on(w, -1);
}

void simloader_reset(struct world *w)
{
	int hung = (int)w->session.running;

	power_down(w);
	w->latch = true;
	boot_on(w, hung);
}
