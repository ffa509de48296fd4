/* SPDX-License-Identifier: MIT */
#include "events.h"
#include "export.h"
#include "install.h"
#include "options.h"
#include "report.h"
#include "redact.h"
#include "urlfile.h"
#include "io.h"
#include "verbs.h"

#include <signal.h>
#include <unistd.h>

/* Rare enough that flushes cost nothing, often enough that a power cut loses little. */
#define FLUSH_EVERY ((uint64_t)64 << 20)

static const char help[] =
	"Usage: slotctl install BUNDLE|--url-file=FILE --activate=none|reboot|kexec [OPTION]...\n"
	"\n"
	"Installs a bundle (a path, or a file, http or https URL) into the idle slot.\n"
	"The running slot must be confirmed (slotctl mark-good).\n"
	"\n"
	"  --activate=none    leave it there; slotctl mark-active chooses it later\n"
	"  --activate=reboot  try it at once, through the firmware\n"
	"  --activate=kexec   jump into it at once; the firmware keeps the old slot\n"
	"                     until mark-good\n"
	"  --url-file=FILE    what BUNDLE would be, from a file; -: from standard input. The\n"
	"                     command line can be read by every user\n"
	"  --tries=N          firmware boots it may take until mark-good (configuration: tries)\n"
	"  --allow-downgrade  accept a version lower than the running one\n"
	"  --force            by kexec although the last one never came to mark-good\n"
	"  --verify-first=yes|no  of a web server: fetch and verify all that is needed before\n"
	"                     the slot is touched (configuration: verify-first)\n"
	"  --json             progress as JSON lines\n"
	"  --config=FILE      instead of the machine's\n";

static volatile sig_atomic_t cancelled, begun;

/* Until the first byte is written there is nothing to put in order, and whatever is at
 * work (a resolver, a signature with a thousand digests) need not look. */
static void on_signal(int sig)
{
	static const char words[] = "slotctl: cancelled by a signal\n";

	(void)sig;
	cancelled = 1;
	if (begun)
		return;
	(void)!write(STDERR_FILENO, words, sizeof words - 1);
	_exit(EX_TEMPFAIL);
}

/* What is ignored stays so: nohup, and the interrupts of background jobs. */
static void catch_signals(void)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP };
	struct sigaction action = { .sa_handler = on_signal }, before;

	for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
		if (sigaction(signals[i], NULL, &before) == 0 && before.sa_handler != SIG_IGN)
			(void)sigaction(signals[i], &action, NULL);
}

int verb_install(int argc, char **argv, struct err *err)
{
	_cleanup_(redact_freep) char *where = NULL;
	struct install_options install = { .cancel = &cancelled, .begun = &begun };
	struct installed installed;
	struct machine machine;
	struct options o;
	struct report report;
	int r = options_parse(argc, argv,
			      TAKES_JSON | TAKES_ACTIVATE | TAKES_TRIES | TAKES_DOWNGRADE |
			      TAKES_FORCE | TAKES_URL_FILE | TAKES_VERIFY_FIRST, help, &o, err);

	if (r != 0)
		return r < 0 ? -1 : 0;
	if (urlfile_or_operand("install", o.url_file, o.operands, o.operand_count, &where, err) < 0)
		return -1;
	report_init(&report, o.json);
	catch_signals();
	install.where = where;
	install.activate = o.activate;
	install.tries = o.tries;
	install.allow_downgrade = o.allow_downgrade;
	install.force = o.force;
	install.report = &report;
	install.threads = (unsigned)sysconf(_SC_NPROCESSORS_ONLN) + 2;
	install.flush_every = FLUSH_EVERY;
	r = machine_open(o.config, MACHINE_INSTALL, &machine, err);
	if (r == 0)
		install.verify_first = o.verify_first == CHOICE_CONFIG ? machine.config->verify_first
								       : o.verify_first == CHOICE_YES;
	if (r == 0)
		r = install_run(&machine, &install, &installed, err);
	if (r == 0)
		events_installed(&machine, installed.slot);
	if (machine.is_running)
		(void)export_write(&machine, NULL);
	if (r == 0)
		r = install_activate(&machine, &install, &installed, err);
	machine_close(&machine);
	return r;
}
