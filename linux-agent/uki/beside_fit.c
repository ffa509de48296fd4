/* SPDX-License-Identifier: MIT */
#include "beside_fit.h"

#include "stub.h"

static const struct payload *confext_find(const struct manifest *manifest)
{
	for (size_t i = 0; i < manifest->payload_count; i++)
		if (manifest->payloads[i].type == PAYLOAD_CONFEXT)
			return &manifest->payloads[i];
	return NULL;
}

int beside_fit_check(const struct manifest *manifest, const struct ukifile *uki,
		     struct err *err)
{
	const struct payload *confext = confext_find(manifest);
	unsigned version;

	if (!confext)
		return 0;
	if (stub_version(uki, &version, err) < 0)
		return -1;
	if (stub_does(version, STUB_CONFEXT))
		return 0;
	return err_set(err, EX_DATAERR, "%s has a stub of systemd %u, which would take the confext %s "
		       "for a sysext: build it with that of systemd 256 or later", uki->name, version,
		       confext->name);
}
