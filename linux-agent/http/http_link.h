/* SPDX-License-Identifier: MIT */
/*
 * What is seen of the link while something is fetched: how long a request takes until its
 * answer begins, and how many bytes a second come while bodies flow. Without I/O and without
 * a clock of its own.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct http_link_figures {
	uint64_t rtt_us;	/* the shortest from request to answer; 0: none seen yet */
	uint64_t rate;		/* bytes a second; 0: too few came to say */
	uint32_t parallel;	/* requests in flight at most, now; at least 1 */
	uint64_t latency_us;	/* the reader waited for answers to begin, and */
	uint64_t flow_us;	/* for bytes of a body, in all */
};

struct http_link {
	struct http_link_figures figures;
	uint64_t us, bytes;	/* of the sample at hand */
};

/* A gap of so many bytes takes as long to fetch as another request: what the link brings in a round
 * trip, of which several requests share the waiting, and what the request itself takes. */
uint64_t http_link_gap(const struct http_link_figures *figures);

/* A request was answered so long after it was sent. */
void http_link_answered(struct http_link *link, uint64_t us);

/* So long libcurl worked or waited, and so many bytes came; flows: a body was under way;
 * waited: the reader had nothing else to do. */
void http_link_worked(struct http_link *link, uint64_t us, uint64_t bytes, bool flows, bool waited);
