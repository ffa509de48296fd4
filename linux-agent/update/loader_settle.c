/* SPDX-License-Identifier: MIT */
/* Settle a new loader and the loader's files at mark-good. */
#include "loader_update.h"

#include "bootnext.h"
#include "direct.h"
#include "espfile.h"
#include "io.h"
#include "trip.h"

#include <libgen.h>
#include <string.h>

struct files {
	struct loader_file home, trial, fallback;
};

static void files_clear(struct files *f)
{
	loader_file_clear(&f->home);
	loader_file_clear(&f->trial);
	loader_file_clear(&f->fallback);
}

static int files_read(const struct machine *m, struct files *f, struct err *err)
{
	if (loader_file_read(m, LOADER_HOME, &f->home, err) < 0 ||
	    loader_file_read(m, LOADER_TRIAL, &f->trial, err) < 0)
		return -1;
	return loader_file_read(m, LOADER_FALLBACK, &f->fallback, err);
}

static bool is_foreign(const struct loader_file *file)
{
	return file->there && !file->why.exit && !file->ours;
}

/* \EFI\BOOT may not be there at all. */
static int fallback_put(struct machine *m, const struct loader_file *source,
			const struct loader_file *fallback, struct err *err)
{
	_cleanup_free_ char *copy = strdup(fallback->path);

	if (is_foreign(fallback))
		return 0;
	if (copy && !fallback->there && m->disk.make_dir(m->disk.ctx, dirname(copy)) == 0)
		(void)disk_flush_parent(&m->disk, copy);
	return loader_file_put(m, source, fallback->path, err);
}

static int drop(struct machine *m, struct loader_note *note, const struct files *files,
		enum loader_failure failure, struct loader_result *ret_result, struct err *err)
{
	*ret_result = (struct loader_result){ .what = LOADER_DROPPED, .id = note->trial,
					      .failure = failure };
	note->failed = note->trial;
	note->failure = failure;
	note->trial.known = note->proven = false;
	if (loader_note_write(m, note, err) < 0 || machine_sync_entries(m, err) < 0)
		return -1;
	return espfile_remove(&m->disk, files->trial.path, err);
}

/* Step 4. False in *ret_leads: the firmware does not have it so. */
static int lead(struct machine *m, bool *ret_leads, struct err *err)
{
	if (machine_sync_entries(m, err) < 0)
		return -1;
	if (!m->entries_error.exit)
		return bootnext_leads(&m->vars, &m->esp, ret_leads, err);
	*ret_leads = false;
	return 0;
}

/* Steps 3 to 7, or what is left of them; source is the new one, wherever it is whole. */
static int promote(struct machine *m, struct loader_note *note, const struct files *files,
		   const struct loader_file *source, struct loader_result *ret_result,
		   struct err *err)
{
	const struct loader_id id = note->trial;
	bool leads;

	note->proven = true;
	if (loader_note_write(m, note, err) < 0 || lead(m, &leads, err) < 0)
		return -1;
	/* After a power cut in step 6 there is no old loader to stay with. */
	if (!leads && loader_file_good(&files->home) && !loader_id_is(&id, &files->home))
		return drop(m, note, files, LOADER_FAILED_ENTRIES, ret_result, err);
	if (!loader_id_is(&id, &files->fallback) &&
	    fallback_put(m, source, &files->fallback, err) < 0)
		return -1;
	if (!loader_id_is(&id, &files->home) && loader_file_put(m, source, files->home.path, err) < 0)
		return -1;
	note->promoted = id;
	note->trial.known = note->failed.known = note->proven = false;
	*ret_result = (struct loader_result){ .what = LOADER_PROMOTED, .id = id };
	if (loader_note_write(m, note, err) < 0 || machine_sync_entries(m, err) < 0)
		return -1;
	return espfile_remove(&m->disk, files->trial.path, err);
}

/* The one of the three files with this digest; NULL: none. */
static const struct loader_file *source_find(const struct files *files, const struct loader_id *id)
{
	const struct loader_file *list[] = { &files->trial, &files->fallback, &files->home };

	for (size_t i = 0; i < ARRAY_SIZE(list); i++)
		if (loader_id_is(id, list[i]))
			return list[i];
	return NULL;
}

/* It was put on trial in this boot; the firmware has not tried it yet. */
static bool is_waiting(const struct machine *m, const struct loader_note *note, enum boot_next next,
		       enum loader_place started)
{
	char boot_id[37];

	trip_boot_id(m, boot_id);
	if (*boot_id && *note->boot_id)
		return strcmp(boot_id, note->boot_id) == 0;
	return next == BOOT_NEXT_OURS && started != LOADER_TRIAL;
}

static bool slot_failed(const struct machine *m)
{
	for (unsigned i = 0; m->has_trace && i < m->trace.step_count; i++)
		if (m->trace.steps[i].what == TRACE_FAILED)
			return true;
	return false;
}

/* The trial's outcome in the boot that started this system. */
static enum loader_failure trial_judge(const struct machine *m, const struct loader_note *note,
				       const struct loader_file *trial, enum boot_next next)
{
	char version[LOADER_VERSION_BYTES];
	enum loader_place started = loader_started(m, version);

	if (started != LOADER_TRIAL || strcmp(version, note->trial.version) != 0)
		return next == BOOT_NEXT_OURS ? LOADER_FAILED_IGNORED : LOADER_FAILED_NOT_STARTED;
	if (!loader_id_is(&note->trial, trial))
		return LOADER_FAILED_FILE;
	return slot_failed(m) ? LOADER_FAILED_SLOT : LOADER_FAILED_NOT;
}

static int trial_settle(struct machine *m, struct loader_note *note, const struct files *files,
			struct loader_result *ret_result, struct err *err)
{
	const struct loader_file *source = source_find(files, &note->trial);
	char version[LOADER_VERSION_BYTES];
	enum loader_failure failure;
	enum boot_next next;

	if (bootnext_get(&m->vars, &m->esp, BOOTENTRIES_TRIAL_PATH, &next, err) < 0)
		return -1;
	if (!note->proven && is_waiting(m, note, next, loader_started(m, version))) {
		*ret_result = (struct loader_result){ .what = LOADER_WAITING, .id = note->trial };
		return 0;
	}
	failure = note->proven ? source ? LOADER_FAILED_NOT : LOADER_FAILED_FILE
			       : trial_judge(m, note, &files->trial, next);
	if (failure != LOADER_FAILED_NOT)
		return drop(m, note, files, failure, ret_result, err);
	return promote(m, note, files, source, ret_result, err);
}

/* --- and the files that should be there ------------------------------------- */

/* By the version: it is what LoaderInfo names. */
static bool has_booted(const struct machine *m, const struct loader_file *file,
		       enum loader_place place)
{
	char version[LOADER_VERSION_BYTES];

	return loader_started(m, version) == place && loader_file_good(file) &&
	       strcmp(version, file->version) == 0;
}

/* The loader's own file is not the promoted one, and the copy is. One of another version is
 * somebody's doing, and counts once it has booted. */
static bool is_damaged(const struct loader_note *note, const struct files *files)
{
	return !loader_id_is(&note->promoted, &files->home) &&
	       loader_id_is(&note->promoted, &files->fallback) &&
	       !loader_id_is(&note->failed, &files->fallback) &&
	       (!loader_file_good(&files->home) ||
		strcmp(files->home.version, note->promoted.version) == 0);
}

/* A whole one is replaced as by a new one. */
static int home_repair(struct machine *m, struct loader_note *note, struct files *files,
		       struct loader_result *ret_result, struct err *err)
{
	if (!loader_file_good(&files->home)) {
		if (loader_file_put(m, &files->fallback, files->home.path, err) < 0)
			return -1;
	} else {
		note->trial = note->promoted;
		if (loader_file_put(m, &files->fallback, files->trial.path, err) < 0 ||
		    promote(m, note, files, &files->fallback, ret_result, err) < 0)
			return -1;
		if (ret_result->what != LOADER_PROMOTED)
			return 0;
	}
	*ret_result = (struct loader_result){ .what = LOADER_REPAIRED, .id = note->promoted };
	return machine_sync_entries(m, err);
}

/* A loader that somebody has put there by hand counts once it has booted this machine: of
 * another version than the promoted one, or where none was. */
static bool is_adopted(const struct machine *m, const struct loader_note *note,
		       const struct files *files)
{
	const struct loader_id *promoted = &note->promoted;

	if (!has_booted(m, &files->home, LOADER_HOME) || loader_id_is(promoted, &files->home))
		return false;
	return !promoted->known || strcmp(promoted->version, files->home.version) != 0 ||
	       !loader_id_is(promoted, &files->fallback);
}

static int files_settle(struct machine *m, struct loader_note *note, struct files *files,
			struct loader_result *ret_result, struct err *err)
{
	char version[LOADER_VERSION_BYTES];

	if (is_adopted(m, note, files))
		note->promoted = loader_id_of(&files->home);
	else if (!note->promoted.known && !loader_file_good(&files->home) &&
		 has_booted(m, &files->fallback, LOADER_FALLBACK))
		note->promoted = loader_id_of(&files->fallback);
	if (!note->promoted.known)
		return 0;
	if (loader_note_write(m, note, err) < 0)
		return -1;
	if (is_damaged(note, files))
		return home_repair(m, note, files, ret_result, err);
	(void)loader_started(m, version);
	if (!loader_id_is(&note->promoted, &files->home) ||
	    loader_id_is(&note->promoted, &files->fallback) || is_foreign(&files->fallback) ||
	    strcmp(version, note->promoted.version) != 0)
		return 0;
	*ret_result = (struct loader_result){ .what = LOADER_REPAIRED, .id = note->promoted };
	return fallback_put(m, &files->home, &files->fallback, err);
}

int loader_settle(struct machine *machine, struct loader_result *ret_result, struct err *err)
{
	_cleanup_(files_clear) struct files files = { 0 };
	struct loader_note note;

	*ret_result = (struct loader_result){ 0 };
	/* After a kexec the firmware's variables describe another system's boot. */
	if (machine->running.kexec || machine_is_direct(machine))
		return 0;
	loader_note_read(machine, &note);
	if (files_read(machine, &files, err) < 0)
		return -1;
	if (note.trial.known)
		return trial_settle(machine, &note, &files, ret_result, err);
	/* Of a trial whose note was lost; its entry is gone by now. */
	if (files.trial.there && loader_file_good(&files.home) &&
	    espfile_remove(&machine->disk, files.trial.path, err) < 0)
		return -1;
	return files_settle(machine, &note, &files, ret_result, err);
}
