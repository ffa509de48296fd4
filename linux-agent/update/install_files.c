/* SPDX-License-Identifier: MIT */
/*
 * The slot's files on the ESP. The order is what makes a cut harmless:
 *
 *   removed   the UKI; then what lies beside it and in the slot's directory below files=, as the
 *             manifest that is there names it
 *   written   the manifest and its signature; then what lies beside the UKI, and those files; the
 *             UKI; its index, for staging
 *
 * So at every instant whatever an install has put there is in the manifest that is there, and the
 * next one removes it; and no UKI stands beside what is not of its bundle.
 */
#include "install_payload.h"

#include "espfile.h"
#include "io.h"
#include "readback.h"
#include "report.h"
#include "slot_manifest.h"

#include <openssl/evp.h>

static int file_remove(struct machine *m, unsigned slot, const char *name, struct err *err)
{
	_cleanup_free_ char *path = NULL;

	if (machine_slot_file(m, slot, name, &path, err) < 0)
		return -1;
	return espfile_remove(&m->disk, path, err);
}

int install_files_remove(struct machine *machine, unsigned slot, struct err *err)
{
	_cleanup_(manifest_freep) struct manifest *old = NULL;
	char addon[BESIDE_PATH_MAX];

	if (file_remove(machine, slot, "uki.efi", err) < 0)
		return -1;
	old = slot_manifest_read(machine->esp.dir, slot);
	for (size_t i = 0; old && i < old->payload_count; i++) {
		_cleanup_free_ char *path = NULL;

		if (slot_payload_file(machine, slot, &old->payloads[i], &path, err) < 0 ||
		    (path && espfile_remove(&machine->disk, path, err) < 0))
			return -1;
	}
	/* Its name is ours alone, whatever became of the manifest. */
	manifest_beside_path(BESIDE_ADDON, addon);
	return file_remove(machine, slot, addon, err);
}

/* Read back, too: by the manifest it is known what lies beside the UKI. */
static int bytes_write(struct install *in, const char *name, const uint8_t *data, size_t len,
		       struct err *err)
{
	const struct disk *disk = &in->machine->disk;
	_cleanup_free_ char *path = NULL;
	uint8_t sha256[32];

	if (machine_slot_file(in->machine, in->slot, name, &path, err) < 0 ||
	    espfile_write(disk, path, data, len, err) < 0)
		return -1;
	if (EVP_Digest(data, len, sha256, NULL, EVP_sha256(), NULL) != 1)
		return err_set(err, EX_SOFTWARE, "failed to hash %s", name);
	return readback_check(disk, path, len, sha256, in->options->cancel, err);
}

/* The first file of a slot that may never have had one. */
static int manifest_write(struct install *in, struct err *err)
{
	_cleanup_free_ char *path = NULL;
	const uint8_t *json, *p7s;
	size_t json_len, p7s_len;

	bundle_manifest_bytes(in->bundle, &json, &json_len, &p7s, &p7s_len);
	if (machine_slot_file(in->machine, in->slot, "manifest.json", &path, err) < 0 ||
	    espfile_make_parent(&in->machine->disk, path, err) < 0)
		return -1;
	if (bytes_write(in, "manifest.json", json, json_len, err) < 0)
		return -1;
	return bytes_write(in, "manifest.p7s", p7s, p7s_len, err);
}

static int index_write(struct install *in, const struct install_payload *p, struct err *err)
{
	_cleanup_free_ uint8_t *index = NULL;
	size_t len;

	if (chunkindex_encode(engine_index(p->engine), &index, &len, err) < 0)
		return -1;
	return bytes_write(in, "uki.index", index, len, err);
}

static int memory_write(struct install *in, const struct install_payload *p, const char *path,
			struct err *err)
{
	const volatile int *cancel = in->options->cancel;
	const struct payload *payload = p->payload;
	const struct disk *disk = &in->machine->disk;

	if (espfile_copy(disk, path, p->memory, payload->size, cancel, err) < 0)
		return -1;
	return readback_check(disk, path, payload->size, payload->sha256, cancel, err);
}

static int files_write(struct install *in, struct err *err)
{
	const struct manifest *manifest = bundle_manifest(in->bundle);

	for (size_t i = 0; i < manifest->payload_count; i++) {
		_cleanup_free_ char *path = NULL;

		if (slot_payload_file(in->machine, in->slot, &manifest->payloads[i], &path, err) < 0 ||
		    (path && memory_write(in, &in->payloads[i], path, err) < 0))
			return -1;
	}
	return 0;
}

int install_write_uki(struct install *in, struct err *err)
{
	const struct manifest *manifest = bundle_manifest(in->bundle);
	const struct payload *payload = manifest_uki(manifest);
	const struct install_payload *uki = &in->payloads[payload - manifest->payloads];
	_cleanup_free_ char *path = NULL;

	report_step(in->options->report, "write", "writing the UKI (%llu bytes) to the ESP",
		    (unsigned long long)payload->size);
	if (manifest_write(in, err) < 0 || files_write(in, err) < 0 ||
	    machine_slot_file(in->machine, in->slot, "uki.efi", &path, err) < 0 ||
	    memory_write(in, uki, path, err) < 0)
		return -1;
	return index_write(in, uki, err);
}
