/* SPDX-License-Identifier: MIT */
#include "mounts.h"

#include "io.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

/* Blanks and the like are \040, in octal. */
static void unescape(char *text)
{
	char *out = text;

	for (const char *in = text; *in; in++) {
		unsigned byte;

		if (sscanf(in, "\\%3o", &byte) == 1 && byte && byte < 256) {
			*out++ = (char)byte;
			in += 3;
		} else {
			*out++ = *in;
		}
	}
	*out = 0;
}

static void mount_clear(struct mount *m)
{
	free(m->target);
	free(m->type);
	free(m->source);
	free(m->options);
}

/* "36 35 98:0 /root /mnt rw,noatime master:1 - ext3 /dev/sda1 rw" */
static int line_take(const char *line, struct mount *ret)
{
	const char *rest = strstr(line, " - ");
	unsigned maj, min;
	struct mount m = { 0 };
	char flags[3];

	if (!rest || sscanf(line, "%*u %*u %u:%u %*s %ms %2s", &maj, &min, &m.target, flags) != 4 ||
	    sscanf(rest, " - %ms %ms %ms", &m.type, &m.source, &m.options) != 3) {
		mount_clear(&m);
		return -1;
	}
	m.dev = makedev(maj, min);
	m.read_only = strcmp(flags, "ro") == 0;
	unescape(m.target);
	unescape(m.source);
	unescape(m.options);
	*ret = m;
	return 0;
}

void mounts_read(const char *sysroot, struct mounts *ret_mounts)
{
	_cleanup_free_ char *path = NULL, *line = NULL;
	_cleanup_fclose_ FILE *f = NULL;
	struct mount m;
	size_t cap = 0;

	*ret_mounts = (struct mounts){ 0 };
	if (asprintf(&path, "%s/proc/self/mountinfo", sysroot) < 0)
		return;
	f = fopen(path, "re");
	while (f && getline(&line, &cap, f) > 0) {
		struct mount *list;

		if (line_take(line, &m) < 0)
			continue;
		list = reallocarray(ret_mounts->list, ret_mounts->count + 1, sizeof *list);
		if (!list) {
			mount_clear(&m);
			return;
		}
		ret_mounts->list = list;
		list[ret_mounts->count++] = m;
	}
}

void mounts_clear(struct mounts *mounts)
{
	for (size_t i = 0; i < mounts->count; i++)
		mount_clear(&mounts->list[i]);
	free(mounts->list);
	*mounts = (struct mounts){ 0 };
}

const struct mount *mounts_at(const struct mounts *mounts, const char *target)
{
	for (size_t i = mounts->count; i-- > 0;)
		if (strcmp(mounts->list[i].target, target) == 0)
			return &mounts->list[i];
	return NULL;
}

const struct mount *mounts_holding(const struct mounts *mounts, const char *path)
{
	_cleanup_free_ char *dir = *path == '/' ? strdup(path) : NULL;

	while (dir) {
		const struct mount *m = mounts_at(mounts, *dir ? dir : "/");

		if (m || !*dir)
			return m;
		*strrchr(dir, '/') = 0;
	}
	return NULL;
}
