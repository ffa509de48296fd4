/* SPDX-License-Identifier: MIT */
#include "file.h"

EFI_STATUS file_open(const struct loader *l, const CHAR16 *path, UINT64 mode,
		     EFI_FILE_HANDLE *ret_file)
{
	EFI_GUID guid = EFI_SIMPLE_FILE_SYSTEM_PROTOCOL_GUID;
	EFI_FILE_IO_INTERFACE *volume;
	EFI_FILE_HANDLE root, file;
	EFI_STATUS status;

	status = l->bs->HandleProtocol(l->self->DeviceHandle, &guid, (void **)&volume);
	if (EFI_ERROR(status))
		return status;
	status = volume->OpenVolume(volume, &root);
	if (EFI_ERROR(status))
		return status;
	status = root->Open(root, &file, (CHAR16 *)(uintptr_t)path, mode, 0);
	(void)root->Close(root);
	if (!EFI_ERROR(status))
		*ret_file = file;
	return status;
}

EFI_STATUS file_size(EFI_FILE_HANDLE file, uint64_t *ret_size)
{
	/* UEFI 2.10, 13.5.9: this position is the end of the file. GetInfo would
	 * need a buffer for the name as well. */
	EFI_STATUS status = file->SetPosition(file, ~(UINT64)0);
	UINT64 size = 0;

	if (!EFI_ERROR(status))
		status = file->GetPosition(file, &size);
	if (!EFI_ERROR(status))
		*ret_size = size;
	return status;
}
