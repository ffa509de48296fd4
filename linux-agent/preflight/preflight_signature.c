/* SPDX-License-Identifier: MIT */
/*
 * Does the signature of .linux satisfy the running kernel? Without lockdown or
 * CONFIG_KEXEC_SIG_FORCE none is required. Lockdown (EPERM) and CONFIG_KEXEC_SIG_FORCE
 * (ENODATA, ENOKEY, EKEYREJECTED, EBADMSG) require one by a key in the kernel's keyrings:
 * .builtin_trusted_keys, .secondary_trusted_keys with .machine linked to it, and .platform,
 * which holds the keys of the firmware's db and of shim.
 */
#include "authenticode.h"
#include "cmdline.h"
#include "preflight_check.h"
#include "io.h"

#include <errno.h>
#include <string.h>

enum demand {
	DEMAND_NONE,
	DEMAND_UNKNOWN,
	DEMAND_LOCKDOWN,
	DEMAND_ALWAYS,
};

struct demanded {
	enum demand demand;
	char words[200];
};

enum key_place {
	KEY_THERE,
	KEY_MISSING,
	KEY_UNKNOWN,
};

static void demanded_set(struct demanded *d, enum demand demand, const char *words)
{
	d->demand = demand;
	(void)snprintf(d->words, sizeof d->words, "%s", words);
}

/* Parses "none [integrity] confidentiality". */
static void lockdown_text(const char *text, struct demanded *d)
{
	const char *open = strchr(text, '['), *end = open ? strchr(open, ']') : NULL;

	if (!end) {
		demanded_set(d, DEMAND_UNKNOWN, "/sys/kernel/security/lockdown cannot be understood");
		return;
	}
	d->demand = strncmp(open, "[none]", 6) == 0 ? DEMAND_NONE : DEMAND_LOCKDOWN;
	(void)snprintf(d->words, sizeof d->words, d->demand == DEMAND_NONE
		       ? "kernel lockdown is %.*s" : "kernel lockdown is %.*s, which allows only "
		       "signed kernels", (int)(end - open - 1), open + 1);
}

/* Without securityfs, judges by what would cause a lockdown. */
static void lockdown_guess(const struct preflight_context *ctx, struct demanded *d)
{
	size_t len;

	if (cmdline_get(ctx->proc_cmdline, "lockdown", &len))
		demanded_set(d, DEMAND_LOCKDOWN, "lockdown= of the running kernel allows only "
			     "signed kernels");
	else if (fact_config(ctx, "CONFIG_SECURITY_LOCKDOWN_LSM") == FACT_CONFIG_NO)
		demanded_set(d, DEMAND_NONE, "the running kernel has no lockdown");
	else if (ctx->input->secure_boot == 0 &&
		 fact_config(ctx, "CONFIG_LOCK_DOWN_KERNEL_FORCE_INTEGRITY") != FACT_CONFIG_YES &&
		 fact_config(ctx, "CONFIG_LOCK_DOWN_KERNEL_FORCE_CONFIDENTIALITY") != FACT_CONFIG_YES)
		demanded_set(d, DEMAND_NONE, "nothing asks for kernel lockdown (no lockdown=, no "
			     "Secure Boot; securityfs is not mounted)");
	else
		demanded_set(d, DEMAND_UNKNOWN, "whether the kernel is locked down cannot be seen: "
			     "securityfs is not mounted at /sys/kernel/security");
}

static void demand_find(const struct preflight_context *ctx, struct demanded *d)
{
	_cleanup_free_ char *lockdown = fact_read(ctx, "/sys/kernel/security/lockdown");
	bool signatures = fact_config(ctx, "CONFIG_KEXEC_SIG") == FACT_CONFIG_YES;

	if (signatures && fact_config(ctx, "CONFIG_KEXEC_SIG_FORCE") == FACT_CONFIG_YES)
		demanded_set(d, DEMAND_ALWAYS, "the running kernel was built with "
			     "CONFIG_KEXEC_SIG_FORCE");
	else if (signatures && ctx->input->secure_boot == 1 &&
		 fact_config(ctx, "CONFIG_IMA_ARCH_POLICY") == FACT_CONFIG_YES)
		demanded_set(d, DEMAND_ALWAYS, "under Secure Boot the running kernel demands a "
			     "signature (CONFIG_IMA_ARCH_POLICY)");
	else if (lockdown)
		lockdown_text(lockdown, d);
	else if (fact_exists(ctx, "/sys/kernel/security/lsm"))
		demanded_set(d, DEMAND_NONE, "the running kernel has no lockdown");
	else
		lockdown_guess(ctx, d);
}

/* True if a line of /proc/keys, "... asymmetri NAME: IDENTIFIER: X509.rsa ...", has one of the
 * signature's key identifiers; then sets the key's serial number. */
static bool line_names_key(const char *line, const struct authenticode *a, int32_t *ret_serial)
{
	unsigned serial;

	if (!strstr(line, " asymmetri") || sscanf(line, "%x", &serial) != 1)
		return false;
	for (unsigned i = 0; i < a->key_count; i++) {
		char want[AUTHENTICODE_KEY_CHARS + 4];

		(void)snprintf(want, sizeof want, ": %s: ", a->keys[i]);
		if (strstr(line, want)) {
			*ret_serial = (int32_t)serial;
			return true;
		}
	}
	return false;
}

static bool keyring_named(const char *line, const char *name, int32_t *ret_serial)
{
	const char *at = strstr(line, " keyring ");
	unsigned serial;

	if (!at || sscanf(line, "%x", &serial) != 1)
		return false;
	at += strspn(at, " ");
	at += strcspn(at, " ");
	at += strspn(at, " ");
	if (strncmp(at, name, strlen(name)) != 0 || at[strlen(name)] != ':')
		return false;
	*ret_serial = (int32_t)serial;
	return true;
}

/* Returns the next line of text, without its newline; NULL after the last. */
static char *line_next(char **text)
{
	char *line = *text;

	if (!line || !*line)
		return NULL;
	*text += strcspn(line, "\n");
	if (**text)
		*(*text)++ = 0;
	return line;
}

#define KEYRING_KEYS 256

struct keyring {
	const char *name;
	bool seen, read;
	int32_t keys[KEYRING_KEYS];
	long count;
};

static void keyring_fill(const struct preflight_context *ctx, const char *line,
			 struct keyring *ring)
{
	int32_t serial;

	if (!keyring_named(line, ring->name, &serial))
		return;
	ring->seen = true;
	if (!ctx->input->keyring_read)
		return;
	ring->count = ctx->input->keyring_read(serial, ring->keys, KEYRING_KEYS);
	ring->read = ring->count >= 0;
}

static const struct keyring *keyring_of(const struct keyring *rings, size_t count, int32_t key)
{
	for (size_t r = 0; r < count; r++)
		for (long i = 0; rings[r].read && i < rings[r].count; i++)
			if (rings[r].keys[i] == key)
				return &rings[r];
	return NULL;
}

/* Reads /proc/keys twice: for the keyrings, then for keys that would do. words has at least 200
 * bytes. */
static enum key_place key_find(const struct preflight_context *ctx, const struct authenticode *a,
			       char *words, size_t size)
{
	struct keyring rings[] = { { .name = ".builtin_trusted_keys" },
				   { .name = ".secondary_trusted_keys" },
				   { .name = ".machine" }, { .name = ".platform" } };
	_cleanup_free_ char *first = fact_read(ctx, "/proc/keys");
	_cleanup_free_ char *second = first ? strdup(first) : NULL;
	bool any = false, all_read = true;
	char *at = first, *line;
	int32_t key;

	while ((line = line_next(&at)))
		for (size_t i = 0; i < ARRAY_SIZE(rings); i++)
			keyring_fill(ctx, line, &rings[i]);
	for (size_t i = 0; i < ARRAY_SIZE(rings); i++) {
		any |= rings[i].seen;
		all_read &= !rings[i].seen || rings[i].read;
	}
	for (at = second; (line = line_next(&at));) {
		const struct keyring *ring;

		if (!line_names_key(line, a, &key))
			continue;
		ring = keyring_of(rings, ARRAY_SIZE(rings), key);
		(void)snprintf(words, size, ring ? "the key for it is in %s" : "a key for it is in "
			       "the kernel, in a keyring that cannot be told",
			       ring ? ring->name : "");
		if (ring)
			return KEY_THERE;
		if (!all_read)
			return KEY_UNKNOWN;
	}
	if (!any || !all_read) {
		(void)snprintf(words, size, "the kernel's keyrings cannot be read (/proc/keys)");
		return KEY_UNKNOWN;
	}
	(void)snprintf(words, size, "no key for it is in .builtin_trusted_keys, "
		       ".secondary_trusted_keys, .machine or .platform");
	return KEY_MISSING;
}

/* What is wrong with the signature itself, and the errno for it; NULL: nothing. */
static const char *defect(const struct authenticode *a, int *ret_error)
{
	switch (a->state) {
	case AUTHENTICODE_NO_PE:
		*ret_error = ELIBBAD;
		return ".linux is no PE image, so nothing can have signed it";
	case AUTHENTICODE_UNSIGNED:
		*ret_error = ENODATA;
		return ".linux is not signed";
	case AUTHENTICODE_MALFORMED:
		*ret_error = EBADMSG;
		return ".linux: ";
	case AUTHENTICODE_ALTERED:
		*ret_error = EKEYREJECTED;
		return ".linux was altered after it was signed: its digest is not the signed one";
	case AUTHENTICODE_WRONG:
		*ret_error = EKEYREJECTED;
		return "the signature of .linux does not hold: ";
	default:
		return NULL;
	}
}

static void signed_by(const struct authenticode *a, char *out, size_t size)
{
	char first[80] = "";

	if (a->count > 1)
		(void)snprintf(first, sizeof first, " (the first of its %u signatures, the one that "
			       "the kernel looks at)", a->count);
	if (a->state == AUTHENTICODE_SIGNED)
		(void)snprintf(out, size, ".linux is signed by %s, certified by %s%s", a->signer,
			       a->issuer, first);
	else
		(void)snprintf(out, size, ".linux is signed by a key whose certificate is not in "
			       "the signature");
}

/* Judges a valid signature where one is required. */
static void judge_key(const struct preflight_context *ctx, const struct authenticode *a,
		      const struct demanded *d, struct preflight_finding *f)
{
	static const char fix[] = "sign the kernel with a key the running kernel trusts before the "
				  "UKI is built, or enroll the signer's certificate (mokutil "
				  "--import) and reboot; or go through the firmware: "
				  "--activate=reboot";
	static const char fix_first[] = "remove the signatures that the kernel has (sbattach "
					"--remove, once for each) and sign it with a key the "
					"running kernel trusts before the UKI is built; or go "
					"through the firmware: --activate=reboot";
	char who[480], place[200] = "whose key it is cannot be told";
	enum key_place key = a->state == AUTHENTICODE_SIGNED
				     ? key_find(ctx, a, place, sizeof place) : KEY_UNKNOWN;
	int error = d->demand == DEMAND_LOCKDOWN ? EPERM : ENOKEY;

	signed_by(a, who, sizeof who);
	if (key == KEY_THERE)
		finding_set(f, PREFLIGHT_PASS, 0, NULL, "%s; %s; %s", who, place, d->words);
	else
		finding_set(f, key == KEY_MISSING && d->demand != DEMAND_UNKNOWN
			    ? PREFLIGHT_FAIL : PREFLIGHT_UNKNOWN,
			    error, a->count > 1 ? fix_first : fix, "%s; %s; %s", who, place, d->words);
}

static void judge(const struct preflight_context *ctx, const struct authenticode *a,
		  const struct demanded *d, struct preflight_finding *f)
{
	static const char fix[] = "sign the kernel (sbsign) with a key the running kernel trusts "
				  "before the UKI is built: signing the UKI alone does not sign "
				  "its .linux; or go through the firmware: --activate=reboot";
	int error = EPERM;
	const char *wrong = defect(a, &error);
	char who[480];

	if (d->demand == DEMAND_LOCKDOWN || d->demand == DEMAND_UNKNOWN)
		error = EPERM;
	if (wrong && d->demand == DEMAND_NONE) {
		finding_set(f, PREFLIGHT_PASS, 0, NULL, "%s%s, and no signature is demanded: %s",
			    wrong, a->why, d->words);
	} else if (wrong) {
		finding_set(f, d->demand == DEMAND_UNKNOWN ? PREFLIGHT_UNKNOWN : PREFLIGHT_FAIL,
			    error, fix, "%s%s; %s", wrong, a->why, d->words);
	} else if (d->demand == DEMAND_NONE) {
		signed_by(a, who, sizeof who);
		finding_set(f, PREFLIGHT_PASS, 0, NULL, "%s; no signature is demanded: %s", who,
			    d->words);
	} else {
		judge_key(ctx, a, d, f);
	}
}

struct window {
	const struct pe_source *source;
	uint64_t offset;
};

static enum sb_error window_read(void *ctx, uint64_t offset, uint8_t *buf, size_t len)
{
	const struct window *w = ctx;

	return w->source->read(w->source->ctx, w->offset + offset, buf, len);
}

void check_signature(const struct preflight_context *ctx, struct preflight_finding *f)
{
	struct window window = { &ctx->input->uki->image.source, ctx->linux.offset };
	struct pe_source linux_image = { .ctx = &window, .size = ctx->linux.size,
					 .read = window_read };
	struct demanded demanded = { 0 };
	struct authenticode a;
	struct err err = { 0 };

	demand_find(ctx, &demanded);
	if (authenticode_read(&linux_image, &a, &err) < 0)
		finding_set(f, PREFLIGHT_UNKNOWN, EPERM, NULL, "the signature of .linux cannot be "
			    "read: %s", err.text);
	else
		judge(ctx, &a, &demanded, f);
}
