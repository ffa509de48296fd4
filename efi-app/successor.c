/* SPDX-License-Identifier: MIT */
#include "successor.h"

#include "console.h"
#include "devicepath.h"
#include "native.h"
#include "shim.h"

#define WIDE_(text) L##text
#define WIDE(text) WIDE_(text)

static const CHAR16 loader_path[] = L"\\EFI\\slotboot\\slotboot" WIDE(NATIVE_EFI) L".efi";

static bool guid_is(const uint8_t *a, const uint8_t *b)
{
	unsigned i = 0;

	while (i < 16 && a[i] == b[i])
		i++;
	return i == 16;
}

/* The device path of the file system on that partition; NULL: no driver has found one. */
static EFI_DEVICE_PATH *esp_find(const struct loader *l, const uint8_t *esp)
{
	EFI_GUID files = EFI_SIMPLE_FILE_SYSTEM_PROTOCOL_GUID, path = EFI_DEVICE_PATH_PROTOCOL_GUID;
	EFI_DEVICE_PATH *found = NULL;
	EFI_HANDLE *handles;
	UINTN count = 0;

	if (EFI_ERROR(l->bs->LocateHandleBuffer(ByProtocol, &files, NULL, &count, &handles)))
		return NULL;
	for (UINTN i = 0; !found && i < count; i++) {
		EFI_DEVICE_PATH *p;
		const uint8_t *guid;

		if (EFI_ERROR(l->bs->HandleProtocol(handles[i], &path, (void **)&p)))
			continue;
		guid = devicepath_guid(p);
		if (guid && guid_is(guid, esp))
			found = p;
	}
	(void)l->bs->FreePool(handles);
	return found;
}

/* Firmware in a hurry has drivers for the disk that it boots from, and for no other. */
static void connect_all(const struct loader *l)
{
	EFI_HANDLE *handles;
	UINTN count = 0;

	if (EFI_ERROR(l->bs->LocateHandleBuffer(AllHandles, NULL, NULL, &count, &handles)))
		return;
	for (UINTN i = 0; i < count; i++)
		(void)l->bs->ConnectController(handles[i], NULL, NULL, TRUE);
	(void)l->bs->FreePool(handles);
}

void successor_start(void *ctx, const uint8_t *esp)
{
	struct loader *l = ctx;
	EFI_DEVICE_PATH *device = esp_find(l, esp), *path;
	EFI_HANDLE child = NULL;
	EFI_STATUS status;

	if (!device) {
		connect_all(l);
		device = esp_find(l, esp);
	}
	if (!device ||
	    EFI_ERROR(devicepath_of_file(l, device, loader_path, sizeof loader_path, &path)))
		return;
	console_put(l, "slotboot: this disk is older than the other one; "
		       "starting the loader there\r\n");
	status = shim_load(l, path, NULL, 0, &child);
	(void)l->bs->FreePool(path);
	if (!EFI_ERROR(status))
		(void)l->bs->StartImage(child, NULL, NULL);
}
