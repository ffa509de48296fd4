/* SPDX-License-Identifier: MIT */
/* The ESP and its disk, and the loader's two files. */
#include "bootentries.h"
#include "doctor_checks.h"
#include "espdisk.h"
#include "espfile.h"
#include "io.h"
#include "native.h"
#include "ukifile.h"

#include <errno.h>
#include <string.h>

#define LOADER_MAX (4 << 20)
#define FALLBACK "EFI/BOOT/BOOT" NATIVE_EFI_CAPITALS ".EFI"

static void esp_fault(struct findings *findings, const char *id, const char *what,
		      const struct err *why)
{
	struct finding *f = finding_add(findings, FINDING_FAULT, id);

	finding_say(f, what, "%s", what);
	finding_say(f, cause, "%s", why->text);
}

static void boot_flag(const struct machine *m, struct findings *findings)
{
	struct finding *f = finding_add(findings, FINDING_FAULT, "pmbr-boot");

	finding_say(f, what, "the protective MBR of %s has its boot flag set", m->esp.disk);
	finding_say(f, cause, "some firmware takes the disk for one without UEFI then, and removes "
		    "boot entries");
	finding_say(f, remedy, "parted %s disk_set pmbr_boot off", m->esp.disk);
}

void doctor_esp(const struct machine *machine, struct findings *findings)
{
	struct err why = { 0 };

	if (machine->esp_error.exit)
		esp_fault(findings, "esp-other", "this is not the disk that the machine runs from",
			  &machine->esp_error);
	if (esp_mount_check(&machine->esp, &why) < 0)
		esp_fault(findings, "esp-part-of-one", "the loader would write a part of the ESP only",
			  &why);
	if (machine->esp.pmbr_boot)
		boot_flag(machine, findings);
}

/* A file of the ESP, and what is wrong with it as a program. */
struct program {
	char *path;
	uint8_t *data;
	size_t len;
	bool there;
	struct err why;		/* exit 0: it is whole */
};

static void program_read(const struct machine *m, const char *name, struct program *p)
{
	struct ukifile file;

	if (asprintf(&p->path, "%s/%s", m->esp.dir, name) < 0) {
		p->path = NULL;
		return;
	}
	p->there = access(p->path, F_OK) == 0;
	if (!p->there)
		return;
	if (read_file(p->path, LOADER_MAX, &p->data, &p->len) < 0)
		(void)err_errno(&p->why, EX_IOERR, errno, "failed to read %s", p->path);
	else if (ukifile_open(p->path, &file, &p->why) == 0)
		ukifile_close(&file);
	else if (p->why.exit == EX_DATAERR)
		(void)err_set(&p->why, EX_DATAERR, "it is no whole EFI program: cut off, or overwritten");
}

static void program_clear(struct program *p)
{
	free(p->path);
	free(p->data);
}

/* By its SBAT component, which each version has. */
static bool is_slotboot(const struct program *p)
{
	return p->data && memmem(p->data, p->len, "slotboot,1,", 11) != NULL;
}

static bool is_whole(const struct program *p)
{
	return p->there && !p->why.exit;
}

static void loader_check(const struct program *loader, const struct program *fallback,
			 struct findings *findings)
{
	bool copy = is_whole(fallback) && is_slotboot(fallback);
	struct finding *f;

	if (is_whole(loader) && is_slotboot(loader))
		return;
	f = finding_add(findings, FINDING_FAULT, loader->there ? "loader-damaged" : "loader-missing");
	finding_say(f, what, "the loader (%s) is %s", loader->path,
		    loader->there ? "damaged" : "missing");
	finding_say(f, cause, "%s", !loader->there	     ? "somebody has removed it, or the ESP is damaged"
				    : loader->why.exit ? loader->why.text
						       : "it is a program, but not slotboot");
	if (copy)
		finding_say(f, remedy, "cp %s %s", fallback->path, loader->path);
	else
		finding_say(f, remedy, "copy it from /usr/lib/slotboot");
}

static void fallback_check(const struct program *loader, const struct program *fallback,
			   struct findings *findings)
{
	bool same = loader->len == fallback->len && loader->data && fallback->data &&
		    memcmp(loader->data, fallback->data, loader->len) == 0;
	struct finding *f;

	if (same || (!(is_whole(loader) && is_slotboot(loader)) && is_whole(fallback) &&
		     is_slotboot(fallback)))
		return;
	if (is_whole(fallback) && !is_slotboot(fallback)) {
		f = finding_add(findings, FINDING_NOTE, "fallback-foreign");
		finding_say(f, what, "%s is another system's", fallback->path);
		finding_say(f, cause, "firmware that has lost its entries starts that, and not slotboot");
		return;
	}
	f = finding_add(findings, FINDING_FAULT, !fallback->there      ? "fallback-missing"
						 : is_whole(fallback) ? "fallback-differs"
								      : "fallback-damaged");
	finding_say(f, what, "the loader's copy (%s) is %s", fallback->path,
		    !fallback->there ? "missing"
		    : is_whole(fallback) ? "another version than the loader"
					 : "damaged");
	finding_say(f, cause, "%s", fallback->why.exit ? fallback->why.text
						     : "it is what firmware starts that has lost its "
						       "boot entries");
	finding_say(f, remedy, "cp %s %s, once the loader has booted this machine", loader->path,
		    fallback->path);
}

void doctor_loader(const struct machine *machine, struct findings *findings)
{
	_cleanup_(program_clear) struct program loader = { 0 }, fallback = { 0 };
	char name[64];

	(void)snprintf(name, sizeof name, ESP_OURS "/%s", strrchr(BOOTENTRIES_LOADER_PATH, '\\') + 1);
	program_read(machine, name, &loader);
	program_read(machine, FALLBACK, &fallback);
	loader_check(&loader, &fallback, findings);
	fallback_check(&loader, &fallback, findings);
}
