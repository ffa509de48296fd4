/* SPDX-License-Identifier: MIT */
/* The messages between gate.c and gate_child.c; no other file includes this. */
#pragma once

#include "gate.h"

#include <netinet/in.h>
#include <sys/socket.h>

#define GATE_ADDRESSES_MAX 16

union gate_address {
	struct sockaddr any;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
};

enum gate_kind { GATE_RESOLVE = 1, GATE_CONNECT };

struct gate_ask {
	uint32_t kind, serial;
	struct gate_name name;		/* for GATE_RESOLVE */
	union gate_address address;	/* for GATE_CONNECT */
};

struct gate_answer {
	uint32_t serial;
	int32_t error;		/* an errno; after a connect, 0 comes with a descriptor */
	uint32_t count;
	union gate_address addresses[GATE_ADDRESSES_MAX];
};

socklen_t gate_address_len(const union gate_address *address);

struct gate_rules {
	struct gate_name own[2];
	size_t own_count;
	bool elsewhere;		/* resolve other names, too */
};

/* Serves until the channel is closed. */
void gate_serve(int channel, const struct gate_rules *rules);
