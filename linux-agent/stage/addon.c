/* SPDX-License-Identifier: MIT */
#include "addon.h"

#include "addon_fit.h"
#include "stub.h"
#include "io.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

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
static int own_copy(const char *path, const struct payload *is, struct beside *beside,
		    struct memfile *copy, struct err *err)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_errno(err, EX_IOERR, errno, "failed to open %s", path);
	/* Of another size it is not copied, which the comparison sees. */
	if (memfile_open("addon", copy) < 0 ||
	    ((uint64_t)st.st_size == is->size && memfile_copy(copy, fd, 0, is->size) < 0))
		return err_errno(err, EX_IOERR, errno, "failed to copy %s", path);
	if (beside_compare(beside, is, path, copy, 0, err) < 0)
		return -1;
	return memfile_seal(copy) == 0 ? 0 : err_errno(err, EX_SOFTWARE, errno,
						       "failed to copy %s", path);
}

static int own_open(const char *path, const struct payload *is, struct beside *beside,
		    struct ukifile *ret_addon, struct err *err)
{
	struct memfile copy = MEMFILE_NONE;

	if (own_copy(path, is, beside, &copy, err) == 0)
		return ukifile_open_fd(copy.fd, path, ret_addon, err);
	memfile_close(&copy);
	return -1;
}

static int unfit(struct addons *addons, const struct ukifile *addon, const char *why,
		 const struct payload *own, struct err *err)
{
	if (!own)
		return ignore(addons, addon->name, why, err);
	return err_set(err, EX_DATAERR, "%s, which the signed manifest has for this slot, would not be "
		       "used by the stub: %s", addon->name, why);
}

static int addon_take(struct addons *addons, struct ukifile *addon, const char *uname,
		      const struct payload *own, struct err *err)
{
	const char *why = addon_unfit(addon, uname);
	int r = why ? unfit(addons, addon, why, own, err) : addon_keep(addons, addon, err);

	if (r < 0 || why)
		addon_free(addon);
	else if (!own && !addons->stranger)
		addons->stranger = addon->name;
	return r;
}

/* own: what the file must be; NULL: anything. */
static int addon_add(struct addons *addons, const char *path, const char *uname,
		     const struct payload *own, struct beside *beside, struct err *err)
{
	struct ukifile *addon = calloc(1, sizeof *addon);
	int r = !addon ? err_errno(err, EX_SOFTWARE, errno, "failed to read %s", path)
		: own  ? own_open(path, own, beside, addon, err)
		       : ukifile_open(path, addon, err);

	if (r == 0)
		return addon_take(addons, addon, uname, own, err);
	free(addon);
	return err->exit == EX_DATAERR && !own
		? ignore(addons, path, "not a PE file of one piece", err) : -1;
}

/* beside: what the files in the directory are held against; NULL: nothing. */
static int directory_add(struct addons *addons, const char *directory, const char *uname,
			 struct beside *beside, struct err *err)
{
	_cleanup_(name_list_clear) struct name_list list = { 0 };

	if (name_list_read(directory, ".addon.efi", NULL, &list, err) < 0)
		return -1;
	for (size_t i = 0; i < list.count; i++) {
		const struct payload *own = NULL;
		_cleanup_free_ char *path = NULL;

		if (asprintf(&path, "%s/%s", directory, list.names[i]) < 0) {
			path = NULL;
			return err_errno(err, EX_SOFTWARE, errno, "failed to read %s", directory);
		}
		if ((beside && beside_expect(beside, path, list.names[i], &own, err) < 0) ||
		    addon_add(addons, path, uname, own, beside, err) < 0)
			return -1;
	}
	return 0;
}

int addons_read(const struct ukifile *uki, unsigned profile, unsigned stub,
		const struct uki_place *place, struct beside *beside, struct addons *ret_addons,
		struct err *err)
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
	    directory_add(&addons, global, (char *)uname, NULL, &why) < 0 ||
	    directory_add(&addons, place->extra_dir, (char *)uname, beside, &why) < 0) {
		if (err)
			*err = why;
		return -1;
	}
	*ret_addons = addons;
	addons = (struct addons){ 0 };
	return 0;
}
