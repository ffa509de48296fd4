/* SPDX-License-Identifier: MIT */
#include "ledger.h"

#include "cmdline.h"

#include <inttypes.h>
#include <string.h>

enum { BOOT_ID_LEN = 36 };

static const char *const way_text[] = { [ACTIVATE_REBOOT] = "reboot", [ACTIVATE_KEXEC] = "kexec" };

const char *ledger_phase_text(enum ledger_phase phase)
{
	static const char *const text[LEDGER_PHASES] = { "install", "stage", "leave", "kernel",
							 "healthy" };

	return text[phase];
}

static bool slot_get(const json_t *object, unsigned *ret_slot)
{
	const char *text = json_string_value(json_object_get(object, "slot"));

	if (!text || (strcmp(text, "a") != 0 && strcmp(text, "b") != 0))
		return false;
	*ret_slot = (unsigned)(text[0] - 'a');
	return true;
}

static int64_t number_get(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);

	return json_is_integer(value) && json_integer_value(value) >= 0 ? json_integer_value(value)
									: LEDGER_UNKNOWN;
}

static struct ledger_trip trip_get(const json_t *object)
{
	struct ledger_trip trip = { .known = slot_get(object, &trip.slot) };

	for (int i = 0; i < LEDGER_PHASES; i++)
		trip.ms[i] = number_get(object, ledger_phase_text((enum ledger_phase)i));
	return trip;
}

static void pending_get(const json_t *object, struct ledger *ledger)
{
	const char *how = json_string_value(json_object_get(object, "how"));

	ledger->trip = trip_get(object);
	ledger->left_ms = number_get(object, "left");
	if (!ledger->trip.known || ledger->left_ms < 0 || !how || !*ledger->boot_id)
		return;
	ledger->how = strcmp(how, way_text[ACTIVATE_KEXEC]) == 0 ? ACTIVATE_KEXEC : ACTIVATE_REBOOT;
	ledger->pending = true;
}

void ledger_parse(const uint8_t *json, size_t len, struct ledger *ret_ledger)
{
	json_t *root = len <= LEDGER_MAX_BYTES ? json_loadb((const char *)json, len, 0, NULL) : NULL;

	const char *boot_id = json_string_value(json_object_get(root, "boot_id"));

	*ret_ledger = (struct ledger){ .pending = false };
	if (boot_id && strlen(boot_id) == BOOT_ID_LEN)
		memcpy(ret_ledger->boot_id, boot_id, BOOT_ID_LEN + 1);
	pending_get(json_object_get(root, "pending"), ret_ledger);
	for (int how = ACTIVATE_REBOOT; how <= ACTIVATE_KEXEC; how++)
		ret_ledger->last[how - ACTIVATE_REBOOT] =
			trip_get(json_object_get(root, way_text[how]));
	json_decref(root);
}

json_t *ledger_trip_json(const struct ledger_trip *trip)
{
	char slot[2] = { slot_letter(trip->slot), 0 };
	json_t *object = json_pack("{s:s}", "slot", slot);

	for (int i = 0; object && i < LEDGER_PHASES; i++)
		if (trip->ms[i] >= 0)
			(void)json_object_set_new(object, ledger_phase_text((enum ledger_phase)i),
						  json_integer(trip->ms[i]));
	return object;
}

int ledger_format(const struct ledger *ledger, char **ret_json, struct err *err)
{
	json_t *root = json_pack("{s:i, s:s}", "format", 1, "boot_id", ledger->boot_id);
	json_t *pending = NULL;
	char *text;

	for (int how = ACTIVATE_REBOOT; how <= ACTIVATE_KEXEC; how++)
		if (ledger->last[how - ACTIVATE_REBOOT].known)
			(void)json_object_set_new(root, way_text[how],
						  ledger_trip_json(&ledger->last[how - ACTIVATE_REBOOT]));
	if (ledger->pending) {
		pending = ledger_trip_json(&ledger->trip);
		(void)json_object_set_new(pending, "how", json_string(way_text[ledger->how]));
		(void)json_object_set_new(pending, "left", json_integer(ledger->left_ms));
		(void)json_object_set_new(root, "pending", pending);
	}
	text = root ? json_dumps(root, JSON_INDENT(1) | JSON_SORT_KEYS) : NULL;
	json_decref(root);
	if (!text)
		return err_set(err, EX_SOFTWARE, "failed to make the ledger: out of memory");
	*ret_json = text;
	return 0;
}

bool ledger_arrive(struct ledger *ledger, const struct ledger_arrival *arrival)
{
	struct ledger_trip trip = ledger->trip;
	int64_t began_ms = arrival->now_ms - arrival->up_ms;

	if (!ledger->pending || strcmp(ledger->boot_id, arrival->boot_id) == 0)
		return false;
	ledger->pending = false;
	if (trip.slot != arrival->slot || (ledger->how == ACTIVATE_KEXEC) != arrival->kexec)
		return true;
	trip.ms[LEDGER_LEAVE] = began_ms >= ledger->left_ms ? began_ms - ledger->left_ms
							    : LEDGER_UNKNOWN;
	trip.ms[LEDGER_KERNEL] = arrival->init_ms;
	trip.ms[LEDGER_HEALTHY] = arrival->init_ms < 0 ? LEDGER_UNKNOWN
						       : arrival->up_ms - arrival->init_ms;
	ledger->last[ledger->how - ACTIVATE_REBOOT] = trip;
	return true;
}
