/* SPDX-License-Identifier: MIT */
#include "kexec.h"

#include "cmdline.h"
#include "handover.h"
#include "kexec_slot.h"
#include "loadpin.h"
#include "preflight.h"
#include "secureboot.h"
#include "io.h"

#include <errno.h>
#include <linux/kexec.h>
#include <string.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <sys/utsname.h>

/* Seconds until a new kernel that panics returns to the firmware. */
#define KEXEC_PANIC_S "10"

int kexec_nonce_new(unsigned slot, uint64_t *ret_nonce, struct err *err)
{
	uint64_t nonce = 0;

	while (nonce <= 1)
		if (getrandom(&nonce, sizeof nonce, 0) != sizeof nonce)
			return err_errno(err, EX_SOFTWARE, errno, "failed to make a nonce");
	*ret_nonce = (nonce & ~(uint64_t)1) | slot;
	return 0;
}

/* Since Linux 5.1 kexec_file_load(2) hands ACPI's root pointer over itself; older
 * kernels rely on the EFI runtime map, which efi=noruntime takes away. */
bool kexec_rsdp_needed(const char *release, bool runtime_map)
{
	unsigned major = 0, minor = 0;

	if (runtime_map || sscanf(release, "%u.%u", &major, &minor) != 2)
		return false;
	return major < 5 || (major == 5 && minor < 1);
}

/* ACPI's root pointer from the EFI system table, as "0x..."; false without one. */
static bool rsdp_find(const struct config *config, char out[32])
{
	_cleanup_free_ char *path = NULL;
	_cleanup_free_ uint8_t *text = NULL;
	const char *at;
	size_t len;

	if (asprintf(&path, "%s/sys/firmware/efi/systab", config->sysroot) < 0 ||
	    read_file(path, 64 * 1024, &text, &len) < 0)
		return false;
	at = strstr((char *)text, "ACPI20=");
	return at && sscanf(at + 7, "%31s", out) == 1;
}

static void rsdp_append(const struct config *config, char *text, size_t cap)
{
	_cleanup_free_ char *map = NULL;
	struct utsname uts;
	char rsdp[32];
	size_t len = strlen(text);

	if (uname(&uts) < 0 ||
	    asprintf(&map, "%s/sys/firmware/efi/runtime-map", config->sysroot) < 0)
		return;
	if (kexec_rsdp_needed(uts.release, access(map, F_OK) == 0) && rsdp_find(config, rsdp))
		(void)snprintf(text + len, cap - len, " acpi_rsdp=%s", rsdp);
}

int kexec_cmdline(const struct config *config, const char *handed, unsigned slot,
		  uint64_t nonce, char **ret_text, struct err *err)
{
	size_t cap = strlen(handed) + 128, value_len;
	char *text = malloc(cap);
	int n;

	if (!text)
		return err_errno(err, EX_SOFTWARE, errno, "failed to make the command line");
	n = snprintf(text, cap, "%s%s", handed, *handed ? " " : "");
	if (!cmdline_get(handed, "slotboot.slot", &value_len))
		n += snprintf(text + n, cap - (size_t)n, "slotboot.slot=%c ", slot_letter(slot));
	n += snprintf(text + n, cap - (size_t)n, "slotboot.nonce=%016llx",
		      (unsigned long long)nonce);
	if (!cmdline_get(handed, "panic", &value_len))
		(void)snprintf(text + n, cap - (size_t)n, " panic=" KEXEC_PANIC_S);
	rsdp_append(config, text, cap);
	*ret_text = text;
	return 0;
}

bool kexec_is_pinned(const struct config *config)
{
	return config->kexec_kernel && config->kexec_initrd;
}

static int load_error(const char *name, int error, struct err *err)
{
	static const struct {
		int error, exit;
		const char *cause;
	} causes[] = {
		{ EPERM, EX_NOPERM,
		  "not permitted: it needs CAP_SYS_BOOT, and kexec_load_disabled = 0 in "
		  "/proc/sys/kernel; kernel lockdown (Secure Boot) allows only a signed .linux" },
		{ EACCES, EX_NOPERM, "not permitted by a security module (LoadPin, IMA, SELinux)" },
		{ EBUSY, EX_TEMPFAIL, "another kexec load is under way; try again" },
		{ ENOSYS, EX_UNAVAILABLE, "the running kernel has no kexec_file_load "
					  "(CONFIG_KEXEC_FILE)" },
		{ ENOEXEC, EX_DATAERR, "its .linux is not a kernel the running one can start" },
		{ EINVAL, EX_DATAERR, "the running kernel refuses it: its .linux is damaged, or "
				      "its command line is too long for it" },
		{ ENOKEY, EX_DATAERR, "its .linux is signed by nobody in the kernel's keyrings" },
		{ EKEYREJECTED, EX_DATAERR, "the signature of its .linux is wrong" },
		{ EBADMSG, EX_DATAERR, "its .linux or the signature on it is damaged" },
		{ ENODATA, EX_DATAERR, "its .linux is not signed, and the running kernel demands "
				       "it" },
		{ ENOMEM, EX_UNAVAILABLE, "not enough free memory" },
		{ EADDRNOTAVAIL, EX_UNAVAILABLE, "no room for it in memory" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(causes); i++)
		if (causes[i].error == error)
			return err_set(err, causes[i].exit, "failed to load %s for kexec: %s "
				       "(%s)", name, causes[i].cause, strerror(error));
	return err_errno(err, EX_UNAVAILABLE, error, "failed to load %s for kexec", name);
}

/* The preflight's checks name the cause; the table above, what is left. They look
 * at the file on the ESP, which is as good as any for words. */
static int load_failed(const struct machine *machine, const char *name, const struct handover *h,
		       const char *cmdline, int error, struct err *err)
{
	const struct config *config = machine->config;
	struct ukifile uki;
	const struct preflight_input input = {
		.sysroot = config->sysroot,
		.uki = &uki,
		.cmdline = cmdline,
		.initrd_size = h->initrd.size,
		.pinned = kexec_is_pinned(config),
		.secure_boot = secureboot_known(&machine->vars),
		.keyring_read = preflight_keyring_read,
	};
	int r;

	if (ukifile_open(name, &uki, NULL) < 0)
		return load_error(name, error, err);
	r = preflight_error(&input, error, err);
	ukifile_close(&uki);
	return r < 0 ? -1 : load_error(name, error, err);
}

/* A sealed copy, or the file that LoadPin accepts. */
static int pin(const struct config *config, unsigned slot, struct handover *h, struct err *err)
{
	int fd;

	if (config->kexec_kernel) {
		if (loadpin_open(config->kexec_kernel, slot, &h->kernel, 0, h->kernel.size, &fd,
				 err) < 0)
			return -1;
		memfile_close(&h->kernel);
		h->kernel.fd = fd;
	}
	if (config->kexec_initrd && h->initrd.fd >= 0) {
		if (loadpin_open(config->kexec_initrd, slot, &h->initrd, h->own_begin, h->own_end,
				 &fd, err) < 0)
			return -1;
		memfile_close(&h->initrd);
		h->initrd.fd = fd;
	}
	return 0;
}

static int load(const struct machine *machine, const char *name, struct handover *h,
		unsigned slot, uint64_t nonce, struct err *err)
{
	const struct config *config = machine->config;
	_cleanup_free_ char *cmdline = NULL;
	unsigned long flags;

	if (pin(config, slot, h, err) < 0 ||
	    kexec_cmdline(config, h->cmdline, slot, nonce, &cmdline, err) < 0)
		return -1;
	if (strlen(cmdline) >= h->cmdline_max)
		return load_failed(machine, name, h, cmdline, EINVAL, err);
	/* The only flag, and as old as the call. */
	flags = h->initrd.fd < 0 ? KEXEC_FILE_NO_INITRAMFS : 0;
	if (syscall(SYS_kexec_file_load, h->kernel.fd, h->initrd.fd, strlen(cmdline) + 1, cmdline,
		    flags) < 0)
		return load_failed(machine, name, h, cmdline, errno, err);
	return 0;
}

int kexec_handover(struct machine *machine, const struct ukifile *uki,
		   const struct manifest *manifest, unsigned slot, struct handover *ret_handover,
		   struct err *err)
{
	struct uki_place place = { .esp = machine->esp.dir, .manifest = manifest };
	_cleanup_free_ char *extra_dir = NULL;
	bool secure;

	if (asprintf(&extra_dir, "%s.extra.d", uki->name) < 0) {
		extra_dir = NULL;
		return err_errno(err, EX_SOFTWARE, errno, "failed to stage %s", uki->name);
	}
	if (secureboot_is_on(&machine->vars, &secure, err) < 0)
		return -1;
	place.extra_dir = extra_dir;
	return handover_make(uki, &place, slot, secure, ret_handover, err);
}

struct kexec_image {
	char *name;		/* of the UKI, for messages */
	struct handover handover;
};

int kexec_prepare(struct machine *machine, unsigned slot, struct kexec_image **ret_image,
		  struct err *err)
{
	_cleanup_(kexec_image_freep) struct kexec_image *image = calloc(1, sizeof *image);
	struct slot_uki uki;
	int r;

	if (!image)
		return err_set(err, EX_SOFTWARE, "failed to stage slot %c: out of memory",
			       slot_letter(slot));
	image->handover = (struct handover){ .kernel = MEMFILE_NONE, .initrd = MEMFILE_NONE };
	if (kexec_slot_open(machine, slot, &uki, err) < 0)
		return -1;
	r = kexec_handover(machine, &uki.uki, uki.manifest, slot, &image->handover, err);
	image->name = uki.uki.name;
	uki.uki.name = NULL;
	slot_uki_close(&uki);	/* free its memory for the kernel */
	if (r < 0)
		return -1;
	*ret_image = image;
	image = NULL;
	return 0;
}

void kexec_image_free(struct kexec_image *image)
{
	if (!image)
		return;
	handover_clear(&image->handover);
	free(image->name);
	free(image);
}

void kexec_image_freep(struct kexec_image **image)
{
	kexec_image_free(*image);
}

const char *kexec_image_ignored(const struct kexec_image *image)
{
	return image->handover.ignored;
}

int kexec_load(const struct machine *machine, unsigned slot, uint64_t nonce,
	       struct kexec_image *image, struct err *err)
{
	return load(machine, image->name, &image->handover, slot, nonce, err);
}

int kexec_unload(struct err *err)
{
	if (syscall(SYS_kexec_file_load, -1, -1, 0UL, NULL, KEXEC_FILE_UNLOAD) < 0)
		return err_errno(err, EX_UNAVAILABLE, errno, "failed to unload the staged kernel");
	return 0;
}

int kexec_cancel(const struct config *config, struct err *err)
{
	return kexec_is_loaded(config) ? kexec_unload(err) : 0;
}

bool kexec_is_loaded(const struct config *config)
{
	_cleanup_free_ char *path = NULL;
	_cleanup_free_ uint8_t *text = NULL;
	size_t len;

	return asprintf(&path, "%s/sys/kernel/kexec_loaded", config->sysroot) >= 0 &&
	       read_file(path, 16, &text, &len) == 0 && text[0] == '1';
}
