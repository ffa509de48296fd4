/* SPDX-License-Identifier: MIT */
/*
 * Measures the link during a fetch: the time from a request to its answer, and the rate
 * at which bodies arrive. Does no I/O and has no clock of its own.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct http_link_figures {
	uint64_t rtt_us;	/* shortest time from a request to its answer; 0: not measured
				 * yet */
	uint64_t rate;		/* bytes per second; 0: too few bytes so far */
	uint32_t parallel;	/* current limit of requests in flight; at least 1 */
	uint64_t latency_us;	/* total time the reader waited for answers to begin */
	uint64_t flow_us;	/* total time it waited for bytes of a body */
};

struct http_link {
	struct http_link_figures figures;
	uint64_t us, bytes;	/* of the current sample */
};

/* Returns the size of a gap that takes as long to fetch as one more request would: the bytes of
 * a round trip (divided by the requests in flight, which share the waiting), plus the request
 * itself. */
uint64_t http_link_gap(const struct http_link_figures *figures);

/* Notes that an answer began this long after its request was sent. */
void http_link_answered(struct http_link *link, uint64_t us);

/* Notes that libcurl worked or waited this long and received so many bytes. flows: a body was being
 * received; waited: the reader had nothing else to do. */
void http_link_worked(struct http_link *link, uint64_t us, uint64_t bytes, bool flows, bool waited);
