/* SPDX-License-Identifier: MIT */
/* The partition table of a layout, made by libfdisk in memory: nothing is written to the disk here. */
#pragma once

#include "layout.h"

/* A memory file as large as the disk, in which only the protective MBR and both tables take room:
 * the caller writes GPT_HEAD_BYTES from its beginning and what gpt_tail() says from its end, and
 * closes it. The MBR's boot code says that the disk boots by UEFI. EX_SOFTWARE. */
int gpt_make(const struct layout *layout, int *ret_fd, struct err *err);

/* MBR, header and entries, in sectors of 512 and 4096. */
#define GPT_HEAD_BYTES (6u * 4096)
/* Where the second table begins, a multiple of 4096. */
uint64_t gpt_tail(uint64_t disk_bytes);
