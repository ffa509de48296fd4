/* SPDX-License-Identifier: MIT */
#include "provision_firmware.h"

#include "bootentries.h"
#include "bytes.h"
#include "io.h"
#include "espentry.h"

#include <string.h>

/* A variable with other attributes cannot be rewritten, only deleted (vars.h). */
static int record_put(const struct vars *vars, const struct provision_result *done, struct report *report,
		      struct err *err)
{
	_cleanup_free_ uint8_t *data = NULL;
	uint32_t attributes = 0;
	size_t len;
	int r = vars_get(vars, VARS_SLOTBOOT, VARS_SLOT_STATE, &data, &len, &attributes, err);

	if (r < 0)
		return -1;
	if (r == 0)
		report_step(report, "firmware", "the firmware has the slot record of an earlier installation: replaced");
	if (r == 0 && attributes != VARS_NV_BS_RT &&
	    vars_delete(vars, VARS_SLOTBOOT, VARS_SLOT_STATE, err) < 0)
		return -1;
	return vars_set(vars, VARS_SLOTBOOT, VARS_SLOT_STATE, done->record, sizeof done->record, VARS_NV_BS_RT, err);
}

static int entry_put(const struct vars *vars, const char *disk, const struct provision_result *done,
		     struct err *err)
{
	const struct layout *l = &done->layout;
	const struct layout_part *part = layout_find(l, LAYOUT_ESP);
	struct esp_info esp = { .disk = (char *)disk, .part = part->number, .sector_size = l->sector_bytes,
				.start = part->start / l->sector_bytes, .size = part->bytes / l->sector_bytes,
				.shim = done->shim };
	struct boot_want want = {
		.loader = !done->direct,
		.direct[0] = { .present = done->direct, .active = done->direct, .options = done->options,
			       .options_len = done->options_len },
		.confirmed = -1,
	};

	memcpy(esp.guid, part->guid, sizeof esp.guid);
	return bootentries_sync(vars, &esp, &want, err);
}

/* 1: an entry for one of our files on that ESP. */
static int is_old(const struct vars *vars, const char *name, const struct esp_info *old, struct err *err)
{
	static const char *const paths[] = { BOOTENTRIES_LOADER_PATH, BOOTENTRIES_TRIAL_PATH, BOOTENTRIES_A_PATH,
					    BOOTENTRIES_B_PATH };
	_cleanup_free_ uint8_t *data = NULL;
	size_t len;
	int r = vars_get(vars, VARS_GLOBAL, name, &data, &len, NULL, err);

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(paths); i++)
		if (espentry_leads(old, data, len, paths[i]))
			return 1;
	return r < 0 ? -1 : 0;
}

/* Remove it from BootOrder before deleting the entry, so that BootOrder never names a
 * missing one. */
static int order_drop(const struct vars *vars, uint16_t number, struct err *err)
{
	_cleanup_free_ uint8_t *order = NULL;
	uint32_t attributes;
	size_t len, kept = 0;
	int r = vars_get(vars, VARS_GLOBAL, "BootOrder", &order, &len, &attributes, err);

	if (r != 0)
		return r < 0 ? -1 : 0;
	for (size_t at = 0; at + 2 <= len; at += 2)
		if (le16_get(order + at) != number) {
			le16_put(order + kept, le16_get(order + at));
			kept += 2;
		}
	return kept == 0 || kept == len ? 0 : vars_set(vars, VARS_GLOBAL, "BootOrder", order, kept, attributes, err);
}

static int old_remove(const struct vars *vars, const struct esp_info *old, struct report *report, struct err *err)
{
	_cleanup_free_ struct vars_name *names = NULL;
	size_t count;

	if (vars_list_boot(vars, &names, &count, err) < 0)
		return -1;
	for (size_t i = 0; i < count; i++) {
		struct err unread;

		/* An unreadable entry is treated as foreign. */
		if (is_old(vars, names[i].text, old, &unread) != 1)
			continue;
		report_step(report, "firmware", "%s is of the ESP that was on the disk: removed", names[i].text);
		if (order_drop(vars, (uint16_t)strtoul(names[i].text + 4, NULL, 16), err) < 0 ||
		    vars_delete(vars, VARS_GLOBAL, names[i].text, err) < 0)
			return -1;
	}
	return 0;
}

int provision_firmware(const struct vars *vars, const char *disk, const struct provision_result *done,
		       struct report *report, struct err *err)
{
	static const uint8_t none[LAYOUT_GUID_BYTES];
	struct esp_info old = { .shim = done->shim };

	if (record_put(vars, done, report, err) < 0 || entry_put(vars, disk, done, err) < 0)
		return -1;
	if (memcmp(done->old_esp, none, sizeof none) == 0 ||
	    memcmp(done->old_esp, layout_find(&done->layout, LAYOUT_ESP)->guid, LAYOUT_GUID_BYTES) == 0)
		return 0;
	memcpy(old.guid, done->old_esp, sizeof old.guid);
	return old_remove(vars, &old, report, err);
}
