/* SPDX-License-Identifier: MIT */
/* What the files of the verb "bundle" share. */
#pragma once

#include "err.h"

#include <getopt.h>

int verb_bundle_create(int argc, char **argv, struct err *err);

/* Before the first verb_bundle_option() of a command line. */
void verb_bundle_start(void);

/* The next option, -1 at the end; EX_USAGE in err and '?' for a wrong one. argv[0] is the
 * word after "bundle". */
int verb_bundle_option(int argc, char **argv, const struct option *known, struct err *err);
