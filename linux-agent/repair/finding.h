/* SPDX-License-Identifier: MIT */
/*
 * What slotctl doctor finds: each with its cause and what to do about it. Texts are
 * filtered (out.h), and cut where they are too long.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

enum finding_level {
	FINDING_FAULT,		/* to be mended */
	FINDING_NOTE,		/* to be known: another's, or lived with */
};

struct finding {
	enum finding_level level;
	const char *id;		/* one word for machines, of a fixed set */
	bool repairable;	/* doctor --repair mends it */
	char what[256], cause[1024], remedy[768];	/* "" for none */
};

struct findings {
	struct finding *list;
	size_t count;
	struct finding spare;	/* written to where there is no memory */
	bool lost;		/* there was none */
};

/* Never NULL; valid until the next one. */
struct finding *finding_add(struct findings *findings, enum finding_level level, const char *id);

/* finding_say(f, cause, "...", ...) */
#define finding_say(f, field, ...) finding_text((f)->field, sizeof (f)->field, __VA_ARGS__)
void finding_text(char *out, size_t cap, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* The number of faults. */
size_t findings_faults(const struct findings *findings);
bool findings_have(const struct findings *findings, const struct finding *finding);
bool findings_repairable(const struct findings *findings);

/* A new reference, or NULL. */
json_t *finding_json(const struct finding *finding);
void findings_clear(struct findings *findings);
