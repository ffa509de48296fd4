/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "dropins.h"
#include "io.h"
#include "number.h"

#include <errno.h>
#include <ini.h>
#include <stdbool.h>
#include <string.h>

#define FILE_MAX (1024 * 1024)
#define SHIM_DIR "\\EFI\\slotboot\\"
#define SHIM_NAME_MAX 64
#define LINE_MAX_CHARS 198	/* inih's buffer, less a newline and a NUL */

static const char *const refuse_warn[] = { "refuse", "warn", NULL };
static const char *const no_yes[] = { "no", "yes", NULL };
static const char *const check_words[] = { "trial", "always", NULL };
static const char *const failover_words[] = { "same-boot", "reset", NULL };
static const char *const entries_words[] = { "hidden", "shown", NULL };
static const char *const activation_words[] = { "loader", "direct", NULL };
static const char *const sandbox_words[] = { "no", "auto", "require", NULL };
static const char *const watchdog_words[] = { "trial", "always", "off", NULL };

/* One row a key of [slotboot]: where its value goes; for numbers the range, for
 * words those that are known. */
static const struct key {
	const char *name;
	size_t offset;
	unsigned min, max;		/* max 0: a string */
	const char *const *words;	/* stored as the word's place in the list */
} keys[] = {
	{ "compatible", offsetof(struct config, compatible), 0, 0, NULL },
	{ "esp", offsetof(struct config, esp), 0, 0, NULL },
	{ "esp-device", offsetof(struct config, esp_device), 0, 0, NULL },
	{ "keyring", offsetof(struct config, keyring), 0, 0, NULL },
	{ "lock", offsetof(struct config, lock), 0, 0, NULL },
	{ "crl", offsetof(struct config, rules.crl), 0, 0, NULL },
	{ "crl-expired", offsetof(struct config, rules.crl_expired), 0, 1, refuse_warn },
	{ "signers", offsetof(struct config, rules.signers), 1, 8, NULL },
	{ "signing-time", offsetof(struct config, rules.signing_time), 0, 1, no_yes },
	{ "ca-file", offsetof(struct config, http.ca_file), 0, 0, NULL },
	{ "pin", offsetof(struct config, http.pin), 0, 0, NULL },
	{ "client-cert", offsetof(struct config, http.client_cert), 0, 0, NULL },
	{ "client-key", offsetof(struct config, http.client_key), 0, 0, NULL },
	{ "token-file", offsetof(struct config, http.token_file), 0, 0, NULL },
	{ "header-file", offsetof(struct config, http.header_file), 0, 0, NULL },
	{ "proxy", offsetof(struct config, http.proxy), 0, 0, NULL },
	{ "redirects", offsetof(struct config, http.redirects), 0, 20, NULL },
	{ "connections", offsetof(struct config, http.connections), 1, 8, NULL },
	{ "rate-limit", offsetof(struct config, http.rate_limit), 0, 1U << 31, NULL },
	{ "low-speed", offsetof(struct config, http.low_speed), 1, 1U << 30, NULL },
	{ "low-speed-time", offsetof(struct config, http.low_speed_s), 1, 3600, NULL },
	{ "sandbox", offsetof(struct config, sandbox), 0, 2, sandbox_words },
	{ "verify-first", offsetof(struct config, verify_first), 0, 1, no_yes },
	{ "spool-dir", offsetof(struct config, spool), 0, 0, NULL },
	{ "kexec-kernel", offsetof(struct config, kexec_kernel), 0, 0, NULL },
	{ "kexec-initrd", offsetof(struct config, kexec_initrd), 0, 0, NULL },
	{ "sysroot", offsetof(struct config, sysroot), 0, 0, NULL },
	{ "tries", offsetof(struct config, tries), 1, 255, NULL },
	{ "good-limit", offsetof(struct config, good_limit), 0, 255, NULL },
	{ "check", offsetof(struct config, check), 0, 1, check_words },
	{ "failover", offsetof(struct config, failover), 0, 1, failover_words },
	{ "loader-entries", offsetof(struct config, entries), 0, 1, entries_words },
	{ "activation", offsetof(struct config, activation), 0, 1, activation_words },
	{ "shim", offsetof(struct config, shim), 0, 0, NULL },
	{ "deadline", offsetof(struct config, deadline_s), 1, 7 * 24 * 3600, NULL },
	{ "health-timeout", offsetof(struct config, health_timeout_s), 1, 3600, NULL },
	{ "health-settle", offsetof(struct config, health_settle_s), 0, 3600, NULL },
	{ "health-deadline", offsetof(struct config, health_deadline_s), 1, 3600, NULL },
	{ "health-units", offsetof(struct config, health_units), 0, 0, NULL },
	{ "health-ignore", offsetof(struct config, health_ignore), 0, 0, NULL },
	{ "install-program", offsetof(struct config, install_program), 0, 0, NULL },
	{ "install-program-timeout", offsetof(struct config, install_program_s), 1, 24 * 3600, NULL },
	{ "files", offsetof(struct config, files), 0, 0, NULL },
	{ "watchdog", offsetof(struct config, watchdog), 0, 2, watchdog_words },
	{ "watchdog-timeout", offsetof(struct config, watchdog_s), 5, 600, NULL },
};

/* The state of parsing one file; a later file may set a key again. */
struct parser {
	struct config *config;
	bool seen[ARRAY_SIZE(keys)];
	bool image_seen[CONFIG_MAX_IMAGES][SLOT_COUNT];
	struct err why;		/* of the first bad line */
};

static int string_set(char **field, const char *value, struct err *err)
{
	char *copy = strdup(value);

	if (!copy)
		return err_errno(err, EX_SOFTWARE, errno, "failed to read the configuration");
	free(*field);
	*field = copy;
	return 0;
}

static int number_set(unsigned *field, const struct key *key, const char *value,
		      struct err *err)
{
	uint64_t n;

	if (!number_parse(value, key->min, key->max, &n))
		return err_set(err, EX_CONFIG, "%s = %s: must be a number from %u to %u",
			       key->name, value, key->min, key->max);
	*field = (unsigned)n;
	return 0;
}

/* A key whose value is one of two or three words. */
static int word_set(unsigned *field, const struct key *key, const char *value, struct err *err)
{
	for (unsigned i = 0; key->words[i]; i++)
		if (strcmp(value, key->words[i]) == 0) {
			*field = i;
			return 0;
		}
	return err_set(err, EX_CONFIG, "%s = %s: must be %s%s%s or %s", key->name, value,
		       key->words[0], key->words[2] ? ", " : "", key->words[2] ? key->words[1] : "",
		       key->words[2] ? key->words[2] : key->words[1]);
}

/* inih treats an indented line as a continuation and reports it as the same key again:
 * without this check an indented key would be lost silently. */
static int given_twice(const char *name, struct err *err)
{
	return err_set(err, EX_CONFIG, "%s: given twice, or followed by an indented line", name);
}

static int main_key(struct parser *p, const char *name, const char *value, struct err *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		void *field = (char *)p->config + keys[i].offset;

		if (strcmp(name, keys[i].name) != 0)
			continue;
		if (p->seen[i])
			return given_twice(name, err);
		p->seen[i] = true;
		if (keys[i].words)
			return word_set(field, &keys[i], value, err);
		if (keys[i].max)
			return number_set(field, &keys[i], value, err);
		if (!*value && strcmp(name, "sysroot") != 0)
			return err_set(err, EX_CONFIG, "%s: has no value", name);
		return string_set(field, value, err);
	}
	return err_set(err, EX_CONFIG, "%s: unknown key in [slotboot]", name);
}

static struct config_image *image_get(struct config *config, const char *name)
{
	for (size_t i = 0; i < config->image_count; i++)
		if (strcmp(config->images[i].name, name) == 0)
			return &config->images[i];
	if (config->image_count == CONFIG_MAX_IMAGES)
		return NULL;
	config->images[config->image_count].name = strdup(name);
	if (!config->images[config->image_count].name)
		return NULL;
	return &config->images[config->image_count++];
}

static int image_key(struct parser *p, const char *image, const char *name, const char *value,
		     struct err *err)
{
	struct config_image *ci;
	bool *seen;

	if (strcmp(name, "a") != 0 && strcmp(name, "b") != 0)
		return err_set(err, EX_CONFIG, "%s: unknown key in [image %s]; expected a or b",
			       name, image);
	if (!*value)
		return err_set(err, EX_CONFIG, "%s: has no value", name);
	ci = image_get(p->config, image);
	if (!ci)
		return err_set(err, EX_CONFIG, "[image %s]: more than %d images", image,
			       CONFIG_MAX_IMAGES);
	seen = &p->image_seen[ci - p->config->images][name[0] - 'a'];
	if (*seen)
		return given_twice(name, err);
	*seen = true;
	return string_set(&ci->target[name[0] - 'a'], value, err);
}

static int on_key(void *user, const char *section, const char *name, const char *value)
{
	struct parser *p = user;
	struct err err = { 0 };
	int r;

	if (strcmp(section, "slotboot") == 0)
		r = main_key(p, name, value, &err);
	else if (strncmp(section, "image ", 6) == 0 && section[6])
		r = image_key(p, section + 6, name, value, &err);
	else
		r = err_set(&err, EX_CONFIG, "[%s] %s: unknown section", section, name);
	if (r < 0 && !p->why.exit)
		p->why = err;
	return r == 0;
}

/* A name without a slash refers to a credential of the unit (systemd.exec(5),
 * LoadCredential=), if there is one by that name. */
static int credential_find(char **field, struct err *err)
{
	const char *directory = getenv("CREDENTIALS_DIRECTORY");
	_cleanup_free_ char *path = NULL;

	if (!directory || !*field || strchr(*field, '/') || strncmp(*field, "pkcs11:", 7) == 0)
		return 0;
	if (asprintf(&path, "%s/%s", directory, *field) < 0) {
		path = NULL;
		return err_errno(err, EX_SOFTWARE, errno, "failed to read the configuration");
	}
	return access(path, F_OK) == 0 ? string_set(field, path, err) : 0;
}

static int credentials_find(struct config *config, struct err *err)
{
	char **fields[] = { (char **)(uintptr_t)&config->http.client_key,
			    (char **)(uintptr_t)&config->http.client_cert,
			    (char **)(uintptr_t)&config->http.token_file,
			    (char **)(uintptr_t)&config->http.header_file };

	for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
		if (credential_find(fields[i], err) < 0)
			return -1;
	return 0;
}

/* Names between blanks. */
static int names_split(const char *key, const char *value, char *ret_names[RECORD_ESPS],
		       struct err *err)
{
	static const char blanks[] = " \t";
	size_t count = 0;

	for (const char *p = value ? value : "";; count++) {
		size_t len = strcspn(p += strspn(p, blanks), blanks);

		if (len == 0)
			return 0;
		if (count == RECORD_ESPS)
			return err_set(err, EX_CONFIG, "%s = %s: names more than two", key, value);
		ret_names[count] = strndup(p, len);
		if (!ret_names[count])
			return err_errno(err, EX_SOFTWARE, errno, "failed to name the ESPs");
		p += len;
	}
}

static int esps_split(const char *path, struct config *config, struct err *err)
{
	if (names_split("esp", config->esp, config->esps, err) < 0 ||
	    names_split("esp-device", config->esp_device, config->esp_devices, err) < 0)
		return err_prefix(err, "bad configuration: %s", path);
	if (config->esp_devices[0] && !config->esp_devices[1] != !config->esps[1])
		return err_set(err, EX_CONFIG, "bad configuration: %s: esp and esp-device name one "
			       "ESP and two", path);
	return 0;
}

/* It is looked for among our own files, of which it must be none. */
static int shim_check(const char *path, struct config *config, struct err *err)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
	const char *name = config->shim;
	size_t len = name ? strlen(name) : 0;

	if (!name)
		return 0;
	if (len < 5 || len > SHIM_NAME_MAX || name[strspn(name, letters)] ||
	    strcasecmp(name + len - 4, ".efi") != 0 || strncasecmp(name, "slotboot", 8) == 0)
		return err_set(err, EX_CONFIG, "bad configuration: %s: shim = %s: must be the name of a file beside "
			       "the loader, such as shimx64.efi", path, name);
	if (config->activation == CONFIG_ACTIVATION_DIRECT)
		return err_set(err, EX_CONFIG, "bad configuration: %s: shim goes with the loader, not with "
			       "activation = direct", path);
	if (asprintf(&config->shim_path, SHIM_DIR "%s", name) < 0) {
		config->shim_path = NULL;
		return err_errno(err, EX_SOFTWARE, errno, "failed to read the configuration");
	}
	return 0;
}

/* Check keys that depend on each other. */
static int config_complete(const char *path, struct config *config, struct err *err)
{
	for (size_t i = 0; i < config->image_count; i++)
		for (int s = 0; s < SLOT_COUNT; s++)
			if (!config->images[i].target[s])
				return err_set(err, EX_CONFIG,
					       "bad configuration: %s: [image %s] has no key %c",
					       path, config->images[i].name, 'a' + s);
	if (config->health_settle_s > config->health_deadline_s)
		return err_set(err, EX_CONFIG, "bad configuration: %s: health-settle is longer than "
			       "health-deadline", path);
	if (config->install_program && *config->install_program != '/')
		return err_set(err, EX_CONFIG, "bad configuration: %s: install-program must be a full "
			       "path", path);
	if (config->files && *config->files != '/')
		return err_set(err, EX_CONFIG, "bad configuration: %s: files must be a full path", path);
	if (config->http.client_key && !config->http.client_cert)
		return err_set(err, EX_CONFIG, "bad configuration: %s: client-key without "
			       "client-cert", path);
	if (esps_split(path, config, err) < 0 || shim_check(path, config, err) < 0)
		return -1;
	if (config->activation != CONFIG_ACTIVATION_DIRECT)
		return 0;
	if (config->esps[1])
		return err_set(err, EX_CONFIG, "bad configuration: %s: activation = direct goes with one "
			       "ESP: without the loader nobody keeps to the disk that was booted from", path);
	config->tries = 1;
	return 0;
}

/* Check what inih does not: it takes a NUL for the end of the file, and text beyond its
 * buffer, even in a comment, for a new line. */
static int text_check(const char *path, const char *text, size_t len, struct err *err)
{
	unsigned line = 1;

	if (strlen(text) != len)
		return err_set(err, EX_CONFIG, "bad configuration: %s: it has NUL bytes, as a file has "
			       "that a power cut damaged; write it anew", path);
	for (const char *end; *text; text = end + (*end != 0), line++) {
		end = strchrnul(text, '\n');
		if (end - text > LINE_MAX_CHARS)
			return err_set(err, EX_CONFIG, "bad configuration: %s:%u: longer than %d "
				       "characters", path, line, LINE_MAX_CHARS);
	}
	return 0;
}

static int config_parse(const char *path, const char *text, struct config *config,
			struct err *err)
{
	struct parser p = { .config = config };
	int line = ini_parse_string(text, on_key, &p);

	if (line > 0)
		return err_set(err, EX_CONFIG, "bad configuration: %s:%d: %s", path, line,
			       p.why.exit ? p.why.text : "not a [section] or a key = value line");
	if (line < 0)
		return err_set(err, EX_SOFTWARE, "failed to read the configuration %s", path);
	return 0;
}

/* An unreadable file may hold rules that would be dropped, so it is an error, unlike an
 * empty one. */
static int file_read(const char *path, int missing, struct config *config, struct err *err)
{
	_cleanup_free_ uint8_t *text = NULL;
	size_t len = 0;

	if (read_file(path, FILE_MAX, &text, &len) < 0)
		return err_errno(err, errno == ENOENT ? missing : EX_CONFIG, errno,
				 "failed to read the configuration %s", path);
	if (text_check(path, (const char *)text, len, err) < 0)
		return -1;
	return config_parse(path, (const char *)text, config, err);
}

static int files_read(const char *root, struct config *config, struct err *err)
{
	_cleanup_(dropins_clear) struct dropins files = { .count = 0 };

	if (dropins_read_config(root, CONFIG_NAME, &files, err) < 0)
		return -1;
	for (size_t i = 0; i < files.count; i++)
		if (file_read(files.files[i].path, EX_CONFIG, config, err) < 0)
			return -1;
	return config_complete(files.count == 1 ? files.files[0].path : CONFIG_NAME " with its drop-ins",
			       config, err);
}

static int defaults_set(struct config *config, struct err *err)
{
	config->tries = 3;
	config->sandbox = SANDBOX_AUTO;
	config->deadline_s = 3600;
	config->watchdog_s = 120;
	config->health_timeout_s = 60;
	config->health_settle_s = 10;
	config->health_deadline_s = 300;
	config->install_program_s = 60;
	config->http.redirects = HTTPOPTS_REDIRECTS;
	if (string_set(&config->keyring, "/etc/slotboot/keyring.pem", err) < 0 ||
	    string_set(&config->lock, "/run/slotboot/lock", err) < 0 ||
	    string_set(&config->spool, "/var/tmp", err) < 0)
		return -1;
	return string_set(&config->sysroot, "", err);
}

static int config_read(const char *root, const char *path, struct config *config, struct err *err)
{
	if (defaults_set(config, err) < 0)
		return -1;
	if (!path)
		return files_read(root, config, err);
	return file_read(path, EX_NOINPUT, config, err) < 0 ? -1 : config_complete(path, config, err);
}

int config_load_below(const char *root, const char *path, struct config **ret_config, struct err *err)
{
	_cleanup_(config_freep) struct config *config = calloc(1, sizeof *config);

	if (!config)
		return err_errno(err, EX_SOFTWARE, errno, "failed to read the configuration");
	if (config_read(root, path, config, err) < 0 || credentials_find(config, err) < 0)
		return -1;
	*ret_config = config;
	config = NULL;
	return 0;
}

int config_load(const char *path, struct config **ret_config, struct err *err)
{
	return config_load_below("", path, ret_config, err);
}

void config_free(struct config *config)
{
	if (!config)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (!keys[i].max)
			free(*(char **)((char *)config + keys[i].offset));
	for (size_t i = 0; i < RECORD_ESPS; i++) {
		free(config->esps[i]);
		free(config->esp_devices[i]);
	}
	for (size_t i = 0; i < config->image_count; i++) {
		free(config->images[i].name);
		free(config->images[i].target[0]);
		free(config->images[i].target[1]);
	}
	free(config->shim_path);
	free(config);
}

void config_freep(struct config **config)
{
	config_free(*config);
}

const struct config_image *config_image_find(const struct config *config, const char *name)
{
	for (size_t i = 0; i < config->image_count; i++)
		if (strcmp(config->images[i].name, name) == 0)
			return &config->images[i];
	return NULL;
}

void config_to_record(const struct config *config, struct record *record)
{
	record->good_limit = (uint8_t)config->good_limit;
	record->flags &= (uint8_t)~(RECORD_FLAG_CHECK | RECORD_FLAG_RESET | RECORD_FLAG_ENTRIES);
	if (config->check == CONFIG_CHECK_ALWAYS)
		record->flags |= RECORD_FLAG_CHECK;
	if (config->failover == CONFIG_FAILOVER_RESET)
		record->flags |= RECORD_FLAG_RESET;
	if (config->entries == CONFIG_ENTRIES_SHOWN)
		record->flags |= RECORD_FLAG_ENTRIES;
}
