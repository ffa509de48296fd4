/* SPDX-License-Identifier: MIT */
#include "gate_proto.h"

#include "io.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <string.h>

/* The system's resolver gives up earlier than this. */
#define RESOLVE_MS 60000

/* --- starting it -------------------------------------------------------------- */

static void gate_run(void *ctx, int channel, uint8_t *area)
{
	(void)area;
	if (child_enter(channel, CAGE_GATE))
		gate_serve(channel, ctx);
}

int gate_start(const char *url, const struct http_options *options, struct child *gate,
	       char lack[static CAGE_LACK_BYTES], struct err *err)
{
	struct gate_rules rules = { .elsewhere = options->redirects > 0 };
	const struct child_job job = { .run = gate_run, .ctx = &rules, .keep = -1 };

	rules.own_count = gate_names(url, options, rules.own);
	if (child_start(gate, &job, err) < 0)
		return -1;
	return child_greeted(gate, "the process that connects to servers", lack, err);
}

/* --- asking it ------------------------------------------------------------------ */

/* Sets *ret_fd to the descriptor received with the answer, or -1. */
static ssize_t answer_receive(int channel, struct gate_answer *answer, int *ret_fd)
{
	union { struct cmsghdr align; char bytes[CMSG_SPACE(sizeof(int))]; } control = { 0 };
	struct iovec iov = { answer, sizeof *answer };
	struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control,
				  .msg_controllen = sizeof control };
	ssize_t n = recvmsg(channel, &message, MSG_CMSG_CLOEXEC);
	struct cmsghdr *head = n > 0 ? CMSG_FIRSTHDR(&message) : NULL;

	*ret_fd = -1;
	if (head && head->cmsg_level == SOL_SOCKET && head->cmsg_type == SCM_RIGHTS)
		memcpy(ret_fd, CMSG_DATA(head), sizeof *ret_fd);
	return n;
}

/* Returns 0 or an errno. Drops late answers to earlier requests. */
static int gate_ask(struct gate *g, struct gate_ask *ask, struct gate_answer *answer, int *ret_fd)
{
	struct pollfd channel = { .fd = g->channel, .events = POLLIN };

	ask->serial = ++g->serial;
	if (!child_tell(g->channel, ask, sizeof *ask))
		return EPIPE;
	for (;;) {
		if (poll(&channel, 1, RESOLVE_MS) <= 0)
			return ETIMEDOUT;
		if (answer_receive(g->channel, answer, ret_fd) != (ssize_t)sizeof *answer)
			return EPIPE;
		if (answer->serial == ask->serial)
			return answer->count <= GATE_ADDRESSES_MAX ? answer->error : EPROTO;
		if (*ret_fd >= 0)
			(void)close(*ret_fd);
	}
}

static void address_append(const union gate_address *a, char *text, size_t room)
{
	char ip[INET6_ADDRSTRLEN];
	size_t used = strlen(text);
	bool is_6 = a->any.sa_family == AF_INET6;
	const void *bytes = is_6 ? (const void *)&a->in6.sin6_addr : (const void *)&a->in.sin_addr;

	if (inet_ntop(a->any.sa_family, bytes, ip, sizeof ip))
		(void)snprintf(text + used, room - used, is_6 ? "%s[%s]" : "%s%s",
			       text[used - 1] == ':' ? "" : ",", ip);
}

/* Adds "HOST:PORT:ADDRESS,ADDRESS", the format of CURLOPT_RESOLVE. */
static int name_resolve(struct gate *g, const struct gate_name *name, struct curl_slist **names)
{
	struct gate_ask ask = { .kind = GATE_RESOLVE, .name = *name };
	struct gate_answer answer;
	struct curl_slist *longer;
	char text[GATE_NAME_BYTES + 8 + GATE_ADDRESSES_MAX * (INET6_ADDRSTRLEN + 3)];
	int fd = -1, error = gate_ask(g, &ask, &answer, &fd);

	if (fd >= 0)
		(void)close(fd);
	/* An IPv6 address literal needs no entry. */
	if (error || strchr(name->host, ':'))
		return error;
	(void)snprintf(text, sizeof text, "%s:%u:", name->host, name->port);
	for (size_t i = 0; i < answer.count; i++)
		address_append(&answer.addresses[i], text, sizeof text);
	longer = curl_slist_append(*names, text);
	if (!longer)
		return ENOMEM;
	*names = longer;
	return 0;
}

CURLcode gate_lead(struct gate *gate, CURL *easy, const char *url, const struct http_options *options,
		   struct curl_slist **resolved, char text[static CURL_ERROR_SIZE])
{
	struct gate_name names[2];
	size_t count = gate_names(url, options, names);

	curl_slist_free_all(*resolved);
	*resolved = NULL;
	for (size_t i = 0; i < count; i++) {
		int error = name_resolve(gate, &names[i], resolved);

		if (error == EPIPE) {
			(void)snprintf(text, CURL_ERROR_SIZE, "the process that connects to servers is "
				       "not there any more");
			return CURLE_FAILED_INIT;
		}
		if (!error || !names[i].wanted)
			continue;
		(void)snprintf(text, CURL_ERROR_SIZE, "Could not resolve %s: %.160s%s",
			       names[i].proxy ? "proxy" : "host", names[i].host,
			       error == EACCES ? " (the sandbox does not allow it)" : "");
		return names[i].proxy ? CURLE_COULDNT_RESOLVE_PROXY : CURLE_COULDNT_RESOLVE_HOST;
	}
	return curl_easy_setopt(easy, CURLOPT_RESOLVE, *resolved);
}

static curl_socket_t socket_open(void *ctx, curlsocktype purpose, struct curl_sockaddr *address)
{
	struct gate_ask ask = { .kind = GATE_CONNECT };
	struct gate_answer answer;
	int fd = -1, error;

	(void)purpose;
	if (address->addrlen > sizeof ask.address)
		return CURL_SOCKET_BAD;
	memcpy(&ask.address, &address->addr, address->addrlen);
	error = gate_ask(ctx, &ask, &answer, &fd);
	if (!error && fd >= 0)
		return fd;
	if (fd >= 0)
		(void)close(fd);
	errno = error;
	return CURL_SOCKET_BAD;
}

CURLcode gate_take(struct gate *gate, CURL *easy)
{
	CURLcode code = curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, socket_open);

	return code == CURLE_OK ? curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, gate) : code;
}
