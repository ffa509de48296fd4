/* SPDX-License-Identifier: MIT */
#include "installwork.h"

#include "cmdline.h"
#include "install_check.h"
#include "report.h"
#include "slot_target.h"
#include "spool.h"
#include "io.h"
#include "verity.h"

#include <errno.h>
#include <openssl/evp.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

static uint64_t now(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static void on_progress(void *ctx, const struct engine_stats *stats)
{
	const struct installwork *work = ctx;
	const struct bundle_source *source = bundle_source(work->bundle);
	unsigned requests;

	report_amounts(work->options->report,
		       source->fetched ? source->fetched(source, &requests) : 0,
		       stats->kept + stats->copied + stats->rebuilt);
	report_progress(work->options->report, stats->done, stats->size);
}

static void on_warn(void *ctx, const char *why)
{
	const struct installwork *work = ctx;

	report_warning(work->options->report, "%s; more is fetched instead", why);
}

static int on_begin(void *ctx, struct err *err)
{
	struct installwork *work = ctx;

	if (work->begin(work, err) < 0)
		return -1;
	return work->image ? slot_target_reserve(work->image->write_ctx, work->image->payload->size,
						 err) : 0;
}

static struct engine_options engine_options(struct installwork *work)
{
	return (struct engine_options){
		.threads = work->options->threads,
		.flush_every = work->options->flush_every,
		.cancel = work->options->cancel,
		.progress = on_progress,
		.begin = on_begin,
		.warn = on_warn,
		.ctx = work,
	};
}

static const struct payload *payload_find(const struct manifest *manifest,
					  const struct payload *like)
{
	for (size_t i = 0; manifest && i < manifest->payload_count; i++)
		if (manifest->payloads[i].type == like->type &&
		    strcmp(manifest->payloads[i].name, like->name) == 0)
			return &manifest->payloads[i];
	return NULL;
}

/* The manifest of a slot says what its image was; that is a hint and no more. */
static void held_fill(const struct installwork *work, const struct payload *payload,
		      unsigned slot, const char *path, struct engine_held *held)
{
	const struct payload *old = payload_find(work->held[slot], payload);
	const struct disk *disk = &work->machine->disk;
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

/* --- the UKI --------------------------------------------------------------- */

static int memory_write(void *ctx, const void *data, size_t len, uint64_t offset, struct err *err)
{
	const struct installwork *work = ctx;

	if (pwrite_full(work->uki, data, len, (off_t)offset) < 0)
		return err_errno(err, EX_SOFTWARE, errno, "failed to keep the UKI in memory");
	return 0;
}

/* Chunks that are right make a UKI that is not the manifest's where the index is not. */
static int uki_compare(const struct installwork *work, const struct payload *payload, struct err *err)
{
	size_t size = (size_t)payload->size;
	void *data = mmap(NULL, size, PROT_READ, MAP_SHARED, work->uki, 0);
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
	return bundle_prefix(work->bundle, err);
}

/* Whose UKI is worth looking at: the idle slot's where it is this one already. */
static unsigned uki_held_in(const struct installwork *work, const struct payload *payload)
{
	const struct payload *old = payload_find(work->held[work->slot], payload);

	return old && !work->was_writing &&
	       memcmp(old->sha256, payload->sha256, sizeof old->sha256) == 0
		? work->slot : work->machine->running.slot;
}

static int uki_load(struct installwork *work, struct engine_job *job, struct err *err)
{
	struct engine_options options = engine_options(work);
	unsigned from = uki_held_in(work, job->payload);
	_cleanup_free_ char *path = NULL;
	int r;

	options.begin = NULL;	/* this is no write to the slot */
	job->write = memory_write;
	job->write_ctx = work;
	if (machine_slot_file(work->machine, from, "uki.efi", &path, err) < 0)
		return -1;
	held_fill(work, job->payload, from, path, &job->held[HELD_RUNNING]);
	work->uki = memfd_create("uki", MFD_CLOEXEC);
	if (work->uki < 0)
		return err_errno(err, EX_SOFTWARE, errno, "failed to keep the UKI in memory");
	r = engine_run(job, &options, &work->stats, err);
	job->held[HELD_RUNNING].path = NULL;
	if (r < 0 || uki_compare(work, job->payload, err) < 0)
		return -1;
	return install_check_uki(work->machine, bundle_manifest(work->bundle), work->uki,
				 job->payload->file, work->options->report, err);
}

/* --- images ---------------------------------------------------------------- */

static int image_write(struct installwork *work, struct engine_job *job,
		       const char *path, struct err *err)
{
	struct engine_options options = engine_options(work);
	struct slot_target dev;
	uint64_t start;
	int r;

	if (slot_target_open(&work->machine->disk, path, &dev, err) < 0)
		return -1;
	job->write = slot_target_write;
	job->flush = slot_target_flush;
	job->write_ctx = &dev;
	/* A file system is between a regular file and its medium, which answers for single
	 * bytes; what it can do to us is to lose a write or put it elsewhere. */
	job->ends_only = slot_target_is_file(&dev);
	work->image = job;
	r = engine_run(job, &options, &work->stats, err);
	if (r == 0)
		r = work->begin(work, err);	/* if nothing was to be written */
	start = now();
	if (r == 0)
		r = slot_target_finish(&dev, job->payload->size, err);
	work->stats.ns[STAGE_SYNC] += now() - start;
	slot_target_close(&dev);
	work->image = NULL;
	if (r == 0)
		r = engine_check(job, path, &options, &work->stats, err);
	if (r == 0 && job->payload->root_hash)
		r = verity_check_disk(&work->machine->disk, path, job->payload->size,
				      job->payload->root_hash, err);
	return r;
}

struct engine_job *installwork_job(struct installwork *work, const struct payload *payload)
{
	return &work->jobs[payload - bundle_manifest(work->bundle)->payloads];
}

/* What the slots hold of an image; the path of the one to be written. */
static const char *image_held(const struct installwork *work, struct engine_job *job)
{
	const struct payload *payload = job->payload;
	const struct config_image *image =
		config_image_find(work->machine->config, payload->name);
	unsigned running = work->machine->running.slot;
	struct engine_held *target = &job->held[HELD_TARGET];

	held_fill(work, payload, running, image->target[running], &job->held[HELD_RUNNING]);
	held_fill(work, payload, work->slot, image->target[work->slot], target);
	target->cut_off = work->was_writing;
	target->known = target->known && !work->was_writing;
	return image->target[work->slot];
}

int installwork_image(struct installwork *work, const struct payload *payload, struct err *err)
{
	struct engine_job *job = installwork_job(work, payload);
	const char *path = image_held(work, job);

	if (!job->index.chunks && engine_load(job, err) < 0)
		return -1;
	return image_write(work, job, path, err);
}

static int drop(void *ctx, const void *data, size_t len, uint64_t offset, struct err *err)
{
	(void)ctx, (void)data, (void)len, (void)offset, (void)err;
	return 0;
}

static int on_planned(void *ctx, uint64_t bytes, struct err *err)
{
	const struct installwork *work = ctx;

	return spool_room(bundle_source(work->bundle), bytes, err);
}

static void verify_report(const struct installwork *work, const struct payload *payload, bool remote)
{
	report_step(work->options->report, "verify",
		    !payload->file ? "looking in the slots for %s (%llu bytes), which the bundle leaves out"
		    : remote ? "fetching and verifying %s (%llu bytes)"
			     : "verifying %s (%llu bytes) in the bundle",
		    payload->name, (unsigned long long)payload->size);
}

/* Every chunk is made once before the slot is touched: of a bundle on this machine, of one
 * that is spooled (what the second time reads is then here), and of an image by reference,
 * which is sought in the slots. */
static int image_verify(struct installwork *work, struct engine_job *job, struct err *err)
{
	struct engine_options options = engine_options(work);
	struct bundle_source *source = bundle_source(work->bundle);
	struct engine_stats stats = { .size = job->payload->size };
	struct engine_job dry;
	int r;

	options.begin = NULL;
	options.flush_every = 0;
	if (spool_is(source)) {
		options.planned = on_planned;
		spool_keep(source);
	}
	if (source->remote || !job->payload->file)
		(void)image_held(work, job);
	dry = *job;
	dry.write = drop;
	verify_report(work, job->payload, source->remote);
	r = engine_run(&dry, &options, &stats, err);
	free(dry.how);
	free(dry.marks);
	for (int i = 0; i < STAGE_COUNT; i++)
		work->stats.ns[i] += stats.ns[i];
	return r;
}

/* --- the whole ------------------------------------------------------------- */

int installwork_open(struct installwork *work, struct err *err)
{
	const struct manifest *manifest = bundle_manifest(work->bundle);
	const struct bundle_source *source;

	work->uki = -1;
	work->start = now();
	for (unsigned slot = 0; slot < SLOT_COUNT; slot++)
		work->held[slot] = install_check_slot_manifest(work->machine, slot);
	for (size_t i = 0; i < manifest->payload_count; i++) {
		work->jobs[i] = (struct engine_job){ .bundle = work->bundle,
						     .payload = &manifest->payloads[i],
						     .disk = &work->machine->disk };
		work->stats.size += manifest->payloads[i].size;
	}
	for (size_t i = 0; i < manifest->payload_count; i++) {
		struct engine_job *job = &work->jobs[i];
		bool uki = job->payload->type == PAYLOAD_UKI;

		if (!uki && job->payload->file && bundle_is_forward(work->bundle))
			continue;
		if (engine_load(job, err) < 0 || (uki && uki_load(work, job, err) < 0))
			return -1;
	}
	source = bundle_source(work->bundle);
	for (size_t i = 0; i < manifest->payload_count; i++)
		if (manifest->payloads[i].type == PAYLOAD_IMAGE &&
		    (!source->remote || spool_is(source) || !manifest->payloads[i].file) &&
		    image_verify(work, &work->jobs[i], err) < 0)
			return -1;
	return 0;
}

void installwork_close(struct installwork *work)
{
	for (size_t i = 0; i < ARRAY_SIZE(work->jobs); i++)
		engine_clear(&work->jobs[i]);
	for (unsigned slot = 0; slot < SLOT_COUNT; slot++)
		manifest_free(work->held[slot]);
	if (work->uki >= 0)
		(void)close(work->uki);
}

void installwork_report(const struct installwork *work)
{
	const struct engine_stats *s = &work->stats;
	const struct bundle_source *source = bundle_source(work->bundle);
	unsigned requests = 0;
	uint64_t fetched = source->fetched ? source->fetched(source, &requests) : 0;
	double ms = 1e6;

	if (source->fetched)
		report_step(work->options->report, "fetched", "fetched %llu bytes in %u requests",
			    (unsigned long long)fetched, requests);
	report_step(work->options->report, "reused",
		    "%llu bytes: %llu were in place, %llu copied, %llu rebuilt with what a slot held",
		    (unsigned long long)s->size, (unsigned long long)s->kept,
		    (unsigned long long)s->copied, (unsigned long long)s->rebuilt);
	report_step(work->options->report, "time",
		    "%.0f ms; of all threads: fetch %.0f, read %.0f, decode %.0f, hash %.0f, "
		    "write %.0f, sync %.0f, check %.0f", (double)(now() - work->start) / ms,
		    (double)s->ns[STAGE_FETCH] / ms, (double)s->ns[STAGE_READ] / ms,
		    (double)s->ns[STAGE_DECODE] / ms, (double)s->ns[STAGE_HASH] / ms,
		    (double)s->ns[STAGE_WRITE] / ms, (double)s->ns[STAGE_SYNC] / ms,
		    (double)s->ns[STAGE_CHECK] / ms);
}
