/* SPDX-License-Identifier: MIT */
#include "provision_root.h"

#include "cmdline.h"
#include "io.h"
#include "record.h"
#include "slot_cmdline.h"

#include <efivar.h>
#include <string.h>
#include <unistd.h>

#define PREFIX "PARTUUID="
#define PREFIX_LEN (sizeof PREFIX - 1)

/* 1; 0: root= does not name a partition by its GUID. */
static int root_guid(const struct ukifile *uki, unsigned slot, uint8_t ret_guid[LAYOUT_GUID_BYTES],
		     struct err *err)
{
	_cleanup_(slot_cmdline_clear) struct slot_cmdline cmdline = { 0 };
	char text[LAYOUT_GUID_TEXT];
	const char *root;
	efi_guid_t guid;
	size_t len;

	if (slot_cmdline_read(uki, slot, &cmdline, err) < 0)
		return -1;
	root = cmdline_get(cmdline.text, "root", &len);
	/* "/PARTNROFF=1": some other partition. */
	if (!root || len < PREFIX_LEN || strncmp(root, PREFIX, PREFIX_LEN) != 0 ||
	    memchr(root, '/', len))
		return 0;
	root += PREFIX_LEN;
	len -= PREFIX_LEN;
	if (len == sizeof text - 1) {
		memcpy(text, root, len);
		text[len] = 0;
		if (efi_str_to_guid(text, &guid) == 0) {
			memcpy(ret_guid, &guid, sizeof guid);
			return 1;
		}
	}
	return err_set(err, EX_DATAERR, "the UKI's command line has root=" PREFIX "%.*s in slot %c, which is no "
		       "GUID of a partition", (int)len, root, slot_letter(slot));
}

static int kept_check(const struct layout_part *part, const uint8_t guid[LAYOUT_GUID_BYTES], struct err *err)
{
	char is[LAYOUT_GUID_TEXT], wanted[LAYOUT_GUID_TEXT];

	if (memcmp(part->guid, guid, LAYOUT_GUID_BYTES) == 0)
		return 0;
	layout_guid_text(part->guid, is);
	layout_guid_text(guid, wanted);
	return err_set(err, EX_CONFIG, "partition %u, %s, is %s, and the UKI's command line has root=" PREFIX
		       "%s: sfdisk --part-uuid makes it that", part->number, part->name, is, wanted);
}

/* The last digit of a GUID as text is the low half of its last byte. */
static bool is_series(uint8_t guids[SLOT_COUNT][LAYOUT_GUID_BYTES])
{
	return memcmp(guids[0], guids[1], LAYOUT_GUID_BYTES - 1) == 0 &&
	       (guids[0][LAYOUT_GUID_BYTES - 1] ^ 0xa) == (guids[1][LAYOUT_GUID_BYTES - 1] ^ 0xb) &&
	       (guids[0][LAYOUT_GUID_BYTES - 1] & 0xf) == 0xa;
}

/* To the partition of that role, if there is one. */
static void guid_give(struct layout *layout, enum layout_role role, const uint8_t guid[LAYOUT_GUID_BYTES])
{
	for (size_t i = 0; i < layout->count; i++)
		if (layout->parts[i].role == role)
			memcpy(layout->parts[i].guid, guid, LAYOUT_GUID_BYTES);
}

static void series_give(struct layout *layout, enum layout_role role, const uint8_t a[LAYOUT_GUID_BYTES],
			uint8_t digit)
{
	uint8_t guid[LAYOUT_GUID_BYTES];

	memcpy(guid, a, sizeof guid);
	guid[LAYOUT_GUID_BYTES - 1] = (uint8_t)((guid[LAYOUT_GUID_BYTES - 1] & 0xf0) | digit);
	guid_give(layout, role, guid);
}

static int guids_take(struct layout *layout, bool adopted, uint8_t guids[SLOT_COUNT][LAYOUT_GUID_BYTES],
		      struct err *err)
{
	const struct layout_part *a = layout_find(layout, LAYOUT_A), *b = layout_find(layout, LAYOUT_B);

	if (!a || !b)
		return 0;
	if (memcmp(guids[0], guids[1], LAYOUT_GUID_BYTES) == 0)
		return err_set(err, EX_DATAERR, "the UKI's command line has the same root=" PREFIX " in both slots: "
			       "put {slot} in it, in the place of its last digit, or give each slot a profile");
	if (adopted)
		return kept_check(a, guids[0], err) < 0 ? -1 : kept_check(b, guids[1], err);
	guid_give(layout, LAYOUT_A, guids[0]);
	guid_give(layout, LAYOUT_B, guids[1]);
	if (is_series(guids)) {
		series_give(layout, LAYOUT_ESP, guids[0], 0xe);
		series_give(layout, LAYOUT_DATA, guids[0], 0xc);
	}
	return 0;
}

static int series_parse(const char *text, uint8_t ret_guids[SLOT_COUNT][LAYOUT_GUID_BYTES], struct err *err)
{
	efi_guid_t guid;

	if (strlen(text) != LAYOUT_GUID_TEXT - 1 || efi_str_to_guid(text, &guid) != 0)
		return err_set(err, EX_USAGE, "--guid=%s: must be a GUID, as uuidgen prints one", text);
	for (unsigned slot = 0; slot < SLOT_COUNT; slot++) {
		memcpy(ret_guids[slot], &guid, sizeof guid);
		ret_guids[slot][LAYOUT_GUID_BYTES - 1] &= 0xf0;
		ret_guids[slot][LAYOUT_GUID_BYTES - 1] |= (uint8_t)(0xa + slot);
	}
	return 0;
}

int provision_root(int uki, const char *guid, bool adopted, struct layout *layout, struct err *err)
{
	_cleanup_(ukifile_close) struct ukifile file = { .fd = -1 };
	uint8_t guids[SLOT_COUNT][LAYOUT_GUID_BYTES], wanted[SLOT_COUNT][LAYOUT_GUID_BYTES];
	int r = 1;

	if (ukifile_open_fd(dup(uki), "the UKI", &file, err) < 0)
		return -1;
	for (unsigned slot = 0; slot < SLOT_COUNT && r > 0; slot++)
		r = root_guid(&file, slot, guids[slot], err);
	if (r < 0)
		return -1;
	if (guid && series_parse(guid, wanted, err) < 0)
		return -1;
	if (guid && r > 0 && memcmp(wanted, guids, sizeof wanted) != 0)
		return err_set(err, EX_USAGE, "--guid=%s: the UKI's command line names other partitions", guid);
	if (!guid && r == 0)
		return 0;
	return guids_take(layout, adopted, guid ? wanted : guids, err);
}
