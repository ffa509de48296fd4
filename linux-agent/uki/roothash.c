/* SPDX-License-Identifier: MIT */
#include "roothash.h"

#include "cmdline.h"
#include "io.h"
#include "record.h"
#include "slot_cmdline.h"
#include "verity.h"

#include <string.h>
#include <strings.h>

/* systemd-veritysetup-generator(8) and the kernel command line of the UAPI group. tree: the image
 * that is the tree of the other, where it is not in the same. */
static const struct {
	const char *image, *tree, *word;
} words[] = {
	{ "rootfs", "rootfs-verity", "roothash" },
	{ "usr", "usr-verity", "usrhash" },
};

static const struct payload *image_find(const struct manifest *manifest, const char *name)
{
	for (size_t i = 0; i < manifest->payload_count; i++)
		if (manifest->payloads[i].type == PAYLOAD_IMAGE &&
		    strcmp(manifest->payloads[i].name, name) == 0)
			return &manifest->payloads[i];
	return NULL;
}

/* image: the one that the root hash stands at in the manifest. */
static int word_check(const struct payload *image, const char *word, const char *cmdline,
		      struct err *err)
{
	size_t len = 0;
	const char *value = cmdline_get(cmdline, word, &len);
	const char *hash = image->root_hash;

	if (!value && !hash)
		return 0;
	if (!value)
		return err_set(err, EX_DATAERR, "the image %s has a root hash in the manifest, and "
			       "the UKI's command line has no %s=", image->name, word);
	if (!hash)
		return err_set(err, EX_DATAERR, "the UKI's command line has %s=, and the image %s "
			       "has no root hash in the manifest", word, image->name);
	if (len != strlen(hash) || strncasecmp(value, hash, len) != 0)
		return err_set(err, EX_DATAERR, "the UKI and the image %s do not belong together: "
			       "%s=%.*s on the command line, %s in the manifest", image->name,
			       word, len < 128 ? (int)len : 128, value, hash);
	return 0;
}

static int slot_check(const struct manifest *manifest, const struct ukifile *uki, unsigned slot,
		      struct err *err)
{
	_cleanup_(slot_cmdline_clear) struct slot_cmdline cmdline = { 0 };

	if (slot_cmdline_read(uki, slot, &cmdline, err) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		const struct payload *image = image_find(manifest, words[i].image);
		const struct payload *tree = image_find(manifest, words[i].tree);

		if (image && tree && !image->root_hash)
			image = tree;
		if (image && word_check(image, words[i].word, cmdline.text, err) < 0)
			return -1;
	}
	return 0;
}

int roothash_check_cmdline(const struct manifest *manifest, const struct ukifile *uki,
			   struct err *err)
{
	for (unsigned slot = 0; slot < SLOT_COUNT; slot++)
		if (slot_check(manifest, uki, slot, err) < 0)
			return -1;
	return 0;
}

static int uki_check(const struct manifest *manifest, const char *path, bool needed,
		     struct err *err)
{
	struct err why = { 0 };
	struct ukifile uki;
	int r;

	if (ukifile_open(path, &uki, &why) < 0) {
		if (!needed)
			return 0;
		if (err)
			*err = why;
		return -1;
	}
	r = roothash_check_cmdline(manifest, &uki, err);
	ukifile_close(&uki);
	return r;
}

/* The file that the tree in payload i is of: that of the other image of its pair, or its own. */
static const char *data_find(const struct manifest *manifest, const char *const *files, size_t i)
{
	for (size_t k = 0; k < ARRAY_SIZE(words); k++) {
		const struct payload *data = image_find(manifest, words[k].image);

		if (data && image_find(manifest, words[k].tree) == &manifest->payloads[i])
			return files[data - manifest->payloads];
	}
	return files[i];
}

int roothash_check_files(const struct manifest *manifest, const char *const *files,
			 struct err *err)
{
	bool has_root_hash = false;

	for (size_t i = 0; i < manifest->payload_count; i++)
		has_root_hash |= manifest->payloads[i].root_hash != NULL;
	for (size_t i = 0; i < manifest->payload_count; i++) {
		const struct payload *p = &manifest->payloads[i];

		if (p->type == PAYLOAD_UKI && uki_check(manifest, files[i], has_root_hash, err) < 0)
			return -1;
	}
	for (size_t i = 0; i < manifest->payload_count; i++) {
		const struct payload *p = &manifest->payloads[i];

		if (p->root_hash &&
		    verity_check_file(files[i], data_find(manifest, files, i), p->root_hash, err) < 0)
			return -1;
	}
	return 0;
}
