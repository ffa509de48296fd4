/* SPDX-License-Identifier: MIT */
#include "bundle_keys.h"

#include "auth_signature.h"
#include "io.h"
#include "report.h"
#include "secureboot.h"
#include "ukifile.h"

#include <errno.h>

/* What else the firmware knows does not matter. file NULL: there is none; what is no image is refused
 * elsewhere. */
static void own_check(const struct secureboot *rules, const char *update, const char *file, struct report *report)
{
	struct secureboot_verdict v;
	struct ukifile image;

	if (!file || ukifile_open(file, &image, NULL) < 0)
		return;
	secureboot_look(rules, &image.image.source, false, &v);
	ukifile_close(&image);
	if (v.rule == SECUREBOOT_RULE_DBX_CERT || v.rule == SECUREBOOT_RULE_DBX_DIGEST)
		report_warning(report, "%s is never applied while %s is in a slot, and goes with it: %s; bring it with "
			       "what it does not revoke", update, file, v.words);
}

static void dbx_check(const struct bundle_create_options *o, const char *name, const struct efi_auth *auth)
{
	const struct secureboot rules = { .on = true, .lists[SECUREBOOT_DBX] = auth->list };

	own_check(&rules, name, o->uki, o->report);
	own_check(&rules, name, o->addons[0], o->report);
	own_check(&rules, name, o->addons[1], o->report);
	own_check(&rules, name, o->loader, o->report);
}

static int update_check(const struct bundle_create_options *o, const struct bundle_beside *update, struct err *err)
{
	_cleanup_free_ uint8_t *data = NULL;
	struct efi_auth auth;
	size_t len;
	int r;

	if (read_file(update->file, SIGLIST_MAX_BYTES, &data, &len) < 0)
		return err_errno(err, EX_NOINPUT, errno, "failed to read %s", update->file);
	if (efi_auth_parse(update->file, efi_auth_variable_of(update->name), data, len, &auth, err) < 0)
		return -1;
	r = auth_signature_check(update->file, &auth, err);
	if (r == 0 && auth.variable == EFI_AUTH_DBX && o->report)
		dbx_check(o, update->name, &auth);
	efi_auth_clear(&auth);
	return r;
}

int bundle_keys_check(const struct bundle_create_options *options, struct err *err)
{
	for (size_t i = 0; i < options->beside_count; i++)
		if (options->besides[i].type == PAYLOAD_EFI_AUTH &&
		    update_check(options, &options->besides[i], err) < 0)
			return -1;
	return 0;
}
