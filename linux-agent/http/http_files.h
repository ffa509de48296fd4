/* SPDX-License-Identifier: MIT */
/*
 * Reads the files that https needs into memory, for a process that cannot open files
 * later: the certificate authorities, the client's certificate and its key.
 */
#pragma once

#include "http_options.h"

/* The caller zeroes *ret_files first, and calls http_files_close() in every case. The client's key
 * must not be on a PKCS#11 token. EX_CONFIG: a file cannot be read; EX_SOFTWARE. */
int http_files_open(const struct http_options *options, struct http_files *ret_files, struct err *err);
void http_files_close(struct http_files *files);

/* Sets the authorities from memory, in place of the files that libcurl would open at each
 * handshake. */
int http_files_apply(CURL *easy, const struct http_files *files, struct err *err);

/* Sets the client's certificate and key in the same way. */
int http_files_apply_client(CURL *easy, const struct http_files *files, struct err *err);
