/* SPDX-License-Identifier: MIT */
#include "machine.h"

#include "bootentries.h"
#include "cmdline.h"
#include "direct.h"
#include "espdisk.h"
#include "espfile.h"
#include "lock.h"
#include "other_esp.h"
#include "io.h"
#include "vars_mount.h"

#include <efivar/efivar.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#define LOCK_WAIT_S 60
#define LABEL_A "slotboot-a"	/* slot B's has a b */

static void targets_drop(struct config_image *image)
{
	for (unsigned slot = 0; slot < SLOT_COUNT; slot++) {
		free(image->target[slot]);
		image->target[slot] = NULL;
	}
}

/* The partitions slotboot-a and slotboot-b, and what follows. 0: there are none, or image has both;
 * -1: one is missing. */
static int pair_by_label(struct machine *m, const char *suffix, struct config_image *image, struct err *err)
{
	unsigned found = 0;

	for (unsigned slot = 0; slot < SLOT_COUNT; slot++) {
		char label[128];

		(void)snprintf(label, sizeof label, "slotboot-%c%s", slot_letter(slot), suffix);
		if (esp_disk_find_label(&m->esp, label, &image->target[slot], err) == 0)
			found++;
	}
	if (found == 1) {
		targets_drop(image);
		return -1;
	}
	if (found == 0)
		*err = (struct err){ 0 };
	return 0;
}

/* As a manifest may have it, which has room for more than is left of a label. */
static bool is_image_name(const char *name)
{
	return *name && !name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_-")];
}

/* As slotctl provision labels the partitions of further images: slotboot-a-NAME. What is no whole pair
 * is none of an image: else one such label, whoever made it, would keep a slot from being confirmed. */
static int more_by_label(struct machine *m, char *const *labels, size_t count, struct err *err)
{
	struct config *config = m->config;

	for (size_t i = 0; i < count && config->image_count < CONFIG_MAX_IMAGES; i++) {
		struct config_image *image = &config->images[config->image_count];
		const char *suffix = labels[i] + sizeof LABEL_A - 1;
		struct err why = { 0 };

		if (!is_image_name(suffix + 1) || pair_by_label(m, suffix, image, &why) < 0 || !image->target[0])
			continue;
		image->name = strdup(suffix + 1);
		if (!image->name)
			return err_errno(err, EX_SOFTWARE, errno, "failed to name the slots");
		config->image_count++;
	}
	return 0;
}

static void labels_free(char **labels, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(labels[i]);
	free(labels);
}

/* Find the images by partition labels, if the configuration names none and the ESP's disk has
 * both labels of the first. A machine that boots wholly from its UKI has neither; of
 * mirrored disks one has no more than a leg. */
static int images_by_label(struct machine *m, struct err *err)
{
	struct config_image *image = &m->config->images[0];
	char **labels;
	size_t count;
	int r;

	if (m->config->image_count > 0 || other_esp_is_configured(m))
		return 0;
	if (pair_by_label(m, "", image, err) < 0)
		return -1;
	if (!image->target[0])
		return 0;
	image->name = strdup("rootfs");
	if (!image->name)
		return err_errno(err, EX_SOFTWARE, errno, "failed to name the slots");
	m->config->image_count = 1;
	if (esp_disk_labels(&m->esp, LABEL_A "-", &labels, &count, err) < 0)
		return -1;
	r = more_by_label(m, labels, count, err);
	labels_free(labels, count);
	return r;
}

/* A device or file named for both slots, or for two images, would belong to the confirmed
 * slot as well as to the idle one. */
static int targets_distinct(const struct config *config, struct err *err)
{
	struct stat seen[CONFIG_MAX_IMAGES * SLOT_COUNT], st;
	size_t count = 0;

	for (size_t i = 0; i < config->image_count; i++)
		for (unsigned slot = 0; slot < SLOT_COUNT; slot++) {
			if (stat(config->images[i].target[slot], &st) < 0)
				continue;
			for (size_t k = 0; k < count; k++)
				if (S_ISBLK(st.st_mode) ? seen[k].st_rdev == st.st_rdev
							: seen[k].st_dev == st.st_dev &&
								  seen[k].st_ino == st.st_ino)
					return err_set(err, EX_CONFIG,
						       "bad configuration: [image %s] %c = %s is "
						       "also another slot's or image's",
						       config->images[i].name, slot_letter(slot),
						       config->images[i].target[slot]);
			seen[count++] = st;
		}
	return 0;
}

static int state_read(struct machine *m, struct err *err)
{
	state_load(&m->storage, &m->state);
	if (m->state.var_error == SB_IO) {
		if (err)
			*err = m->statefile.why;
		return -1;
	}
	return 0;
}

static int state_open(struct machine *m, struct err *err)
{
	m->statefile.vars = &m->vars;
	m->statefile.disk = &m->disk;
	m->statefile.closed = vars_efi_is_read_only() &&
			      vars_mount_is_closed(m->config->sysroot, vars_efi_path());
	if (asprintf(&m->statefile.mirror, "%s/" ESP_OURS "/state.bin", m->esp.dir) < 0)
		return err_errno(err, EX_SOFTWARE, errno, "failed to name the mirror");
	m->storage = statefile_ops(&m->statefile);
	m->storage.esp = m->esp.guid;
	return state_read(m, err);
}

char *machine_loader_variable(const struct machine *m, const char *name)
{
	_cleanup_free_ uint8_t *data = NULL;
	uint32_t attributes;
	char *text = NULL;
	size_t len;

	if (vars_get(&m->vars, VARS_LOADER, name, &data, &len, &attributes, NULL) != 0 ||
	    attributes != VARS_BS_RT ||
	    vars_get_utf16(&m->vars, VARS_LOADER, name, &text, NULL) != 0)
		return NULL;
	return text;
}

/* Our loader names the slot that it starts; for a plain boot it leaves no more than that
 * (trace.h). */
static bool plain_trace_find(const struct machine *m, struct trace *ret_trace)
{
	_cleanup_free_ char *loader = machine_loader_variable(m, "LoaderInfo");
	_cleanup_free_ char *entry = machine_loader_variable(m, "LoaderEntrySelected");
	char expected[] = "slotboot-?.efi";

	if (!loader || !entry || strncmp(loader, "slotboot ", 9) != 0)
		return false;
	for (unsigned slot = 0; slot < SLOT_COUNT; slot++) {
		expected[9] = slot_letter(slot);
		if (strcmp(entry, expected) == 0) {
			trace_plain(slot, ret_trace);
			return true;
		}
	}
	return false;
}

/* It only explains the boot, and helps where nothing is mounted; it never stops a verb. */
static void trace_read(struct machine *m)
{
	_cleanup_free_ uint8_t *data = NULL;
	uint32_t attributes;
	size_t len;
	int r = vars_get(&m->vars, VARS_SLOTBOOT, VARS_SLOT_TRACE, &data, &len, &attributes,
			 NULL);

	m->trace_squatted = r == 0 && attributes != VARS_BS_RT;
	if (r == 0 && !m->trace_squatted)
		m->has_trace = trace_decode(data, len, &m->trace) == SB_OK;
	else
		m->has_trace = plain_trace_find(m, &m->trace);
}

/* The slot whose UKI the firmware started itself: by what systemd-stub says of it; -1. */
static int image_slot(const struct machine *m)
{
	_cleanup_free_ char *identifier = machine_loader_variable(m, "LoaderImageIdentifier");

	for (unsigned slot = 0; identifier && slot < SLOT_COUNT; slot++)
		if (strcasecmp(identifier, bootentries_slot_path[slot]) == 0)
			return (int)slot;
	return -1;
}

/* Of mirrored disks either will do. */
static void root_compare(struct machine *m)
{
	dev_t root = running_root_device(m->config);

	if (esp_disk_compare(&m->esp, root, &m->esp_error) < 0 && m->other_esp.dir &&
	    esp_disk_compare(&m->other_esp, root, NULL) == 0)
		m->esp_error = (struct err){ 0 };
}

/* With two disks of the same labels, or a stick, the mounted ESP may not be the one that
 * the firmware booted from. After a kexec the variable describes an earlier boot, and the
 * running system may have come from another disk than the one that was jumped from. The
 * device of / is always this boot's. */
static void esp_compare(struct machine *m)
{
	_cleanup_free_ char *text = NULL;
	efi_guid_t guid;

	/* Of two ESPs the lost one may be the one that was booted from. */
	if ((!m->is_running || !m->running.kexec) && other_esp_state(m) != OTHER_ESP_LOST)
		text = machine_loader_variable(m, "LoaderDevicePartUUID");
	if (!text || efi_str_to_guid(text, &guid) < 0 ||
	    memcmp(&guid, m->esp.guid, sizeof guid) == 0) {
		root_compare(m);
		return;
	}
	(void)err_set(&m->esp_error, EX_CONFIG, "the ESP at %s (partition %u of %s) is not the one "
		      "that the firmware booted from (partition UUID %s, says LoaderDevicePartUUID): "
		      "mount that one, or set esp= in slotboot.conf", m->esp.dir, m->esp.part,
		      m->esp.disk, text);
}

/* Find the running slot and its disk. With two disks of the same labels both may be in
 * doubt, because of the disk. */
static int running_open(struct machine *m, enum machine_mode mode, struct err *err)
{
	m->is_running = running_find(m->config, m->has_trace ? &m->trace : NULL,
				     m->has_trace ? -1 : image_slot(m), &m->running,
				     &m->running_error) == 0;
	esp_compare(m);
	direct_judge(m);
	if (mode == MACHINE_LOOK || (m->is_running && !m->esp_error.exit))
		return 0;
	*err = m->esp_error.exit ? m->esp_error : m->running_error;
	return -1;
}

/* Changes take moments, an install may take an hour. */
static int locks_take(struct machine *m, enum machine_mode mode, struct err *err)
{
	_cleanup_free_ char *install = NULL;

	if (mode == MACHINE_LOOK)
		return 0;
	if (mode != MACHINE_INSTALL)
		return lock_take(m->config->lock, mode == MACHINE_CONFIRM ? LOCK_WAIT_S : 0,
				 &m->lock, err);
	if (asprintf(&install, "%s.install", m->config->lock) < 0)
		return err_errno(err, EX_SOFTWARE, errno, "failed to name the lock");
	return lock_take(install, 0, &m->install_lock, err);
}

int machine_lock(struct machine *machine, struct err *err)
{
	if (machine->lock >= 0)
		return 0;
	if (machine->config->lock &&
	    lock_take(machine->config->lock, LOCK_WAIT_S, &machine->lock, err) < 0)
		return -1;
	if (state_read(machine, err) < 0)
		return -1;
	direct_judge(machine);
	return 0;
}

void machine_unlock(struct machine *machine)
{
	cleanup_closep(&machine->lock);
	machine->lock = -1;
}

int machine_open(const char *config_path, enum machine_mode mode, struct machine *machine,
		 struct err *err)
{
	struct machine *m = machine;

	*m = (struct machine){ .lock = -1, .install_lock = -1, .disk = disk_posix };
	if (config_load(config_path, &m->config, err) < 0)
		return -1;
	if (locks_take(m, mode, err) < 0)
		return -1;
	m->step = MACHINE_AT_VARS;
	if (vars_efi_open(&m->vars, err) < 0)
		return -1;
	m->step = MACHINE_AT_ESP;
	if (other_esp_open(m, err) < 0)
		return -1;
	m->step = MACHINE_AT_SLOTS;
	if (images_by_label(m, err) < 0 || targets_distinct(m->config, err) < 0 ||
	    state_open(m, err) < 0)
		return -1;
	m->step = MACHINE_OPEN;
	trace_read(m);
	return running_open(m, mode, err);
}

void machine_close(struct machine *machine)
{
	running_clear(&machine->running);
	free(machine->statefile.mirror);
	esp_info_clear(&machine->esp);
	esp_info_clear(&machine->other_esp);
	config_free(machine->config);
	cleanup_closep(&machine->lock);
	cleanup_closep(&machine->install_lock);
}

static int stored(struct machine *m, enum sb_error error, enum sb_error mirror, struct err *err)
{
	m->mirror_failed = mirror != SB_OK;
	m->warning = NULL;
	if (error != SB_OK && m->statefile.why.exit) {
		if (err)
			*err = m->statefile.why;
		return err_prefix(err, "failed to store the slot record");
	}
	if (error != SB_OK)
		return err_set(err, EX_IOERR, "failed to store the slot record in the variable "
			       "SlotState: %s", sb_error_text(error));
	if (m->state.source == STATE_MIRROR_COPY && !m->statefile.closed)
		m->warning = "the slot record is stored in the mirror on the ESP alone: there is a "
			     "variable SlotState that is not slotboot's (wrong attributes) and that "
			     "the firmware does not let go; clear it in the firmware's setup";
	else if (m->mirror_failed)
		m->warning = "the slot record is stored, but its mirror on the ESP could not be "
			     "written";
	return 0;
}

int machine_save(struct machine *machine, struct err *err)
{
	enum sb_error mirror = SB_OK, error;

	if (direct_disarm(machine, err) < 0)
		return -1;
	machine->statefile.why = (struct err){ 0 };
	error = state_save(&machine->storage, STATE_SAVE_AGENT, &machine->state, &mirror);
	if (error == SB_OK)
		other_esp_store(machine);
	machine->judged = machine->judged && error != SB_OK;
	return stored(machine, error, mirror, err);
}

int machine_repair(struct machine *machine, struct err *err)
{
	enum sb_error mirror = SB_OK, error;

	machine->statefile.why = (struct err){ 0 };
	error = state_repair(&machine->storage, &machine->state, &mirror);
	return stored(machine, error, mirror, err);
}

int machine_slot_file(const struct machine *machine, unsigned slot, const char *name,
		      char **ret_path, struct err *err)
{
	return espfile_path(machine->esp.dir, slot, name, ret_path, err);
}
