/* SPDX-License-Identifier: MIT */
#include "scenario.h"

#include "bootentries.h"
#include "loadoption.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BOOT { .op = OP_BOOT }
#define GOOD { .op = OP_GOOD }
#define JUMP { .op = OP_KEXEC }
#define LOSE { .op = OP_LOSE_VARS }
#define OTHER { .op = OP_FOREIGN }
#define INSTALL(v, how) { .op = OP_INSTALL, .arg = (v), .activate = ACTIVATE_##how }
#define REFUSED(v, what) { .op = OP_REFUSED, .arg = (v), .activate = ACTIVATE_REBOOT, \
			   .how = (what) }
#define BREAKS(v, what) { .op = OP_BREAKS, .arg = (v), .activate = ACTIVATE_REBOOT, \
			  .how = (what) }
#define BAD(slot) { .op = OP_BAD, .arg = (slot) }
#define ACTIVE(slot) { .op = OP_ACTIVE, .arg = (slot) }
#define UNWELL { .op = OP_HEALTH }
#define BACK(how) { .op = OP_ROLLBACK, .activate = ACTIVATE_##how }
#define LOADER(v) { .op = OP_LOADER, .arg = (v) }
#define PULL { .op = OP_PULL }
#define RETURN { .op = OP_RETURN }
#define UPDATED BOOT, GOOD, INSTALL(1, REBOOT), BOOT, GOOD

const struct scenario scenarios[] = {
	{ "two updates by reboot", .count = 9, .steps = {
		BOOT, GOOD, INSTALL(1, REBOOT), BOOT, GOOD, INSTALL(2, REBOOT), BOOT, GOOD,
		BOOT } },
	{ "two updates by kexec", .setup = 2, .count = 13, .steps = {
		BOOT, GOOD, INSTALL(1, KEXEC), JUMP, GOOD, BOOT, GOOD, INSTALL(2, KEXEC), JUMP,
		GOOD, INSTALL(3, KEXEC), JUMP, GOOD } },
	{ "two updates on block devices", .device = true, .setup = 2, .count = 8, .steps = {
		UPDATED, INSTALL(2, REBOOT), BOOT, GOOD } },
	{ "a kexec that is never confirmed", .setup = 2, .count = 7, .steps = {
		BOOT, GOOD, INSTALL(1, KEXEC), JUMP, BOOT, GOOD, INSTALL(2, KEXEC) } },
	{ "a trial that is never confirmed", .setup = 2, .count = 7, .steps = {
		BOOT, GOOD, INSTALL(1, REBOOT), BOOT, BOOT, BOOT, GOOD } },
	{ "a trial that gives control back", .broken = 2, .setup = 2, .count = 6, .steps = {
		BOOT, GOOD, INSTALL(1, REBOOT), BOOT, GOOD, INSTALL(2, REBOOT) } },
	{ "rollback of a good slot", .setup = 5, .count = 9, .steps = {
		UPDATED, BACK(REBOOT), BOOT, GOOD, INSTALL(2, REBOOT) } },
	{ "rollback of a trial", .setup = 3, .count = 7, .steps = {
		BOOT, GOOD, INSTALL(1, REBOOT), BOOT, BACK(REBOOT), BOOT, GOOD } },
	{ "a trial that is not well", .setup = 3, .count = 7, .steps = {
		BOOT, GOOD, INSTALL(1, REBOOT), BOOT, UNWELL, BOOT, GOOD } },
	{ "a kexec into what is not well", .setup = 4, .count = 8, .steps = {
		BOOT, GOOD, INSTALL(1, KEXEC), JUMP, UNWELL, BOOT, GOOD, INSTALL(2, KEXEC) } },
	{ "rollback by kexec", .setup = 5, .count = 9, .steps = {
		UPDATED, BACK(KEXEC), JUMP, GOOD, BOOT } },
	{ "mark-bad", .setup = 5, .count = 9, .steps = {
		UPDATED, BAD(1), BOOT, GOOD, BAD(0) } },
	{ "mark-active", .setup = 2, .count = 9, .steps = {
		BOOT, GOOD, INSTALL(1, NONE), ACTIVE(1), BOOT, GOOD, ACTIVE(0), BOOT,
		INSTALL(2, REBOOT) } },
	{ "an install over the preferred slot", .setup = 6, .count = 9, .steps = {
		UPDATED, ACTIVE(0), INSTALL(2, REBOOT), BOOT, GOOD } },
	{ "boot entries in disorder", .duplicates = true, .count = 4, .steps = {
		BOOT, GOOD, INSTALL(1, REBOOT), BOOT } },
	{ "refused bundles", .setup = 5, .count = 15, .steps = {
		UPDATED, REFUSED(2, "signature"), REFUSED(2, "compatible"), REFUSED(2, "hash"),
		REFUSED(2, "hash-first"), REFUSED(2, "hash-late-at-hand"),
		REFUSED(2, "arch"), REFUSED(2, "large"), REFUSED(0, NULL), INSTALL(2, REBOOT),
		BOOT } },
	{ "an install from an unconfirmed slot", .setup = 4, .count = 6, .steps = {
		BOOT, GOOD, INSTALL(1, REBOOT), BOOT, REFUSED(2, NULL), GOOD } },
	{ "an install before kexec-good is good", .setup = 4, .count = 8, .steps = {
		BOOT, GOOD, INSTALL(1, KEXEC), JUMP, GOOD, BOOT, REFUSED(2, NULL), GOOD } },
	{ "a transfer that breaks off", .setup = 5, .count = 9, .steps = {
		UPDATED, BREAKS(2, "breaks-image"), BREAKS(2, "breaks-late"), BOOT,
		INSTALL(2, REBOOT) } },
	{ "a broken transfer over the preferred slot", .setup = 6, .count = 8, .steps = {
		UPDATED, ACTIVE(0), BREAKS(2, "hash-late"), BOOT } },
	{ "the variable store lost", .setup = 2, .count = 11, .steps = {
		BOOT, GOOD, INSTALL(1, REBOOT), LOSE, BOOT, GOOD, LOSE, INSTALL(2, REBOOT), LOSE,
		BOOT, GOOD } },
	{ "good slots counted", .good_limit = 2, .setup = 2, .count = 10, .steps = {
		UPDATED, BOOT, BOOT, BOOT, GOOD, INSTALL(2, REBOOT) } },
	{ "a variable that nobody can write", .squatted = true, .count = 11, .steps = {
		BOOT, GOOD, INSTALL(1, REBOOT), BOOT, GOOD, BAD(0), INSTALL(2, KEXEC), JUMP,
		GOOD, BOOT, GOOD } },
	{ "two disks and one variable", .foreign = true, .count = 13, .steps = {
		BOOT, GOOD, OTHER, BOOT, INSTALL(1, REBOOT), OTHER, BOOT, GOOD, OTHER, BOOT,
		BOOT, OTHER, GOOD } },
	{ "a trial that hangs", .hangs = 2, .setup = 2, .count = 5, .steps = {
		BOOT, GOOD, INSTALL(1, REBOOT), BOOT, GOOD } },
	{ "a kexec into what hangs", .hangs = 2, .setup = 2, .count = 5, .steps = {
		BOOT, GOOD, INSTALL(1, KEXEC), JUMP, GOOD } },
	{ "a new loader", .loader = true, .setup = 4, .count = 10, .steps = {
		BOOT, GOOD, BOOT, GOOD, LOADER(1), BOOT, GOOD, BOOT, LOADER(2), BOOT } },
	{ "a new loader that gives up", .loader = true, .loader_broken = 2, .setup = 4, .count = 8,
	  .steps = { BOOT, GOOD, BOOT, GOOD, LOADER(1), BOOT, GOOD, BOOT } },
	{ "a new loader where BootNext is ignored", .loader = true, .next_ignored = true, .setup = 4,
	  .count = 8, .steps = { BOOT, GOOD, BOOT, GOOD, LOADER(1), BOOT, GOOD, BOOT } },
	{ "a new loader with a new system", .loader = true, .setup = 5, .count = 9, .steps = {
		BOOT, GOOD, BOOT, GOOD, LOADER(1), INSTALL(1, REBOOT), BOOT, GOOD, BOOT } },
	{ "two ESPs", .two = true, .setup = 1, .count = 8, .steps = {
		BOOT, GOOD, INSTALL(1, REBOOT), BOOT, GOOD, BAD(0), INSTALL(2, KEXEC), JUMP } },
	{ "without the loader", .direct = true, .setup = 1, .count = 9, .steps = {
		BOOT, GOOD, INSTALL(1, REBOOT), BOOT, GOOD, INSTALL(2, REBOOT), BOOT, GOOD, BOOT } },
	{ "without the loader, a trial that panics", .direct = true, .hangs = 2, .setup = 2, .count = 7,
	  .steps = { BOOT, GOOD, INSTALL(1, REBOOT), BOOT, GOOD, INSTALL(2, REBOOT), BOOT } },
	{ "without the loader, by hand", .direct = true, .setup = 5, .count = 14, .steps = {
		UPDATED, BACK(REBOOT), BOOT, GOOD, ACTIVE(1), BAD(1), ACTIVE(1), BOOT, GOOD, BAD(0) } },
	{ "without the loader, a trial that is not well", .direct = true, .setup = 3, .count = 10, .steps = {
		BOOT, GOOD, INSTALL(1, REBOOT), BOOT, UNWELL, BOOT, GOOD, BREAKS(2, "breaks-late"),
		INSTALL(2, REBOOT), BOOT } },
	{ "keys that change", .keys = true, .setup = 2, .count = 9, .steps = {
		BOOT, GOOD, INSTALL(3, REBOOT), BOOT, GOOD, BOOT, GOOD, BAD(0), GOOD } },
	{ "two ESPs, one away for an update", .two = true, .setup = 6, .count = 12, .steps = {
		UPDATED, PULL, INSTALL(2, REBOOT), BOOT, GOOD, RETURN, GOOD, BOOT } },
};
const unsigned scenario_count = sizeof scenarios / sizeof scenarios[0];

const struct mode modes[] = {
	{ "cut", .fault = FAULT_CUT },
	{ "one failing call", .fault = FAULT_ONE },
	{ "cut, no mirror, variable lost", .fault = FAULT_CUT, .no_mirror = true,
	  .after = AFTER_LOSE_VAR },
	{ "one failing read", .fault = FAULT_READ },
	{ "failing from there on", .fault = FAULT_FROM },
	{ "no space", .fault = FAULT_NOSPACE },
	{ "a write that lies", .fault = FAULT_LIE },
	{ "cut, variable store full", .fault = FAULT_CUT, .store = STORE_FULL },
	{ "cut, variable store lying", .fault = FAULT_CUT, .store = STORE_LIES },
	{ "cut, variable lost", .fault = FAULT_CUT, .after = AFTER_LOSE_VAR },
	{ "cut, variable flipped", .fault = FAULT_CUT, .after = AFTER_FLIP_VAR },
	{ "cut, mirror flipped", .fault = FAULT_CUT, .after = AFTER_FLIP_MIRROR },
	{ "cut, trial UKI flipped", .fault = FAULT_CUT, .after = AFTER_FLIP_UKI },
	{ "cut, record lost", .fault = FAULT_CUT, .after = AFTER_LOSE_ALL },
	{ "cut, first choice fails", .fault = FAULT_CUT, .after = AFTER_REFUSE },
	{ "cut, every UKI flipped", .fault = FAULT_CUT, .after = AFTER_FLIP_ALL },
	{ "cut, mirror forged", .fault = FAULT_CUT, .after = AFTER_FORGE },
	{ "cut, a stick in between", .fault = FAULT_CUT, .after = AFTER_STICK },
	{ "cut, variable store falls back", .fault = FAULT_CUT, .after = AFTER_FALL_BACK },
	{ "cut, disk made anew", .fault = FAULT_CUT, .after = AFTER_REIMAGE },
	{ "cut, disk made anew with a state.bin", .fault = FAULT_CUT, .after = AFTER_REIMAGE,
	  .has_state = true },
	{ "cut, first disk pulled", .fault = FAULT_CUT, .after = AFTER_PULL_FIRST },
	{ "cut, first disk pulled, variable lost", .fault = FAULT_CUT, .after = AFTER_PULL_FIRST_VAR },
	{ "cut, other disk pulled", .fault = FAULT_CUT, .after = AFTER_PULL_OTHER },
	{ "cut, boot from the other disk", .fault = FAULT_CUT, .after = AFTER_OTHER },
	{ "two cuts", .fault = FAULT_CUT, .twice = true },
	{ "two cuts, variable store full", .fault = FAULT_CUT, .store = STORE_FULL,
	  .twice = true },
};
const unsigned mode_count = sizeof modes / sizeof modes[0];

bool mode_fits(const struct mode *mode, const struct scenario *scenario)
{
	return !scenario->direct ||
	       (mode->store == STORE_OK && !mode->no_mirror &&
		(mode->after == AFTER_NOTHING || mode->after == AFTER_REFUSE));
}

static void var_put(struct world *w, const char *name, const void *data, size_t len)
{
	struct vars vars = simvars(w);

	(void)vars.set(w, VARS_GLOBAL, name, data, len, VARS_NV_BS_RT, NULL);
}

/* Two for the loader and two for slot a, one of them never in BootOrder. */
static void duplicates_put(struct world *w)
{
	static const uint8_t order[] = { 7, 0, 0, 0, 5, 0, 4, 0, 6, 0 };

	for (unsigned i = 0; i < 4; i++) {
		char name[16];
		uint8_t *data;
		size_t len;

		(void)snprintf(name, sizeof name, "Boot%04X", 5 + i);
		if (loadoption_build(&sim_esp, i < 2 ? LOADOPTION_ACTIVE : 0, "old",
				     i < 2 ? BOOTENTRIES_LOADER_PATH : BOOTENTRIES_A_PATH,
				     NULL, 0, &data, &len, NULL) < 0)
			abort();
		var_put(w, name, data, len);
		free(data);
	}
	var_put(w, "BootOrder", order, sizeof order);
}

/* Slot a holds version 0. */
void scenario_disk(bool device, bool loader, struct world *ret_world)
{
	const struct sim_version *v = &sim_versions[0];
	struct world *w = ret_world;
	uint8_t zero[SIM_FILE_MAX] = { 0 };

	world_init(w);
	w->device = device;
	w->dir_now[DIR_OURS] = w->dir_now[DIR_A] = w->dir_now[DIR_BOOT] = true;
	w->dir_now[DIR_OTHER_OURS] = w->dir_now[DIR_FILES] = true;
	simdisk_put(w, NAME_UKI_A, v->uki, v->uki_len);
	memcpy(zero, v->image, v->image_len);
	simdisk_put(w, NAME_IMAGE_A, zero, device ? sizeof zero : v->image_len);
	memset(zero, 0, sizeof zero);
	simdisk_put(w, NAME_IMAGE_B, zero, device ? sizeof zero : 0);
	if (loader)
		simfirmware_provide(w);
	power_down(w);
}

void scenario_begin(const struct scenario *scenario, struct world *ret_world)
{
	static const uint8_t order[] = { 0, 0, 4, 0 };
	struct world *w = ret_world;

	scenario_disk(scenario->device, scenario->loader, w);
	w->good_limit = scenario->good_limit;
	w->two = scenario->two;
	w->direct = scenario->direct;
	w->loader = scenario->loader;
	w->loader_broken = scenario->loader_broken - 1;
	w->next_ignored = scenario->next_ignored;
	w->broken = scenario->broken - 1;
	w->hangs = scenario->hangs - 1;
	w->watchdog = scenario->hangs > 0 && !scenario->direct;
	var_put(w, "BootOrder", order, sizeof order);
	var_put(w, "Boot0000", "foreign zero", 12);
	var_put(w, "Boot0004", "foreign four", 12);
	if (scenario->direct)
		simdirect_provide(w);
	if (scenario->keys)
		simkeys_provide(w);
	if (scenario->duplicates)
		duplicates_put(w);
	if (scenario->squatted)
		simvars_squat(w);
	if (scenario->foreign)
		simvars_foreign(w);
	power_down(w);
	w->fault.count = 0;
}
