/* SPDX-License-Identifier: MIT */
#include "slot_secureboot.h"

#include "bytes.h"
#include "manifest.h"
#include "io.h"
#include "ukifile.h"

#include <string.h>

static bool file_look(const struct machine *m, const struct secureboot *rules, unsigned slot,
		      const char *name, struct secureboot_verdict *ret_verdict)
{
	_cleanup_free_ char *path = NULL;
	struct err why = { 0 };
	struct ukifile file;

	if (machine_slot_file(m, slot, name, &path, NULL) < 0 || access(path, F_OK) < 0)
		return false;
	if (ukifile_open(path, &file, &why) < 0) {
		*ret_verdict = (struct secureboot_verdict){ .answer = SECUREBOOT_UNKNOWN,
							    .rule = SECUREBOOT_RULE_UNREADABLE };
		(void)snprintf(ret_verdict->words, sizeof ret_verdict->words, "%.*s",
			       (int)sizeof ret_verdict->words - 1, why.text);
		return true;
	}
	secureboot_look(rules, &file.image.source, false, ret_verdict);
	ukifile_close(&file);
	return true;
}

bool slot_secureboot(const struct machine *machine, const struct secureboot *rules, unsigned slot,
		     struct secureboot_verdict *ret_verdict)
{
	const enum slot_status status = machine->state.record.slots[slot].status;
	struct secureboot_verdict addon;

	if (!rules->on || status == SLOT_EMPTY || status == SLOT_WRITING ||
	    !file_look(machine, rules, slot, "uki.efi", ret_verdict))
		return false;
	if (!file_look(machine, rules, slot, BESIDE_DIR "/" BESIDE_ADDON, &addon) ||
	    addon.answer <= ret_verdict->answer)
		return true;
	*ret_verdict = addon;
	(void)snprintf(ret_verdict->words, sizeof ret_verdict->words, "of %s: %.*s", BESIDE_ADDON,
		       (int)(sizeof addon.words - sizeof BESIDE_ADDON - 8), addon.words);
	return true;
}

static enum sb_error memory_read(void *ctx, uint64_t offset, uint8_t *buf, size_t len)
{
	const struct loader_file *file = ctx;

	bytes_copy(buf, file->data + offset, len);
	return SB_OK;
}

bool slot_secureboot_loader(const struct secureboot *rules, const struct loader_file *file,
			    struct secureboot_verdict *ret_verdict)
{
	const struct pe_source source = { .ctx = (void *)(uintptr_t)file, .size = file->len,
					  .read = memory_read };

	if (!rules->on || !file->data)
		return false;
	secureboot_look(rules, &source, true, ret_verdict);
	return true;
}

bool slot_secureboot_place(const struct machine *machine, const struct secureboot *rules,
			   enum loader_place place, struct loader_file *ret_file,
			   struct secureboot_verdict *ret_verdict)
{
	*ret_file = (struct loader_file){ 0 };
	return rules->on && loader_file_read(machine, place, ret_file, NULL) == 0 &&
	       loader_file_good(ret_file) && slot_secureboot_loader(rules, ret_file, ret_verdict);
}
