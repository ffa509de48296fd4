/* SPDX-License-Identifier: MIT */
#include "finding.h"

#include "io.h"
#include "out.h"

#include <stdarg.h>
#include <string.h>

struct finding *finding_add(struct findings *findings, enum finding_level level, const char *id)
{
	struct finding *bigger = reallocarray(findings->list, findings->count + 1, sizeof *bigger);
	struct finding *f = &findings->spare;

	if (bigger) {
		findings->list = bigger;
		f = &bigger[findings->count++];
	} else {
		findings->lost = true;
	}
	*f = (struct finding){ .level = level, .id = id };
	return f;
}

void finding_text(char *out, size_t cap, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(out, cap, fmt, ap);
	va_end(ap);
	out_clean(out, cap);
}

size_t findings_faults(const struct findings *findings)
{
	size_t faults = 0;

	for (size_t i = 0; i < findings->count; i++)
		faults += findings->list[i].level == FINDING_FAULT;
	return faults;
}

bool findings_have(const struct findings *findings, const struct finding *finding)
{
	for (size_t i = 0; i < findings->count; i++)
		if (strcmp(findings->list[i].id, finding->id) == 0 &&
		    strcmp(findings->list[i].what, finding->what) == 0)
			return true;
	return false;
}

bool findings_repairable(const struct findings *findings)
{
	for (size_t i = 0; i < findings->count; i++)
		if (findings->list[i].repairable)
			return true;
	return false;
}

json_t *finding_json(const struct finding *f)
{
	return json_pack("{s:s, s:s, s:b, s:s, s:s?, s:s?}", "id", f->id, "level",
			 f->level == FINDING_FAULT ? "fault" : "note", "repairable", f->repairable,
			 "what", f->what, "cause", *f->cause ? f->cause : NULL, "remedy",
			 *f->remedy ? f->remedy : NULL);
}

void findings_clear(struct findings *findings)
{
	free(findings->list);
	*findings = (struct findings){ 0 };
}
