/* SPDX-License-Identifier: MIT */
/*
 * A process of our own that does what must not be done here: it is forked (not executed),
 * keeps nothing open but its channel, and gets bytes back through memory that both share.
 * It gives its rights up itself (cage.h). What it says is a stranger's word.
 *
 * The channel carries whole messages (SOCK_SEQPACKET), the memory is for as many bytes as
 * asked for: it cannot be cut short, as a file could. Fork before there are threads.
 */
#pragma once

#include "cage.h"
#include "err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct child {
	pid_t pid;		/* 0: there is none */
	int channel;
	uint8_t *area;		/* shared; NULL: none */
	size_t area_bytes;
	int status;		/* of waitpid(2), once it has ended */
};

struct child_job {
	/* In the child, which ends when it returns. */
	void (*run)(void *ctx, int channel, uint8_t *area);
	void *ctx;
	size_t area_bytes;	/* 0: none */
	int keep;		/* one more descriptor, which is the child's channel + 1 then; -1: none */
};

/* EX_SOFTWARE. child_stop() in every case. */
int child_start(struct child *child, const struct child_job *job, struct err *err);

/* Ends it, wherever it is. */
void child_stop(struct child *child);

enum child_word {
	CHILD_SAID,		/* a message of just that length */
	CHILD_WAITS,		/* none within a tenth of a second */
	CHILD_ENDED,		/* it is not there any more: child->status */
	CHILD_NONSENSE,		/* a message of another length */
};

/* For the parent. */
enum child_word child_hear(struct child *child, void *message, size_t len);

/* The first it says, before it has seen anything of a stranger: false: it did not. */
bool child_greets(struct child *child, void *message, size_t len);

/* How most begin: the child gives up its rights and says what could not be had of the cage;
 * false: it is to end. */
bool child_enter(int channel, enum cage cage);
/* And the parent hears it. EX_SOFTWARE: "failed to start WHAT". */
int child_greeted(struct child *child, const char *what, char ret_lack[static CAGE_LACK_BYTES],
		  struct err *err);

/* For both. false: the other side is gone. */
bool child_tell(int channel, const void *message, size_t len);

/* For the child: false: the parent is gone, or said something else. */
bool child_asked(int channel, void *message, size_t len);

/* "was killed by signal 31 (Bad system call)", "ended with status 1". */
void child_fate(const struct child *child, char *text, size_t room);
