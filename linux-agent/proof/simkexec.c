/* SPDX-License-Identifier: MIT */
/*
 * What the agent reaches past struct disk and struct vars: kexec.h (the kernel
 * remembers the slot that is staged), report.h (silent), and, through the
 * linker's --wrap, ukifile_open(), read_file(), cms_verify_detached(), access() and
 * time().
 */
#include "cms.h"
#include "kexec.h"
#include "report.h"
#include "native.h"
#include "sim.h"
#include "ukifile.h"
#include "io.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

struct world *sim_world;

int kexec_nonce_new(unsigned slot, uint64_t *ret_nonce, struct err *err)
{
	(void)slot;
	(void)err;
	*ret_nonce = SIM_NONCE;
	return 0;
}

struct kexec_image {
	char unused;
};

int kexec_prepare(struct machine *machine, unsigned slot, struct kexec_image **ret_image,
		  struct err *err)
{
	_cleanup_free_ char *path = NULL;
	struct ukifile uki;

	if (machine_slot_file(machine, slot, "uki.efi", &path, err) < 0 ||
	    ukifile_open(path, &uki, err) < 0)
		return -1;
	ukifile_close(&uki);
	*ret_image = calloc(1, sizeof **ret_image);
	return *ret_image ? 0 : err_set(err, EX_SOFTWARE, "out of memory");
}

void kexec_image_free(struct kexec_image *image)
{
	free(image);
}

void kexec_image_freep(struct kexec_image **image)
{
	free(*image);
}

const char *kexec_image_ignored(const struct kexec_image *image)
{
	(void)image;
	return NULL;
}

int kexec_load(const struct machine *machine, unsigned slot, uint64_t nonce,
	       struct kexec_image *image, struct err *err)
{
	(void)image;
	if (nonce != SIM_NONCE || machine->state.record.kexec_nonce != nonce)
		return err_set(err, EX_SOFTWARE, "staged without an intent");
	sim_world->session.staged = (int)slot;
	return 0;
}

int kexec_unload(struct err *err)
{
	(void)err;
	sim_world->session.staged = -1;
	return 0;
}

bool kexec_is_loaded(const struct config *config)
{
	(void)config;
	return sim_world->session.staged >= 0;
}

int kexec_cancel(const struct config *config, struct err *err)
{
	(void)config;
	return kexec_unload(err);
}

void report_step(struct report *report, const char *step, const char *fmt, ...)
{
	(void)report;
	(void)step;
	(void)fmt;
}

void report_numbers(struct report *report, const char *step, const struct report_number *numbers,
		    const char *fmt, ...)
{
	(void)report;
	(void)step;
	(void)numbers;
	(void)fmt;
}

void report_amounts(struct report *report, uint64_t fetched, uint64_t reused)
{
	(void)report;
	(void)fetched;
	(void)reused;
}

void report_progress(struct report *report, uint64_t done, uint64_t total)
{
	(void)report;
	(void)done;
	(void)total;
}

void report_warning(struct report *report, const char *fmt, ...)
{
	(void)report;
	(void)fmt;
}

void report_on_warning(void *report, const char *what)
{
	(void)report;
	(void)what;
}

int __wrap_ukifile_open(const char *path, struct ukifile *ret_uki, struct err *err);
int __wrap_read_file(const char *path, size_t max, uint8_t **ret_data, size_t *ret_len);
int __wrap_cms_verify_detached(const uint8_t *data, size_t len, const uint8_t *sig,
			       size_t siglen, const char *keyring,
			       const struct cms_rules *rules, char **ret_signer,
			       struct err *err);
int __wrap_access(const char *path, int mode);
time_t __wrap_time(time_t *t);

static const struct sim_file *file_of(const char *path)
{
	int name = simdisk_name(path);

	errno = ENOENT;
	return name < 0 ? NULL : simdisk_find(sim_world, (enum sim_name)name);
}

int __wrap_ukifile_open(const char *path, struct ukifile *ret_uki, struct err *err)
{
	const struct sim_file *f = file_of(path);
	int fd;

	if (!f)
		return err_errno(err, EX_IOERR, errno, "failed to open %s", path);
	fd = memfd_create("uki", MFD_CLOEXEC);
	if (fd < 0 || pwrite_full(fd, f->now, f->size, 0) < 0)
		return err_errno(err, EX_IOERR, errno, "failed to copy %s", path);
	return ukifile_open_fd(fd, path, ret_uki, err);
}

/* All that there is of /sys: a watchdog that Linux drives. And of /proc, where the loader is
 * a file, or keys change: which boot this is. */
static bool is_sys_file(const char *path, struct sim_file *file)
{
	char text[64] = "";

	if (sim_world->watchdog &&
	    strcmp(path, SIM_SYSROOT "/sys/class/watchdog/watchdog0/identity") == 0)
		(void)snprintf(text, sizeof text, "iTCO_wdt\n");
	if ((sim_world->loader || sim_world->keys) &&
	    strcmp(path, SIM_SYSROOT "/proc/sys/kernel/random/boot_id") == 0)
		(void)snprintf(text, sizeof text, "00000000-0000-4000-8000-%012u\n", sim_world->boots);
	memcpy(file->now, text, sizeof text);
	file->size = (uint16_t)strlen(text);
	return *text;
}

int __wrap_read_file(const char *path, size_t max, uint8_t **ret_data, size_t *ret_len)
{
	struct sim_file sys;
	const struct sim_file *f = is_sys_file(path, &sys) ? &sys : file_of(path);
	uint8_t *data = f && f->size <= max ? malloc(f->size + 1u) : NULL;

	if (!data)
		return -1;
	memcpy(data, f->now, f->size);
	data[f->size] = 0;
	*ret_data = data;
	*ret_len = f->size;
	return 0;
}

int __wrap_cms_verify_detached(const uint8_t *data, size_t len, const uint8_t *sig,
			       size_t siglen, const char *keyring,
			       const struct cms_rules *rules, char **ret_signer,
			       struct err *err)
{
	uint8_t want[SIM_SIGNATURE];

	(void)keyring, (void)rules;
	sim_sign(data, len, want);
	if (siglen != sizeof want || memcmp(sig, want, sizeof want) != 0)
		return err_set(err, EX_DATAERR, "the signature is not good");
	*ret_signer = strdup("CN=sim");
	return 0;
}

/* Where the loader is no file in this world, it is there. */
int __wrap_access(const char *path, int mode)
{
	int name = simdisk_name(path);

	(void)mode;
	errno = ENOENT;
	if (strcmp(path, "esp2/EFI/slotboot/slotboot" NATIVE_EFI ".efi") == 0)
		return 0;
	if (name < 0 || (name == NAME_LOADER && !sim_world->loader))
		return name < 0 ? -1 : 0;
	return simdisk_find(sim_world, (enum sim_name)name) ? 0 : -1;
}

time_t __wrap_time(time_t *t)
{
	if (t)
		*t = 1700000000;
	return 1700000000;
}
