/* SPDX-License-Identifier: MIT */
/*
 * For tests: an HTTP server in a child process. Either it answers its n-th
 * connection with the n-th text of a script, then closes it; or it serves an object
 * from memory with ranges, in one of several wrong ways.
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

/* So far; shared with the child. */
struct testcount {
	volatile unsigned connections, requests, drops, answered, odd;
	volatile unsigned open, most;	/* requests that are being served, and the most there were */
	volatile uint64_t bytes;	/* of bodies */
};

struct testserver {
	pid_t pid;
	int port;
	struct testcount *count;
	char url[64];
};

enum serve {
	SERVE_WELL,
	SERVE_WHOLE,		/* 200 to every range */
	SERVE_CHUNKED,		/* the same, and does not tell the length */
	SERVE_WRONG_RANGE,	/* one byte further on */
	SERVE_LONGER, SERVE_SHORTER,	/* Content-Length is not that of the range */
	SERVE_SWAPPED,		/* another ETag */
	SERVE_OLDER,		/* another Last-Modified, no ETag */
	SERVE_GROWN,		/* one byte more in total */
	SERVE_NO_SUFFIX,	/* 200 to -N */
	SERVE_NO_SUFFIX_CHUNKED,	/* the same, and does not tell the length */
	SERVE_NO_SUFFIX_400, SERVE_NO_SUFFIX_416, SERVE_NO_SUFFIX_501,
	SERVE_NO_TOTAL,		/* 200 to -N, and a star for the size in a Content-Range */
	SERVE_HTML, SERVE_GZIP,	/* 200 to every range, and calls it so */
	SERVE_BARE,		/* 206 without Content-Range */
	SERVE_CUT,		/* closed in the middle of the body */
	SERVE_304, SERVE_404, SERVE_416, SERVE_503,
	SERVE_429,		/* in seven seconds again */
	SERVE_HANG,		/* never */
	SERVE_RESET,		/* the connection, without an answer */
};

struct testobject {
	const uint8_t *data;
	size_t len;
	enum serve how;
	unsigned from;		/* in the from-th request and all after; before: well */
	unsigned until;		/* not in this one and those after; 0: for ever */
	unsigned every;		/* only in each so-many-th request; 0: in all */
	size_t only;		/* only of the range that begins here, and so often; 0: of all */
	unsigned times;
	size_t drop_every;	/* closed after so many bytes of a body; 0: never */
	unsigned drops;		/* so often; 0: for ever */
	bool reset;		/* and not closed, but reset (RST) */
	size_t held;		/* the range that begins here is answered only when so many others */
	unsigned held_for;	/* were; 0: at once */
	bool one_by_one;	/* no connection before the one before it is closed */
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

/* Reads a request; false: the connection was closed. */
static inline bool testserver_request(int fd, char request[4096])
{
	size_t got = 0;
	ssize_t n;

	while (got < 4095 && (n = read(fd, request + got, 4095 - got)) > 0) {
		got += (size_t)n;
		request[got] = 0;
		if (strstr(request, "\r\n\r\n"))
			return true;
	}
	return false;
}

/* false: the other side is gone. */
static inline bool testserver_send(int fd, const void *data, size_t len)
{
	for (size_t done = 0; done < len;) {
		ssize_t n = write(fd, (const uint8_t *)data + done, len - done);

		if (n <= 0)
			return false;
		done += (size_t)n;
	}
	return true;
}

static inline void testserver_answer(int fd, const char *text)
{
	char request[4096] = "";

	(void)testserver_request(fd, request);
	if (strcmp(text, HANG) == 0)
		(void)pause();
	(void)testserver_send(fd, text, strlen(text));
	(void)close(fd);
}

static inline bool testserver_status(int fd, const char *status)
{
	char head[128];
	int n = snprintf(head, sizeof head, "HTTP/1.1 %s\r\nContent-Length: 0\r\n\r\n", status);

	return testserver_send(fd, head, (size_t)n);
}

/* The bytes first to last of the request; false: none are named. */
static inline bool testserver_range(const char *request, size_t len, size_t *first, size_t *last)
{
	const char *p = strstr(request, "\r\nRange: bytes=");
	unsigned long long a, b;

	if (!p)
		return false;
	if (sscanf(p + 15, "%llu-%llu", &a, &b) == 2) {
		*first = (size_t)a;
		*last = b < len ? (size_t)b : len - 1;
		return true;
	}
	if (sscanf(p + 15, "-%llu", &b) != 1)
		return false;
	*first = b < len ? len - (size_t)b : 0;
	*last = len - 1;
	return true;
}

/* Closing it sends a RST then. */
static inline void testserver_reset(int fd)
{
	const struct linger now = { .l_onoff = 1, .l_linger = 0 };

	(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

struct testanswer {
	enum serve how;
	size_t first, last;	/* bytes of the object */
	bool ranged, chunked;
};

static inline bool testserver_is_suffix(const char *request)
{
	return strstr(request, "\r\nRange: bytes=-") != NULL;
}

/* The status line of a request that is not served; NULL: it is. */
static inline const char *testserver_refusal(enum serve how, bool suffix)
{
	switch (how) {
	case SERVE_304: return "304 Not Modified";
	case SERVE_404: return "404 Not Found";
	case SERVE_416: return "416 Range Not Satisfiable";
	case SERVE_503: return "503 Busy";
	case SERVE_429: return "429 Slow down\r\nRetry-After: 7";
	case SERVE_NO_SUFFIX_400: return suffix ? "400 Bad Request" : NULL;
	case SERVE_NO_SUFFIX_416: return suffix ? "416 Range Not Satisfiable" : NULL;
	case SERVE_NO_SUFFIX_501: return suffix ? "501 Not Implemented" : NULL;
	default: return NULL;
	}
}

/* Which bytes, and how they are told. */
static inline struct testanswer testserver_choose(const struct testobject *o, enum serve how,
						  const char *request)
{
	struct testanswer a = { .how = how, .last = o->len - 1 };
	bool suffix = testserver_is_suffix(request);

	a.ranged = testserver_range(request, o->len, &a.first, &a.last);
	a.chunked = how == SERVE_CHUNKED || (how == SERVE_NO_SUFFIX_CHUNKED && suffix);
	if (how == SERVE_WHOLE || how == SERVE_HTML || how == SERVE_GZIP || a.chunked ||
	    ((how == SERVE_NO_SUFFIX || how == SERVE_NO_TOTAL) && suffix)) {
		a.ranged = false;
		a.first = 0;
		a.last = o->len - 1;
	}
	if (how == SERVE_WRONG_RANGE && a.ranged)
		a.first++;
	return a;
}

static inline bool testserver_head(int fd, const struct testobject *o, const struct testanswer *a)
{
	enum serve how = a->how;
	char head[512];
	int n = snprintf(head, sizeof head, "HTTP/1.1 %s\r\n", a->ranged ? "206 Part" : "200 OK");

	if (a->chunked)
		n += snprintf(head + n, sizeof head - (size_t)n, "Connection: close\r\n");
	else
		n += snprintf(head + n, sizeof head - (size_t)n, "Content-Length: %zu\r\n",
			      a->last - a->first + 1 + (how == SERVE_LONGER) - (how == SERVE_SHORTER));
	if (how == SERVE_HTML || how == SERVE_GZIP)
		n += snprintf(head + n, sizeof head - (size_t)n, "Content-%s\r\n",
			      how == SERVE_HTML ? "Type: text/html" : "Encoding: gzip");
	if (a->ranged && how == SERVE_NO_TOTAL)
		n += snprintf(head + n, sizeof head - (size_t)n,
			      "Content-Range: bytes %zu-%zu/" "*\r\n", a->first, a->last);
	else if (a->ranged && how != SERVE_BARE)
		n += snprintf(head + n, sizeof head - (size_t)n,
			      "Content-Range: bytes %zu-%zu/%zu\r\n", a->first, a->last,
			      o->len + (how == SERVE_GROWN));
	if (how == SERVE_OLDER || o->how == SERVE_OLDER)
		n += snprintf(head + n, sizeof head - (size_t)n,
			      "Last-Modified: Mon, 01 Jan 2024 00:00:0%d GMT\r\n\r\n",
			      how == SERVE_OLDER);
	else
		n += snprintf(head + n, sizeof head - (size_t)n, "ETag: \"%s\"\r\n\r\n",
			      how == SERVE_SWAPPED ? "new" : "old");
	return testserver_send(fd, head, (size_t)n);
}

static inline bool testserver_body(int fd, const struct testobject *o, const struct testanswer *a,
				   struct testcount *count)
{
	size_t body = a->last - a->first + 1;

	if (a->how == SERVE_CUT) {
		(void)testserver_send(fd, o->data + a->first, body / 2);
		return false;
	}
	if (o->drop_every && body > o->drop_every && (!o->drops || count->drops < o->drops)) {
		count->drops++;
		count->bytes += o->drop_every;
		(void)testserver_send(fd, o->data + a->first, o->drop_every);
		if (o->reset)
			testserver_reset(fd);
		return false;
	}
	count->bytes += body;
	return testserver_send(fd, o->data + a->first, body) && !a->chunked;
}

/* Serves one request; false: close the connection. */
static inline bool testserver_serve(int fd, const struct testobject *o, struct testcount *count,
				    const char *request)
{
	unsigned number = __atomic_add_fetch(&count->requests, 1, __ATOMIC_SEQ_CST);
	bool apply = number >= o->from && (!o->until || number < o->until) &&
		     (!o->every || number % o->every == 0);
	size_t first = 0, last;
	enum serve how;
	const char *refusal;
	struct testanswer answer;

	(void)testserver_range(request, o->len, &first, &last);
	if (o->only)
		apply = first == o->only && __atomic_fetch_add(&count->odd, 1, __ATOMIC_SEQ_CST) < o->times;
	how = apply ? o->how : SERVE_WELL;
	refusal = testserver_refusal(how, testserver_is_suffix(request));
	answer = testserver_choose(o, how, request);

	if (refusal)
		return testserver_status(fd, refusal);
	if (how == SERVE_RESET)
		return false;
	while (how == SERVE_HANG)
		(void)pause();
	while (answer.first == o->held && count->answered < o->held_for)
		(void)usleep(1000);
	return testserver_head(fd, o, &answer) && testserver_body(fd, o, &answer, count);
}

/* The same, counted. */
static inline bool testserver_serve_counted(int fd, const struct testobject *o,
					    struct testcount *count, const char *request)
{
	unsigned open = __atomic_add_fetch(&count->open, 1, __ATOMIC_SEQ_CST);
	bool good;

	if (open > count->most)
		count->most = open;
	good = testserver_serve(fd, o, count, request);
	(void)__atomic_sub_fetch(&count->open, 1, __ATOMIC_SEQ_CST);
	(void)__atomic_add_fetch(&count->answered, 1, __ATOMIC_SEQ_CST);
	return good;
}

/* In the child: false, and the listening socket. */
static inline bool testserver_fork(struct testserver *s, int *ret_fd)
{
	int fd = testserver_listen(&s->port);

	s->count = mmap(NULL, sizeof *s->count, PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(s->count != MAP_FAILED);
	snprintf(s->url, sizeof s->url, "http://127.0.0.1:%d/b.zip", s->port);
	s->pid = fork();
	assert_true(s->pid >= 0);
	if (s->pid > 0) {
		close(fd);
		return true;
	}
	/* Ends with the test, however that ends. */
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGALRM, SIG_DFL);
	alarm(600);
	*ret_fd = fd;
	return false;
}

static inline int testserver_accept(int fd, struct testcount *count)
{
	int client = accept(fd, NULL, NULL);

	if (client < 0)
		_exit(1);
	++count->connections;
	return client;
}

/* script ends with NULL; connections beyond it are closed without an answer. */
static inline void testserver_start(struct testserver *s, const char *const *script)
{
	int fd;

	if (testserver_fork(s, &fd))
		return;
	for (;;) {
		int client = testserver_accept(fd, s->count);

		if (*script)
			testserver_answer(client, *script++);
		else
			close(client);
	}
}

/* The object is the one of this moment. */
static inline void testserver_start_object(struct testserver *s, const struct testobject *o)
{
	int fd;

	if (testserver_fork(s, &fd))
		return;
	signal(SIGCHLD, SIG_IGN);
	for (;;) {
		int client = testserver_accept(fd, s->count);
		char request[4096] = "";

		/* A client may have several at once. */
		if (!o->one_by_one && fork() > 0) {
			close(client);
			continue;
		}
		if (!o->one_by_one)
			(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		while (testserver_request(client, request) &&
		       testserver_serve_counted(client, o, s->count, request))
			;
		close(client);
		if (!o->one_by_one)
			_exit(0);
	}
}

static inline void testserver_stop(struct testserver *s)
{
	kill(s->pid, SIGKILL);
	waitpid(s->pid, NULL, 0);
	munmap(s->count, sizeof *s->count);
}
