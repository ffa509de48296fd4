/* SPDX-License-Identifier: MIT */
/* What an install tells when it is done: what was fetched and reused, and what took the time. */
#include "install_payload.h"

#include "clock.h"
#include "fetch.h"
#include "io.h"
#include "report.h"

/* Milliseconds, all of them of the same install. */
struct times {
	uint64_t all, latency, bandwidth, decode, hash, disk;
};

/* What an install that takes so long waits for: of what several threads do their share. */
static const char *binding(const struct times *t, unsigned threads)
{
	unsigned each = threads ? threads : 1;
	const struct { const char *what; uint64_t ms; } rows[] = {
		{ "latency", t->latency }, { "bandwidth", t->bandwidth }, { "decode", t->decode / each },
		{ "hash", t->hash / each }, { "disk", t->disk / each },
	};
	size_t most = 0;

	for (size_t i = 1; i < ARRAY_SIZE(rows); i++)
		if (rows[i].ms > rows[most].ms)
			most = i;
	return rows[most].what;
}

static struct times times_of(const struct install *in)
{
	const struct engine_stats *s = &in->stats;
	const struct bundle_source *source = bundle_source(in->bundle);
	struct http_link_figures link = { 0 };
	uint64_t ms = 1000000;

	if (source->link)
		source->link(source, &link);
	return (struct times){
		.all = (clock_monotonic_ns() - in->start) / ms,
		.latency = link.latency_us / 1000,
		.bandwidth = link.flow_us / 1000,
		.decode = s->ns[STAGE_DECODE] / ms,
		.hash = s->ns[STAGE_HASH] / ms,
		.disk = (s->ns[STAGE_READ] + s->ns[STAGE_WRITE] + s->ns[STAGE_SYNC] +
			 s->ns[STAGE_CHECK]) / ms,
	};
}

static void time_report(const struct install *in)
{
	const uint64_t *ns = in->stats.ns, ms = 1000000;
	const struct times t = times_of(in);
	const char *binds = binding(&t, in->engine.threads);
	const struct report_number numbers[] = {
		{ "ms", t.all, NULL }, { "binds", 0, binds }, { "latency", t.latency, NULL },
		{ "bandwidth", t.bandwidth, NULL }, { "decode", t.decode, NULL },
		{ "hash", t.hash, NULL }, { "disk", t.disk, NULL }, { NULL, 0, NULL },
	};
	char link[96] = "";

	if (bundle_source(in->bundle)->link)
		(void)snprintf(link, sizeof link, "; waited for answers %llu, for their bytes %llu",
			       (unsigned long long)t.latency, (unsigned long long)t.bandwidth);
	report_numbers(in->options->report, "time", numbers,
		       "%llu ms; what binds is %s%s; of all threads: fetch %llu, read %llu, "
		       "decode %llu, hash %llu, write %llu, sync %llu, check %llu",
		       (unsigned long long)t.all, binds, link,
		       (unsigned long long)(ns[STAGE_FETCH] / ms), (unsigned long long)(ns[STAGE_READ] / ms),
		       (unsigned long long)t.decode, (unsigned long long)t.hash,
		       (unsigned long long)(ns[STAGE_WRITE] / ms), (unsigned long long)(ns[STAGE_SYNC] / ms),
		       (unsigned long long)(ns[STAGE_CHECK] / ms));
}

void install_payloads_report(const struct install *in)
{
	const struct engine_stats *s = &in->stats;
	const struct bundle_source *source = bundle_source(in->bundle);
	unsigned requests = 0;
	uint64_t fetched = source->fetched ? source->fetched(source, &requests) : 0;
	const struct report_number numbers[] = {
		{ "bytes", fetched, NULL }, { "requests", requests, NULL }, { NULL, 0, NULL },
	};

	if (source->fetched)
		report_numbers(in->options->report, "fetched", numbers, "fetched %llu bytes in %u requests",
			       (unsigned long long)fetched, requests);
	report_step(in->options->report, "reused",
		    "%llu bytes: %llu were in place, %llu copied, %llu rebuilt with what a slot held",
		    (unsigned long long)s->size, (unsigned long long)s->kept,
		    (unsigned long long)s->copied, (unsigned long long)s->rebuilt);
	time_report(in);
}
