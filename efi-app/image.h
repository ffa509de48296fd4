/* SPDX-License-Identifier: MIT */
/* The sections of an image that the firmware has loaded, without reading its
 * file again. */
#pragma once

#include "loader.h"
#include "pe.h"

/* As pe_open(); loaded must outlive the image. */
enum sb_error image_open(const EFI_LOADED_IMAGE *loaded, struct pe_image *ret_image);

/* The section's bytes in memory, *ret_len of them; NULL if there is none. */
const uint8_t *image_section(const EFI_LOADED_IMAGE *loaded, const char *name,
			     size_t *ret_len);
