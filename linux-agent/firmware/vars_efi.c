/* SPDX-License-Identifier: MIT */
/*
 * The backend over libefivar. What had to be worked around in version 37:
 *
 * - It chooses how to reach the variables, and reads EFIVARFS_PATH, when it is
 *   loaded; without a usable place, efi_set_variable() calls a NULL pointer.
 * - EFIVARFS_PATH is a prefix: without a slash at the end it names files beside
 *   the directory.
 * - It writes without O_TRUNC and takes a short write for success. efivarfs does
 *   neither; in a plain directory a shorter value keeps the tail of the longer one.
 * - Its listing stops with EINVAL at the first file that is no NAME-GUID, and
 *   keeps its place in a global: so Boot#### are listed here.
 * - A file without data (efivarfs shows a variable so that was created and never
 *   written) reads as an empty variable. There is no such thing in UEFI: absent.
 */
#include "vars.h"

#include "io.h"

#include <ctype.h>
#include <dirent.h>
#include <efivar/efivar.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>

#define READ_ATTEMPTS 5

const char *vars_efi_path(void)
{
	const char *path = getenv("EFIVARFS_PATH");

	return path ? path : "/sys/firmware/efi/efivars/";
}

bool vars_efi_is_read_only(void)
{
	struct statvfs fs;

	return statvfs(vars_efi_path(), &fs) == 0 && (fs.f_flag & ST_RDONLY);
}

static bool is_efivarfs(const char *path)
{
	struct statfs fs;

	return statfs(path, &fs) == 0 && (unsigned long)fs.f_type == EFIVARFS_MAGIC;
}

static efi_guid_t efi_guid(enum vars_guid guid)
{
	efi_guid_t ret = { 0 };

	(void)efi_str_to_guid(vars_guid_text(guid), &ret);
	return ret;
}

static unsigned count_dumps(void)
{
	_cleanup_(cleanup_closedirp) DIR *dir = opendir(vars_efi_path());
	struct dirent *entry;
	unsigned count = 0;

	while (dir && (entry = readdir(dir)))
		count += strncmp(entry->d_name, "dump-", 5) == 0;
	return count;
}

void vars_efi_look(struct vars_store *ret_store)
{
	const char *path = vars_efi_path();
	struct statfs fs;

	*ret_store = (struct vars_store){
		.path = path,
		.read_only = vars_efi_is_read_only(),
		.confined = getenv("INVOCATION_ID") || getenv("container") ||
			    access("/run/systemd/container", F_OK) == 0,
		.dumps = count_dumps(),
	};
	if (!is_efivarfs(path) || statfs(path, &fs) < 0 || fs.f_blocks == 0)
		return;
	ret_store->has_room = true;
	ret_store->used = (uint64_t)(fs.f_blocks - fs.f_bfree) * (uint64_t)fs.f_bsize;
	ret_store->free = (uint64_t)fs.f_bfree * (uint64_t)fs.f_bsize;
}

static int fail_full(struct err *err, const char *what)
{
	char used[80] = "", advice[96] = "remove variables that are not needed";
	struct vars_store store;

	vars_efi_look(&store);
	if (store.has_room)
		(void)snprintf(used, sizeof used, " (%llu bytes used, %llu free)",
			       (unsigned long long)store.used, (unsigned long long)store.free);
	if (store.dumps > 0)
		(void)snprintf(advice, sizeof advice, "remove crash dumps (%u variables dump-*), "
			       "through /sys/fs/pstore", store.dumps);
	return err_set(err, EX_IOERR, "%s: the variable store is full%s; %s", what, used, advice);
}

static int fail_read_only(struct err *err, const char *what)
{
	struct vars_store store;

	vars_efi_look(&store);
	if (!store.read_only)
		return err_set(err, EX_IOERR, "%s: the firmware has write-protected it", what);
	if (store.confined)
		return err_set(err, EX_IOERR, "%s: %s is mounted read-only in this unit or "
			       "container (in a unit by ProtectKernelTunables= or "
			       "ProtectSystem=strict)", what, store.path);
	return err_set(err, EX_IOERR, "%s: %s is mounted read-only; mount -o remount,rw %s; if that "
		       "is refused, the firmware writes no variables while Linux runs", what,
		       store.path, store.path);
}

/* What the kernel's errnos for a variable mean; see efi_status_to_err() there. */
static int fail(struct err *err, int errno_value, const char *action,
		enum vars_guid guid, const char *name)
{
	char what[512];

	efi_error_clear();
	(void)snprintf(what, sizeof what, "failed to %s the EFI variable %s-%s in %s", action,
		       name, vars_guid_text(guid), vars_efi_path());
	switch (errno_value) {
	case EACCES:
	case EPERM:
		return err_set(err, EX_NOPERM, "%s: permission denied; %s", what,
			       geteuid() == 0 ? "a unit or container needs CAP_LINUX_IMMUTABLE, and "
						"SELinux may refuse it"
					      : "run as root");
	case EROFS:
		return fail_read_only(err, what);
	case ENOSPC:
		return fail_full(err, what);
	case EINVAL:
		return err_set(err, EX_IOERR, "%s: the firmware refused the name, the size or the "
			       "attributes", what);
	case EIO:
		return err_set(err, EX_IOERR, "%s: the firmware reports a device error", what);
	default:
		return err_set(err, errno_value == ENOMEM ? EX_SOFTWARE : EX_IOERR, "%s: %s", what,
			       strerror(errno_value));
	}
}

static int get(void *ctx, enum vars_guid guid, const char *name, uint8_t **ret_data,
	       size_t *ret_len, uint32_t *ret_attributes, struct err *err)
{
	_cleanup_free_ uint8_t *data = NULL;
	uint32_t attributes = 0;
	size_t len = 0;
	int r = -1;

	(void)ctx;
	/* EINTR: the kernel's rate limit for users other than root */
	for (int i = 0; i < READ_ATTEMPTS && r < 0; i++) {
		r = efi_get_variable(efi_guid(guid), name, &data, &len, &attributes);
		if (r < 0 && errno == ENOENT) {
			efi_error_clear();
			return 1;
		}
		if (r < 0 && errno != EINTR)
			break;
	}
	if (r < 0)
		return fail(err, errno, "read", guid, name);
	if (!data || len == 0)
		return 1;
	*ret_data = data;
	*ret_len = len;
	*ret_attributes = attributes;
	data = NULL;
	return 0;
}

/* In a plain directory, cut off what remains of a longer value, and notice a write cut
 * short by a full disk. 0; -1 with errno. */
static int mend_file(enum vars_guid guid, const char *name, size_t len)
{
	_cleanup_free_ char *file = NULL;
	off_t size = (off_t)(sizeof(uint32_t) + len);
	struct stat st;

	if (is_efivarfs(vars_efi_path()))
		return 0;
	if (asprintf(&file, "%s%s-%s", vars_efi_path(), name, vars_guid_text(guid)) < 0) {
		file = NULL;
		errno = ENOMEM;
		return -1;
	}
	if (stat(file, &st) < 0)
		return -1;
	if (st.st_size < size) {
		errno = ENOSPC;
		return -1;
	}
	return st.st_size > size ? truncate(file, size) : 0;
}

static int set(void *ctx, enum vars_guid guid, const char *name, const uint8_t *data,
	       size_t len, uint32_t attributes, struct err *err)
{
	_cleanup_free_ uint8_t *copy = malloc(len);

	(void)ctx;
	if (!copy)
		return fail(err, ENOMEM, "write", guid, name);
	memcpy(copy, data, len);	/* libefivar's prototype is not const */
	if (efi_set_variable(efi_guid(guid), name, copy, len, attributes, 0644) < 0 ||
	    mend_file(guid, name, len) < 0)
		return fail(err, errno, "write", guid, name);
	return 0;
}

/* What the firmware would make of it, had somebody signed it. */
static int append_file(enum vars_guid guid, const char *name, const uint8_t *data, size_t len,
		       struct err *err)
{
	_cleanup_free_ uint8_t *now = NULL, *both = NULL;
	uint32_t attributes;
	size_t now_len = 0;

	if (get(NULL, guid, name, &now, &now_len, &attributes, err) < 0)
		return -1;
	both = malloc(now_len + len);
	if (!both)
		return fail(err, ENOMEM, "append to", guid, name);
	if (now_len > 0)
		memcpy(both, now, now_len);
	memcpy(both + now_len, data, len);
	return set(NULL, guid, name, both, now_len + len, VARS_SIGNED, err);
}

/* libefivar opens the file for appending, whose offset efivarfs does not look at. */
static enum vars_append append(void *ctx, enum vars_guid guid, const char *name, const uint8_t *data,
			       size_t len, size_t authentication, struct err *err)
{
	_cleanup_free_ uint8_t *copy = NULL;
	int errno_value;

	(void)ctx;
	if (!is_efivarfs(vars_efi_path()))
		return append_file(guid, name, data + authentication, len - authentication, err) < 0
			? VARS_FAILED : VARS_APPENDED;
	copy = malloc(len);
	if (!copy) {
		(void)fail(err, ENOMEM, "append to", guid, name);
		return VARS_FAILED;
	}
	memcpy(copy, data, len);
	if (efi_set_variable(efi_guid(guid), name, copy, len, VARS_SIGNED | VARS_APPEND, 0644) >= 0)
		return VARS_APPENDED;
	errno_value = errno;
	if (errno_value != EACCES) {
		(void)fail(err, errno_value, "append to", guid, name);
		return errno_value == ENOSPC ? VARS_FULL : VARS_FAILED;
	}
	efi_error_clear();
	(void)err_set(err, EX_NOPERM, "failed to append to the EFI variable %s-%s: the firmware refused the "
		      "signature", name, vars_guid_text(guid));
	return VARS_REFUSED;
}

static int delete(void *ctx, enum vars_guid guid, const char *name, struct err *err)
{
	(void)ctx;
	if (efi_del_variable(efi_guid(guid), name) == 0)
		return 0;
	if (errno != ENOENT)
		return fail(err, errno, "delete", guid, name);
	efi_error_clear();
	return 1;
}

/* "Boot0001-8be4df61-...", either case in both parts */
static bool is_boot_file(const char *file)
{
	if (strncmp(file, "Boot", 4) != 0)
		return false;
	for (int i = 4; i < 8; i++)
		if (!isxdigit((unsigned char)file[i]))
			return false;
	return file[8] == '-' && strcasecmp(file + 9, vars_guid_text(VARS_GLOBAL)) == 0;
}

/* 0; -1 with errno */
static int read_boot_files(DIR *dir, struct vars_name **names, size_t *count)
{
	struct dirent *entry;

	for (errno = 0; (entry = readdir(dir)); errno = 0) {
		struct vars_name *bigger;

		if (!is_boot_file(entry->d_name))
			continue;
		bigger = realloc(*names, (*count + 2) * sizeof **names);
		if (!bigger)
			return -1;
		*names = bigger;
		memcpy(bigger[*count].text, entry->d_name, 8);
		bigger[(*count)++].text[8] = 0;
	}
	return errno ? -1 : 0;
}

static int list_boot(void *ctx, struct vars_name **ret_names, size_t *ret_count,
		     struct err *err)
{
	_cleanup_(cleanup_closedirp) DIR *dir = opendir(vars_efi_path());
	_cleanup_free_ struct vars_name *names = calloc(1, sizeof *names);
	size_t count = 0;

	(void)ctx;
	if (!names)
		return err_set(err, EX_SOFTWARE, "out of memory");
	if (!dir || read_boot_files(dir, &names, &count) < 0)
		return err_errno(err, EX_IOERR, errno, "failed to list the EFI variables in %s",
				 vars_efi_path());
	*ret_names = names;
	*ret_count = count;
	names = NULL;
	return 0;
}

int vars_efi_open(struct vars *ret_vars, struct err *err)
{
	const char *path = vars_efi_path();
	bool chosen = getenv("EFIVARFS_PATH") != NULL;

	/* libefivar has gone by it already. */
	if (chosen && !secure_getenv("EFIVARFS_PATH"))
		return err_set(err, EX_NOPERM, "EFIVARFS_PATH is set by a caller with fewer "
			       "privileges; unset it");
	if (chosen && (!path[0] || path[strlen(path) - 1] != '/'))
		return err_set(err, EX_CONFIG,
			       "EFIVARFS_PATH=%s does not end in a slash, which libefivar "
			       "needs; set it to \"%s/\"", path, path);
	if (access(path, F_OK) < 0 && errno == EACCES)
		return err_errno(err, EX_NOPERM, errno, "failed to look into %s", path);
	if (access(path, F_OK) < 0 || (!chosen && !is_efivarfs(path)) ||
	    !efi_variables_supported())
		return err_set(err, EX_CONFIG,
			       "no EFI variables at %s: not booted by UEFI, or efivarfs is "
			       "not mounted; mount -t efivarfs efivarfs %s; a real-time kernel "
			       "has none without efi=runtime on its command line", path, path);
	*ret_vars = (struct vars){
		.get = get, .set = set, .append = append, .delete = delete, .list_boot = list_boot,
	};
	return 0;
}
