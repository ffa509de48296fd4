/* SPDX-License-Identifier: MIT */
#include "provision_work.h"

#include "direct.h"
#include "gpt.h"
#include "io.h"
#include "policy.h"
#include "provision_esp.h"

#include <string.h>
#include <time.h>

#define BLOCK 4096u
#define MIB ((uint64_t)1 << 20)

static int mark(struct target *t, uint64_t at, struct err *err)
{
	_cleanup_free_ char *block = aligned_alloc(BLOCK, BLOCK);

	if (!block)
		return err_set(err, EX_SOFTWARE, "failed to provision: out of memory");
	memset(block, 0, BLOCK);
	memcpy(block, FOUND_MARK, sizeof FOUND_MARK - 1);
	return target_write(t, block, BLOCK, at, err) < 0 ? -1 : target_flush(t, err);
}

/* Chunks that slot A already holds are kept. */
static bool is_written(const struct provision *p, uint64_t at)
{
	for (size_t i = 0; i < p->layout.count; i++) {
		const struct layout_part *part = &p->layout.parts[i];

		if (part->role == LAYOUT_A && at >= part->start && at < part->start + part->bytes)
			return true;
	}
	return false;
}

/* Remove the disk's signature first: from here on the old contents are known to be lost. */
static int wipe_all(struct provision *p, struct err *err)
{
	struct target *t = &p->target;
	uint64_t tail = gpt_tail(t->bytes);

	if (mark(t, 0, err) < 0 || target_zero(t, MIB - BLOCK, BLOCK, err) < 0 ||
	    target_zero(t, t->bytes - tail, tail, err) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_SIZE(p->found.old_starts); i++) {
		uint64_t at = p->found.old_starts[i] / BLOCK * BLOCK;

		if (at >= MIB && at < tail && !is_written(p, at) && target_zero(t, BLOCK, at, err) < 0)
			return -1;
	}
	for (size_t i = 0; i < p->layout.count; i++)
		if (p->layout.parts[i].role != LAYOUT_A &&
		    target_zero(t, MIB, p->layout.parts[i].start, err) < 0)
			return -1;
	return target_flush(t, err);
}

/* A file system's beginning, and nothing behind a smaller partition. */
static int wipe_slot(struct target *t, const struct layout_part *part, struct err *err)
{
	uint64_t bytes = part->bytes < MIB ? part->bytes / BLOCK * BLOCK : MIB;

	return target_zero(t, bytes, part->start, err);
}

static int wipe_adopted(struct provision *p, struct err *err)
{
	const struct layout_part *esp = layout_find(&p->layout, LAYOUT_ESP);
	struct target *t = &p->target;

	if (mark(t, esp->start, err) < 0 || target_zero(t, MIB - BLOCK, esp->start + BLOCK, err) < 0)
		return -1;
	for (size_t i = 0; i < p->layout.count; i++)
		if (p->layout.parts[i].role == LAYOUT_B && wipe_slot(t, &p->layout.parts[i], err) < 0)
			return -1;
	return target_flush(t, err);
}

static int begin(struct provision *p, struct err *err)
{
	if (target_create(&p->target, err) < 0)
		return -1;
	return p->found.adopted ? wipe_adopted(p, err) : wipe_all(p, err);
}

/* As an install that is to be booted next. The sequence begins with the time, so that this record, which
 * is in the mirror alone, counts for more than a variable that the firmware kept of an earlier
 * installation with the same GUIDs (state.h). */
static int record_make(struct provision *p, struct err *err)
{
	const struct config *config = p->options->config;
	struct record *r = &p->machine.state.record;
	const struct payload *uki = manifest_uki(bundle_manifest(p->bundle));
	unsigned tries = p->options->tries ? p->options->tries : config->tries;

	record_adopt(r, layout_find(&p->layout, LAYOUT_ESP)->guid);
	r->sequence = p->time ? p->time : (uint64_t)time(NULL);
	config_to_record(config, r);
	if (!policy_apply(r, ON_INSTALL_BEGIN, 0, 0))
		return err_set(err, EX_SOFTWARE, "slot a cannot be written");
	install_describe(uki, &r->slots[0]);
	if (p->time)
		r->slots[0].installed = p->time;
	if (!policy_apply(r, ON_INSTALL_REBOOT, 0, (uint8_t)tries))
		return err_set(err, EX_SOFTWARE, "slot a cannot be finished");
	return 0;
}

static int esp_make(struct provision *p, int *ret_fd, struct err *err)
{
	const struct layout *l = &p->layout;
	bool brought = !p->loader && !machine_is_direct(&p->machine);
	const struct provision_programs programs = {
		.loader = brought ? p->install.loader.data : p->loader,
		.loader_len = brought ? p->install.loader.len : p->loader_len,
		.shim = p->shim, .shim_len = p->shim_len, .shim_name = p->options->config->shim,
	};
	struct esp_make make = { .bytes = layout_find(l, LAYOUT_ESP)->bytes, .fat = l->fat,
				 .volume_id = l->volume_id, .time = p->time };

	if (record_make(p, err) < 0 ||
	    provision_esp_fill(&p->target.stage, &programs, &p->machine.state.record, err) < 0)
		return -1;
	return esp_stage_make(&p->target.stage, &make, ret_fd, err);
}

/* Write the boot sector last: without it there is no file system. */
static int esp_write(struct provision *p, int fd, struct err *err)
{
	const struct layout_part *esp = layout_find(&p->layout, LAYOUT_ESP);
	struct target *t = &p->target;

	if (target_copy(t, fd, BLOCK, esp->bytes, esp->start + BLOCK, false, err) < 0 || target_flush(t, err) < 0 ||
	    target_copy(t, fd, BLOCK, esp->bytes, esp->start + BLOCK, true, err) < 0 ||
	    target_copy(t, fd, 0, BLOCK, esp->start, false, err) < 0 || target_flush(t, err) < 0)
		return -1;
	return target_copy(t, fd, 0, BLOCK, esp->start, true, err);
}

/* Write the protective MBR last: without it there is no GPT. */
static int tables_write(struct provision *p, struct err *err)
{
	_cleanup_close_ int fd = -1;
	struct target *t = &p->target;
	uint64_t tail = gpt_tail(t->bytes);

	if (gpt_make(&p->layout, &fd, err) < 0)
		return -1;
	if (target_copy(t, fd, tail, t->bytes, tail, false, err) < 0 ||
	    target_copy(t, fd, BLOCK, GPT_HEAD_BYTES, BLOCK, false, err) < 0 || target_flush(t, err) < 0 ||
	    target_copy(t, fd, tail, t->bytes, tail, true, err) < 0 ||
	    target_copy(t, fd, BLOCK, GPT_HEAD_BYTES, BLOCK, true, err) < 0 ||
	    target_copy(t, fd, 0, BLOCK, 0, false, err) < 0 || target_flush(t, err) < 0)
		return -1;
	return target_copy(t, fd, 0, BLOCK, 0, true, err);
}

int provision_write(struct provision *p, struct err *err)
{
	struct report *report = p->options->report;
	_cleanup_close_ int esp = -1;

	if (begin(p, err) < 0 || install_write_images(&p->install, err) < 0 ||
	    install_write_uki(&p->install, err) < 0)
		return -1;
	report_step(report, "write", "writing the ESP%s", p->found.adopted ? "" : " and the partition table");
	if (esp_make(p, &esp, err) < 0 || esp_write(p, esp, err) < 0)
		return -1;
	return p->found.adopted ? 0 : tables_write(p, err);
}
