/* SPDX-License-Identifier: MIT */
#include "uki_extras.h"

#include "cpio.h"
#include "stub.h"
#include "io.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

static const struct {
	const char *directory;	/* below the file system's root; NULL: the UKI's own */
	const char *suffix, *except;
	const char *target;
	unsigned directory_mode, file_mode;
	enum stub_feature feature;
} kinds[] = {
	{ NULL, ".cred", NULL, ".extra/credentials", 0500, 0400, STUB_ALWAYS },
	{ "loader/credentials", ".cred", NULL, ".extra/global_credentials", 0500, 0400,
	  STUB_ALWAYS },
	{ NULL, ".raw", ".confext.raw", ".extra/sysext", 0555, 0444, STUB_ALWAYS },
	{ "loader/extensions", ".raw", ".confext.raw", ".extra/global_sysext", 0555, 0444,
	  STUB_GLOBAL_EXTENSIONS },
	{ NULL, ".confext.raw", NULL, ".extra/confext", 0555, 0444, STUB_CONFEXT },
	{ "loader/extensions", ".confext.raw", NULL, ".extra/global_confext", 0555, 0444,
	  STUB_GLOBAL_EXTENSIONS },
};

static const struct {
	const char *section, *name;
	enum stub_feature feature;
} embedded[] = {
	{ ".pcrsig", "tpm2-pcr-signature.json", STUB_ALWAYS },
	{ ".pcrpkey", "tpm2-pcr-public-key.pem", STUB_ALWAYS },
	{ ".osrel", "os-release", STUB_OSREL },
	{ ".profile", "profile", STUB_PROFILES },
};

void name_list_clear(struct name_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->names[i]);
	free(list->names);
	*list = (struct name_list){ 0 };
}

static bool ends_in(const char *name, const char *suffix)
{
	size_t len = strlen(name), end = strlen(suffix);

	return len >= end && strcasecmp(name + len - end, suffix) == 0;
}

static bool is_wanted(DIR *dir, const char *name, const char *suffix, const char *except)
{
	struct stat st;

	if (name[0] == '.' || !ends_in(name, suffix) || (except && ends_in(name, except)))
		return false;
	for (const char *p = name; *p; p++)
		if ((uint8_t)*p > 0x7f)
			return false;
	return fstatat(dirfd(dir), name, &st, 0) == 0 && S_ISREG(st.st_mode);
}

static int by_bytes(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int name_add(struct name_list *list, const char *name)
{
	char **names = reallocarray(list->names, list->count + 1, sizeof *names);

	if (!names)
		return -1;
	list->names = names;
	names[list->count] = strdup(name);
	if (!names[list->count])
		return -1;
	list->count++;
	return 0;
}

int name_list_read(const char *directory, const char *suffix, const char *except,
		   struct name_list *ret_list, struct err *err)
{
	_cleanup_(name_list_clear) struct name_list list = { 0 };
	_cleanup_(cleanup_closedirp) DIR *dir = opendir(directory);
	struct dirent *entry;

	if (!dir && (errno == ENOENT || errno == ENOTDIR)) {
		*ret_list = list;
		return 0;
	}
	if (!dir)
		return err_errno(err, EX_IOERR, errno, "failed to open %s", directory);
	while (errno = 0, (entry = readdir(dir)))
		if (is_wanted(dir, entry->d_name, suffix, except) &&
		    name_add(&list, entry->d_name) < 0)
			return err_errno(err, EX_SOFTWARE, errno, "failed to read %s", directory);
	if (errno)
		return err_errno(err, EX_IOERR, errno, "failed to read %s", directory);
	if (list.count)
		qsort(list.names, list.count, sizeof *list.names, by_bytes);
	*ret_list = list;
	list = (struct name_list){ 0 };
	return 0;
}

static int put_failed(const char *path, struct err *err)
{
	return err_errno(err, errno == EFBIG ? EX_DATAERR : EX_IOERR, errno,
			 "failed to put %s into the initrd", path);
}

/* beside: what it is held against; NULL: it lies elsewhere. What was copied is compared, so
 * that nobody can change it in between. */
static int file_append(size_t kind, struct cpio *cpio, const char *directory, const char *name,
		       struct beside *beside, struct err *err)
{
	const struct payload *is = NULL;
	_cleanup_free_ char *path = NULL;
	_cleanup_close_ int fd = -1;
	struct stat st;
	uint64_t begin;

	if (asprintf(&path, "%s/%s", directory, name) < 0) {
		path = NULL;
		return err_errno(err, EX_SOFTWARE, errno, "failed to read %s", directory);
	}
	if (beside && beside_expect(beside, path, name, &is, err) < 0)
		return -1;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_errno(err, EX_IOERR, errno, "failed to open %s", path);
	if (cpio_file(cpio, kinds[kind].target, name, kinds[kind].file_mode,
		      (uint64_t)st.st_size) < 0)
		return put_failed(path, err);
	begin = cpio->out->size;
	if (memfile_copy(cpio->out, fd, 0, (uint64_t)st.st_size) < 0)
		return put_failed(path, err);
	if (is && beside_compare(beside, is, path, cpio->out, begin, err) < 0)
		return -1;
	return memfile_align(cpio->out) < 0 ? put_failed(path, err) : 0;
}

static int files_append(size_t kind, const char *directory, const struct name_list *list,
			struct beside *beside, struct memfile *initrd, struct err *err)
{
	struct cpio cpio = { .out = initrd };

	if (cpio_directories(&cpio, kinds[kind].target, kinds[kind].directory_mode) < 0)
		return err_errno(err, EX_IOERR, errno, "failed to make the initrd");
	for (size_t i = 0; i < list->count; i++)
		if (file_append(kind, &cpio, directory, list->names[i], beside, err) < 0)
			return -1;
	if (cpio_end(&cpio) < 0)
		return err_errno(err, EX_IOERR, errno, "failed to make the initrd");
	return 0;
}

static int kind_append(size_t kind, unsigned stub, const struct uki_place *place,
		       struct beside *beside, struct memfile *initrd, struct err *err)
{
	/* Stubs that know no configuration extensions take them for system extensions. */
	const char *except = stub_does(stub, STUB_CONFEXT) ? kinds[kind].except : NULL;
	_cleanup_(name_list_clear) struct name_list list = { 0 };
	_cleanup_free_ char *directory = NULL;

	if (!stub_does(stub, kinds[kind].feature))
		return 0;
	if ((kinds[kind].directory
		     ? asprintf(&directory, "%s/%s", place->esp, kinds[kind].directory)
		     : asprintf(&directory, "%s", place->extra_dir)) < 0)
		return err_errno(err, EX_SOFTWARE, errno, "failed to make the initrd");
	if (name_list_read(directory, kinds[kind].suffix, except, &list, err) < 0)
		return -1;
	return list.count ? files_append(kind, directory, &list,
					 kinds[kind].directory ? NULL : beside, initrd, err)
			  : 0;
}

static int section_append(const struct ukifile *uki, const struct pe_section *section,
			  const char *name, struct memfile *initrd, struct err *err)
{
	struct cpio cpio = { .out = initrd };

	if (cpio_directories(&cpio, ".extra", 0555) < 0 ||
	    cpio_file(&cpio, ".extra", name, 0444, section->size) < 0 ||
	    memfile_copy(initrd, uki->fd, section->offset, section->size) < 0 ||
	    memfile_align(initrd) < 0 || cpio_end(&cpio) < 0)
		return err_errno(err, EX_IOERR, errno, "failed to put %s of %s into the initrd",
				 section->name, uki->name);
	return 0;
}

int uki_extras_append(const struct ukifile *uki, unsigned profile, unsigned stub,
		      const struct uki_place *place, struct beside *beside,
		      struct memfile *initrd, struct err *err)
{
	struct pe_section section;

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (kind_append(i, stub, place, beside, initrd, err) < 0)
			return -1;
	for (size_t i = 0; i < ARRAY_SIZE(embedded); i++) {
		if (!stub_does(stub, embedded[i].feature))
			continue;
		if (ukifile_part(uki, profile, embedded[i].section, &section, err) < 0 ||
		    (section.size > 0 &&
		     section_append(uki, &section, embedded[i].name, initrd, err) < 0))
			return -1;
	}
	return 0;
}
