/* SPDX-License-Identifier: MIT */
/*
 * For tests: an HTTP server in a child process that answers its n-th connection
 * with the n-th text of a script, then closes it.
 */
#pragma once

#include "unittest.h"

#include <arpa/inet.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define HANG "hang"	/* never answer */

struct testserver {
	pid_t pid;
	int port;
	volatile unsigned *connections;	/* so far; shared with the child */
	char url[64];
};

/* A listening socket on 127.0.0.1. */
static inline int testserver_listen(int *ret_port)
{
	struct sockaddr_in addr = { .sin_family = AF_INET };
	socklen_t len = sizeof addr;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof addr), 0);
	assert_int_equal(listen(fd, 16), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&addr, &len), 0);
	*ret_port = ntohs(addr.sin_port);
	return fd;
}

static inline void testserver_answer(int fd, const char *text)
{
	char request[4096];
	size_t got = 0;
	ssize_t n;

	while (got < sizeof request - 1 && (n = read(fd, request + got, sizeof request - 1 - got)) > 0) {
		got += (size_t)n;
		request[got] = 0;
		if (strstr(request, "\r\n\r\n"))
			break;
	}
	if (strcmp(text, HANG) == 0)
		(void)pause();
	for (size_t left = strlen(text); left > 0; left -= (size_t)n, text += n) {
		n = write(fd, text, left);
		if (n <= 0)
			break;
	}
	(void)close(fd);
}

/* script ends with NULL; connections beyond it are closed without an answer. */
static inline void testserver_start(struct testserver *s, const char *const *script)
{
	int fd = testserver_listen(&s->port);

	s->connections = mmap(NULL, sizeof *s->connections, PROT_READ | PROT_WRITE,
			      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(s->connections != MAP_FAILED);
	snprintf(s->url, sizeof s->url, "http://127.0.0.1:%d/b.zip", s->port);
	s->pid = fork();
	assert_true(s->pid >= 0);
	if (s->pid > 0) {
		close(fd);
		return;
	}
	/* Ends with the test, however that ends. */
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGALRM, SIG_DFL);
	alarm(20);
	for (;;) {
		int client = accept(fd, NULL, NULL);

		if (client < 0)
			_exit(1);
		++*s->connections;
		if (*script)
			testserver_answer(client, *script++);
		else
			close(client);
	}
}

static inline void testserver_stop(struct testserver *s)
{
	kill(s->pid, SIGKILL);
	waitpid(s->pid, NULL, 0);
	munmap((void *)(uintptr_t)s->connections, sizeof *s->connections);
}
