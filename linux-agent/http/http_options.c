/* SPDX-License-Identifier: MIT */
#include "http_options.h"

#include "http_files.h"
#include "redact.h"
#include "io.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#define SECRET_MAX_BYTES (64 * 1024)

static int no_memory(struct err *err)
{
	return err_set(err, EX_SOFTWARE, "failed to set up libcurl: out of memory");
}

static int mode_check(const char *key, const char *path, const struct stat *st, struct err *err)
{
	if (redact_check_mode(path, st, err) == 0)
		return 0;
	return err_prefix(err, "failed to read %s = %s", key, path);
}

/* Reads a file that nobody else may read, and adds a NUL. */
static int secret_read(const char *key, const char *path, char **ret_text, struct err *err)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	_cleanup_free_ char *text = NULL;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_errno(err, EX_CONFIG, errno, "failed to read %s = %s", key, path);
	if (!S_ISREG(st.st_mode) || st.st_size > SECRET_MAX_BYTES)
		return err_set(err, EX_CONFIG, "failed to read %s = %s: it is not a file of at "
			       "most %d bytes", key, path, SECRET_MAX_BYTES);
	if (mode_check(key, path, &st, err) < 0)
		return -1;
	text = calloc(1, (size_t)st.st_size + 1);
	if (!text)
		return no_memory(err);
	redact_keep();
	if (pread_full(fd, text, (size_t)st.st_size, 0) < 0)
		return err_errno(err, EX_CONFIG, errno, "failed to read %s = %s", key, path);
	if (strlen(text) != (size_t)st.st_size)
		return err_set(err, EX_CONFIG, "failed to read %s = %s: it is not text", key, path);
	*ret_text = text;
	text = NULL;
	return 0;
}

static int header_append(struct http_options_session *s, const char *line, struct err *err)
{
	struct curl_slist *longer = curl_slist_append(s->headers, line);

	if (!longer)
		return no_memory(err);
	s->headers = longer;
	return 0;
}

static bool is_visible(const char *text)
{
	for (; *text; text++)
		if (*text <= 0x20 || *text >= 0x7f)
			return false;
	return true;
}

/* Takes one word (RFC 6750) and drops the newline that an editor adds. */
static int token_load(struct http_options_session *s, struct err *err)
{
	const char *path = s->options->token_file;
	_cleanup_free_ char *token = NULL, *header = NULL;
	int r;

	if (secret_read("token-file", path, &token, err) < 0)
		return -1;
	token[strcspn(token, "\r\n")] = 0;
	if (!*token || !is_visible(token))
		r = err_set(err, EX_CONFIG, "failed to read token-file = %s: its first line is "
			    "not one word", path);
	else if (asprintf(&header, "Authorization: Bearer %s", token) < 0)
		r = no_memory(err);
	else
		r = header_append(s, header, err);
	redact_wipe(token);
	if (r == 0)
		redact_wipe(header);
	return r;
}

/* True for "Name: value" without characters that would end the header or the request. */
static bool header_is_sound(const char *line)
{
	size_t name = strcspn(line, ":");

	if (name == 0 || line[name] != ':' || strcspn(line, " \t") < name)
		return false;
	for (const char *p = line; *p; p++)
		if (((unsigned char)*p < 0x20 && *p != '\t') || *p == 0x7f)
			return false;
	return true;
}

static int headers_load(struct http_options_session *s, struct err *err)
{
	const char *path = s->options->header_file;
	_cleanup_free_ char *text = NULL;
	char *rest, *line;
	unsigned number = 0;
	int r = 0;

	if (secret_read("header-file", path, &text, err) < 0)
		return -1;
	rest = text;
	while (r == 0 && (line = strsep(&rest, "\n"))) {
		number++;
		line[strcspn(line, "\r")] = 0;
		if (*line && *line != '#')
			r = header_is_sound(line)
				? header_append(s, line, err)
				: err_set(err, EX_CONFIG, "failed to read header-file = %s: line "
					  "%u is not Name: value", path, number);
		redact_wipe(line);
	}
	if (rest)
		redact_wipe(rest);
	return r;
}

int http_options_open(const struct http_options *options, struct http_options_session *ret_session,
		      struct err *err)
{
	ret_session->options = options;
	if (options->token_file && token_load(ret_session, err) < 0)
		return -1;
	if (options->header_file && headers_load(ret_session, err) < 0)
		return -1;
	return ret_session->files_end ? http_files_open(options, &ret_session->files, err) : 0;
}

void http_options_close(struct http_options_session *session)
{
	for (struct curl_slist *line = session->headers; line; line = line->next)
		redact_wipe(line->data);
	curl_slist_free_all(session->headers);
	session->headers = NULL;
	http_files_close(&session->files);
}

static bool is_pkcs11(const char *name)
{
	return strncasecmp(name, "pkcs11:", 7) == 0;
}

bool http_options_has_token(const struct http_options *options)
{
	return options->client_cert &&
	       (is_pkcs11(options->client_cert) ||
		(options->client_key && is_pkcs11(options->client_key)));
}

static int string_apply(CURL *easy, CURLoption option, const char *key, const char *value,
			struct err *err)
{
	CURLcode code = value ? curl_easy_setopt(easy, option, value) : CURLE_OK;

	if (code != CURLE_OK)
		return err_set(err, EX_CONFIG, "libcurl does not take %s: %s", key,
			       curl_easy_strerror(code));
	return 0;
}

/* Checks for the file now: if it were missing, the handshake would fail and be retried. */
static int file_check(const char *key, const char *path, struct err *err)
{
	if (path && !is_pkcs11(path) && access(path, R_OK) < 0)
		return err_errno(err, EX_CONFIG, errno, "failed to read %s = %s", key, path);
	return 0;
}

static const char *client_key(const struct http_options *o)
{
	return o->client_key ? o->client_key : o->client_cert;
}

/* Nobody else may read the key, as with a token. */
static int client_check(const struct http_options *o, struct err *err)
{
	const char *key = client_key(o);
	struct stat st;

	if (file_check("client-cert", o->client_cert, err) < 0 ||
	    file_check("client-key", key, err) < 0)
		return -1;
	if (is_pkcs11(key))
		return 0;
	redact_keep();
	if (stat(key, &st) < 0)
		return err_errno(err, EX_CONFIG, errno, "failed to read client-key = %s", key);
	return mode_check(o->client_key ? "client-key" : "client-cert", key, &st, err);
}

/* For a host other than that of the configured URL. */
static int client_hide(CURL *easy, struct err *err)
{
	static const CURLoption all[] = { CURLOPT_SSLCERT, CURLOPT_SSLKEY, CURLOPT_SSLCERTTYPE,
					  CURLOPT_SSLKEYTYPE, CURLOPT_SSLCERT_BLOB,
					  CURLOPT_SSLKEY_BLOB };

	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		if (curl_easy_setopt(easy, all[i], NULL) != CURLE_OK)
			return no_memory(err);
	return 0;
}

/* libcurl uses tokens through OpenSSL's pkcs11 engine (package libengine-pkcs11-openssl);
 * certificate and key are selected separately. */
static int client_apply(CURL *easy, const struct http_options *o, struct err *err)
{
	const char *key = client_key(o);
	const bool cert_token = is_pkcs11(o->client_cert), key_token = is_pkcs11(key);

	if ((cert_token || key_token) &&
	    curl_easy_setopt(easy, CURLOPT_SSLENGINE, "pkcs11") != CURLE_OK)
		return err_set(err, EX_CONFIG, "failed to use client-cert and client-key with "
			       "PKCS#11: libcrypto has no engine pkcs11; install "
			       "libengine-pkcs11-openssl");
	if (string_apply(easy, CURLOPT_SSLCERTTYPE, "client-cert", cert_token ? "ENG" : "PEM",
			 err) < 0 ||
	    string_apply(easy, CURLOPT_SSLKEYTYPE, "client-key", key_token ? "ENG" : "PEM",
			 err) < 0 ||
	    string_apply(easy, CURLOPT_SSLCERT, "client-cert", o->client_cert, err) < 0)
		return -1;
	return string_apply(easy, CURLOPT_SSLKEY, "client-key", key, err);
}

static bool speeds_apply(CURL *easy, const struct http_options *o)
{
	unsigned least = o->low_speed ? o->low_speed : 100;
	unsigned seconds = o->low_speed_s ? o->low_speed_s : 60;

	if (o->rate_limit && least > o->rate_limit / 2)
		least = o->rate_limit / 2;
	return curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, (long)least) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, (long)seconds) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_MAX_RECV_SPEED_LARGE, (curl_off_t)o->rate_limit) ==
		       CURLE_OK;
}

/* Debian's libcurl searches both a file and a directory of authorities. */
static int authorities_apply(CURL *easy, const char *file, struct err *err)
{
	if (curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2) != CURLE_OK ||
	    curl_easy_setopt(easy, CURLOPT_PROXY_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2) !=
		    CURLE_OK)
		return err_set(err, EX_SOFTWARE, "libcurl does not take TLS 1.2");
	if (!file)
		return 0;
	if (file_check("ca-file", file, err) < 0 ||
	    string_apply(easy, CURLOPT_CAINFO, "ca-file", file, err) < 0 ||
	    string_apply(easy, CURLOPT_PROXY_CAINFO, "ca-file", file, err) < 0)
		return -1;
	if (curl_easy_setopt(easy, CURLOPT_CAPATH, NULL) != CURLE_OK ||
	    curl_easy_setopt(easy, CURLOPT_PROXY_CAPATH, NULL) != CURLE_OK)
		return err_set(err, EX_SOFTWARE, "libcurl cannot leave out the system's authorities");
	return 0;
}

int http_options_apply(CURL *easy, const struct http_options_session *session, struct err *err)
{
	const struct http_options *o = session->options;
	const char *proxy = o->proxy && strcmp(o->proxy, "none") == 0 ? "" : o->proxy;

	if (authorities_apply(easy, o->ca_file, err) < 0 ||
	    string_apply(easy, CURLOPT_PINNEDPUBLICKEY, "pin", o->pin, err) < 0 ||
	    string_apply(easy, CURLOPT_PROXY, "proxy", proxy, err) < 0 ||
	    (o->client_cert && client_check(o, err) < 0))
		return -1;
	if (!speeds_apply(easy, o))
		return err_set(err, EX_CONFIG, "libcurl does not take rate-limit or low-speed");
	return session->files_end ? http_files_apply(easy, &session->files, err) : 0;
}

/* Compares one part of both URLs; a missing port counts as the scheme's default. */
static bool part_is_same(CURLU *a, CURLU *b, CURLUPart part)
{
	char *x = NULL, *y = NULL;
	bool same = curl_url_get(a, part, &x, CURLU_DEFAULT_PORT) == CURLUE_OK &&
		    curl_url_get(b, part, &y, CURLU_DEFAULT_PORT) == CURLUE_OK &&
		    strcasecmp(x, y) == 0;

	curl_free(x);
	curl_free(y);
	return same;
}

static bool origin_is_same(const char *origin, const char *url)
{
	CURLU *a = curl_url(), *b = curl_url();
	bool same = a && b && curl_url_set(a, CURLUPART_URL, origin, 0) == CURLUE_OK &&
		    curl_url_set(b, CURLUPART_URL, url, 0) == CURLUE_OK &&
		    part_is_same(a, b, CURLUPART_SCHEME) && part_is_same(a, b, CURLUPART_HOST) &&
		    part_is_same(a, b, CURLUPART_PORT);

	curl_url_cleanup(a);
	curl_url_cleanup(b);
	return same;
}

static bool has_user(const char *url)
{
	CURLU *parts = curl_url();
	char *user = NULL;
	bool has = parts && curl_url_set(parts, CURLUPART_URL, url, 0) == CURLUE_OK &&
		   curl_url_get(parts, CURLUPART_USER, &user, 0) == CURLUE_OK;

	curl_free(user);
	curl_url_cleanup(parts);
	return has;
}

int http_options_check_url(const struct http_options *o, const char *url, struct err *err)
{
	const struct { const char *key, *value; } keys[] = {
		{ "token-file", o->token_file }, { "header-file", o->header_file },
		{ "client-cert", o->client_cert }, { "ca-file", o->ca_file }, { "pin", o->pin },
	};

	if (strncasecmp(url, "http://", 7) != 0)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (keys[i].value)
			return err_set(err, EX_CONFIG, "%s is for https only, and %s is http: use "
				       "https, or take the key out", keys[i].key, url);
	if (has_user(url))
		return err_set(err, EX_CONFIG, "the user and password of %s would be sent in the "
			       "clear: use https", url);
	return 0;
}

int http_options_apply_url(CURL *easy, const struct http_options_session *session, const char *origin,
			   const char *url, struct err *err)
{
	const struct http_options *o = session->options;
	bool named = origin_is_same(origin, url);
	int r = 0;

	if (curl_easy_setopt(easy, CURLOPT_HTTPHEADER, named ? session->headers : NULL) != CURLE_OK)
		return no_memory(err);
	if (o->client_cert && !named)
		r = client_hide(easy, err);
	else if (o->client_cert && session->files_end)
		r = http_files_apply_client(easy, &session->files, err);
	else if (o->client_cert)
		r = client_apply(easy, o, err);
	if (r < 0)
		return -1;
	/* Behind a proxy, the headers are for the server and not for the proxy. */
	if (curl_easy_setopt(easy, CURLOPT_HEADEROPT, (long)CURLHEADER_SEPARATE) != CURLE_OK)
		return no_memory(err);
	return 0;
}

const char *http_options_explain(const struct http_options *options, CURLcode code)
{
	switch (code) {
	case CURLE_SSL_PINNEDPUBKEYNOTMATCH:
		return "the server's public key is not the configured one (pin)";
	case CURLE_SSL_CERTPROBLEM:
		return options->client_cert ? "the client certificate cannot be used (client-cert, "
					      "client-key)" : NULL;
	case CURLE_SSL_CACERT_BADFILE:
		return "the certificate authorities cannot be read (ca-file)";
	case CURLE_SSL_ENGINE_NOTFOUND:
	case CURLE_SSL_ENGINE_SETFAILED:
	case CURLE_SSL_ENGINE_INITFAILED:
		return "the PKCS#11 token cannot be used (client-cert, client-key)";
	default:
		return NULL;
	}
}
