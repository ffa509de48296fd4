/* SPDX-License-Identifier: MIT */
#include "install_payload.h"

#include "clock.h"
#include "cmdline.h"
#include "espfile.h"

#include "fetch.h"
#include "install_check.h"
#include "report.h"
#include "slot_manifest.h"
#include "spool.h"
#include "unpack.h"
#include "io.h"
#include "verity.h"

#include <errno.h>
#include <openssl/evp.h>
#include <string.h>
#include <sys/mman.h>

static void on_progress(void *ctx, const struct engine_stats *stats)
{
	const struct install *in = ctx;
	const struct bundle_source *source = bundle_source(in->bundle);
	unsigned requests;

	report_amounts(in->options->report,
		       source->fetched ? source->fetched(source, &requests) : 0,
		       stats->kept + stats->copied + stats->rebuilt);
	report_progress(in->options->report, stats->done, stats->size);
}

static void on_warn(void *ctx, const char *why)
{
	const struct install *in = ctx;

	report_warning(in->options->report, "%s; more is fetched instead", why);
}

/* Of a bundle on a web server remote.h has told. */
static void on_lack(void *ctx, const char *what)
{
	const struct install *in = ctx;

	if (!fetch_is_url(in->options->where))
		report_warning(in->options->report, "what unpacks the bundle has no full sandbox: %s", what);
}

static int on_planned(void *ctx, const struct payload *payload, const struct plan_sum *sum,
		      struct err *err)
{
	const struct install *in = ctx;
	struct bundle_source *source = bundle_source(in->bundle);
	const struct report_number numbers[] = {
		{ "payload", 0, payload->name },
		{ "bytes", sum->bytes, NULL }, { "requests", sum->requests, NULL }, { NULL, 0, NULL },
	};

	if (!source->remote || sum->requests == 0)
		return 0;
	report_numbers(in->options->report, "to-fetch", numbers,
		       "%s: %llu bytes are to be fetched, in %zu requests", payload->name,
		       (unsigned long long)sum->bytes, sum->requests);
	return in->options->verify_first && payload->type == PAYLOAD_IMAGE
		? spool_room(source, sum->bytes, err) : 0;
}

/* The slot's manifest says what its image was; this is only a hint. */
static void held_fill(const struct install *in, const struct payload *payload,
		      unsigned slot, const char *path, struct engine_held *held)
{
	_cleanup_(manifest_freep) struct manifest *manifest =
		slot_manifest_read(in->machine->esp.dir, slot);
	const struct payload *old = manifest_like(manifest, payload);
	const struct disk *disk = &in->machine->disk;
	struct disk_stat st;

	*held = (struct engine_held){ 0 };
	if (disk->stat(disk->ctx, path, &st) < 0)
		return;
	held->path = path;
	held->size = old && old->size < st.size ? old->size : st.size;
	held->known = old != NULL;
	if (old)
		memcpy(held->sha256, old->sha256, sizeof held->sha256);
}

static bool is_other_slots(const struct install *in, const struct payload *payload)
{
	return payload->type == PAYLOAD_ADDON && payload->slot != in->slot;
}

/* --- what goes to the ESP, and the slot's files ----------------------------------- */

static int memory_write(void *ctx, const void *data, size_t len, uint64_t offset, struct err *err)
{
	const int *fd = ctx;

	if (pwrite_full(*fd, data, len, (off_t)offset) < 0)
		return err_errno(err, EX_SOFTWARE, errno, "failed to keep a file of the bundle in memory");
	return 0;
}

/* Chunks that are right make a file that is not the manifest's where the index is not. */
static int memory_compare(const struct install *in, const struct payload *payload, int fd,
			  struct err *err)
{
	size_t size = (size_t)payload->size;
	void *data = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
	uint8_t sha256[32];
	int hashed;

	if (data == MAP_FAILED)
		return err_errno(err, EX_SOFTWARE, errno, "failed to hash %s", payload->file);
	hashed = EVP_Digest(data, size, sha256, NULL, EVP_sha256(), NULL);
	(void)munmap(data, size);
	if (hashed != 1)
		return err_set(err, EX_SOFTWARE, "failed to hash %s", payload->file);
	if (memcmp(sha256, payload->sha256, sizeof sha256) == 0)
		return 0;
	(void)err_set(err, EX_DATAERR, "%s does not have the SHA-256 in the manifest, though each "
		      "chunk has the one in %s: refused; make the bundle anew", payload->file,
		      payload->index.file);
	return bundle_prefix(in->bundle, err);
}

/* The slot whose UKI may hold chunks of the new one: the idle one if it is the same
 * already. */
static unsigned uki_held_in(const struct install *in, const struct payload *payload)
{
	_cleanup_(manifest_freep) struct manifest *manifest =
		slot_manifest_read(in->machine->esp.dir, in->slot);
	const struct payload *old = manifest_like(manifest, payload);

	return old && !in->was_writing &&
	       memcmp(old->sha256, payload->sha256, sizeof old->sha256) == 0
		? in->slot : in->machine->running.slot;
}

/* held: path of the slot from's. */
static int memory_prepare(struct install *in, struct install_payload *p, const char *held,
			  unsigned from, struct err *err)
{
	struct engine_target memory = { .write = memory_write, .ctx = &p->memory };
	struct engine_job job = { .bundle = in->bundle, .payload = p->payload,
				  .disk = &in->machine->disk };

	held_fill(in, p->payload, from, held, &job.held[HELD_RUNNING]);
	p->memory = memfd_create(p->payload->name, MFD_CLOEXEC);
	if (p->memory < 0)
		return err_errno(err, EX_SOFTWARE, errno, "failed to keep %s in memory",
				 p->payload->name);
	if (engine_prepare(&job, &in->engine, &in->stats, &p->engine, err) < 0 ||
	    engine_write(p->engine, &memory, err) < 0)
		return -1;
	return memory_compare(in, p->payload, p->memory, err);
}

/* An addon is its slot's own; the others the running slot may well have already. */
static int file_prepare(struct install *in, struct install_payload *p, struct err *err)
{
	bool own = p->payload->type == PAYLOAD_ADDON;
	unsigned from = own ? in->slot : in->machine->running.slot;
	_cleanup_free_ char *held = NULL;

	if (slot_payload_file(in->machine, from, p->payload, &held, err) < 0)
		return -1;
	if (!held)
		return 0;
	if (memory_prepare(in, p, held, from, err) < 0)
		return -1;
	return p->payload->type == PAYLOAD_EFI_AUTH ? install_check_keys(p->payload, p->memory, err) : 0;
}

/* The UKI, what lies beside it in this slot, and the slot's files: whole, and checked together. */
static int files_prepare(struct install *in, struct err *err)
{
	const struct manifest *manifest = bundle_manifest(in->bundle);
	const struct payload *addon = manifest_addon(manifest, in->slot);
	const struct payload *uki = manifest_uki(manifest);
	struct install_payload *own = &in->payloads[uki - manifest->payloads];
	unsigned from = uki_held_in(in, uki);
	_cleanup_free_ char *held = NULL;

	if (machine_slot_file(in->machine, from, "uki.efi", &held, err) < 0 ||
	    memory_prepare(in, own, held, from, err) < 0)
		return -1;
	for (size_t i = 0; i < manifest->payload_count; i++)
		if (file_prepare(in, &in->payloads[i], err) < 0)
			return -1;
	return install_check_uki(in->machine, manifest, in->slot, own->memory,
				 addon ? in->payloads[addon - manifest->payloads].memory : -1,
				 in->options->report, err);
}

/* --- images ---------------------------------------------------------------- */

static void verify_report(const struct install *in, const struct payload *payload, bool remote)
{
	report_step(in->options->report, "verify",
		    !payload->file ? "looking in the slots for %s (%llu bytes), which the bundle leaves out"
		    : remote ? "fetching and verifying %s (%llu bytes)"
			     : "verifying %s (%llu bytes) in the bundle",
		    payload->name, (unsigned long long)payload->size);
}

/* All images are prepared before the first is written. */
static bool has_other_images(const struct install *in)
{
	const struct manifest *manifest = bundle_manifest(in->bundle);
	size_t images = 0;

	for (size_t i = 0; i < manifest->payload_count; i++)
		images += manifest->payloads[i].type == PAYLOAD_IMAGE;
	return images > 1;
}

/* Every chunk is made once before the slot is touched: of a bundle on this machine, and of one
 * that is spooled (what the second time reads is then here). An image by reference is sought
 * in the slots. */
static int image_prepare(struct install *in, struct install_payload *p, struct err *err)
{
	const struct config_image *image = config_image_find(in->machine->config, p->payload->name);
	unsigned running = in->machine->running.slot;
	struct bundle_source *source = bundle_source(in->bundle);
	bool spooled = in->options->verify_first && source->remote;
	struct engine_job job = { .bundle = in->bundle, .payload = p->payload,
				  .disk = &in->machine->disk,
				  .verify = spooled || !source->remote,
				  .waits = has_other_images(in) };
	struct engine_held *target = &job.held[HELD_TARGET];

	held_fill(in, p->payload, running, image->target[running], &job.held[HELD_RUNNING]);
	held_fill(in, p->payload, in->slot, image->target[in->slot], target);
	target->cut_off = in->was_writing;
	target->known = target->known && !in->was_writing;
	if (spooled)
		spool_keep(source);
	if (job.verify || !p->payload->file)
		verify_report(in, p->payload, source->remote);
	if (slot_target_open(&in->machine->disk, image->target[in->slot], &p->target, err) < 0)
		return -1;
	if (engine_prepare(&job, &in->engine, &in->stats, &p->engine, err) == 0)
		return 0;
	slot_target_close(&p->target);
	return -1;
}

int install_payload_write(struct install *in, struct install_payload *p, struct err *err)
{
	struct slot_target *slot = &p->target;
	/* A file system is between a regular file and its medium, which answers for single
	 * bytes; what it can do to us is to lose a write or put it elsewhere. */
	struct engine_target target = { .write = slot_target_write, .flush = slot_target_flush,
					.ctx = slot };
	const struct payload *payload = p->payload;
	uint64_t start;

	target.path = slot->path;
	target.ends_only = slot_target_is_file(slot);
	if (slot_target_reserve(slot, payload->size, err) < 0 ||
	    engine_write(p->engine, &target, err) < 0)
		return -1;
	start = clock_monotonic_ns();
	if (slot_target_finish(slot, payload->size, err) < 0)
		return -1;
	in->stats.ns[STAGE_SYNC] += clock_monotonic_ns() - start;
	if (engine_check(p->engine, err) < 0)
		return -1;
	return payload->root_hash ? verity_check_disk(&in->machine->disk, slot->path, payload->size,
						      payload->root_hash, err) : 0;
}

/* --- the whole ------------------------------------------------------------- */

/* Whether an image is in one of the slots already, as their manifests say. */
static bool is_here(const struct install *in, const struct payload *payload)
{
	for (unsigned slot = 0; slot < SLOT_COUNT; slot++) {
		_cleanup_(manifest_freep) struct manifest *manifest =
			slot_manifest_read(in->machine->esp.dir, slot);
		const struct payload *old = manifest_like(manifest, payload);

		if (old && memcmp(old->sha256, payload->sha256, sizeof old->sha256) == 0)
			return true;
	}
	return false;
}

/* The indexes that are read before anything of an image is: at once, where each would be a round
 * trip. */
static void indexes_name(const struct install *in)
{
	const struct manifest *manifest = bundle_manifest(in->bundle);
	const struct pinned_entry *entries[BUNDLE_SOON_MAX];
	size_t count = 0;

	for (size_t i = 0; i < manifest->payload_count && count + 3 <= BUNDLE_SOON_MAX; i++) {
		const struct payload *p = &manifest->payloads[i];

		if (is_other_slots(in, p))
			continue;
		entries[count++] = &p->index;
		if (!p->blocks.index.file || is_here(in, p))
			continue;
		entries[count++] = &p->blocks.index;
		entries[count++] = &p->blocks.dictionary;
	}
	bundle_soon(in->bundle, entries, count);
}

int install_payloads_prepare(struct install *in, struct err *err)
{
	const struct manifest *manifest = bundle_manifest(in->bundle);

	in->start = clock_monotonic_ns();
	in->engine = (struct engine_options){
		.threads = in->options->threads,
		.flush_every = in->options->flush_every,
		.cancel = in->options->cancel,
		.progress = on_progress,
		.planned = on_planned,
		.warn = on_warn,
		.lacking = on_lack,
		.ctx = in,
		.sandbox = in->machine->config->sandbox,
		.unpackers = unpackers_new(),
	};
	for (size_t i = 0; i < manifest->payload_count; i++) {
		in->payloads[i].payload = &manifest->payloads[i];
		in->payloads[i].memory = -1;
		if (!is_other_slots(in, &manifest->payloads[i]))
			in->stats.size += manifest->payloads[i].size;
	}
	indexes_name(in);
	if (files_prepare(in, err) < 0)
		return -1;
	for (size_t i = 0; i < manifest->payload_count; i++)
		if (manifest->payloads[i].type == PAYLOAD_IMAGE &&
		    image_prepare(in, &in->payloads[i], err) < 0)
			return -1;
	return 0;
}

void install_payloads_close(struct install *in)
{
	for (size_t i = 0; i < ARRAY_SIZE(in->payloads); i++) {
		struct install_payload *p = &in->payloads[i];

		if (p->engine && p->payload->type == PAYLOAD_IMAGE)
			slot_target_close(&p->target);
		engine_close(p->engine);
		if (p->payload && p->memory >= 0)
			(void)close(p->memory);
	}
	loader_file_clear(&in->loader);
	unpackers_free(in->engine.unpackers);
}
