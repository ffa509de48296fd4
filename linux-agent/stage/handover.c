/* SPDX-License-Identifier: MIT */
#include "handover.h"

#include "addon.h"
#include "cmdline.h"
#include "kernel_image.h"
#include "slot_cmdline.h"
#include "stub.h"
#include "io.h"

#include <errno.h>
#include <string.h>

/* The facts about a UKI that are collected before its first byte is copied. */
struct plan {
	const struct ukifile *uki;
	const struct uki_place *place;
	unsigned stub, profile;
	struct addons addons;
	struct beside beside;
	char *cmdline;
};

static void plan_clear(struct plan *plan)
{
	addons_clear(&plan->addons);
	beside_clear(&plan->beside);
	free(plan->cmdline);
}

void handover_clear(struct handover *handover)
{
	memfile_close(&handover->kernel);
	memfile_close(&handover->initrd);
	free(handover->cmdline);
	free(handover->ignored);
	*handover = (struct handover){ .kernel = MEMFILE_NONE, .initrd = MEMFILE_NONE };
}

static int text_clean(const struct plan *p, const struct ukifile *file, const char *raw,
		      char **ret_text, struct err *err)
{
	if (stub_text(p->stub, raw, ret_text, err) < 0)
		return err_prefix(err, "%s", file->name);
	return 0;
}

/* The loader passes a command line with {slot} itself, where "@1 " at the beginning
 * selects a profile. For a slot's own profile it passes only the number. */
static int own_text(struct plan *p, unsigned slot, char **ret_text, struct err *err)
{
	_cleanup_(slot_cmdline_clear) struct slot_cmdline cmdline = { 0 };
	_cleanup_free_ uint8_t *raw = NULL;
	struct pe_section section;
	const char *rest;
	size_t len;

	if (slot_cmdline_read(p->uki, slot, &cmdline, err) < 0)
		return -1;
	p->profile = cmdline.profile;
	rest = cmdline.text;
	if (cmdline.way == SLOT_WAY_FILL && stub_does(p->stub, STUB_PROFILES) &&
	    stub_profile_parse(cmdline.text, &p->profile, &rest)) {
		if (ukifile_part(p->uki, p->profile, ".profile", &section, err) < 0)
			return -1;
		if (p->profile > 0 && section.size == 0)
			return err_set(err, EX_DATAERR, "%s has no profile @%u", p->uki->name,
				       p->profile);
	}
	if (*rest)
		return text_clean(p, p->uki, rest, ret_text, err);
	if (ukifile_section_in(p->uki, p->profile, ".cmdline", CMDLINE_MAX, &raw, &len, err) < 0)
		return -1;
	return text_clean(p, p->uki, (char *)raw, ret_text, err);
}

static int text_join(char **text, const char *more, struct err *err)
{
	char *joined = NULL;

	if (!*more)
		return 0;
	if (asprintf(&joined, "%s%s%s", *text, **text ? " " : "", more) < 0)
		return err_errno(err, EX_SOFTWARE, errno, "failed to make the command line");
	free(*text);
	*text = joined;
	return 0;
}

static int addon_text(struct plan *p, const struct ukifile *addon, struct err *err)
{
	_cleanup_free_ uint8_t *raw = NULL;
	_cleanup_free_ char *text = NULL;
	size_t len;

	if (ukifile_section(addon, ".cmdline", CMDLINE_MAX, &raw, &len, err) < 0)
		return -1;
	if (text_clean(p, addon, (char *)raw, &text, err) < 0)
		return -1;
	return text_join(&p->cmdline, text, err);
}

static int plan_make(const struct ukifile *uki, const struct uki_place *place, unsigned slot,
		     struct plan *ret_plan, struct err *err)
{
	_cleanup_(plan_clear) struct plan p = {
		.uki = uki, .place = place, .beside = { .manifest = place->manifest, .slot = slot },
	};

	if (stub_version(uki, &p.stub, err) < 0)
		return -1;
	if (own_text(&p, slot, &p.cmdline, err) < 0)
		return -1;
	if (addons_read(uki, p.profile, p.stub, place, &p.beside, &p.addons, err) < 0)
		return -1;
	for (size_t i = 0; i < p.addons.count; i++)
		if (addon_text(&p, p.addons.items[i], err) < 0)
			return -1;
	*ret_plan = p;
	p = (struct plan){ 0 };
	return 0;
}

int handover_check_kernel(const uint8_t *head, size_t len, const char *name,
			  size_t *ret_cmdline_max, struct err *err)
{
	struct kernel_image image = { .format = KERNEL_IMAGE_UNKNOWN };
	uint32_t max;

	if (len >= KERNEL_IMAGE_HEADER)
		kernel_image_parse(head, len, &image);
	max = kernel_image_cmdline_max(&image);
	if (max == 0)
		return err_set(err, EX_DATAERR, "%s cannot be started: its .linux is not a kernel",
			       name);
	*ret_cmdline_max = max;
	return 0;
}

bool handover_loses_dtb(const struct ukifile *uki)
{
	static const char *const names[] = { ".dtb", ".dtbauto" };
	struct pe_section section;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (uki->image.machine == PE_MACHINE_AARCH64 &&
		    pe_section_find(&uki->image, names[i], &section) == SB_OK && section.size > 0)
			return true;
	return false;
}

static int check_dtb(const struct ukifile *file, struct err *err)
{
	if (!handover_loses_dtb(file))
		return 0;
	return err_set(err, EX_DATAERR, "%s brings a device tree, which a kexec would lose: "
		       "reboot through the firmware", file->name);
}

static int check_plan(const struct plan *p, bool secure_boot, struct err *err)
{
	if (check_dtb(p->uki, err) < 0)
		return -1;
	if (secure_boot && p->addons.stranger)
		return err_set(err, EX_CONFIG, "%s is an addon, whose signature only the firmware "
			       "can check under Secure Boot: remove it, or reboot through the "
			       "firmware", p->addons.stranger);
	for (size_t i = 0; i < p->addons.count; i++)
		if (check_dtb(p->addons.items[i], err) < 0)
			return -1;
	return 0;
}

static int check_kernel(const struct plan *p, struct handover *h, struct err *err)
{
	uint8_t head[KERNEL_IMAGE_HEADER] = { 0 };
	size_t len = h->kernel.size < sizeof head ? (size_t)h->kernel.size : sizeof head;

	if (pread_full(h->kernel.fd, head, len, 0) < 0)
		return err_errno(err, EX_IOERR, errno, "failed to read %s", p->uki->name);
	return handover_check_kernel(head, len, p->uki->name, &h->cmdline_max, err);
}

static int part_append(const struct ukifile *file, unsigned profile, const char *name,
		       struct memfile *out, struct err *err)
{
	struct pe_section section;

	if (ukifile_part(file, profile, name, &section, err) < 0)
		return -1;
	if (memfile_copy(out, file->fd, section.offset, section.size) < 0)
		return err_errno(err, EX_IOERR, errno, "failed to stage %s of %s", name,
				 file->name);
	return 0;
}

static int align(struct memfile *file, struct err *err)
{
	return memfile_align(file) == 0
		       ? 0
		       : err_errno(err, EX_IOERR, errno, "failed to make the initrd");
}

static int addons_append(const struct plan *p, const char *name, bool backwards,
			 struct memfile *out, struct err *err)
{
	size_t count = stub_does(p->stub, STUB_ADDON_INITRDS) ? p->addons.count : 0;

	for (size_t i = 0; i < count; i++)
		if (part_append(p->addons.items[backwards ? count - 1 - i : i], 0, name, out,
				err) < 0 || align(out, err) < 0)
			return -1;
	return 0;
}

static int initrd_make(struct plan *p, struct handover *h, struct err *err)
{
	struct memfile *out = &h->initrd;

	if (addons_append(p, ".ucode", true, out, err) < 0)
		return -1;
	h->own_begin = out->size;
	if (stub_does(p->stub, STUB_UCODE) &&
	    (part_append(p->uki, p->profile, ".ucode", out, err) < 0 || align(out, err) < 0))
		return -1;
	if (part_append(p->uki, p->profile, ".initrd", out, err) < 0)
		return -1;
	h->own_end = out->size;
	if (align(out, err) < 0 ||
	    uki_extras_append(p->uki, p->profile, p->stub, p->place, &p->beside, out, err) < 0)
		return -1;
	return addons_append(p, ".initrd", false, out, err);
}

static int files_seal(const struct plan *p, struct handover *h, struct err *err)
{
	if (memfile_seal(&h->kernel) < 0 || memfile_seal(&h->initrd) < 0)
		return err_errno(err, EX_IOERR, errno, "failed to seal what is staged of %s",
				 p->uki->name);
	if (h->initrd.size == 0)
		memfile_close(&h->initrd);
	return 0;
}

static int files_make(struct plan *p, struct handover *h, struct err *err)
{
	if (memfile_open(".linux", &h->kernel) < 0 || memfile_open(".initrd", &h->initrd) < 0)
		return err_errno(err, EX_IOERR, errno, "failed to stage %s", p->uki->name);
	if (part_append(p->uki, p->profile, ".linux", &h->kernel, err) < 0 ||
	    check_kernel(p, h, err) < 0 || initrd_make(p, h, err) < 0)
		return -1;
	return files_seal(p, h, err);
}

int handover_make(const struct ukifile *uki, const struct uki_place *place, unsigned slot,
		  bool secure_boot, struct handover *ret_handover, struct err *err)
{
	_cleanup_(handover_clear) struct handover h = { .kernel = MEMFILE_NONE,
							.initrd = MEMFILE_NONE };
	_cleanup_(plan_clear) struct plan p = { 0 };

	if (ukifile_check(uki, err) < 0 || plan_make(uki, place, slot, &p, err) < 0 ||
	    ukifile_check_sections(uki, stub_does(p.stub, STUB_PROFILES), err) < 0 ||
	    check_plan(&p, secure_boot, err) < 0 || files_make(&p, &h, err) < 0 ||
	    beside_check(&p.beside, place->extra_dir, secure_boot, err) < 0)
		return -1;
	h.cmdline = p.cmdline;
	p.cmdline = NULL;
	h.ignored = p.addons.ignored;
	p.addons.ignored = NULL;
	*ret_handover = h;
	h = (struct handover){ .kernel = MEMFILE_NONE, .initrd = MEMFILE_NONE };
	return 0;
}
