/* SPDX-License-Identifier: MIT */
/*
 * The firmware's part in test/measure: takes the time, tells it, and starts the file
 * that its LoadOptions name, as a boot manager does.
 */
#include "tick.h"

#include <efi.h>

#include <stddef.h>
#include <stdint.h>

enum { PATH_BYTES = 512 };

EFI_STATUS EFIAPI efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *st);

static void copy(uint8_t *to, const void *from, size_t len)
{
	for (size_t i = 0; i < len; i++)
		to[i] = ((const uint8_t *)from)[i];
}

/* The disk's device path, then the file. */
static EFI_DEVICE_PATH *path_make(const EFI_DEVICE_PATH *disk, const void *name, size_t len,
				  uint8_t path[PATH_BYTES])
{
	EFI_DEVICE_PATH node = { MEDIA_DEVICE_PATH, MEDIA_FILEPATH_DP, { 0, 0 } };
	const EFI_DEVICE_PATH end = { END_DEVICE_PATH_TYPE, END_ENTIRE_DEVICE_PATH_SUBTYPE,
				      { sizeof end, 0 } };
	const EFI_DEVICE_PATH *n = disk;
	size_t at;

	while (!IsDevicePathEnd(n))
		n = NextDevicePathNode(n);
	at = (size_t)((const uint8_t *)n - (const uint8_t *)disk);
	node.Length[0] = (UINT8)(sizeof node + len);
	copy(path, disk, at);
	copy(path + at, &node, sizeof node);
	copy(path + at + sizeof node, name, len);
	copy(path + at + sizeof node + len, &end, sizeof end);
	return (EFI_DEVICE_PATH *)path;
}

EFI_STATUS EFIAPI efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *st)
{
	EFI_GUID loaded = EFI_LOADED_IMAGE_PROTOCOL_GUID, path = EFI_DEVICE_PATH_PROTOCOL_GUID;
	uint8_t bytes[PATH_BYTES];
	EFI_LOADED_IMAGE *self;
	EFI_DEVICE_PATH *disk;
	EFI_HANDLE child;
	uint64_t ticks;

	if (EFI_ERROR(st->BootServices->HandleProtocol(image, &loaded, (void **)&self)) ||
	    EFI_ERROR(st->BootServices->HandleProtocol(self->DeviceHandle, &path, (void **)&disk)))
		return EFI_LOAD_ERROR;
	path_make(disk, self->LoadOptions, self->LoadOptionsSize, bytes);
	ticks = tick_now();
	tick_tell(ticks);
	if (EFI_ERROR(st->BootServices->LoadImage(FALSE, image, (EFI_DEVICE_PATH *)bytes, NULL, 0,
						  &child)))
		return EFI_LOAD_ERROR;
	return st->BootServices->StartImage(child, NULL, NULL);
}
