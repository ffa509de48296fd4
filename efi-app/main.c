/* SPDX-License-Identifier: MIT */
#include "bli.h"
#include "chainload.h"
#include "console.h"
#include "devicepath.h"
#include "report.h"
#include "shim.h"
#include "storage.h"
#include "successor.h"
#include "ticks.h"
#include "watchdog.h"

EFI_STATUS EFIAPI efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *st);

static EFI_STATUS loader_init(struct loader *l, EFI_HANDLE image, EFI_SYSTEM_TABLE *st)
{
	EFI_GUID loaded = EFI_LOADED_IMAGE_PROTOCOL_GUID, path = EFI_DEVICE_PATH_PROTOCOL_GUID;
	EFI_STATUS status;

	*l = (struct loader){
		.image = image,
		.st = st,
		.bs = st->BootServices,
		.rt = st->RuntimeServices,
	};
	status = l->bs->HandleProtocol(image, &loaded, (void **)&l->self);
	if (EFI_ERROR(status))
		return status;
	status = l->bs->HandleProtocol(l->self->DeviceHandle, &path, (void **)&l->device_path);
	if (!EFI_ERROR(status))
		l->esp = devicepath_guid(l->device_path);
	return status;
}

static void reset(void *ctx)
{
	struct loader *l = ctx;

	l->rt->ResetSystem(EfiResetCold, EFI_SUCCESS, 0, NULL);
}

static bool needs_reset(void *ctx)
{
	struct loader *l = ctx;
	bool gone = shim_is_gone(l);

	if (gone)
		console_put(l, "slotboot: shim is not there any more; another image needs a reset\r\n");
	return gone;
}

EFI_STATUS EFIAPI efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *st)
{
	uint64_t begin = ticks_read();
	struct loader l;
	EFI_STATUS status = loader_init(&l, image, st);
	struct boot_ops ops = {
		.ctx = &l,
		.storage = storage_ops(&l),
		.start = chainload_start,
		.report = report_trace,
		.watchdog_arm = watchdog_arm,
		.watchdog_disarm = watchdog_disarm,
		.watchdog_fired = watchdog_fired,
		.once = bli_once,
		.entries = bli_entries,
		.hand_over = successor_start,
		.reset = reset,
		.needs_reset = needs_reset,
	};
	struct trace trace;

	if (EFI_ERROR(status)) {
		console_put(&l, "slotboot: cannot find the disk it was loaded from (EFI status ");
		console_put_hex(&l, status);
		console_put(&l, "); returning to the firmware\r\n");
		return status;
	}
	bli_announce(&l, begin);
	boot_run(&ops, &trace);
	/* UEFI 2.10, 3.1.1: on EFI_SUCCESS the firmware may stop at its menu, on
	 * an error it goes on with BootOrder. */
	return EFI_LOAD_ERROR;
}
