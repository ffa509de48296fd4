/* SPDX-License-Identifier: MIT */
#include "bootentries.h"

#include "bytes.h"
#include "espentry.h"
#include "loadoption.h"
#include "io.h"

#include <stdio.h>
#include <string.h>
#include <xxhash.h>

const char *const bootentries_slot_path[SLOT_COUNT] = { BOOTENTRIES_A_PATH, BOOTENTRIES_B_PATH };

static const struct {
	const char *path;
	const char *description;
} roles[BOOT_ROLE_COUNT] = {
	[BOOT_LOADER] = { BOOTENTRIES_LOADER_PATH, "slotboot" },
	[BOOT_DIRECT_A] = { BOOTENTRIES_A_PATH, "slotboot a" },
	[BOOT_DIRECT_B] = { BOOTENTRIES_B_PATH, "slotboot b" },
	[BOOT_TRIAL] = { BOOTENTRIES_TRIAL_PATH, "slotboot on trial" },
	[BOOT_OTHER] = { BOOTENTRIES_LOADER_PATH, "slotboot on the other disk" },
};

/* The ESP that an entry of the role leads to. */
static const struct esp_info *esp_of(const struct esp_info *esp, const struct esp_info *other,
				     unsigned role)
{
	return role == BOOT_OTHER ? other : esp;
}

static bool is_called(const uint8_t *data, size_t len, unsigned role)
{
	struct load_option option;

	return loadoption_parse(data, len, &option) &&
	       loadoption_description_is(&option, roles[role].description);
}

static unsigned find_label(const uint8_t *data, size_t len)
{
	unsigned role = 0;

	while (role < BOOT_ROLE_COUNT && !is_called(data, len, role))
		role++;
	return role;
}

/* On the other ESP, too, only the loader has an entry: what else there is goes. */
static bool is_role(const struct esp_info *esp, const struct esp_info *other, const uint8_t *data,
		    size_t len, unsigned role)
{
	if (role != BOOT_OTHER && espentry_leads(esp, data, len, roles[role].path))
		return true;
	return role != BOOT_LOADER && other && espentry_leads(other, data, len, roles[role].path);
}

/* Ours by its path. Some firmware replaces the path by a vendor node of its own; such an
 * entry is ours by its label. */
static enum boot_role find_role(const struct esp_info *esp, const struct esp_info *other,
				const uint8_t *data, size_t len)
{
	unsigned role = 0;

	while (role < BOOT_ROLE_COUNT && !is_role(esp, other, data, len, role))
		role++;
	if (role == BOOT_ROLE_COUNT && loadoption_leads_nowhere(data, len))
		role = find_label(data, len);
	/* With the other ESP lost its entry is nobody's to change. */
	return role == BOOT_OTHER && !other ? BOOT_FOREIGN : role;
}

/* Firmware may append marks of its own to the optional data. Our loader ignores the data,
 * shim and the stub read a string up to its NUL. Only where the stub is to get no string
 * would the marks be taken for one. */
static bool options_suffice(const struct esp_info *esp, enum boot_role role, const struct boot_content *content,
			    const struct load_option *option)
{
	bool is_loader = role == BOOT_LOADER || role == BOOT_TRIAL || role == BOOT_OTHER;
	_cleanup_free_ uint8_t *wanted = NULL;
	size_t len;

	if (is_loader && !esp->shim)
		return true;
	if (espentry_options(esp, roles[role].path, content->options, content->options_len, &wanted, &len, NULL) < 0)
		return false;
	if (!is_loader && content->options_len == 0 && option->options_len != len)
		return false;
	return option->options_len >= len && bytes_equal(option->options, wanted, len);
}

/* Of two ESPs now one is the other one, and now the other: no reason to write their entries. */
static bool description_suffices(enum boot_role role, const struct load_option *option)
{
	enum boot_role alike = role == BOOT_LOADER ? BOOT_OTHER : role == BOOT_OTHER ? BOOT_LOADER : role;

	return loadoption_description_is(option, roles[role].description) ||
	       loadoption_description_is(option, roles[alike].description);
}

/* Accept a full path that the firmware wrote instead of our short form, and attribute
 * bits of its own such as LOAD_OPTION_HIDDEN: it would restore them at each boot. */
static bool is_current(const struct esp_info *esp, enum boot_role role,
		       const struct boot_content *content, const uint8_t *data, size_t len)
{
	const uint32_t bits = LOADOPTION_ACTIVE | LOADOPTION_CATEGORY;
	struct load_option option;

	return loadoption_parse(data, len, &option) &&
	       espentry_is_made_so(esp, data, len, roles[role].path) &&
	       (option.attributes & bits) == content->attributes &&
	       description_suffices(role, &option) &&
	       options_suffice(esp, role, content, &option);
}

/* Treat an unreadable variable as foreign: it must not block our own entries. */
static int read_entry(const struct vars *vars, const struct esp_info *esp,
		      const struct esp_info *other,
		      const struct boot_content contents[BOOT_ROLE_COUNT],
		      const struct vars_name *name, struct boot_entry *ret_entry,
		      unsigned lookalikes[BOOT_ROLE_COUNT], struct err *err)
{
	_cleanup_free_ uint8_t *data = NULL;
	struct err ignored = { 0 };
	uint32_t attributes = 0;
	size_t len = 0;
	int r = vars_get(vars, VARS_GLOBAL, name->text, &data, &len, &attributes, &ignored);

	if (r < 0 && ignored.exit == EX_SOFTWARE)
		return err_set(err, EX_SOFTWARE, "%s", ignored.text);
	*ret_entry = (struct boot_entry){
		.name = *name,
		.number = (uint16_t)strtoul(name->text + 4, NULL, 16),
		.role = r == 0 ? find_role(esp, other, data, len) : BOOT_FOREIGN,
	};
	ret_entry->active = r == 0 && len >= 4 && (le32_get(data) & LOADOPTION_ACTIVE);
	if (ret_entry->role == BOOT_FOREIGN) {
		unsigned label = r == 0 ? find_label(data, len) : BOOT_ROLE_COUNT;
		struct load_option option;

		if (r < 0)
			ret_entry->odd = BOOT_ODD_UNREADABLE;
		else if (!loadoption_parse(data, len, &option))
			ret_entry->odd = BOOT_ODD_MALFORMED;
		ret_entry->called = (enum boot_role)label;
		if (label < BOOT_ROLE_COUNT && !loadoption_is_elsewhere(data, len, esp->guid))
			lookalikes[label]++;
		return 0;
	}
	ret_entry->fixed = attributes != VARS_NV_BS_RT;
	ret_entry->current = !ret_entry->fixed &&
			     is_current(esp_of(esp, other, ret_entry->role), ret_entry->role,
					&contents[ret_entry->role], data, len);
	return 0;
}

/* Names are sorted, so that Boot00AB comes before Boot00ab: where there are both,
 * the spelling of the specification is the number's, and the other is left alone. */
static bool is_taken(const struct boot_entry *entries, size_t count,
		     const struct vars_name *name)
{
	for (size_t i = 0; i < count; i++)
		if (strcasecmp(entries[i].name.text, name->text) == 0)
			return true;
	return false;
}

static int read_entries(const struct vars *vars, const struct esp_info *esp,
			struct boot_view *view, struct err *err)
{
	_cleanup_free_ struct vars_name *names = NULL;
	struct boot_state *state = &view->state;
	size_t name_count = 0;

	if (vars_list_boot(vars, &names, &name_count, err) < 0)
		return -1;
	view->entries = calloc(name_count + 1, sizeof *view->entries);
	if (!view->entries)
		return err_set(err, EX_SOFTWARE, "out of memory");
	state->entries = view->entries;
	for (size_t i = 0; i < name_count; i++) {
		if (is_taken(view->entries, state->entry_count, &names[i]))
			continue;
		if (read_entry(vars, esp, view->other, view->contents, &names[i],
			       &view->entries[state->entry_count], state->lookalikes, err) < 0)
			return -1;
		state->entry_count++;
	}
	return 0;
}

/* Without BootOrder there are no numbers. Half a number at the end is dropped, and
 * BootOrder counts as damaged. */
static int read_order(const struct vars *vars, struct boot_view *view, struct err *err)
{
	_cleanup_free_ uint8_t *data = NULL;
	uint16_t *order;
	size_t len = 0;
	int r = vars_get(vars, VARS_GLOBAL, "BootOrder", &data, &len, NULL, err);

	if (r < 0)
		return -1;
	order = calloc(len / 2 + 1, sizeof *order);
	if (!order)
		return err_set(err, EX_SOFTWARE, "out of memory");
	for (size_t i = 0; i < len / 2; i++)
		order[i] = le16_get(data + 2 * i);
	view->has_order = r == 0;
	view->order = order;
	view->state.order = order;
	view->state.order_count = len / 2;
	view->state.order_damaged = len % 2 != 0;
	return 0;
}

static int option_make(const struct esp_info *esp, const struct boot_view *view, unsigned role,
		       uint8_t **ret_data, size_t *ret_len, struct err *err)
{
	const struct esp_info *on = esp_of(esp, view->other, role);
	const struct boot_content *content = &view->contents[role];
	_cleanup_free_ uint8_t *options = NULL;
	size_t len;

	if (espentry_options(on, roles[role].path, content->options, content->options_len, &options, &len, err) < 0)
		return -1;
	return loadoption_build(on, content->attributes, roles[role].description,
				espentry_path(on, roles[role].path), options, len, ret_data, ret_len, err);
}

static int write_entry(const struct vars *vars, const struct esp_info *esp,
		       const struct boot_view *view, const struct boot_op *op, struct err *err)
{
	_cleanup_free_ uint8_t *data = NULL;
	size_t len = 0;

	if (option_make(esp, view, op->role, &data, &len, err) < 0)
		return -1;
	return vars_set(vars, VARS_GLOBAL, op->name.text, data, len, VARS_NV_BS_RT, err);
}

static int write_order(const struct vars *vars, const struct boot_plan *plan,
		       struct err *err)
{
	_cleanup_free_ uint8_t *data = calloc(plan->order_count, 2);

	if (!data)
		return err_set(err, EX_SOFTWARE, "out of memory");
	for (size_t i = 0; i < plan->order_count; i++)
		le16_put(data + 2 * i, plan->order[i]);
	return vars_set(vars, VARS_GLOBAL, "BootOrder", data, 2 * plan->order_count,
			VARS_NV_BS_RT, err);
}

static int carry_out(const struct vars *vars, const struct esp_info *esp,
		     const struct boot_view *view, const struct boot_plan *plan, struct err *err)
{
	for (size_t i = 0; i < plan->op_count; i++) {
		const struct boot_op *op = &plan->ops[i];
		int r = -1;

		switch (op->kind) {
		case BOOT_OP_WRITE:
			r = write_entry(vars, esp, view, op, err);
			break;
		case BOOT_OP_ORDER:
			r = write_order(vars, plan, err);
			break;
		case BOOT_OP_DELETE:
			r = vars_delete(vars, VARS_GLOBAL, op->name.text, err);
			break;
		}
		if (r < 0)
			return -1;
	}
	return 0;
}

int bootentries_apply(const struct vars *vars, const struct esp_info *esp,
		      const struct boot_view *view, const struct boot_plan *plan, struct err *err)
{
	if (carry_out(vars, esp, view, plan, err) < 0)
		return -1;
	if (plan->crowded)
		return err_set(err, EX_IOERR, "refused to make one more boot entry: there are %d "
			       "of that name that lead elsewhere, so that this firmware seems to "
			       "change them; efibootmgr -v shows them, efibootmgr -B removes them",
			       BOOT_LOOKALIKES_MAX);
	return 0;
}

void boot_view_clear(struct boot_view *view)
{
	free(view->entries);
	free(view->order);
	*view = (struct boot_view){ 0 };
}

int bootentries_read(const struct vars *vars, const struct esp_info *esp,
		     const struct boot_want *want, struct boot_view *ret_view, struct err *err)
{
	_cleanup_(boot_view_clear) struct boot_view view = {
		.contents[BOOT_LOADER] = { .wanted = want->loader, .attributes = LOADOPTION_ACTIVE },
		.other = want->other,
		.contents[BOOT_OTHER] = { .wanted = want->other && want->other_loader,
					  .attributes = LOADOPTION_ACTIVE },
		.contents[BOOT_TRIAL] = { .wanted = want->trial, .attributes = LOADOPTION_ACTIVE },
		.state.confirmed = want->confirmed,
		.state.trial_leads = want->trial && want->trial_leads,
	};

	for (unsigned slot = 0; slot < SLOT_COUNT; slot++)
		view.contents[BOOT_DIRECT_A + slot] = (struct boot_content){
			.wanted = want->direct[slot].present,
			.attributes = want->direct[slot].active ? LOADOPTION_ACTIVE : 0,
			.options = want->direct[slot].options,
			.options_len = want->direct[slot].options_len,
		};
	for (unsigned role = 0; role < BOOT_ROLE_COUNT; role++)
		view.state.wanted[role] = view.contents[role].wanted;
	if (read_order(vars, &view, err) < 0 || read_entries(vars, esp, &view, err) < 0)
		return err_prefix(err, "failed to read the boot entries");
	*ret_view = view;
	view = (struct boot_view){ 0 };
	return 0;
}

uint64_t bootentries_wish(const struct esp_info *esp, const struct boot_view *view,
			  const struct boot_plan *plan, unsigned thing)
{
	const struct boot_content *content = &view->contents[thing % BOOT_ROLE_COUNT];
	_cleanup_free_ uint8_t *data = NULL;
	size_t len = 0;

	if (thing == BOOT_THING_ORDER)
		return XXH3_64bits(plan->order, plan->ours * sizeof *plan->order);
	if (thing == BOOT_THING_DUPLICATES || !content->wanted)
		return 0;
	if (option_make(esp, view, thing, &data, &len, NULL) < 0)
		return 0;
	return XXH3_64bits(data, len);
}

int bootentries_sync(const struct vars *vars, const struct esp_info *esp,
		     const struct boot_want *want, struct err *err)
{
	_cleanup_(boot_view_clear) struct boot_view view = { 0 };
	_cleanup_(boot_plan_clear) struct boot_plan plan = { 0 };

	if (bootentries_read(vars, esp, want, &view, err) < 0 ||
	    boot_plan(&view.state, &plan, err) < 0)
		return -1;
	return bootentries_apply(vars, esp, &view, &plan, err);
}

static int set_active(const struct vars *vars, const struct esp_info *esp, const char *path,
		      const char *name, bool active, struct err *err)
{
	_cleanup_free_ uint8_t *data = NULL;
	uint32_t attributes = 0, bits;
	struct err ignored = { 0 };
	size_t len = 0;
	int r = vars_get(vars, VARS_GLOBAL, name, &data, &len, &attributes, &ignored);

	if (r < 0 && ignored.exit == EX_SOFTWARE)
		return err_set(err, EX_SOFTWARE, "%s", ignored.text);
	if (r != 0 || !espentry_leads(esp, data, len, path))
		return 0;
	bits = le32_get(data) & ~LOADOPTION_ACTIVE;
	le32_put(data, active ? bits | LOADOPTION_ACTIVE : bits);
	return vars_set(vars, VARS_GLOBAL, name, data, len, attributes, err);
}

int bootentries_set_active(const struct vars *vars, const struct esp_info *esp, int slot,
			   bool active, struct err *err)
{
	const char *path = roles[slot ? BOOT_DIRECT_B : BOOT_DIRECT_A].path;
	_cleanup_free_ struct vars_name *names = NULL;
	size_t count = 0;

	if (vars_list_boot(vars, &names, &count, err) < 0)
		return -1;
	for (size_t i = 0; i < count; i++)
		if (set_active(vars, esp, path, names[i].text, active, err) < 0)
			return -1;
	return 0;
}
