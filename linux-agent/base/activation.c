/* SPDX-License-Identifier: MIT */
#include "activation.h"

#include "io.h"

#include <string.h>

int activate_parse(const char *text, enum activate *ret_activate, struct err *err)
{
	static const char *const names[] = { "none", "reboot", "kexec" };

	for (size_t i = 0; text && i < ARRAY_SIZE(names); i++)
		if (strcmp(text, names[i]) == 0) {
			*ret_activate = (enum activate)i;
			return 0;
		}
	if (text)
		return err_set(err, EX_USAGE, "--activate=%s: must be none, reboot or kexec", text);
	return err_set(err, EX_USAGE, "--activate=none, reboot or kexec must be given: say what "
		       "is to happen when the image is in place");
}
