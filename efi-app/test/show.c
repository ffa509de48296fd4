/* SPDX-License-Identifier: MIT */
/*
 * Stands for a UKI: says on the serial line how it was started, and shuts the
 * machine down. One line each: "SHOW name hex-of-the-bytes". The device path it
 * was started by tells test/run which slot it is.
 */
#include <efi.h>

#include <stddef.h>
#include <stdint.h>

EFI_STATUS EFIAPI efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *st);

static void put(EFI_SYSTEM_TABLE *st, const char *text, UINTN len)
{
	EFI_GUID guid = EFI_SERIAL_IO_PROTOCOL_GUID;
	SERIAL_IO_INTERFACE *serial;

	if (!EFI_ERROR(st->BootServices->LocateProtocol(&guid, NULL, (void **)&serial)))
		(void)serial->Write(serial, &len, (void *)(uintptr_t)text);
}

static void put_text(EFI_SYSTEM_TABLE *st, const char *text)
{
	UINTN len = 0;

	while (text[len])
		len++;
	put(st, text, len);
}

static void show(EFI_SYSTEM_TABLE *st, const char *name, const void *data, size_t len)
{
	const uint8_t *p = data;
	char hex[2];

	put_text(st, "\r\nSHOW ");
	put_text(st, name);
	put_text(st, " ");
	for (size_t i = 0; p && i < len; i++) {
		hex[0] = "0123456789abcdef"[p[i] >> 4];
		hex[1] = "0123456789abcdef"[p[i] & 15];
		put(st, hex, 2);
	}
	put_text(st, "\r\n");
}

static void show_variable(EFI_SYSTEM_TABLE *st, const char *name, EFI_GUID guid)
{
	static uint8_t data[1024];
	CHAR16 wide[32];
	UINTN len = sizeof data;
	unsigned n = 0;

	for (; name[n]; n++)
		wide[n] = (CHAR16)name[n];
	wide[n] = 0;
	if (!EFI_ERROR(st->RuntimeServices->GetVariable(wide, &guid, NULL, &len, data)))
		show(st, name, data, len);
}

/* As long as the variable TestStall says, in microseconds. */
static void stall(EFI_SYSTEM_TABLE *st, EFI_GUID guid)
{
	CHAR16 name[] = L"TestStall";
	uint32_t microseconds = 0;
	UINTN len = sizeof microseconds;

	if (!EFI_ERROR(st->RuntimeServices->GetVariable(name, &guid, NULL, &len, &microseconds)))
		(void)st->BootServices->Stall(microseconds);
}

EFI_STATUS EFIAPI efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *st)
{
	static const char *const loader_names[] = {
		"LoaderInfo", "LoaderImageIdentifier", "LoaderDevicePartUUID",
		"LoaderFeatures", "LoaderEntries", "LoaderTimeInitUSec", "LoaderTimeExecUSec",
		"LoaderEntrySelected",
	};
	EFI_GUID loaded_guid = EFI_LOADED_IMAGE_PROTOCOL_GUID;
	EFI_GUID slot_guid = { 0xa44b7925, 0x64fe, 0x4f5f,
			       { 0x9e, 0x3a, 0x49, 0xb0, 0x31, 0x9e, 0xfd, 0x7d } };
	EFI_GUID loader_guid = { 0x4a67b082, 0x0a4c, 0x41cf,
				 { 0xb6, 0xc7, 0x44, 0x0b, 0x29, 0xbb, 0x8c, 0x4f } };
	EFI_LOADED_IMAGE *self;
	EFI_GUID global_guid = EFI_GLOBAL_VARIABLE;
	EFI_DEVICE_PATH *node;

	if (EFI_ERROR(st->BootServices->HandleProtocol(image, &loaded_guid, (void **)&self)))
		return EFI_LOAD_ERROR;
	stall(st, slot_guid);
	for (node = self->FilePath; !IsDevicePathEnd(node); node = NextDevicePathNode(node))
		show(st, "FilePath", node + 1, (size_t)DevicePathNodeLength(node) - sizeof *node);
	show(st, "LoadOptions", self->LoadOptions, self->LoadOptionsSize);
	show_variable(st, "SlotState", slot_guid);
	show_variable(st, "SlotTrace", slot_guid);
	show_variable(st, "SecureBoot", global_guid);
	for (unsigned i = 0; i < sizeof loader_names / sizeof loader_names[0]; i++)
		show_variable(st, loader_names[i], loader_guid);
	put_text(st, "\r\nSHOW end 00\r\n");
	st->RuntimeServices->ResetSystem(EfiResetShutdown, EFI_SUCCESS, 0, NULL);
	return EFI_LOAD_ERROR;
}
