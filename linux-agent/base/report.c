/* SPDX-License-Identifier: MIT */
#include "report.h"

#include "clock.h"
#include "out.h"
#include "systemd.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	BAR_WIDTH = 30, REDRAW_MS = 100,
	TEXT_BYTES = 4096,	/* long enough for a kernel command line */
};

void report_init(struct report *report, bool json)
{
	*report = (struct report){ .json = json, .terminal = !json && isatty(STDOUT_FILENO),
				    .service = getenv("NOTIFY_SOCKET") };
}

bool report_to_journal(int fd)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long dev, ino;
	struct stat st;

	return stream && sscanf(stream, "%llu:%llu", &dev, &ino) == 2 && fstat(fd, &st) == 0 &&
	       st.st_dev == dev && st.st_ino == ino;
}

static void json_line(json_t *object)
{
	(void)out_json(object, JSON_COMPACT);
	(void)fflush(stdout);
}

static void line(struct report *report, const char *key, const struct report_number *numbers,
		 const char *prefix, const char *text)
{
	if (report->json) {
		json_t *object = json_pack("{s:s, s:s}", "event", key, "text", text);

		for (; numbers && numbers->name; numbers++)
			(void)json_object_set_new(object, numbers->name, numbers->word
						  ? json_string(numbers->word)
						  : json_integer((json_int_t)numbers->value));
		json_line(object);
		return;
	}
	(void)printf("%s%s%s\n", report->terminal ? "\r\033[K" : "", prefix, text);
	(void)fflush(stdout);
}

/* Without control characters; cut off if it is too long. */
static void __attribute__((format(printf, 2, 0)))
text_make(char text[static TEXT_BYTES], const char *fmt, va_list ap)
{
	(void)vsnprintf(text, TEXT_BYTES, fmt, ap);
	out_clean(text, TEXT_BYTES);
}

void report_step(struct report *report, const char *step, const char *fmt, ...)
{
	char text[TEXT_BYTES];
	va_list ap;

	va_start(ap, fmt);
	text_make(text, fmt, ap);
	va_end(ap);
	systemd_status(text);
	(void)snprintf(report->step, sizeof report->step, "%s", step);
	report->shown_ms = report->begun_ms = 0;
	report->full = false;
	line(report, step, NULL, "", text);
}

void report_numbers(struct report *report, const char *event, const struct report_number *numbers,
		    const char *fmt, ...)
{
	char text[TEXT_BYTES];
	va_list ap;

	va_start(ap, fmt);
	text_make(text, fmt, ap);
	va_end(ap);
	line(report, event, numbers, "", text);
}

void report_amounts(struct report *report, uint64_t fetched, uint64_t reused)
{
	report->fetched = fetched;
	report->reused = reused;
}

/* Bytes a second since the step's first progress; 0: too early to say. */
static uint64_t rate_of(struct report *report, uint64_t done, uint64_t now)
{
	if (report->begun_ms == 0) {
		report->begun_ms = now;
		report->begun_done = done;
	}
	if (now - report->begun_ms < REDRAW_MS || done < report->begun_done)
		return 0;
	return (done - report->begun_done) * 1000 / (now - report->begun_ms);
}

static void bar_draw(const struct report *report, uint64_t done, uint64_t total, uint64_t rate)
{
	int filled = total ? (int)((double)done * BAR_WIDTH / (double)total) : 0;

	(void)printf("\r\033[K  [");
	for (int i = 0; i < BAR_WIDTH; i++)
		(void)putchar(i < filled ? '#' : '.');
	(void)printf("] %.1f", (double)done / 1e6);
	if (total)
		(void)printf(" of %.1f", (double)total / 1e6);
	(void)printf(" MB");
	if (rate > 0)
		(void)printf(", %.1f MB/s", (double)rate / 1e6);
	if (rate > 0 && total > done)
		(void)printf(", %llu s left", (unsigned long long)((total - done) / rate));
	if (report->fetched > 0 || report->reused > 0)
		(void)printf(", fetched %.1f, reused %.1f", (double)report->fetched / 1e6,
			     (double)report->reused / 1e6);
	if (total && done >= total)
		(void)printf("\r\033[K");
	(void)fflush(stdout);
}

/* "write: 12.5 of 100.0 MB". */
static void status_tell(const struct report *report, uint64_t done, uint64_t total)
{
	char text[128];

	(void)snprintf(text, sizeof text, total ? "%s: %.1f of %.1f MB" : "%s: %.1f MB", report->step,
		       (double)done / 1e6, (double)total / 1e6);
	systemd_status(text);
}

void report_progress(struct report *report, uint64_t done, uint64_t total)
{
	uint64_t now = (uint64_t)clock_ms(CLOCK_MONOTONIC), rate;

	if (!report->json && !report->terminal && !report->service)
		return;
	if (now - report->shown_ms < REDRAW_MS && (done < total || !total || report->full))
		return;
	report->full = total && done >= total;
	report->shown_ms = now;
	rate = rate_of(report, done, now);
	if (report->service)
		status_tell(report, done, total);
	if (report->terminal)
		bar_draw(report, done, total, rate);
	else if (report->json)
		json_line(json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:I}", "event", "progress",
				    "step", report->step, "done", (json_int_t)done, "total",
				    (json_int_t)total, "rate", (json_int_t)rate, "fetched",
				    (json_int_t)report->fetched, "reused",
				    (json_int_t)report->reused));
}

void report_warning(struct report *report, const char *fmt, ...)
{
	char text[TEXT_BYTES];
	va_list ap;

	va_start(ap, fmt);
	text_make(text, fmt, ap);
	va_end(ap);
	line(report, "warning", NULL, report_to_journal(STDOUT_FILENO) ? "<4>warning: " : "warning: ", text);
}

void report_on_warning(void *report, const char *what)
{
	report_warning(report, "%s", what);
}
