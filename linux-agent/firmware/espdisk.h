/* SPDX-License-Identifier: MIT */
/*
 * Whether what a system runs from is on the ESP's disk. Two disks with the same labels
 * are what goes wrong: / is mounted from one, the ESP from the other, and an update is
 * half on each. A system whose / is on another disk by design has other labels there.
 */
#pragma once

#include "espinfo.h"

#include <sys/types.h>

/* root is the block device that / stands on. -1: a partition below it (through dm and md)
 * is on another disk, the ESP's disk has one of the same label, and none below it is on
 * the ESP's disk. EX_CONFIG, naming both. 0: nothing speaks against it, also where sysfs
 * does not tell, or the disk is an image file. */
int esp_disk_compare(const struct esp_info *esp, dev_t root, struct err *err);

/* Whether the directory is mounted from what the loader must not write a part of: -1,
 * EX_CONFIG, where it is a software RAID, or multipath of which esp-device names one path.
 * (Without esp-device esp_info_find() refuses both.) */
int esp_mount_check(const struct esp_info *esp, struct err *err);
