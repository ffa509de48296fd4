/* SPDX-License-Identifier: MIT */
/* A UKI as a file: shared/pe.h over a file descriptor. */
#pragma once

#include "err.h"
#include "pe.h"

struct ukifile {
	int fd;
	char *name;		/* for messages */
	struct pe_image image;
};

/* EX_IOERR: missing; EX_DATAERR: not a PE file, truncated, too many sections. The
 * object must not move while it is open. */
int ukifile_open(const char *path, struct ukifile *ret_uki, struct err *err);
/* Takes over fd, also on failure. */
int ukifile_open_fd(int fd, const char *name, struct ukifile *ret_uki, struct err *err);
void ukifile_close(struct ukifile *uki);

/* A PE machine in words, such as "x86-64" or "aarch64"; never NULL. */
const char *ukifile_machine_text(uint16_t machine);

/* Whether its code is for this machine's processor. */
bool ukifile_is_native(const struct ukifile *uki);

/* Is it one that this machine can boot: its architecture, a .linux section?
 * EX_DATAERR says what is missing. */
int ukifile_check(const struct ukifile *uki, struct err *err);

/* Are the sections that mean something in a UKI there once only, in each of its
 * profiles where profiles count, and apart from each other? Stubs would take one or
 * the other. EX_DATAERR. */
int ukifile_check_sections(const struct ukifile *uki, bool profiles, struct err *err);

/* Where a section of a profile is; size 0 where it is missing or empty. */
int ukifile_part(const struct ukifile *uki, unsigned profile, const char *name,
		 struct pe_section *ret_section, struct err *err);

/* Reads a whole section; EX_DATAERR: larger than max. A missing section is an
 * empty one. A NUL follows the data; the caller frees. */
int ukifile_section_in(const struct ukifile *uki, unsigned profile, const char *section,
		       size_t max, uint8_t **ret_data, size_t *ret_len, struct err *err);

/* The same in profile 0. */
int ukifile_section(const struct ukifile *uki, const char *section, size_t max,
		    uint8_t **ret_data, size_t *ret_len, struct err *err);
