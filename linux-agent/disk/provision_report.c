/* SPDX-License-Identifier: MIT */
#include "provision_work.h"

#include "direct.h"
#include "io.h"

#include <string.h>

#define MIB ((uint64_t)1 << 20)

static const char *part_fate(const struct provision *p, const struct layout_part *part)
{
	switch (part->role) {
	case LAYOUT_ESP:
		return p->layout.fat.type == 32 ? ", FAT32" : ", FAT16";
	case LAYOUT_A:
		return ", written";
	case LAYOUT_B:
		return ", empty";
	default:
		return p->found.adopted ? ", kept" : ", without a file system";
	}
}

static void parts_report(const struct provision *p)
{
	const struct layout *l = &p->layout;
	size_t width = 0;

	for (size_t i = 0; i < l->count; i++)
		width = strlen(l->parts[i].name) > width ? strlen(l->parts[i].name) : width;
	for (size_t i = 0; i < l->count; i++) {
		const struct layout_part *part = &l->parts[i];
		char guid[LAYOUT_GUID_TEXT];

		layout_guid_text(part->guid, guid);
		report_step(p->options->report, "plan", "%u: %-*s %8llu MiB at %llu MiB, %s%s", part->number, (int)width,
			    part->name, (unsigned long long)(part->bytes / MIB), (unsigned long long)(part->start / MIB),
			    guid, part_fate(p, part));
	}
}

/* machine.c takes slotboot-a and slotboot-b for rootfs, and looks for further pairs only beside that. */
static void first_report(const struct provision *p)
{
	const char *first = p->options->config->images[0].name;

	if (first && strcmp(first, "rootfs") != 0)
		report_step(p->options->report, "plan", "slotboot-a has the image %s, not rootfs: the machine's slotboot.conf "
			    "must have [image %s] with a = /dev/disk/by-partlabel/slotboot-a, b likewise, and a section "
			    "for each further image", first, first);
}

/* Arrays are nothing that is made here. */
static void second_report(const struct provision *p)
{
	const struct provision_options *o = p->options;

	if (o->config->esps[1])
		report_step(o->report, "plan", "the configuration names two ESPs: %s gets one of them, and slots that are "
			    "partitions of this disk alone; the other disk is partitioned by hand, and its ESP filled by "
			    "mark-good", o->disk);
}

void provision_report(const struct provision *p)
{
	const struct provision_options *o = p->options;
	const struct layout *l = &p->layout;
	const struct manifest *m = bundle_manifest(p->bundle);

	report_step(o->report, "plan", "%s: %llu MiB in sectors of %u bytes, %s", o->disk,
		    (unsigned long long)(l->disk_bytes / MIB), l->sector_bytes,
		    p->found.adopted ? "whose partitions are kept" : "which gets a new GPT");
	if (p->found.what[0])
		report_step(o->report, "plan", "wiped: %s", p->found.what);
	parts_report(p);
	first_report(p);
	second_report(p);
	report_step(o->report, "plan", "slot a: version %s for %s, signed by %s", m->version, m->compatible,
		    bundle_signer(p->bundle));
	if (machine_is_direct(&p->machine))
		report_step(o->report, "plan", "no loader, and nothing in EFI/BOOT (activation = direct): the firmware "
			    "starts slot a by a boot entry of its own, which --boot-entries makes");
	else if (!p->loader)
		report_step(o->report, "plan", "the loader: version %s, which the bundle brings",
			    p->install.loader.version);
	else if (m->loader.file)
		report_step(o->report, "plan", "the loader: %s, and not the one that the bundle brings", o->loader);
	if (p->shim)
		report_step(o->report, "plan", "shim: %s, by which the firmware starts the loader",
			    o->shim ? o->shim : o->shim_default);
}
