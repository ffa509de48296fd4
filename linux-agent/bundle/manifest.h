/* SPDX-License-Identifier: MIT */
/*
 * The manifest of a bundle (manifest.json): what is in it, for which machines,
 * the size and SHA-256 of each payload, and the entries of the ZIP that hold it.
 * docs/FORMAT.md has every key.
 *
 *   { "format": 2, "compatible": "acme-gw", "version": "1.4.2", "architecture": "x86-64",
 *     "payloads": [
 *       { "type": "uki", "file": "uki.efi.zst", "size": 1, "sha256": "...",
 *         "index": { "file": "uki.index", "size": 1, "sha256": "..." } },
 *       { "type": "image", "name": "rootfs", "file": "rootfs.img.zst",
 *         "size": 1, "sha256": "...", "roothash": "...",
 *         "index":  { "file": "rootfs.index", "size": 1, "sha256": "..." },
 *         "blocks": { "index": { ... }, "dictionary": { ... } },
 *         "bases":  [ { "file": "rootfs.from-1.zst", "index": { ... },
 *                       "size": 1, "sha256": "..." } ] } ] }
 *
 * What lies beside the UKI of a slot, in uki.efi.extra.d, where systemd-stub finds it:
 * an addon { "type": "addon", "slot": "a", "file", "size", "sha256", "index" }, one for each
 * slot or none; and { "type": "credential", "name": "wifi", ... }, "sysext", "confext", for
 * both slots. { "type": "efi-auth", "name": "dbx-1", ... }, a signed update of KEK, db or dbx,
 * lies there, too, for mark-good to have the firmware apply it.
 * { "type": "file", "name": "model.bin", ... } goes to the slot's directory on a file
 * system that the machine's configuration names.
 *
 * An image without "file" is one by reference: the machine has its bytes, in either slot,
 * and its index says which they are.
 *
 * Beside payloads there may be "loader": { "file": "loader.efi", "size": 1, "sha256": "..." }.
 *
 * What the manifest pins by size and SHA-256 (indexes, dictionaries) is as good as
 * signed; the data entries are not pinned: the chunk index says what they yield.
 */
#pragma once

#include "err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MANIFEST_FORMAT 2
#define MANIFEST_MAX_BYTES (1024 * 1024)
#define MANIFEST_MAX_PAYLOADS 32
#define MANIFEST_MAX_BASES 16
/* Of an index entry and of a dictionary: a reader may hold one in memory. */
#define MANIFEST_MAX_INDEX_BYTES (64 * 1024 * 1024)
#define MANIFEST_MAX_DICTIONARY_BYTES (1024 * 1024)
#define MANIFEST_MAX_LOADER_BYTES (4 * 1024 * 1024)
#define MANIFEST_MAX_ADDON_BYTES (16 * 1024 * 1024)
/* systemd's own limit for a credential. */
#define MANIFEST_MAX_CREDENTIAL_BYTES (1024 * 1024)
/* The firmware reads them into memory, and so does an install. */
#define MANIFEST_MAX_EXTENSION_BYTES (256 * 1024 * 1024)
#define MANIFEST_MAX_FILE_BYTES MANIFEST_MAX_EXTENSION_BYTES
/* More than firmware takes for one variable: edk2 32 to 64 KiB. */
#define MANIFEST_MAX_EFI_AUTH_BYTES (256 * 1024)

/* The directory beside a slot's UKI, and a slot's addon in it. */
#define BESIDE_DIR "uki.efi.extra.d"
#define BESIDE_ADDON "slotboot.addon.efi"

enum payload_type {
	PAYLOAD_UKI,		/* exactly one, goes to the slot's directory on the ESP */
	PAYLOAD_IMAGE,		/* goes to the device or file configured for its name */
	PAYLOAD_ADDON,		/* of the UKI, for one slot: goes beside it on the ESP */
	PAYLOAD_CREDENTIAL,	/* these, too, for whichever slot */
	PAYLOAD_SYSEXT,
	PAYLOAD_CONFEXT,
	PAYLOAD_EFI_AUTH,
	PAYLOAD_FILE,		/* goes to the slot's directory below the configured one */
	PAYLOAD_TYPES
};

/* An entry of the ZIP whose bytes the manifest pins. */
struct pinned_entry {
	char *file;		/* NULL: there is none */
	uint64_t size;		/* at least 1, at most the cap of its kind above */
	uint8_t sha256[32];
};

/* Chunks of which each 4 KiB block has a frame of its own: the delta from any older image. */
struct payload_blocks {
	struct pinned_entry index;		/* without a file: there are none */
	struct pinned_entry dictionary;		/* optional; of every frame of the payload */
};

/* The delta from one named older image. */
struct payload_base {
	char *file;		/* the frames */
	uint64_t size;		/* of the base, bytes */
	uint8_t sha256[32];	/* of the base: the sha256 of the payload that holds it */
	struct pinned_entry index;
};

struct payload {
	enum payload_type type;
	char *name;		/* images: rootfs, usr, ...: [a-z0-9_-]{1,32}; uki: "uki";
				 * addons: "slot-a.addon"; else that of the file beside the
				 * UKI or in the slot's directory: "wifi.cred", "app.raw",
				 * "site.confext.raw", "dbx-1.auth", "model.bin" */
	unsigned slot;		/* addons: whose */
	char *file;		/* the whole of it in frames: [A-Za-z0-9._-]+, no directory;
				 * NULL: an image by reference, which has no other layouts */
	uint64_t size;		/* bytes, unpacked; at least 1, at most INT64_MAX */
	uint8_t sha256[32];	/* of the unpacked bytes */
	char *root_hash;	/* dm-verity root hash, lower-case hex, or NULL */
	struct pinned_entry index;
	struct payload_blocks blocks;
	struct payload_base bases[MANIFEST_MAX_BASES];
	size_t base_count;
};

struct manifest {
	char *compatible;	/* 1 to 128 printable ASCII characters */
	char *version;		/* UAPI.10 version: [A-Za-z0-9._~^+-]{1,64} */
	char *architecture;	/* of the machines: [a-z0-9_-]{1,32}; NULL: the UKI has to say */
	bool raises_floor;	/* once good, no lower version is installed any more; rollback_floor.h */
	struct pinned_entry loader;	/* a new loader, as it is; optional */
	struct payload payloads[MANIFEST_MAX_PAYLOADS];
	size_t payload_count;	/* at least 1 */
};

/* Parses and validates; any byte string is safe. Unknown keys are ignored (a
 * newer writer may add some), duplicate keys, names and files are refused, and
 * so is any format but 2. EX_DATAERR with the key named. The caller frees. */
int manifest_parse(const uint8_t *json, size_t len, struct manifest **ret_manifest,
		   struct err *err);

void manifest_free(struct manifest *manifest);
void manifest_freep(struct manifest **manifest);

/* The one UKI of the bundle; never NULL after manifest_parse(). */
const struct payload *manifest_uki(const struct manifest *manifest);

/* The payload of the same kind and name, or NULL; also where there is no manifest. */
const struct payload *manifest_like(const struct manifest *manifest, const struct payload *payload);

/* The slot's addon, or NULL. */
const struct payload *manifest_addon(const struct manifest *manifest, unsigned slot);

/* "uki", "credential", ... */
const char *manifest_type_text(enum payload_type type);

/* Bytes that a payload of it may have, unpacked. */
uint64_t manifest_type_max(enum payload_type type);

/* What the manifest's name lacks to be the file's: ".cred", ".raw", ".confext.raw"; "". */
const char *manifest_suffix(enum payload_type type);

/* The name of the file that a payload is beside the UKI of this slot; NULL: it is none. */
const char *manifest_beside(const struct payload *payload, unsigned slot);

/* Where it is in the slot's directory: "uki.efi.extra.d/NAME". name: of manifest_beside(). */
enum { BESIDE_PATH_MAX = sizeof BESIDE_DIR + 256 };
void manifest_beside_path(const char *name, char ret_path[static BESIDE_PATH_MAX]);

/* The payload that is this file beside the slot's UKI, whatever the case of its letters: FAT
 * tells none apart. NULL: none. */
const struct payload *manifest_beside_find(const struct manifest *manifest, unsigned slot,
					   const char *name);

/* Deterministic JSON text for the same manifest (sorted keys, newline at the
 * end). The caller frees. */
int manifest_format(const struct manifest *manifest, char **ret_json, struct err *err);
