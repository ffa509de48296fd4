/* SPDX-License-Identifier: MIT */
/* The unpacking process: libzstd, without any rights. */
#include "unpack_proto.h"

#include "chunk_decode.h"

void unpack_child(void *unpack, int channel, uint8_t *area)
{
	struct unpack *u = unpack;
	struct unpack_ask ask;
	uint8_t good;

	unpack_place(u, area);
	u->here = chunk_decode_new();
	if (!u->here || !child_enter(channel, CAGE_COMPUTE))
		return;
	while (child_asked(channel, &ask, sizeof ask)) {
		good = unpack_parts(u, &ask, u->out);
		if (!child_tell(channel, &good, sizeof good))
			return;
	}
}
