/* SPDX-License-Identifier: MIT */
#include "acpi.h"

#include "bytes.h"

enum { RSDP_REVISION = 15, RSDP_RSDT = 16, RSDP_XSDT = 24 };
enum { TABLE_LENGTH = 4, TABLE_HEADER = 36, TABLE_MAX = 1 << 20 };

static bool guid_equal(const EFI_GUID *a, const EFI_GUID *b)
{
	return bytes_equal((const uint8_t *)a, (const uint8_t *)b, sizeof *a);
}

static const uint8_t *rsdp_find(const struct loader *l)
{
	static const EFI_GUID guids[] = { ACPI_20_TABLE_GUID, ACPI_TABLE_GUID };

	for (unsigned g = 0; g < 2; g++)
		for (UINTN i = 0; i < l->st->NumberOfTableEntries; i++) {
			const EFI_CONFIGURATION_TABLE *t = &l->st->ConfigurationTable[i];

			if (guid_equal(&t->VendorGuid, &guids[g]) && t->VendorTable)
				return t->VendorTable;
		}
	return NULL;
}

/* NULL: not a table with that signature. */
static const uint8_t *table_at(uint64_t address, const char *signature, size_t *ret_len)
{
	const uint8_t *p = (const uint8_t *)(uintptr_t)address;
	uint32_t len;

	if (!p || !bytes_equal(p, (const uint8_t *)signature, 4))
		return NULL;
	len = le32_get(p + TABLE_LENGTH);
	if (len < TABLE_HEADER || len > TABLE_MAX)
		return NULL;
	*ret_len = len;
	return p;
}

const uint8_t *acpi_find(const struct loader *l, const char *signature, size_t *ret_len)
{
	const uint8_t *rsdp = rsdp_find(l), *root = NULL, *found = NULL;
	size_t len = 0, size = 8;

	if (rsdp && rsdp[RSDP_REVISION] >= 2)
		root = table_at(le64_get(rsdp + RSDP_XSDT), "XSDT", &len);
	if (rsdp && !root) {
		root = table_at(le32_get(rsdp + RSDP_RSDT), "RSDT", &len);
		size = 4;
	}
	for (size_t at = TABLE_HEADER; root && !found && len - at >= size; at += size)
		found = table_at(size == 8 ? le64_get(root + at) : le32_get(root + at),
				 signature, ret_len);
	return found;
}
