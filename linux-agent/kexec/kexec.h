/* SPDX-License-Identifier: MIT */
/*
 * Skipping the firmware: what systemd-stub would hand to a UKI's kernel (handover.h)
 * goes to the running one with kexec_file_load(2), and the jump follows a clean shutdown.
 */
#pragma once

#include "handover.h"
#include "machine.h"

#include <stdbool.h>

/* The command line the new kernel gets: what systemd-stub would have given it
 * (struct handover), then slotboot.slot= (unless it is there) and slotboot.nonce=,
 * panic= unless it is there (a panic shall end on the slot that the firmware boots),
 * and acpi_rsdp= where the running kernel would not hand ACPI's root over by itself.
 * The caller frees. */
int kexec_cmdline(const struct config *config, const char *handed, unsigned slot,
		  uint64_t nonce, char **ret_text, struct err *err);

/* Never 0. Its lowest bit is the slot, all others are random (FORMAT, the record). */
int kexec_nonce_new(unsigned slot, uint64_t *ret_nonce, struct err *err);

/* Everything but the system call: what goes to the kernel made of the slot's UKI, and
 * that checked (slot_uki_open()). Changes nothing. Errors as in both. The
 * caller frees. */
struct kexec_image;
int kexec_prepare(struct machine *machine, unsigned slot, struct kexec_image **ret_image,
		  struct err *err);
void kexec_image_free(struct kexec_image *image);
void kexec_image_freep(struct kexec_image **image);

/* Files beside the UKI that were passed over, in words, or NULL; the image's. */
const char *kexec_image_ignored(const struct kexec_image *image);

/* Stages it under this nonce; it replaces what was staged before. Nothing else
 * changes. Errors as in loadpin_open(); each errno of the call becomes a sentence with
 * its cause: EX_NOPERM, EX_UNAVAILABLE where the kernel will not, EX_DATAERR where the
 * UKI is to blame. */
int kexec_load(const struct machine *machine, unsigned slot, uint64_t nonce,
	       struct kexec_image *image, struct err *err);

/* What would be staged of a UKI that is the slot's, without its tokens and without
 * the system call; for kexec explain. manifest: the signed one that vouches for the slot, or
 * NULL. As handover_make(). */
int kexec_handover(struct machine *machine, const struct ukifile *uki,
		   const struct manifest *manifest, unsigned slot, struct handover *ret_handover, struct err *err);

/* slotboot.conf names the files that go to the kernel, for LoadPin. */
bool kexec_is_pinned(const struct config *config);

/* Forgets what is staged; nothing staged is success. */
int kexec_unload(struct err *err);

/* The same, without a system call when nothing is staged: for verbs after which a
 * jump into it would be wrong (systemd jumps into anything staged). */
int kexec_cancel(const struct config *config, struct err *err);

/* Whether a kernel is staged. */
bool kexec_is_loaded(const struct config *config);

/* Whether the running kernel needs acpi_rsdp= for the next: release as in uname,
 * runtime_map whether /sys/firmware/efi/runtime-map is there. */
bool kexec_rsdp_needed(const char *release, bool runtime_map);
