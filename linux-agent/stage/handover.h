/* SPDX-License-Identifier: MIT */
/*
 * What systemd-stub would hand to a UKI's kernel, made in user space for
 * kexec_file_load(2): the kernel, one initrd, and the command line. The initrd, each
 * part padded to 4 bytes:
 *
 *     .ucode of the addons, the last one's first
 *     .ucode, .initrd
 *     the archives of uki_extras.h
 *     .initrd of the addons
 *
 * As the stub that the UKI holds would do it (stub.h).
 */
#pragma once

#include "memfile.h"
#include "uki_extras.h"
#include "ukifile.h"

#include <stdbool.h>

struct handover {
	struct memfile kernel, initrd;	/* sealed; no initrd: size 0, not open */
	uint64_t own_begin, own_end;	/* of .ucode and .initrd in it */
	char *cmdline;
	size_t cmdline_max;		/* bytes the kernel takes, with the NUL */
	char *ignored;			/* addons that were passed over, in words; or NULL */
};

/* Reads everything and changes nothing. EX_DATAERR: the UKI is to blame (damaged, no
 * kernel in .linux, a device tree that would be lost, a command line that is no
 * text), or a file beside it is not what the signed manifest says; EX_CONFIG: under Secure
 * Boot addons, or files beside the UKI, that no signed manifest vouches for; EX_IOERR. The caller clears, only after success. */
int handover_make(const struct ukifile *uki, const struct uki_place *place, unsigned slot,
		  bool secure_boot, struct handover *ret_handover, struct err *err);
void handover_clear(struct handover *handover);

/* Whether kernels for a PE machine take their device tree from the boot loader, so
 * that a .dtb would be lost in a kexec. */
bool handover_loses_dtb(const struct ukifile *uki);

/* Whether an image's head (at least 1024 bytes of it) is a kernel that can be loaded, and
 * how many bytes of command line it takes (with the NUL). EX_DATAERR. */
int handover_check_kernel(const uint8_t *head, size_t len, const char *name,
			  size_t *ret_cmdline_max, struct err *err);
