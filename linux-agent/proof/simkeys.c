/* SPDX-License-Identifier: MIT */
/* Keys that change: version 3's updates, the variables of a machine with Secure Boot, and what must
 * hold of them after a cut. Signatures are nobody's here; images are known by their digests. */
#include "authenticode.h"
#include "bytes.h"
#include "cmdline.h"
#include "sim.h"

#include <stdlib.h>
#include <string.h>

enum { KEYS_VERSION = 3, REVOKED_VERSION = 0, DIGEST = 32, GUID = 16, LIST = 28, KEK_BYTES = 20 };

static const uint8_t sha256_guid[GUID] = { 0x26, 0x16, 0xc4, 0xc1, 0x4c, 0x50, 0x92, 0x40,
					   0xac, 0xa9, 0x41, 0xf9, 0x36, 0x93, 0x43, 0x28 };
static const uint8_t x509_guid[GUID] = { 0xa1, 0x59, 0xc0, 0xa5, 0xe4, 0x94, 0xa7, 0x4a,
					 0x87, 0xb5, 0xab, 0x15, 0x5c, 0x2b, 0xf0, 0x72 };
static const uint8_t pkcs7_guid[GUID] = { 0x9d, 0xd2, 0xaf, 0x4a, 0xdf, 0x68, 0xee, 0x49,
					  0x8a, 0xa9, 0x34, 0x7d, 0x37, 0x56, 0x65, 0xa7 };

struct bytes {
	const uint8_t *data;
	size_t len;
};

static enum sb_error bytes_read(void *ctx, uint64_t offset, uint8_t *buf, size_t len)
{
	memcpy(buf, ((const struct bytes *)ctx)->data + offset, len);
	return SB_OK;
}

static void digest_of(const uint8_t *data, size_t len, uint8_t ret_digest[DIGEST])
{
	struct bytes bytes = { data, len };
	const struct pe_source pe = { .ctx = &bytes, .size = len, .read = bytes_read };
	struct pe_digest_layout layout;
	struct pe_digests digests = { .count = 0 };
	const uint8_t *digest;
	unsigned digest_len;

	if (pe_digest_read(&pe, &layout) != SB_OK ||
	    pe_digests_get(&pe, &layout, EVP_sha256(), &digests, &digest, &digest_len, NULL) < 0)
		abort();
	memcpy(ret_digest, digest, DIGEST);
}

/* Returns where the list ends; its signatures are to be filled in behind their owners. */
static size_t list_begin(uint8_t *list, const uint8_t guid[GUID], size_t len, unsigned count)
{
	size_t size = LIST + count * (GUID + len);

	memset(list, 0, size);
	memcpy(list, guid, GUID);
	le32_put(list + 16, (uint32_t)size);
	le32_put(list + 24, (uint32_t)(GUID + len));
	return size;
}

/* An empty SEQUENCE stands for the signature. */
static size_t auth_begin(uint8_t *auth)
{
	memset(auth, 0, 42);
	le32_put(auth + 16, 24 + 2);
	le16_put(auth + 20, 0x0200);
	le16_put(auth + 22, 0x0ef1);
	memcpy(auth + 24, pkcs7_guid, GUID);
	auth[40] = 0x30;
	return 42;
}

void simkeys_make(void)
{
	struct sim_version *v = &sim_versions[KEYS_VERSION], *revoked = &sim_versions[REVOKED_VERSION];
	size_t at = auth_begin(v->kek);

	v->kek_len = at + list_begin(v->kek + at, x509_guid, KEK_BYTES, 1);
	at = auth_begin(v->dbx);
	v->dbx_len = at + list_begin(v->dbx + at, sha256_guid, DIGEST, 1);
	digest_of(revoked->uki, revoked->uki_len, v->dbx + v->dbx_len - DIGEST);
}

void simkeys_provide(struct world *w)
{
	const struct sim_version *old = &sim_versions[REVOKED_VERSION], *new = &sim_versions[KEYS_VERSION];
	const struct bytes images[] = { { old->uki, old->uki_len }, { new->uki, new->uki_len } };
	enum { IMAGES = sizeof images / sizeof images[0] };
	uint8_t db[LIST + IMAGES * (GUID + DIGEST)];
	struct vars vars = simvars(w);

	(void)list_begin(db, sha256_guid, DIGEST, IMAGES);
	for (size_t i = 0; i < IMAGES; i++)
		digest_of(images[i].data, images[i].len, db + LIST + i * (GUID + DIGEST) + GUID);
	w->keys = true;
	if (vars.set(w, VARS_SECURITY, "db", db, sizeof db, VARS_SIGNED, NULL) < 0 ||
	    vars.set(w, VARS_GLOBAL, "SecureBoot", (const uint8_t *)"\1", 1, VARS_BS_RT, NULL) < 0)
		abort();
}

static void check_revoked(struct world *w)
{
	struct state state = sim_state(w, false);

	for (unsigned slot = 0; slot < SLOT_COUNT && !sim_is_lost(&state); slot++)
		if (policy_slot_bootable(&state.record, slot) && sim_version_of(w, slot, true) == REVOKED_VERSION)
			violation("slot %c may be booted, and dbx has its image", slot_letter(slot));
}

/* Of a system of version 3 that the firmware has started and that is good: it applies what it may. */
static void check_applied(const struct world *before, struct world *w)
{
	struct world then = *before;
	struct state state = sim_state(w, false);
	unsigned running = before->session.running;

	if (before->session.kexec || sim_is_lost(&state) || state.record.slots[running].status != SLOT_GOOD ||
	    sim_version_of(w, running, false) != KEYS_VERSION)
		return;
	if (!simvars_find(w, VARS_GLOBAL, "KEK"))
		violation("mark-good has not applied KEK");
	else if (simvars_find(&then, VARS_GLOBAL, "KEK") && !policy_slot_bootable(&state.record, 1 - running) &&
		 !simvars_find(w, VARS_SECURITY, "dbx"))
		violation("mark-good has not applied dbx, though no slot needs what it revokes");
}

void check_keys(const struct world *before, struct world *w)
{
	if (!w->keys)
		return;
	if (simvars_find(w, VARS_SECURITY, "dbx")) {
		if (!simvars_find(w, VARS_GLOBAL, "KEK"))
			violation("dbx was applied before KEK");
		check_revoked(w);
	}
	if (before)
		check_applied(before, w);
}
