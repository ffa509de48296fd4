/* SPDX-License-Identifier: MIT */
#include "doctor_checks.h"
#include "io.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>

bool doctor_store_is_full(const struct vars_store *store)
{
	return store->has_room && store->free < DOCTOR_STORE_MIN;
}

static void read_only(const struct vars_store *store, struct findings *findings)
{
	struct finding *f = finding_add(findings, FINDING_FAULT, "efivarfs-read-only");

	finding_say(f, what, "%s is mounted read-only", store->path);
	finding_say(f, cause, "neither the slot record nor boot entries can be written");
	if (store->confined)
		finding_say(f, remedy, "this is a unit or a container, where no remount helps: in a "
			    "unit leave out ProtectKernelTunables= and ProtectSystem=strict, or "
			    "add ReadWritePaths=%s; a container needs it mounted for writing",
			    store->path);
	else
		finding_say(f, remedy, "mount -o remount,rw %s; if that is refused, the firmware "
			    "writes no variables while Linux runs", store->path);
}

static void nearly_full(const struct vars_store *store, struct findings *findings)
{
	struct finding *f = finding_add(findings, FINDING_FAULT, "store-full");

	finding_say(f, what, "the store of EFI variables is nearly full: %llu bytes used, %llu free",
		    (unsigned long long)store->used, (unsigned long long)store->free);
	finding_say(f, cause, "Linux keeps 5120 bytes back, since a full store has bricked boards");
	if (store->dumps > 0)
		finding_say(f, remedy, "remove crash dumps (%u variables dump-*), through "
			    "/sys/fs/pstore; many firmwares give the room back at the next reset",
			    store->dumps);
	else
		finding_say(f, remedy, "remove variables that are not needed, such as boot entries of "
			    "systems that are gone; a reset may have the firmware tidy up its store");
}

static void closed_store(struct findings *findings)
{
	struct finding *f = finding_add(findings, FINDING_NOTE, "variables-closed");

	finding_say(f, what, "the firmware takes no EFI variables while Linux runs");
	finding_say(f, cause, "some firmware is so (U-Boot): what slotctl stores is in the mirror of the slot record on "
		    "the ESP alone, and no boot entries are made, since this firmware starts the loader without");
}

void doctor_store(const struct vars_store *store, bool closed, struct findings *findings)
{
	if (closed)
		closed_store(findings);
	else if (store->read_only)
		read_only(store, findings);
	if (doctor_store_is_full(store))
		nearly_full(store, findings);
}

static bool is_immutable(const struct vars_store *store, const char *name)
{
	_cleanup_free_ char *path = NULL;
	_cleanup_close_ int fd = -1;
	int flags = 0;

	if (asprintf(&path, "%s%s-%s", store->path, name, vars_guid_text(VARS_GLOBAL)) < 0) {
		path = NULL;
		return false;
	}
	fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	return fd >= 0 && ioctl(fd, FS_IOC_GETFLAGS, &flags) == 0 && (flags & FS_IMMUTABLE_FL);
}

void doctor_immutable(const struct machine *machine, const struct vars_store *store,
		      struct findings *findings)
{
	_cleanup_free_ struct vars_name *names = NULL;
	char list[256] = "";
	size_t count = 0;

	if (vars_list_boot(&machine->vars, &names, &count, NULL) < 0)
		return;
	for (size_t i = 0; i <= count; i++) {
		const char *name = i < count ? names[i].text : "BootOrder";
		size_t used = strlen(list);

		if (is_immutable(store, name))
			(void)snprintf(list + used, sizeof list - used, "%s%s", used ? ", " : "", name);
	}
	if (*list) {
		struct finding *f = finding_add(findings, FINDING_NOTE, "immutable");

		finding_say(f, what, "immutable: %s", list);
		finding_say(f, cause, "somebody has set the flag (chattr +i); Linux sets it on no boot "
			    "entry. To write, slotctl takes it off, which needs "
			    "CAP_LINUX_IMMUTABLE");
		finding_say(f, remedy, "chattr -i, in %s", store->path);
	}
}
