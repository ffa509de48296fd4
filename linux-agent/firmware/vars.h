/* SPDX-License-Identifier: MIT */
/*
 * EFI variables, behind a small table of functions so that a test or a crash
 * simulator can stand in for the firmware.
 *
 * A backend does what it is told. What must hold whatever the backend is done
 * once, in vars_set() and vars_delete(): nothing is written that is there
 * already, attributes are never changed behind the caller's back, and what was
 * written is read back, because there is firmware that says yes and keeps
 * nothing. All callers go through vars_get(), vars_set(), vars_delete() and
 * vars_list_boot().
 */
#pragma once

#include "err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* UEFI 2.10 section 8.2, table 8.2. */
#define VARS_NON_VOLATILE 0x1u
#define VARS_BOOT_SERVICE 0x2u
#define VARS_RUNTIME 0x4u
/* SlotState, BootOrder, BootNext and Boot#### have exactly these. */
#define VARS_NV_BS_RT (VARS_NON_VOLATILE | VARS_BOOT_SERVICE | VARS_RUNTIME)
#define VARS_BS_RT (VARS_BOOT_SERVICE | VARS_RUNTIME)
/* KEK, db and dbx: written by whoever can sign (section 8.2.2). */
#define VARS_TIME_AUTHENTICATED 0x20u
#define VARS_SIGNED (VARS_NV_BS_RT | VARS_TIME_AUTHENTICATED)
#define VARS_APPEND 0x40u

enum vars_guid {
	VARS_SLOTBOOT,	/* a44b7925-64fe-4f5f-9e3a-49b0319efd7d: ours */
	VARS_GLOBAL,	/* 8be4df61-93ca-11d2-aa0d-00e098032b8c: BootOrder, Boot####, PK, KEK */
	VARS_LOADER,	/* 4a67b082-0a4c-41cf-b6c7-440b29bb8c4f: Boot Loader Interface */
	VARS_SECURITY,	/* d719b2cb-3d3a-4596-a3bc-dad00e67656f: db, dbx */
	VARS_SHIM,	/* 605dab50-e046-4300-abb6-3dd810dd8b23: MokListRT, SbatLevelRT */
	VARS_GUID_COUNT
};

#define VARS_SLOT_STATE "SlotState"	/* under VARS_SLOTBOOT */
#define VARS_SLOT_TRACE "SlotTrace"

struct vars_name {
	char text[9];	/* "Boot" and four hexadecimal digits, as the firmware spells it */
};

enum vars_append {
	VARS_APPENDED,
	VARS_REFUSED,		/* the firmware's security violation: not signed by whom it wants */
	VARS_FULL,		/* the store has no room */
	VARS_FAILED,
};

/* A backend. Each returns -1 with err filled on failure. Partial effects: a set
 * or a delete that fails or is cut by a power loss has had its whole effect or
 * none (UEFI 2.10 section 8.2, SetVariable). */
struct vars {
	void *ctx;
	/* 0: the caller frees *ret_data (never NULL); 1: there is none. */
	int (*get)(void *ctx, enum vars_guid guid, const char *name, uint8_t **ret_data,
		   size_t *ret_len, uint32_t *ret_attributes, struct err *err);
	/* Creates or replaces; len > 0. Durable on 0, as far as the firmware is honest. */
	int (*set)(void *ctx, enum vars_guid guid, const char *name, const uint8_t *data,
		   size_t len, uint32_t attributes, struct err *err);
	/* 0: gone; 1: there was none. */
	int (*delete)(void *ctx, enum vars_guid guid, const char *name, struct err *err);
	/* Signed: the first `authentication` bytes of data are the signature, the others are
	 * appended. */
	enum vars_append (*append)(void *ctx, enum vars_guid guid, const char *name,
				   const uint8_t *data, size_t len, size_t authentication,
				   struct err *err);
	/* Names of all Boot#### under VARS_GLOBAL, in no order; the caller frees
	 * *ret_names (never NULL). */
	int (*list_boot)(void *ctx, struct vars_name **ret_names, size_t *ret_count,
			 struct err *err);
};

/* The machine's variables through libefivar, or, with EFIVARFS_PATH in the
 * environment, those in that directory: efivarfs mounted elsewhere or, for dry
 * runs, a plain directory (files NAME-GUID of 4 bytes of attributes and the
 * data; no root needed). Nothing to close. EX_CONFIG: there is no such place. */
int vars_efi_open(struct vars *ret_vars, struct err *err);

/* EFIVARFS_PATH, or where efivarfs is mounted; not to be freed. */
const char *vars_efi_path(void);
/* It is mounted read-only, by whomever. */
bool vars_efi_is_read_only(void);

/* The place itself. */
struct vars_store {
	const char *path;
	bool read_only;
	bool confined;		/* in a unit or container, where no remount helps */
	bool has_room;		/* used and free are known: efivarfs, since Linux 6.5 */
	uint64_t used, free;	/* bytes; the firmware itself may keep more back */
	unsigned dumps;		/* variables dump-* */
};
void vars_efi_look(struct vars_store *ret_store);

/* 0: the caller frees *ret_data (never NULL); 1: absent; -1. ret_attributes may
 * be NULL. EX_IOERR, EX_NOPERM. */
int vars_get(const struct vars *vars, enum vars_guid guid, const char *name,
	     uint8_t **ret_data, size_t *ret_len, uint32_t *ret_attributes, struct err *err);

/* The same for a UTF-16 string, as the Boot Loader Interface stores them:
 * *ret_text is UTF-8, up to the first NUL. Not UTF-16: EX_IOERR. */
int vars_get_utf16(const struct vars *vars, enum vars_guid guid, const char *name,
		   char **ret_text, struct err *err);

/* Makes the variable hold data with attributes, writing nothing if it does.
 * Read back before 0 is returned. It never goes through a delete: a variable
 * that exists with other attributes is EX_IOERR and stays as it is. Others:
 * EX_NOPERM, EX_IOERR (read-only, store full, not kept). len > 0. */
int vars_set(const struct vars *vars, enum vars_guid guid, const char *name,
	     const uint8_t *data, size_t len, uint32_t attributes, struct err *err);

/* Makes the variable absent; absent already is 0 too. Read back. */
int vars_delete(const struct vars *vars, enum vars_guid guid, const char *name,
		struct err *err);

/* Has the firmware append to a variable of VARS_SIGNED, which it makes where there is none (UEFI
 * 2.10, section 8.2.2): data is an EFI_VARIABLE_AUTHENTICATION_2 of so many bytes, and what is to
 * be appended behind it. The firmware looks at the signature, leaves out what the variable has,
 * and does all of it or nothing. Not read back: what is in it, the caller knows. err is filled
 * for all but VARS_APPENDED. In a plain directory nobody looks at the signature. */
enum vars_append vars_append(const struct vars *vars, enum vars_guid guid, const char *name,
			     const uint8_t *data, size_t len, size_t authentication, struct err *err);

/* Names of all Boot####, sorted; the caller frees *ret_names (never NULL). */
int vars_list_boot(const struct vars *vars, struct vars_name **ret_names,
		   size_t *ret_count, struct err *err);

/* The GUID as NAME-GUID has it, in messages and file names. */
const char *vars_guid_text(enum vars_guid guid);
