/* SPDX-License-Identifier: MIT */
#include "provision_images.h"

#include "cmdline.h"
#include "io.h"
#include "record.h"

#include <efivar/efivar.h>
#include <string.h>

#define BY_LABEL "/dev/disk/by-partlabel/"
#define BY_GUID "/dev/disk/by-partuuid/"
#define FIRST "rootfs"

_Static_assert(LAYOUT_IMAGES == CONFIG_MAX_IMAGES, "as many as a machine may have");

/* --- which there are --- */

static int image_check(const struct payload *payload, struct err *err)
{
	if (!payload->file)
		return err_set(err, EX_DATAERR, "the bundle leaves the image %s out, and an empty disk does not "
			       "have it", payload->name);
	return 0;
}

static int images_list(const struct manifest *manifest, struct layout_want *want, struct err *err)
{
	size_t count = 0;

	for (size_t i = 0; i < manifest->payload_count; i++) {
		const struct payload *payload = &manifest->payloads[i];

		if (payload->type != PAYLOAD_IMAGE)
			continue;
		if (image_check(payload, err) < 0)
			return -1;
		if (count == LAYOUT_IMAGES)
			return err_set(err, EX_DATAERR, "the bundle has more than %d images", LAYOUT_IMAGES);
		want->images[count++] = (struct layout_image){ .name = payload->name, .bytes = payload->size };
	}
	for (size_t i = 1; i < count; i++)
		if (strcmp(want->images[i].name, FIRST) == 0) {
			struct layout_image first = want->images[i];

			memmove(&want->images[1], &want->images[0], i * sizeof first);
			want->images[0] = first;
		}
	return 0;
}

/* --- where they go --- */

/* What udev leaves as it is in a link's name, which a label may be. */
static bool is_label(const char *text)
{
	size_t len = strlen(text);

	for (const char *c = text; *c; c++)
		if (!(*c >= 'a' && *c <= 'z') && !(*c >= 'A' && *c <= 'Z') && !(*c >= '0' && *c <= '9') &&
		    !strchr("#+-.:=@_", *c))
			return false;
	return len > 0 && len < LAYOUT_LABEL_BYTES;
}

static int target_take(const char *target, struct layout_image *image, unsigned slot, struct err *err)
{
	bool label = strncmp(target, BY_LABEL, sizeof BY_LABEL - 1) == 0;
	const char *name = target + sizeof BY_LABEL - 1;
	efi_guid_t guid;

	if (label && !is_label(name))
		return err_set(err, EX_CONFIG, "[image %s]: %s is no label that a partition can be given here: up to %d "
			       "letters, digits and #+-.:=@_", image->name, name, LAYOUT_LABEL_BYTES - 1);
	if (label)
		(void)snprintf(image->label[slot], LAYOUT_LABEL_BYTES, "%s", name);
	if (label || strncmp(target, BY_GUID, sizeof BY_GUID - 1) != 0)
		return 0;
	name = target + sizeof BY_GUID - 1;
	if (strlen(name) != LAYOUT_GUID_TEXT - 1 || efi_str_to_guid(name, &guid) != 0)
		return err_set(err, EX_CONFIG, "[image %s]: %s is no GUID of a partition", image->name, name);
	memcpy(image->guid[slot], &guid, sizeof guid);
	image->has_guid[slot] = true;
	return 0;
}

static int partition_name(const struct config *config, struct layout_image *image, unsigned slot, struct err *err)
{
	const struct config_image *named = config_image_find(config, image->name);
	int len = snprintf(image->label[slot], LAYOUT_LABEL_BYTES, "slotboot-%c-%s", slot_letter(slot), image->name);
	bool fits = len < LAYOUT_LABEL_BYTES;

	if (named && target_take(named->target[slot], image, slot, err) < 0)
		return -1;
	if (fits || strncmp(named ? named->target[slot] : "", BY_LABEL, sizeof BY_LABEL - 1) == 0)
		return 0;
	return err_set(err, EX_CONFIG, "the image %s has too long a name for a label: give its partitions others, by "
		       "a = " BY_LABEL "LABEL in [image %s] of the configuration, and b likewise", image->name,
		       image->name);
}

/* --- how large --- */

static struct layout_image *image_find(struct layout_want *want, const char *name)
{
	for (size_t i = 0; i < layout_image_count(want); i++)
		if (want->images[i].name && strcmp(want->images[i].name, name) == 0)
			return &want->images[i];
	return NULL;
}

static int sizes_take(const struct provision_options *o, struct layout_want *want, struct err *err)
{
	want->images[0].part_bytes = o->slot_bytes;
	for (size_t i = 0; i < o->image_size_count; i++) {
		const struct provision_image_size *size = &o->image_sizes[i];
		struct layout_image *image = image_find(want, size->name);

		if (!image)
			return err_set(err, EX_USAGE, "--image-size=%s: the bundle has no image of that name", size->name);
		if (image->part_bytes)
			return err_set(err, EX_USAGE, "--image-size=%s: the image has a size already", size->name);
		image->part_bytes = size->bytes;
	}
	return 0;
}

/* --- the whole --- */

int provision_images_want(const struct provision_options *options, const struct manifest *manifest,
			  struct layout_want *want, struct err *err)
{
	if (images_list(manifest, want, err) < 0 || sizes_take(options, want, err) < 0)
		return -1;
	for (size_t i = 1; i < layout_image_count(want); i++)
		for (unsigned slot = 0; slot < SLOT_COUNT; slot++)
			if (partition_name(options->config, &want->images[i], slot, err) < 0)
				return -1;
	return 0;
}

/* NULL: out of memory. */
static char *target_name(const char *disk, const struct layout *layout, enum layout_role role, unsigned i)
{
	const struct layout_part *part = layout_find_image(layout, role, i);
	char *name;

	return part && asprintf(&name, "%s:%s", disk, part->name) >= 0 ? name : NULL;
}

int provision_images_config(struct config *config, const char *disk, const struct layout_want *want,
			    const struct layout *layout, struct err *err)
{
	for (size_t i = 0; i < config->image_count; i++) {
		free(config->images[i].name);
		for (unsigned slot = 0; slot < SLOT_COUNT; slot++)
			free(config->images[i].target[slot]);
		config->images[i] = (struct config_image){ 0 };
	}
	config->image_count = 0;
	for (unsigned i = 0; i < layout_image_count(want) && want->images[i].name; i++) {
		struct config_image *c = &config->images[config->image_count++];

		c->name = strdup(want->images[i].name);
		c->target[0] = target_name(disk, layout, LAYOUT_A, i);
		c->target[1] = target_name(disk, layout, LAYOUT_B, i);
		if (!c->name || !c->target[0] || !c->target[1])
			return err_set(err, EX_SOFTWARE, "failed to provision: out of memory");
	}
	return 0;
}
