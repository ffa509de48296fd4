/* SPDX-License-Identifier: MIT */
#include "verb_bundle.h"

#include "bundle.h"
#include "bundle_check.h"
#include "bundle_sign.h"
#include "chunkindex.h"
#include "config.h"
#include "fetch.h"
#include "options.h"
#include "out.h"
#include "redact.h"
#include "bundle_source.h"
#include "urlfile.h"
#include "io.h"
#include "verbs.h"

#include <jansson.h>
#include <string.h>

static const char help_bundle[] =
	"Usage: slotctl bundle create|sign|info|verify [OPTION]...\n"
	"\n"
	"  create   make and sign a bundle\n"
	"  sign     put a signature made elsewhere into a bundle\n"
	"  info     show what is in a bundle, without checking its signature\n"
	"  verify   check a bundle's signature and every payload\n"
	"\n"
	"Each has its own --help.\n";

static const char help_sign[] =
	"Usage: slotctl bundle sign --signature=FILE BUNDLE\n"
	"\n"
	"Puts a detached CMS signature (DER) of the bundle's manifest into the bundle. What is\n"
	"to be signed: slotctl bundle info --manifest BUNDLE > manifest.json\n"
	"\n"
	"  --signature=FILE  must be over that manifest, and hold the signer's certificate\n";

static const char help_info[] =
	"Usage: slotctl bundle info [--json | --manifest] [--config=FILE] BUNDLE|--url-file=FILE\n"
	"\n"
	"Shows the manifest of a bundle (a path, or a file, http or https URL). Neither\n"
	"its signature nor its payloads are checked: see slotctl bundle verify.\n"
	"\n"
	"  --json           the manifest, and more, as JSON\n"
	"  --manifest       the manifest alone, its very bytes\n"
	"  --url-file=FILE  what BUNDLE would be, from a file; -: from standard input\n"
	"  --config=FILE    instead of the machine's\n";

static const char help_verify[] =
	"Usage: slotctl bundle verify [--keyring=PEM] [--config=FILE] BUNDLE|--url-file=FILE\n"
	"\n"
	"Checks the signature of a bundle (a path, or a file, http or https URL), and each\n"
	"payload, chunk by chunk and as a whole; of a file, in every layout, so far as it\n"
	"can be checked without the older image. Exits with 0 only if all is good.\n"
	"\n"
	"  --keyring=PEM    the trusted certificates, instead of the configured ones\n"
	"  --url-file=FILE  what BUNDLE would be, from a file; -: from standard input\n"
	"  --config=FILE    instead of the machine's\n";

enum { OPT_HELP = 256, OPT_JSON, OPT_MANIFEST, OPT_CONFIG, OPT_KEYRING, OPT_SIGNATURE,
       OPT_URL_FILE };

static const struct option sign_options[] = {
	{ "signature", required_argument, NULL, OPT_SIGNATURE },
	{ "help", no_argument, NULL, OPT_HELP },
	{ NULL, 0, NULL, 0 },
};

static const struct option info_options[] = {
	{ "json", no_argument, NULL, OPT_JSON },
	{ "manifest", no_argument, NULL, OPT_MANIFEST },
	{ "url-file", required_argument, NULL, OPT_URL_FILE },
	{ "config", required_argument, NULL, OPT_CONFIG },
	{ "help", no_argument, NULL, OPT_HELP },
	{ NULL, 0, NULL, 0 },
};

static const struct option verify_options[] = {
	{ "keyring", required_argument, NULL, OPT_KEYRING },
	{ "url-file", required_argument, NULL, OPT_URL_FILE },
	{ "config", required_argument, NULL, OPT_CONFIG },
	{ "help", no_argument, NULL, OPT_HELP },
	{ NULL, 0, NULL, 0 },
};

/* What sign, info and verify take. */
struct reading {
	bool json, manifest;
	const char *signature;
	const char *config;
	const char *keyring;
	char *where;
	char shown[512];	/* where, for messages */
};

int verb_bundle_option(int argc, char **argv, const struct option *known, struct err *err)
{
	int option = getopt_long(argc, argv, ":", known, NULL);
	char word[OPTION_WORD_BYTES];

	if (option == ':')
		(void)err_set(err, EX_USAGE, "bundle %s: %s needs a value", argv[0],
			      argv[optind - 1]);
	else if (option == '?')
		(void)err_set(err, EX_USAGE, "bundle %s: unknown option %s; see slotctl bundle "
			      "%s --help", argv[0], options_word(argv, word), argv[0]);
	return option == ':' ? '?' : option;
}

void verb_bundle_start(void)
{
	optind = 0;
	opterr = 0;
}

static void reading_clear(struct reading *r)
{
	redact_freep(&r->where);
}

/* 0; 1: help was asked for and printed; -1: EX_USAGE, or as urlfile_read(). */
static int reading_parse(int argc, char **argv, const struct option *known, const char *help,
			 struct reading *ret_reading, struct err *err)
{
	struct reading r = { 0 };
	const char *url_file = NULL;
	char verb[32];
	int option;

	verb_bundle_start();
	while ((option = verb_bundle_option(argc, argv, known, err)) != -1) {
		if (option == OPT_HELP) {
			(void)fputs(help, stdout);
			return 1;
		}
		if (option == '?')
			return -1;
		if (option == OPT_JSON)
			r.json = true;
		else if (option == OPT_MANIFEST)
			r.manifest = true;
		else if (option == OPT_SIGNATURE)
			r.signature = optarg;
		else if (option == OPT_CONFIG)
			r.config = optarg;
		else if (option == OPT_KEYRING)
			r.keyring = optarg;
		else if (option == OPT_URL_FILE)
			url_file = optarg;
	}
	(void)snprintf(verb, sizeof verb, "bundle %s", argv[0]);
	if (urlfile_or_operand(verb, url_file, argv + optind, argc - optind, &r.where, err) < 0)
		return -1;
	(void)snprintf(r.shown, sizeof r.shown, "%s", r.where);
	out_clean(r.shown, sizeof r.shown);
	*ret_reading = r;
	return 0;
}

static void on_lack(void *ctx, const char *what)
{
	(void)ctx;
	out_error("slotctl: warning: %s\n", what);
}

/* Opens the bundle as the configuration says; keyring NULL: unchecked. */
static int reading_open(const struct reading *r, const struct config *config,
			const char *keyring, struct bundle **ret_bundle, struct err *err)
{
	const struct fetch_options fetch = {
		.deadline_s = config->deadline_s,
		.http = &config->http,
		.lacking = on_lack,
		.sandbox = config->sandbox,
	};
	const struct bundle_options options = {
		.keyring = keyring,
		.rules = &config->rules,
		.source = { .fetch = &fetch, .spool = config->spool },
	};

	return bundle_open(r->where, &options, ret_bundle, err);
}

static int info_print_json(const struct bundle *bundle, const char *where, struct err *err)
{
	const uint8_t *json, *p7s;
	size_t json_len, p7s_len;
	json_t *root;

	bundle_manifest_bytes(bundle, &json, &json_len, &p7s, &p7s_len);
	root = json_pack("{s:s, s:b, s:o}", "bundle", where, "signature_checked", 0, "manifest",
			 json_loadb((const char *)json, json_len, 0, NULL));
	if (out_json(root, JSON_INDENT(2)) < 0)
		return err_set(err, EX_SOFTWARE, "failed to print the manifest of %s", where);
	return 0;
}

static int info_print_manifest(const struct bundle *bundle, struct err *err)
{
	const uint8_t *json, *p7s;
	size_t json_len, p7s_len;

	bundle_manifest_bytes(bundle, &json, &json_len, &p7s, &p7s_len);
	if (fwrite(json, 1, json_len, stdout) != json_len || fflush(stdout) != 0)
		return err_set(err, EX_IOERR, "failed to write the manifest");
	return 0;
}

static void frames_print(const struct bundle *bundle, const char *file)
{
	out_print(", frames %llu bytes\n", (unsigned long long)bundle_entry_size(bundle, file));
}

static void layouts_print(const struct bundle *bundle, const struct payload *p)
{
	out_print("            whole: index %llu bytes", (unsigned long long)p->index.size);
	if (!p->file) {
		out_print("; by reference: the machine must have its bytes\n");
		return;
	}
	frames_print(bundle, p->file);
	if (p->blocks.index.file)
		out_print("            from any older one: index %llu bytes, dictionary %llu bytes\n",
			  (unsigned long long)p->blocks.index.size,
			  (unsigned long long)p->blocks.dictionary.size);
	for (size_t i = 0; i < p->base_count; i++) {
		char sha256[2 * sizeof p->bases[i].sha256 + 1];

		hex_encode(p->bases[i].sha256, sizeof p->bases[i].sha256, sha256);
		out_print("            from %.16s...: index %llu bytes", sha256,
			  (unsigned long long)p->bases[i].index.size);
		frames_print(bundle, p->bases[i].file);
	}
}

static void info_print(const struct bundle *bundle, const char *where)
{
	const struct manifest *m = bundle_manifest(bundle);

	out_print("bundle      %s\n", where);
	out_print("compatible  %s\n", m->compatible);
	out_print("version     %s\n", m->version);
	if (m->architecture)
		out_print("arch        %s\n", m->architecture);
	out_print("signature   not checked (slotctl bundle verify does)\n");
	if (m->raises_floor)
		out_print("floor       raised to this version by mark-good\n");
	if (m->loader.file) {
		char sha256[2 * sizeof m->loader.sha256 + 1];

		hex_encode(m->loader.sha256, sizeof m->loader.sha256, sha256);
		out_print("loader      %s, %llu bytes\n            sha256 %s\n", m->loader.file,
			  (unsigned long long)m->loader.size, sha256);
	}
	for (size_t i = 0; i < m->payload_count; i++) {
		const struct payload *p = &m->payloads[i];
		char sha256[2 * sizeof p->sha256 + 1];

		hex_encode(p->sha256, sizeof p->sha256, sha256);
		out_print("%-11s %s, %llu bytes\n", p->name, p->file ? p->file : "not in the bundle",
			  (unsigned long long)p->size);
		out_print("            sha256 %s\n", sha256);
		if (p->type >= PAYLOAD_ADDON)
			out_print("            %s, %s\n", manifest_type_text(p->type),
				  p->type == PAYLOAD_FILE ? "in the slot's directory" :
				  p->type == PAYLOAD_EFI_AUTH ? "for the firmware's variables" : "beside the UKI");
		if (p->root_hash)
			out_print("            roothash %s\n", p->root_hash);
		layouts_print(bundle, p);
	}
}

static int info(int argc, char **argv, struct err *err)
{
	_cleanup_(config_freep) struct config *config = NULL;
	_cleanup_(bundle_closep) struct bundle *bundle = NULL;
	_cleanup_(reading_clear) struct reading r = { 0 };
	int parsed = reading_parse(argc, argv, info_options, help_info, &r, err);

	if (parsed != 0)
		return parsed < 0 ? -1 : 0;
	if (config_load(r.config, &config, err) < 0 ||
	    reading_open(&r, config, NULL, &bundle, err) < 0)
		return -1;
	if (r.manifest)
		return info_print_manifest(bundle, err);
	if (r.json)
		return info_print_json(bundle, r.shown, err);
	info_print(bundle, r.shown);
	return 0;
}

/* At hand every layout; over the network, what a machine without an older image reads. */
static int payloads_check(struct bundle *bundle, struct err *err)
{
	const struct manifest *m = bundle_manifest(bundle);

	if (!bundle_source(bundle)->remote)
		return bundle_check(bundle, err);
	for (size_t i = 0; i < m->payload_count; i++)
		if (bundle_extract(bundle, &m->payloads[i], NULL, NULL, NULL, err) < 0)
			return -1;
	return 0;
}

static int verify(int argc, char **argv, struct err *err)
{
	_cleanup_(config_freep) struct config *config = NULL;
	_cleanup_(bundle_closep) struct bundle *bundle = NULL;
	_cleanup_(reading_clear) struct reading r = { 0 };
	int parsed = reading_parse(argc, argv, verify_options, help_verify, &r, err);

	if (parsed != 0)
		return parsed < 0 ? -1 : 0;
	if (config_load(r.config, &config, err) < 0 ||
	    reading_open(&r, config, r.keyring ? r.keyring : config->keyring, &bundle, err) < 0)
		return -1;
	if (payloads_check(bundle, err) < 0)
		return -1;
	out_print("%s: good, signed by %s\n", r.shown, bundle_signer(bundle));
	return 0;
}

static int sign(int argc, char **argv, struct err *err)
{
	_cleanup_(reading_clear) struct reading r = { 0 };
	int parsed = reading_parse(argc, argv, sign_options, help_sign, &r, err);

	if (parsed != 0)
		return parsed < 0 ? -1 : 0;
	if (!r.signature)
		return err_set(err, EX_USAGE, "bundle sign: --signature is missing; see slotctl "
			       "bundle sign --help");
	return bundle_sign(r.where, r.signature, err);
}

int verb_bundle(int argc, char **argv, struct err *err)
{
	const char *what = argc > 1 ? argv[1] : "";

	if (strcmp(what, "--help") == 0) {
		(void)fputs(help_bundle, stdout);
		return 0;
	}
	if (strcmp(what, "create") == 0)
		return verb_bundle_create(argc - 1, argv + 1, err);
	if (strcmp(what, "sign") == 0)
		return sign(argc - 1, argv + 1, err);
	if (strcmp(what, "info") == 0)
		return info(argc - 1, argv + 1, err);
	if (strcmp(what, "verify") == 0)
		return verify(argc - 1, argv + 1, err);
	return err_set(err, EX_USAGE, "bundle: create, sign, info or verify must follow; see "
		       "slotctl bundle --help");
}
