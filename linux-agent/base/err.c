/* SPDX-License-Identifier: MIT */
#include "err.h"

#include "out.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int (err_set)(struct err *err, int exit, const char *fmt, ...)
{
	va_list ap;

	if (!err)
		return -1;
	err->exit = exit;
	va_start(ap, fmt);
	(void)vsnprintf(err->text, sizeof err->text, fmt, ap);
	va_end(ap);
	out_clean(err->text, sizeof err->text);
	return -1;
}

static int exit_from_errno(int exit, int errno_value)
{
	switch (errno_value) {
	case EACCES:
	case EPERM:
		return EX_NOPERM;
	case ENOMEM:
		return EX_SOFTWARE;
	default:
		return exit;
	}
}

int (err_errno)(struct err *err, int exit, int errno_value, const char *fmt, ...)
{
	va_list ap;
	size_t used;

	if (!err)
		return -1;
	err->exit = exit_from_errno(exit, errno_value);
	va_start(ap, fmt);
	(void)vsnprintf(err->text, sizeof err->text, fmt, ap);
	va_end(ap);
	used = strlen(err->text);
	(void)snprintf(err->text + used, sizeof err->text - used, ": %s",
		       strerror(errno_value));
	out_clean(err->text, sizeof err->text);
	return -1;
}

int (err_prefix)(struct err *err, const char *fmt, ...)
{
	char old[sizeof err->text];
	va_list ap;
	size_t used;

	if (!err)
		return -1;
	memcpy(old, err->text, sizeof old);
	va_start(ap, fmt);
	(void)vsnprintf(err->text, sizeof err->text, fmt, ap);
	va_end(ap);
	used = strlen(err->text);
	(void)snprintf(err->text + used, sizeof err->text - used, ": %s", old);
	out_clean(err->text, sizeof err->text);
	return -1;
}
