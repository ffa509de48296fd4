/* SPDX-License-Identifier: MIT */
/* A compromised fetching process: it runs in the real cage, and sends the parent and the gate
 * whatever it likes. */
#include "gate_proto.h"
#include "remote_proto.h"

#include "io.h"
#include "testcage.h"
#include "testserver.h"

#include <errno.h>
#include <poll.h>

enum way {
	TOO_MUCH, OTHER_WORD, READY_AGAIN, HALF_A_MESSAGE, TWO_MESSAGES, NOTHING_IN_IT, NO_STATUS,
	ODD_STATUS, NO_TEXT, NO_SIZE, LESS_THAN_A_PART, RETRIES, ENDS, DIES, HANGS, ESCAPES, WELL,
};

static enum way way;
static volatile int cancel;

static void answer_spoil(enum way how, struct remote_answer *a, const struct remote_ask *ask)
{
	switch (how) {
	case TOO_MUCH: a->got = ask->want + 1; break;
	case OTHER_WORD: a->word = 99; break;
	case READY_AGAIN: a->word = REMOTE_READY; break;
	case NO_STATUS: a->word = REMOTE_FAILED; break;
	case ODD_STATUS: a->word = REMOTE_FAILED; a->exit = 200; strcpy(a->text, "x"); break;
	case NO_TEXT: a->word = REMOTE_FAILED; a->exit = EX_IOERR; break;
	case NO_SIZE: a->size = UINT64_MAX; break;
	case LESS_THAN_A_PART: a->size = a->got - 1; break;
	case RETRIES: a->word = REMOTE_RETRYING; break;
	case ESCAPES:
		a->word = REMOTE_FAILED;
		a->exit = EX_UNAVAILABLE;
		memset(a->text, '\33', sizeof a->text);
		break;
	default: break;
	}
}

static void answer(int channel, enum way how, struct remote_answer *a)
{
	char two[2 * sizeof *a];

	if (how == HALF_A_MESSAGE) {
		(void)child_tell(channel, a, sizeof *a / 2);
	} else if (how == TWO_MESSAGES) {
		memset(two, 0, sizeof two);
		(void)child_tell(channel, two, sizeof two);
	} else if (how == NOTHING_IN_IT) {
		(void)!send(channel, a, 0, 0);
	} else if (how != HANGS) {
		while (child_tell(channel, a, sizeof *a) && how == RETRIES)
			;
	}
}

static void taken_over(void *job, int channel, uint8_t *area)
{
	struct remote_answer ready = { .word = REMOTE_READY };
	struct remote_ask ask;
	struct err err = { 0 };

	(void)job;
	if (cage_enter(CAGE_FETCH, ready.text, &err) < 0 || !child_tell(channel, &ready, sizeof ready))
		return;
	while (child_asked(channel, &ask, sizeof ask)) {
		struct remote_answer a = { .word = REMOTE_DONE, .has_ranges = 1, .got = ask.want,
					   .size = 1 << 20 };

		memset(area, 'a', ask.want);
		if (way == ENDS)
			_exit(3);
		if (way == DIES)
			__builtin_trap();
		answer_spoil(way, &a, &ask);
		answer(channel, way, &a);
	}
}

static struct remote *open_way(enum way how, unsigned deadline_s)
{
	const struct fetch_options options = { .deadline_s = deadline_s, .cancel = &cancel,
					       .sandbox = SANDBOX_REQUIRE };
	struct remote *r = NULL;
	struct err err = { 0 };

	way = how;
	cancel = 0;
	if (remote_open_child("http://192.0.2.1/b.zip", &options, taken_over, &r, &err) < 0)
		fail_msg("%s", err.text);
	return r;
}

static void expect_failure(struct remote *r, int exit, const char *why)
{
	struct err err = { 0 };
	uint8_t buf[4096];
	size_t got = 0;

	assert_int_equal(remote_read(r, buf, sizeof buf, &got, &err), -1);
	if (err.exit != exit || !strstr(err.text, why))
		fail_msg("expected \"%s\", got exit %d: %s", why, err.exit, err.text);
}

static const struct {
	enum way way;
	int exit;
	const char *why;
} lies[] = {
	{ TOO_MUCH, EX_SOFTWARE, "said something else than was asked" },
	{ OTHER_WORD, EX_SOFTWARE, "said something else than was asked" },
	{ READY_AGAIN, EX_SOFTWARE, "said something else than was asked" },
	{ HALF_A_MESSAGE, EX_SOFTWARE, "said something else than was asked" },
	{ TWO_MESSAGES, EX_SOFTWARE, "said something else than was asked" },
	{ NOTHING_IN_IT, EX_SOFTWARE, "was killed by signal 9" },
	{ NO_STATUS, EX_SOFTWARE, "said something else than was asked" },
	{ ODD_STATUS, EX_SOFTWARE, "said something else than was asked" },
	{ NO_TEXT, EX_SOFTWARE, "said something else than was asked" },
	{ NO_SIZE, EX_SOFTWARE, "said something else than was asked" },
	{ LESS_THAN_A_PART, EX_SOFTWARE, "said something else than was asked" },
	{ RETRIES, EX_SOFTWARE, "said something else than was asked" },
	{ ENDS, EX_SOFTWARE, "the process that reads from the server ended with status 3" },
	{ DIES, EX_SOFTWARE, "the process that reads from the server was killed by signal" },
};

static void nonsense_ends_it_and_is_told(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lies); i++) {
		struct remote *r = open_way(lies[i].way, 60);

		expect_failure(r, lies[i].exit, lies[i].why);
		expect_failure(r, EX_SOFTWARE, "the process that reads from the server was ended");
		remote_close(r);
	}
}

static void its_words_do_nothing_to_the_terminal(void **state)
{
	struct remote *r = open_way(ESCAPES, 60);

	(void)state;
	expect_failure(r, EX_UNAVAILABLE, "????");
	remote_close(r);
}

static void one_that_hangs_is_ended_after_the_deadline(void **state)
{
	struct remote *r = open_way(HANGS, 1);

	(void)state;
	expect_failure(r, EX_UNAVAILABLE, "does not answer");
	remote_close(r);
}

static void one_that_hangs_keeps_nobody_from_cancelling(void **state)
{
	struct remote *r = open_way(HANGS, 3600);

	(void)state;
	cancel = 1;
	expect_failure(r, EX_TEMPFAIL, "cancelled by a signal");
	remote_close(r);
}

/* Overwrites the bytes it has handed over, as fast as it can. */
static void scribble(void *job, int channel, uint8_t *area)
{
	struct remote_answer a = { .word = REMOTE_READY };
	struct remote_ask ask;
	struct err err = { 0 };

	(void)job;
	if (cage_enter(CAGE_FETCH, a.text, &err) < 0 || !child_tell(channel, &a, sizeof a) ||
	    !child_asked(channel, &ask, sizeof ask))
		return;
	a = (struct remote_answer){ .word = REMOTE_DONE, .has_ranges = 1, .got = ask.want, .size = 1 << 20 };
	(void)child_tell(channel, &a, sizeof a);
	for (volatile uint8_t *at = area;; at[0]++)
		at[4095]++;
}

static void what_was_read_does_not_change_afterwards(void **state)
{
	const struct fetch_options options = { .sandbox = SANDBOX_REQUIRE };
	uint8_t buf[4096], copy[4096];
	struct remote *r = NULL;
	struct err err = { 0 };
	size_t got;

	(void)state;
	assert_int_equal(remote_open_child("http://192.0.2.1/b.zip", &options, scribble, &r, &err), 0);
	assert_int_equal(remote_read(r, buf, sizeof buf, &got, &err), 0);
	memcpy(copy, buf, sizeof copy);
	for (int i = 0; i < 1000; i++)
		assert_memory_equal(buf, copy, sizeof copy);
	remote_close(r);
}

/* --- the gate ------------------------------------------------------------------ */

struct wish {
	const char *host;	/* to resolve; NULL: none */
	unsigned port;
	const char *address;	/* to connect to after that */
	unsigned to;
};

static struct wish wish;
static unsigned turn_to;	/* nobody may connect to this port */

/* The descriptor that comes with the answer is the lowest free one. */
static bool answer_take(int gate, struct gate_answer *a)
{
	char control[CMSG_SPACE(sizeof(int))];
	struct iovec iov = { a, sizeof *a };
	struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
				  .msg_controllen = sizeof control };
	struct pollfd channel = { .fd = gate, .events = POLLIN };

	return poll(&channel, 1, -1) == 1 && recvmsg(gate, &message, 0) == sizeof *a;
}

/* text becomes "resolved", "connected", both, or "". */
static void wish_try(int gate, const struct wish *w, char *text, size_t room)
{
	struct gate_ask ask = { .kind = GATE_RESOLVE, .serial = 1, .name.port = w->port };
	struct gate_answer a;

	(void)snprintf(ask.name.host, sizeof ask.name.host, "%s", w->host);
	(void)child_tell(gate, &ask, sizeof ask);
	if (answer_take(gate, &a) && !a.error && a.count > 0)
		(void)snprintf(text, room, "resolved");
	ask.kind = GATE_CONNECT;
	ask.address.in = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons((uint16_t)w->to) };
	(void)inet_pton(AF_INET, w->address, &ask.address.in.sin_addr);
	(void)child_tell(gate, &ask, sizeof ask);
	if (answer_take(gate, &a) && !a.error)
		(void)snprintf(text + strlen(text), room - strlen(text), "connected");
}

/* Tries to connect sockets that it already has to another address. */
static void socket_turn(unsigned port)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	const struct sockaddr nowhere = { .sa_family = AF_UNSPEC };

	for (int fd = 3; fd < 16; fd++) {
		(void)connect(fd, &nowhere, sizeof nowhere);
		(void)connect(fd, (struct sockaddr *)&to, sizeof to);
		(void)sendto(fd, "x", 1, MSG_FASTOPEN | MSG_DONTWAIT | MSG_NOSIGNAL,
			     (struct sockaddr *)&to, sizeof to);
	}
}

static void wishing(void *job, int channel, uint8_t *area)
{
	struct remote_answer a = { .word = REMOTE_READY };
	struct remote_ask ask;
	struct err err = { 0 };

	(void)job, (void)area;
	if (cage_enter(CAGE_FETCH, a.text, &err) < 0 || !child_tell(channel, &a, sizeof a) ||
	    !child_asked(channel, &ask, sizeof ask))
		return;
	a = (struct remote_answer){ .word = REMOTE_FAILED, .exit = EX_UNAVAILABLE, .text = "nothing:" };
	wish_try(channel + 1, &wish, a.text + strlen(a.text), 100);
	socket_turn(turn_to);
	(void)child_tell(channel, &a, sizeof a);
}

static void expect_wish(const char *url, unsigned redirects, const struct wish *w, const char *got)
{
	const struct http_options http = { .redirects = redirects };
	const struct fetch_options options = { .http = &http, .sandbox = SANDBOX_REQUIRE };
	struct remote *r = NULL;
	struct err err = { 0 };
	char text[64];

	wish = *w;
	if (remote_open_child(url, &options, wishing, &r, &err) < 0)
		fail_msg("%s", err.text);
	snprintf(text, sizeof text, "nothing:%s", got);
	err = (struct err){ 0 };
	assert_int_equal(remote_tail(r, text + 63, 1, &(size_t){ 0 }, &err), -1);
	if (strcmp(err.text, text) != 0)
		fail_msg("%s, redirects %u, %s:%u then %s:%u: got \"%s\"", url, redirects, w->host,
			 w->port, w->address, w->to, err.text);
	remote_close(r);
}

static bool somebody_came(int fd)
{
	struct pollfd listening = { .fd = fd, .events = POLLIN };

	return poll(&listening, 1, 0) > 0;
}

static void nobody_is_reached_but_whom_the_url_names(void **state)
{
	int own_port, other_port, own = testserver_listen(&own_port);
	int other = testserver_listen(&other_port);
	unsigned mine = (unsigned)own_port, else_ = (unsigned)other_port;
	char here[64];
	const struct { const char *url; unsigned redirects; struct wish wish; const char *got; } rows[] = {
		{ here, 0, { "127.0.0.1", mine, "127.0.0.1", mine }, "resolvedconnected" },
		{ here, 0, { "127.0.0.1", else_, "127.0.0.1", else_ }, "" },
		{ here, 0, { "localhost", mine, "127.0.0.1", mine }, "" },
		{ here, 0, { "127.0.0.1", mine, "127.0.0.1", else_ }, "resolved" },
		{ here, 8, { "127.0.0.1", mine, "127.0.0.1", else_ }, "resolved" },
		{ "http://192.0.2.1/", 0, { "192.0.2.2", 80, "192.0.2.3", 80 }, "" },
		{ "http://192.0.2.1/", 8, { "192.0.2.2", 80, "192.0.2.3", 80 }, "resolved" },
		/* A server may redirect, but not to this machine or its link. */
		{ "http://192.0.2.1/", 8, { "127.0.0.1", else_, "127.0.0.1", else_ }, "" },
		{ "http://192.0.2.1/", 8, { "localhost", else_, "127.0.0.1", else_ }, "" },
		{ "http://192.0.2.1/", 8, { "0.0.0.0", else_, "0.0.0.0", else_ }, "" },
		{ "http://192.0.2.1/", 8, { "::1", else_, "127.0.0.1", else_ }, "" },
		{ "http://192.0.2.1/", 8, { "::ffff:127.0.0.1", else_, "127.0.0.1", else_ }, "" },
		{ "http://192.0.2.1/", 8, { "169.254.169.254", 80, "169.254.169.254", 80 }, "" },
		{ "http://192.0.2.1/", 8, { "fe80::1", 80, "127.0.0.1", else_ }, "" },
		{ "http://192.0.2.1/", 8, { "/run/socket", 0, "127.0.0.1", else_ }, "" },
		{ "http://192.0.2.1/", 8, { "192.0.2.2", 0, "192.0.2.2", 0 }, "" },
	};

	(void)state;
	turn_to = else_;
	snprintf(here, sizeof here, "http://127.0.0.1:%u/b.zip", mine);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		expect_wish(rows[i].url, rows[i].redirects, &rows[i].wish, rows[i].got);
	assert_true(somebody_came(own));
	assert_false(somebody_came(other));
	close(own);
	close(other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nonsense_ends_it_and_is_told),
		cmocka_unit_test(its_words_do_nothing_to_the_terminal),
		cmocka_unit_test(one_that_hangs_is_ended_after_the_deadline),
		cmocka_unit_test(one_that_hangs_keeps_nobody_from_cancelling),
		cmocka_unit_test(what_was_read_does_not_change_afterwards),
		cmocka_unit_test(nobody_is_reached_but_whom_the_url_names),
	};

	return !testcage_is_there() ? 0 : cmocka_run_group_tests(tests, NULL, NULL);
}
