/* SPDX-License-Identifier: MIT */
/*
 * slotctl report: what somebody who is to find a fault asks for, in one archive. Each part that
 * cannot be had is left out, and README says so. Nothing secret leaves (report_text.h).
 */
#include "archive_file.h"
#include "config.h"
#include "doctor.h"
#include "dropins.h"
#include "espfile.h"
#include "init.h"
#include "io.h"
#include "machine_entries.h"
#include "options.h"
#include "out.h"
#include "report_text.h"
#include "verbs.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <spawn.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

enum { TEXT_MAX = 1 << 20, ESP_FILES_MAX = 4000 };

static const char help[] =
	"Usage: slotctl report FILE.zip [--config=FILE]\n"
	"\n"
	"Writes an archive for a bug tracker: status, what doctor finds, the slot record, EFI\n"
	"variables that a boot goes by, a list of the ESP's files, the configuration, the\n"
	"kernel's words on EFI and the watchdog, the journal of slotboot's units. Secrets are\n"
	"masked. What cannot be read (without root, say) is left out, and README says so.\n";

struct collection {
	struct archive_file *file;
	struct machine machine;
	bool open;		/* the machine is, as far as the ESP */
	char *readme;
	size_t readme_len;
	FILE *words;		/* into readme */
	struct err *err;
	int r;			/* of writing */
};

static void add(struct collection *c, const char *name, const void *data, size_t len)
{
	if (c->r == 0)
		c->r = archive_file_add(c->file, name, data, len, c->err);
}

static void left_out(struct collection *c, const char *name, const char *why)
{
	(void)fprintf(c->words, "left out: %s: %s\n", name, why);
}

/* Takes ownership of text; NULL: errno says why it is missing. */
static void add_text(struct collection *c, const char *name, char *text)
{
	if (!text) {
		left_out(c, name, strerror(errno));
		return;
	}
	report_text_redact(text);
	add(c, name, text, strlen(text));
	free(text);
}

static void add_json(struct collection *c, const char *name, json_t *json)
{
	char *text = json ? json_dumps(json, JSON_INDENT(2)) : NULL;

	json_decref(json);
	errno = ENOMEM;
	add_text(c, name, text);
}

static char *text_read(const char *path)
{
	uint8_t *data = NULL;
	size_t len;

	return read_file(path, TEXT_MAX, &data, &len) < 0 ? NULL : (char *)data;
}

/* --- the parts --- */

/* A drop-in under its own name, wherever it is. */
static void add_configuration(struct collection *c, const char *config)
{
	_cleanup_(dropins_clear) struct dropins files = { .count = 0 };
	struct err why = { 0 };

	if (config) {
		add_text(c, CONFIG_NAME, text_read(config));
		return;
	}
	if (dropins_read_config("", CONFIG_NAME, &files, &why) < 0)
		left_out(c, CONFIG_NAME, why.text);
	for (size_t i = 0; i < files.count; i++)
		add_text(c, files.files[i].name, text_read(files.files[i].path));
}

static void add_doctor(struct collection *c, const char *config)
{
	_cleanup_(findings_clear) struct findings findings = { 0 };
	json_t *list = json_array();
	struct err why = { 0 };

	if (doctor_examine(config, &findings, &why) < 0) {
		left_out(c, "doctor.json", why.text);
		json_decref(list);
		return;
	}
	for (size_t i = 0; i < findings.count; i++)
		(void)json_array_append_new(list, finding_json(&findings.list[i]));
	add_json(c, "doctor.json", list);
}

static void add_variable(struct collection *c, enum vars_guid guid, const char *name)
{
	_cleanup_free_ uint8_t *data = NULL;
	_cleanup_free_ char *path = NULL;
	struct err why = { 0 };
	size_t len;
	int r = vars_get(&c->machine.vars, guid, name, &data, &len, NULL, &why);

	if (asprintf(&path, "variables/%s-%s", name, vars_guid_text(guid)) < 0) {
		path = NULL;
		return;
	}
	if (r == 0)
		add(c, path, data, len);
	else if (r < 0)
		left_out(c, path, why.text);
}

static void add_variables(struct collection *c)
{
	static const struct {
		enum vars_guid guid;
		const char *name;
	} fixed[] = {
		{ VARS_SLOTBOOT, VARS_SLOT_STATE }, { VARS_SLOTBOOT, VARS_SLOT_TRACE },
		{ VARS_GLOBAL, "BootOrder" }, { VARS_GLOBAL, "BootNext" }, { VARS_GLOBAL, "BootCurrent" },
		{ VARS_GLOBAL, "SecureBoot" }, { VARS_LOADER, "LoaderInfo" },
		{ VARS_LOADER, "LoaderImageIdentifier" }, { VARS_LOADER, "LoaderEntrySelected" },
		{ VARS_LOADER, "LoaderEntryOneShot" }, { VARS_LOADER, "LoaderDevicePartUUID" },
		{ VARS_LOADER, "StubInfo" },
	};
	_cleanup_free_ struct vars_name *names = NULL;
	size_t count = 0;

	for (size_t i = 0; i < ARRAY_SIZE(fixed); i++)
		add_variable(c, fixed[i].guid, fixed[i].name);
	if (vars_list_boot(&c->machine.vars, &names, &count, NULL) < 0)
		return;
	for (size_t i = 0; i < count; i++)
		add_variable(c, VARS_GLOBAL, names[i].text);
}

/* nftw() hands no context on. */
static FILE *listing;
static size_t listing_root, listed;

static int list_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	const char *end = type == FTW_F ? "" : type == FTW_DNR ? "/ (cannot be read)" : "/";

	(void)ftw;
	if (++listed > ESP_FILES_MAX)
		return 1;
	(void)fprintf(listing, "%10lld %12lld  %s%s\n", type == FTW_F ? (long long)st->st_size : 0LL,
		      (long long)st->st_mtime, path + listing_root, end);
	return 0;
}

static void add_esp(struct collection *c)
{
	static const char *const files[] = { "state.bin", "loader.json", "quirks.json", "ledger.json",
					     "health.json", "a/manifest.json", "b/manifest.json" };
	const char *dir = c->machine.esp.dir;
	char *text = NULL;
	size_t len = 0;

	listing = open_memstream(&text, &len);
	listing_root = strlen(dir);
	listed = 0;
	if (listing) {
		(void)fprintf(listing, "%s, partition %u of %s\n", dir, c->machine.esp.part,
			      c->machine.esp.disk);
		(void)nftw(dir, list_one, 8, FTW_PHYS | FTW_MOUNT);
		(void)fclose(listing);
	}
	add_text(c, "esp.txt", text);
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		_cleanup_free_ char *path = NULL, *name = NULL;
		_cleanup_free_ uint8_t *data = NULL;
		size_t n;

		if (asprintf(&path, "%s/" ESP_OURS "/%s", dir, files[i]) < 0 ||
		    asprintf(&name, "esp/%s", files[i]) < 0)
			return;
		if (read_file(path, TEXT_MAX, &data, &n) == 0)
			add(c, name, data, n);
		else if (errno != ENOENT)
			left_out(c, name, strerror(errno));
	}
}

/* A record for each read of the kernel's log; a plain file as it comes. */
static char *kernel_log_read(const char *path)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	char *text = fd < 0 ? NULL : malloc(TEXT_MAX + 1);
	size_t len = 0;
	ssize_t n = 1;

	while (text && len < TEXT_MAX && n != 0) {
		n = read(fd, text + len, TEXT_MAX - len);
		if (n < 0 && errno != EPIPE && errno != EINTR)
			break;
		len += n > 0 ? (size_t)n : 0;
	}
	if (text)
		text[len] = 0;
	return text;
}

static void add_kernel_log(struct collection *c)
{
	static const char *const words[] = { "efi", "watchdog", "_wdt", "fat-fs", "slotboot", "pstore", NULL };
	_cleanup_free_ char *path = NULL;
	char *text = asprintf(&path, "%s/dev/kmsg", c->machine.config->sysroot) < 0
		? NULL : kernel_log_read(path);

	if (text)
		report_text_keep(text, words);
	add_text(c, "kernel.txt", text);
}

/* What the program prints; NULL with errno. */
static char *program_output(const char *sysroot, char *const argv[])
{
	_cleanup_free_ char *program = init_program_find(sysroot, argv[0]);
	_cleanup_close_ int out = program ? memfd_create("output", MFD_CLOEXEC) : -1;
	posix_spawn_file_actions_t actions;
	uint8_t *text = NULL;
	size_t len = 0;
	int error, status;
	pid_t pid;

	if (out < 0)
		return NULL;
	(void)posix_spawn_file_actions_init(&actions);
	(void)posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
	(void)posix_spawn_file_actions_adddup2(&actions, out, STDERR_FILENO);
	error = posix_spawn(&pid, program, &actions, NULL, argv, environ);
	(void)posix_spawn_file_actions_destroy(&actions);
	while (error == 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (error == 0 && lseek(out, 0, SEEK_SET) == 0 &&
	    read_to_end(out, 4 * TEXT_MAX, &text, &len) == 0)
		return (char *)text;
	free(text);
	errno = error ? error : errno;
	return NULL;
}

static void add_journal(struct collection *c)
{
	char *argv[] = { (char[]){ "journalctl" }, (char[]){ "--no-pager" }, (char[]){ "--quiet" },
			 (char[]){ "--lines=2000" }, (char[]){ "--output=short-iso" },
			 (char[]){ "--unit=slotboot-*" }, NULL };

	add_text(c, "journal.txt", program_output(c->machine.config->sysroot, argv));
}

/* --- the whole --- */

static void collect(struct collection *c, const char *config)
{
	struct err why = { 0 };
	bool whole = machine_open(config, MACHINE_LOOK, &c->machine, &why) == 0;

	(void)fprintf(c->words, "slotctl " SLOTBOOT_VERSION "; URLs and what looks like a secret are masked; look "
		      "it through before you hand it on\n");
	if (whole)
		add_json(c, "status.json", status_json(&c->machine));
	else
		left_out(c, "status.json", why.text);
	add_doctor(c, config);
	add_configuration(c, config);
	if (c->machine.step > MACHINE_AT_VARS)
		add_variables(c);
	else
		left_out(c, "variables", why.text);
	if (c->machine.step > MACHINE_AT_ESP)
		add_esp(c);
	else
		left_out(c, "esp.txt", why.text);
	if (c->machine.config) {
		add_kernel_log(c);
		add_journal(c);
	} else {
		left_out(c, "kernel.txt, journal.txt", why.text);
	}
	machine_close(&c->machine);
}

static int report(const char *path, const char *config, struct err *err)
{
	struct collection c = { .err = err };

	if (archive_file_open(path, &c.file, err) < 0)
		return -1;
	c.words = open_memstream(&c.readme, &c.readme_len);
	if (!c.words)
		return archive_file_close(c.file, err_set(err, EX_SOFTWARE, "out of memory"), err);
	collect(&c, config);
	(void)fclose(c.words);
	if (c.readme)
		report_text_redact(c.readme);
	if (c.readme)
		add(&c, "README", c.readme, strlen(c.readme));
	c.r = archive_file_close(c.file, c.r, err);
	if (c.r == 0)
		out_print("%s: it is for a bug tracker; look it through before you hand it on\n", path);
	for (char *line = c.r == 0 && c.readme ? strchr(c.readme, '\n') : NULL; line && line[1];) {
		char *end = strchr(++line, '\n');

		out_print("%.*s\n", end ? (int)(end - line) : (int)strlen(line), line);
		line = end;
	}
	free(c.readme);
	return c.r;
}

int verb_report(int argc, char **argv, struct err *err)
{
	struct options o;
	int r = options_parse(argc, argv, 0, help, &o, err);

	if (r != 0)
		return r < 0 ? -1 : 0;
	if (o.operand_count != 1)
		return err_set(err, EX_USAGE, "report: one file must be named, such as report.zip");
	return report(o.operands[0], o.config, err);
}
