/* SPDX-License-Identifier: MIT */
/* Reads the rules from the variables, and the facts from an image. */
#include "secureboot.h"

#include "io.h"

#include <string.h>

static const struct {
	enum vars_guid guid;
	const char *name;
} lists[SECUREBOOT_LISTS] = {
	[SECUREBOOT_DB] = { VARS_SECURITY, "db" },
	[SECUREBOOT_DBX] = { VARS_SECURITY, "dbx" },
	[SECUREBOOT_MOK] = { VARS_SHIM, "MokListRT" },
	[SECUREBOOT_MOKX] = { VARS_SHIM, "MokListXRT" },
};

static void doubt_set(struct secureboot *rules, const char *why)
{
	if (!rules->doubt[0])
		(void)snprintf(rules->doubt, sizeof rules->doubt, "%.*s", (int)sizeof rules->doubt - 1, why);
}

/* Returns 0, 1 if there is none, or -1. shim's variables about this boot vanish at the next reset.
 * One of that name that is non-volatile is not shim's, and is ignored. */
static int get(const struct vars *vars, enum vars_guid guid, const char *name, uint8_t **ret_data,
	       size_t *ret_len, struct err *err)
{
	_cleanup_free_ uint8_t *data = NULL;
	uint32_t attributes;
	int r = vars_get(vars, guid, name, &data, ret_len, &attributes, err);

	if (r != 0)
		return r;
	if (guid == VARS_SHIM && (attributes & VARS_NON_VOLATILE))
		return 1;
	*ret_data = data;
	data = NULL;
	return 0;
}

int secureboot_is_on(const struct vars *vars, bool *ret_on, struct err *err)
{
	_cleanup_free_ uint8_t *data = NULL;
	size_t len = 0;
	int r = vars_get(vars, VARS_GLOBAL, "SecureBoot", &data, &len, NULL, err);

	if (r < 0)
		return -1;
	*ret_on = r == 0 && len > 0 && data[0] == 1;
	return 0;
}

int secureboot_known(const struct vars *vars)
{
	bool on;

	return secureboot_is_on(vars, &on, NULL) < 0 ? -1 : on;
}

/* Returns whether the list exists. */
static bool list_read(const struct vars *vars, enum secureboot_list which, struct secureboot *rules)
{
	struct err why = { 0 };
	uint8_t *data;
	size_t len;
	int r = get(vars, lists[which].guid, lists[which].name, &data, &len, &why);

	if (r == 0)
		r = siglist_parse(lists[which].name, data, len, &rules->lists[which], &why);
	if (r < 0)
		doubt_set(rules, why.text);
	return r <= 0;
}

static bool is_one(const struct vars *vars, const char *name)
{
	_cleanup_free_ uint8_t *data = NULL;
	size_t len;

	return get(vars, VARS_SHIM, name, &data, &len, NULL) == 0 && data[0] == 1;
}

static bool level_read(const struct vars *vars, struct secureboot *rules)
{
	struct err why = { 0 };
	uint8_t *data;
	size_t len;
	int r = get(vars, VARS_SHIM, "SbatLevelRT", &data, &len, &why);

	if (r == 0) {
		rules->level = (char *)data;
		r = sbat_parse("SbatLevelRT", rules->level, len, &rules->sbat, &why);
	}
	if (r < 0)
		doubt_set(rules, why.text);
	return r <= 0;
}

int secureboot_read(const struct vars *vars, struct secureboot *ret_rules, struct err *err)
{
	_cleanup_free_ uint8_t *dbt = NULL;
	struct secureboot *rules = ret_rules;
	bool mok, level;
	size_t len;

	*rules = (struct secureboot){ .now = time(NULL) };
	if (secureboot_is_on(vars, &rules->on, err) < 0)
		return -1;
	if (!rules->on)
		return 0;
	if (!list_read(vars, SECUREBOOT_DB, rules))
		doubt_set(rules, "Secure Boot is on, and yet there is no db to be seen");
	(void)list_read(vars, SECUREBOOT_DBX, rules);
	mok = list_read(vars, SECUREBOOT_MOK, rules);
	(void)list_read(vars, SECUREBOOT_MOKX, rules);
	level = level_read(vars, rules);
	rules->shim = mok || level;
	rules->shim_off = is_one(vars, "MokSBStateRT");
	rules->shim_without_db = is_one(vars, "MokIgnoreDB");
	rules->times = vars_get(vars, VARS_SECURITY, "dbt", &dbt, &len, NULL, NULL) == 0;
	return 0;
}

void secureboot_clear(struct secureboot *rules)
{
	for (unsigned i = 0; i < SECUREBOOT_LISTS; i++)
		siglist_clear(&rules->lists[i]);
	free(rules->level);
	*rules = (struct secureboot){ .now = 0 };
}

/* --- the image --------------------------------------------------------------- */

static bool lists_have(const struct secureboot *rules, enum siglist_kind kind)
{
	for (unsigned i = 0; i < SECUREBOOT_LISTS; i++)
		for (size_t k = 0; k < rules->lists[i].count; k++)
			if (rules->lists[i].entries[k].kind == kind)
				return true;
	return false;
}

static int digests_read(const struct pe_source *pe, const struct secureboot *rules,
			struct authenticode_table *table, struct err *err)
{
	const EVP_MD *const mds[] = { [SIGLIST_SHA1] = EVP_sha1(), [SIGLIST_SHA256] = EVP_sha256(),
				      [SIGLIST_SHA384] = EVP_sha384(), [SIGLIST_SHA512] = EVP_sha512() };
	const uint8_t *digest;
	unsigned len;

	for (unsigned kind = 0; kind < ARRAY_SIZE(mds); kind++)
		if (lists_have(rules, kind) && table->digests.count < PE_DIGESTS_MAX &&
		    pe_digests_get(pe, &table->layout, mds[kind], &table->digests, &digest, &len, err) < 0)
			return -1;
	return 0;
}

static int sbat_read(const struct pe_source *pe, struct secureboot_image *image, struct err *err)
{
	struct pe_section section;
	struct pe_image parts;

	if (pe_open(pe, &parts) != SB_OK || pe_section_find(&parts, ".sbat", &section) != SB_OK ||
	    section.size == 0)
		return 0;
	image->sbat_state = SECUREBOOT_SBAT_BAD;
	if (section.size > SBAT_MAX_BYTES)
		return 0;
	image->sbat_text = malloc((size_t)section.size);
	if (!image->sbat_text)
		return err_set(err, EX_SOFTWARE, "failed to read a .sbat section: out of memory");
	if (pe->read(pe->ctx, section.offset, (uint8_t *)image->sbat_text, (size_t)section.size) != SB_OK)
		return err_set(err, EX_IOERR, "failed to read a .sbat section");
	if (sbat_parse(".sbat", image->sbat_text, (size_t)section.size, &image->sbat, NULL) == 0)
		image->sbat_state = SECUREBOOT_SBAT_READ;
	return 0;
}

int secureboot_image_read(const struct pe_source *pe, const struct secureboot *rules,
			  struct secureboot_image *ret_image, struct err *err)
{
	memset(ret_image, 0, sizeof *ret_image);
	if (authenticode_table_read(pe, &ret_image->table, err) < 0)
		return -1;
	if (ret_image->table.state == AUTHENTICODE_NO_PE)
		return 0;
	if (digests_read(pe, rules, &ret_image->table, err) < 0)
		return -1;
	return sbat_read(pe, ret_image, err);
}

void secureboot_image_clear(struct secureboot_image *image)
{
	authenticode_table_clear(&image->table);
	free(image->sbat_text);
	memset(image, 0, sizeof *image);
}
