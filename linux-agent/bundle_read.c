/* SPDX-License-Identifier: MIT */
#include "bundle.h"

#include "cms.h"
#include "fetch.h"
#include "digest.h"
#include "util.h"
#include "zipentry.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <zstd.h>

#define CHUNK_BYTES (1024 * 1024)

struct bundle {
	char *where;
	zip_t *zip;
	uint8_t *json, *p7s;		/* p7s: NULL if there is none and none was needed */
	size_t json_len, p7s_len;
	struct manifest *manifest;
	char *signer;			/* NULL: not checked */
};

static int no_memory(struct err *err)
{
	return err_set(err, EX_SOFTWARE, "failed to read a bundle: out of memory");
}

/* A file without a name: gone when it is closed, however this process ends. */
static int temporary_open(const char *dir, int *ret_fd, struct err *err)
{
	int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR)) {
		_cleanup_free_ char *name = NULL;

		if (asprintf(&name, "%s/slotctl-XXXXXX", dir) < 0)
			return no_memory(err);
		fd = mkostemp(name, O_CLOEXEC);
		if (fd >= 0)
			(void)unlink(name);
	}
	if (fd < 0)
		return err_errno(err, errno == ENOENT ? EX_CONFIG : EX_IOERR, errno,
				 "failed to create a temporary file in %s (download-dir)", dir);
	*ret_fd = fd;
	return 0;
}

static int remote_open(const char *url, const struct bundle_options *options, int *ret_fd,
		       struct err *err)
{
	const char *dir = options->download_dir ? options->download_dir : "/var/tmp";
	_cleanup_close_ int fd = -1;
	uint64_t len;

	if (temporary_open(dir, &fd, err) < 0 ||
	    fetch_to_fd(url, options->fetch, fd, &len, err) < 0)
		return -1;
	*ret_fd = fd;
	fd = -1;
	return 0;
}

/* O_NONBLOCK: opening a FIFO by mistake must not wait for its writer. */
static int local_open(const char *path, int *ret_fd, struct err *err)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_errno(err, EX_NOINPUT, errno, "failed to open the bundle %s", path);
	if (!S_ISREG(st.st_mode))
		return err_set(err, EX_NOINPUT,
			       "failed to open the bundle %s: it is not a regular file", path);
	*ret_fd = fd;
	fd = -1;
	return 0;
}

static int payload_open(const struct bundle *b, const struct payload *p, zip_file_t **ret_file,
			struct err *err)
{
	_cleanup_(zip_fclosep) zip_file_t *file = NULL;
	uint64_t size;

	if (zipentry_open(b->zip, p->file, &file, &size, err) < 0)
		return -1;
	if (!file)
		return err_set(err, EX_DATAERR,
			       "%s is missing: the manifest names it, the ZIP has none", p->file);
	*ret_file = file;
	file = NULL;
	return 0;
}

/* Everything that can be said without unpacking a payload, said before a slot is
 * touched. The manifest is parsed only after its signature proved good. */
static int bundle_check_manifest(struct bundle *b, const char *keyring,
				 const struct cms_rules *rules, struct err *err)
{
	if (zipentry_read(b->zip, "manifest.json", MANIFEST_MAX_BYTES, &b->json, &b->json_len,
		       err) < 0 ||
	    zipentry_read(b->zip, "manifest.p7s", CMS_MAX_BYTES, &b->p7s, &b->p7s_len, err) < 0)
		return -1;
	if (!b->json)
		return err_set(err, EX_DATAERR, "it has no manifest.json");
	if (keyring && !b->p7s)
		return err_set(err, EX_DATAERR, "it is not signed: it has no manifest.p7s");
	if (keyring && cms_verify_detached(b->json, b->json_len, b->p7s, b->p7s_len, keyring,
					   rules, &b->signer, err) < 0)
		return -1;
	if (manifest_parse(b->json, b->json_len, &b->manifest, err) < 0)
		return -1;
	for (size_t i = 0; i < b->manifest->payload_count; i++) {
		_cleanup_(zip_fclosep) zip_file_t *file = NULL;

		if (payload_open(b, &b->manifest->payloads[i], &file, err) < 0)
			return -1;
	}
	return 0;
}

int bundle_open(const char *where, const struct bundle_options *options,
		struct bundle **ret_bundle, struct err *err)
{
	_cleanup_(bundle_closep) struct bundle *b = calloc(1, sizeof *b);
	int fd = -1;

	if (!b)
		return no_memory(err);
	b->where = strdup(where);
	if (!b->where)
		return no_memory(err);
	if ((fetch_is_url(where) ? remote_open(where, options, &fd, err)
				 : local_open(where, &fd, err)) < 0)
		return -1;
	if (zipentry_archive_open(fd, &b->zip, err) < 0 ||
	    bundle_check_manifest(b, options->keyring, options->rules, err) < 0)
		return err_prefix(err, "bundle %s", where);
	*ret_bundle = b;
	b = NULL;
	return 0;
}

void bundle_close(struct bundle *bundle)
{
	if (!bundle)
		return;
	if (bundle->zip)
		zip_discard(bundle->zip);
	manifest_free(bundle->manifest);
	free(bundle->json);
	free(bundle->p7s);
	free(bundle->signer);
	free(bundle->where);
	free(bundle);
}

void bundle_closep(struct bundle **bundle)
{
	bundle_close(*bundle);
}

const struct manifest *bundle_manifest(const struct bundle *bundle)
{
	return bundle->manifest;
}

void bundle_manifest_bytes(const struct bundle *bundle, const uint8_t **ret_json,
			   size_t *ret_json_len, const uint8_t **ret_p7s, size_t *ret_p7s_len)
{
	*ret_json = bundle->json;
	*ret_json_len = bundle->json_len;
	*ret_p7s = bundle->p7s;
	*ret_p7s_len = bundle->p7s_len;
}

const char *bundle_signer(const struct bundle *bundle)
{
	return bundle->signer;
}

/* Where the bytes of one extraction go. */
struct stream {
	bundle_sink_fn *sink;
	void *ctx;
	const volatile int *cancel;
	EVP_MD_CTX *md;
	ZSTD_DStream *zstd;
	zip_file_t *file;
	ZSTD_inBuffer in;	/* frames read and not decoded yet */
	bool foreign_error;	/* the sink's or the signal's, not the bundle's */
};

static int chunk_take(struct stream *s, const uint8_t *chunk, size_t len, struct err *err)
{
	if (EVP_DigestUpdate(s->md, chunk, len) != 1)
		return no_memory(err);
	if (s->sink && s->sink(s->ctx, chunk, len, err) < 0) {
		s->foreign_error = true;
		return -1;
	}
	return 0;
}

/* Decodes at most cap bytes of the frames; *ret_len is 0 only at their end. */
static int frames_read(struct stream *s, const struct payload *p, uint8_t *frames, uint8_t *out,
		       size_t cap, size_t *ret_len, struct err *err)
{
	ZSTD_outBuffer to = { out, cap, 0 };

	while (to.pos == 0) {
		size_t before = s->in.pos, r = ZSTD_decompressStream(s->zstd, &to, &s->in);
		zip_int64_t n;

		if (ZSTD_isError(r))
			return err_set(err, EX_DATAERR, "%s is damaged: %s", p->file,
				       ZSTD_getErrorName(r));
		if (to.pos > 0 || s->in.pos > before)
			continue;
		n = zip_fread(s->file, frames, CHUNK_BYTES);
		if (n < 0)
			return zipentry_damaged(p->file, s->file, err);
		if (n == 0)
			break;
		s->in = (ZSTD_inBuffer){ frames, (size_t)n, 0 };
	}
	*ret_len = to.pos;
	return 0;
}

/* Never asks for more than is left, so that a bomb cannot overrun the sink. */
static int payload_stream(const struct payload *p, struct stream *s, struct err *err)
{
	_cleanup_free_ uint8_t *chunk = malloc(CHUNK_BYTES), *frames = malloc(CHUNK_BYTES);
	size_t n;

	if (!chunk || !frames)
		return no_memory(err);
	for (uint64_t left = p->size; left > 0; left -= n) {
		if (s->cancel && *s->cancel) {
			s->foreign_error = true;
			return err_set(err, EX_TEMPFAIL, "cancelled by a signal");
		}
		if (frames_read(s, p, frames, chunk, left < CHUNK_BYTES ? left : CHUNK_BYTES, &n,
				err) < 0)
			return -1;
		if (n == 0)
			return err_set(err, EX_DATAERR, "%s is shorter than the manifest says",
				       p->file);
		if (chunk_take(s, chunk, n, err) < 0)
			return -1;
	}
	if (frames_read(s, p, frames, chunk, 1, &n, err) < 0)	/* the CRC is compared here */
		return -1;
	if (n > 0)
		return err_set(err, EX_DATAERR, "%s is larger than the manifest says", p->file);
	return 0;
}

static int digest_compare(const struct payload *p, EVP_MD_CTX *md, struct err *err)
{
	char is[65], should[65];
	uint8_t digest[32];

	if (EVP_DigestFinal_ex(md, digest, NULL) != 1)
		return no_memory(err);
	if (memcmp(digest, p->sha256, sizeof digest) == 0)
		return 0;
	hex_encode(digest, sizeof digest, is);
	hex_encode(p->sha256, sizeof p->sha256, should);
	return err_set(err, EX_DATAERR, "%s is damaged or altered: its SHA-256 is %s, the "
		       "manifest says %s", p->file, is, should);
}

static void zstd_freep(ZSTD_DStream **zstd)
{
	(void)ZSTD_freeDStream(*zstd);
}

int bundle_extract(struct bundle *bundle, const struct payload *payload, bundle_sink_fn *sink,
		   void *ctx, const volatile int *cancel, struct err *err)
{
	_cleanup_(zip_fclosep) zip_file_t *file = NULL;
	_cleanup_(md_ctx_freep) EVP_MD_CTX *md = EVP_MD_CTX_new();
	_cleanup_(zstd_freep) ZSTD_DStream *zstd = ZSTD_createDStream();
	struct stream stream = { .sink = sink, .ctx = ctx, .cancel = cancel, .md = md,
				 .zstd = zstd };

	if (!md || !zstd || EVP_DigestInit_ex(md, EVP_sha256(), NULL) != 1)
		return no_memory(err);
	if (payload_open(bundle, payload, &file, err) < 0)
		return err_prefix(err, "bundle %s", bundle->where);
	stream.file = file;
	if (payload_stream(payload, &stream, err) < 0 ||
	    digest_compare(payload, md, err) < 0)
		return stream.foreign_error ? -1 : err_prefix(err, "bundle %s", bundle->where);
	return 0;
}
