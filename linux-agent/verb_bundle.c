/* SPDX-License-Identifier: MIT */
#include "bundle.h"
#include "bundle_create.h"
#include "config.h"
#include "fetch.h"
#include "secret.h"
#include "util.h"
#include "verbs.h"

#include <getopt.h>
#include <jansson.h>
#include <string.h>

static const char help_bundle[] =
	"Usage: slotctl bundle create|info|verify [OPTION]...\n"
	"\n"
	"  create   make and sign a bundle\n"
	"  info     show what is in a bundle, without checking its signature\n"
	"  verify   check a bundle's signature and every payload\n"
	"\n"
	"Each has its own --help.\n";

static const char help_create[] =
	"Usage: slotctl bundle create --output=FILE --compatible=NAME --version=VERSION\n"
	"           --uki=FILE [--image=NAME=FILE[,roothash=HEX]]... --key=PEM --cert=PEM\n"
	"\n"
	"Makes a bundle and signs it. Needs no privileges.\n"
	"\n"
	"  --output=FILE      the bundle; replaced only when the new one is complete\n"
	"  --compatible=NAME  the machines it is for; theirs is in slotboot.conf\n"
	"  --version=VERSION  compared as the UAPI Version Format Specification says\n"
	"  --uki=FILE         the unified kernel image\n"
	"  --image=NAME=FILE[,roothash=HEX]\n"
	"                     an image for the slot (rootfs, usr, ...) and the root hash\n"
	"                     of the dm-verity tree in it; may be repeated\n"
	"  --key=PEM          the signing key\n"
	"  --cert=PEM         its certificate, then any intermediate ones\n";

static const char help_info[] =
	"Usage: slotctl bundle info [--json] [--config=FILE] BUNDLE\n"
	"\n"
	"Shows the manifest of a bundle (a path, or a file, http or https URL). Neither\n"
	"its signature nor its payloads are checked: see slotctl bundle verify.\n"
	"\n"
	"  --json         the manifest as JSON\n"
	"  --config=FILE  instead of " CONFIG_DEFAULT_PATH "\n";

static const char help_verify[] =
	"Usage: slotctl bundle verify [--keyring=PEM] [--config=FILE] BUNDLE\n"
	"\n"
	"Checks the signature of a bundle (a path, or a file, http or https URL), and the\n"
	"size and SHA-256 of each payload. Exits with 0 only if all is good.\n"
	"\n"
	"  --keyring=PEM  the trusted certificates, instead of the configured ones\n"
	"  --config=FILE  instead of " CONFIG_DEFAULT_PATH "\n";

enum {
	OPT_HELP = 256,
	OPT_OUTPUT, OPT_COMPATIBLE, OPT_VERSION, OPT_UKI, OPT_IMAGE, OPT_KEY, OPT_CERT,
	OPT_JSON, OPT_CONFIG, OPT_KEYRING,
};

static const struct option create_options[] = {
	{ "output", required_argument, NULL, OPT_OUTPUT },
	{ "compatible", required_argument, NULL, OPT_COMPATIBLE },
	{ "version", required_argument, NULL, OPT_VERSION },
	{ "uki", required_argument, NULL, OPT_UKI },
	{ "image", required_argument, NULL, OPT_IMAGE },
	{ "key", required_argument, NULL, OPT_KEY },
	{ "cert", required_argument, NULL, OPT_CERT },
	{ "help", no_argument, NULL, OPT_HELP },
	{ NULL, 0, NULL, 0 },
};

static const struct option info_options[] = {
	{ "json", no_argument, NULL, OPT_JSON },
	{ "config", required_argument, NULL, OPT_CONFIG },
	{ "help", no_argument, NULL, OPT_HELP },
	{ NULL, 0, NULL, 0 },
};

static const struct option verify_options[] = {
	{ "keyring", required_argument, NULL, OPT_KEYRING },
	{ "config", required_argument, NULL, OPT_CONFIG },
	{ "help", no_argument, NULL, OPT_HELP },
	{ NULL, 0, NULL, 0 },
};

/* What info and verify take. */
struct reading {
	bool json;
	const char *config;
	const char *keyring;
	const char *where;
	char shown[512];	/* where, for messages */
};

/* The next option, -1 at the end; EX_USAGE in err and '?' for a wrong one. */
static int option_next(int argc, char **argv, const struct option *known, struct err *err)
{
	int option = getopt_long(argc, argv, ":", known, NULL);

	if (option == ':')
		(void)err_set(err, EX_USAGE, "bundle %s: %s needs a value", argv[0],
			      argv[optind - 1]);
	else if (option == '?')
		(void)err_set(err, EX_USAGE, "bundle %s: unknown option %s; see slotctl bundle "
			      "%s --help", argv[0], argv[optind - 1], argv[0]);
	return option == ':' ? '?' : option;
}

static void options_start(void)
{
	optind = 0;
	opterr = 0;
}

/* NAME=FILE[,roothash=HEX], cut up in place. */
static int image_split(char *text, struct bundle_image *ret_image, struct err *err)
{
	static const char mark[] = ",roothash=";
	char *file = strchr(text, '='), *hash;

	if (!file || file == text || !file[1])
		return err_set(err, EX_USAGE, "--image=%s: must be NAME=FILE[,roothash=HEX]",
			       text);
	*file++ = 0;
	hash = strstr(file, mark);
	if (hash) {
		*hash = 0;
		hash += strlen(mark);
	}
	*ret_image = (struct bundle_image){ .name = text, .file = file, .root_hash = hash };
	return 0;
}

static int create_option(int option, struct bundle_create_options *o,
			 struct bundle_image *images, struct err *err)
{
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
	case OPT_KEY:
		o->key = optarg;
		return 0;
	case OPT_CERT:
		o->cert = optarg;
		return 0;
	case OPT_IMAGE:
		if (o->image_count == MANIFEST_MAX_PAYLOADS - 1)
			return err_set(err, EX_USAGE, "bundle create: more than %d images",
				       MANIFEST_MAX_PAYLOADS - 1);
		return image_split(optarg, &images[o->image_count++], err);
	default:
		return -1;
	}
}

static int create_complete(const struct bundle_create_options *o, struct err *err)
{
	const struct {
		const char *name, *value;
	} needed[] = {
		{ "--output", o->output }, { "--compatible", o->compatible },
		{ "--version", o->version }, { "--uki", o->uki },
		{ "--key", o->key }, { "--cert", o->cert },
	};

	for (size_t i = 0; i < ARRAY_SIZE(needed); i++)
		if (!needed[i].value)
			return err_set(err, EX_USAGE, "bundle create: %s is missing; see slotctl "
				       "bundle create --help", needed[i].name);
	return 0;
}

static int create(int argc, char **argv, struct err *err)
{
	struct bundle_image images[MANIFEST_MAX_PAYLOADS];
	struct bundle_create_options o = { .images = images };
	int option;

	options_start();
	while ((option = option_next(argc, argv, create_options, err)) != -1) {
		if (option == OPT_HELP) {
			(void)fputs(help_create, stdout);
			return 0;
		}
		if (option == '?' || create_option(option, &o, images, err) < 0)
			return -1;
	}
	if (optind < argc)
		return err_set(err, EX_USAGE, "bundle create: %s is no option", argv[optind]);
	if (create_complete(&o, err) < 0)
		return -1;
	return bundle_create(&o, err);
}

/* 0; 1: help was asked for and printed; -1: EX_USAGE. */
static int reading_parse(int argc, char **argv, const struct option *known, const char *help,
			 struct reading *ret_reading, struct err *err)
{
	struct reading r = { 0 };
	int option;

	options_start();
	while ((option = option_next(argc, argv, known, err)) != -1) {
		if (option == OPT_HELP) {
			(void)fputs(help, stdout);
			return 1;
		}
		if (option == '?')
			return -1;
		if (option == OPT_JSON)
			r.json = true;
		else if (option == OPT_CONFIG)
			r.config = optarg;
		else if (option == OPT_KEYRING)
			r.keyring = optarg;
	}
	if (argc - optind != 1)
		return err_set(err, EX_USAGE, "bundle %s: one bundle must be named", argv[0]);
	r.where = argv[optind];
	(void)snprintf(r.shown, sizeof r.shown, "%s", r.where);
	secret_mask_urls(r.shown, sizeof r.shown);
	*ret_reading = r;
	return 0;
}

/* Opens the bundle as the configuration says; keyring NULL: unchecked. */
static int reading_open(const struct reading *r, const struct config *config,
			const char *keyring, struct bundle **ret_bundle, struct err *err)
{
	const struct fetch_options fetch = {
		.deadline_s = config->deadline_s,
		.http = &config->http,
	};
	const struct bundle_options options = {
		.keyring = keyring,
		.rules = &config->rules,
		.download_dir = config->download_dir,
		.fetch = &fetch,
	};

	return bundle_open(r->where, &options, ret_bundle, err);
}

static int info_print_json(const struct bundle *bundle, const char *where, struct err *err)
{
	const uint8_t *json, *p7s;
	size_t json_len, p7s_len;
	_cleanup_(json_decrefp) json_t *root = NULL;

	bundle_manifest_bytes(bundle, &json, &json_len, &p7s, &p7s_len);
	root = json_pack("{s:s, s:b, s:o}", "bundle", where, "signature_checked", 0, "manifest",
			 json_loadb((const char *)json, json_len, 0, NULL));
	if (!root || json_dumpf(root, stdout, JSON_INDENT(2)) < 0 || putchar('\n') == EOF)
		return err_set(err, EX_SOFTWARE, "failed to print the manifest of %s", where);
	return 0;
}

static void info_print(const struct bundle *bundle, const char *where)
{
	const struct manifest *m = bundle_manifest(bundle);

	(void)printf("bundle      %s\ncompatible  %s\nversion     %s\n"
		     "signature   not checked (slotctl bundle verify does)\n", where,
		     m->compatible, m->version);
	for (size_t i = 0; i < m->payload_count; i++) {
		const struct payload *p = &m->payloads[i];
		char sha256[2 * sizeof p->sha256 + 1];

		hex_encode(p->sha256, sizeof p->sha256, sha256);
		(void)printf("%-11s %s, %llu bytes\n            sha256 %s\n", p->name, p->file,
			     (unsigned long long)p->size, sha256);
		if (p->root_hash)
			(void)printf("            roothash %s\n", p->root_hash);
	}
}

static int info(int argc, char **argv, struct err *err)
{
	_cleanup_(config_freep) struct config *config = NULL;
	_cleanup_(bundle_closep) struct bundle *bundle = NULL;
	struct reading r;
	int parsed = reading_parse(argc, argv, info_options, help_info, &r, err);

	if (parsed != 0)
		return parsed < 0 ? -1 : 0;
	if (config_load(r.config, &config, err) < 0 ||
	    reading_open(&r, config, NULL, &bundle, err) < 0)
		return -1;
	if (r.json)
		return info_print_json(bundle, r.shown, err);
	info_print(bundle, r.shown);
	return 0;
}

static int verify(int argc, char **argv, struct err *err)
{
	_cleanup_(config_freep) struct config *config = NULL;
	_cleanup_(bundle_closep) struct bundle *bundle = NULL;
	const struct manifest *m;
	struct reading r;
	int parsed = reading_parse(argc, argv, verify_options, help_verify, &r, err);

	if (parsed != 0)
		return parsed < 0 ? -1 : 0;
	if (config_load(r.config, &config, err) < 0 ||
	    reading_open(&r, config, r.keyring ? r.keyring : config->keyring, &bundle, err) < 0)
		return -1;
	m = bundle_manifest(bundle);
	for (size_t i = 0; i < m->payload_count; i++)
		if (bundle_extract(bundle, &m->payloads[i], NULL, NULL, NULL, err) < 0)
			return -1;
	(void)printf("%s: good, signed by %s\n", r.shown, bundle_signer(bundle));
	return 0;
}

int verb_bundle(int argc, char **argv, struct err *err)
{
	const char *what = argc > 1 ? argv[1] : "";

	if (strcmp(what, "--help") == 0) {
		(void)fputs(help_bundle, stdout);
		return 0;
	}
	if (strcmp(what, "create") == 0)
		return create(argc - 1, argv + 1, err);
	if (strcmp(what, "info") == 0)
		return info(argc - 1, argv + 1, err);
	if (strcmp(what, "verify") == 0)
		return verify(argc - 1, argv + 1, err);
	return err_set(err, EX_USAGE, "bundle: create, info or verify must follow; see slotctl "
		       "bundle --help");
}
