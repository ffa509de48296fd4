/* SPDX-License-Identifier: MIT */
#include "bundle_create.h"

#include "bundle.h"
#include "chunkindex.h"
#include "cms.h"
#include "digest.h"
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <string.h>
#include <zip.h>
#include <zstd.h>

#define LEVEL 3
#define DOS_DATE_1980 ((1 << 5) | 1)	/* MS-DOS date: 1 January 1980 */

/* What goes into the ZIP. */
struct draft {
	struct manifest *manifest;
	FILE *frames[MANIFEST_MAX_PAYLOADS];		/* temporary files without a name */
	uint8_t *indexes[MANIFEST_MAX_PAYLOADS];
	char *json;
	uint8_t *p7s;
	size_t p7s_len;
};

static void draft_clear(struct draft *d)
{
	for (size_t i = 0; i < MANIFEST_MAX_PAYLOADS; i++) {
		if (d->frames[i])
			(void)fclose(d->frames[i]);
		free(d->indexes[i]);
	}
	manifest_free(d->manifest);
	free(d->json);
	free(d->p7s);
}

static void zip_discardp(zip_t **zip)
{
	if (*zip)
		zip_discard(*zip);
}

static int no_memory(struct err *err)
{
	return err_set(err, EX_SOFTWARE, "failed to make a bundle: out of memory");
}

/* Reads up to len bytes, fewer only at the end. */
static int chunk_read(const char *path, int fd, uint8_t *buf, size_t len, size_t *ret_len,
		      struct err *err)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = read(fd, buf + done, len - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno(err, EX_NOINPUT, errno, "failed to read %s", path);
		if (n == 0)
			break;
		done += (size_t)n;
	}
	*ret_len = done;
	return 0;
}

static int chunk_add(struct chunkindex *index, FILE *to, const uint8_t *buf, size_t len,
		     struct err *err)
{
	size_t max = ZSTD_compressBound(len);
	_cleanup_free_ uint8_t *frame = malloc(max);
	struct chunk *bigger = reallocarray(index->chunks, index->count + 1, sizeof *bigger);
	size_t n;

	if (bigger)
		index->chunks = bigger;
	if (!frame || !bigger)
		return no_memory(err);
	n = ZSTD_compress(frame, max, buf, len, LEVEL);
	if (ZSTD_isError(n) ||
	    EVP_Digest(buf, len, bigger[index->count].sha256, NULL, EVP_sha256(), NULL) != 1)
		return no_memory(err);
	bigger[index->count++].frame = (uint32_t)n;
	if (fwrite(frame, 1, n, to) != n)
		return err_errno(err, EX_IOERR, errno, "failed to write a temporary file");
	return 0;
}

static int payload_pack(const char *path, int fd, FILE *to, EVP_MD_CTX *md, struct payload *p,
			struct chunkindex *index, struct err *err)
{
	size_t cap = (size_t)1 << CHUNK_DEFAULT_LOG, n;
	_cleanup_free_ uint8_t *buf = malloc(cap);

	if (!buf || EVP_DigestInit_ex(md, EVP_sha256(), NULL) != 1)
		return no_memory(err);
	do {
		if (chunk_read(path, fd, buf, cap, &n, err) < 0)
			return -1;
		if (p->type == PAYLOAD_UKI && p->size == 0 && (n < 2 || memcmp(buf, "MZ", 2) != 0))
			return err_set(err, EX_DATAERR, "%s is not a UKI: a PE file begins "
				       "with MZ", path);
		if (n > 0 && chunk_add(index, to, buf, n, err) < 0)
			return -1;
		if (EVP_DigestUpdate(md, buf, n) != 1)
			return no_memory(err);
		p->size += n;
	} while (n == cap);
	if (p->size == 0)
		return err_set(err, EX_DATAERR, "%s is empty", path);
	index->size = p->size;
	index->chunk_log = CHUNK_DEFAULT_LOG;
	return EVP_DigestFinal_ex(md, p->sha256, NULL) == 1 ? 0 : no_memory(err);
}

static int payload_index(struct payload *p, const struct chunkindex *index, uint8_t **ret_data,
			 struct err *err)
{
	size_t len;

	if (chunkindex_encode(index, ret_data, &len, err) < 0)
		return -1;
	p->index.size = len;
	if (asprintf(&p->index.file, "%s.index", p->name) < 0) {
		p->index.file = NULL;
		return no_memory(err);
	}
	return EVP_Digest(*ret_data, len, p->index.sha256, NULL, EVP_sha256(), NULL) == 1
		? 0 : no_memory(err);
}

/* Adds a payload; root_hash may be NULL. */
static int payload_add(struct draft *d, enum payload_type type, const char *name,
		       const char *file, const char *root_hash, struct err *err)
{
	struct manifest *m = d->manifest;
	size_t k = m->payload_count++;
	struct payload *p = &m->payloads[k];
	_cleanup_(md_ctx_freep) EVP_MD_CTX *md = EVP_MD_CTX_new();
	_cleanup_(chunkindex_clear) struct chunkindex index = { 0 };
	_cleanup_close_ int fd = -1;

	p->type = type;
	p->name = strdup(name);
	p->root_hash = root_hash ? strdup(root_hash) : NULL;
	d->frames[k] = tmpfile();
	if (!md || !d->frames[k] || !p->name || (root_hash && !p->root_hash))
		return no_memory(err);
	if (asprintf(&p->file, "%s.%s.zst", name, type == PAYLOAD_UKI ? "efi" : "img") < 0) {
		p->file = NULL;
		return no_memory(err);
	}
	fd = open(file, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_errno(err, EX_NOINPUT, errno, "failed to open %s", file);
	if (payload_pack(file, fd, d->frames[k], md, p, &index, err) < 0)
		return -1;
	if (fseek(d->frames[k], 0, SEEK_SET) != 0)	/* flushes */
		return err_errno(err, EX_IOERR, errno, "failed to write a temporary file");
	return payload_index(p, &index, &d->indexes[k], err);
}

static int draft_payloads(struct draft *d, const struct bundle_create_options *o,
			  struct err *err)
{
	if (o->image_count > MANIFEST_MAX_PAYLOADS - 1)
		return err_set(err, EX_DATAERR, "too many images: at most %d",
			       MANIFEST_MAX_PAYLOADS - 1);
	d->manifest->compatible = strdup(o->compatible);
	d->manifest->version = strdup(o->version);
	if (!d->manifest->compatible || !d->manifest->version)
		return no_memory(err);
	if (payload_add(d, PAYLOAD_UKI, "uki", o->uki, NULL, err) < 0)
		return -1;
	for (size_t i = 0; i < o->image_count; i++)
		if (payload_add(d, PAYLOAD_IMAGE, o->images[i].name, o->images[i].file,
				o->images[i].root_hash, err) < 0)
			return -1;
	return 0;
}

/* The reader's own parser has the last word on names and values. */
static int draft_sign(struct draft *d, const struct bundle_create_options *o, struct err *err)
{
	_cleanup_(manifest_freep) struct manifest *parsed = NULL;

	if (manifest_format(d->manifest, &d->json, err) < 0 ||
	    manifest_parse((const uint8_t *)d->json, strlen(d->json), &parsed, err) < 0)
		return -1;
	return cms_sign_detached((const uint8_t *)d->json, strlen(d->json), o->key, o->cert,
				 &d->p7s, &d->p7s_len, err);
}

/* A fixed time (as MS-DOS numbers: libzip would turn a time_t into local time)
 * and fixed attributes, so that only the inputs decide the bytes. Takes source. */
static int entry_add(zip_t *zip, const char *name, zip_source_t *source, struct err *err)
{
	zip_int64_t index = source ? zip_file_add(zip, name, source, ZIP_FL_ENC_UTF_8) : -1;
	zip_uint64_t i = (zip_uint64_t)index;

	if (index < 0 && source)
		zip_source_free(source);
	if (index < 0 ||
	    zip_set_file_compression(zip, i, ZIP_CM_STORE, 0) < 0 ||
	    zip_file_set_dostime(zip, i, 0, DOS_DATE_1980, 0) < 0 ||
	    zip_file_set_external_attributes(zip, i, 0, ZIP_OPSYS_UNIX, 0100644U << 16) < 0)
		return err_set(err, EX_IOERR, "failed to add %s to the bundle: %s", name,
			       zip_strerror(zip));
	return 0;
}

static int zip_write(struct draft *d, const char *path, struct err *err)
{
	int code = 0;
	_cleanup_(zip_discardp) zip_t *zip = zip_open(path, ZIP_CREATE | ZIP_TRUNCATE, &code);
	const struct manifest *m = d->manifest;

	if (!zip)
		return err_errno(err, EX_IOERR, errno, "failed to create %s", path);
	if (entry_add(zip, "manifest.json",
		      zip_source_buffer(zip, d->json, strlen(d->json), 0), err) < 0 ||
	    entry_add(zip, "manifest.p7s", zip_source_buffer(zip, d->p7s, d->p7s_len, 0),
		      err) < 0)
		return -1;
	for (size_t i = 0; i < m->payload_count; i++) {
		const struct payload *p = &m->payloads[i];
		FILE *frames = d->frames[i];

		d->frames[i] = NULL;	/* libzip closes it */
		if (entry_add(zip, p->index.file,
			      zip_source_buffer(zip, d->indexes[i], p->index.size, 0), err) < 0 ||
		    entry_add(zip, p->file, zip_source_filep(zip, frames, 0, -1), err) < 0)
			return -1;
	}
	if (zip_close(zip) < 0)
		return err_set(err, EX_IOERR, "failed to write %s: %s", path, zip_strerror(zip));
	zip = NULL;
	return 0;
}

/* Reads the bundle as a machine would: a payload that changed between hashing
 * and packing shows here and not in the field. */
static int zip_check(const char *path, struct err *err)
{
	const struct bundle_options options = { .keyring = NULL };
	_cleanup_(bundle_closep) struct bundle *b = NULL;
	const struct manifest *m;

	if (bundle_open(path, &options, &b, err) < 0)
		return -1;
	m = bundle_manifest(b);
	for (size_t i = 0; i < m->payload_count; i++)
		if (bundle_extract(b, &m->payloads[i], NULL, NULL, NULL, err) < 0)
			return -1;
	return 0;
}

static int path_fsync(const char *path, struct err *err)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || fsync(fd) < 0)
		return err_errno(err, EX_IOERR, errno, "failed to flush %s", path);
	return 0;
}

static int zip_publish(const char *temporary, const char *output, struct err *err)
{
	_cleanup_free_ char *copy = strdup(output);

	if (!copy)
		return no_memory(err);
	if (path_fsync(temporary, err) < 0)
		return -1;
	if (rename(temporary, output) < 0)
		return err_errno(err, EX_IOERR, errno, "failed to rename %s to %s", temporary,
				 output);
	return path_fsync(dirname(copy), err);
}

int bundle_create(const struct bundle_create_options *options, struct err *err)
{
	_cleanup_(draft_clear) struct draft d = { .manifest = calloc(1, sizeof *d.manifest) };
	_cleanup_free_ char *temporary = NULL;

	if (!d.manifest)
		return no_memory(err);
	if (draft_payloads(&d, options, err) < 0 || draft_sign(&d, options, err) < 0)
		return -1;
	if (asprintf(&temporary, "%s.%d.tmp", options->output, getpid()) < 0) {
		temporary = NULL;
		return no_memory(err);
	}
	if (zip_write(&d, temporary, err) < 0 ||
	    zip_check(temporary, err) < 0 ||
	    zip_publish(temporary, options->output, err) < 0) {
		(void)unlink(temporary);
		return -1;
	}
	return 0;
}
