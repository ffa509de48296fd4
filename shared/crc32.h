/* SPDX-License-Identifier: MIT */
/* CRC-32 as in ISO 3309, zlib and EFI's CalculateCrc32(); bit by bit, because
 * 252 bytes a boot need no table. */
#pragma once

#include <stddef.h>
#include <stdint.h>

uint32_t crc32_of(const uint8_t *data, size_t len);
