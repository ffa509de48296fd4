/* SPDX-License-Identifier: MIT */
/* The process that unpacks: libzstd, and no right to anything. */
#include "unpack_proto.h"

#include "chunk_decode.h"

void unpack_child(void *unpack, int channel, uint8_t *area)
{
	struct unpack *u = unpack;
	struct unpack_hello hello = { 0 };
	struct unpack_ask ask;
	struct err err = { 0 };
	uint8_t good;

	unpack_place(u, area);
	u->here = chunk_decode_new();
	if (!u->here || cage_enter(CAGE_COMPUTE, hello.lack, &err) < 0)
		hello.exit = EX_SOFTWARE;
	if (!child_tell(channel, &hello, sizeof hello) || hello.exit)
		return;
	while (child_asked(channel, &ask, sizeof ask)) {
		good = unpack_parts(u, &ask, u->out);
		if (!child_tell(channel, &good, sizeof good))
			return;
	}
}
