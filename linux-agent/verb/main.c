/* SPDX-License-Identifier: MIT */
#include "out.h"
#include "redact.h"
#include "report.h"
#include "io.h"
#include "verbs.h"

#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>

static const struct {
	const char *name;
	int (*run)(int argc, char **argv, struct err *err);
	const char *summary;
} verbs[] = {
	{ "status", verb_status, "which slot runs, why, and what is in each" },
	{ "install", verb_install, "install a bundle into the idle slot" },
	{ "mark-good", verb_mark_good, "confirm the running slot" },
	{ "confirm", verb_confirm, "check the health of the running slot, then confirm it or give it up" },
	{ "mark-bad", verb_mark_bad, "do not boot a slot any more" },
	{ "mark-active", verb_mark_active, "prefer a slot from the next firmware boot on" },
	{ "rollback", verb_rollback, "go back to the other slot" },
	{ "rehearse", verb_rehearse, "have the firmware prove a slot that was reached by kexec" },
	{ "kexec", verb_kexec, "load, start, explain or unload a slot's kernel" },
	{ "doctor", verb_doctor, "what is wrong with what a boot depends on, and what to do" },
	{ "report", verb_report, "an archive for a bug tracker, with secrets masked" },
	{ "loader", verb_loader, "try a new loader, and keep it if it works" },
	{ "provision", verb_provision, "put a first installation on an empty disk or image file" },
	{ "bundle", verb_bundle, "create, show or verify a bundle" },
};

static void help(FILE *to)
{
	(void)fprintf(to, "Usage: slotctl VERB [OPTION]...\n\n"
			  "A/B updates and boot for machines that boot UKIs.\n\n");
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
		(void)fprintf(to, "  %-12s %s\n", verbs[i].name, verbs[i].summary);
	(void)fprintf(to, "\n  --help       this, or after a verb its own help\n"
			  "  --version\n\nSee slotctl(8).\n");
}

/* If a standard descriptor were closed, the next file opened, perhaps a slot, would get
 * its number and receive our output. */
static bool standard_files_open(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd)
			return false;
	return true;
}

static int failed(const struct err *err)
{
	out_error("%s%s\n", report_to_journal(STDERR_FILENO) ? "<3>" : "slotctl: ", err->text);
	return err->exit ? err->exit : EX_SOFTWARE;
}

int main(int argc, char **argv)
{
	struct err err = { 0 };
	int r;

	if (!standard_files_open())
		return EX_OSERR;
	if (redact_argv(argc, argv, &err) < 0)
		return failed(&err);
	if (argc < 2) {
		help(stderr);
		return EX_USAGE;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0) {
		help(stdout);
		return 0;
	}
	if (strcmp(argv[1], "--version") == 0) {
		out_print("slotctl " SLOTBOOT_VERSION "\n");
		return 0;
	}
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
		if (strcmp(argv[1], verbs[i].name) != 0)
			continue;
		(void)signal(SIGPIPE, SIG_IGN);	/* a closed pipe must not stop an install */
		r = verbs[i].run(argc - 1, argv + 1, &err);
		if (fflush(stdout) != 0 && r == 0)
			r = err_set(&err, EX_IOERR, "failed to write to standard output");
		return r == 0 ? 0 : failed(&err);
	}
	out_error("slotctl: unknown verb %s; see slotctl --help\n", argv[1]);
	return EX_USAGE;
}
