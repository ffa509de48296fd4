/* SPDX-License-Identifier: MIT */
#include "addon.h"

#include "stub.h"
#include "io.h"

#include <errno.h>
#include <string.h>

enum { UNAME_MAX = 4096 };

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

static bool has_section(const struct ukifile *addon, const char *name)
{
	struct pe_section section;

	return pe_section_find(&addon->image, name, &section) == SB_OK && section.size > 0;
}

/* As far as the addon's text goes: "6.1.0" fits 6.1.0-1-amd64 too. */
static bool uname_fits(const char *uname, const uint8_t *wanted, size_t len)
{
	return !*uname || len == 0 || strncmp(uname, (const char *)wanted, len) == 0;
}

/* Why the stub would pass it over, or NULL. */
static const char *unfit(const struct ukifile *addon, const char *uname)
{
	static const char *const contents[] = { ".cmdline", ".dtb", ".dtbauto", ".initrd",
						".ucode" };
	_cleanup_free_ uint8_t *wanted = NULL;
	bool has_content = false;
	size_t len;

	if (!ukifile_is_native(addon))
		return "for another architecture";
	for (size_t i = 0; i < ARRAY_SIZE(contents); i++)
		has_content |= has_section(addon, contents[i]);
	if (!has_content)
		return "no .cmdline, .dtb, .initrd or .ucode in it";
	if (has_section(addon, ".linux"))
		return "a UKI, not an addon";
	if (ukifile_section(addon, ".uname", UNAME_MAX, &wanted, &len, NULL) < 0 ||
	    !uname_fits(uname, wanted, len))
		return "for another kernel (.uname)";
	return NULL;
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

static int addon_add(struct addons *addons, const char *path, const char *uname,
		     struct err *err)
{
	struct ukifile *addon = calloc(1, sizeof *addon);
	const char *why = "not a PE file of one piece";
	int r = addon ? ukifile_open(path, addon, err)
		      : err_errno(err, EX_SOFTWARE, errno, "failed to read %s", path);

	if (r == 0) {
		why = unfit(addon, uname);
		if (!why && addon_keep(addons, addon, err) == 0)
			return 0;
		r = why ? ignore(addons, path, why, err) : -1;
		addon_free(addon);
		return r;
	}
	free(addon);
	return err->exit == EX_DATAERR ? ignore(addons, path, why, err) : -1;
}

static int directory_add(struct addons *addons, const char *directory, const char *uname,
			 struct err *err)
{
	_cleanup_(name_list_clear) struct name_list list = { 0 };

	if (name_list_read(directory, ".addon.efi", NULL, &list, err) < 0)
		return -1;
	for (size_t i = 0; i < list.count; i++) {
		_cleanup_free_ char *path = NULL;

		if (asprintf(&path, "%s/%s", directory, list.names[i]) < 0)
			return err_errno(err, EX_SOFTWARE, errno, "failed to read %s", directory);
		if (addon_add(addons, path, uname, err) < 0)
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
	if (ukifile_section_in(uki, profile, ".uname", UNAME_MAX, &uname, &len, &why) < 0 ||
	    directory_add(&addons, global, (char *)uname, &why) < 0 ||
	    directory_add(&addons, place->extra_dir, (char *)uname, &why) < 0) {
		if (err)
			*err = why;
		return -1;
	}
	*ret_addons = addons;
	addons = (struct addons){ 0 };
	return 0;
}
