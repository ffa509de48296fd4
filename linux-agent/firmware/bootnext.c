/* SPDX-License-Identifier: MIT */
#include "bootnext.h"

#include "bytes.h"
#include "io.h"
#include "espentry.h"
#include "loadoption.h"

#include <stdlib.h>
#include <string.h>

/* 1: Boot#### leads to path (with active: and may be started); 0: it does not; -1. */
static int leads_to(const struct vars *vars, const struct esp_info *esp, const char *path,
		    const struct vars_name *name, bool active, struct err *err)
{
	_cleanup_free_ uint8_t *data = NULL;
	size_t len = 0;
	int r = vars_get(vars, VARS_GLOBAL, name->text, &data, &len, NULL, err);

	if (r < 0)
		return -1;
	return r == 0 && espentry_leads(esp, data, len, path) &&
	       (!active || (le32_get(data) & LOADOPTION_ACTIVE));
}

/* Whether that Boot#### leads to path. number < 0: find the first one that does, and is active. 0, and
 * *ret_number is set; 1: there is none. The number may be spelled in either case. */
static int entry_find(const struct vars *vars, const struct esp_info *esp, const char *path,
		      int number, uint16_t *ret_number, struct err *err)
{
	_cleanup_free_ struct vars_name *names = NULL;
	size_t count = 0;

	if (vars_list_boot(vars, &names, &count, err) < 0)
		return -1;
	for (size_t i = 0; i < count; i++) {
		uint16_t n = (uint16_t)strtoul(names[i].text + 4, NULL, 16);
		int r;

		if (number >= 0 && n != number)
			continue;
		r = leads_to(vars, esp, path, &names[i], number < 0, number < 0 ? NULL : err);
		if (r < 0 && number >= 0)
			return -1;
		if (r <= 0)
			continue;
		*ret_number = n;
		return 0;
	}
	return 1;
}

/* The number that the variable begins with; 1: it has none. */
static int number_get(const struct vars *vars, const char *name, uint16_t *ret_number,
		      struct err *err)
{
	_cleanup_free_ uint8_t *data = NULL;
	size_t len = 0;
	int r = vars_get(vars, VARS_GLOBAL, name, &data, &len, NULL, err);

	if (r != 0 || len < 2)
		return r < 0 ? -1 : 1;
	*ret_number = le16_get(data);
	return 0;
}

int bootnext_get(const struct vars *vars, const struct esp_info *esp, const char *path,
		 enum boot_next *ret_next, struct err *err)
{
	uint16_t number = 0;
	int r = number_get(vars, "BootNext", &number, err);

	*ret_next = BOOT_NEXT_NONE;
	if (r != 0)
		return r < 0 ? -1 : 0;
	r = entry_find(vars, esp, path, number, &number, err);
	*ret_next = r == 0 ? BOOT_NEXT_OURS : BOOT_NEXT_OTHER;
	return r < 0 ? -1 : 0;
}

int bootnext_set(const struct vars *vars, const struct esp_info *esp, const char *path,
		 struct err *err)
{
	uint16_t number = 0;
	uint8_t data[2];
	int r = entry_find(vars, esp, path, -1, &number, err);

	if (r != 0)
		return r < 0 ? -1 : err_set(err, EX_IOERR, "failed to set BootNext: there is no active "
					    "boot entry for %s", path);
	le16_put(data, number);
	return vars_set(vars, VARS_GLOBAL, "BootNext", data, sizeof data, VARS_NV_BS_RT, err);
}

int bootnext_clear(const struct vars *vars, const struct esp_info *esp, const char *path,
		   struct err *err)
{
	enum boot_next next;

	if (bootnext_get(vars, esp, path, &next, err) < 0)
		return -1;
	return next == BOOT_NEXT_OURS ? vars_delete(vars, VARS_GLOBAL, "BootNext", err) : 0;
}

int bootnext_leads(const struct vars *vars, const struct esp_info *esp, bool *ret_leads,
		   struct err *err)
{
	uint16_t number = 0;
	int r = number_get(vars, "BootOrder", &number, err);

	*ret_leads = false;
	if (r == 0)
		r = entry_find(vars, esp, BOOTENTRIES_TRIAL_PATH, number, &number, err);
	*ret_leads = r == 0;
	return r < 0 ? -1 : 0;
}
