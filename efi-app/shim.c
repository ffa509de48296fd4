/* SPDX-License-Identifier: MIT */
#include "shim.h"

#if defined(__x86_64__)
#define SHIM_ABI __attribute__((sysv_abi))
#else
#define SHIM_ABI
#endif

/* 605dab50-e046-4300-abb6-3dd810dd8b23; in shim.h of shim, 15.8 */
struct shim_lock {
	EFI_STATUS (SHIM_ABI *verify)(void *data, uint32_t size);
};

/* UEFI Platform Initialization 1.8, volume 2, 12.9.2: asked by LoadImage of every image. */
struct security2;
typedef EFI_STATUS (EFIAPI *authentication)(const struct security2 *security,
					    const EFI_DEVICE_PATH *path, void *data, UINTN size,
					    BOOLEAN boot_policy);
struct security2 {
	authentication authenticate;
};

/* The one thing that the loader keeps outside of its struct: the firmware gives a function that
 * it calls nothing to know us by. */
static struct {
	const struct shim_lock *lock;
	authentication firmware;
} asked;

/* shim measures what it says yes to, as the firmware would have. */
static EFI_STATUS EFIAPI shim_authenticate(const struct security2 *security,
					   const EFI_DEVICE_PATH *path, void *data, UINTN size,
					   BOOLEAN boot_policy)
{
	if (data && size <= UINT32_MAX && !EFI_ERROR(asked.lock->verify(data, (uint32_t)size)))
		return EFI_SUCCESS;
	return asked.firmware(security, path, data, size, boot_policy);
}

#define SHIM_LOCK_GUID \
	{ 0x605dab50, 0xe046, 0x4300, { 0xab, 0xb6, 0x3d, 0xd8, 0x10, 0xdd, 0x8b, 0x23 } }

static void *protocol(const struct loader *l, EFI_GUID guid)
{
	void *found;

	return EFI_ERROR(l->bs->LocateProtocol(&guid, NULL, &found)) ? NULL : found;
}

static const struct shim_lock *shim_lock(const struct loader *l)
{
	return protocol(l, (EFI_GUID)SHIM_LOCK_GUID);
}

/* shim takes its protocol away before it starts an image, and puts it back on the same handle if
 * the image comes back with an error. A handle without protocols is none: 15.8 finds that it
 * cannot, asks for a key, and switches the machine off. With something else on it, it stays. */
static void handle_keep(const struct loader *l)
{
	EFI_GUID shim = SHIM_LOCK_GUID, ours = SLOTBOOT_GUID;
	EFI_HANDLE handle;
	UINTN size = sizeof handle;

	if (!EFI_ERROR(l->bs->LocateHandle(ByProtocol, &shim, NULL, &size, &handle)))
		(void)l->bs->InstallProtocolInterface(&handle, &ours, EFI_NATIVE_INTERFACE, NULL);
}

static struct security2 *security2(const struct loader *l)
{
	return protocol(l, (EFI_GUID){ 0x94ab2f58, 0x1438, 0x4ef1,
				       { 0x91, 0x52, 0x18, 0x94, 0x1a, 0x3a, 0x0e, 0x68 } });
}

/* Of shim 16 and later: LoadImage is its own. */
static bool shim_loads(const struct loader *l)
{
	return protocol(l, (EFI_GUID){ 0x1f492041, 0xfadb, 0x4e59,
				       { 0x9e, 0x57, 0x7c, 0xaf, 0xe7, 0x3a, 0x55, 0xab } });
}

EFI_STATUS shim_load(struct loader *l, EFI_DEVICE_PATH *path, void *data, UINTN size,
		     EFI_HANDLE *ret_image)
{
	struct security2 *security = NULL;
	EFI_HANDLE image = NULL;
	EFI_STATUS status;

	asked.lock = shim_lock(l);
	if (asked.lock && !shim_loads(l))
		security = security2(l);
	if (security) {
		if (!l->by_shim)
			handle_keep(l);
		l->by_shim = true;
		asked.firmware = security->authenticate;
		security->authenticate = shim_authenticate;
	}
	status = l->bs->LoadImage(FALSE, l->image, path, data, size, &image);
	if (security)
		security->authenticate = asked.firmware;
	/* UEFI 2.10, 7.4.1: loaded all the same, to be started never. */
	if (status == EFI_SECURITY_VIOLATION && image)
		(void)l->bs->UnloadImage(image);
	*ret_image = EFI_ERROR(status) ? NULL : image;
	return status;
}

bool shim_is_gone(struct loader *l)
{
	return l->by_shim && !shim_lock(l);
}
