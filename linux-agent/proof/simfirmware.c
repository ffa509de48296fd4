/* SPDX-License-Identifier: MIT */
/*
 * The firmware where the loader is a file: BootNext, which it forgets, then BootOrder, then
 * \EFI\BOOT. What is no whole program it passes over, and what gives up it comes back from.
 * Whatever starts must be a loader to the last byte, and one that has booted this machine,
 * unless BootNext names it.
 */
#include "bootentries.h"
#include "bytes.h"
#include "loader_file.h"
#include "loadoption.h"
#include "native.h"
#include "sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { VERSIONS = 3, LOADER_BYTES = 700, SBAT_AT = 280, TEXT_AT = 360 };

/* Two sectors: a PE file that says which version it is, and code. */
static void loader_make(unsigned version, uint8_t data[LOADER_BYTES])
{
	char sbat[TEXT_AT - SBAT_AT];
	int n = snprintf(sbat, sizeof sbat, "sbat,1,SBAT Version,sbat,1,x\n"
			 "slotboot,1,slotboot,slotboot,0.%u,x\n", version);

	memset(data, (int)(0x40 + version), LOADER_BYTES);
	memset(data, 0, SBAT_AT);
	sim_pe_begin(data, LOADER_BYTES);
	sim_pe_section(data, 0, ".sbat", SBAT_AT, (size_t)n);
	sim_pe_section(data, 1, ".text", TEXT_AT, LOADER_BYTES - TEXT_AT);
	memcpy(data + SBAT_AT, sbat, (size_t)n);
}

void simfirmware_file(unsigned version, struct loader_file *ret_file)
{
	struct loader_file file = { .there = true, .len = LOADER_BYTES, .data = malloc(LOADER_BYTES) };

	if (!file.data)
		abort();
	loader_make(version, file.data);
	loader_file_judge(&file);
	*ret_file = file;
}

void simfirmware_provide(struct world *w)
{
	uint8_t data[LOADER_BYTES];

	loader_make(0, data);
	simdisk_put(w, NAME_LOADER, data, sizeof data);
	simdisk_put(w, NAME_FALLBACK, data, sizeof data);
	w->ghost.loaders = 1;
}

int simfirmware_version(const struct world *w, enum sim_name name)
{
	const struct sim_file *f = simdisk_find(w, name);
	uint8_t data[LOADER_BYTES];

	for (unsigned version = 0; f && version < VERSIONS; version++) {
		loader_make(version, data);
		if (f->size == sizeof data && memcmp(f->now, data, sizeof data) == 0)
			return (int)version;
	}
	return -1;
}

static enum sb_error file_read(void *ctx, uint64_t offset, uint8_t *buf, size_t len)
{
	const struct sim_file *f = ctx;

	memcpy(buf, f->now + offset, len);
	return SB_OK;
}

static bool loads(const struct sim_file *f)
{
	struct pe_source source = { .ctx = (void *)(uintptr_t)f, .size = f ? f->size : 0,
				    .read = file_read };
	struct pe_image image;

	return f && pe_open(&source, &image) == SB_OK;
}

static void variable_put(struct world *w, const char *name, const char *text)
{
	struct sim_var *v = simvars_find(w, VARS_LOADER, name);

	for (int i = 0; !v && i < SIM_VARS; i++)
		if (!w->vars[i].used)
			v = &w->vars[i];
	if (!v)
		abort();
	*v = (struct sim_var){ .used = true, .guid = VARS_LOADER, .attributes = VARS_BS_RT };
	(void)snprintf(v->name, sizeof v->name, "%s", name);
	v->len = (uint16_t)(2 * strlen(text) + 2);
	for (size_t i = 0; text[i]; i++)
		v->data[2 * i] = (uint8_t)text[i];
}

/* Gives the file control. False: it is none, or comes back. */
static bool file_start(struct world *w, enum sim_name name, const char *path, bool by_next)
{
	int version = simfirmware_version(w, name);
	char info[32];

	if (!loads(simdisk_find(w, name)))
		return false;
	if (version < 0) {
		violation("the firmware starts a loader that is half of one (%s)", path);
		return false;
	}
	if (!by_next && !(w->ghost.loaders >> version & 1))
		violation("the firmware starts a loader that was not proven (%s)", path);
	if (version == w->loader_broken)
		return false;
	w->ghost.loaders |= 1u << version;
	(void)snprintf(info, sizeof info, "slotboot 0.%d", version);
	variable_put(w, "LoaderInfo", info);
	variable_put(w, "LoaderImageIdentifier", path);
	return true;
}

static bool entry_start(struct world *w, unsigned number, bool by_next)
{
	static const struct {
		enum sim_name name;
		const char *path;
	} files[] = { { NAME_LOADER, BOOTENTRIES_LOADER_PATH },
		      { NAME_LOADER_TRIAL, BOOTENTRIES_TRIAL_PATH } };
	char name[16];
	const struct sim_var *v;

	(void)snprintf(name, sizeof name, "Boot%04X", number);
	v = simvars_find(w, VARS_GLOBAL, name);
	for (unsigned i = 0; v && i < 2; i++)
		if (loadoption_is_ours(v->data, v->len, sim_esp.guid, files[i].path))
			return file_start(w, files[i].name, files[i].path, by_next);
	return false;
}

/* Also where it is not looked at: the number may be another's one day. */
static void check_next(struct world *w, unsigned number)
{
	char name[16];

	(void)snprintf(name, sizeof name, "Boot%04X", number);
	if (!simvars_find(w, VARS_GLOBAL, name))
		violation("BootNext names %s, which does not exist", name);
}

bool simfirmware_pick(struct world *w)
{
	struct sim_var *next = simvars_find(w, VARS_GLOBAL, "BootNext");
	const struct sim_var *order = simvars_find(w, VARS_GLOBAL, "BootOrder");
	unsigned number = next ? le16_get(next->data) : 0;

	w->boots += w->loader || w->keys;
	if (!w->loader)
		return true;
	if (next)
		check_next(w, number);
	if (next && !w->next_ignored) {
		next->used = false;
		if (entry_start(w, number, true))
			return true;
	}
	for (unsigned i = 0; order && i + 1 < order->len; i += 2)
		if (entry_start(w, le16_get(order->data + i), false))
			return true;
	if (file_start(w, NAME_FALLBACK, "\\EFI\\BOOT\\BOOT" NATIVE_EFI_CAPITALS ".EFI", false))
		return true;
	violation("the firmware finds no loader");
	return false;
}
