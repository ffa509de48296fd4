/* SPDX-License-Identifier: MIT */
/* For tests: the whole of an object into a file, as curl -o does. */
#pragma once

#include "fetch.h"
#include "io.h"

/* For a server without ranges, or an object of at most 64 KiB. */
static inline int fetch_to_fd(const char *url, const struct fetch_options *options, int fd,
			      uint64_t *ret_len, struct err *err)
{
	_cleanup_(fetch_closep) struct fetch *f = NULL;
	static uint8_t buf[65536];
	uint64_t done = 0;
	size_t n;

	if (fetch_open(url, options, &f, err) < 0 ||
	    fetch_tail(f, buf, sizeof buf, &n, err) < 0)
		return -1;
	do {
		if (!fetch_has_ranges(f) && fetch_read(f, buf, sizeof buf, &n, err) < 0)
			return -1;
		if (pwrite_full(fd, buf, n, (off_t)done) < 0)
			return err_set(err, EX_IOERR, "failed to keep a body");
		done += n;
	} while (!fetch_has_ranges(f) && n > 0);
	*ret_len = done;
	return 0;
}
