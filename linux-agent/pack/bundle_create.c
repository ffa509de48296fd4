/* SPDX-License-Identifier: MIT */
#include "bundle_create.h"

#include "beside_fit.h"
#include "bundle.h"
#include "bundle_check.h"
#include "bundle_keys.h"
#include "cmdline.h"
#include "fetch.h"
#include "zip_write.h"
#include "cms.h"
#include "packer.h"
#include "record.h"
#include "roothash.h"
#include "report.h"
#include "slot_cmdline.h"
#include "uki_layout.h"
#include "io.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdarg.h>
#include <string.h>

/* What goes into the ZIP; the names in it are the manifest's. */
struct draft {
	const struct bundle_create_options *options;
	struct manifest *manifest;
	const char *files[MANIFEST_MAX_PAYLOADS];	/* where each payload's bytes are */
	struct zip_write zip;
	struct bundle *old;				/* whose frames are used again; or NULL */
};

static void draft_free(struct draft **draft)
{
	if (!*draft)
		return;
	zip_write_clear(&(*draft)->zip);
	bundle_close((*draft)->old);
	manifest_free((*draft)->manifest);
	free(*draft);
}

static int no_memory(struct err *err)
{
	return err_set(err, EX_SOFTWARE, "failed to make a bundle: out of memory");
}

__attribute__((format(printf, 2, 3)))
static bool text_make(char **ret_text, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(ret_text, fmt, ap);
	va_end(ap);
	if (n < 0)
		*ret_text = NULL;
	return n >= 0;
}

/* --- the plan: everything but sizes and digests, so that mistakes show at once --- */

static const char *base_of(const struct bundle_create_options *o, const struct payload *p,
			   size_t *at)
{
	while (*at < o->base_count && strcmp(o->bases[*at].name, p->name) != 0)
		(*at)++;
	return *at < o->base_count ? o->bases[(*at)++].file : NULL;
}

static int plan_bases(const struct bundle_create_options *o, struct payload *p, struct err *err)
{
	size_t at = 0;

	while (base_of(o, p, &at)) {
		struct payload_base *base = &p->bases[p->base_count];

		if (p->base_count == MANIFEST_MAX_BASES)
			return err_set(err, EX_DATAERR, "too many bases of %s: at most %d",
				       p->name, MANIFEST_MAX_BASES);
		p->base_count++;
		base->size = base->index.size = 1;
		if (!text_make(&base->file, "%s.from-%zu.zst", p->name, p->base_count) ||
		    !text_make(&base->index.file, "%s.from-%zu.index", p->name, p->base_count))
			return no_memory(err);
	}
	return 0;
}

static int plan_payload(struct draft *d, enum payload_type type, const struct bundle_image *image,
			struct err *err)
{
	const char *name = image->name;
	struct manifest *m = d->manifest;
	struct payload *p = &m->payloads[m->payload_count];

	d->files[m->payload_count++] = image->file;
	p->type = type;
	p->size = p->index.size = 1;
	if (!text_make(&p->name, "%s", name) ||
	    (!image->by_reference &&
	     !text_make(&p->file, "%s.%s.zst", name, type == PAYLOAD_IMAGE ? "img" : "efi")) ||
	    !text_make(&p->index.file, "%s.index", name) ||
	    (image->root_hash && !text_make(&p->root_hash, "%s", image->root_hash)))
		return no_memory(err);
	return image->by_reference ? 0 : plan_bases(d->options, p, err);
}

/* Images by reference come first: a machine looks for them before it writes anything. */
static int plan_images(struct draft *d, bool by_reference, struct err *err)
{
	const struct bundle_create_options *o = d->options;

	for (size_t i = 0; i < o->image_count; i++)
		if (o->images[i].by_reference == by_reference &&
		    plan_payload(d, PAYLOAD_IMAGE, &o->images[i], err) < 0)
			return -1;
	return 0;
}

static int plan_addons(struct draft *d, struct err *err)
{
	static const char *const names[SLOT_COUNT] = { "slot-a.addon", "slot-b.addon" };

	for (unsigned slot = 0; slot < SLOT_COUNT; slot++) {
		const struct bundle_image addon = { .name = names[slot],
						    .file = d->options->addons[slot] };

		d->manifest->payloads[d->manifest->payload_count].slot = slot;
		if (addon.file && plan_payload(d, PAYLOAD_ADDON, &addon, err) < 0)
			return -1;
	}
	return 0;
}

/* How many of its type come before it, and it. */
static unsigned beside_number(const struct bundle_create_options *o, size_t index)
{
	unsigned n = 0;

	for (size_t i = 0; i <= index; i++)
		n += o->besides[i].type == o->besides[index].type;
	return n;
}

/* The entries are numbered: the names may have characters that those of entries may not. */
static int plan_besides(struct draft *d, struct err *err)
{
	const struct bundle_create_options *o = d->options;

	for (size_t i = 0; i < o->beside_count; i++) {
		const struct bundle_beside *beside = &o->besides[i];
		struct payload *p = &d->manifest->payloads[d->manifest->payload_count];
		const char *type = manifest_type_text(beside->type);
		unsigned number = beside_number(o, i);

		d->files[d->manifest->payload_count++] = beside->file;
		p->type = beside->type;
		p->size = p->index.size = 1;
		if (!text_make(&p->name, "%s%s", beside->name, manifest_suffix(p->type)) ||
		    !text_make(&p->file, "%s-%u.zst", type, number) ||
		    !text_make(&p->index.file, "%s-%u.index", type, number))
			return no_memory(err);
	}
	return 0;
}

static int bases_belong(const struct draft *d, struct err *err)
{
	const struct bundle_create_options *o = d->options;
	size_t planned = 0;

	for (size_t i = 0; i < d->manifest->payload_count; i++)
		planned += d->manifest->payloads[i].base_count;
	if (planned != o->base_count)
		return err_set(err, EX_DATAERR, "a base is for an image that the bundle does not "
			       "have with its bytes");
	return 0;
}

static int plan_check(const struct draft *d, struct err *err)
{
	_cleanup_(manifest_freep) struct manifest *parsed = NULL;
	_cleanup_free_ char *json = NULL;

	if (manifest_format(d->manifest, &json, err) < 0)
		return -1;
	return manifest_parse((const uint8_t *)json, strlen(json), &parsed, err);
}

/* The UKI's, whose bytes are judged where they are packed. */
static int architecture_plan(struct draft *d)
{
	_cleanup_(ukifile_close) struct ukifile uki = { .fd = -1 };
	uint16_t machine;

	if (ukifile_open(d->options->uki, &uki, NULL) < 0)
		return 0;
	machine = uki.image.machine;
	if (machine != PE_MACHINE_X86_64 && machine != PE_MACHINE_AARCH64)
		return 0;
	return text_make(&d->manifest->architecture, "%s", ukifile_machine_text(machine)) ? 0 : -1;
}

static int plan_make(struct draft *d, struct err *err)
{
	const struct bundle_create_options *o = d->options;
	const struct bundle_image uki = { .name = "uki", .file = o->uki };

	if (o->image_count + o->beside_count > MANIFEST_MAX_PAYLOADS - 1 - SLOT_COUNT)
		return err_set(err, EX_DATAERR, "too many images, credentials, sysexts, confexts, updates of keys and files: at "
			       "most %d", MANIFEST_MAX_PAYLOADS - 1 - SLOT_COUNT);
	if (!text_make(&d->manifest->compatible, "%s", o->compatible) ||
	    !text_make(&d->manifest->version, "%s", o->version))
		return no_memory(err);
	d->manifest->raises_floor = o->raise_floor;
	if (architecture_plan(d) < 0)
		return no_memory(err);
	d->manifest->loader.size = 1;
	if (o->loader && !text_make(&d->manifest->loader.file, "loader.efi"))
		return no_memory(err);
	if (plan_payload(d, PAYLOAD_UKI, &uki, err) < 0 || plan_addons(d, err) < 0 ||
	    plan_besides(d, err) < 0 || plan_images(d, true, err) < 0 ||
	    plan_images(d, false, err) < 0)
		return -1;
	return bases_belong(d, err) < 0 ? -1 : plan_check(d, err);
}

/* --- packing --- */

/* The rank of a part of payload p, see zip_write.h. */
static unsigned rank_of(const struct draft *d, const struct payload *p, unsigned part)
{
	return RANK_PAYLOADS + (unsigned)(p - d->manifest->payloads) * RANKS_EACH + part;
}

/* Adds an entry that the manifest pins; takes data. */
static int pinned_add(struct draft *d, unsigned rank, struct pinned_entry *entry, uint8_t *data,
		      size_t len, struct err *err)
{
	zip_write_add_data(&d->zip, rank, entry->file, data, len);
	entry->size = len;
	return EVP_Digest(data, len, entry->sha256, NULL, EVP_sha256(), NULL) == 1
		? 0 : no_memory(err);
}

static int temporary_add(struct draft *d, unsigned rank, const char *name, FILE **ret_file,
			 struct err *err)
{
	if (zip_write_temporary(d->options->output, ret_file, err) < 0)
		return -1;
	zip_write_add_file(&d->zip, rank, name, *ret_file);
	return 0;
}

/* For an image by reference, drop the frames from which its index was made. */
static int frames_make(struct draft *d, struct packer *packer, struct payload *p, struct err *err)
{
	FILE *out;
	int r;

	if (p->file)
		return temporary_add(d, rank_of(d, p, RANK_FULL), p->file, &out, err) < 0
			? -1 : packer_full(packer, out, err);
	if (zip_write_temporary(d->options->output, &out, err) < 0)
		return -1;
	r = packer_full(packer, out, err);
	(void)fclose(out);
	return r;
}

static int pack_full(struct draft *d, struct packer *packer, struct payload *p, struct err *err)
{
	uint8_t *data;
	size_t len;

	if (frames_make(d, packer, p, err) < 0)
		return -1;
	p->size = packer->size;
	memcpy(p->sha256, packer->sha256, sizeof p->sha256);
	if (chunkindex_encode(&packer->index, &data, &len, err) < 0)
		return -1;
	return pinned_add(d, rank_of(d, p, RANK_INDEX), &p->index, data, len, err);
}

static int pack_dictionary(struct draft *d, struct packer *packer, struct payload *p, struct err *err)
{
	uint8_t *data = packer->dictionary;

	if (!data)
		return 0;
	if (!text_make(&p->blocks.dictionary.file, "%s.dict", p->name))
		return no_memory(err);
	packer->dictionary = NULL;
	return pinned_add(d, rank_of(d, p, RANK_DICTIONARY), &p->blocks.dictionary, data,
			  packer->dictionary_len, err);
}

static int pack_blocks(struct draft *d, struct packer *packer, struct payload *p, struct err *err)
{
	uint8_t *data;
	size_t len;

	if (!packer->in_blocks)
		return 0;
	if (!text_make(&p->blocks.index.file, "%s.4k.index", p->name))
		return no_memory(err);
	if (pack_dictionary(d, packer, p, err) < 0 ||
	    blockindex_encode(&packer->blocks, &packer->index, &data, &len, err) < 0)
		return -1;
	return pinned_add(d, rank_of(d, p, RANK_BLOCKS_INDEX), &p->blocks.index, data, len, err);
}

static int pack_base(struct draft *d, struct packer *packer, struct payload *p, unsigned k,
		     const char *path, struct err *err)
{
	_cleanup_(packer_clear) struct packer old = { .fd = -1 };
	_cleanup_(baseindex_clear) struct baseindex index = { 0 };
	struct payload_base *base = &p->bases[k];
	uint8_t *data;
	size_t len;
	FILE *out;

	if (packer_open(path, &old, err) < 0 ||
	    temporary_add(d, rank_of(d, p, RANK_BASE + k), base->file, &out, err) < 0 ||
	    packer_base(packer, &old, out, &index, err) < 0)
		return -1;
	base->size = old.size;
	memcpy(base->sha256, old.sha256, sizeof base->sha256);
	if (baseindex_encode(&index, &data, &len, err) < 0)
		return -1;
	return pinned_add(d, rank_of(d, p, RANK_BASE_INDEX + k), &base->index, data, len, err);
}

static int pack_reusing(struct draft *d, struct packer *packer, struct payload *p, struct err *err)
{
	const struct bundle_create_options *o = d->options;
	const struct payload *before = d->old ? manifest_like(bundle_manifest(d->old), p) : NULL;
	struct packer_reuse *reuse = NULL;
	int r;

	if (before && packer_reuse_open(d->old, before, packer, &reuse, err) < 0)
		return -1;
	packer->reuse = reuse;
	r = pack_full(d, packer, p, err);
	packer_reuse_free(reuse);
	packer->reuse = NULL;
	if (r == 0 && d->old && p->file && o->report)
		report_step(o->report, "reuse", "%s: the frames of %u of %u chunks are those of %s",
			    p->name, packer->reused, packer->index.count, o->reuse);
	return r;
}

static void packer_set(struct packer *packer, const struct bundle_create_options *o,
		       const struct payload *p)
{
	packer->name = p->name;
	packer->uki = p->type == PAYLOAD_UKI;
	packer->chunk_log = o->chunk_log ? o->chunk_log : CHUNK_DEFAULT_LOG;
	packer->threads = o->threads;
	packer->level = !p->file ? 1 : o->level ? o->level : PACKER_LEVEL;
	packer->blocks_level = o->level ? o->level : PACKER_BLOCKS_LEVEL;
	packer->in_blocks = p->file && !manifest_beside(p, p->slot) && !o->no_blocks &&
			    packer_blocks_fit(packer);
	packer->report = o->report;
}

/* All layouts of one payload. */
static int pack_payload(struct draft *d, struct payload *p, const char *file, struct err *err)
{
	_cleanup_(packer_clear) struct packer packer = { .fd = -1 };
	const char *path;
	size_t at = 0;

	if (packer_open(file, &packer, err) < 0)
		return -1;
	if (packer.size > manifest_type_max(p->type))
		return err_set(err, EX_DATAERR, "%s is larger than the %llu bytes that a %s may have",
			       file, (unsigned long long)manifest_type_max(p->type),
			       manifest_type_text(p->type));
	packer_set(&packer, d->options, p);
	if (pack_reusing(d, &packer, p, err) < 0 || pack_blocks(d, &packer, p, err) < 0)
		return -1;
	for (unsigned k = 0; p->file && (path = base_of(d->options, p, &at)); k++)
		if (pack_base(d, &packer, p, k, path, err) < 0)
			return -1;
	return 0;
}

/* Stored uncompressed: it is small, and each machine has room for two. */
static int pack_loader(struct draft *d, const char *path, struct err *err)
{
	struct ukifile file;
	uint8_t *data;
	size_t len;

	if (read_file(path, MANIFEST_MAX_LOADER_BYTES, &data, &len) < 0)
		return err_errno(err, EX_NOINPUT, errno, "failed to read the loader %s", path);
	if (ukifile_open(path, &file, NULL) < 0) {
		free(data);
		return err_set(err, EX_DATAERR, "--loader=%s: it is no EFI program", path);
	}
	ukifile_close(&file);
	return pinned_add(d, RANK_LOADER, &d->manifest->loader, data, len, err);
}

/* --- the whole --- */

static int manifest_add(struct draft *d, struct err *err)
{
	const struct bundle_create_options *o = d->options;
	_cleanup_(manifest_freep) struct manifest *parsed = NULL;
	uint8_t *p7s;
	size_t p7s_len;
	char *json;

	if (manifest_format(d->manifest, &json, err) < 0)
		return -1;
	zip_write_add_data(&d->zip, RANK_MANIFEST, "manifest.json", (uint8_t *)json, strlen(json));
	if (manifest_parse((const uint8_t *)json, strlen(json), &parsed, err) < 0)
		return -1;
	if (o->signer_count == 0)
		return 0;
	if (cms_sign((const uint8_t *)json, strlen(json), o->signers, o->signer_count, 0, &p7s,
		     &p7s_len, err) < 0)
		return -1;
	zip_write_add_data(&d->zip, RANK_SIGNATURE, "manifest.p7s", p7s, p7s_len);
	return 0;
}

/* Check manifest, pins and directory as a machine reads them, then every frame. */
static int zip_check(const char *path, struct err *err)
{
	const struct bundle_options options = { .keyring = NULL };
	_cleanup_(bundle_closep) struct bundle *b = NULL;

	if (bundle_open(path, &options, &b, err) < 0)
		return -1;
	return bundle_check(b, err);
}

static void cmdlines_report(struct report *report, const struct slot_cmdline cmdlines[SLOT_COUNT])
{
	for (unsigned slot = 0; slot < SLOT_COUNT; slot++)
		report_step(report, "cmdline", "slot %c: %s", slot_letter(slot), cmdlines[slot].text);
	report_step(report, "cmdline-way", "these command lines: %s%s", slot_cmdline_way(&cmdlines[0]),
		    cmdlines[0].way == SLOT_WAY_FILL ? ", which Secure Boot does not let it do" : "");
}

/* If asked to, print the command line that each slot's kernel will get. */
static int cmdlines_check(const struct bundle_create_options *o, const struct ukifile *uki,
			  struct err *err)
{
	_cleanup_(ukifile_close) struct ukifile a = { .fd = -1 }, b = { .fd = -1 };
	const struct ukifile *const addons[SLOT_COUNT] = { o->addons[0] ? &a : NULL,
							   o->addons[1] ? &b : NULL };
	struct slot_cmdline cmdlines[SLOT_COUNT];

	if ((addons[0] && ukifile_open(o->addons[0], &a, err) < 0) ||
	    (addons[1] && ukifile_open(o->addons[1], &b, err) < 0) ||
	    slot_cmdline_check(uki, addons, false, cmdlines, err) < 0)
		return -1;
	if (o->report)
		cmdlines_report(o->report, cmdlines);
	for (unsigned slot = 0; slot < SLOT_COUNT; slot++)
		slot_cmdline_clear(&cmdlines[slot]);
	return 0;
}

/* A file that is not PE at all is refused by the machine's own check. */
static int layout_check(const struct draft *d, struct err *err)
{
	const struct bundle_create_options *o = d->options;
	struct ukifile uki;
	char doubt[512];
	int r;

	if (ukifile_open(o->uki, &uki, NULL) < 0)
		return 0;
	r = uki_layout_check(&uki, err);
	if (r == 0)
		r = cmdlines_check(o, &uki, err);
	if (r == 0)
		r = beside_fit_check(d->manifest, &uki, err);
	for (unsigned kind = 0; r == 0 && o->report && kind < UKI_LAYOUT_DOUBTS; kind++)
		if (uki_layout_doubt(&uki, kind, doubt, sizeof doubt))
			report_warning(o->report, "%s", doubt);
	ukifile_close(&uki);
	return r;
}

/* Sign a few bytes: a bad key shows before the long work begins. */
static int keys_check(const struct bundle_create_options *o, struct err *err)
{
	_cleanup_free_ uint8_t *p7s = NULL;
	size_t len;

	if (o->signer_count == 0)
		return 0;
	return cms_sign((const uint8_t *)"{}", 2, o->signers, o->signer_count, 0, &p7s, &len, err);
}

/* Nobody has to have signed it: see packer_reuse_open(). */
static int old_open(struct draft *d, struct err *err)
{
	const struct bundle_options options = { .keyring = NULL };
	const char *reuse = d->options->reuse;

	if (reuse && fetch_is_url(reuse))
		return err_set(err, EX_USAGE, "--reuse=%s: must be a file; fetch it first", reuse);
	return reuse ? bundle_open(reuse, &options, &d->old, err) : 0;
}

int bundle_create(const struct bundle_create_options *options, struct err *err)
{
	_cleanup_(draft_free) struct draft *d = calloc(1, sizeof *d);

	if (d)
		d->manifest = calloc(1, sizeof *d->manifest);
	if (!d || !d->manifest)
		return no_memory(err);
	d->options = options;
	if (plan_make(d, err) < 0 || keys_check(options, err) < 0 ||
	    layout_check(d, err) < 0 || bundle_keys_check(options, err) < 0 || old_open(d, err) < 0 ||
	    roothash_check_files(d->manifest, d->files, err) < 0)
		return -1;
	if (options->loader && pack_loader(d, options->loader, err) < 0)
		return -1;
	for (size_t i = 0; i < d->manifest->payload_count; i++)
		if (pack_payload(d, &d->manifest->payloads[i], d->files[i], err) < 0)
			return -1;
	if (manifest_add(d, err) < 0)
		return -1;
	return zip_write(&d->zip, options->output, zip_check, err);
}
