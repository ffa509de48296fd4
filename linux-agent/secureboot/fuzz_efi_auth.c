/* SPDX-License-Identifier: MIT */
/* libFuzzer: any bytes as an update of db: its parts lie within them, one behind the other; then libcrypto
 * is given the signature. */
#include "fuzz.h"

#include "auth_signature.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *bytes = malloc(size ? size : 1);
	struct efi_auth auth;
	char signer[64];

	if (!bytes)
		abort();
	memcpy(bytes, data, size);
	if (efi_auth_parse("db", EFI_AUTH_DB, bytes, size, &auth, NULL) == 0) {
		if (auth.time != bytes || auth.signature != bytes + 40 || auth.list.count == 0 ||
		    auth.signature + auth.signature_len != bytes + auth.authentication ||
		    auth.authentication >= size || !efi_auth_is_in(&auth, &auth.list))
			abort();
		fuzz_taken = auth_signature_check("db", &auth, NULL) == 0;
		auth_signature_signer(&auth, signer, sizeof signer);
		efi_auth_clear(&auth);
	}
	free(bytes);
	return 0;
}
