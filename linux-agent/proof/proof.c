/* SPDX-License-Identifier: MIT */
/*
 * The crash simulator: cuts the power at every mutation of every step of every
 * scenario, in the loader's and the agent's own code, and checks the promises
 * of docs/TESTING.md in whatever is left.
 *
 *     proof [--quick] [--seed N] [--scenario WORD] [--mode WORD] [--first] [--list]
 */
#include "explore.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>

#if defined(__SANITIZE_ADDRESS__)
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "quarantine_size_mb=4:detect_stack_use_after_return=0";
}
#endif

static const struct budget quick = { .all_up_to = 27, .samples = 9, .second_samples = 2,
				     .second_share = 4, .second_stride = 5 };
static const struct budget full = { .all_up_to = 2187, .samples = 1000, .second_samples = 243,
				    .second_share = 1, .second_stride = 1 };

struct options {
	bool quick, list;
	uint64_t seed;
	const char *scenario, *mode;	/* "": all */
};

static _Noreturn void usage(const char *argument, const char *what)
{
	(void)fprintf(stderr, "proof: %s %s; the options: --quick, --seed N, --scenario WORD, --mode WORD, --first, "
		      "--list\n", argument, what);
	exit(EX_USAGE);
}

static const char *value_of(int argc, char **argv, int *i)
{
	if (*i + 1 >= argc)
		usage(argv[*i], "needs a value");
	return argv[++*i];
}

static struct options options_read(int argc, char **argv)
{
	struct options o = { .seed = 1, .scenario = "", .mode = "" };

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--quick") == 0)
			o.quick = true;
		else if (strcmp(argv[i], "--first") == 0)
			violation_is_fatal = true;
		else if (strcmp(argv[i], "--list") == 0)
			o.list = true;
		else if (strcmp(argv[i], "--seed") == 0)
			o.seed = strtoull(value_of(argc, argv, &i), NULL, 0);
		else if (strcmp(argv[i], "--scenario") == 0)
			o.scenario = value_of(argc, argv, &i);
		else if (strcmp(argv[i], "--mode") == 0)
			o.mode = value_of(argc, argv, &i);
		else
			usage(argv[i], "is no option");
	}
	return o;
}

/* The undisturbed run to the next step; false: it does not even do that. */
static bool step_run(struct world *w, const struct step *step)
{
	uint8_t record[RECORD_BYTES];
	struct err err = { 0 };
	bool fails = step->op == OP_REFUSED || step->op == OP_BREAKS;
	int r = op_run(w, step, record, &err);

	w->fault.count = 0;
	if ((r < 0) == fails)
		return true;
	violation("without any fault: %s", fails ? "it succeeds" : err.text);
	return false;
}

static bool scenario_run(const struct scenario *scenario, const struct mode *mode,
			 const struct options *o)
{
	uint64_t before = violation_count();
	struct world w;

	scenario_begin(scenario, &w);
	for (unsigned i = 0; i < scenario->count; i++) {
		const struct step *step = &scenario->steps[i];
		struct world snapshot;
		struct job job = { .scenario = scenario, .mode = mode, .step = step,
				   .budget = o->quick ? &quick : &full, .before = &snapshot,
				   .seed = o->seed };

		place = (struct place){ .scenario = scenario->name, .mode = mode->name,
					.step = i, .op = op_text(step->op), .cut = -1,
					.cut2 = -1, .seed = o->seed };
		op_prepare(&w, step);
		snapshot = w;
		if (i >= scenario->setup)
			explore_step(&job);
		place.cut = -1;
		if (!step_run(&w, step))
			break;
	}
	return violation_count() == before;
}

static unsigned kinds_missing(void)
{
	unsigned missing = 0;

	for (enum mutation kind = 0; kind < MUT_COUNT; kind++) {
		(void)printf("  cut in %-16s %llu\n", mutation_text(kind),
			     (unsigned long long)sim_cut_kinds[kind]);
		missing += sim_cut_kinds[kind] == 0;
	}
	return missing;
}

static double seconds(void)
{
	return (double)clock() / CLOCKS_PER_SEC;
}

static void modes_run(const struct scenario *scenario, const struct options *o,
		      unsigned *passed, unsigned *failed)
{
	struct totals before = totals;
	double begin = seconds();

	for (unsigned m = 0; m < mode_count; m++) {
		if (!strstr(modes[m].name, o->mode) || !mode_fits(&modes[m], scenario))
			continue;
		if (scenario_run(scenario, &modes[m], o))
			++*passed;
		else
			++*failed;
	}
	(void)printf("%-36s %8llu states %8llu cuts %9llu cases %7.1f s\n", scenario->name,
		     (unsigned long long)(totals.states - before.states),
		     (unsigned long long)(totals.cuts - before.cuts),
		     (unsigned long long)(totals.cases - before.cases), seconds() - begin);
	(void)fflush(stdout);
}

int main(int argc, char **argv)
{
	struct options o = options_read(argc, argv);
	bool all = !*o.scenario && !*o.mode;
	unsigned passed = 0, failed = 0;

	for (unsigned i = 0; o.list && i < scenario_count; i++)
		(void)puts(scenarios[i].name);
	for (unsigned i = 0; o.list && i < mode_count; i++)
		(void)puts(modes[i].name);
	if (o.list)
		return 0;
	/* Disks are copied and dropped all the time: from the heap, not from the kernel. */
	(void)mallopt(M_MMAP_THRESHOLD, 1 << 30);
	(void)mallopt(M_TRIM_THRESHOLD, 1 << 30);
	(void)mallopt(M_TOP_PAD, 64 << 20);
	sim_versions_make();
	place = (struct place){ .scenario = "writes", .mode = "none", .op = "", .cut = -1, .cut2 = -1 };
	/* A deliberate fault is to be seen by what it does, not by how often it writes. */
	if (all && !violation_is_fatal)
		writes_check();
	failed += violation_count() > 0;
	passed += all && violation_count() == 0;
	for (unsigned i = 0; i < scenario_count; i++)
		if (strstr(scenarios[i].name, o.scenario))
			modes_run(&scenarios[i], &o, &passed, &failed);
	if (kinds_missing() > 0 && all) {
		(void)puts("a kind of operation was never cut");
		failed++;
	}
	(void)printf("proof: seed %llu, %llu states, %llu cuts, %llu cases, %llu violations\n",
		     (unsigned long long)o.seed, (unsigned long long)totals.states,
		     (unsigned long long)totals.cuts, (unsigned long long)totals.cases,
		     (unsigned long long)violation_count());
	(void)printf("%u passed, %u failed\n", passed, failed);
	return failed > 0 || passed == 0;
}
