/* SPDX-License-Identifier: MIT */
/* The partitions' GUIDs are those that the UKI's command line, or the caller, asks for. */
#pragma once

#include "layout.h"

/*
 * Where the command line has root=PARTUUID=GUID with {slot} in it, the slots get the GUIDs that
 * come of it; and where these differ in the last digit alone (a and b), ESP and data get the same
 * with e and c: fstab can name them. uki is the descriptor of a UKI, and remains the caller's.
 *
 * guid: the same for a UKI that names no partition: a GUID as text, whose last digit is replaced by
 * a, b, c and e; NULL. EX_USAGE: it is none, or the UKI names others.
 *
 * adopted: the partitions are there and keep theirs, which must be the ones asked for. EX_CONFIG:
 * they are not. EX_DATAERR: the UKI asks for the same partition in both slots, or its root= is no GUID.
 */
int provision_root(int uki, const char *guid, bool adopted, struct layout *layout, struct err *err);
