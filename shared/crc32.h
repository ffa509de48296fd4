/* SPDX-License-Identifier: MIT */
/* CRC-32 as in ISO 3309, zlib and EFI's CalculateCrc32(); four bits at a
 * time: a boot takes 252 bytes, but the simulator many millions. */
#pragma once

#include <stddef.h>
#include <stdint.h>

uint32_t crc32_of(const uint8_t *data, size_t len);
