/* SPDX-License-Identifier: MIT */
#include "bundle_source.h"

#include "fetch.h"
#include "io.h"

#include <curl/curl.h>
#include <string.h>
#include <strings.h>

static void curl_url_cleanupp(CURLU **url)
{
	curl_url_cleanup(*url);
}

static void curl_freep(char **text)
{
	curl_free(*text);
}

/* file:///a%20b is /a b. */
static int file_url_path(const char *url, char **ret_path, struct err *err)
{
	_cleanup_(curl_url_cleanupp) CURLU *parts = curl_url();
	_cleanup_(curl_freep) char *path = NULL;

	if (!parts || curl_url_set(parts, CURLUPART_URL, url, 0) != CURLUE_OK ||
	    curl_url_get(parts, CURLUPART_PATH, &path, CURLU_URLDECODE) != CURLUE_OK)
		return err_set(err, EX_USAGE, "%s is not a URL of a file", url);
	*ret_path = strdup(path);
	return *ret_path ? 0 : err_set(err, EX_SOFTWARE, "failed to open %s: out of memory", url);
}

static int path_of(const char *where, char **ret_path, struct err *err)
{
	if (strncasecmp(where, "file://", 7) == 0)
		return file_url_path(where, ret_path, err);
	*ret_path = strdup(where);
	return *ret_path ? 0 : err_set(err, EX_SOFTWARE, "failed to open %s: out of memory", where);
}

int bundle_source_open(const char *where, const struct bundle_source_options *options,
		       struct bundle_source **ret_source, struct err *err)
{
	_cleanup_free_ char *path = NULL;

	if (fetch_is_url(where))
		return bundle_source_http_open(where, options, ret_source, err);
	if (path_of(where, &path, err) < 0)
		return -1;
	return bundle_source_file_open(path, ret_source, err);
}

void bundle_source_close(struct bundle_source *source)
{
	if (source)
		source->close(source);
}

void bundle_source_closep(struct bundle_source **source)
{
	bundle_source_close(*source);
}
