/* SPDX-License-Identifier: MIT */
#include "addon.h"

#include "addon_fit.h"
#include "stub.h"
#include "io.h"

#include <errno.h>
#include <openssl/evp.h>
#include <string.h>


static void addon_free(struct ukifile *addon)
{
	if (!addon)
		return;
	ukifile_close(addon);
	free(addon);
}

void addons_clear(struct addons *addons)
{
	for (size_t i = 0; i < addons->count; i++)
		addon_free(addons->items[i]);
	free(addons->items);
	free(addons->ignored);
	*addons = (struct addons){ 0 };
}

static int ignore(struct addons *addons, const char *name, const char *why, struct err *err)
{
	char *text = NULL;

	if (asprintf(&text, "%s%s%s: %s", addons->ignored ? addons->ignored : "",
		     addons->ignored ? "; " : "", name, why) < 0)
		return err_errno(err, EX_SOFTWARE, errno, "failed to read %s", name);
	free(addons->ignored);
	addons->ignored = text;
	return 0;
}

static int addon_keep(struct addons *addons, struct ukifile *addon, struct err *err)
{
	struct ukifile **items = reallocarray(addons->items, addons->count + 1, sizeof *items);

	if (!items)
		return err_errno(err, EX_SOFTWARE, errno, "failed to read %s", addon->name);
	addons->items = items;
	items[addons->count++] = addon;
	return 0;
}

/* A private copy, so that nobody can change it between its digest and its use. */
static int own_open(const char *path, const struct payload *is, struct ukifile *ret_addon,
		    struct err *err)
{
	_cleanup_free_ uint8_t *data = NULL;
	struct memfile copy = MEMFILE_NONE;
	uint8_t sha256[32];
	size_t len;

	if (read_file(path, MANIFEST_MAX_ADDON_BYTES, &data, &len) < 0)
		return err_errno(err, EX_IOERR, errno, "failed to read %s", path);
	if (len != is->size || EVP_Digest(data, len, sha256, NULL, EVP_sha256(), NULL) != 1 ||
	    memcmp(sha256, is->sha256, sizeof sha256) != 0)
		return err_set(err, EX_DATAERR, "%s is not the addon that was installed: its digest is "
			       "not that of the signed manifest; install the slot again", path);
	if (memfile_open("addon", &copy) < 0 || memfile_write(&copy, data, len) < 0 ||
	    memfile_seal(&copy) < 0) {
		memfile_close(&copy);
		return err_errno(err, EX_SOFTWARE, errno, "failed to copy %s", path);
	}
	return ukifile_open_fd(copy.fd, path, ret_addon, err);
}

/* own: the digest that the file must have; NULL: any. */
static int addon_add(struct addons *addons, const char *path, const char *uname,
		     const struct payload *own, struct err *err)
{
	struct ukifile *addon = calloc(1, sizeof *addon);
	const char *why = "not a PE file of one piece";
	int r = !addon ? err_errno(err, EX_SOFTWARE, errno, "failed to read %s", path)
		: own  ? own_open(path, own, addon, err)
		       : ukifile_open(path, addon, err);

	if (r == 0) {
		why = addon_unfit(addon, uname);
		if (!why && addon_keep(addons, addon, err) == 0) {
			if (own)
				addons->has_own = true;
			else if (!addons->stranger)
				addons->stranger = addon->name;
			return 0;
		}
		r = why ? ignore(addons, path, why, err) : -1;
		addon_free(addon);
		return r;
	}
	free(addon);
	return err->exit == EX_DATAERR && !own ? ignore(addons, path, why, err) : -1;
}

/* own_name, own: the file in the directory that must be this; or NULL both. */
static int directory_add(struct addons *addons, const char *directory, const char *uname,
			 const char *own_name, const struct payload *own, struct err *err)
{
	_cleanup_(name_list_clear) struct name_list list = { 0 };

	if (name_list_read(directory, ".addon.efi", NULL, &list, err) < 0)
		return -1;
	for (size_t i = 0; i < list.count; i++) {
		bool is_own = own && strcmp(list.names[i], own_name) == 0;
		_cleanup_free_ char *path = NULL;

		if (asprintf(&path, "%s/%s", directory, list.names[i]) < 0)
			return err_errno(err, EX_SOFTWARE, errno, "failed to read %s", directory);
		if (addon_add(addons, path, uname, is_own ? own : NULL, err) < 0)
			return -1;
	}
	return 0;
}

int addons_read(const struct ukifile *uki, unsigned profile, unsigned stub,
		const struct uki_place *place, struct addons *ret_addons, struct err *err)
{
	_cleanup_(addons_clear) struct addons addons = { 0 };
	_cleanup_free_ uint8_t *uname = NULL;
	_cleanup_free_ char *global = NULL;
	struct err why = { 0 };
	size_t len;

	if (!stub_does(stub, STUB_ADDONS)) {
		*ret_addons = addons;
		return 0;
	}
	if (asprintf(&global, "%s/loader/addons", place->esp) < 0)
		return err_errno(err, EX_SOFTWARE, errno, "failed to look for addons");
	if (ukifile_section_in(uki, profile, ".uname", ADDON_UNAME_MAX, &uname, &len, &why) < 0 ||
	    directory_add(&addons, global, (char *)uname, NULL, NULL, &why) < 0 ||
	    directory_add(&addons, place->extra_dir, (char *)uname, place->addon_name, place->addon,
			  &why) < 0) {
		if (err)
			*err = why;
		return -1;
	}
	if (place->addon && !addons.has_own)
		return err_set(err, EX_DATAERR, "%s/%s is not there, or no addon, and the signed "
			       "manifest has one for this slot; install the slot again",
			       place->extra_dir, place->addon_name);
	*ret_addons = addons;
	addons = (struct addons){ 0 };
	return 0;
}
