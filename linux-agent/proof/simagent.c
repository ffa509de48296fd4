/* SPDX-License-Identifier: MIT */
/* The agent: a struct machine over the simulated disk and variables, and the
 * verbs of it that change something. */
#include "install.h"
#include "confirm.h"
#include "direct.h"
#include "kexec_intent.h"
#include "kexec.h"
#include "key_updates.h"
#include "loader_update.h"
#include "mark.h"
#include "report.h"
#include "sim.h"
#include "io.h"

#include <stdio.h>
#include <string.h>

static char mirror_path[] = "esp/EFI/slotboot/state.bin", esp_dir[] = "esp";
static char image_name[] = "rootfs", target_a[] = "slot-a", target_b[] = "slot-b";
static char other_dir[] = "esp2", other_disk[] = "disk2.img";
static char files[] = "files", compatible[] = "sim", disk_path[] = "disk.img", empty[] = "";
static char sysroot[] = SIM_SYSROOT;

static struct config config = {
	.compatible = compatible,
	.sysroot = sysroot,
	.watchdog_s = 60,
	.files = files,
	.images = { { .name = image_name, .target = { target_a, target_b } } },
	.image_count = 1,
};

const struct esp_info sim_esp = {
	.dir = esp_dir, .disk = disk_path, .sysroot = empty, .part = 1, .sector_size = 512,
	.start = 2048, .size = 204800, .guid = { 1, 2, 3, 4, 5 },
};

static const struct esp_info other_esp = {
	.dir = other_dir, .disk = other_disk, .sysroot = empty, .part = 1, .sector_size = 512,
	.start = 2048, .size = 204800,
};

/* The names of the first are those of the one that was booted from. */
static void esps_fill(const struct world *w, struct machine *m)
{
	m->esp = sim_esp;
	memcpy(m->esp.guid, simdisk_esp(w), sizeof m->esp.guid);
	config.esps[1] = w->two ? other_dir : NULL;
	if (w->two && !w->other_lost) {
		m->other_esp = other_esp;
		memcpy(m->other_esp.guid, simdisk_other_esp(w), sizeof m->other_esp.guid);
	} else if (w->two) {
		(void)err_set(&m->other_esp_error, EX_CONFIG, "the other ESP is lost: simulated");
	}
}

const char *op_text(enum op op)
{
	static const char *const text[OP_COUNT] = {
		"boot", "install", "kexec", "mark-good", "mark-bad", "mark-active", "rollback",
		"a failed health check",
		"refused install", "install that breaks off", "variables lost", "loader install",
		"the other disk's record", "a disk pulled", "the disk put back",
	};

	return text[op];
}

/* As machine_open() does. */
static int machine_fill(struct world *w, struct machine *m, struct err *err)
{
	*m = (struct machine){ .lock = -1, .is_running = true };
	sim_world = w;
	config.good_limit = w->good_limit;
	config.activation = w->direct ? CONFIG_ACTIVATION_DIRECT : CONFIG_ACTIVATION_LOADER;
	config.tries = w->direct ? 1 : SIM_TRIES;
	m->config = &config;
	m->disk = simdisk(w);
	m->vars = simvars(w);
	esps_fill(w, m);
	m->statefile = (struct statefile){ .vars = &m->vars, .disk = &m->disk,
					   .mirror = mirror_path };
	m->storage = statefile_ops(&m->statefile);
	m->running = (struct running){ .slot = w->session.running, .kexec = w->session.kexec,
				       .nonce = w->session.kexec ? SIM_NONCE : 0 };
	m->storage.esp = m->esp.guid;
	state_load(&m->storage, &m->state);
	direct_judge(m);
	if (m->state.var_error != SB_IO)
		return 0;
	*err = m->statefile.why;
	return -1;
}

/* The checker's own words for what install_check_target() decides. */
static bool is_confirmed(const struct slot *slot, bool kexec)
{
	return slot->status == SLOT_GOOD ||
	       (kexec && slot->status == SLOT_TRIAL && (slot->flags & SLOT_FLAG_KEXEC_GOOD));
}

/* The first slot has no manifest; and a torn UKI, which is started where the record is lost,
 * has one that is not its own: their version is not known, and a person is asked. */
static bool is_known(unsigned slot)
{
	return simdisk_find(sim_world, slot ? NAME_JSON_B : NAME_JSON_A) &&
	       sim_version_of(sim_world, slot, true) >= 0;
}

static int install(struct machine *m, const struct step *step, struct err *err)
{
	struct report report = { 0 };
	struct install_options options = { .activate = step->activate, .report = &report,
					   .force = true,
					   .allow_downgrade = !is_known(m->running.slot),
					   .flush_every = 2 * SIM_SECTOR };
	struct installed installed;
	char where[32];
	int r;

	(void)snprintf(where, sizeof where, "%d%s%s", step->arg, step->how ? ":" : "",
		       step->how ? step->how : "");
	options.where = where;
	r = install_run(m, &options, &installed, err);
	return r == 0 && step->activate == ACTIVATE_KEXEC
		       ? kexec_intent_jump(m, installed.slot, err) : r;
}

/* As load() of verb_kexec.c does. */
static int load(struct machine *m, unsigned slot, struct err *err)
{
	_cleanup_(kexec_image_freep) struct kexec_image *image = NULL;

	if (kexec_prepare(m, slot, &image, err) < 0 || kexec_cancel(m->config, err) < 0 ||
	    kexec_intent_make(m, slot, err) < 0 || machine_save(m, err) < 0)
		return -1;
	return kexec_intent_load(m, slot, image, err);
}

/* As rollback_run() does, which stands in a verb. */
static int rollback(struct machine *m, const struct step *step, struct err *err)
{
	unsigned other = 1 - m->running.slot;
	bool kexec = step->activate == ACTIVATE_KEXEC;
	int r;

	if (!policy_slot_bootable(&m->state.record, other))
		return err_set(err, EX_CONFIG, "there is nothing to roll back to");
	r = kexec ? load(m, other, err) : kexec_cancel(m->config, err);
	if (r == 0 && !kexec)
		(void)kexec_intent_forget(m);
	if (r == 0)
		r = mark_apply(m, ON_ROLLBACK_FROM, m->running.slot, err);
	if (r == 0 && kexec)
		r = kexec_intent_jump(m, other, err);
	if (r < 0)
		(void)kexec_cancel(m->config, NULL);
	return r;
}

/* As mark_good_running() does: what fails of loader and keys is a warning there. */
static int good(struct machine *m, struct err *err)
{
	struct loader_result result;
	struct key_update update;
	struct err why = { 0 };
	int r = mark_good(m, err);

	if (r == 0)
		(void)loader_settle(m, &result, NULL);
	if (r == 0)
		(void)mark_other_esp(m, NULL);
	if (r == 0)
		(void)key_updates_apply(m, &update, &why);
	return r;
}

static int loader(struct machine *m, unsigned version, struct err *err)
{
	_cleanup_(loader_file_clear) struct loader_file file = { 0 };
	struct loader_result result;

	simfirmware_file(version, &file);
	return loader_install(m, &file, &result, err);
}

/* As a verb that has failed, also where the boot entries alone could not be written. */
static int health(struct machine *m, struct err *err)
{
	static const struct health_finding finding = { "check", "status 1", "a line" };
	struct err entries = { 0 };

	if (confirm_fail(m, &finding, NULL, &entries, err) < 0)
		return -1;
	return entries.exit ? err_set(err, entries.exit, "%s", entries.text) : 0;
}

static int agent_verb(struct machine *m, const struct step *step, struct err *err)
{
	switch (step->op) {
	case OP_INSTALL:
	case OP_REFUSED:
	case OP_BREAKS:
		return install(m, step, err);
	case OP_GOOD:
		return good(m, err);
	case OP_LOADER:
		return loader(m, (unsigned)step->arg, err);
	case OP_BAD:
		(void)kexec_cancel(m->config, NULL);
		(void)kexec_intent_forget(m);
		return mark_apply(m, ON_MARK_BAD, (unsigned)step->arg, err);
	case OP_ACTIVE:
		(void)kexec_cancel(m->config, NULL);
		(void)kexec_intent_forget(m);
		return mark_apply(m, ON_MARK_ACTIVE, (unsigned)step->arg, err);
	case OP_ROLLBACK:
		return rollback(m, step, err);
	case OP_HEALTH:
		return health(m, err);
	default:
		return err_set(err, EX_SOFTWARE, "not a verb");
	}
}

static int agent_run(struct world *w, const struct step *step, uint8_t *ret_record,
		     struct err *err)
{
	struct machine m;
	int r;

	if (!w->session.up)
		return err_set(err, EX_SOFTWARE, "nothing runs");
	if (machine_fill(w, &m, err) < 0)
		return -1;
	w->ghost.guard = is_confirmed(&m.state.record.slots[w->session.running],
				      w->session.kexec) ? 1u << w->session.running : 3u;
	w->ghost.agent_ran = true;
	/* mark-good alone grants no try, but after a kexec. */
	if (w->direct && (step->op != OP_GOOD || w->session.kexec))
		memset(w->ghost.starts, 0, sizeof w->ghost.starts);
	r = agent_verb(&m, step, err);
	check_guard(w, op_text(step->op));
	if (r == 0)
		record_encode(&m.state.record, ret_record);
	return r;
}

static int jump(struct world *w, struct err *err)
{
	int slot = w->session.staged;

	if (slot < 0)
		return err_set(err, EX_SOFTWARE, "nothing is staged");
	if (sim_version_of(w, (unsigned)slot, false) < 0)
		violation("kexec starts slot %d, which is not one whole version", slot);
	w->session = (struct session){ .up = true, .running = (unsigned)slot, .kexec = true,
				       .staged = -1 };
	if (sim_version_of(w, (unsigned)slot, true) != w->hangs || w->hangs < 0)
		return 0;
	simloader_reset(w);	/* the agent had armed it */
	return w->session.up ? 0 : err_set(err, EX_SOFTWARE, "nothing started");
}

void op_prepare(struct world *w, const struct step *step)
{
	struct session session = w->session;

	if (step->op != OP_BOOT && step->op != OP_KEXEC)
		return;
	power_down(w);
	if (step->op == OP_KEXEC)
		w->session = session;
}

static void lose_vars(struct world *w)
{
	for (int i = 0; i < SIM_VARS; i++)
		if (w->vars[i].guid == VARS_SLOTBOOT)
			w->vars[i].used = false;
	w->ghost.agent_ran = true;
	memset(w->ghost.trial, 0, sizeof w->ghost.trial);
}

int op_run(struct world *w, const struct step *step, uint8_t *ret_record, struct err *err)
{
	switch (step->op) {
	case OP_BOOT:
		simloader_boot(w);
		return w->session.up ? 0 : err_set(err, EX_SOFTWARE, "nothing started");
	case OP_KEXEC:
		return jump(w, err);
	case OP_LOSE_VARS:
		lose_vars(w);
		return 0;
	case OP_FOREIGN:
		simvars_foreign(w);
		return 0;
	case OP_PULL:
	case OP_RETURN:
		w->other_lost = step->op == OP_PULL;
		return 0;
	default:
		return agent_run(w, step, ret_record, err);
	}
}
