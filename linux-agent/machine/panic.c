/* SPDX-License-Identifier: MIT */
#include "panic.h"

#include "io.h"
#include "out.h"

#include <fts.h>
#include <string.h>
#include <sys/stat.h>

/* A record of pstore has some KiB; systemd-pstore joins the parts of one crash. */
enum { FILE_MAX_BYTES = 1 << 20, FILES_MAX = 1000 };

bool panic_find(const char *text, size_t len, char ret_words[static PANIC_WORDS_BYTES])
{
	static const char mark[] = "Kernel panic - not syncing: ";
	const char *words = memmem(text, len, mark, sizeof mark - 1), *end;
	size_t left;

	if (!words)
		return false;
	words += sizeof mark - 1;
	left = len - (size_t)(words - text);
	end = memchr(words, '\n', left);
	if (end)
		left = (size_t)(end - words);
	if (left >= PANIC_WORDS_BYTES)
		left = PANIC_WORDS_BYTES - 1;
	memcpy(ret_words, words, left);
	ret_words[left] = 0;
	out_clean(ret_words, PANIC_WORDS_BYTES);
	return true;
}

/* Whether what ended the slot may have been a panic. */
static bool may_have_panicked(const struct slot *s)
{
	return s->status == SLOT_BAD &&
	       (s->reason == REASON_TRIES || s->reason == REASON_WATCHDOG || s->reason == REASON_KEXEC);
}

static void file_look(const char *path, int64_t time, struct panic *latest)
{
	_cleanup_free_ uint8_t *text = NULL;
	char words[PANIC_WORDS_BYTES];
	size_t len;

	if (read_file(path, FILE_MAX_BYTES, &text, &len) < 0 ||
	    !panic_find((const char *)text, len, words))
		return;
	memcpy(latest->words, words, sizeof words);
	latest->time = time;
}

bool panic_read(const struct machine *machine, unsigned slot, struct panic *ret_panic)
{
	_cleanup_free_ char *kernel = NULL, *moved = NULL;
	const struct slot *s = &machine->state.record.slots[slot];
	char *places[] = { NULL, NULL, NULL };
	const FTSENT *e;
	FTS *files;

	*ret_panic = (struct panic){ .time = (int64_t)s->installed };
	if (!may_have_panicked(s) || s->installed > INT64_MAX ||
	    asprintf(&kernel, "%s/sys/fs/pstore", machine->config->sysroot) < 0 ||
	    asprintf(&moved, "%s/var/lib/systemd/pstore", machine->config->sysroot) < 0)
		return false;
	places[0] = kernel;
	places[1] = moved;
	files = fts_open(places, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
	for (int i = 0; files && i < FILES_MAX && (e = fts_read(files)); i++)
		if (e->fts_info == FTS_F && e->fts_statp->st_mtime >= ret_panic->time)
			file_look(e->fts_accpath, e->fts_statp->st_mtime, ret_panic);
	if (files)
		(void)fts_close(files);
	return *ret_panic->words != 0;
}
