/* SPDX-License-Identifier: MIT */
/*
 * What a script and a login want to know without asking slotctl, in /run:
 *
 *     /run/slotboot/status.json      what status --json prints; replaced, never rewritten
 *     /run/slotboot/slots/running    a link to the device of the running slot's image:
 *     /run/slotboot/slots/other      "rootfs", or else the first that is configured
 *     /run/slotboot/files            a link to the running slot's directory below files=
 *     /run/motd.d/slotboot           a line, while a slot is bad that failed by itself
 *
 * Made at boot (slotboot-status.service) and by every verb that changes a slot.
 */
#pragma once

#include "machine.h"

/* EX_IOERR, EX_NOPERM: /run cannot be written. That a slot was left goes to the journal,
 * once a boot. */
int export_write(struct machine *machine, struct err *err);
