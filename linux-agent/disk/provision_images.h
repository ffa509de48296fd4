/* SPDX-License-Identifier: MIT */
/*
 * The images of the bundle, and the partitions that each slot has for them. The first is the one
 * named rootfs, else the bundle's first, and has slotboot-a and slotboot-b; each further one has
 * slotboot-a-NAME and slotboot-b-NAME, which the machine finds without configuration, unless
 * [image NAME] of the configuration names them otherwise: /dev/disk/by-partlabel/LABEL is the
 * label, /dev/disk/by-partuuid/GUID the GUID of the partition. Any other path says nothing of a
 * disk that is being made, and is not looked at.
 */
#pragma once

#include "manifest.h"
#include "provision.h"

/* Fills images of want. EX_DATAERR: an empty disk cannot have one of them; EX_CONFIG: no label can be
 * made of its name, or that of the configuration is none; EX_USAGE: a size for an image that the
 * bundle does not have, or two for one. Names remain the manifest's. */
int provision_images_want(const struct provision_options *options, const struct manifest *manifest,
			  struct layout_want *want, struct err *err);

/* The configuration's images are those of want from here on, on the partitions of layout of that disk
 * (target.h). */
int provision_images_config(struct config *config, const char *disk, const struct layout_want *want,
			    const struct layout *layout, struct err *err);
