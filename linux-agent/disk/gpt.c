/* SPDX-License-Identifier: MIT */
#include "gpt.h"

#include "bootcode.h"
#include "io.h"

#include <errno.h>
#include <libfdisk.h>
#include <string.h>
#include <sys/mman.h>

#define BLOCK 4096u
#define ENTRIES_BYTES (128 * 128)

static void unref_context(struct fdisk_context **ctx)
{
	fdisk_unref_context(*ctx);
}

static void unref_partition(struct fdisk_partition **part)
{
	fdisk_unref_partition(*part);
}

uint64_t gpt_tail(uint64_t disk_bytes)
{
	return (disk_bytes - BLOCK - ENTRIES_BYTES) / BLOCK * BLOCK;
}

static int failed(const char *what, int r, struct err *err)
{
	return err_errno(err, EX_SOFTWARE, r < 0 ? -r : EIO, "failed to make the partition table (%s)", what);
}

static int type_set(struct fdisk_context *ctx, struct fdisk_partition *part, const char *type)
{
	struct fdisk_parttype *t = fdisk_label_parse_parttype(fdisk_get_label(ctx, "gpt"), type);
	int r = t ? fdisk_partition_set_type(part, t) : -ENOMEM;

	fdisk_unref_parttype(t);
	return r;
}

static int part_add(struct fdisk_context *ctx, const struct layout *l, const struct layout_part *p)
{
	_cleanup_(unref_partition) struct fdisk_partition *part = fdisk_new_partition();
	char guid[LAYOUT_GUID_TEXT];
	int r;

	if (!part)
		return -ENOMEM;
	layout_guid_text(p->guid, guid);
	r = fdisk_partition_set_partno(part, p->number - 1);
	if (r == 0)
		r = fdisk_partition_set_start(part, p->start / l->sector_bytes);
	if (r == 0)
		r = fdisk_partition_set_size(part, p->bytes / l->sector_bytes);
	if (r == 0)
		r = fdisk_partition_set_name(part, p->name);
	if (r == 0)
		r = fdisk_partition_set_uuid(part, guid);
	if (r == 0)
		r = type_set(ctx, part, p->type);
	if (r == 0)
		r = fdisk_add_partition(ctx, part, NULL);
	return r == 0 && p->attributes ? fdisk_gpt_set_partition_attrs(ctx, p->number - 1, p->attributes) : r;
}

/* The label's GUID is asked for in a dialog, there being no other way to set it. */
static int answer(struct fdisk_context *ctx, struct fdisk_ask *ask, void *data)
{
	char *text;

	(void)ctx;
	if (fdisk_ask_get_type(ask) != FDISK_ASKTYPE_STRING)
		return 0;
	text = strdup(data);
	return text ? fdisk_ask_string_set_result(ask, text) : -ENOMEM;
}

static int table_write(struct fdisk_context *ctx, const struct layout *l, int fd, struct err *err)
{
	char guid[LAYOUT_GUID_TEXT];
	int r;

	layout_guid_text(l->guid, guid);
	(void)fdisk_disable_dialogs(ctx, 0);
	(void)fdisk_set_ask(ctx, answer, guid);
	r = fdisk_save_user_sector_size(ctx, l->sector_bytes, l->sector_bytes);
	if (r == 0)
		r = fdisk_assign_device_by_fd(ctx, fd, "the disk", 0);
	if (r == 0)
		r = fdisk_create_disklabel(ctx, "gpt");
	if (r == 0)
		r = fdisk_set_disklabel_id(ctx);
	if (r != 0)
		return failed("header", r, err);
	for (size_t i = 0; i < l->count; i++) {
		r = part_add(ctx, l, &l->parts[i]);
		if (r != 0)
			return failed(l->parts[i].name, r, err);
	}
	r = fdisk_write_disklabel(ctx);
	return r != 0 ? failed("writing", r, err) : 0;
}

int gpt_make(const struct layout *layout, int *ret_fd, struct err *err)
{
	_cleanup_close_ int fd = memfd_create("gpt", MFD_CLOEXEC);
	_cleanup_(unref_context) struct fdisk_context *ctx = fdisk_new_context();

	if (fd < 0 || ftruncate(fd, (off_t)layout->disk_bytes) < 0 || !ctx)
		return err_errno(err, EX_SOFTWARE, errno, "failed to make the partition table");
	if (table_write(ctx, layout, fd, err) < 0)
		return -1;
	if (pwrite_full(fd, bootcode, sizeof bootcode, 0) < 0)
		return err_errno(err, EX_SOFTWARE, errno, "failed to make the partition table");
	*ret_fd = fd;
	fd = -1;
	return 0;
}
