/* SPDX-License-Identifier: MIT */
/* libFuzzer: any bytes as a bundle, opened without a keyring so that the manifest
 * and the payloads of an unsigned file are reached too. */
#include "fuzz.h"

#include "bundle.h"
#include "io.h"

#include <string.h>
#include <sys/mman.h>

struct taken {
	uint64_t bytes;
};

static int take(void *ctx, const uint8_t *data, size_t len, struct err *err)
{
	struct taken *taken = ctx;

	(void)data, (void)err;
	taken->bytes += len;
	return 0;
}

static bool payload_read(struct bundle *b, const struct payload *p)
{
	struct taken taken = { 0 };
	struct err err = { 0 };
	int r = bundle_extract(b, p, take, &taken, NULL, &err);

	if (taken.bytes > p->size || (r == 0 && taken.bytes != p->size))
		abort();
	return r == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct bundle_options unchecked;
	_cleanup_close_ int fd = memfd_create("bundle", MFD_CLOEXEC);
	_cleanup_(bundle_closep) struct bundle *b = NULL;
	struct err err = { 0 };
	char path[64];

	if (fd < 0 || pwrite_full(fd, data, size, 0) < 0)
		abort();
	(void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	if (bundle_open(path, &unchecked, &b, &err) < 0)
		return 0;
	fuzz_taken = true;
	for (size_t i = 0; i < bundle_manifest(b)->payload_count; i++)
		if (!payload_read(b, &bundle_manifest(b)->payloads[i]))
			fuzz_taken = false;
	return 0;
}
