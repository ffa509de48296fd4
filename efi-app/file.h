/* SPDX-License-Identifier: MIT */
/*
 * Files on the ESP that the loader came from. Nothing is opened before it is
 * asked for, and nothing stays open.
 */
#pragma once

#include "loader.h"

/* Opens an existing file; mode is EFI_FILE_MODE_READ, with EFI_FILE_MODE_WRITE
 * or without. The caller closes *ret_file. */
EFI_STATUS file_open(const struct loader *l, const CHAR16 *path, UINT64 mode,
		     EFI_FILE_HANDLE *ret_file);

/* Its size in bytes; moves the position to the end. */
EFI_STATUS file_size(EFI_FILE_HANDLE file, uint64_t *ret_size);
