/* SPDX-License-Identifier: MIT */
#include "status_esps.h"

#include "other_esp.h"
#include "out.h"

json_t *status_esps_json(const struct machine *machine)
{
	const char *state = other_esp_state_text(other_esp_state(machine));

	if (!state)
		return json_null();
	return json_pack("{s:s, s:s?, s:s, s:s?}", "directory", machine->esp.dir, "other",
			 machine->other_esp.dir, "state", state, "why",
			 machine->other_esp_error.exit ? machine->other_esp_error.text : NULL);
}

void status_esps_print(const struct machine *machine)
{
	switch (other_esp_state(machine)) {
	case OTHER_ESP_NONE:
		break;
	case OTHER_ESP_IN_STEP:
		out_print("esp        %s, and in step with it %s\n", machine->esp.dir,
			  machine->other_esp.dir);
		break;
	case OTHER_ESP_BEHIND:
		out_print("esp        %s; warning: %s is behind, until slotctl mark-good or slotctl "
			  "doctor --repair\n", machine->esp.dir, machine->other_esp.dir);
		break;
	case OTHER_ESP_LOST:
		out_print("esp        %s; warning: %s\n", machine->esp.dir,
			  machine->other_esp_error.text);
		break;
	}
}
