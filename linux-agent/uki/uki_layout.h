/* SPDX-License-Identifier: MIT */
/*
 * Whether a firmware can load a UKI: a file whose parts can all be read may still be
 * wrong as an image in memory, and then hang the machine or end in an assertion.
 *
 * Sections are compared as a firmware lays them out, [VirtualAddress, + VirtualSize):
 *
 *   overlap each other or the headers    refused: one would overwrite the other
 *   end beyond SizeOfImage               refused: so much memory is not there
 *   are not at their SectionAlignment    refused where that is whole pages, since a
 *                                        firmware then protects them page by page
 *
 * .sbat and .sdmagic are read from the file only and may overlap: those of a Debian 12
 * stub do once ukify has extended .sbat.
 */
#pragma once

#include "ukifile.h"

#include <stdbool.h>
#include <stddef.h>

/* EX_DATAERR names the sections and their addresses. Also refuses a .cmdline with
 * nothing in it, at which stubs hang. */
int uki_layout_check(const struct ukifile *uki, struct err *err);

/* What the format allows and some firmware does not take, in words; kind below
 * UKI_LAYOUT_DOUBTS: more than 25 sections; one at an odd place in the file; a gap between
 * two in memory, or one that is not behind those before it; a .cmdline with a line break.
 * False: nothing of that kind. */
#define UKI_LAYOUT_DOUBTS 4
bool uki_layout_doubt(const struct ukifile *uki, unsigned kind, char *text, size_t size);
