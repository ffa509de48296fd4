/* SPDX-License-Identifier: MIT */
#include "verb_bundle.h"

#include "bundle_create.h"
#include "chunkindex.h"
#include "efi_auth.h"
#include "manifest.h"
#include "number.h"
#include "osrel.h"
#include "report.h"
#include "signkey.h"
#include "io.h"

#include <string.h>

static const char help_create[] =
	"Usage: slotctl bundle create --output=FILE [--compatible=NAME] [--version=VERSION]\n"
	"           --uki=FILE [--addon=a=FILE --addon=b=FILE]\n"
	"           [--credential=NAME=FILE]... [--sysext=NAME=FILE]... [--confext=NAME=FILE]...\n"
	"           [--efi-auth=VARIABLE=FILE]... [--file=NAME=FILE]...\n"
	"           [--image=NAME=FILE[,roothash=HEX]]... [--base=[NAME=]FILE]...\n"
	"           {--key=KEY --cert=CERT}... | --unsigned [OPTION]...\n"
	"\n"
	"Makes a bundle and signs it. Needs no privileges.\n"
	"\n"
	"  --output=FILE      the bundle; replaced only when the new one is complete\n"
	"  --compatible=NAME  the machines it is for; theirs is in slotboot.conf;\n"
	"                     if not given, IMAGE_ID of the UKI's .osrel\n"
	"  --version=VERSION  compared as the UAPI Version Format Specification says;\n"
	"                     if not given, IMAGE_VERSION of the UKI's .osrel\n"
	"  --uki=FILE         the unified kernel image\n"
	"  --addon=SLOT=FILE  an addon of the UKI for slot a or b, signed where Secure Boot\n"
	"                     is on: its command line comes after the UKI's; one for each\n"
	"  --credential=NAME=FILE, --sysext=NAME=FILE, --confext=NAME=FILE\n"
	"                     a systemd credential, a system or a configuration extension,\n"
	"                     for beside the UKI, where systemd-stub finds it; may be repeated\n"
	"  --efi-auth=VARIABLE=FILE\n"
	"                     an update of KEK, db or dbx, signed for appending (.auth), which\n"
	"                     the machines have their firmware apply; may be repeated\n"
	"  --file=NAME=FILE   for the slot's directory below files= of the machine's\n"
	"                     configuration; may be repeated\n"
	"  --image=NAME=FILE[,roothash=HEX]\n"
	"                     an image for the slot (rootfs, usr, ...) and the root hash\n"
	"                     of the dm-verity tree in it; may be repeated\n"
	"  --reference=NAME=FILE[,roothash=HEX]\n"
	"                     an image that the machines have, in either slot: its bytes are\n"
	"                     left out; a machine without it refuses the bundle\n"
	"  --loader=FILE      a new loader: each machine tries it once, together with the slot\n"
	"  --base=[NAME=]FILE an older image of NAME (or uki): machines that run it fetch\n"
	"                     only the difference; NAME is needed unless there is one\n"
	"                     image; may be repeated\n"
	"  --key=KEY          the signing key: a PEM file, or a PKCS#11 URI (pkcs11:...)\n"
	"  --cert=CERT        its certificate, likewise; in a PEM file any intermediate ones\n"
	"                     may follow. Both may be repeated, for several signers: the\n"
	"                     first certificate is for the first key, and so on\n"
	"  --crl=FILE         revocation lists (PEM) that go into the signature: machines with\n"
	"                     crl= count them beside their own, whose date may have passed\n"
	"  --unsigned         leave the signature out: see slotctl bundle sign\n"
	"  --raise-floor      once it is marked good, no lower version is installed any more\n"
	"  --no-delta         a frame for each chunk, and none for 4 KiB blocks: smaller by a\n"
	"                     fifth, but a machine fetches whole chunks\n"
	"  --reuse=BUNDLE     the bundle before: what has not changed is taken from there,\n"
	"                     once it was seen to be the same; its signature does not matter\n"
	"  --chunk-size=SIZE  64K to 8M, a power of two; 1M if not given\n"
	"  --level=N          zstd's compression level, 1 to 22; 9 if not given, 12 for blocks\n"
	"  --threads=N        as many as there are processors if not given\n"
	"  --json             progress as JSON lines\n";

enum {
	OPT_HELP = 256,
	OPT_OUTPUT, OPT_COMPATIBLE, OPT_VERSION, OPT_UKI, OPT_LOADER, OPT_ADDON, OPT_CREDENTIAL,
	OPT_SYSEXT, OPT_CONFEXT, OPT_EFI_AUTH, OPT_FILE, OPT_IMAGE, OPT_REFERENCE, OPT_BASE, OPT_KEY,
	OPT_CERT, OPT_CRL, OPT_UNSIGNED, OPT_FLOOR, OPT_NO_DELTA, OPT_REUSE, OPT_CHUNK_SIZE, OPT_LEVEL, OPT_THREADS, OPT_JSON,
};

static const struct option create_options[] = {
	{ "output", required_argument, NULL, OPT_OUTPUT },
	{ "compatible", required_argument, NULL, OPT_COMPATIBLE },
	{ "version", required_argument, NULL, OPT_VERSION },
	{ "uki", required_argument, NULL, OPT_UKI },
	{ "loader", required_argument, NULL, OPT_LOADER },
	{ "addon", required_argument, NULL, OPT_ADDON },
	{ "credential", required_argument, NULL, OPT_CREDENTIAL },
	{ "sysext", required_argument, NULL, OPT_SYSEXT },
	{ "confext", required_argument, NULL, OPT_CONFEXT },
	{ "efi-auth", required_argument, NULL, OPT_EFI_AUTH },
	{ "file", required_argument, NULL, OPT_FILE },
	{ "image", required_argument, NULL, OPT_IMAGE },
	{ "reference", required_argument, NULL, OPT_REFERENCE },
	{ "base", required_argument, NULL, OPT_BASE },
	{ "key", required_argument, NULL, OPT_KEY },
	{ "cert", required_argument, NULL, OPT_CERT },
	{ "crl", required_argument, NULL, OPT_CRL },
	{ "unsigned", no_argument, NULL, OPT_UNSIGNED },
	{ "raise-floor", no_argument, NULL, OPT_FLOOR },
	{ "no-delta", no_argument, NULL, OPT_NO_DELTA },
	{ "reuse", required_argument, NULL, OPT_REUSE },
	{ "chunk-size", required_argument, NULL, OPT_CHUNK_SIZE },
	{ "level", required_argument, NULL, OPT_LEVEL },
	{ "threads", required_argument, NULL, OPT_THREADS },
	{ "json", no_argument, NULL, OPT_JSON },
	{ "help", no_argument, NULL, OPT_HELP },
	{ NULL, 0, NULL, 0 },
};

enum { IMAGES_MAX = MANIFEST_MAX_PAYLOADS - 3 };	/* beside the UKI and two addons */
enum { BASES_MAX = MANIFEST_MAX_PAYLOADS * MANIFEST_MAX_BASES };

/* The command line, which options points into. */
struct creation {
	struct bundle_create_options options;
	struct bundle_image images[MANIFEST_MAX_PAYLOADS];
	struct bundle_beside besides[MANIFEST_MAX_PAYLOADS];
	char update_names[MANIFEST_MAX_PAYLOADS][8];	/* "dbx-1" */
	unsigned updates[EFI_AUTH_VARIABLES];		/* so many of each */
	struct bundle_base bases[BASES_MAX];
	struct cms_signer signers[CMS_SIGNERS_MAX];
	size_t keys, certs;
	bool json, is_unsigned;
	struct osrel osrel;		/* of the UKI */
};

static void creation_freep(struct creation **c)
{
	if (*c)
		osrel_clear(&(*c)->osrel);
	free(*c);
}

/* NAME=FILE[,roothash=HEX], cut up in place. */
static int image_split(char *text, bool by_reference, struct bundle_image *ret_image, struct err *err)
{
	static const char mark[] = ",roothash=";
	char *file = strchr(text, '='), *hash;

	if (!file || file == text || !file[1])
		return err_set(err, EX_USAGE, "--%s=%s: must be NAME=FILE[,roothash=HEX]",
			       by_reference ? "reference" : "image", text);
	*file++ = 0;
	hash = strstr(file, mark);
	if (hash) {
		*hash = 0;
		hash += strlen(mark);
	}
	*ret_image = (struct bundle_image){ .name = text, .file = file, .root_hash = hash,
					    .by_reference = by_reference };
	return 0;
}

static int image_add(struct creation *c, char *text, bool by_reference, struct err *err)
{
	struct bundle_create_options *o = &c->options;

	if (o->image_count == IMAGES_MAX)
		return err_set(err, EX_USAGE, "bundle create: more than %d images", IMAGES_MAX);
	return image_split(text, by_reference, &c->images[o->image_count++], err);
}

static int addon_add(struct creation *c, const char *text, struct err *err)
{
	const char **addons = c->options.addons;
	unsigned slot = text[0] == 'b';

	if ((text[0] != 'a' && text[0] != 'b') || text[1] != '=' || !text[2])
		return err_set(err, EX_USAGE, "--addon=%s: must be a=FILE or b=FILE", text);
	if (addons[slot])
		return err_set(err, EX_USAGE, "--addon=%s: slot %c has one already", text, text[0]);
	addons[slot] = text + 2;
	return 0;
}

/* NAME=FILE, cut up in place. What a name may be, the manifest knows. */
static int beside_add(struct creation *c, enum payload_type type, char *text, struct err *err)
{
	struct bundle_create_options *o = &c->options;
	char *file = strchr(text, '=');

	if (!file || file == text || !file[1])
		return err_set(err, EX_USAGE, "--%s=%s: must be NAME=FILE", manifest_type_text(type),
			       text);
	if (o->beside_count == IMAGES_MAX)
		return err_set(err, EX_USAGE, "bundle create: more than %d credentials, sysexts, "
			       "confexts, updates of keys and files", IMAGES_MAX);
	*file++ = 0;
	c->besides[o->beside_count++] =
		(struct bundle_beside){ .type = type, .name = text, .file = file };
	return 0;
}

/* VARIABLE=FILE; those of a variable are numbered as they come. */
static int update_add(struct creation *c, char *text, struct err *err)
{
	size_t at = c->options.beside_count, len = strcspn(text, "=");
	enum efi_auth_variable v = EFI_AUTH_KEK;

	while (v < EFI_AUTH_VARIABLES &&
	       (strlen(efi_auth_name(v)) != len || strncmp(efi_auth_name(v), text, len) != 0))
		v++;
	if (v == EFI_AUTH_VARIABLES)
		return err_set(err, EX_USAGE, "--efi-auth=%s: must be KEK=FILE, db=FILE or dbx=FILE", text);
	if (beside_add(c, PAYLOAD_EFI_AUTH, text, err) < 0)
		return -1;
	(void)snprintf(c->update_names[at], sizeof c->update_names[at], "%s-%u", text, ++c->updates[v]);
	c->besides[at].name = c->update_names[at];
	return 0;
}

static int base_add(struct creation *c, char *text, struct err *err)
{
	struct bundle_create_options *o = &c->options;

	if (o->base_count == BASES_MAX)
		return err_set(err, EX_USAGE, "bundle create: more than %d bases", BASES_MAX);
	c->bases[o->base_count++].file = text;
	return 0;
}

static int key_add(struct creation *c, const char *text, struct err *err)
{
	if (c->keys == CMS_SIGNERS_MAX)
		return err_set(err, EX_USAGE, "bundle create: more than %d keys", CMS_SIGNERS_MAX);
	c->signers[c->keys++].key = text;
	return 0;
}

static int cert_add(struct creation *c, const char *text, struct err *err)
{
	for (size_t i = 0; i < c->certs; i++)
		if (strcmp(c->signers[i].cert, text) == 0)
			return err_set(err, EX_USAGE, "--cert=%s: given twice; it would count "
				       "as one signer", signkey_name(text).text);
	if (c->certs == CMS_SIGNERS_MAX)
		return err_set(err, EX_USAGE, "bundle create: more than %d certificates",
			       CMS_SIGNERS_MAX);
	c->signers[c->certs++].cert = text;
	return 0;
}

static bool is_payload(const struct bundle_create_options *o, const char *name, size_t len)
{
	if (len == 3 && memcmp(name, "uki", 3) == 0)
		return true;
	for (size_t i = 0; i < o->image_count; i++)
		if (strlen(o->images[i].name) == len && memcmp(o->images[i].name, name, len) == 0)
			return true;
	return false;
}

/* NAME=FILE where NAME is one of the payloads; else all of it is a file, and it is for
 * the only image. Cut up in place, once all images are known. */
static int base_resolve(const struct bundle_create_options *o, struct bundle_base *base,
			struct err *err)
{
	char *text = (char *)(uintptr_t)base->file, *file = strchr(text, '=');

	if (file && file[1] && is_payload(o, text, (size_t)(file - text))) {
		*file++ = 0;
		*base = (struct bundle_base){ .name = text, .file = file };
		return 0;
	}
	if (o->image_count != 1)
		return err_set(err, EX_USAGE, "--base=%s: must be NAME=FILE, NAME being uki or one "
			       "of the images", text);
	base->name = o->images[0].name;
	return 0;
}

static int number_get(const char *option, const char *text, unsigned min, unsigned max, uint64_t *ret_n,
		      struct err *err)
{
	if (!number_parse(text, min, max, ret_n))
		return err_set(err, EX_USAGE, "--%s=%s: must be a number from %u to %u", option,
			       text, min, max);
	return 0;
}

static int chunk_size_parse(const char *text, unsigned *ret_log, struct err *err)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);
	unsigned shift = *end == 'K' ? 10 : *end == 'M' ? 20 : 0;

	for (unsigned log = CHUNK_MIN_LOG; log <= CHUNK_MAX_LOG; log++)
		if (end != text && strlen(end) == (shift ? 1 : 0) && n <= 1UL << 30 &&
		    n << shift == 1UL << log) {
			*ret_log = log;
			return 0;
		}
	return err_set(err, EX_USAGE, "--chunk-size=%s: must be a power of two from 64K to 8M",
		       text);
}

static int number_option(int option, struct bundle_create_options *o, struct err *err)
{
	uint64_t n = 0;

	if (option == OPT_CHUNK_SIZE)
		return chunk_size_parse(optarg, &o->chunk_log, err);
	if (option == OPT_LEVEL) {
		if (number_get("level", optarg, 1, 22, &n, err) < 0)
			return -1;
		o->level = (int)n;
		return 0;
	}
	if (number_get("threads", optarg, 1, 64, &n, err) < 0)
		return -1;
	o->threads = (unsigned)n;
	return 0;
}

static int create_option(int option, struct creation *c, struct err *err)
{
	struct bundle_create_options *o = &c->options;

	switch (option) {
	case OPT_OUTPUT:
		o->output = optarg;
		return 0;
	case OPT_COMPATIBLE:
		o->compatible = optarg;
		return 0;
	case OPT_VERSION:
		o->version = optarg;
		return 0;
	case OPT_UKI:
		o->uki = optarg;
		return 0;
	case OPT_LOADER:
		o->loader = optarg;
		return 0;
	case OPT_ADDON:
		return addon_add(c, optarg, err);
	case OPT_CREDENTIAL:
		return beside_add(c, PAYLOAD_CREDENTIAL, optarg, err);
	case OPT_SYSEXT:
		return beside_add(c, PAYLOAD_SYSEXT, optarg, err);
	case OPT_CONFEXT:
		return beside_add(c, PAYLOAD_CONFEXT, optarg, err);
	case OPT_EFI_AUTH:
		return update_add(c, optarg, err);
	case OPT_FILE:
		return beside_add(c, PAYLOAD_FILE, optarg, err);
	case OPT_KEY:
		return key_add(c, optarg, err);
	case OPT_CERT:
		return cert_add(c, optarg, err);
	case OPT_UNSIGNED:
		c->is_unsigned = true;
		return 0;
	case OPT_FLOOR:
		o->raise_floor = true;
		return 0;
	case OPT_NO_DELTA:
		o->no_blocks = true;
		return 0;
	case OPT_REUSE:
		o->reuse = optarg;
		return 0;
	case OPT_JSON:
		c->json = true;
		return 0;
	case OPT_IMAGE:
	case OPT_REFERENCE:
		return image_add(c, optarg, option == OPT_REFERENCE, err);
	case OPT_BASE:
		return base_add(c, optarg, err);
	case OPT_CRL:
		c->signers[0].crl = optarg;
		return 0;
	default:
		return number_option(option, o, err);
	}
}

/* What was given, or else what the UKI says; they must not differ. */
static int osrel_agree(const char *option, const char **value, const char *key, const char *said,
		       struct err *err)
{
	if (said && *value && strcmp(*value, said) != 0)
		return err_set(err, EX_DATAERR, "--%s=%s: the UKI says %s=%s in its .osrel; build it "
			       "anew, or leave the option out", option, *value, key, said);
	if (!*value)
		*value = said;
	return 0;
}

/* A file that is no UKI is refused later, with all that is wrong with it. */
static int osrel_apply(struct creation *c, struct err *err)
{
	struct bundle_create_options *o = &c->options;
	struct ukifile uki;

	if (!o->uki || ukifile_open(o->uki, &uki, NULL) < 0)
		return 0;
	(void)osrel_read(&uki, &c->osrel, NULL);
	ukifile_close(&uki);
	if (osrel_agree("compatible", &o->compatible, "IMAGE_ID", c->osrel.image_id, err) < 0)
		return -1;
	return osrel_agree("version", &o->version, "IMAGE_VERSION", c->osrel.image_version, err);
}

static int create_complete(const struct creation *c, struct err *err)
{
	const struct bundle_create_options *o = &c->options;
	const char *none = c->is_unsigned ? "" : NULL;
	const struct {
		const char *name, *value;
	} needed[] = {
		{ "--output", o->output }, { "--compatible", o->compatible },
		{ "--version", o->version }, { "--uki", o->uki },
		{ "--key", c->keys ? c->signers[0].key : none },
		{ "--cert", c->certs ? c->signers[0].cert : none },
	};

	if (c->is_unsigned && (c->keys + c->certs > 0 || c->signers[0].crl))
		return err_set(err, EX_USAGE, "bundle create: --unsigned does not go with --key, "
			       "--cert or --crl");
	for (size_t i = 0; i < ARRAY_SIZE(needed); i++)
		if (!needed[i].value)
			return err_set(err, EX_USAGE, "bundle create: %s is missing; see slotctl "
				       "bundle create --help", needed[i].name);
	if (!o->addons[0] != !o->addons[1])
		return err_set(err, EX_USAGE, "bundle create: --addon for slot %c is missing: there is "
			       "one for each slot, or none", o->addons[0] ? 'b' : 'a');
	if (c->keys != c->certs)
		return err_set(err, EX_USAGE, "bundle create: %zu --key and %zu --cert: each key has "
			       "a certificate of its own", c->keys, c->certs);
	return 0;
}

/* 0; 1: help was asked for and printed; -1: EX_USAGE. */
static int create_parse(int argc, char **argv, struct creation *c, struct err *err)
{
	int option;

	verb_bundle_start();
	while ((option = verb_bundle_option(argc, argv, create_options, err)) != -1) {
		if (option == OPT_HELP) {
			(void)fputs(help_create, stdout);
			return 1;
		}
		if (option == '?' || create_option(option, c, err) < 0)
			return -1;
	}
	if (optind < argc)
		return err_set(err, EX_USAGE, "bundle create: %s is no option", argv[optind]);
	for (size_t i = 0; i < c->options.base_count; i++)
		if (base_resolve(&c->options, &c->bases[i], err) < 0)
			return -1;
	if (osrel_apply(c, err) < 0 || create_complete(c, err) < 0)
		return -1;
	c->options.signer_count = c->keys;
	return 0;
}

int verb_bundle_create(int argc, char **argv, struct err *err)
{
	_cleanup_(creation_freep) struct creation *c = calloc(1, sizeof *c);
	struct report report;
	int parsed;

	if (!c)
		return err_set(err, EX_SOFTWARE, "bundle create: out of memory");
	c->options.images = c->images;
	c->options.besides = c->besides;
	c->options.bases = c->bases;
	c->options.signers = c->signers;
	parsed = create_parse(argc, argv, c, err);
	if (parsed != 0)
		return parsed < 0 ? -1 : 0;
	report_init(&report, c->json);
	c->options.report = &report;
	return bundle_create(&c->options, err);
}
