/* SPDX-License-Identifier: MIT */
#include "layout.h"

#include "bytes.h"
#include "io.h"
#include "sha256.h"

#include <string.h>

#define MIB LAYOUT_ALIGN
#define ESP_USUAL (512 * MIB)
#define ESP_SPARE (16 * MIB)	/* beside the UKIs: the loader twice, manifests, indexes, tables */
#define SIZE_MAX_ASKED ((uint64_t)1 << 60)
#define GPT_TABLE_BYTES (128 * 128)	/* entries, at both ends of the disk */

static const char *const names[LAYOUT_ROLES] = { "esp", "slotboot-a", "slotboot-b", "slotboot-data" };
static const uint64_t attributes[LAYOUT_ROLES] = { 0, LAYOUT_NO_AUTO, LAYOUT_NO_AUTO, LAYOUT_GROWFS };

const char *layout_name(enum layout_role role)
{
	return names[role];
}

const char *layout_type(enum layout_role role, enum layout_arch arch)
{
	switch (role) {
	case LAYOUT_ESP:
		return "c12a7328-f81f-11d2-ba4b-00a0c93ec93b";
	case LAYOUT_A:
	case LAYOUT_B:
		return arch == LAYOUT_AA64 ? "b921b045-1df0-41c3-af44-4c6f280d3fae"
					   : "4f68bce3-e8cd-4db1-96e7-fbcaf984b709";
	default:
		return "0fc63daf-8483-4772-8e79-3d69d8477de4";
	}
}

void layout_guid_text(const uint8_t guid[LAYOUT_GUID_BYTES], char ret_text[LAYOUT_GUID_TEXT])
{
	(void)snprintf(ret_text, LAYOUT_GUID_TEXT,
		       "%08x-%04x-%04x-%02x%02x-%02x%02x%02x%02x%02x%02x", le32_get(guid),
		       le16_get(guid + 4), le16_get(guid + 6), guid[8], guid[9], guid[10], guid[11],
		       guid[12], guid[13], guid[14], guid[15]);
}

const struct layout_part *layout_find(const struct layout *layout, enum layout_role role)
{
	for (size_t i = 0; i < layout->count; i++)
		if (layout->parts[i].role == role)
			return &layout->parts[i];
	return NULL;
}

/* RFC 9562, version 8: made by a rule of one's own. */
static void derive(const uint8_t seed[LAYOUT_SEED_BYTES], const char *what, uint8_t ret_guid[LAYOUT_GUID_BYTES])
{
	uint8_t digest[SHA256_BYTES];
	struct sha256 ctx;

	sha256_init(&ctx);
	sha256_update(&ctx, seed, LAYOUT_SEED_BYTES);
	sha256_update(&ctx, (const uint8_t *)what, strlen(what));
	sha256_final(&ctx, digest);
	memcpy(ret_guid, digest, LAYOUT_GUID_BYTES);
	ret_guid[7] = (uint8_t)((ret_guid[7] & 0x0f) | 0x80);
	ret_guid[8] = (uint8_t)((ret_guid[8] & 0x3f) | 0x80);
}

uint32_t layout_volume_id(const uint8_t seed[LAYOUT_SEED_BYTES])
{
	uint8_t id[LAYOUT_GUID_BYTES];

	derive(seed, "volume", id);
	return le32_get(id);
}

static uint64_t up(uint64_t bytes)
{
	return (bytes + MIB - 1) / MIB * MIB;
}

static unsigned long long mib(uint64_t bytes)
{
	return (unsigned long long)(bytes / MIB);
}

/* Between the table at the beginning and its copy at the end. */
static uint64_t room(const struct layout_want *w)
{
	uint64_t tail = w->sector_bytes + GPT_TABLE_BYTES;
	uint64_t end = w->disk_bytes > tail ? (w->disk_bytes - tail) / MIB * MIB : 0;

	return end > MIB ? end - MIB : 0;
}

static uint64_t esp_need(const struct layout_want *w)
{
	return up(2 * w->uki_bytes + ESP_SPARE);
}

static uint64_t esp_fitted(const struct layout_want *w)
{
	uint64_t eighth = w->disk_bytes / 8 / MIB * MIB;
	uint64_t size = eighth < ESP_USUAL ? eighth : ESP_USUAL;

	return size > esp_need(w) ? size : esp_need(w);
}

static void add(struct layout *l, const struct layout_want *w, enum layout_role role, uint64_t bytes,
		uint64_t *at)
{
	struct layout_part *p = &l->parts[l->count++];

	*p = (struct layout_part){ .role = role, .name = names[role], .type = layout_type(role, w->arch),
				   .attributes = attributes[role], .start = *at, .bytes = bytes,
				   .number = (unsigned)l->count };
	derive(w->seed, names[role], p->guid);
	*at += bytes;
}

static int sizes_check(const struct layout_want *w, struct err *err)
{
	if (w->esp_bytes > SIZE_MAX_ASKED || w->slot_bytes > SIZE_MAX_ASKED || w->data_bytes > SIZE_MAX_ASKED)
		return err_set(err, EX_USAGE, "a size is beyond what a disk has");
	if (w->data_rest && !w->slot_bytes && w->image_bytes)
		return err_set(err, EX_USAGE, "--data=rest needs --slot-size: else the slots have the rest");
	return 0;
}

static int too_small(const struct layout_want *w, uint64_t needed, struct err *err)
{
	return err_set(err, EX_DATAERR, "the disk has room for %llu MiB of partitions, and %llu MiB are needed",
		       mib(room(w)), mib(needed));
}

int layout_check(const struct layout_want *want, struct layout *layout, struct err *err)
{
	const struct layout_part *esp = layout_find(layout, LAYOUT_ESP);
	const struct layout_part *a = layout_find(layout, LAYOUT_A);

	if (!esp)
		return err_set(err, EX_SOFTWARE, "the disk has no ESP");
	if (fat_size_choose(esp->bytes, layout->sector_bytes, &layout->fat, err) < 0)
		return -1;
	if (esp->bytes < 2 * want->uki_bytes + want->uki_bytes / 8)
		return err_set(err, EX_DATAERR, "an ESP of %llu MiB has no room for two UKIs of %llu bytes; %lluM is "
			       "enough", mib(esp->bytes), (unsigned long long)want->uki_bytes, mib(esp_need(want)));
	if (want->image_bytes && !a)
		return err_set(err, EX_DATAERR, "the bundle has an image, and the disk has no slotboot-a");
	if (a && a->bytes < want->image_bytes)
		return err_set(err, EX_DATAERR, "a slot of %llu MiB has no room for the image (%llu bytes, %llu MiB)",
			       mib(a->bytes), (unsigned long long)want->image_bytes, mib(up(want->image_bytes)));
	return 0;
}

int layout_plan(const struct layout_want *want, struct layout *ret_layout, struct err *err)
{
	uint64_t esp = want->esp_bytes ? up(want->esp_bytes) : esp_fitted(want);
	uint64_t slot = up(want->slot_bytes), data = up(want->data_bytes), at = MIB;
	bool slots = want->slot_bytes || want->image_bytes;
	struct layout l = { .disk_bytes = want->disk_bytes, .sector_bytes = want->sector_bytes };

	if (sizes_check(want, err) < 0)
		return -1;
	if (esp + data + 2 * (slot ? slot : up(want->image_bytes)) > room(want))
		return too_small(want, esp + data + 2 * (slot ? slot : up(want->image_bytes)), err);
	if (slots && !slot)
		slot = (room(want) - esp - data) / 2 / MIB * MIB;
	if (want->data_rest)
		data = room(want) - esp - 2 * slot;
	add(&l, want, LAYOUT_ESP, esp, &at);
	if (slots) {
		add(&l, want, LAYOUT_A, slot, &at);
		add(&l, want, LAYOUT_B, slot, &at);
	}
	if (data)
		add(&l, want, LAYOUT_DATA, data, &at);
	derive(want->seed, "disk", l.guid);
	l.volume_id = layout_volume_id(want->seed);
	if (layout_check(want, &l, err) < 0)
		return -1;
	*ret_layout = l;
	return 0;
}
