/* SPDX-License-Identifier: MIT */
#include "preflight_check.h"
#include "io.h"

#include <errno.h>
#include <string.h>

#define FACT_MAX (16 * 1024 * 1024)	/* for the cpuinfo of a large machine; a kernel
					 * configuration has 300 KiB */

static char *fact_path(const struct preflight_context *ctx, const char *path)
{
	char *full;

	return asprintf(&full, "%s%s", ctx->input->sysroot, path) < 0 ? NULL : full;
}

char *fact_read(const struct preflight_context *ctx, const char *path)
{
	_cleanup_free_ char *full = fact_path(ctx, path);
	uint8_t *text;
	size_t len;

	if (!full || read_file(full, FACT_MAX, &text, &len) < 0)
		return NULL;
	if (len > 0 && text[len - 1] == '\n')
		text[len - 1] = 0;
	return (char *)text;
}

bool fact_number(const struct preflight_context *ctx, const char *path, long *ret_number)
{
	_cleanup_free_ char *text = fact_read(ctx, path);
	char *end;
	long n;

	if (!text)
		return false;
	errno = 0;
	n = strtol(text, &end, 10);
	if (errno || end == text || *end)
		return false;
	*ret_number = n;
	return true;
}

bool fact_exists(const struct preflight_context *ctx, const char *path)
{
	_cleanup_free_ char *full = fact_path(ctx, path);

	return full && access(full, F_OK) == 0;
}

/* True if the text has the line "NAME=y". */
static bool config_has(const char *text, const char *name)
{
	size_t len = strlen(name);

	for (const char *at = text; (at = strstr(at, name)); at += len)
		if ((at == text || at[-1] == '\n') && strncmp(at + len, "=y", 2) == 0 &&
		    (at[len + 2] == '\n' || at[len + 2] == 0))
			return true;
	return false;
}

enum fact_config fact_config(const struct preflight_context *ctx, const char *name)
{
	static const char *const places[] = { "/boot/config-%s", "/lib/modules/%s/config",
					      "/usr/lib/modules/%s/config" };
	_cleanup_free_ char *release = fact_read(ctx, "/proc/sys/kernel/osrelease");

	for (size_t i = 0; release && i < ARRAY_SIZE(places); i++) {
		const char *percent = strstr(places[i], "%s");
		_cleanup_free_ char *path = NULL;
		_cleanup_free_ char *text = NULL;

		if (asprintf(&path, "%.*s%s%s", (int)(percent - places[i]), places[i], release,
			     percent + 2) < 0)
			return FACT_CONFIG_UNKNOWN;
		text = fact_read(ctx, path);
		if (text)
			return config_has(text, name) ? FACT_CONFIG_YES : FACT_CONFIG_NO;
	}
	return FACT_CONFIG_UNKNOWN;
}
