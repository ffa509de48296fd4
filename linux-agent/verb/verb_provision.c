/* SPDX-License-Identifier: MIT */
#include "io.h"
#include "native.h"
#include "number.h"
#include "options.h"
#include "provision.h"
#include "provision_firmware.h"
#include "report.h"
#include "verbs.h"

#include <errno.h>
#include <getopt.h>
#include <string.h>
#include <unistd.h>

static const char help[] =
	"Usage: slotctl provision DISK|IMAGE --bundle=BUNDLE [OPTION]...\n"
	"\n"
	"A first installation: partitions, an ESP with the loader, and slot a from a signed\n"
	"bundle. Prints the plan, then writes. A disk in use or with something on it is refused.\n"
	"\n"
	"  --bundle=BUNDLE    a path, or a file, http or https URL\n"
	"  --dry-run          check everything and print the plan; write nothing\n"
	"  --wipe=DISK        what is on DISK may go; must be the name given before\n"
	"  --size=SIZE        make the image file, this large (1G, 500M, ...)\n"
	"  --esp-size=SIZE    fitted if not given, as the slots are\n"
	"  --slot-size=SIZE   of each of the two\n"
	"  --image-size=NAME=SIZE\n"
	"                     where a slot has more than one image: of the partitions of this\n"
	"                     one in both slots; may be repeated\n"
	"  --data=SIZE|rest   a data partition, slotboot-data; none if not given\n"
	"  --sector-size=N    of an image file: 512 (if not given) or 4096\n"
	"  --seed=TEXT        GUIDs from this text and fixed times: the same bytes each time\n"
	"  --guid=GUID        of the partitions, with e, a, b and c as the last digit, where the\n"
	"                     UKI's command line does not name them\n"
	"  --boot-entries     this machine will boot from it: put the record and the loader's\n"
	"                     entry (activation = direct: slot a's) into its firmware\n"
	"  --tries=N          firmware boots it may take until mark-good (configuration: tries)\n"
	"  --loader=FILE      instead of the bundle's, or, where it brings none,\n"
	"                     " LOADER_DEFAULT "\n"
	"  --shim=FILE        where the configuration says shim = NAME: instead of\n"
	"                     " SHIM_DEFAULT "\n"
	"  --keyring=FILE     instead of the configuration's\n"
	"  --compatible=NAME  what the bundle must be for; the configuration's, or any\n"
	"  --json             progress as JSON lines\n"
	"  --config=FILE      instead of the machine's\n";

enum { OPT_HELP = 256, OPT_BUNDLE, OPT_DRY_RUN, OPT_WIPE, OPT_SIZE, OPT_ESP_SIZE, OPT_SLOT_SIZE, OPT_DATA, OPT_IMAGE_SIZE,
       OPT_SECTOR_SIZE, OPT_SEED, OPT_GUID, OPT_TRIES, OPT_LOADER, OPT_SHIM, OPT_KEYRING, OPT_COMPATIBLE,
       OPT_BOOT_ENTRIES, OPT_JSON, OPT_CONFIG };

static const struct option known[] = {
	{ "bundle", required_argument, NULL, OPT_BUNDLE },
	{ "dry-run", no_argument, NULL, OPT_DRY_RUN },
	{ "wipe", required_argument, NULL, OPT_WIPE },
	{ "size", required_argument, NULL, OPT_SIZE },
	{ "esp-size", required_argument, NULL, OPT_ESP_SIZE },
	{ "slot-size", required_argument, NULL, OPT_SLOT_SIZE },
	{ "image-size", required_argument, NULL, OPT_IMAGE_SIZE },
	{ "data", required_argument, NULL, OPT_DATA },
	{ "sector-size", required_argument, NULL, OPT_SECTOR_SIZE },
	{ "seed", required_argument, NULL, OPT_SEED },
	{ "guid", required_argument, NULL, OPT_GUID },
	{ "tries", required_argument, NULL, OPT_TRIES },
	{ "loader", required_argument, NULL, OPT_LOADER },
	{ "shim", required_argument, NULL, OPT_SHIM },
	{ "keyring", required_argument, NULL, OPT_KEYRING },
	{ "compatible", required_argument, NULL, OPT_COMPATIBLE },
	{ "boot-entries", no_argument, NULL, OPT_BOOT_ENTRIES },
	{ "json", no_argument, NULL, OPT_JSON },
	{ "config", required_argument, NULL, OPT_CONFIG },
	{ "help", no_argument, NULL, OPT_HELP },
	{ NULL, 0, NULL, 0 },
};

struct words {
	struct provision_options options;
	const char *config, *keyring, *compatible;
	bool boot_entries, json, help;
};

/* "512M": a number and K, M, G or T, which may be left out. */
static int size_parse(const char *name, const char *text, uint64_t *ret_bytes, struct err *err)
{
	static const char units[] = "KMGT";
	const char *unit;
	char *end;
	unsigned long long n;
	unsigned shift = 0;

	errno = 0;
	n = strtoull(text, &end, 10);
	unit = *end ? strchr(units, *end) : NULL;
	if (unit) {
		shift = 10 * (unsigned)(unit - units + 1);
		end++;
	}
	if (errno || end == text || *end || *text < '0' || *text > '9' || n == 0 || n > (UINT64_MAX >> 4 >> shift))
		return err_set(err, EX_USAGE, "--%s=%s: must be a size such as 512M or 4G", name, text);
	*ret_bytes = (uint64_t)n << shift;
	return 0;
}

/* NAME=SIZE; the text is cut at the sign. */
static int image_size_apply(char *text, struct provision_options *o, struct err *err)
{
	char *size = strrchr(text, '=');

	if (!size || size == text)
		return err_set(err, EX_USAGE, "--image-size=%s: must be an image's name and a size, such as app=512M", text);
	if (o->image_size_count == LAYOUT_IMAGES)
		return err_set(err, EX_USAGE, "--image-size: a slot has no more than %d images", LAYOUT_IMAGES);
	*size++ = 0;
	o->image_sizes[o->image_size_count].name = text;
	return size_parse("image-size", size, &o->image_sizes[o->image_size_count++].bytes, err);
}

static int number_apply(int option, struct provision_options *o, struct err *err)
{
	uint64_t n;

	if (option == OPT_TRIES)
		return options_tries(optarg, &o->tries, err);
	if (!number_parse(optarg, 512, 4096, &n) || (n != 512 && n != 4096))
		return err_set(err, EX_USAGE, "--sector-size=%s: must be 512 or 4096", optarg);
	o->sector_bytes = (unsigned)n;
	return 0;
}

static int size_apply(int option, struct provision_options *o, struct err *err)
{
	switch (option) {
	case OPT_SIZE:
		return size_parse("size", optarg, &o->image_bytes, err);
	case OPT_ESP_SIZE:
		return size_parse("esp-size", optarg, &o->esp_bytes, err);
	case OPT_SLOT_SIZE:
		return size_parse("slot-size", optarg, &o->slot_bytes, err);
	default:
		o->data_rest = strcmp(optarg, "rest") == 0;
		return o->data_rest ? 0 : size_parse("data", optarg, &o->data_bytes, err);
	}
}

static int text_apply(int option, struct words *w, struct err *err)
{
	struct provision_options *o = &w->options;
	const char **to = option == OPT_BUNDLE ? &o->bundle : option == OPT_WIPE ? &o->wipe :
			  option == OPT_SEED ? &o->seed : option == OPT_GUID ? &o->guid : option == OPT_LOADER ? &o->loader :
			  option == OPT_SHIM ? &o->shim :
			  option == OPT_KEYRING ? &w->keyring : option == OPT_COMPATIBLE ? &w->compatible : &w->config;

	if (!*optarg)
		return err_set(err, EX_USAGE, "provision: an option has an empty value; see slotctl provision --help");
	*to = optarg;
	return 0;
}

static int option_apply(int option, char **argv, struct words *w, struct err *err)
{
	char word[OPTION_WORD_BYTES];

	switch (option) {
	case OPT_SIZE: case OPT_ESP_SIZE: case OPT_SLOT_SIZE: case OPT_DATA:
		return size_apply(option, &w->options, err);
	case OPT_IMAGE_SIZE:
		return image_size_apply(optarg, &w->options, err);
	case OPT_TRIES: case OPT_SECTOR_SIZE:
		return number_apply(option, &w->options, err);
	case OPT_DRY_RUN:
		w->options.dry_run = true;
		return 0;
	case OPT_BOOT_ENTRIES:
		w->boot_entries = true;
		return 0;
	case OPT_JSON:
		w->json = true;
		return 0;
	case OPT_HELP:
		w->help = true;
		return 0;
	case ':':
		return err_set(err, EX_USAGE, "provision: %s needs a value", argv[optind - 1]);
	case '?':
		return err_set(err, EX_USAGE, "provision: unknown option %s; see slotctl provision --help",
			       options_word(argv, word));
	default:
		return text_apply(option, w, err);
	}
}

static int words_parse(int argc, char **argv, struct words *w, struct err *err)
{
	int option;

	w->options.loader_default = LOADER_DEFAULT;
	w->options.shim_default = SHIM_DEFAULT;
	opterr = 0;
	optind = 0;
	while ((option = getopt_long(argc, argv, ":", known, NULL)) != -1)
		if (option_apply(option, argv, w, err) < 0)
			return -1;
	if (w->help)
		return 0;
	if (argc - optind != 1)
		return err_set(err, EX_USAGE, "provision needs one disk or image file; see slotctl provision --help");
	if (!w->options.bundle)
		return err_set(err, EX_USAGE, "provision needs --bundle=BUNDLE; see slotctl provision --help");
	w->options.disk = argv[optind];
	return 0;
}

static int config_override(char **to, const char *text, struct err *err)
{
	if (!text)
		return 0;
	free(*to);
	*to = strdup(text);
	return *to ? 0 : err_set(err, EX_SOFTWARE, "failed to provision: out of memory");
}

/* Before the disk is touched, that there is such a firmware. */
static int run(const struct words *w, struct report *report, struct err *err)
{
	const struct provision_options *o = &w->options;
	_cleanup_(provision_result_clear) struct provision_result result = { 0 };
	struct vars vars;

	if ((w->boot_entries && vars_efi_open(&vars, err) < 0) || provision_run(o, &result, err) < 0)
		return -1;
	if (result.unread)
		report_warning(report, "the kernel still has the old partition table of %s; partprobe or a reboot helps",
			       o->disk);
	if (w->boot_entries && !o->dry_run && provision_firmware(&vars, o->disk, &result, report, err) < 0)
		return err_prefix(err, "%s is provisioned, but the firmware was not told", o->disk);
	report_step(report, "done", "%s %s", o->disk, o->dry_run ? "was not written: --dry-run" : "is provisioned");
	return 0;
}

int verb_provision(int argc, char **argv, struct err *err)
{
	_cleanup_(config_freep) struct config *config = NULL;
	struct words w = { 0 };
	struct report report;

	if (words_parse(argc, argv, &w, err) < 0)
		return -1;
	if (w.help) {
		(void)fputs(help, stdout);
		return 0;
	}
	report_init(&report, w.json);
	if (config_load(w.config, &config, err) < 0 || config_override(&config->keyring, w.keyring, err) < 0 ||
	    config_override(&config->compatible, w.compatible, err) < 0)
		return -1;
	w.options.config = config;
	w.options.io = &disk_posix;
	w.options.report = &report;
	w.options.threads = (unsigned)sysconf(_SC_NPROCESSORS_ONLN) + 2;
	return run(&w, &report, err);
}
