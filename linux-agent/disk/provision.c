/* SPDX-License-Identifier: MIT */
#include "provision.h"

#include "direct.h"
#include "espfile.h"
#include "fetch.h"
#include "io.h"
#include "machine_entries.h"
#include "native.h"
#include "provision_esp.h"
#include "provision_images.h"
#include "provision_root.h"
#include "provision_work.h"

#include <errno.h>
#include <openssl/evp.h>
#include <string.h>
#include <sys/random.h>

#define SEEDED_TIME 315532800u	/* 1980, where FAT begins */
#define FLUSH_EVERY ((uint64_t)64 << 20)

#define ARCH (NATIVE_MACHINE == PE_MACHINE_AARCH64 ? LAYOUT_AA64 : LAYOUT_X64)

/* --- step 1 ---------------------------------------------------------------- */

static int options_check(const struct provision *p, struct err *err)
{
	const struct provision_options *o = p->options;

	if (machine_is_direct(&p->machine) && o->loader)
		return err_set(err, EX_USAGE, "--loader=%s: the configuration does without the loader (activation = "
			       "direct)", o->loader);
	if (o->shim && !o->config->shim)
		return err_set(err, EX_USAGE, "--shim=%s: the configuration does not say what it is called on the ESP "
			       "(shim = shimx64.efi, in slotboot.conf)", o->shim);
	return direct_check_tries(&p->machine, o->tries, err);
}

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

/* The UKI, as install_prepare() has it in memory. */
static int uki_of(const struct provision *p)
{
	const struct manifest *m = bundle_manifest(p->bundle);

	return p->install.payloads[manifest_uki(m) - m->payloads].memory;
}

static int entry_options(struct provision *p, struct err *err)
{
	struct ukifile uki;

	if (ukifile_open_fd(dup(uki_of(p)), "the UKI", &uki, err) < 0)
		return -1;
	machine_entries_options(&uki, 0, &p->entry_options, &p->entry_options_len);
	ukifile_close(&uki);
	return 0;
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
	if (r == 0 && machine_is_direct(&p->machine))
		r = entry_options(p, err);
	if (r == 0)
		provision_report(p);
	if (r == 0 && !p->options->dry_run)
		r = provision_write(p, err);
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

	if (machine_is_direct(&p->machine) || (!o->loader && bundle_manifest(p->bundle)->loader.file))
		return 0;
	return provision_program_read(o->loader ? o->loader : o->loader_default, "loader", &p->loader, &p->loader_len, err);
}

static int shim_choose(struct provision *p, struct err *err)
{
	const struct provision_options *o = p->options;

	if (!o->config->shim)
		return 0;
	return provision_program_read(o->shim ? o->shim : o->shim_default, "shim", &p->shim, &p->shim_len, err);
}

static int provision_bundle(struct provision *p, struct err *err)
{
	const struct provision_options *o = p->options;

	if (loader_choose(p, err) < 0 || shim_choose(p, err) < 0 || plan(p, err) < 0 ||
	    config_fill(o->config, bundle_manifest(p->bundle), err) < 0)
		return -1;
	return provision_install(p, err);
}

void provision_result_clear(struct provision_result *result)
{
	free(result->options);
	*result = (struct provision_result){ 0 };
}

static void result_fill(struct provision *p, struct provision_result *ret_result)
{
	*ret_result = (struct provision_result){ .layout = p->layout, .device = p->target.device,
						 .adopted = p->found.adopted, .direct = machine_is_direct(&p->machine),
						 .shim = p->options->config->shim_path,
						 .options = p->entry_options, .options_len = p->entry_options_len };
	p->entry_options = NULL;
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
	p->machine.config = options->config;
	if (options_check(p, err) < 0) {
		free(p);
		return -1;
	}
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
	free(p->shim);
	free(p->entry_options);
	free(p);
	return r;
}
