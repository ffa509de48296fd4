/* SPDX-License-Identifier: MIT */
#include "status_loader.h"

#include "io.h"
#include "loader_note.h"
#include "out.h"

static json_t *loader_id_json(const struct loader_id *id, const char *why)
{
	char sha256[65];

	if (!id->known)
		return NULL;
	hex_encode(id->sha256, sizeof id->sha256, sha256);
	return json_pack("{s:s, s:s, s:s*}", "version", id->version, "sha256", sha256, "why", why);
}

json_t *status_loader_json(const struct machine *machine)
{
	_cleanup_(loader_file_clear) struct loader_file home = { 0 };
	struct loader_id file = { 0 };
	struct loader_note note;

	(void)loader_file_read(machine, LOADER_HOME, &home, NULL);
	loader_note_read(machine, &note);
	if (loader_file_good(&home))
		file = loader_id_of(&home);
	return json_pack("{s:o?, s:b, s:o?, s:o?}", "file", loader_id_json(&file, NULL), "kept",
			 loader_id_is(&note.promoted, &home), "trial",
			 loader_id_json(&note.trial, NULL), "dropped",
			 loader_id_json(&note.failed, loader_failure_text(note.failure)));
}

void status_loader_print(const struct machine *machine)
{
	_cleanup_(loader_file_clear) struct loader_file home = { 0 };
	struct loader_note note;
	char sha256[65];

	(void)loader_file_read(machine, LOADER_HOME, &home, NULL);
	loader_note_read(machine, &note);
	if (loader_file_good(&home)) {
		hex_encode(home.sha256, sizeof home.sha256, sha256);
		out_print("loader     file: version %s, SHA-256 %.16s...%s\n", home.version, sha256,
			  !note.promoted.known || loader_id_is(&note.promoted, &home)
				  ? "" : "; not the one that was kept");
	}
	if (note.trial.known)
		out_print("loader     version %s is on trial, at the next boot through the firmware\n",
			  note.trial.version);
	if (note.failed.known)
		out_print("loader     warning: version %s was tried and dropped: %s\n",
			  note.failed.version, loader_failure_words(note.failure));
}
