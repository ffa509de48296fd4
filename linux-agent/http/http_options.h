/* SPDX-License-Identifier: MIT */
/*
 * How https is done, as the configuration says: whom to trust, who we are, what
 * to send, how to get out, how fast. Secrets come from files that only their
 * owner may read, are sent over https alone, to the scheme, host and port of the
 * URL that was named and not to where it redirects, and are never printed.
 */
#pragma once

#include "err.h"

#include <curl/curl.h>
#include <stdbool.h>

#define HTTPOPTS_REDIRECTS 8

struct http_options {
	const char *ca_file;		/* PEM, in the place of the system's; NULL: the system's */
	const char *pin;		/* sha256//BASE64 of a server's public key, several
					 * with ; between; NULL: none. Beside the CA check */
	const char *client_cert;	/* PEM file or pkcs11: URI; NULL: none */
	const char *client_key;		/* likewise; NULL: in client_cert */
	const char *token_file;		/* for Authorization: Bearer; NULL: none */
	const char *header_file;	/* "Name: value" lines; NULL: none */
	const char *proxy;		/* [SCHEME://]HOST[:PORT]; "none": no proxy; NULL:
					 * as the environment says */
	unsigned redirects;		/* at most; 0 to 20 */
	unsigned connections;		/* at once, at most; 1: one request after another; 0: 4 */
	unsigned rate_limit;		/* bytes per second; 0: none */
	unsigned low_speed;		/* fewer bytes per second than this (at most half of
					 * rate_limit), 0: 100, */
	unsigned low_speed_s;		/* for so many seconds: as good as broken; 0: 60 */
};

/* PEM in memory; data NULL: none. */
struct http_files {
	struct curl_blob authorities, cert, key;
};

/* What was read from the files. Zero it first, but for files_end; http_options_close() in every case. */
struct http_options_session {
	const struct http_options *options;
	struct curl_slist *headers;
	bool files_end;			/* the caller's: no file can be opened after
					 * http_options_open() */
	struct http_files files;	/* then */
};

/* EX_CONFIG: the URL is http, and a key that says how https is done is set, or the URL has
 * a user. */
int http_options_check_url(const struct http_options *options, const char *url, struct err *err);

/* options must outlive the session. EX_CONFIG: a token or header file is missing,
 * readable by others, or holds something else. */
int http_options_open(const struct http_options *options, struct http_options_session *ret_session,
		      struct err *err);
void http_options_close(struct http_options_session *session);

/* Once for a handle: everything but the headers. EX_CONFIG: libcurl does not take
 * a value, or has no PKCS#11. */
int http_options_apply(CURL *easy, const struct http_options_session *session, struct err *err);

/* Whether the client certificate or its key is on a PKCS#11 token. */
bool http_options_has_token(const struct http_options *options);

/* Before each exchange: the secret headers and the client certificate, if url has the
 * scheme, host and port of origin. EX_CONFIG: libcurl does not take one. */
int http_options_apply_url(CURL *easy, const struct http_options_session *session, const char *origin,
			   const char *url, struct err *err);

/* A failed exchange in the words of the configuration (its pin, its client
 * certificate); NULL: it is about none of them. */
const char *http_options_explain(const struct http_options *options, CURLcode code);
