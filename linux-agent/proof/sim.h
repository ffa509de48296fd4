/* SPDX-License-Identifier: MIT */
/*
 * The two programs, run over a struct world: the loader's boot_run() and the
 * agent's install_run(), mark_good() and mark_apply(), all the real ones.
 */
#pragma once

#include "leave.h"
#include "policy.h"
#include "sha256.h"
#include "state.h"
#include "trace.h"
#include "world.h"

enum { SIM_VERSIONS = 4, SIM_TRIES = 2, SIM_NONCE = 0x5107 };

/* Where the agent looks for /sys: not this machine's. */
#define SIM_SYSROOT "/nonexistent"

/* What a version's bundle holds. Of what may lie beside the UKI version 1 has a credential, version 2
 * an addon for each slot, and a file for the slot's directory, and version 3 updates of KEK and of
 * dbx, which revokes version 0: so each replaces something that is not its own. */
enum { SIM_BESIDE_MAX = SIM_SECTOR };
struct sim_version {
	uint8_t uki[SIM_FILE_MAX], image[SIM_FILE_MAX];
	uint8_t addons[SLOT_COUNT][SIM_BESIDE_MAX], cred[SIM_BESIDE_MAX],
		file[SIM_BESIDE_MAX], kek[SIM_BESIDE_MAX], dbx[SIM_BESIDE_MAX];
	size_t uki_len, image_len, addon_len, cred_len, file_len, kek_len, dbx_len;	/* 0: there is none */
};
extern struct sim_version sim_versions[SIM_VERSIONS];
void sim_versions_make(void);

/* simkeys.c: fills version 3's updates; Secure Boot on, with every version in db. */
void simkeys_make(void);
void simkeys_provide(struct world *w);
/* In any world after a cut, and after mark-good that reported success (before: as it began; NULL: no
 * such): dbx comes after KEK, is applied as soon as it may be, and no slot that may be booted is
 * what it revokes. */
void check_keys(const struct world *before, struct world *w);

/* The headers of a PE file of two sections and len bytes, and a row of its section table. */
void sim_pe_begin(uint8_t *pe, size_t len);
void sim_pe_section(uint8_t *pe, unsigned index, const char *name, size_t at, size_t len);

/* Whether the record has the digest of the UKI that is there. */
bool sim_digest_is_right(const struct world *w, const struct record *record, unsigned slot);

/* The version whose UKI and image the slot holds to the last byte, and beside the UKI what
 * belongs there and nothing else; -1: none.
 * uki_only: of the UKI alone. */
int sim_version_of(const struct world *w, unsigned slot, bool uki_only);

enum op {
	OP_BOOT,	/* orderly shutdown, then the firmware and the loader */
	OP_INSTALL, OP_KEXEC, OP_GOOD, OP_BAD, OP_ACTIVE, OP_ROLLBACK, OP_HEALTH,
	OP_REFUSED,	/* an install that must be refused */
	OP_BREAKS,	/* an install whose transfer breaks off half way */
	OP_LOSE_VARS,	/* the firmware forgets every variable of ours */
	OP_LOADER,	/* a new loader is put on trial */
	OP_FOREIGN,	/* the other disk's system stores its record in the variable */
	OP_PULL,	/* of two ESPs, the other one's disk */
	OP_RETURN,	/* ... comes back as it was */
	OP_COUNT
};

struct step {
	enum op op;
	int arg;		/* version, or slot */
	enum activate activate;
	const char *how;	/* OP_REFUSED: what is wrong with it */
};

const char *op_text(enum op op);

/* Does it, with w->fault in force. 0, or -1 with err filled. After an agent's
 * step that gave 0, ret_record (RECORD_BYTES) is what it says is stored. */
int op_run(struct world *w, const struct step *step, uint8_t *ret_record, struct err *err);
/* What comes before an op and is no part of it. */
void op_prepare(struct world *w, const struct step *step);

/* Nothing is known of what the slots should hold: no record, or the loader's own. */
bool sim_is_lost(const struct state *state);
/* Loads the record: as it stands, or (kept) as a cut at this instant would at
 * worst leave it. */
struct state sim_state(struct world *w, bool kept);
/* The newest sequence among valid mirror copies; 0: none is valid. */
uint64_t sim_mirror_sequence(struct world *w, bool kept);
void sim_sha256(const uint8_t *data, size_t len, uint8_t ret_digest[SHA256_BYTES]);
/* The simulator's signature of a manifest. */
enum { SIM_SIGNATURE = 32 };
void sim_sign(const uint8_t *json, size_t len, uint8_t ret_p7s[SIM_SIGNATURE]);
/* The rollback floor: the number of its version and one; 0: none. */
int sim_floor(const struct world *w, bool kept);
struct state_ops simloader_storage(struct world *w, bool kept);

/* Runs the loader, again after each reset by the watchdog. w->session says what it
 * started, and what stays up. */
void simloader_boot(struct world *w);
/* What runs hangs with the watchdog armed: reset, and the loader again. */
void simloader_reset(struct world *w);

/* simfirmware.c: which loader the firmware starts, by BootNext, BootOrder and \EFI\BOOT; where
 * that is no file in this world, the loader is there. False: none. */
bool simfirmware_pick(struct world *w);
/* The first version of it, in both places. */
void simfirmware_provide(struct world *w);
/* The version that a file holds to the last byte; -1: none. */
int simfirmware_version(const struct world *w, enum sim_name name);
/* For the agent; the caller frees. */
struct loader_file;
void simfirmware_file(unsigned version, struct loader_file *ret_file);

/* simdirect.c: the firmware of a machine without the loader, from BootNext to the slot that stays
 * up; one that panics (it is to hang) resets the machine. */
void simdirect_boot(struct world *w);
/* Slot a's entry, first in BootOrder, as whoever set the machine up has left it. */
void simdirect_provide(struct world *w);
/* In any world after a cut: without BootNext, too, a good slot starts. */
void check_direct(struct world *w);
/* Whether the firmware would load it: simloader.c. */
bool sim_uki_loads(const struct sim_file *f);

/* What boot entries name the ESP by. */
struct esp_info;
extern const struct esp_info sim_esp;

/* The world whose files ukifile_open(), read_file() and access() see. */
extern struct world *sim_world;

/* --- check.c: invariants that are looked at while a program runs --- */

/* Prints what is wrong, once per kind and place. */
void violation(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* At the moment at which the loader gives control to a slot. */
void check_start(struct world *w, const struct state *at_begin,
		 const struct trace_step *step);
void check_guard(struct world *w, const char *who);
/* ... with the watchdog armed for so many seconds. */
void check_armed(const struct state *at_begin, unsigned slot, bool last_resort,
		 unsigned armed);
/* The loader leaves another disk's record, and has left its own where there was none. */
void check_stored(struct world *w, const struct state *at_begin, const struct sim_var *before);
/* After mark-good: every copy is the same. */
void check_copies(struct world *w);
/* After mark-good with both disks there: the record names both ESPs, and the other one holds
 * what it says. */
void check_other(struct world *w);
/* In any world after a cut: an ESP that the record names can start what the record says. */
void check_named(struct world *w);
/* After a boot that follows a reset by the watchdog while the slot ran. */
void check_hang(struct world *w, const struct state *at_begin, unsigned slot);
/* At the beginning of a boot: tries grow by the agent's doing only. */
void check_tries(struct world *w, const struct state *at_begin);

/* --- and what is looked at in a world after a cut --- */

/* BootOrder names what exists; foreign entries are as they were. */
void check_entries(struct world *w);
/* What an agent's step that reported success has left: the record in both
 * places, and after an install the slot. */
void check_done(struct world *w, const struct step *step, const uint8_t *record,
		bool mirror_too);
/* After mark-good that reported success: the floor is that of the slot that ran. */
void check_floor(const struct world *before, const struct world *w);
/* After a boot that nothing disturbed. */
void check_booted(struct world *w);
uint64_t violation_count(void);
extern bool violation_is_fatal;	/* the first one ends the program */

/* Where a violation is, for its message. */
struct place {
	const char *scenario, *mode;
	unsigned step;
	const char *op;
	int cut, cut2;		/* -1: none */
	uint64_t seed;
};
extern struct place place;
