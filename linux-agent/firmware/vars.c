/* SPDX-License-Identifier: MIT */
#include "vars.h"

#include "io.h"
#include "utf.h"

#include <stdbool.h>
#include <string.h>

static const char *const guid_texts[VARS_GUID_COUNT] = {
	[VARS_SLOTBOOT] = "a44b7925-64fe-4f5f-9e3a-49b0319efd7d",
	[VARS_GLOBAL] = "8be4df61-93ca-11d2-aa0d-00e098032b8c",
	[VARS_LOADER] = "4a67b082-0a4c-41cf-b6c7-440b29bb8c4f",
	[VARS_SECURITY] = "d719b2cb-3d3a-4596-a3bc-dad00e67656f",
	[VARS_SHIM] = "605dab50-e046-4300-abb6-3dd810dd8b23",
};

const char *vars_guid_text(enum vars_guid guid)
{
	return guid_texts[guid];
}

int vars_get(const struct vars *vars, enum vars_guid guid, const char *name,
	     uint8_t **ret_data, size_t *ret_len, uint32_t *ret_attributes, struct err *err)
{
	uint32_t attributes;
	int r = vars->get(vars->ctx, guid, name, ret_data, ret_len, &attributes, err);

	if (r == 0 && ret_attributes)
		*ret_attributes = attributes;
	return r;
}

/* 1: the variable holds exactly this; 0: it differs or does not exist; -1.
 * *ret_attributes: its current attributes or, if it does not exist, the wanted ones. */
static int holds(const struct vars *vars, enum vars_guid guid, const char *name,
		 const uint8_t *data, size_t len, uint32_t attributes,
		 uint32_t *ret_attributes, struct err *err)
{
	_cleanup_free_ uint8_t *now = NULL;
	size_t now_len = 0;
	uint32_t now_attributes = attributes;
	int r = vars_get(vars, guid, name, &now, &now_len, &now_attributes, err);

	if (r < 0)
		return -1;
	*ret_attributes = now_attributes;
	return r == 0 && now_attributes == attributes && now_len == len &&
	       memcmp(now, data, len) == 0;
}

int vars_set(const struct vars *vars, enum vars_guid guid, const char *name,
	     const uint8_t *data, size_t len, uint32_t attributes, struct err *err)
{
	uint32_t found;
	int r;

	if (len == 0)	/* the firmware would take it for a delete */
		return err_set(err, EX_SOFTWARE,
			       "refused to write the EFI variable %s-%s: nothing to write",
			       name, vars_guid_text(guid));
	r = holds(vars, guid, name, data, len, attributes, &found, err);
	if (r != 0)
		return r < 0 ? -1 : 0;
	if (found != attributes)
		return err_set(err, EX_IOERR,
			       "failed to write the EFI variable %s-%s: it exists with "
			       "attributes 0x%x, not 0x%x, and attributes cannot be "
			       "changed; remove it by hand (chattr -i, rm) and try again",
			       name, vars_guid_text(guid), found, attributes);
	if (vars->set(vars->ctx, guid, name, data, len, attributes, err) < 0)
		return -1;
	r = holds(vars, guid, name, data, len, attributes, &found, err);
	if (r < 0)
		return -1;
	if (r == 0)
		return err_set(err, EX_IOERR,
			       "failed to write the EFI variable %s-%s: the firmware "
			       "accepted it, but did not keep it", name,
			       vars_guid_text(guid));
	return 0;
}

enum vars_append vars_append(const struct vars *vars, enum vars_guid guid, const char *name,
			     const uint8_t *data, size_t len, size_t authentication, struct err *err)
{
	if (authentication == 0 || authentication >= len) {
		(void)err_set(err, EX_SOFTWARE, "refused to append to the EFI variable %s-%s: nothing to append",
			      name, vars_guid_text(guid));
		return VARS_FAILED;
	}
	return vars->append(vars->ctx, guid, name, data, len, authentication, err);
}

int vars_delete(const struct vars *vars, enum vars_guid guid, const char *name,
		struct err *err)
{
	_cleanup_free_ uint8_t *data = NULL;
	size_t len;
	int r;

	r = vars->delete(vars->ctx, guid, name, err);
	if (r != 0)
		return r < 0 ? -1 : 0;
	r = vars_get(vars, guid, name, &data, &len, NULL, err);
	if (r < 0)
		return -1;
	if (r == 0)
		return err_set(err, EX_IOERR,
			       "failed to delete the EFI variable %s-%s: the firmware "
			       "accepted it, but kept the variable", name,
			       vars_guid_text(guid));
	return 0;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(((const struct vars_name *)a)->text,
		      ((const struct vars_name *)b)->text);
}

int vars_list_boot(const struct vars *vars, struct vars_name **ret_names,
		   size_t *ret_count, struct err *err)
{
	struct vars_name *names;
	size_t count;

	if (vars->list_boot(vars->ctx, &names, &count, err) < 0)
		return -1;
	qsort(names, count, sizeof *names, compare_names);
	*ret_names = names;
	*ret_count = count;
	return 0;
}

int vars_get_utf16(const struct vars *vars, enum vars_guid guid, const char *name,
		   char **ret_text, struct err *err)
{
	_cleanup_free_ uint8_t *data = NULL;
	_cleanup_free_ uint8_t *text = NULL;
	uint8_t *end;
	size_t len;
	uint32_t code;
	int r = vars_get(vars, guid, name, &data, &len, NULL, err);

	if (r != 0)
		return r;
	/* Two bytes become at most three, four become four. */
	text = malloc(len / 2 * 3 + 1);
	if (!text)
		return err_set(err, EX_SOFTWARE, "out of memory");
	end = text;
	for (size_t i = 0, n; i + 1 < len; i += n) {
		n = utf16_get(data + i, len - i, &code);
		if (n == 0)
			return err_set(err, EX_IOERR,
				       "the EFI variable %s-%s is not UTF-16", name,
				       vars_guid_text(guid));
		if (code == 0)
			break;
		end += utf8_put(end, code);
	}
	*end = 0;
	*ret_text = (char *)text;
	text = NULL;
	return 0;
}
