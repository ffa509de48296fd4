/* SPDX-License-Identifier: MIT */
#include "jump.h"

#include "out.h"
#include "io.h"

#include <errno.h>
#include <linux/reboot.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#define MOUNTINFO_MAX (4 * 1024 * 1024)

static void say(const struct jump_ops *ops, const char *what, const char *name)
{
	char text[512];
	int error = errno;

	(void)snprintf(text, sizeof text, "failed to %s %s: %s; jumping all the same", what, name,
		       strerror(error));
	ops->say(ops->ctx, text);
}

/* In place: "\040" and the like, as the kernel writes blanks in names (proc(5)). */
static void unescape(char *text)
{
	char *out = text;

	for (const char *in = text; *in; out++) {
		if (in[0] == '\\' && in[1] >= '0' && in[1] <= '3' && in[2] >= '0' &&
		    in[2] <= '7' && in[3] >= '0' && in[3] <= '7') {
			*out = (char)((in[1] - '0') << 6 | (in[2] - '0') << 3 | (in[3] - '0'));
			in += 4;
		} else {
			*out = *in++;
		}
	}
	*out = 0;
}

/*
 * One line of mountinfo (proc_pid_mountinfo(5)):
 *     36 35 98:0 /root /where rw,noatime shared:1 - ext4 /dev/sda1 rw,errors=continue
 * The place if the file system is writable and on a block device (btrfs has no number
 * of its own, but a path as its source); NULL otherwise. The line is cut up.
 */
static char *writable_place(char *line)
{
	char *fields[6], *save = NULL, *tail = strstr(line, " - ");
	char *source, *options;
	unsigned major = 0;

	if (!tail)
		return NULL;
	*tail = 0;
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
		if (!(fields[i] = strtok_r(i ? NULL : line, " ", &save)))
			return NULL;
	if (!strtok_r(tail + 3, " ", &save) || !(source = strtok_r(NULL, " ", &save)) ||
	    !(options = strtok_r(NULL, " ", &save)) || sscanf(fields[2], "%u:", &major) != 1)
		return NULL;
	if (strncmp(options, "rw", 2) != 0 || (options[2] && options[2] != ',') ||
	    (major == 0 && strncmp(source, "/dev/", 5) != 0))
		return NULL;
	unescape(fields[4]);
	return fields[4];
}

struct places {
	char *text;		/* of mountinfo; the names lie in it */
	char **names;		/* in the order of mounting */
	bool *done;
	size_t count;
};

static void places_clear(struct places *p)
{
	free(p->text);
	free(p->names);
	free(p->done);
}

static int places_read(const struct jump_ops *ops, struct places *p)
{
	size_t len, lines = 1;
	uint8_t *text;
	char *save = NULL;

	if (read_file(ops->mountinfo, MOUNTINFO_MAX, &text, &len) < 0)
		return -1;
	p->text = (char *)text;
	for (const char *at = p->text; (at = strchr(at, '\n')); at++)
		lines++;
	p->names = calloc(lines, sizeof *p->names);
	p->done = calloc(lines, sizeof *p->done);
	if (!p->names || !p->done)
		return -1;
	for (char *line = strtok_r(p->text, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		char *place = writable_place(line);

		if (place)
			p->names[p->count++] = place;
	}
	return 0;
}

static void read_only(const struct jump_ops *ops, struct places *p)
{
	if (places_read(ops, p) < 0)
		say(ops, "read", ops->mountinfo);
	for (size_t i = p->count; i-- > 0;) {
		p->done[i] = ops->remount(ops->ctx, p->names[i], true) == 0;
		if (!p->done[i])
			say(ops, "remount read-only", p->names[i]);
	}
}

static void writable_again(const struct jump_ops *ops, const struct places *p)
{
	for (size_t i = 0; i < p->count; i++)
		if (p->done[i])
			(void)ops->remount(ops->ctx, p->names[i], false);
}

static void interfaces_down(const struct jump_ops *ops)
{
	char name[IFNAMSIZ];

	for (unsigned i = 0; ops->interface_at(ops->ctx, i, name) == 0; i++)
		if (strcmp(name, "lo") != 0 && ops->interface_down(ops->ctx, name) < 0)
			say(ops, "take down", name);
}

int jump_run(const struct jump_ops *ops, struct err *err)
{
	_cleanup_(places_clear) struct places places = { 0 };

	ops->flush(ops->ctx);
	read_only(ops, &places);
	interfaces_down(ops);
	(void)ops->kexec(ops->ctx);
	(void)err_errno(err, EX_UNAVAILABLE, errno, "failed to jump to the staged kernel");
	writable_again(ops, &places);
	return -1;
}

static void posix_flush(void *ctx)
{
	(void)ctx;
	/* This program, too, may be on a network file system. */
	(void)mlockall(MCL_CURRENT);
	sync();
}

static int posix_remount(void *ctx, const char *where, bool read_only_now)
{
	(void)ctx;
	return mount(NULL, where, NULL, MS_REMOUNT | (read_only_now ? MS_RDONLY : 0UL), NULL);
}

static int posix_interface_at(void *ctx, unsigned index, char ret_name[IFNAMSIZ])
{
	struct if_nameindex *all = if_nameindex();
	int r = -1;

	(void)ctx;
	for (struct if_nameindex *i = all; i && i->if_index; i++)
		if (index-- == 0) {
			(void)snprintf(ret_name, IFNAMSIZ, "%s", i->if_name);
			r = 0;
			break;
		}
	if (all)
		if_freenameindex(all);
	return r;
}

static int posix_interface_down(void *ctx, const char *name)
{
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq req = { 0 };

	(void)ctx;
	(void)snprintf(req.ifr_name, sizeof req.ifr_name, "%s", name);
	if (fd < 0 || ioctl(fd, SIOCGIFFLAGS, &req) < 0)
		return -1;
	req.ifr_flags = (short)(req.ifr_flags & ~IFF_UP);
	return ioctl(fd, SIOCSIFFLAGS, &req);
}

static int posix_kexec(void *ctx)
{
	(void)ctx;
	return (int)syscall(SYS_reboot, LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2,
			    LINUX_REBOOT_CMD_KEXEC, NULL);
}

static void posix_say(void *ctx, const char *text)
{
	(void)ctx;
	out_error("slotctl: warning: %s\n", text);
}

const struct jump_ops jump_posix = {
	.mountinfo = "/proc/self/mountinfo",
	.flush = posix_flush,
	.remount = posix_remount,
	.interface_at = posix_interface_at,
	.interface_down = posix_interface_down,
	.kexec = posix_kexec,
	.say = posix_say,
};
