/* SPDX-License-Identifier: MIT */
#include "trip.h"

#include "clock.h"
#include "esp_note.h"
#include "io.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

/* The record is near the start of the log; a longer log is not looked at. */
#define LOG_MAX_BYTES (512 * 1024)

int64_t trip_clock_ms(void)
{
	return clock_ms(CLOCK_BOOTTIME);
}

void trip_read(const struct machine *machine, struct ledger *ret_ledger)
{
	_cleanup_free_ uint8_t *json = NULL;
	size_t len;

	esp_note_read(machine, LEDGER_FILE, LEDGER_MAX_BYTES, &json, &len);
	ledger_parse(json, len, ret_ledger);
}

static void ledger_write(struct machine *m, const struct ledger *ledger)
{
	_cleanup_free_ char *json = NULL;

	if (ledger_format(ledger, &json, NULL) == 0)
		(void)esp_note_write(m, LEDGER_FILE, json, NULL);
}

void trip_boot_id(const struct machine *m, char ret_id[static 37])
{
	_cleanup_free_ char *path = NULL;
	_cleanup_free_ uint8_t *text = NULL;
	size_t len;

	ret_id[0] = 0;
	if (asprintf(&path, "%s/proc/sys/kernel/random/boot_id", m->config->sysroot) < 0) {
		path = NULL;
		return;
	}
	if (read_file(path, 64, &text, &len) < 0 || len < 36)
		return;
	memcpy(ret_id, text, 36);
	ret_id[36] = 0;
}

void trip_depart(struct machine *machine, enum activate how, unsigned slot,
		 const struct trip_times *times)
{
	struct ledger ledger;

	if (how == ACTIVATE_NONE)
		return;
	trip_read(machine, &ledger);
	trip_boot_id(machine, ledger.boot_id);
	ledger.pending = ledger.boot_id[0] != 0;
	ledger.how = how;
	ledger.left_ms = clock_ms(CLOCK_REALTIME);
	ledger.trip = (struct ledger_trip){ .known = true, .slot = slot };
	for (int i = 0; i < LEDGER_PHASES; i++)
		ledger.trip.ms[i] = LEDGER_UNKNOWN;
	if (times) {
		ledger.trip.ms[LEDGER_INSTALL] = times->install_ms;
		ledger.trip.ms[LEDGER_STAGE] = times->stage_ms;
	}
	ledger_write(machine, &ledger);
}

void trip_stay(struct machine *machine)
{
	struct ledger ledger;

	trip_read(machine, &ledger);
	ledger.pending = false;
	ledger_write(machine, &ledger);
}

int64_t trip_init_ms(const char *log)
{
	unsigned long long us;

	for (const char *line = log; line; line = strchr(line, '\n')) {
		const char *text;

		line += *line == '\n';
		text = strchr(line, ';');
		if (text && strncmp(text, ";Run ", 5) == 0 &&
		    sscanf(line, "%*u,%*u,%llu,", &us) == 1)
			return (int64_t)(us / 1000);
	}
	return LEDGER_UNKNOWN;
}

/* Each read(2) gives one record, and at the end fails instead of waiting. */
static int64_t kernel_log_init_ms(const struct machine *m)
{
	_cleanup_free_ char *path = NULL, *log = malloc(LOG_MAX_BYTES + 1);
	_cleanup_close_ int fd = -1;
	size_t len = 0;
	ssize_t n;

	if (!log || asprintf(&path, "%s/dev/kmsg", m->config->sysroot) < 0) {
		path = NULL;
		return LEDGER_UNKNOWN;
	}
	fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	while (fd >= 0 && len < LOG_MAX_BYTES) {
		n = read(fd, log + len, LOG_MAX_BYTES - len);
		if (n == 0 || (n < 0 && errno != EPIPE))	/* EPIPE: records were overwritten */
			break;
		len += n > 0 ? (size_t)n : 0;
	}
	log[len] = 0;
	return trip_init_ms(log);
}

void trip_arrive(struct machine *machine)
{
	struct ledger_arrival here = { .slot = machine->running.slot,
				       .kexec = machine->running.kexec };
	struct ledger ledger;

	trip_read(machine, &ledger);
	if (!ledger.pending)
		return;
	trip_boot_id(machine, here.boot_id);
	here.now_ms = clock_ms(CLOCK_REALTIME);
	here.up_ms = clock_ms(CLOCK_BOOTTIME);
	here.init_ms = kernel_log_init_ms(machine);
	if (ledger_arrive(&ledger, &here))
		ledger_write(machine, &ledger);
}

bool trip_never_left(const struct machine *machine, unsigned slot)
{
	struct ledger ledger;
	char boot_id[37];

	trip_read(machine, &ledger);
	trip_boot_id(machine, boot_id);
	return ledger.pending && ledger.how == ACTIVATE_KEXEC && ledger.trip.slot == slot &&
	       boot_id[0] && strcmp(boot_id, ledger.boot_id) == 0;
}

bool trip_boot_changed(const struct machine *machine, const struct ledger *ledger)
{
	char boot_id[37];

	trip_boot_id(machine, boot_id);
	return boot_id[0] && ledger->boot_id[0] && strcmp(boot_id, ledger->boot_id) != 0;
}
