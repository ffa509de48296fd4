/* SPDX-License-Identifier: MIT */
/* machine_sync_entries(), machine_hide_entry(): which boot entries the record asks for. */
#include "bootentries.h"
#include "espfile.h"
#include "machine.h"
#include "policy.h"
#include "ukifile.h"
#include "io.h"

#include <errno.h>
#include <string.h>

/* The slot whose direct entry comes first: proven by the firmware, preferred. */
static int confirmed_slot(const struct record *record)
{
	unsigned preferred = record->preferred;

	for (unsigned i = 0; i < SLOT_COUNT; i++) {
		unsigned slot = i == 0 ? preferred : 1 - preferred;

		if (record->slots[slot].status == SLOT_GOOD)
			return (int)slot;
	}
	return (int)preferred;
}

/* Load options are UTF-16 with a NUL (UEFI 2.10, 3.1.3 leaves them to the image;
 * systemd-stub reads a string). A command line beyond ASCII is left to .cmdline. */
static int options_make(const char *text, uint8_t **ret_data, size_t *ret_len)
{
	size_t len = strlen(text);
	uint8_t *data = calloc(len + 1, 2);

	for (size_t i = 0; data && i < len; i++) {
		if ((unsigned char)text[i] >= 0x80) {
			free(data);
			data = NULL;
			break;
		}
		data[2 * i] = (uint8_t)text[i];
	}
	if (!data)
		return -1;
	*ret_data = data;
	*ret_len = 2 * (len + 1);
	return 0;
}

/* The filled-in command line of a UKI with {slot}, which without the loader would
 * reach the kernel unfilled. A UKI that cannot be read gets no options. */
static void direct_options(const struct machine *m, unsigned slot, uint8_t **ret_data,
			   size_t *ret_len)
{
	_cleanup_free_ char *path = NULL;
	_cleanup_free_ char *text = NULL;
	struct ukifile uki;
	bool has_slot = false;

	if (machine_slot_file(m, slot, "uki.efi", &path, NULL) < 0 ||
	    ukifile_open(path, &uki, NULL) < 0)
		return;
	if (ukifile_cmdline(&uki, slot, &text, &has_slot, NULL) == 0 && has_slot)
		(void)options_make(text, ret_data, ret_len);
	ukifile_close(&uki);
}

static bool loader_exists(const struct machine *m)
{
	_cleanup_free_ char *path = NULL;
	const char *name = strrchr(BOOTENTRIES_LOADER_PATH, '\\') + 1;

	return asprintf(&path, "%s/" ESP_OURS "/%s", m->esp.dir, name) >= 0 &&
	       access(path, F_OK) == 0;
}

/* There is firmware that locks its boot entries and starts our loader all the same. */
static int result(struct machine *m, int r, const struct err *why, struct err *err)
{
	bool loader_ran = m->has_trace && !m->running.kexec;

	m->entries_error = (struct err){ 0 };
	if (r == 0)
		return 0;
	if (loader_ran && why->exit != EX_SOFTWARE) {
		m->entries_error = *why;
		return 0;
	}
	if (err)
		*err = *why;
	return -1;
}

int machine_hide_entry(struct machine *machine, unsigned slot, struct err *err)
{
	struct err why = { 0 };
	int r = bootentries_set_active(&machine->vars, &machine->esp, (int)slot, false, &why);

	return result(machine, r, &why, err);
}

int machine_sync_entries(struct machine *machine, struct err *err)
{
	const struct record *record = &machine->state.record;
	uint8_t *options[SLOT_COUNT] = { NULL };
	struct boot_want want = {
		.loader = loader_exists(machine),
		.confirmed = confirmed_slot(record),
	};
	struct err why = { 0 };
	int r;

	for (unsigned slot = 0; slot < SLOT_COUNT; slot++) {
		enum slot_status status = record->slots[slot].status;

		want.direct[slot].present = status != SLOT_EMPTY;
		want.direct[slot].active = status == SLOT_KEXEC_TRIAL ||
					   policy_slot_bootable(record, slot);
		if (want.direct[slot].active)
			direct_options(machine, slot, &options[slot],
				       &want.direct[slot].options_len);
		want.direct[slot].options = options[slot];
	}
	r = bootentries_sync(&machine->vars, &machine->esp, &want, &why);
	free(options[0]);
	free(options[1]);
	return result(machine, r, &why, err);
}
