/* SPDX-License-Identifier: MIT */
#include "ukifile.h"

#include "io.h"
#include "native.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

static enum sb_error file_read(void *ctx, uint64_t offset, uint8_t *buf, size_t len)
{
	return pread_full(*(int *)ctx, buf, len, (off_t)offset) < 0 ? SB_IO : SB_OK;
}

int ukifile_open_fd(int fd, const char *name, struct ukifile *ret_uki, struct err *err)
{
	struct ukifile *uki = ret_uki;
	struct pe_source source = { .ctx = &uki->fd, .read = file_read };
	enum sb_error error;
	struct stat st;

	*uki = (struct ukifile){ .fd = fd, .name = strdup(name) };
	if (!uki->name || fstat(fd, &st) < 0) {
		(void)err_errno(err, EX_IOERR, errno, "failed to read %s", name);
		ukifile_close(uki);
		return -1;
	}
	source.size = (uint64_t)st.st_size;
	error = pe_open(&source, &uki->image);
	if (error == SB_OK)
		return 0;
	ukifile_close(uki);
	if (error == SB_IO)
		return err_set(err, EX_IOERR, "failed to read %s", name);
	if (error == SB_LONG)
		return err_set(err, EX_DATAERR, "%s is not a UKI: it has more than %d sections",
			       name, PE_MAX_SECTIONS);
	return err_set(err, EX_DATAERR, "%s is not a UKI: %s", name,
		       error == SB_MAGIC ? "not a PE file" : "its PE headers or sections reach "
							     "past its end");
}

int ukifile_open(const char *path, struct ukifile *ret_uki, struct err *err)
{
	int fd = open_data(path);

	if (fd < 0)
		return err_errno(err, EX_IOERR, errno, "failed to open %s", path);
	return ukifile_open_fd(fd, path, ret_uki, err);
}

void ukifile_close(struct ukifile *uki)
{
	cleanup_closep(&uki->fd);
	uki->fd = -1;
	free(uki->name);
	uki->name = NULL;
}

const char *ukifile_machine_text(uint16_t machine)
{
	switch (machine) {
	case PE_MACHINE_X86_64:
		return "x86-64";
	case PE_MACHINE_AARCH64:
		return "aarch64";
	case 0x14c:
		return "32-bit x86";
	case 0x5064:
		return "64-bit RISC-V";
	default:
		return "another architecture";
	}
}

bool ukifile_is_native(const struct ukifile *uki)
{
	return uki->image.machine == NATIVE_MACHINE;
}

int ukifile_check(const struct ukifile *uki, struct err *err)
{
	struct pe_section section;

	if (!ukifile_is_native(uki))
		return err_set(err, EX_DATAERR, "%s is for %s (PE machine 0x%04x); this machine "
			       "is %s", uki->name, ukifile_machine_text(uki->image.machine),
			       uki->image.machine, ukifile_machine_text(NATIVE_MACHINE));
	if (pe_section_find(&uki->image, ".linux", &section) != SB_OK || section.size == 0)
		return err_set(err, EX_DATAERR, "%s is not a UKI: it has no .linux section",
			       uki->name);
	return 0;
}

static bool is_meant(const struct pe_section *section)
{
	static const char *const names[] = { ".linux", ".osrel", ".cmdline", ".initrd", ".ucode",
					     ".dtb", ".uname", ".pcrsig", ".pcrpkey" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (pe_section_named(section, names[i]))
			return true;
	return false;
}

static int check_pair(const struct ukifile *uki, const struct pe_section *a,
		      const struct pe_section *b, bool same_group, struct err *err)
{
	if (same_group && pe_section_named(a, b->name))
		return err_set(err, EX_DATAERR, "%s is ambiguous: it has two %s sections",
			       uki->name, a->name);
	if (a->size > 0 && b->size > 0 && a->offset < b->offset + b->size &&
	    b->offset < a->offset + a->size)
		return err_set(err, EX_DATAERR, "%s is damaged: its sections %s and %s overlap",
			       uki->name, a->name, b->name);
	return 0;
}

int ukifile_check_sections(const struct ukifile *uki, bool profiles, struct err *err)
{
	struct pe_section meant[PE_MAX_SECTIONS];
	unsigned group_of[PE_MAX_SECTIONS], count = 0, group = 0;

	for (unsigned i = 0; i < uki->image.section_count; i++) {
		struct pe_section *s = &meant[count];

		if (pe_section_at(&uki->image, i, s) != SB_OK)
			return err_set(err, EX_IOERR, "failed to read %s", uki->name);
		if (profiles && pe_section_named(s, ".profile"))
			group++;
		if (!is_meant(s))
			continue;
		group_of[count] = group;
		for (unsigned k = 0; k < count; k++)
			if (check_pair(uki, &meant[k], s, group_of[k] == group, err) < 0)
				return -1;
		count++;
	}
	return 0;
}

int ukifile_part(const struct ukifile *uki, unsigned profile, const char *name,
		 struct pe_section *ret_section, struct err *err)
{
	struct pe_section section = { .size = 0 };
	enum sb_error error = pe_section_find_in(&uki->image, profile, name, &section);

	if (error != SB_OK && error != SB_NOT_FOUND)
		return err_set(err, EX_IOERR, "failed to read %s", uki->name);
	*ret_section = section;
	return 0;
}

int ukifile_section(const struct ukifile *uki, const char *section, size_t max,
		    uint8_t **ret_data, size_t *ret_len, struct err *err)
{
	return ukifile_section_in(uki, 0, section, max, ret_data, ret_len, err);
}

int ukifile_section_in(const struct ukifile *uki, unsigned profile, const char *section,
		       size_t max, uint8_t **ret_data, size_t *ret_len, struct err *err)
{
	struct pe_section s = { .size = 0 };
	uint8_t *data;

	if (ukifile_part(uki, profile, section, &s, err) < 0)
		return -1;
	if (s.size > max)
		return err_set(err, EX_DATAERR, "%s: its %s section is too large (%llu bytes)",
			       uki->name, section, (unsigned long long)s.size);
	data = malloc(s.size + 1);
	if (!data)
		return err_errno(err, EX_SOFTWARE, errno, "failed to read %s", uki->name);
	if (s.size && pread_full(uki->fd, data, s.size, (off_t)s.offset) < 0) {
		free(data);
		return err_errno(err, EX_IOERR, errno, "failed to read %s", uki->name);
	}
	data[s.size] = 0;
	*ret_data = data;
	*ret_len = s.size;
	return 0;
}
