/* SPDX-License-Identifier: MIT */
/*
 * An object on a web server, as fetch.h has it, but read by a process without rights
 * (cage.h) that has libcurl, the certificates and the token, and connects through another
 * one (gate.h). Here there are only its answers: whole, of a fixed length, and checked before
 * anything is made of them. The bytes it hands over are as good as the server's: nobody's
 * word. Messages, retries, figures and the exit status are as without it.
 *
 * It is killed when the fetch is closed, cancelled, or a little after the deadline, should it
 * hang; slotctl's end is its own, too.
 */
#pragma once

#include "fetch.h"

struct remote;

/* As fetch_open(), with options->sandbox: SANDBOX_NO is fetch_open() itself. Reads the
 * files of options->http. Fork before there are threads. EX_CONFIG: SANDBOX_REQUIRE, and
 * something is lacking. The caller closes. */
int remote_open(const char *url, const struct fetch_options *options, struct remote **ret_remote,
		struct err *err);
void remote_close(struct remote *remote);

/* As their namesakes in fetch.h, and also: EX_SOFTWARE, the process ended, or said what
 * it cannot have meant; EX_UNAVAILABLE, it did not answer in time. */
int remote_tail(struct remote *remote, void *buf, size_t len, size_t *ret_len, struct err *err);
int remote_read(struct remote *remote, void *buf, size_t len, size_t *ret_len, struct err *err);

bool remote_has_ranges(const struct remote *remote);
uint64_t remote_size(const struct remote *remote);
void remote_range(struct remote *remote, uint64_t offset, uint64_t len);
void remote_ahead(struct remote *remote, uint64_t offset, uint64_t len);
void remote_anew(struct remote *remote);
const char *remote_doubt(const struct remote *remote);
uint64_t remote_received(const struct remote *remote);
unsigned remote_requests(const struct remote *remote);
void remote_figures(const struct remote *remote, struct http_link_figures *ret_figures);
