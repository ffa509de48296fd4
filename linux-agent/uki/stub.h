/* SPDX-License-Identifier: MIT */
/*
 * What systemd-stub does with a UKI, by the version of the stub that the UKI holds
 * (systemd-stub(7); the UKI specification, UAPI.5). A UKI with another stub, or
 * none, is treated as one with the newest that is known here.
 */
#pragma once

#include "ukifile.h"

#include <stdbool.h>

enum stub_feature {
	STUB_ALWAYS,
	STUB_ADDONS,		/* their .cmdline */
	STUB_TRIMS,		/* the command line's leading white space */
	STUB_CONFEXT,		/* apart from system extensions */
	STUB_UCODE,
	STUB_PROFILES,
	STUB_OSREL,		/* in /.extra */
	STUB_ADDON_INITRDS,	/* their .initrd and .ucode too */
	STUB_GLOBAL_EXTENSIONS,	/* \loader\extensions */
};

#define STUB_NEWEST 0xffffffffu

/* From .sdmagic, "#### LoaderInfo: systemd-stub 252.39-1 ####": 252. */
int stub_version(const struct ukifile *uki, unsigned *ret_version, struct err *err);
bool stub_does(unsigned version, enum stub_feature feature);

/* The text as that stub hands it to the kernel: control characters become spaces,
 * those at its ends go; up to the first NUL. EX_DATAERR: not UTF-8, or with characters
 * above U+FFFF, which the stub would drop. The caller frees. */
int stub_text(unsigned version, const char *text, char **ret_text, struct err *err);

/* "@N rest": true. A number above PE_MAX_SECTIONS becomes that: there is no such
 * profile. */
bool stub_profile_parse(const char *text, unsigned *ret_profile, const char **ret_rest);
