/* SPDX-License-Identifier: MIT */
#include "install_check.h"

#include "beside_fit.h"
#include "cmdline.h"
#include "direct.h"
#include "efi_auth.h"
#include "espfile.h"
#include "native.h"
#include "rollback_floor.h"
#include "roothash.h"
#include "policy.h"
#include "secureboot.h"
#include "slot_cmdline.h"
#include "slot_manifest.h"
#include "slot_target.h"
#include "uki_layout.h"
#include "ukifile.h"
#include "io.h"
#include "verity.h"
#include "version_compare.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

int install_check_target(const struct machine *machine, unsigned *ret_slot, struct err *err)
{
	unsigned running = machine->running.slot;
	const struct slot *slot = &machine->state.record.slots[running];
	char name = slot_letter(running);

	if (machine->state.source == STATE_LOST)
		return err_set(err, EX_CONFIG,
			       "there is no valid slot record on this machine; if the running "
			       "slot %c works, run slotctl mark-good first", name);
	if (!policy_slot_confirmed(slot, machine->running.kexec))
		return err_set(err, EX_CONFIG,
			       "the running slot %c is not confirmed (%s): an install would "
			       "overwrite the slot to fall back to; run slotctl mark-good first",
			       name, slot_status_text(slot->status));
	/* What is left would be started by BootOrder, again and again. */
	if (machine_is_direct(machine) && slot->status != SLOT_GOOD)
		return err_set(err, EX_CONFIG, "the running slot %c is confirmed after a kexec only, and without "
			       "the loader (activation = direct) no install may overwrite the slot that the "
			       "firmware is known to start: reboot first", name);
	*ret_slot = 1 - running;
	return 0;
}

static bool is_recorded(const struct machine *machine, unsigned slot, const struct payload *uki)
{
	const struct slot *s = &machine->state.record.slots[slot];

	return machine->state.source == STATE_LOST || s->status == SLOT_WRITING ||
	       !(s->flags & SLOT_FLAG_DIGEST) ||
	       (s->uki_size == uki->size &&
		memcmp(s->uki_sha256, uki->sha256, sizeof uki->sha256) == 0);
}

int install_check_slot_signed(const struct machine *machine, unsigned slot,
			      struct signed_manifest *ret_manifest, struct err *err)
{
	_cleanup_free_ char *stem = NULL;
	int r;

	if (machine_slot_file(machine, slot, "manifest", &stem, err) < 0)
		return -1;
	r = signed_manifest_read_kept(stem, machine->config->keyring, &machine->config->rules,
				      ret_manifest, err);
	if (r < 1 || is_recorded(machine, slot, manifest_uki(ret_manifest->manifest)))
		return r;
	signed_manifest_clear(ret_manifest);
	return err_set(err, EX_DATAERR, "the signed manifest %s.json is not of the UKI that the slot "
		       "record has for slot %c", stem, slot_letter(slot));
}

char *install_check_slot_version(const struct machine *machine, unsigned slot,
				 bool *ret_verified, struct err *err)
{
	_cleanup_(signed_manifest_clear) struct signed_manifest m = { 0 };
	_cleanup_(manifest_freep) struct manifest *unsigned_one = NULL;

	*ret_verified = install_check_slot_signed(machine, slot, &m, err) == 1;
	if (*ret_verified)
		return strdup(m.manifest->version);
	unsigned_one = slot_manifest_read(machine->esp.dir, slot);
	return unsigned_one ? strdup(unsigned_one->version) : NULL;
}

/* Whatever the command line says. */
static int check_floor(const struct machine *machine, const struct manifest *manifest,
		       struct report *report, struct err *err)
{
	_cleanup_free_ char *files = rollback_floor_files(machine);
	struct rollback_floor floor;

	if (!files)
		return err_set(err, EX_SOFTWARE, "failed to check the floor: out of memory");
	if (rollback_floor_load(machine, &floor, err) < 0)
		return -1;
	if (floor.ignored.exit)
		report_warning(report, "%s", floor.ignored.text);
	if (*floor.version && version_compare(manifest->version, floor.version) < 0)
		return err_set(err, EX_DATAERR, "the bundle's version %s is lower than this "
			       "machine's rollback floor %s, raised by a manifest that %s signed: "
			       "refused; should the floor be wrong, remove %s", manifest->version,
			       floor.version, floor.signer, files);
	return 0;
}

/* An unsigned file on the ESP proves nothing. */
static int check_downgrade(const struct machine *machine, const struct manifest *manifest,
			   struct err *err)
{
	_cleanup_(signed_manifest_clear) struct signed_manifest running = { 0 };
	unsigned slot = machine->running.slot;
	struct err why = { 0 };
	int r = install_check_slot_signed(machine, slot, &running, &why);

	if (r == 0)
		(void)err_set(&why, EX_CONFIG, "it has no signed manifest (EFI/slotboot/%c/"
			      "manifest.p7s), as one that was provisioned by hand",
			      slot_letter(slot));
	if (r < 1)
		return err_set(err, EX_CONFIG, "failed to see whether version %s is a downgrade: the "
			       "version of the running slot %c is not known: %s; --allow-downgrade "
			       "installs the bundle all the same", manifest->version,
			       slot_letter(slot), why.text);
	if (version_compare(manifest->version, running.manifest->version) < 0)
		return err_set(err, EX_DATAERR,
			       "the bundle's version %s is lower than the running %s; "
			       "--allow-downgrade installs it all the same",
			       manifest->version, running.manifest->version);
	return 0;
}

int install_check_identity(const struct machine *machine, const struct manifest *manifest,
			   bool allow_downgrade, struct report *report, struct err *err)
{
	if (!machine->config->compatible)
		return err_set(err, EX_CONFIG,
			       "failed to check the bundle: compatible= is not set in "
			       "slotboot.conf");
	if (strcmp(machine->config->compatible, manifest->compatible) != 0)
		return err_set(err, EX_DATAERR,
			       "the bundle is for %s, this machine is %s: refused",
			       manifest->compatible, machine->config->compatible);
	if (manifest->architecture && strcmp(manifest->architecture, ukifile_machine_text(NATIVE_MACHINE)) != 0)
		return err_set(err, EX_DATAERR, "the bundle is for %s, this machine is %s: refused",
			       manifest->architecture, ukifile_machine_text(NATIVE_MACHINE));
	if (check_floor(machine, manifest, report, err) < 0)
		return -1;
	return allow_downgrade ? 0 : check_downgrade(machine, manifest, err);
}

static int image_room(const struct machine *machine, const struct payload *payload,
		      unsigned slot, struct err *err)
{
	const struct config_image *image = config_image_find(machine->config, payload->name);
	struct slot_target dev;
	uint64_t room;
	int r;

	if (!image)
		return err_set(err, EX_CONFIG,
			       "the bundle has an image %s, but slotboot.conf has no [image %s]",
			       payload->name, payload->name);
	/* Open it for writing: one in use is refused now, not half-way. */
	if (slot_target_open(&machine->disk, image->target[slot], &dev, err) < 0)
		return -1;
	r = slot_target_room(&dev, &room, err);
	slot_target_close(&dev);
	if (r < 0)
		return -1;
	if (payload->size > room)
		return err_set(err, EX_DATAERR,
			       "the image %s (%llu bytes) does not fit slot %c (%s, %llu bytes%s)",
			       payload->name, (unsigned long long)payload->size,
			       slot_letter(slot), image->target[slot], (unsigned long long)room,
			       slot_target_is_file(&dev) ? " with what is free beside it" : "");
	return 0;
}

static bool manifest_has_image(const struct manifest *manifest, const char *name)
{
	for (size_t i = 0; i < manifest->payload_count; i++)
		if (manifest->payloads[i].type == PAYLOAD_IMAGE &&
		    strcmp(manifest->payloads[i].name, name) == 0)
			return true;
	return false;
}

/* An image that the bundle left out would stay what the idle slot has: of some older
 * release, which a new UKI would make good with a version that hides it, or half of one. */
static int check_complete(const struct machine *machine, const struct manifest *manifest,
			  unsigned slot, struct err *err)
{
	const struct config *config = machine->config;

	for (size_t i = 0; i < config->image_count; i++)
		if (!manifest_has_image(manifest, config->images[i].name))
			return err_set(err, EX_DATAERR,
				       "the bundle has no image %s, so slot %c would keep an "
				       "older one: refused; make the bundle with --image=%s=FILE, "
				       "or --reference=%s=FILE where the machine has it",
				       config->images[i].name, slot_letter(slot),
				       config->images[i].name, config->images[i].name);
	return 0;
}

/* A block device in use cannot be opened for writing; a file below a loop device can. */
static int check_mounted(const struct machine *machine, unsigned slot, struct err *err)
{
	_cleanup_free_ char *where = running_where_mounted(machine->config, slot);

	if (!where)
		return 0;
	return err_set(err, EX_CONFIG, "slot %c is mounted on %s, and would be written: unmount it "
		       "first", slot_letter(slot), where);
}

/* What removing the old version's files gives back: those beside the UKI, or those below files=. */
static uint64_t files_freed(const struct machine *machine, const struct manifest *old,
			    unsigned slot, bool beside)
{
	uint64_t sum = 0;

	for (size_t i = 0; old && i < old->payload_count; i++) {
		const struct payload *payload = &old->payloads[i];
		_cleanup_free_ char *path = NULL;
		struct disk_stat st;

		if ((payload->type != PAYLOAD_FILE) == beside &&
		    slot_payload_file(machine, slot, payload, &path, NULL) == 0 && path &&
		    machine->disk.stat(machine->disk.ctx, path, &st) == 0)
			sum += st.size;
	}
	return sum;
}

/* What the new version's take, in whole clusters. */
static uint64_t files_bytes(const struct manifest *manifest, unsigned slot, bool beside)
{
	const uint64_t cluster = 64 * 1024;	/* the largest of FAT */
	uint64_t sum = 0;

	for (size_t i = 0; i < manifest->payload_count; i++) {
		const struct payload *payload = &manifest->payloads[i];

		if (beside ? manifest_beside(payload, slot) != NULL : payload->type == PAYLOAD_FILE)
			sum += (payload->size + cluster - 1) / cluster * cluster;
	}
	return sum;
}

/* Where the directory is missing its file system may not be mounted: it is not made. */
static int check_files(const struct machine *machine, const struct manifest *manifest,
		       const struct manifest *old, unsigned slot, struct err *err)
{
	uint64_t need = files_bytes(manifest, slot, false), room;
	const char *files = machine->config->files;

	if (need == 0)
		return 0;
	if (!files)
		return err_set(err, EX_CONFIG, "the bundle has files for a directory of each slot, and "
			       "slotboot.conf does not say where: set files = DIRECTORY, on a file system "
			       "that both slots mount");
	if (machine->disk.room(machine->disk.ctx, files, &room) < 0)
		return err_errno(err, EX_CONFIG, errno, "failed to find room for the bundle's files in %s "
				 "(files = in slotboot.conf)", files);
	room += files_freed(machine, old, slot, false);
	if (need > room)
		return err_set(err, EX_DATAERR, "the bundle's files need %llu bytes in %s, which has %llu for "
			       "them: make room there", (unsigned long long)need, files,
			       (unsigned long long)room);
	return 0;
}

static int check_esp(const struct machine *machine, const struct bundle *bundle,
		     const struct manifest *old, unsigned slot, struct err *err)
{
	const struct manifest *manifest = bundle_manifest(bundle);
	uint64_t loader = manifest->loader.file ? manifest->loader.size : 0;
	const struct payload *uki = manifest_uki(manifest);
	size_t json_len, p7s_len;
	const uint8_t *json, *p7s;

	bundle_manifest_bytes(bundle, &json, &json_len, &p7s, &p7s_len);
	return espfile_check_room(&machine->disk, machine->esp.dir, slot,
				  uki->size + uki->index.size + files_bytes(manifest, slot, true) +
				  json_len + p7s_len + loader, files_freed(machine, old, slot, true), err);
}

int install_check_room(const struct machine *machine, const struct bundle *bundle,
		       unsigned slot, struct err *err)
{
	_cleanup_(manifest_freep) struct manifest *old = slot_manifest_read(machine->esp.dir, slot);
	const struct manifest *manifest = bundle_manifest(bundle);

	if (check_esp(machine, bundle, old, slot, err) < 0 ||
	    check_files(machine, manifest, old, slot, err) < 0)
		return -1;
	for (size_t i = 0; i < manifest->payload_count; i++)
		if (manifest->payloads[i].type == PAYLOAD_IMAGE &&
		    image_room(machine, &manifest->payloads[i], slot, err) < 0)
			return -1;
	if (check_complete(machine, manifest, slot, err) < 0)
		return -1;
	return check_mounted(machine, slot, err);
}

int install_check_keys(const struct payload *payload, int memory, struct err *err)
{
	_cleanup_free_ uint8_t *data = malloc((size_t)payload->size);
	struct efi_auth auth;

	if (!data || pread_full(memory, data, (size_t)payload->size, 0) < 0)
		return err_errno(err, EX_SOFTWARE, errno, "failed to look at %s", payload->name);
	if (efi_auth_parse(payload->name, efi_auth_variable_of(payload->name), data, (size_t)payload->size,
			   &auth, err) < 0)
		return -1;
	efi_auth_clear(&auth);
	return 0;
}

static int check_cmdline(const struct secureboot *rules, const struct ukifile *uki, unsigned slot,
			 const struct ukifile *addon, struct report *report, struct err *err)
{
	const struct ukifile *addons[SLOT_COUNT] = { NULL };
	struct slot_cmdline cmdlines[SLOT_COUNT];

	addons[slot] = addon;
	if (slot_cmdline_check(uki, addons, rules->on, cmdlines, err) < 0)
		return -1;
	report_step(report, "cmdline", "the slot's command line: %s",
		    slot_cmdline_way(&cmdlines[slot]));
	for (unsigned i = 0; i < SLOT_COUNT; i++)
		slot_cmdline_clear(&cmdlines[i]);
	return 0;
}

/* A slot that the firmware refuses falls over in the same boot and costs nothing but the update:
 * known now, it costs not even that. NULL: there is none. */
static int check_starts(const struct secureboot *rules, const struct ukifile *file,
			struct report *report, struct err *err)
{
	struct secureboot_verdict v;

	if (!file || !rules->on)
		return 0;
	secureboot_look(rules, &file->image.source, false, &v);
	if (v.answer == SECUREBOOT_REFUSED)
		return secureboot_refuse(&v, file->name, err);
	if (v.answer == SECUREBOOT_UNKNOWN)
		report_warning(report, "%s %s: %s", secureboot_would(v.answer), file->name, v.words);
	else
		report_step(report, "secure-boot", "%s %s: %s", secureboot_would(v.answer), file->name,
			    v.words);
	return 0;
}

/* fd stays the caller's. */
static int open_copy(int fd, const char *name, struct ukifile *ret_uki, struct err *err)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);

	if (copy < 0)
		return err_errno(err, EX_SOFTWARE, errno, "failed to look at %s", name);
	return ukifile_open_fd(copy, name, ret_uki, err);
}

static int check_uki(const struct secureboot *rules, const struct manifest *manifest, unsigned slot,
		     const struct ukifile *uki, const struct ukifile *addon, struct report *report,
		     struct err *err)
{
	char doubt[512];

	if (ukifile_check(uki, err) < 0 || uki_layout_check(uki, err) < 0 ||
	    check_cmdline(rules, uki, slot, addon, report, err) < 0 ||
	    beside_fit_check(manifest, uki, err) < 0 ||
	    roothash_check_cmdline(manifest, uki, err) < 0 ||
	    check_starts(rules, uki, report, err) < 0 || check_starts(rules, addon, report, err) < 0)
		return -1;
	for (unsigned kind = 0; kind < UKI_LAYOUT_DOUBTS; kind++)
		if (uki_layout_doubt(uki, kind, doubt, sizeof doubt))
			report_warning(report, "%s", doubt);
	return 0;
}

int install_check_uki(struct machine *machine, const struct manifest *manifest, unsigned slot,
		      int uki, int addon, struct report *report, struct err *err)
{
	_cleanup_(ukifile_close) struct ukifile file = { .fd = -1 }, beside = { .fd = -1 };
	_cleanup_(secureboot_clear) struct secureboot rules = { .now = 0 };
	const struct payload *p = manifest_addon(manifest, slot);

	if (open_copy(uki, manifest_uki(manifest)->file, &file, err) < 0 ||
	    (p && open_copy(addon, p->file, &beside, err) < 0) ||
	    secureboot_read(&machine->vars, &rules, err) < 0)
		return -1;
	return check_uki(&rules, manifest, slot, &file, p ? &beside : NULL, report, err);
}
