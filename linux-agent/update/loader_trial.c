/* SPDX-License-Identifier: MIT */
/* A new loader is put on trial. */
#include "loader_update.h"

#include "bootnext.h"
#include "direct.h"
#include "espfile.h"
#include "readback.h"
#include "slot_secureboot.h"
#include "io.h"
#include "trip.h"

#include <errno.h>
#include <string.h>

/* For the note, directory growth, and rounding to clusters. */
#define ROOM_TO_SPARE (128 * 1024)
/* As doctor has it: Linux keeps 5120 bytes back, since a full store has bricked boards. */
#define STORE_MIN 8192

int loader_file_put(struct machine *machine, const struct loader_file *source, const char *path,
		    struct err *err)
{
	if (espfile_write(&machine->disk, path, source->data, source->len, err) < 0)
		return -1;
	return readback_check(&machine->disk, path, source->len, source->sha256, NULL, err);
}

int loader_check(const uint8_t *data, size_t len, const char *name, struct loader_file *ret_file,
		 struct err *err)
{
	struct loader_file file = { .there = true, .len = len, .data = (uint8_t *)(uintptr_t)data };

	loader_file_judge(&file);
	if (file.why.exit)
		return err_set(err, EX_DATAERR, "%s is no loader: %s", name, file.why.text);
	if (!file.ours)
		return err_set(err, EX_DATAERR, "%s is no loader: it is a program, but not slotboot (its "
			       ".sbat does not name it)", name);
	*ret_file = file;
	return 0;
}

bool loader_is_installed(const struct machine *machine, const struct loader_file *file)
{
	_cleanup_(loader_file_clear) struct loader_file home = { 0 };
	const struct loader_id id = loader_id_of(file);

	return loader_file_read(machine, LOADER_HOME, &home, NULL) == 0 && loader_id_is(&id, &home);
}

static int check_started(const struct machine *m, const struct loader_note *note, struct err *err)
{
	char version[LOADER_VERSION_BYTES];

	switch (loader_started(m, version)) {
	case LOADER_HOME:
		return 0;
	case LOADER_TRIAL:
		if (!note->trial.known)
			return 0;	/* and it was promoted since */
		return err_set(err, EX_CONFIG, "this machine was started by a loader on trial: run "
			       "slotctl mark-good first");
	case LOADER_FALLBACK:
		return err_set(err, EX_CONFIG, "this machine was started by \\EFI\\BOOT, not by the "
			       "boot entry of the loader: run slotctl mark-good, which makes the entry, "
			       "and reboot; on firmware that has no use for entries the loader cannot "
			       "be replaced safely");
	case LOADER_ELSEWHERE:
		break;
	}
	return err_set(err, EX_CONFIG, "it is not known by which file the firmware started the loader: "
		       "LoaderInfo and LoaderImageIdentifier are not slotboot's, so that another boot "
		       "loader, or a direct entry, has started this machine");
}

static int check_next(const struct machine *m, struct err *err)
{
	enum boot_next next;
	struct vars_store store;

	vars_efi_look(&store);
	if (store.has_room && store.free < STORE_MIN)
		return err_set(err, EX_IOERR, "the store of EFI variables is nearly full (%llu bytes "
			       "free): nothing is written; see slotctl doctor",
			       (unsigned long long)store.free);
	if (bootnext_get(&m->vars, &m->esp, BOOTENTRIES_TRIAL_PATH, &next, err) < 0)
		return -1;
	if (next == BOOT_NEXT_OTHER)
		return err_set(err, EX_CONFIG, "BootNext names another entry already: reboot, or take it "
			       "back with efibootmgr -N");
	return 0;
}

static int check_room(const struct machine *m, size_t len, struct err *err)
{
	uint64_t room;

	if (m->disk.room(m->disk.ctx, m->esp.dir, &room) < 0)
		return err_errno(err, EX_IOERR, errno, "failed to read the free space of the ESP at %s",
				 m->esp.dir);
	if (room < ROOM_TO_SPARE || len > room - ROOM_TO_SPARE)
		return err_set(err, EX_DATAERR, "the loader (%zu bytes) does not fit the ESP at %s beside "
			       "the old one (%llu bytes free)", len, m->esp.dir,
			       (unsigned long long)room);
	return 0;
}

/* One that the firmware refuses would cost a boot, and be dropped. */
static int check_starts(const struct machine *m, const struct loader_file *file, struct err *err)
{
	_cleanup_(secureboot_clear) struct secureboot rules = { .now = 0 };
	struct secureboot_verdict v;

	if (secureboot_read(&m->vars, &rules, err) < 0)
		return -1;
	if (!slot_secureboot_loader(&rules, file, &v) || v.answer != SECUREBOOT_REFUSED)
		return 0;
	return secureboot_refuse(&v, "the new loader", err);
}

int loader_check_machine(const struct machine *machine, const struct loader_file *file,
			 struct err *err)
{
	_cleanup_(loader_file_clear) struct loader_file home = { 0 }, fallback = { 0 };
	struct loader_note note;

	if (machine_is_direct(machine))
		return err_set(err, EX_CONFIG, "this machine does without the loader (activation = direct, in "
			       "slotboot.conf)");
	loader_note_read(machine, &note);
	if (note.proven)
		return err_set(err, EX_CONFIG, "a new loader is just being promoted: run slotctl mark-good "
			       "first");
	if (loader_file_read(machine, LOADER_HOME, &home, err) < 0 ||
	    loader_file_read(machine, LOADER_FALLBACK, &fallback, err) < 0)
		return -1;
	if (!loader_file_good(&home) && loader_file_good(&fallback))
		return err_set(err, EX_CONFIG, "the loader that is there (%s) is no whole slotboot, so "
			       "that there is nothing to fall back to: slotctl mark-good puts it back "
			       "from its copy; see slotctl doctor", home.path);
	if (loader_file_good(&home) &&
	    (check_started(machine, &note, err) < 0 || check_next(machine, err) < 0))
		return -1;
	if (check_starts(machine, file, err) < 0)
		return -1;
	return check_room(machine, file->len, err);
}

/* Undo the trial completely, even if a step fails. */
static void undo(struct machine *m, struct loader_note *note, const char *path)
{
	note->trial.known = note->proven = false;
	(void)bootnext_clear(&m->vars, &m->esp, BOOTENTRIES_TRIAL_PATH, NULL);
	(void)loader_note_write(m, note, NULL);
	(void)machine_sync_entries(m, NULL);
	(void)espfile_remove(&m->disk, path, NULL);
}

static int arm(struct machine *m, struct err *err)
{
	if (machine_sync_entries(m, err) < 0)
		return -1;
	if (m->entries_error.exit) {
		*err = m->entries_error;
		return -1;
	}
	return bootnext_set(&m->vars, &m->esp, BOOTENTRIES_TRIAL_PATH, err);
}

/* Nothing that starts is overwritten. The note goes by what has booted, which this has not. */
static int restore(struct machine *m, const struct loader_file *file, const struct loader_file *home,
		   const struct loader_file *fallback, struct err *err)
{
	bool is_foreign = fallback->there && !fallback->why.exit && !fallback->ours;

	if (loader_file_put(m, file, home->path, err) < 0 ||
	    (fallback->there && !is_foreign && loader_file_put(m, file, fallback->path, err) < 0))
		return -1;
	return machine_sync_entries(m, err);
}

int loader_install(struct machine *machine, const struct loader_file *file,
		   struct loader_result *ret_result, struct err *err)
{
	_cleanup_(loader_file_clear) struct loader_file home = { 0 }, trial = { 0 }, fallback = { 0 };
	char version[LOADER_VERSION_BYTES];
	struct loader_note note;

	*ret_result = (struct loader_result){ .what = LOADER_SAME, .id = loader_id_of(file) };
	loader_note_read(machine, &note);
	if (loader_file_read(machine, LOADER_HOME, &home, err) < 0 ||
	    loader_file_read(machine, LOADER_TRIAL, &trial, err) < 0 ||
	    loader_file_read(machine, LOADER_FALLBACK, &fallback, err) < 0)
		return -1;
	if (loader_id_is(&ret_result->id, &home))
		return 0;
	if (!loader_file_good(&home) && !loader_file_good(&fallback)) {
		ret_result->what = LOADER_RESTORED;
		return restore(machine, file, &home, &fallback, err);
	}
	/* The one to stay with, where no mark-good has seen it yet: it has started this machine. */
	if (!note.promoted.known && loader_started(machine, version) == LOADER_HOME &&
	    loader_file_good(&home) && strcmp(version, home.version) == 0)
		note.promoted = loader_id_of(&home);
	ret_result->what = LOADER_WAITING;
	note.trial = ret_result->id;
	note.failed.known = note.proven = false;
	trip_boot_id(machine, note.boot_id);
	if (bootnext_clear(&machine->vars, &machine->esp, BOOTENTRIES_TRIAL_PATH, err) == 0 &&
	    loader_file_put(machine, file, trial.path, err) == 0 &&
	    loader_note_write(machine, &note, err) == 0 && arm(machine, err) == 0)
		return 0;
	undo(machine, &note, trial.path);
	return err_prefix(err, "failed to put the new loader on trial");
}
