/* SPDX-License-Identifier: MIT */
/*
 * Settings of https, from the configuration: whom to trust, how to identify ourselves,
 * which headers to send, which proxy to use, how fast. Secrets are read from files that
 * only their owner may read. They are sent over https alone, only to the scheme, host and
 * port of the configured URL and not to where it redirects, and are never printed.
 */
#pragma once

#include "err.h"

#include <curl/curl.h>
#include <stdbool.h>

#define HTTPOPTS_REDIRECTS 8

struct http_options {
	const char *ca_file;		/* PEM; replaces the system's authorities; NULL: those */
	const char *pin;		/* sha256//BASE64 of a server's public key, several
					 * separated by ;, checked in addition to the certificate;
					 * NULL: none */
	const char *client_cert;	/* PEM file or pkcs11: URI; NULL: none */
	const char *client_key;		/* likewise; NULL: it is in client_cert */
	const char *token_file;		/* for Authorization: Bearer; NULL: none */
	const char *header_file;	/* "Name: value" lines; NULL: none */
	const char *proxy;		/* [SCHEME://]HOST[:PORT]; "none": no proxy; NULL: from the
					 * environment */
	unsigned redirects;		/* maximum; 0 to 20 */
	unsigned connections;		/* maximum at once; 1: one request after another; 0: 4 */
	unsigned rate_limit;		/* bytes per second; 0: none */
	unsigned low_speed;		/* a transfer below this many bytes per second (at most half
					 * of rate_limit; 0: 100) */
	unsigned low_speed_s;		/* for this many seconds counts as broken; 0: 60 */
};

/* PEM in memory; data is NULL if there is none. */
struct http_files {
	struct curl_blob authorities, cert, key;
};

/* What was read from the files. The caller zeroes it first, sets files_end, and calls
 * http_options_close() in every case. */
struct http_options_session {
	const struct http_options *options;
	struct curl_slist *headers;
	bool files_end;			/* set by the caller: no file can be opened after
					 * http_options_open() */
	struct http_files files;	/* filled if files_end */
};

/* EX_CONFIG: the URL is http although a key that configures https is set, or although the URL
 * contains a user. */
int http_options_check_url(const struct http_options *options, const char *url, struct err *err);

/* options must outlive the session. EX_CONFIG: a token or header file is missing, is readable by
 * others, or has invalid content. */
int http_options_open(const struct http_options *options, struct http_options_session *ret_session,
		      struct err *err);
void http_options_close(struct http_options_session *session);

/* Call once for each handle: sets everything except the headers. EX_CONFIG: libcurl rejects a
 * value, or does not support PKCS#11. */
int http_options_apply(CURL *easy, const struct http_options_session *session, struct err *err);

/* True if the client certificate or its key is on a PKCS#11 token. */
bool http_options_has_token(const struct http_options *options);

/* Call before each exchange: sets the secret headers and the client certificate if url has the
 * scheme, host and port of origin, and clears them otherwise. EX_CONFIG: libcurl rejects one. */
int http_options_apply_url(CURL *easy, const struct http_options_session *session, const char *origin,
			   const char *url, struct err *err);

/* Describes a failed exchange in terms of the configuration (pin, client certificate); NULL if it
 * is about neither. */
const char *http_options_explain(const struct http_options *options, CURLcode code);
