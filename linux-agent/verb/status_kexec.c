/* SPDX-License-Identifier: MIT */
#include "status_kexec.h"

#include "cmdline.h"
#include "kexec_intent.h"
#include "out.h"
#include "trip.h"
#include "io.h"

static const char *const way_text[] = { "reboot", "kexec" };

json_t *status_kexec_json(const struct machine *machine)
{
	struct kexec_arrival jump;

	if (!machine->is_running || !machine->running.kexec)
		return json_null();
	kexec_intent_look(machine, &jump);
	return json_pack("{s:b, s:b, s:b, s:b}", "proven", jump.meant, "nonce", jump.nonce,
			 "bootloader", jump.bootloader, "boot_id", jump.boot_id);
}

json_t *status_timing_json(const struct machine *machine)
{
	json_t *root = json_object();
	struct ledger ledger;

	trip_read(machine, &ledger);
	for (unsigned i = 0; root && i < ARRAY_SIZE(ledger.last); i++)
		if (ledger.last[i].known)
			(void)json_object_set_new(root, way_text[i],
						  ledger_trip_json(&ledger.last[i]));
	return root;
}

static void trip_print(const char *way, const struct ledger_trip *trip)
{
	const char *comma = "";

	out_print("timing     the last %s into slot %c: ", way, slot_letter(trip->slot));
	for (int i = 0; i < LEDGER_PHASES; i++) {
		if (trip->ms[i] < 0)
			continue;
		out_print("%s%s %lld.%lld s", comma, ledger_phase_text((enum ledger_phase)i),
			  (long long)trip->ms[i] / 1000, (long long)trip->ms[i] / 100 % 10);
		comma = ", ";
	}
	(void)putchar('\n');
}

void status_kexec_print(const struct machine *machine)
{
	/* arm64 has no word of its own for it. */
	static const char *const types[] = {
		[BOOTLOADER_UNKNOWN] = "not told",
		[BOOTLOADER_IS_KEXEC] = "kexec",
		[BOOTLOADER_IS_OTHER] = "not kexec",
	};
	struct ledger ledger;
	struct kexec_arrival jump;

	trip_read(machine, &ledger);
	if (machine->is_running && machine->running.kexec) {
		kexec_intent_look(machine, &jump);
		out_print("jump       %s: nonce %s the record's, boot loader type %s, boot_id %s\n",
			  jump.meant ? "as intended" : "not proven",
			  jump.nonce ? "is" : "is not", types[machine->running.bootloader],
			  jump.boot_id ? "changed" : "not known to have changed");
	}
	if (machine->state.record.kexec_failures)
		out_print("kexec      %u in a row never came to mark-good; --activate=kexec needs "
			  "--force\n", machine->state.record.kexec_failures);
	for (unsigned i = 0; i < ARRAY_SIZE(ledger.last); i++)
		if (ledger.last[i].known)
			trip_print(way_text[i], &ledger.last[i]);
}
