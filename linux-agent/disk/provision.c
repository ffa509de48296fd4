/* SPDX-License-Identifier: MIT */
#include "provision.h"

#include "bundle.h"
#include "espfile.h"
#include "fetch.h"
#include "found.h"
#include "gpt.h"
#include "install_payload.h"
#include "io.h"
#include "native.h"
#include "out.h"
#include "policy.h"
#include "provision_esp.h"
#include "provision_images.h"
#include "provision_root.h"
#include "target.h"

#include <errno.h>
#include <openssl/evp.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#define BLOCK 4096u
#define MIB ((uint64_t)1 << 20)
#define SEEDED_TIME 315532800u	/* 1980, where FAT begins */
#define FLUSH_EVERY ((uint64_t)64 << 20)

#define ARCH (NATIVE_MACHINE == PE_MACHINE_AARCH64 ? LAYOUT_AA64 : LAYOUT_X64)

struct provision {
	const struct provision_options *options;
	struct install_options how;
	struct install install;
	struct machine machine;
	struct bundle *bundle;
	struct target target;
	struct found found;
	struct layout layout;
	uint64_t time;			/* of files and the record; 0: now */
	uint8_t *loader;		/* of a file; NULL: the bundle's, which install.loader has */
	size_t loader_len;
};

/* --- step 1 ---------------------------------------------------------------- */

static int wipe_check(const struct provision *p, struct err *err)
{
	const struct provision_options *o = p->options;
	const struct found *f = &p->found;

	if (o->wipe && strcmp(o->wipe, o->disk) != 0)
		return err_set(err, EX_USAGE, "--wipe=%s is not %s, the disk that would be wiped", o->wipe, o->disk);
	if (!f->what[0] || o->wipe)
		return 0;
	return err_set(err, EX_CONFIG, "%s has something on it: %s; if that may go, --wipe=%s", o->disk, f->what,
		       o->disk);
}

static int look(struct provision *p, struct err *err)
{
	const struct provision_options *o = p->options;
	struct target *t = &p->target;
	unsigned sector;

	if (target_open(o->io, o->disk, o->image_bytes, t, err) < 0)
		return -1;
	if (t->sector_bytes && o->sector_bytes && o->sector_bytes != t->sector_bytes)
		return err_set(err, EX_USAGE, "--sector-size=%u: %s has sectors of %u bytes", o->sector_bytes,
			       o->disk, t->sector_bytes);
	sector = t->sector_bytes ? t->sector_bytes : o->sector_bytes;
	if (!t->missing && found_look(o->disk, sector, t->bytes, ARCH, &p->found, err) < 0)
		return -1;
	if (p->found.cut_off)
		report_step(o->report, "found", "%s was being provisioned when that was cut off; starting over",
			    o->disk);
	return wipe_check(p, err);
}

static int seed_make(struct provision *p, struct layout_want *want, struct err *err)
{
	const char *seed = p->options->seed, *epoch = getenv("SOURCE_DATE_EPOCH");

	if (!seed && getrandom(want->seed, sizeof want->seed, 0) != sizeof want->seed)
		return err_errno(err, EX_SOFTWARE, errno, "failed to get random bytes");
	if (!seed)
		return 0;
	if (EVP_Digest(seed, strlen(seed), want->seed, NULL, EVP_sha256(), NULL) != 1)
		return err_set(err, EX_SOFTWARE, "failed to hash the seed");
	p->time = epoch ? strtoull(epoch, NULL, 10) : 0;
	if (p->time < SEEDED_TIME)
		p->time = SEEDED_TIME;
	return 0;
}

static int adopt(struct provision *p, const struct layout_want *want, struct err *err)
{
	const struct provision_options *o = p->options;

	if (o->esp_bytes || o->slot_bytes || o->image_size_count || o->data_bytes || o->data_rest || o->guid)
		return err_set(err, EX_USAGE, "%s has its partitions already, and they are kept: neither sizes nor a GUID "
			       "can be given; to begin anew, wipefs --all %s", o->disk, o->disk);
	if (found_images(o->disk, want, &p->found, err) < 0 || wipe_check(p, err) < 0)
		return -1;
	p->layout = p->found.layout;
	p->layout.volume_id = layout_volume_id(want->seed);
	return layout_check(want, &p->layout, err);
}

/* The UKI, and what lies beside it. */
static uint64_t esp_payloads(const struct manifest *manifest)
{
	uint64_t sum = manifest_uki(manifest)->size;

	for (size_t i = 0; i < manifest->payload_count; i++)
		if (manifest_beside(&manifest->payloads[i], 0))
			sum += manifest->payloads[i].size;
	return sum;
}

/* They would be missing in a slot that is marked good at its first boot. */
static int files_refuse(const struct manifest *manifest, struct err *err)
{
	for (size_t i = 0; i < manifest->payload_count; i++)
		if (manifest->payloads[i].type == PAYLOAD_FILE)
			return err_set(err, EX_CONFIG, "the bundle has the file %s for a file system that is not there "
				       "yet: provision with a bundle without files, and install this one on the "
				       "machine", manifest->payloads[i].name);
	return 0;
}

static int plan(struct provision *p, struct err *err)
{
	const struct provision_options *o = p->options;
	const struct manifest *manifest = bundle_manifest(p->bundle);
	struct layout_want want = {
		.disk_bytes = p->target.bytes, .arch = ARCH, .esp_bytes = o->esp_bytes, .data_bytes = o->data_bytes,
		.data_rest = o->data_rest, .uki_bytes = esp_payloads(manifest),
	};

	want.sector_bytes = p->target.sector_bytes ? p->target.sector_bytes : o->sector_bytes ? o->sector_bytes : 512;
	if (files_refuse(manifest, err) < 0 || seed_make(p, &want, err) < 0 || provision_images_want(o, manifest, &want, err) < 0 ||
	    (p->found.adopted ? adopt(p, &want, err) : layout_plan(&want, &p->layout, err)) < 0)
		return -1;
	p->target.layout = &p->layout;
	return provision_images_config(o->config, o->disk, &want, &p->layout, err);
}

static const char *part_fate(const struct provision *p, const struct layout_part *part)
{
	switch (part->role) {
	case LAYOUT_ESP:
		return p->layout.fat.type == 32 ? ", FAT32" : ", FAT16";
	case LAYOUT_A:
		return ", written";
	case LAYOUT_B:
		return ", empty";
	default:
		return p->found.adopted ? ", kept" : ", without a file system";
	}
}

static void parts_report(const struct provision *p)
{
	const struct layout *l = &p->layout;
	size_t width = 0;

	for (size_t i = 0; i < l->count; i++)
		width = strlen(l->parts[i].name) > width ? strlen(l->parts[i].name) : width;
	for (size_t i = 0; i < l->count; i++) {
		const struct layout_part *part = &l->parts[i];
		char guid[LAYOUT_GUID_TEXT];

		layout_guid_text(part->guid, guid);
		report_step(p->options->report, "plan", "%u: %-*s %8llu MiB at %llu MiB, %s%s", part->number, (int)width,
			    part->name, (unsigned long long)(part->bytes / MIB), (unsigned long long)(part->start / MIB),
			    guid, part_fate(p, part));
	}
}

/* machine.c takes slotboot-a and slotboot-b for rootfs, and looks for further pairs only beside that. */
static void first_report(const struct provision *p)
{
	const char *first = p->options->config->images[0].name;

	if (first && strcmp(first, "rootfs") != 0)
		report_step(p->options->report, "plan", "slotboot-a has the image %s, not rootfs: the machine's slotboot.conf "
			    "must have [image %s] with a = /dev/disk/by-partlabel/slotboot-a, b likewise, and a section "
			    "for each further image", first, first);
}

static void plan_report(const struct provision *p)
{
	const struct provision_options *o = p->options;
	const struct layout *l = &p->layout;
	const struct manifest *m = bundle_manifest(p->bundle);

	report_step(o->report, "plan", "%s: %llu MiB in sectors of %u bytes, %s", o->disk,
		    (unsigned long long)(l->disk_bytes / MIB), l->sector_bytes,
		    p->found.adopted ? "whose partitions are kept" : "which gets a new GPT");
	if (p->found.what[0])
		report_step(o->report, "plan", "wiped: %s", p->found.what);
	parts_report(p);
	first_report(p);
	report_step(o->report, "plan", "slot a: version %s for %s, signed by %s", m->version, m->compatible,
		    bundle_signer(p->bundle));
	if (!p->loader)
		report_step(o->report, "plan", "the loader: version %s, which the bundle brings",
			    p->install.loader.version);
	else if (m->loader.file)
		report_step(o->report, "plan", "the loader: %s, and not the one that the bundle brings", o->loader);
}

/* --- what an install works on ---------------------------------------------- */

/* A store without variables, as the machine that will boot from this disk has it. */
static int no_variable(void *ctx, enum vars_guid guid, const char *name, uint8_t **ret_data, size_t *ret_len,
		       uint32_t *ret_attributes, struct err *err)
{
	(void)ctx, (void)guid, (void)name, (void)ret_data, (void)ret_len, (void)ret_attributes, (void)err;
	return 1;
}

static int config_fill(struct config *config, const struct manifest *manifest, struct err *err)
{
	if (!config->compatible)
		config->compatible = strdup(manifest->compatible);
	return config->compatible ? 0 : err_set(err, EX_SOFTWARE, "failed to provision: out of memory");
}

static void install_fill(struct provision *p)
{
	const struct provision_options *o = p->options;

	p->how = (struct install_options){ .where = o->bundle, .allow_downgrade = true, .threads = o->threads,
					   .flush_every = FLUSH_EVERY, .report = o->report };
	p->machine = (struct machine){ .config = o->config, .lock = -1, .install_lock = -1,
				       .vars = { .get = no_variable }, .disk = target_disk(&p->target),
				       .esp.dir = p->target.esp_name, .running.slot = 1,
				       .state.source = STATE_LOST };
	record_init(&p->machine.state.record);
	p->install = (struct install){ .machine = &p->machine, .options = &p->how, .bundle = p->bundle, .slot = 0 };
}

/* --- steps 2 to 5 ---------------------------------------------------------- */

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
	struct esp_make make = { .bytes = layout_find(l, LAYOUT_ESP)->bytes, .fat = l->fat,
				 .volume_id = l->volume_id, .time = p->time };

	if (record_make(p, err) < 0 ||
	    provision_esp_fill(&p->target.stage, p->loader ? p->loader : p->install.loader.data,
			       p->loader ? p->loader_len : p->install.loader.len, &p->machine.state.record,
			       err) < 0)
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

static int write_all(struct provision *p, struct err *err)
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

/* The UKI, as install_prepare() has it in memory. */
static int uki_of(const struct provision *p)
{
	const struct manifest *m = bundle_manifest(p->bundle);

	return p->install.payloads[manifest_uki(m) - m->payloads].memory;
}

static int provision_install(struct provision *p, struct err *err)
{
	int r;

	install_fill(p);
	if (esp_stage_make_dir(&p->target.stage, "EFI") < 0 || esp_stage_make_dir(&p->target.stage, ESP_OURS) < 0)
		return err_errno(err, EX_SOFTWARE, errno, "failed to make the ESP");
	r = install_prepare(&p->install, err);
	if (r == 0)
		r = provision_root(uki_of(p), p->options->guid, p->found.adopted, &p->layout, err);
	if (r == 0)
		plan_report(p);
	if (r == 0 && !p->options->dry_run)
		r = write_all(p, err);
	if (r == 0 && !p->options->dry_run)
		install_payloads_report(&p->install);
	install_payloads_close(&p->install);
	return r;
}

/* --- the whole ------------------------------------------------------------- */

/* What is asked for by name; else what the bundle brings, which its signer has chosen for this
 * version; else what is installed here. */
static int loader_choose(struct provision *p, struct err *err)
{
	const struct provision_options *o = p->options;

	if (!o->loader && bundle_manifest(p->bundle)->loader.file)
		return 0;
	return provision_loader_read(o->loader ? o->loader : o->loader_default, &p->loader, &p->loader_len, err);
}

static int provision_bundle(struct provision *p, struct err *err)
{
	const struct provision_options *o = p->options;

	if (loader_choose(p, err) < 0 || plan(p, err) < 0 || config_fill(o->config, bundle_manifest(p->bundle), err) < 0)
		return -1;
	return provision_install(p, err);
}

static void result_fill(const struct provision *p, struct provision_result *ret_result)
{
	*ret_result = (struct provision_result){ .layout = p->layout, .device = p->target.device,
						 .adopted = p->found.adopted };
	memcpy(ret_result->old_esp, p->found.old_esp, sizeof ret_result->old_esp);
	record_encode(&p->machine.state.record, ret_result->record);
	if (!p->options->dry_run && !p->found.adopted)
		ret_result->unread = !target_reread(&p->target);
}

int provision_run(const struct provision_options *options, struct provision_result *ret_result,
		  struct err *err)
{
	const struct config *config = options->config;
	const struct fetch_options fetch = { .deadline_s = config->deadline_s, .http = &config->http,
					     .sandbox = config->sandbox, .lacking = report_on_warning,
					     .ctx = options->report };
	const struct bundle_options reading = { .keyring = config->keyring, .rules = &config->rules,
						.source = { &fetch, config->spool, options->report } };
	struct provision *p = calloc(1, sizeof *p);
	int r;

	if (!p)
		return err_set(err, EX_SOFTWARE, "failed to provision: out of memory");
	p->options = options;
	r = look(p, err);
	if (r == 0)
		r = bundle_open(options->bundle, &reading, &p->bundle, err);
	if (r == 0)
		r = provision_bundle(p, err);
	if (r == 0)
		result_fill(p, ret_result);
	bundle_close(p->bundle);
	target_close(&p->target);
	free(p->loader);
	free(p);
	return r;
}
