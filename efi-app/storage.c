/* SPDX-License-Identifier: MIT */
#include "storage.h"

#include "file.h"

static const EFI_GUID slotboot_guid = SLOTBOOT_GUID;
static const CHAR16 variable_name[] = L"SlotState";
static const CHAR16 mirror_path[] = L"\\EFI\\slotboot\\state.bin";
static const UINT32 attributes = EFI_VARIABLE_NON_VOLATILE | VOLATILE_ATTRIBUTES;

static enum sb_error error_of(EFI_STATUS status)
{
	switch (status) {
	case EFI_SUCCESS:
		return SB_OK;
	case EFI_NOT_FOUND:
		return SB_NOT_FOUND;
	case EFI_OUT_OF_RESOURCES:
	case EFI_VOLUME_FULL:
		return SB_FULL;
	default:
		return SB_IO;
	}
}

/* gnu-efi's prototypes lack const. */
static CHAR16 *name(void)
{
	return (CHAR16 *)(uintptr_t)variable_name;
}

static enum sb_error var_read(void *ctx, uint8_t *buf, size_t cap, size_t *ret_len)
{
	struct loader *l = ctx;
	EFI_GUID guid = slotboot_guid;
	UINTN len = cap;
	UINT32 found = 0;
	EFI_STATUS status = l->rt->GetVariable(name(), &guid, &found, &len, buf);

	if (status != EFI_BUFFER_TOO_SMALL) {
		if (EFI_ERROR(status))
			return error_of(status);
		if (found != attributes)
			return SB_ATTRIBUTES;
	}
	*ret_len = len;
	return SB_OK;
}

static bool has_other_attributes(const struct loader *l)
{
	EFI_GUID guid = slotboot_guid;
	UINT32 found = attributes;
	UINTN len = 0;
	EFI_STATUS status = l->rt->GetVariable(name(), &guid, &found, &len, NULL);

	return status == EFI_BUFFER_TOO_SMALL && found != attributes;
}

static enum sb_error var_write(void *ctx, const uint8_t bytes[RECORD_BYTES])
{
	struct loader *l = ctx;
	EFI_GUID guid = slotboot_guid;
	void *data = (void *)(uintptr_t)bytes;
	EFI_STATUS status =
		l->rt->SetVariable(name(), &guid, attributes, RECORD_BYTES, data);

	/* Attributes can be changed only by deleting it; for no other reason is a
	 * variable deleted that may be the only valid copy. */
	if (EFI_ERROR(status) && has_other_attributes(l)) {
		(void)l->rt->SetVariable(name(), &guid, 0, 0, NULL);
		status = l->rt->SetVariable(name(), &guid, attributes, RECORD_BYTES, data);
	}
	return error_of(status);
}

/* Opens the mirror with the position at a copy; only if all of that is there. */
static enum sb_error mirror_open(struct loader *l, unsigned copy, UINT64 mode,
				 EFI_FILE_HANDLE *ret_file)
{
	uint64_t offset = (uint64_t)copy * STATE_STRIDE, size = 0;
	EFI_FILE_HANDLE file;
	EFI_STATUS status = file_open(l, mirror_path, mode, &file);
	enum sb_error error;

	if (EFI_ERROR(status))
		return error_of(status);
	error = error_of(file_size(file, &size));
	if (error == SB_OK && size < offset + STATE_SECTOR)
		error = SB_SHORT;
	if (error == SB_OK)
		error = error_of(file->SetPosition(file, offset));
	if (error == SB_OK)
		*ret_file = file;
	else
		(void)file->Close(file);
	return error;
}

static enum sb_error mirror_read(void *ctx, unsigned copy, uint8_t buf[RECORD_BYTES])
{
	EFI_FILE_HANDLE file;
	UINTN len = RECORD_BYTES;
	enum sb_error error = mirror_open(ctx, copy, EFI_FILE_MODE_READ, &file);

	if (error != SB_OK)
		return error;
	error = error_of(file->Read(file, &len, buf));
	(void)file->Close(file);
	return error == SB_OK && len < RECORD_BYTES ? SB_SHORT : error;
}

/* The whole sector, so that the firmware's driver need not merge it with what
 * is there: one write, old or new. */
static enum sb_error mirror_write(void *ctx, unsigned copy, const uint8_t bytes[RECORD_BYTES])
{
	uint8_t sector[STATE_SECTOR] = { 0 };
	EFI_FILE_HANDLE file;
	UINTN len = sizeof sector;
	EFI_STATUS status;
	enum sb_error error =
		mirror_open(ctx, copy, EFI_FILE_MODE_READ | EFI_FILE_MODE_WRITE, &file);

	if (error != SB_OK)
		return error;
	for (unsigned i = 0; i < RECORD_BYTES; i++)
		sector[i] = bytes[i];
	status = file->Write(file, &len, sector);
	if (!EFI_ERROR(status))
		status = file->Flush(file);
	(void)file->Close(file);
	if (!EFI_ERROR(status) && len < sizeof sector)
		return SB_SHORT;
	return error_of(status);
}

struct state_ops storage_ops(struct loader *l)
{
	return (struct state_ops){
		.ctx = l,
		.var_read = var_read,
		.var_write = var_write,
		.mirror_read = mirror_read,
		.mirror_write = mirror_write,
		.esp = l->esp,
	};
}
