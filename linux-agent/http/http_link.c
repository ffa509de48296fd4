/* SPDX-License-Identifier: MIT */
#include "http_link.h"

/* The length of one sample of the rate. In a shorter one, packet timing would dominate. */
#define SAMPLE_US 50000

/* Bytes that a request costs besides the waiting: its headers and the answer's. */
#define REQUEST_BYTES 512
/* Assumed until the link was measured. */
#define RTT_US 50000
#define RATE 1250000

uint64_t http_link_gap(const struct http_link_figures *figures)
{
	uint64_t rtt_us = figures->rtt_us ? figures->rtt_us : RTT_US;
	uint64_t rate = figures->rate ? figures->rate : RATE;

	return REQUEST_BYTES + rate / 1000 * rtt_us / 1000 / (figures->parallel ? figures->parallel : 1);
}

void http_link_answered(struct http_link *link, uint64_t us)
{
	struct http_link_figures *f = &link->figures;

	if (us > 0 && (f->rtt_us == 0 || us < f->rtt_us))
		f->rtt_us = us;
}

/* The estimate rises faster than it falls: a low sample may be due to a slow server, or to too few
 * requests. */
static void sample_end(struct http_link *link)
{
	struct http_link_figures *f = &link->figures;
	uint64_t rate = link->bytes * 1000000 / link->us;

	if (f->rate == 0)
		f->rate = rate;
	else if (rate > f->rate)
		f->rate += (rate - f->rate) / 2;
	else
		f->rate -= (f->rate - rate) / 8;
	link->us = link->bytes = 0;
}

void http_link_worked(struct http_link *link, uint64_t us, uint64_t bytes, bool flows, bool waited)
{
	struct http_link_figures *f = &link->figures;

	if (waited && flows)
		f->flow_us += us;
	else if (waited)
		f->latency_us += us;
	if (!flows)
		return;
	link->us += us;
	link->bytes += bytes;
	if (link->us >= SAMPLE_US)
		sample_end(link);
}
