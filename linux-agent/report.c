/* SPDX-License-Identifier: MIT */
#include "report.h"

#include "secret.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { BAR_WIDTH = 30, REDRAW_MS = 100 };

static uint64_t now_ms(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

void report_init(struct report *report, bool json)
{
	*report = (struct report){ .json = json, .terminal = !json && isatty(STDOUT_FILENO) };
}

static void json_line(json_t *object)
{
	char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;

	if (text)
		(void)puts(text);
	(void)fflush(stdout);
	free(text);
	json_decref(object);
}

static void line(struct report *report, const char *key, const char *prefix, const char *text)
{
	if (report->json) {
		json_line(json_pack("{s:s, s:s}", "event", key, "text", text));
		return;
	}
	(void)printf("%s%s%s\n", report->terminal ? "\r\033[K" : "", prefix, text);
	(void)fflush(stdout);
}

void report_step(struct report *report, const char *step, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	secret_mask_urls(text, sizeof text);
	(void)snprintf(report->step, sizeof report->step, "%s", step);
	report->shown_ms = 0;
	line(report, step, "", text);
}

static void bar_draw(uint64_t done, uint64_t total)
{
	int filled = total ? (int)((double)done * BAR_WIDTH / (double)total) : 0;

	(void)printf("\r\033[K  [");
	for (int i = 0; i < BAR_WIDTH; i++)
		(void)putchar(i < filled ? '#' : '.');
	(void)printf("] %.1f MB", (double)done / 1e6);
	if (total)
		(void)printf(" of %.1f MB", (double)total / 1e6);
	if (total && done >= total)
		(void)printf("\r\033[K");
	(void)fflush(stdout);
}

void report_progress(struct report *report, uint64_t done, uint64_t total)
{
	uint64_t now = now_ms();

	if (!report->json && !report->terminal)
		return;
	if (now - report->shown_ms < REDRAW_MS && (done < total || !total))
		return;
	report->shown_ms = now;
	if (report->terminal)
		bar_draw(done, total);
	else
		json_line(json_pack("{s:s, s:s, s:I, s:I}", "event", "progress", "step",
				    report->step, "done", (json_int_t)done, "total",
				    (json_int_t)total));
}

void report_warning(struct report *report, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	secret_mask_urls(text, sizeof text);
	line(report, "warning", "warning: ", text);
}
