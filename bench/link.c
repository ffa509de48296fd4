/* SPDX-License-Identifier: MIT */
/*
 * A link between a client and a server, for measuring: link PORT RTT_MS BYTES_A_SECOND [slow-start]
 * listens on a port of its own, which it prints, and hands on to 127.0.0.1:PORT. In each direction
 * every byte is late by half the round trip, and all connections share the rate. As on a real link
 *
 *   - connecting takes a round trip, and what several connections wait for they wait for at once
 *   - a connection has as much in flight as the link holds in a round trip, and 64 KiB; with
 *     slow-start ten segments at first, and then more by what was acknowledged
 *   - what waits for its turn is no more than the link holds in a round trip, and 64 KiB
 *
 * There is no loss. It ends with its parent.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { PIECE = 2896, FIRST_WINDOW = 14480, SLACK = 65536, WAYS = 128 };

struct piece {
	struct piece *next;
	uint64_t due_ns;	/* at the other end; then, of what is acknowledged, back at this one */
	size_t len, sent;
	char data[PIECE];
};

struct queue {
	struct piece *first, **last;
};

/* One direction of a connection; the other one is its neighbour. */
struct way {
	bool used, ended, told;	/* ended: no more comes; told: and the other side knows */
	int from, to;
	struct queue flying, acknowledged;
	size_t in_flight, window;
	uint64_t begin_ns;
};

static struct way ways[WAYS];
static uint64_t free_ns[2];	/* of each direction: when the link is free again */
static uint64_t half_ns, rate;
static size_t holds;		/* bytes on the link in a round trip */
static size_t first_window;

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void push(struct queue *q, struct piece *p)
{
	p->next = NULL;
	*(q->first ? q->last : &q->first) = p;
	q->last = &p->next;
}

static struct piece *pop(struct queue *q)
{
	struct piece *p = q->first;

	q->first = p->next;
	return p;
}

static void way_open(struct way *w, int from, int to, uint64_t begin_ns)
{
	*w = (struct way){ .used = true, .from = from, .to = to, .window = first_window,
			   .begin_ns = begin_ns };
}

static void connection_open(int client, int port)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

	for (int i = 0; i < WAYS; i += 2) {
		if (ways[i].used || ways[i + 1].used)
			continue;
		if (connect(server, (struct sockaddr *)&to, sizeof to) < 0)
			break;
		(void)setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
		(void)setsockopt(server, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
		way_open(&ways[i], client, server, now_ns() + 2 * half_ns);
		way_open(&ways[i + 1], server, client, 0);
		return;
	}
	close(client);
	close(server);
}

static void queue_clear(struct queue *q)
{
	while (q->first)
		free(pop(q));
}

static void connection_close(int i)
{
	close(ways[i].from);
	close(ways[i].to);
	for (int k = i; k < i + 2; k++) {
		queue_clear(&ways[k].flying);
		queue_clear(&ways[k].acknowledged);
		ways[k].used = false;
	}
}

static bool may_read(int i, uint64_t now)
{
	const struct way *w = &ways[i];
	uint64_t waits = free_ns[i & 1] > now ? free_ns[i & 1] - now : 0;

	return w->used && !w->ended && now >= w->begin_ns && w->in_flight < w->window &&
	       waits / 1000 * rate / 1000000 < holds + SLACK;
}

static void way_read(int i, uint64_t now)
{
	struct way *w = &ways[i];
	struct piece *p = calloc(1, sizeof *p);
	size_t room = w->window - w->in_flight;
	ssize_t n = recv(w->from, p->data, room < PIECE ? room : PIECE, MSG_DONTWAIT);

	if (n <= 0) {
		w->ended = n == 0 || errno != EAGAIN;
		free(p);
		return;
	}
	p->len = (size_t)n;
	free_ns[i & 1] = (free_ns[i & 1] > now ? free_ns[i & 1] : now) + p->len * 1000000000 / rate;
	p->due_ns = free_ns[i & 1] + half_ns;
	w->in_flight += p->len;
	push(&w->flying, p);
}

/* false: the other side is gone. */
static bool way_go_on(struct way *w, uint64_t now)
{
	while (w->flying.first && w->flying.first->due_ns <= now) {
		struct piece *p = w->flying.first;
		ssize_t n = send(w->to, p->data + p->sent, p->len - p->sent, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno != EAGAIN)
			return false;
		p->sent += n > 0 ? (size_t)n : 0;
		if (p->sent < p->len)
			break;
		p = pop(&w->flying);
		p->due_ns = now + half_ns;
		push(&w->acknowledged, p);
	}
	while (w->acknowledged.first && w->acknowledged.first->due_ns <= now) {
		struct piece *p = pop(&w->acknowledged);

		w->in_flight -= p->len;
		w->window += w->window < holds + SLACK ? p->len : 0;
		free(p);
	}
	if (w->ended && !w->told && !w->flying.first)
		w->told = shutdown(w->to, SHUT_WR) == 0 || true;
	return true;
}

static void earlier(uint64_t *wake, uint64_t at)
{
	if (at < *wake)
		*wake = at;
}

static uint64_t next_event(uint64_t now)
{
	uint64_t wake = now + 1000000000;

	for (int i = 0; i < WAYS; i++) {
		const struct way *w = &ways[i];

		if (!w->used)
			continue;
		if (w->flying.first)
			earlier(&wake, w->flying.first->due_ns > now ? w->flying.first->due_ns : now + 1000000);
		if (w->acknowledged.first)
			earlier(&wake, w->acknowledged.first->due_ns);
		if (!w->ended && w->begin_ns > now)
			earlier(&wake, w->begin_ns);
		if (!w->ended && free_ns[i & 1] > now)
			earlier(&wake, now + (free_ns[i & 1] - now) / 2 + 50000);
	}
	return wake > now ? wake - now : 0;
}

static void turn(int listening, int port)
{
	static int begin;
	struct pollfd fds[WAYS + 1] = { { .fd = listening, .events = POLLIN } };
	uint64_t now = now_ns(), left = next_event(now);
	struct timespec wait = { .tv_sec = (time_t)(left / 1000000000), .tv_nsec = (long)(left % 1000000000) };

	for (int i = 0; i < WAYS; i++)
		fds[i + 1] = (struct pollfd){ .fd = may_read(i, now) ? ways[i].from : -1, .events = POLLIN };
	(void)ppoll(fds, WAYS + 1, &wait, NULL);
	now = now_ns();
	if (fds[0].revents)
		connection_open(accept4(listening, NULL, NULL, SOCK_CLOEXEC), port);
	begin = (begin + 2) % WAYS;
	for (int k = 0; k < WAYS; k++) {
		int i = (begin + k) % WAYS;

		if (fds[i + 1].fd >= 0 && fds[i + 1].revents && may_read(i, now))
			way_read(i, now);
	}
	for (int i = 0; i < WAYS; i += 2)
		if (ways[i].used && (!way_go_on(&ways[i], now) || !way_go_on(&ways[i + 1], now) ||
				     (ways[i].told && ways[i + 1].told)))
			connection_close(i);
}

int main(int argc, char **argv)
{
	struct sockaddr_in own = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof own;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (argc < 4 || bind(fd, (struct sockaddr *)&own, len) < 0 || listen(fd, 64) < 0 ||
	    getsockname(fd, (struct sockaddr *)&own, &len) < 0) {
		perror("link PORT RTT_MS BYTES_A_SECOND [slow-start]");
		return 1;
	}
	half_ns = strtoull(argv[2], NULL, 10) * 500000;
	rate = strtoull(argv[3], NULL, 10);
	holds = (size_t)(rate / 1000 * half_ns / 500000);
	first_window = argc > 4 ? FIRST_WINDOW : holds + SLACK;
	printf("%d\n", ntohs(own.sin_port));
	fflush(stdout);
	for (;;)
		turn(fd, atoi(argv[1]));
}
