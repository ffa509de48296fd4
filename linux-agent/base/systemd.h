/* SPDX-License-Identifier: MIT */
/*
 * What the journal and the service manager are told, each by one datagram: events with a
 * MESSAGE_ID and fields, in the journal's native protocol, and STATUS= of sd_notify(3).
 * Nothing here fails: where nobody listens, nobody is told. Not through libsystemd: its
 * journal is always the host's, and a dry run has a sysroot.
 */
#pragma once

/* Fixed for good: journalctl MESSAGE_ID=... and scripts go by them (slotctl(8)). */
#define EVENT_INSTALLED "320177a9b4c849d5bb7fec39bca325dc"
#define EVENT_CONFIRMED "d5e9452640fa4704bba3a9f9cc599f71"
#define EVENT_FELL_BACK "51961d9d36684e37a0721cfcf918df05"
#define EVENT_UNHEALTHY "fd991da35ee940d4b4e6f6ba792b7b8b"

struct systemd_event {
	const char *id;		/* EVENT_... */
	int priority;		/* of syslog(3) */
	char slot;		/* 'a' or 'b' */
	const char *version;	/* NULL: unknown */
	const char *reason;	/* NULL: there is none */
};

/* sysroot is the configuration's. The message is one line, filtered (out_clean()). */
void systemd_journal(const char *sysroot, const struct systemd_event *event, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Tells the service manager that started this program how it gets on; text is filtered. */
void systemd_status(const char *text);
