/* SPDX-License-Identifier: MIT */
#include "systemd.h"

#include "io.h"
#include "out.h"

#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

/* "@NAME" is an abstract socket (unix(7)). */
static void datagram_send(const char *path, const char *text)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	size_t len = strlen(path);
	_cleanup_close_ int fd = -1;

	if (len >= sizeof address.sun_path)
		return;
	memcpy(address.sun_path, path, len);
	if (path[0] == '@')
		address.sun_path[0] = 0;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0)
		(void)sendto(fd, text, strlen(text), MSG_NOSIGNAL, (struct sockaddr *)&address,
			     (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len));
}

/* A one-line field. Its value comes from outside. */
static void field_add(FILE *to, const char *name, const char *value)
{
	char text[1024];

	if (!value)
		return;
	(void)snprintf(text, sizeof text, "%s", value);
	out_clean(text, sizeof text);
	(void)fprintf(to, "%s=%s\n", name, text);
}

void systemd_journal(const char *sysroot, const struct systemd_event *event, const char *fmt, ...)
{
	_cleanup_free_ char *path = NULL, *fields = NULL;
	char message[1024], slot[2] = { event->slot, 0 };
	size_t len;
	va_list ap;
	FILE *to;

	va_start(ap, fmt);
	(void)vsnprintf(message, sizeof message, fmt, ap);
	va_end(ap);
	to = open_memstream(&fields, &len);
	if (!to)
		return;
	field_add(to, "MESSAGE", message);
	field_add(to, "MESSAGE_ID", event->id);
	(void)fprintf(to, "PRIORITY=%d\nSYSLOG_IDENTIFIER=slotctl\n", event->priority);
	field_add(to, "SLOT", slot);
	field_add(to, "VERSION", event->version);
	field_add(to, "REASON", event->reason);
	if (fclose(to) != 0 || asprintf(&path, "%s/run/systemd/journal/socket", sysroot) < 0) {
		path = NULL;
		return;
	}
	datagram_send(path, fields);
}

void systemd_status(const char *text)
{
	const char *path = getenv("NOTIFY_SOCKET");
	char status[600];

	if (!path || !*path)
		return;
	(void)snprintf(status, sizeof status, "STATUS=%s", text);
	out_clean(status, sizeof status);
	datagram_send(path, status);
}
