/* SPDX-License-Identifier: MIT */
#include "status_beside.h"

#include "io.h"
#include "out.h"
#include "slot_manifest.h"
#include "uki_extras.h"

#include <string.h>

/* Called for each file; state: "bundle", "changed" (another size), "missing", "stranger". */
typedef void beside_file(void *ctx, const char *name, const char *state);

static const char *own_state(const struct machine *m, unsigned slot, const struct payload *p)
{
	_cleanup_free_ char *path = NULL;
	struct disk_stat st;

	if (slot_payload_file(m, slot, p, &path, NULL) < 0 || !path ||
	    m->disk.stat(m->disk.ctx, path, &st) < 0)
		return "missing";
	return st.size == p->size ? "bundle" : "changed";
}

static void strangers_find(const struct machine *m, unsigned slot, const struct manifest *manifest,
			   beside_file *found, void *ctx)
{
	static const char *const suffixes[] = { ".addon.efi", ".cred", ".raw" };
	_cleanup_free_ char *dir = NULL;

	if (machine_slot_file(m, slot, BESIDE_DIR, &dir, NULL) < 0)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(suffixes); i++) {
		_cleanup_(name_list_clear) struct name_list list = { 0 };

		if (name_list_read(dir, suffixes[i], NULL, &list, NULL) < 0)
			continue;
		for (size_t k = 0; k < list.count; k++)
			if (!manifest || !manifest_beside_find(manifest, slot, list.names[k]))
				found(ctx, list.names[k], "stranger");
	}
}

/* Those beside the UKI, or those below files=. */
static void files_find(const struct machine *m, unsigned slot, bool beside, beside_file *found, void *ctx)
{
	_cleanup_(manifest_freep) struct manifest *manifest = slot_manifest_read(m->esp.dir, slot);

	for (size_t i = 0; manifest && i < manifest->payload_count; i++) {
		const struct payload *p = &manifest->payloads[i];
		const char *name = beside ? manifest_beside(p, slot) : p->type == PAYLOAD_FILE ? p->name : NULL;

		if (name)
			found(ctx, name, own_state(m, slot, p));
	}
	if (beside)
		strangers_find(m, slot, manifest, found, ctx);
}

static void json_add(void *ctx, const char *name, const char *state)
{
	char clean[256];

	(void)snprintf(clean, sizeof clean, "%s", name);
	out_clean(clean, sizeof clean);
	(void)json_array_append_new(ctx, json_pack("{s:s, s:s}", "name", clean, "state", state));
}

json_t *status_beside_json(const struct machine *machine, unsigned slot, bool beside)
{
	json_t *list = json_array();

	if (list)
		files_find(machine, slot, beside, json_add, list);
	return list;
}

/* ctx: what stands before the name: the line's title, then a comma. */
static void line_add(void *ctx, const char *name, const char *state)
{
	bool own = strcmp(state, "bundle") == 0;
	const char **before = ctx;

	out_print("%s%s", *before, name);
	if (!own)
		out_print(" (%s)", strcmp(state, "stranger") == 0 ? "not of the bundle" : state);
	*before = ", ";
}

static void line_print(const struct machine *m, unsigned slot, bool beside, const char *title)
{
	const char *before = title;

	files_find(m, slot, beside, line_add, &before);
	if (before != title)
		(void)putchar('\n');
}

void status_beside_print(const struct machine *machine, unsigned slot)
{
	line_print(machine, slot, true, "beside     ");
	line_print(machine, slot, false, "files      ");
}
