/* SPDX-License-Identifier: MIT */
#include "chainload.h"

#include "bli.h"
#include "cmdline.h"
#include "devicepath.h"
#include "file.h"
#include "image.h"
#include "options.h"
#include "sha256.h"
#include "shim.h"

/* Some firmware's drivers fail, or spill, on larger reads. */
#define READ_CHUNK ((UINTN)1 << 20)

#define UKI_PATH L"\\EFI\\slotboot\\?\\uki.efi"
enum { UKI_LETTER = 14 };

struct uki {
	CHAR16 path[sizeof(UKI_PATH) / sizeof(CHAR16)];
	EFI_DEVICE_PATH *device_path;	/* from AllocatePool */
	uint8_t *data;			/* from AllocatePages; NULL: not read here */
	UINTN size;
};

static void uki_free(struct loader *l, struct uki *uki)
{
	if (uki->data)
		(void)l->bs->FreePages((EFI_PHYSICAL_ADDRESS)(uintptr_t)uki->data,
				       EFI_SIZE_TO_PAGES(uki->size));
	if (uki->device_path)
		(void)l->bs->FreePool(uki->device_path);
	uki->data = NULL;
	uki->device_path = NULL;
}

static EFI_STATUS uki_locate(struct loader *l, unsigned slot, struct uki *uki)
{
	static const CHAR16 path[] = UKI_PATH;

	for (size_t i = 0; i < sizeof path / sizeof path[0]; i++)
		uki->path[i] = path[i];
	uki->path[UKI_LETTER] = (CHAR16)slot_letter(slot);
	return devicepath_of_file(l, l->device_path, uki->path, sizeof uki->path, &uki->device_path);
}

/* Reads size bytes from the start and hashes them on the way. */
static EFI_STATUS data_read(EFI_FILE_HANDLE file, uint8_t *data, UINTN size,
			    uint8_t ret_digest[SHA256_BYTES])
{
	EFI_STATUS status = file->SetPosition(file, 0);
	struct sha256 hash;

	sha256_init(&hash);
	for (UINTN done = 0; !EFI_ERROR(status) && done < size;) {
		UINTN len = size - done < READ_CHUNK ? size - done : READ_CHUNK;

		status = file->Read(file, &len, data + done);
		if (!EFI_ERROR(status) && len == 0)
			status = EFI_END_OF_FILE;
		if (EFI_ERROR(status))
			break;
		sha256_update(&hash, data + done, len);
		done += len;
	}
	if (!EFI_ERROR(status))
		sha256_final(&hash, ret_digest);
	return status;
}

/* uki->data is the whole file, and the one that was installed. */
static enum slot_reason uki_read(struct loader *l, struct uki *uki, const uint8_t *digest,
				 uint64_t expected, EFI_STATUS *ret_status)
{
	uint8_t found[SHA256_BYTES], difference = 0;
	EFI_PHYSICAL_ADDRESS address = 0;
	EFI_FILE_HANDLE file;
	uint64_t size = 0;

	*ret_status = file_open(l, uki->path, EFI_FILE_MODE_READ, &file);
	if (EFI_ERROR(*ret_status))
		return REASON_LOAD;
	*ret_status = file_size(file, &size);
	if (!EFI_ERROR(*ret_status) && (size != expected || size == 0)) {
		(void)file->Close(file);
		return REASON_DIGEST;
	}
	if (!EFI_ERROR(*ret_status))
		*ret_status = l->bs->AllocatePages(AllocateAnyPages, EfiLoaderData,
						   EFI_SIZE_TO_PAGES(size), &address);
	if (!EFI_ERROR(*ret_status)) {
		uki->data = (uint8_t *)(uintptr_t)address;
		uki->size = size;
		*ret_status = data_read(file, uki->data, uki->size, found);
	}
	(void)file->Close(file);
	if (EFI_ERROR(*ret_status))
		return REASON_LOAD;
	for (unsigned i = 0; i < SHA256_BYTES; i++)
		difference |= found[i] ^ digest[i];
	return difference ? REASON_DIGEST : REASON_NONE;
}

/* What the image is told besides its path. Returns LoadOptions to free, or NULL. */
static CHAR16 *brief(struct loader *l, EFI_LOADED_IMAGE *child, unsigned slot)
{
	size_t len;

	if (!image_section(child, ".sdmagic", &len))
		bli_partition(l);
	return options_fill(l, child, slot);
}

/* Starts it. Control comes back only from an image that gave up. */
static EFI_STATUS hand_over(struct loader *l, EFI_HANDLE child, unsigned slot)
{
	EFI_GUID guid = EFI_LOADED_IMAGE_PROTOCOL_GUID;
	EFI_LOADED_IMAGE *loaded;
	CHAR16 *options = NULL;
	EFI_STATUS status;

	if (!EFI_ERROR(l->bs->HandleProtocol(child, &guid, (void **)&loaded)))
		options = brief(l, loaded, slot);
	status = l->bs->StartImage(child, NULL, NULL);
	/* An application is unloaded when it returns; then the handle is gone. One
	 * that was refused, and a driver, stay. */
	if (!EFI_ERROR(l->bs->HandleProtocol(child, &guid, (void **)&loaded)))
		(void)l->bs->UnloadImage(child);
	if (options)
		(void)l->bs->FreePool(options);
	return status;
}

enum slot_reason chainload_start(void *ctx, unsigned slot, const uint8_t *digest,
				 uint64_t size, uint64_t *ret_efi_status)
{
	struct loader *l = ctx;
	struct uki uki = { .device_path = NULL };
	EFI_HANDLE child = NULL;
	EFI_STATUS status = uki_locate(l, slot, &uki);
	enum slot_reason reason = EFI_ERROR(status) ? REASON_LOAD : REASON_NONE;

	if (reason == REASON_NONE && digest)
		reason = uki_read(l, &uki, digest, size, &status);
	if (reason == REASON_NONE) {
		status = shim_load(l, uki.device_path, uki.data, uki.size, &child);
		if (EFI_ERROR(status))
			reason = REASON_LOAD;
	}
	uki_free(l, &uki);
	if (reason == REASON_NONE) {
		status = hand_over(l, child, slot);
		reason = REASON_RETURNED;
	}
	*ret_efi_status = status;
	return reason;
}
