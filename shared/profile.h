/* SPDX-License-Identifier: MIT */
/*
 * The profile of a UKI that belongs to a slot (UAPI.5, Unified Kernel Image): the one
 * whose .profile section, text in the syntax of os-release(5), has ID=slot-a or
 * ID=slot-b. systemd-stub takes its number, "@N" at the begin of the load options,
 * under Secure Boot too; the slot's command line is then signed with the UKI.
 */
#pragma once

#include "pe.h"

#define PROFILE_TEXT_MAX 2048
#define PROFILE_OPTIONS_MAX 4	/* "@95" and a NUL */

/* The slot (0 or 1) that the text of a .profile is for; -1: for none. Ends at the
 * first NUL. As in a shell, the last ID= counts. */
int profile_slot(const uint8_t *text, size_t len);

/* SB_NOT_FOUND: the UKI has profiles for no slot. What else goes wrong is the UKI's
 * fault: SB_RANGE: it has one for the other slot alone, or two for this one; SB_LONG: a
 * .profile is larger than PROFILE_TEXT_MAX; SB_IO. */
enum sb_error profile_find(const struct pe_image *image, unsigned slot, unsigned *ret_profile);

/* "@N", terminated; profile < PE_MAX_SECTIONS. Returns its length. */
size_t profile_options(unsigned profile, char ret_text[PROFILE_OPTIONS_MAX]);
