/* SPDX-License-Identifier: MIT */
/* The gate process. Its requests come from a process that may have been compromised. */
#include "gate_proto.h"

#include "clock.h"
#include "io.h"

#include <errno.h>
#include <netdb.h>
#include <string.h>
#include <strings.h>

enum { ROWS = 16, KEEP_MS = 60000 };

struct row {
	struct gate_name name;
	int64_t until_ms;
	uint32_t count;
	union gate_address addresses[GATE_ADDRESSES_MAX];
};

struct state {
	const struct gate_rules *rules;
	struct row rows[ROWS];
	size_t next;		/* the row to replace next: the oldest */
	bool near_allowed;	/* the URL's or the proxy's name has an address of this machine or
				 * link */
};

socklen_t gate_address_len(const union gate_address *address)
{
	switch (address->any.sa_family) {
	case AF_INET:
		return sizeof address->in;
	case AF_INET6:
		return sizeof address->in6;
	default:
		return 0;
	}
}

static bool is_same_name(const struct gate_name *a, const struct gate_name *b)
{
	return a->port == b->port && strcasecmp(a->host, b->host) == 0;
}

static bool is_own(const struct state *s, const struct gate_name *name)
{
	for (size_t i = 0; i < s->rules->own_count; i++)
		if (is_same_name(&s->rules->own[i], name))
			return true;
	return false;
}

static bool is_near_4(const uint8_t *ip)
{
	return ip[0] == 0 || ip[0] == 127 || (ip[0] == 169 && ip[1] == 254);
}

/* True for addresses of this machine or its link: cloud metadata services there hand out
 * secrets. */
static bool is_near(const union gate_address *a)
{
	const struct in6_addr *ip = &a->in6.sin6_addr;

	if (a->any.sa_family == AF_INET)
		return is_near_4((const uint8_t *)&a->in.sin_addr);
	if (IN6_IS_ADDR_V4MAPPED(ip) || IN6_IS_ADDR_V4COMPAT(ip))
		return is_near_4(ip->s6_addr + 12);
	return IN6_IS_ADDR_LOOPBACK(ip) || IN6_IS_ADDR_UNSPECIFIED(ip) || IN6_IS_ADDR_LINKLOCAL(ip);
}

static bool is_same_address(const union gate_address *a, const union gate_address *b)
{
	if (a->any.sa_family != b->any.sa_family)
		return false;
	if (a->any.sa_family == AF_INET)
		return a->in.sin_port == b->in.sin_port &&
		       a->in.sin_addr.s_addr == b->in.sin_addr.s_addr;
	return a->in6.sin6_port == b->in6.sin6_port &&
	       a->in6.sin6_scope_id == b->in6.sin6_scope_id &&
	       IN6_ARE_ADDR_EQUAL(&a->in6.sin6_addr, &b->in6.sin6_addr);
}

static bool is_known(const struct state *s, const union gate_address *address)
{
	for (size_t i = 0; i < ROWS; i++)
		for (size_t k = 0; k < s->rows[i].count; k++)
			if (is_same_address(&s->rows[i].addresses[k], address))
				return true;
	return false;
}

static void addresses_take(struct state *s, const struct addrinfo *list, bool own, struct row *row)
{
	for (; list && row->count < GATE_ADDRESSES_MAX; list = list->ai_next) {
		union gate_address *a = &row->addresses[row->count];

		if (list->ai_addrlen > sizeof *a)
			continue;
		*a = (union gate_address){ 0 };
		memcpy(a, list->ai_addr, list->ai_addrlen);
		if (gate_address_len(a) == 0 || (is_near(a) && !own && !s->near_allowed))
			continue;
		s->near_allowed |= is_near(a);
		row->count++;
	}
}

/* Returns 0 or an errno. */
static int look_up(struct state *s, const struct gate_name *name, bool own, struct row *row)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
	struct addrinfo *list = NULL;
	char port[8];

	(void)snprintf(port, sizeof port, "%u", name->port);
	if (getaddrinfo(name->host, port, &hints, &list) != 0)
		return ENOENT;
	*row = (struct row){ .name = *name, .until_ms = clock_ms(CLOCK_MONOTONIC) + KEEP_MS };
	addresses_take(s, list, own, row);
	freeaddrinfo(list);
	return row->count > 0 ? 0 : EACCES;
}

static struct row *row_find(struct state *s, const struct gate_name *name)
{
	int64_t now = clock_ms(CLOCK_MONOTONIC);

	for (size_t i = 0; i < ROWS; i++)
		if (s->rows[i].count > 0 && now < s->rows[i].until_ms &&
		    is_same_name(&s->rows[i].name, name))
			return &s->rows[i];
	return NULL;
}

static void resolve(struct state *s, struct gate_name *name, struct gate_answer *answer)
{
	struct row *row;
	bool own;

	name->host[sizeof name->host - 1] = 0;
	own = is_own(s, name);
	row = row_find(s, name);
	if (!own && !s->rules->elsewhere)
		answer->error = EACCES;
	else if (!row) {
		row = &s->rows[s->next];
		s->next = (s->next + 1) % ROWS;
		*row = (struct row){ 0 };
		answer->error = name->port > 0 && name->port <= 65535 ? look_up(s, name, own, row)
								      : EINVAL;
	}
	if (answer->error)
		return;
	answer->count = row->count;
	memcpy(answer->addresses, row->addresses, sizeof row->addresses);
}

/* Returns a connecting socket, or -1 with *ret_error. */
static int connecting(const struct state *s, const union gate_address *address, int32_t *ret_error)
{
	int fd = -1;

	*ret_error = EACCES;
	if (gate_address_len(address) == 0 || !is_known(s, address))
		return -1;
	fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
	*ret_error = 0;
	if (fd >= 0 && (connect(fd, &address->any, gate_address_len(address)) == 0 ||
			errno == EINPROGRESS))
		return fd;
	*ret_error = errno;
	if (fd >= 0)
		(void)close(fd);
	return -1;
}

static bool answer_send(int channel, struct gate_answer *answer, int fd)
{
	union { struct cmsghdr align; char bytes[CMSG_SPACE(sizeof fd)]; } control = { 0 };
	struct iovec iov = { answer, sizeof *answer };
	struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *head;

	if (fd >= 0) {
		message.msg_control = &control;
		message.msg_controllen = sizeof control;
		head = CMSG_FIRSTHDR(&message);
		head->cmsg_level = SOL_SOCKET;
		head->cmsg_type = SCM_RIGHTS;
		head->cmsg_len = CMSG_LEN(sizeof fd);
		memcpy(CMSG_DATA(head), &fd, sizeof fd);
	}
	return sendmsg(channel, &message, MSG_NOSIGNAL) == (ssize_t)sizeof *answer;
}

void gate_serve(int channel, const struct gate_rules *rules)
{
	static struct state state;
	struct gate_ask ask;
	bool goes_on = true;

	state = (struct state){ .rules = rules };
	while (goes_on && child_asked(channel, &ask, sizeof ask)) {
		struct gate_answer answer = { .serial = ask.serial };
		int fd = -1;

		if (ask.kind == GATE_RESOLVE)
			resolve(&state, &ask.name, &answer);
		else if (ask.kind == GATE_CONNECT)
			fd = connecting(&state, &ask.address, &answer.error);
		else
			return;
		goes_on = answer_send(channel, &answer, fd);
		if (fd >= 0)
			(void)close(fd);
	}
}
