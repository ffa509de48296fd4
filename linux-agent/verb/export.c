/* SPDX-License-Identifier: MIT */
#include "export.h"

#include "cmdline.h"
#include "events.h"
#include "health_note.h"
#include "io.h"
#include "out.h"
#include "verbs.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <string.h>
#include <sys/stat.h>

static int failed(const char *what, struct err *err)
{
	return err_errno(err, EX_IOERR, errno, "failed to write %s", what);
}

/* "SYSROOT/run/NAME", with the directories on the way. The caller frees; NULL with err. */
static char *run_path(const struct machine *m, const char *name, struct err *err)
{
	char *path = NULL;

	if (asprintf(&path, "%s/run/%s", m->config->sysroot, name) < 0) {
		(void)err_errno(err, EX_SOFTWARE, errno, "failed to name /run/%s", name);
		return NULL;
	}
	for (char *p = path + strlen(m->config->sysroot) + 1; (p = strchr(p, '/')); p++) {
		*p = 0;
		(void)mkdir(path, 0755);
		*p = '/';
	}
	return path;
}

/* Replace the file atomically. */
static int text_replace(const char *path, const char *text, struct err *err)
{
	_cleanup_free_ char *temporary = NULL;
	_cleanup_close_ int fd = -1;

	if (asprintf(&temporary, "%s.new", path) < 0) {
		temporary = NULL;
		return failed(path, err);
	}
	(void)unlink(temporary);
	fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0 || fchmod(fd, 0644) < 0 || pwrite_full(fd, text, strlen(text), 0) < 0 ||
	    rename(temporary, path) < 0)
		return failed(path, err);
	return 0;
}

static int link_replace(const struct machine *m, const char *name, const char *target,
			struct err *err)
{
	_cleanup_free_ char *path = run_path(m, name, err), *temporary = NULL;

	if (!path)
		return -1;
	if (!target)
		return unlink(path) < 0 && errno != ENOENT ? failed(path, err) : 0;
	if (asprintf(&temporary, "%s.new", path) < 0) {
		temporary = NULL;
		return failed(path, err);
	}
	(void)unlink(temporary);
	if (symlink(target, temporary) < 0 || rename(temporary, path) < 0)
		return failed(path, err);
	return 0;
}

static int links_write(const struct machine *m, struct err *err)
{
	const struct config_image *image = config_image_find(m->config, "rootfs");
	bool known;

	if (!image && m->config->image_count > 0)
		image = &m->config->images[0];
	known = image && m->is_running;
	if (link_replace(m, "slotboot/slots/running",
			 known ? image->target[m->running.slot] : NULL, err) < 0)
		return -1;
	return link_replace(m, "slotboot/slots/other",
			    known ? image->target[1 - m->running.slot] : NULL, err);
}

/* To the running slot's directory below files=. */
static int files_link_write(const struct machine *m, struct err *err)
{
	_cleanup_free_ char *target = NULL;

	if (m->config->files && m->is_running &&
	    asprintf(&target, "%s/%c", m->config->files, slot_letter(m->running.slot)) < 0) {
		target = NULL;
		return err_set(err, EX_SOFTWARE, "out of memory");
	}
	return link_replace(m, "slotboot/files", target, err);
}

static int status_write(struct machine *m, struct err *err)
{
	_cleanup_free_ char *path = run_path(m, "slotboot/status.json", err), *text = NULL;
	json_t *status;

	if (!path)
		return -1;
	status = status_json(m);
	text = status ? json_dumps(status, JSON_INDENT(2) | JSON_ENSURE_ASCII) : NULL;
	json_decref(status);
	if (!text)
		return err_set(err, EX_SOFTWARE, "failed to make JSON of the status");
	return text_replace(path, text, err);
}

/* Whether the slot failed by itself: by nobody's order, and not because the record was
 * lost. */
static bool failed_by_itself(const struct slot *slot)
{
	return slot->status == SLOT_BAD && slot->reason != REASON_NONE &&
	       slot->reason != REASON_OPERATOR && slot->reason != REASON_ROLLED_BACK &&
	       slot->reason != REASON_STATE_LOST;
}

static int motd_write(struct machine *m, struct err *err)
{
	_cleanup_free_ char *path = run_path(m, "motd.d/slotboot", err), *text = NULL;
	char words[HEALTH_WORDS_BYTES] = "";
	unsigned slot = 1 - m->running.slot;
	struct health_note note;
	bool is_new;

	if (!path)
		return -1;
	if (!m->is_running || !failed_by_itself(&m->state.record.slots[slot]))
		return unlink(path) < 0 && errno != ENOENT ? failed(path, err) : 0;
	if (health_note_read(m, slot, &note))
		health_finding_words(&note.finding, words, sizeof words);
	is_new = access(path, F_OK) < 0;
	if (asprintf(&text, "slotboot: slot %c was left: %s%s%s%s. Slot %c runs; see slotctl status.\n",
		     slot_letter(slot), slot_reason_words(m->state.record.slots[slot].reason),
		     *words ? " (" : "", words, *words ? ")" : "", slot_letter(m->running.slot)) < 0) {
		text = NULL;
		return failed(path, err);
	}
	if (text_replace(path, text, err) < 0)
		return -1;
	if (is_new)
		events_fell_back(m, words);
	return 0;
}

int export_write(struct machine *machine, struct err *err)
{
	if (links_write(machine, err) < 0 || files_link_write(machine, err) < 0 || status_write(machine, err) < 0)
		return -1;
	return motd_write(machine, err);
}
