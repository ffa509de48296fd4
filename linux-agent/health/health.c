/* SPDX-License-Identifier: MIT */
#include "health.h"

#include "dropins.h"
#include "init.h"
#include "io.h"
#include "out.h"

#include <errno.h>
#include <string.h>

enum { PAUSE_MS = 2000, UNIT_NAME_BYTES = 256 };
#define OWN_UNITS "slotboot-confirm.service slotboot-giveup.service"

struct watch {
	const struct config *config;
	const struct program_clock *clock;
	int64_t begin_ms;
	struct health_finding *finding;
};

static int64_t passed_ms(const struct watch *w)
{
	return w->clock->now_ms(w->clock->ctx) - w->begin_ms;
}

/* The time limit of one check. */
static int64_t limit_ms(const struct watch *w)
{
	int64_t left = (int64_t)w->config->health_deadline_s * 1000 - passed_ms(w);
	int64_t limit = (int64_t)w->config->health_timeout_s * 1000;

	return left < limit ? left : limit;
}

static void text_set(char *to, size_t size, const char *from)
{
	size_t len = strnlen(from, size - 1);

	memcpy(to, from, len);
	to[len] = 0;
}

static bool finding_set(struct health_finding *finding, const char *check, const char *how,
			const char *line)
{
	text_set(finding->check, sizeof finding->check, check);
	text_set(finding->how, sizeof finding->how, how);
	text_set(finding->line, sizeof finding->line, line);
	out_clean(finding->check, sizeof finding->check);
	return false;
}

static void line_keep(void *ctx, const char *line)
{
	text_set(ctx, PROGRAM_LINE_BYTES, line);
}

static bool program_holds(const struct watch *w, const char *name, const char *const argv[])
{
	char line[PROGRAM_LINE_BYTES] = "", how[PROGRAM_LINE_BYTES];
	const struct program program = { .argv = argv, .limit_ms = limit_ms(w),
					 .on_line = line_keep, .ctx = line };

	if (program_run(w->clock, &program, how))
		return true;
	return finding_set(w->finding, name, how, line);
}

static bool programs_hold(const struct watch *w)
{
	_cleanup_(dropins_clear) struct dropins dir;
	struct err err = { 0 };

	if (dropins_read(w->config->sysroot, "health.d", "", &dir, &err) < 0)
		return finding_set(w->finding, "health.d", "failed to read it", err.text);
	for (size_t i = 0; i < dir.count; i++) {
		const char *argv[] = { dir.files[i].path, NULL };

		if (!program_holds(w, dir.files[i].name, argv))
			return false;
	}
	return true;
}

/* The next word of a blank-separated list, from *list on; 0: the end. */
static size_t word_next(const char **list)
{
	*list += strspn(*list, " \t");
	return strcspn(*list, " \t");
}

static bool list_has(const char *list, const char *word)
{
	for (size_t len; list && (len = word_next(&list)) > 0; list += len)
		if (strlen(word) == len && strncmp(list, word, len) == 0)
			return true;
	return false;
}

struct failed_units {
	const char *ignore;
	char first[UNIT_NAME_BYTES];	/* that counts; "": none */
	char line[PROGRAM_LINE_BYTES];	/* the last one, for when systemctl itself fails */
};

/* "nginx.service loaded failed failed A web server". */
static void unit_take(void *ctx, const char *line)
{
	struct failed_units *units = ctx;
	char name[UNIT_NAME_BYTES];
	size_t len = word_next(&line);

	line_keep(units->line, line);
	(void)snprintf(name, sizeof name, "%.*s", (int)len, line);
	if (!*units->first && !list_has(OWN_UNITS, name) && !list_has(units->ignore, name))
		(void)snprintf(units->first, sizeof units->first, "%s", name);
}

static bool no_unit_has_failed(const struct watch *w, const char *systemctl)
{
	const char *argv[] = { systemctl, "list-units", "--state=failed", "--plain", "--no-legend",
			       "--no-pager", "--full", NULL };
	struct failed_units units = { .ignore = w->config->health_ignore };
	const struct program program = { .argv = argv, .limit_ms = limit_ms(w),
					 .on_line = unit_take, .ctx = &units };
	char how[PROGRAM_LINE_BYTES], check[HEALTH_CHECK_BYTES + 8];

	if (!program_run(w->clock, &program, how))
		return finding_set(w->finding, "systemctl", how, units.line);
	if (!*units.first)
		return true;
	(void)snprintf(check, sizeof check, "unit %s", units.first);
	return finding_set(w->finding, check, "failed", "");
}

static bool named_units_are_active(const struct watch *w, const char *systemctl)
{
	const char *list = w->config->health_units;

	for (size_t len; list && (len = word_next(&list)) > 0; list += len) {
		char name[UNIT_NAME_BYTES], check[HEALTH_CHECK_BYTES + 8];
		const char *argv[] = { systemctl, "is-active", "--", name, NULL };

		(void)snprintf(name, sizeof name, "%.*s", (int)len, list);
		(void)snprintf(check, sizeof check, "unit %s", name);
		if (!program_holds(w, check, argv))
			return false;
	}
	return true;
}

static bool units_hold(const struct watch *w)
{
	_cleanup_free_ char *systemctl = NULL;

	if (!init_is_systemd(w->config->sysroot))
		return true;
	systemctl = init_program_find(w->config->sysroot, "systemctl");
	if (!systemctl)
		return finding_set(w->finding, "systemctl", "failed to find it", strerror(errno));
	return no_unit_has_failed(w, systemctl) && named_units_are_active(w, systemctl);
}

static bool round_holds(const struct watch *w)
{
	return programs_hold(w) && units_hold(w);
}

static bool is_same(const struct health_finding *a, const struct health_finding *b)
{
	return strcmp(a->check, b->check) == 0 && strcmp(a->how, b->how) == 0 &&
	       strcmp(a->line, b->line) == 0;
}

bool health_watch(const struct config *config, const struct program_clock *clock,
		  health_found *on_change, void *ctx, struct health_finding *ret_finding)
{
	int64_t settle = (int64_t)config->health_settle_s * 1000, since = -1;
	int64_t deadline = (int64_t)config->health_deadline_s * 1000;
	struct health_finding told = { .how = "nothing yet" };

	finding_set(ret_finding, "health-settle", "not well for long enough", "");
	for (struct watch w = { config, clock, clock->now_ms(clock->ctx), NULL };;) {
		struct health_finding found = { 0 };
		int64_t now, pause = PAUSE_MS;
		bool holds;

		w.finding = &found;
		holds = round_holds(&w);
		now = passed_ms(&w);
		since = !holds ? -1 : since < 0 ? now : since;
		if (!holds)
			*ret_finding = found;
		if (on_change && !is_same(&found, &told))
			on_change(ctx, holds ? NULL : &found);
		told = found;
		if (holds && now - since >= settle && now <= deadline)
			return true;
		if ((holds ? since : now + PAUSE_MS) + settle > deadline)
			return false;		/* there is not enough time left */
		if (holds && since + settle - now < pause)
			pause = since + settle - now;
		(void)clock->poll(clock->ctx, NULL, 0, (int)pause);
	}
}

void health_blame(const struct config *config, const struct program_clock *clock,
		  struct health_finding *ret_finding)
{
	struct watch w = { config, clock, clock->now_ms(clock->ctx), ret_finding };

	if (units_hold(&w))
		finding_set(ret_finding, "boot-complete.target", "not confirmed in time", "");
}
