/* SPDX-License-Identifier: MIT */
/*
 * The files of an ESP that is being made: in memory, so that an image file needs neither root nor a
 * loop device and a run that is cut off leaves nothing behind. Then a FAT with them, by mkfs.fat
 * and mtools, in a memory file.
 */
#pragma once

#include "disk.h"
#include "fat_size.h"

/* Of files and directories: our own, and those of the manifest's payloads. */
#define ESP_STAGE_MAX 56

struct esp_stage {
	struct esp_stage_file {
		char *path;	/* below the ESP: "EFI/slotboot/a/uki.efi" */
		int fd;		/* -1: a directory */
	} files[ESP_STAGE_MAX];
	size_t count;
};

void esp_stage_clear(struct esp_stage *stage);

/* As struct disk has them; a descriptor is one of this process. */
int esp_stage_open(struct esp_stage *stage, const char *path, enum disk_open how);
int esp_stage_make_dir(struct esp_stage *stage, const char *path);
int esp_stage_remove(struct esp_stage *stage, const char *path);
int esp_stage_stat(struct esp_stage *stage, const char *path, struct disk_stat *ret_stat);
uint64_t esp_stage_bytes(const struct esp_stage *stage);

/* Creates the directories on the way. EX_SOFTWARE: no memory. */
int esp_stage_put(struct esp_stage *stage, const char *path, const void *data, size_t len, struct err *err);

struct esp_make {
	uint64_t bytes;
	struct fat_size fat;
	uint32_t volume_id;
	uint64_t time;		/* of every file, seconds since 1970; 0: now */
};

/* A memory file with the file system; the caller closes. EX_UNAVAILABLE: a program is missing or fails;
 * EX_DATAERR: the files do not fit. */
int esp_stage_make(struct esp_stage *stage, const struct esp_make *make, int *ret_fd, struct err *err);
