/* SPDX-License-Identifier: MIT */
/* Any bytes as a Boot#### variable: neither read past nor believed. */
#include "fuzz.h"

#include "espentry.h"
#include "loadoption.h"

#include <string.h>

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const uint8_t guid[16] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16 };
	struct esp_info esp = { .shim = "\\EFI\\slotboot\\shimx64.efi" };
	struct load_option option;
	bool ours = loadoption_is_ours(data, len, guid, "\\EFI\\slotboot\\a\\uki.efi");

	memcpy(esp.guid, guid, sizeof esp.guid);
	ours |= espentry_leads(&esp, data, len, "\\EFI\\slotboot\\b\\uki.efi");
	if (!loadoption_parse(data, len, &option)) {
		if (ours)
			abort();
		return 0;
	}
	fuzz_taken = ours;
	(void)loadoption_description_is(&option, "slotboot a");
	if (loadoption_leads_nowhere(data, len) &&
	    (ours || loadoption_is_elsewhere(data, len, guid)))
		abort();
	if (option.options + option.options_len != data + len)
		abort();
	return 0;
}
