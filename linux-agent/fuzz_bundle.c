/* SPDX-License-Identifier: MIT */
/* libFuzzer: any bytes as a bundle, opened without a keyring so that the manifest
 * and the payloads of an unsigned file are reached too. */
#include "bundle.h"
#include "util.h"

#include <sys/mman.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

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
	for (size_t i = 0; i < bundle_manifest(b)->payload_count; i++) {
		const struct payload *p = &bundle_manifest(b)->payloads[i];
		struct taken taken = { 0 };
		int r = bundle_extract(b, p, take, &taken, NULL, &err);

		if (taken.bytes > p->size || (r == 0 && taken.bytes != p->size))
			abort();
	}
	return 0;
}
