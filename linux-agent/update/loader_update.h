/* SPDX-License-Identifier: MIT */
/*
 * The loader updates itself. Three files (loader_file.h), and at any instant one of them is a
 * whole loader that has booted this machine, and the firmware gets to it:
 *
 *   1. the new one is written beside the old one, read back, and noted (loader_note.h); an
 *      entry is made for it, which is in no BootOrder; BootNext names it
 *   2. the firmware tries it once. Whatever goes wrong, the next start is the old one's
 *   3. mark-good, in a system that the new one has started: it is noted as proven
 *   4. its entry goes to the front of BootOrder
 *   5. the copy in \EFI\BOOT becomes the new one, unless it is another system's
 *   6. the old one's file becomes the new one
 *   7. it is noted as promoted; its entry of the trial goes, then its file
 *
 * A cut between 3 and 7 is gone on from by the next mark-good. Files of a FAT cannot be
 * replaced in one write, a rename included: hence 4 before 5 and 6, and no update where the
 * firmware goes by \EFI\BOOT alone.
 */
#pragma once

#include "loader_note.h"

#include <stddef.h>
#include <stdint.h>

struct loader_result {
	enum loader_outcome {
		LOADER_NOTHING,		/* to be said or done */
		LOADER_SAME,		/* it is that one already */
		LOADER_WAITING,		/* the next boot through the firmware tries it */
		LOADER_PROMOTED,
		LOADER_DROPPED,		/* for the failure */
		LOADER_REPAIRED,	/* a file was not what it should be, and is again */
		LOADER_RESTORED,	/* there was none left; the next boot starts this one */
	} what;
	struct loader_id id;
	enum loader_failure failure;
};

/* Whether these bytes are a loader for this machine. EX_DATAERR. name: for messages. */
int loader_check(const uint8_t *data, size_t len, const char *name, struct loader_file *ret_file,
		 struct err *err);

/* Whether a new loader could be tried on this machine now, or put there where none is left;
 * writes nothing. EX_CONFIG, EX_IOERR (also: the store of variables is nearly full), EX_DATAERR (no room on the ESP, or
 * Secure Boot would not let it start). */
int loader_check_machine(const struct machine *machine, const struct loader_file *file,
			 struct err *err);

/* Whether it is what the boot entry starts already. */
bool loader_is_installed(const struct machine *machine, const struct loader_file *file);

/* Becomes of the file at path what source holds: written, flushed, read back. EX_IOERR. */
int loader_file_put(struct machine *machine, const struct loader_file *source, const char *path,
		    struct err *err);

/* Step 1, after both checks. LOADER_SAME, LOADER_WAITING; on an error all is as it was. Where
 * neither the loader's file nor its copy is a whole slotboot there is nothing to stay with:
 * both become this one (unless the copy's place is another system's), LOADER_RESTORED. */
int loader_install(struct machine *machine, const struct loader_file *file,
		   struct loader_result *ret_result, struct err *err);

/* Steps 3 to 7, or the end of the trial; and the files held against what was promoted. At
 * mark-good, with the running slot confirmed. Writes nothing if nothing changes. */
int loader_settle(struct machine *machine, struct loader_result *ret_result, struct err *err);
