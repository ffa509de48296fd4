/* SPDX-License-Identifier: MIT */
#include "bli.h"

#include "cmdline.h"
#include "record.h"
#include "ticks.h"

static const EFI_GUID loader_guid = {
	0x4a67b082, 0x0a4c, 0x41cf, { 0xb6, 0xc7, 0x44, 0x0b, 0x29, 0xbb, 0x8c, 0x4f }
};

enum {
	GUID_TEXT = 36,
	DECIMAL_TEXT = 20,
	ENTRY_TEXT = 15,	/* slotboot-a.conf */
	ENTRY_LETTER = 9,
	PATH_UNITS = 256,
	FEATURE_ENTRY_ONESHOT = 1 << 3,
};

static void variable_set(struct loader *l, const CHAR16 *name, const void *data, size_t len)
{
	EFI_GUID guid = loader_guid;

	(void)l->rt->SetVariable((CHAR16 *)(uintptr_t)name, &guid, VOLATILE_ATTRIBUTES, len,
				 (void *)(uintptr_t)data);
}

static void time_set(struct loader *l, const CHAR16 *name, uint64_t ticks)
{
	uint64_t frequency = l->ticks_per_second, usec;
	CHAR16 text[DECIMAL_TEXT + 1];
	unsigned at = DECIMAL_TEXT;

	if (frequency == 0)
		return;
	usec = ticks / frequency * 1000000 + ticks % frequency * 1000000 / frequency;
	text[at] = 0;
	do {
		text[--at] = (CHAR16)(L'0' + usec % 10);
		usec /= 10;
	} while (usec > 0);
	variable_set(l, name, text + at, (DECIMAL_TEXT + 1 - at) * sizeof(CHAR16));
}

/* "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx", from the mixed-endian bytes on disk. */
static void guid_text(const uint8_t guid[16], CHAR16 ret_text[GUID_TEXT + 1])
{
	static const uint8_t order[16] = { 3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15 };
	unsigned at = 0;

	for (unsigned i = 0; i < 16; i++) {
		uint8_t byte = guid[order[i]];

		if (i == 4 || i == 6 || i == 8 || i == 10)
			ret_text[at++] = L'-';
		ret_text[at++] = (CHAR16)L"0123456789abcdef"[byte >> 4];
		ret_text[at++] = (CHAR16)L"0123456789abcdef"[byte & 15];
	}
	ret_text[at] = 0;
}

/* The loader's own path: its file path nodes, one after the other. */
static void identifier_set(struct loader *l)
{
	CHAR16 text[PATH_UNITS];
	unsigned out = 0;
	EFI_DEVICE_PATH *n = l->self->FilePath;

	for (; n && !IsDevicePathEnd(n); n = NextDevicePathNode(n)) {
		const uint8_t *p = (const uint8_t *)n + sizeof *n;
		size_t units = ((size_t)DevicePathNodeLength(n) - sizeof *n) / 2;

		if (n->Type != MEDIA_DEVICE_PATH || n->SubType != MEDIA_FILEPATH_DP)
			continue;
		for (size_t i = 0; i < units && out < PATH_UNITS - 1; i++, p += 2)
			if (p[0] || p[1])
				text[out++] = (CHAR16)(p[0] | p[1] << 8);
	}
	text[out++] = 0;
	if (out > 1)
		variable_set(l, L"LoaderImageIdentifier", text, out * sizeof text[0]);
}

void bli_announce(struct loader *l, uint64_t begin)
{
	static const CHAR16 info[] = L"slotboot " SLOTBOOT_VERSION;

	l->ticks_per_second = ticks_per_second(l);
	time_set(l, L"LoaderTimeInitUSec", begin);
	variable_set(l, L"LoaderInfo", info, sizeof info);
	identifier_set(l);
}

static EFI_STATUS once_get(struct loader *l, CHAR16 *text, UINTN *len)
{
	EFI_GUID guid = loader_guid;

	return l->rt->GetVariable((CHAR16 *)(uintptr_t)L"LoaderEntryOneShot", &guid, NULL, len, text);
}

static bool is_entry(const CHAR16 *text, const CHAR16 *entry)
{
	for (unsigned i = 0; text[i] == entry[i] || i == ENTRY_LETTER; i++)
		if (text[i] == 0)
			return i > ENTRY_LETTER;
	return false;
}

/* As LoaderEntrySelected has it, or as systemd knows it by the file in \loader\entries. */
static int entry_slot(const CHAR16 *text)
{
	if (!is_entry(text, L"slotboot-?.efi") && !is_entry(text, L"slotboot-?.conf"))
		return -1;
	for (unsigned slot = 0; slot < SLOT_COUNT; slot++)
		if (text[ENTRY_LETTER] == (CHAR16)slot_letter(slot))
			return (int)slot;
	return -1;
}

/* One that stays would start the slot at each boot: then it does not count. */
int bli_once(void *ctx)
{
	struct loader *l = ctx;
	CHAR16 text[ENTRY_TEXT + 2];
	UINTN len = sizeof text - sizeof text[0];
	EFI_GUID guid = loader_guid;
	int slot;

	if (EFI_ERROR(once_get(l, text, &len)))
		return -1;
	text[len / sizeof text[0]] = 0;
	slot = entry_slot(text);
	if (slot < 0)
		return -1;
	(void)l->rt->SetVariable((CHAR16 *)(uintptr_t)L"LoaderEntryOneShot", &guid, 0, 0, NULL);
	len = sizeof text;
	return once_get(l, text, &len) == EFI_NOT_FOUND ? slot : -1;
}

void bli_entries(void *ctx)
{
	static const CHAR16 entries[] = L"slotboot-a.conf\0slotboot-b.conf";
	static const uint64_t features = FEATURE_ENTRY_ONESHOT;

	variable_set(ctx, L"LoaderEntries", entries, sizeof entries);
	variable_set(ctx, L"LoaderFeatures", &features, sizeof features);
}

void bli_selected(struct loader *l, unsigned slot)
{
	CHAR16 entry[] = L"slotboot-?.efi";

	entry[9] = (CHAR16)slot_letter(slot);
	variable_set(l, L"LoaderEntrySelected", entry, sizeof entry);
	time_set(l, L"LoaderTimeExecUSec", ticks_read());
}

void bli_partition(struct loader *l)
{
	CHAR16 text[GUID_TEXT + 1];

	if (!l->esp)
		return;
	guid_text(l->esp, text);
	variable_set(l, L"LoaderDevicePartUUID", text, sizeof text);
}
