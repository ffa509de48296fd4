/* SPDX-License-Identifier: MIT */
#include "http_files.h"

#include "io.h"
#include "redact.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#define FILE_MAX_BYTES ((size_t)4 << 20)

static int file_take(const char *key, const char *path, struct curl_blob *ret_blob, struct err *err)
{
	uint8_t *data = NULL;

	if (read_file(path, FILE_MAX_BYTES, &data, &ret_blob->len) < 0)
		return err_errno(err, EX_CONFIG, errno, "failed to read %s = %s", key, path);
	ret_blob->data = data;
	ret_blob->flags = CURL_BLOB_NOCOPY;
	return 0;
}

/* True for the names that openssl-rehash(1) makes: HASH.NUMBER. */
static bool is_hashed(const char *name)
{
	size_t hash = strspn(name, "0123456789abcdef");

	return hash == 8 && name[hash] == '.' && isdigit((unsigned char)name[hash + 1]);
}

/* What cannot be read is left out, as libcurl does. */
static void file_add(FILE *all, const char *path)
{
	_cleanup_free_ uint8_t *data = NULL;
	size_t len;

	if (read_file(path, FILE_MAX_BYTES, &data, &len) < 0)
		return;
	(void)fwrite(data, 1, len, all);
	(void)fputc('\n', all);
}

static void directory_add(FILE *all, const char *path)
{
	_cleanup_(cleanup_closedirp) DIR *dir = opendir(path);
	const struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		char name[PATH_MAX];

		if (is_hashed(entry->d_name) &&
		    snprintf(name, sizeof name, "%s/%s", path, entry->d_name) < (int)sizeof name)
			file_add(all, name);
	}
}

/* Reads the authorities that libcurl would use by default: its bundle file and its directory. */
static int system_take(struct curl_blob *blob, struct err *err)
{
	const curl_version_info_data *known = curl_version_info(CURLVERSION_NOW);
	char *text = NULL;
	bool lost = true;
	FILE *all;

	*blob = (struct curl_blob){ .flags = CURL_BLOB_NOCOPY };
	all = open_memstream(&text, &blob->len);
	if (all) {
		(void)fputc('\n', all);		/* empty would mean: not set */
		if (known->cainfo)
			file_add(all, known->cainfo);
		if (known->capath)
			directory_add(all, known->capath);
		lost = ferror(all);
		lost = fclose(all) != 0 || lost;
	}
	blob->data = text;
	return lost ? err_set(err, EX_SOFTWARE, "failed to read the system's authorities: out of memory") : 0;
}

int http_files_open(const struct http_options *options, struct http_files *ret_files, struct err *err)
{
	const char *key = options->client_key ? options->client_key : options->client_cert;

	if ((options->ca_file ? file_take("ca-file", options->ca_file, &ret_files->authorities, err)
			      : system_take(&ret_files->authorities, err)) < 0)
		return -1;
	if (!options->client_cert)
		return 0;
	redact_keep();
	if (file_take("client-cert", options->client_cert, &ret_files->cert, err) < 0)
		return -1;
	return file_take("client-key", key, &ret_files->key, err);
}

void http_files_close(struct http_files *files)
{
	if (files->key.data)
		explicit_bzero(files->key.data, files->key.len);
	if (files->cert.data)
		explicit_bzero(files->cert.data, files->cert.len);
	free(files->authorities.data);
	free(files->cert.data);
	free(files->key.data);
	*files = (struct http_files){ 0 };
}

int http_files_apply(CURL *easy, const struct http_files *files, struct err *err)
{
	static const CURLoption paths[] = { CURLOPT_CAINFO, CURLOPT_CAPATH, CURLOPT_PROXY_CAINFO,
					    CURLOPT_PROXY_CAPATH };
	static const CURLoption blobs[] = { CURLOPT_CAINFO_BLOB, CURLOPT_PROXY_CAINFO_BLOB };

	for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
		if (curl_easy_setopt(easy, paths[i], NULL) != CURLE_OK)
			return err_set(err, EX_SOFTWARE, "libcurl cannot leave out the system's "
				       "authorities");
	for (size_t i = 0; files->authorities.len > 0 && i < ARRAY_SIZE(blobs); i++)
		if (curl_easy_setopt(easy, blobs[i], &files->authorities) != CURLE_OK)
			return err_set(err, EX_SOFTWARE, "libcurl does not take the authorities");
	return 0;
}

int http_files_apply_client(CURL *easy, const struct http_files *files, struct err *err)
{
	if (curl_easy_setopt(easy, CURLOPT_SSLCERT_BLOB, &files->cert) != CURLE_OK ||
	    curl_easy_setopt(easy, CURLOPT_SSLKEY_BLOB, &files->key) != CURLE_OK)
		return err_set(err, EX_SOFTWARE, "libcurl does not take the client certificate");
	return 0;
}
