/* SPDX-License-Identifier: MIT */
/*
 * A machine in memory, for the crash simulator: an ESP, two slot targets, EFI
 * variables, and what is running. It holds no pointers, so that a copy of the
 * struct is a snapshot.
 *
 * Disk: 512-byte sectors, a volatile layer (now) over the durable one (kept).
 * flush() of a file makes its data and size durable, flush_dir() the names in
 * a directory. Variables: a set is durable when it returns; the one in flight
 * at a cut keeps the old or the new value. docs/TESTING.md has the model's limits.
 */
#pragma once

#include "disk.h"
#include "vars.h"

#include <stdbool.h>
#include <stdint.h>

enum { SIM_SECTOR = 512, SIM_SECTORS = 4, SIM_FILE_MAX = SIM_SECTOR * SIM_SECTORS };
enum { SIM_FILES = 54, SIM_VARS = 21, SIM_VAR_MAX = 384 };

enum sim_name {
	NAME_STATE,
	NAME_HEALTH, NAME_FLOOR_1_JSON, NAME_FLOOR_1_P7S, NAME_FLOOR_2_JSON, NAME_FLOOR_2_P7S,
	NAME_UKI_A, NAME_INDEX_A, NAME_JSON_A, NAME_P7S_A, NAME_ADDON_A, NAME_CRED_A, NAME_IMAGE_A,
	NAME_UKI_B, NAME_INDEX_B, NAME_JSON_B, NAME_P7S_B, NAME_ADDON_B, NAME_CRED_B, NAME_IMAGE_B,
	NAME_LOADER, NAME_LOADER_TRIAL, NAME_LOADER_NOTE, NAME_FALLBACK,
	NAME_FILE_A, NAME_FILE_B,
	NAME_KEK_A, NAME_DBX_A, NAME_KEK_B, NAME_DBX_B, NAME_KEYS_NOTE,
	/* On the other of two ESPs, in the order of those above; it has no loader's file. */
	NAME_OTHER_STATE,
	NAME_OTHER_FLOOR_1_JSON, NAME_OTHER_FLOOR_1_P7S, NAME_OTHER_FLOOR_2_JSON, NAME_OTHER_FLOOR_2_P7S,
	NAME_OTHER_UKI_A, NAME_OTHER_INDEX_A, NAME_OTHER_JSON_A, NAME_OTHER_P7S_A,
	NAME_OTHER_ADDON_A, NAME_OTHER_CRED_A,
	NAME_OTHER_UKI_B, NAME_OTHER_INDEX_B, NAME_OTHER_JSON_B, NAME_OTHER_P7S_B,
	NAME_OTHER_ADDON_B, NAME_OTHER_CRED_B,
	NAME_COUNT
};
#define NAME_UKI(slot) ((slot) ? NAME_UKI_B : NAME_UKI_A)
#define NAME_IMAGE(slot) ((slot) ? NAME_IMAGE_B : NAME_IMAGE_A)

#define NAME_ADDON(slot) ((slot) ? NAME_ADDON_B : NAME_ADDON_A)
#define NAME_CRED(slot) ((slot) ? NAME_CRED_B : NAME_CRED_A)
#define NAME_FILE(slot) ((slot) ? NAME_FILE_B : NAME_FILE_A)
#define NAME_KEK(slot) ((slot) ? NAME_KEK_B : NAME_KEK_A)
#define NAME_DBX(slot) ((slot) ? NAME_DBX_B : NAME_DBX_A)

enum sim_dir { DIR_OURS, DIR_A, DIR_B, DIR_BESIDE_A, DIR_BESIDE_B, DIR_BOOT, DIR_FILES, DIR_FILES_A, DIR_FILES_B,
	       DIR_OTHER_OURS, DIR_OTHER_A, DIR_OTHER_B, DIR_OTHER_BESIDE_A, DIR_OTHER_BESIDE_B, DIR_COUNT };

/* What changes something; each is counted and can be cut. */
enum mutation {
	MUT_CREATE, MUT_WRITE, MUT_TRUNCATE, MUT_FLUSH, MUT_REMOVE, MUT_MAKE_DIR,
	MUT_FLUSH_DIR, MUT_VAR_SET, MUT_VAR_DELETE, MUT_COUNT
};

enum fault_mode {
	FAULT_NONE,
	FAULT_CUT,		/* the power goes at mutation `at` */
	FAULT_ONE,		/* that one fails, the rest works */
	FAULT_FROM,		/* it and all after fail */
	FAULT_NOSPACE,		/* from it on whatever may need space fails */
	FAULT_LIE,		/* it is reported done and keeps nothing */
	FAULT_READ,		/* one read, not a mutation, fails */
};

enum fault_store { STORE_OK, STORE_FULL, STORE_LIES };

struct fault {
	enum fault_mode mode;
	unsigned at;
	enum fault_store store;	/* every set of a variable: refused, or a lie */
	bool no_mirror;		/* every write to state.bin fails */
	unsigned count, reads;	/* mutations and reads so far */
	unsigned var_writes;	/* of them, those of variables */
	bool dead;		/* the power is gone */
	bool hit;		/* the fault happened */
};

struct sim_file {
	bool used;
	uint8_t dirty;			/* bit per sector that differs or was written */
	bool sparse;	/* state.bin: of each 4096 bytes the first sector is kept */
	uint16_t size, kept_size;
	uint8_t now[SIM_FILE_MAX], kept[SIM_FILE_MAX];
};

struct sim_var {
	bool used;
	enum vars_guid guid;
	char name[24];
	uint16_t len;
	uint32_t attributes;
	uint8_t data[SIM_VAR_MAX];
};

struct session {
	bool up;		/* a slot was started */
	bool lost;		/* with the record lost, so without a look at it */
	bool hung;		/* it does nothing any more */
	unsigned running;
	bool kexec;
	int staged;		/* slot staged for kexec; -1: none */
};

/* What the checker remembers; no program sees it. */
struct ghost {
	unsigned guard;		/* bit per slot that must not be touched now */
	bool touched;		/* one was */
	bool exposed;		/* a slot was written while its direct entry was active */
	uint8_t starts[2];	/* of a trial since its tries were granted */
	bool trial[2];		/* seen at the last boot, with so many tries left: */
	uint8_t left[2];
	bool agent_ran;		/* since then, so tries may have been granted */
	unsigned loaders;	/* bit per version of the loader that has booted, or was there */
	bool flipped;		/* a bit of a trial's UKI */
	bool flipped_all;	/* of every UKI */
	bool left_behind;	/* the ESP to boot from now: its loader must hand over */
	uint64_t mirror_floor;	/* newest sequence that the mirror held durably */
	int floor;		/* the rollback floor that was durable; sim_floor() */
};

struct world {
	struct sim_file files[SIM_FILES];
	int8_t name_now[NAME_COUNT], name_kept[NAME_COUNT];	/* a file, or -1 */
	bool dir_now[DIR_COUNT], dir_kept[DIR_COUNT];
	struct sim_var vars[SIM_VARS];
	struct sim_var var_old;		/* of the variable in flight at the cut */
	int var_flight;			/* its index, or -1 */
	struct sim_var old_state;	/* what SlotState falls back to at each boot */
	bool falls_back;
	bool device;			/* slot targets are block devices */
	int broken;			/* version whose image gives control back; -1 */
	int refuse;		/* slot whose UKI the firmware does not load now; -1 */
	int hangs;		/* version whose image hangs; -1 */
	bool watchdog;		/* the machine has one, and the agent has seen it */
	bool latch;		/* it caused the last reset, and nobody has asked yet */
	bool two;		/* ESPs, on two disks; the first names are those of the one
				 * that it boots from */
	bool swapped;		/* ... which is the second */
	bool other_lost;	/* the other one's disk is away */
	bool direct;		/* there is no loader: the firmware starts the slots' entries */
	bool loader;		/* its loader is a file, which the firmware has to find */
	int loader_broken;	/* version of it that gives up at once; -1 */
	unsigned boots;		/* through the firmware, where the loader is a file or keys change */
	bool next_ignored;	/* BootNext is not looked at */
	bool keys;		/* Secure Boot is on, with all images in db */
	uint8_t good_limit;
	struct fault fault;
	struct session session;
	struct ghost ghost;
};

extern uint64_t sim_cut_kinds[MUT_COUNT];	/* how often each kind was cut */
const char *mutation_text(enum mutation kind);

enum verdict { VERDICT_DO, VERDICT_FAIL, VERDICT_CUT, VERDICT_LIE };

/* To be asked before each mutation; errno is set for VERDICT_FAIL. After
 * VERDICT_CUT the call happens in the volatile layer and fails. */
enum verdict fault_next(struct world *w, enum mutation kind);

/* To be asked before each read of the agent; true: it fails, errno is set. */
bool fault_read(struct world *w);

void world_init(struct world *w);

struct disk simdisk(struct world *w);
struct vars simvars(struct world *w);

/* Whether a Boot#### of ours boots the slot's UKI directly and is active, or BootNext names it. */
bool simvars_direct_active(struct world *w, unsigned slot);

/* NULL: there is no such file. As the programs see it. */
const struct sim_file *simdisk_find(const struct world *w, enum sim_name name);
/* What is read of it; kept: of what is durable. 0 at its end. */
size_t simdisk_read(const struct sim_file *f, bool kept, void *buf, size_t len,
		    uint64_t offset);
/* How many bytes of now[] and kept[] a file of this size has. */
size_t simdisk_stored(const struct sim_file *f, uint16_t size);
/* -1: not a path of this world. */
int simdisk_name(const char *path);
/* The machine is to boot from the other ESP. */
void simdisk_swap(struct world *w);
/* The partition GUID of the ESP that it boots from, and of the other one. */
const uint8_t *simdisk_esp(const struct world *w);
const uint8_t *simdisk_other_esp(const struct world *w);
/* The directory that the name is in; -1: none of this world. And that it is in itself, if it
 * can be missing. */
int simdisk_dir(enum sim_name name);
int simdisk_above(enum sim_dir dir);
void simdisk_put(struct world *w, enum sim_name name, const uint8_t *data, size_t len);
/* SlotState as somebody else has made it, and as another disk's system has. */
void simvars_squat(struct world *w);
void simvars_foreign(struct world *w);
struct sim_var *simvars_find(struct world *w, enum vars_guid guid, const char *name);

/* --- the power cut --- */

struct power_item {
	enum { ITEM_SECTOR, ITEM_SIZE, ITEM_NAME, ITEM_DIR, ITEM_VAR } kind;
	uint8_t index, sector;
	uint8_t choices;	/* 0: old, 1: new, 2: garbage, of names neither */
};
enum { POWER_ITEMS = 64 };

/* Everything whose fate is open if the power goes now. */
unsigned power_items(const struct world *w, struct power_item items[POWER_ITEMS]);
/* The world after the cut, with these choices; nothing runs in it. */
void power_cut(struct world *w, const struct power_item *items, const uint8_t *choices,
	       unsigned count);
/* An orderly shutdown: everything lands. */
void power_down(struct world *w);
uint64_t world_hash(const struct world *w, uint64_t seed);
