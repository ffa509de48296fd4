/* SPDX-License-Identifier: MIT */
/*
 * The files of https, read at once, for a process that can open none later: the
 * authorities, the client's certificate and its key.
 */
#pragma once

#include "http_options.h"

/* Zero it first; http_files_close() in every case. The options' key may not be on a
 * PKCS#11 token. EX_CONFIG: a file cannot be read; EX_SOFTWARE. */
int http_files_open(const struct http_options *options, struct http_files *ret_files, struct err *err);
void http_files_close(struct http_files *files);

/* The authorities in the place of libcurl's files; which it would open at each handshake. */
int http_files_apply(CURL *easy, const struct http_files *files, struct err *err);

/* The client's certificate and key, likewise. */
int http_files_apply_client(CURL *easy, const struct http_files *files, struct err *err);
