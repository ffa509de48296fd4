/* SPDX-License-Identifier: MIT */
#include "install_payload.h"

#include "loader_update.h"
#include "report.h"

int install_loader_prepare(struct install *in, struct err *err)
{
	const struct pinned_entry *entry = &bundle_manifest(in->bundle)->loader;
	uint8_t *data;
	size_t len;

	if (!entry->file)
		return 0;
	if (bundle_pinned(in->bundle, entry, &data, &len, err) < 0)
		return -1;
	if (loader_check(data, len, entry->file, &in->loader, err) == 0)
		return 0;
	free(data);
	return bundle_prefix(in->bundle, err);
}

/* A loader that failed here once must not block every update that brings it. */
static int check(const struct install *in, struct err *err)
{
	struct loader_note note;

	loader_note_read(in->machine, &note);
	if (loader_id_is(&note.failed, &in->loader))
		return err_set(err, EX_CONFIG, "version %s was tried on this machine, and dropped: %s; "
			       "slotctl loader install tries it again", note.failed.version,
			       loader_failure_words(note.failure));
	return loader_check_machine(in->machine, &in->loader, err);
}

void install_loader(struct install *in)
{
	struct report *report = in->options->report;
	struct loader_result result;
	struct err why = { 0 };

	if (!in->loader.data)
		return;
	if (loader_is_installed(in->machine, &in->loader))
		return;
	if (check(in, &why) < 0 || loader_install(in->machine, &in->loader, &result, &why) < 0)
		report_warning(report, "the loader is not updated: %s", why.text);
	else
		report_step(report, "loader", "the next boot through the firmware tries version %s of "
			    "the loader", result.id.version);
}
