/* SPDX-License-Identifier: MIT */
/*
 * Reads an object from a web server as fetch.h does, but in a process without privileges
 * (cage.h). That process holds libcurl, the certificates and the token, and connects through
 * another one (gate.h). This side sees only its answers, which have a fixed length and are
 * checked before use. Like a server's, its bytes are not to be trusted. Messages, retries,
 * figures and exit statuses are the same as without it.
 *
 * The process is killed when the fetch is closed or cancelled, and, if it hangs, a little
 * after the deadline. It does not outlive slotctl.
 */
#pragma once

#include "fetch.h"

struct remote;

/* Like fetch_open(), with options->sandbox; SANDBOX_NO is fetch_open() itself. Reads the files of
 * options->http. Forks, so call it before there are threads. EX_CONFIG: SANDBOX_REQUIRE, and the
 * sandbox is incomplete. The caller closes it. */
int remote_open(const char *url, const struct fetch_options *options, struct remote **ret_remote,
		struct err *err);
void remote_close(struct remote *remote);

/* Like their namesakes in fetch.h. In addition EX_SOFTWARE: the process ended, or sent something
 * invalid; EX_UNAVAILABLE: it did not answer in time. */
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
