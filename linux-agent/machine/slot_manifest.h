/* SPDX-License-Identifier: MIT */
#pragma once

#include "manifest.h"

/* The manifest kept beside a slot's UKI on the ESP that is mounted there; NULL: none, or not to
 * be read. The caller frees. It is what was installed, but nobody checks its signature again. */
struct manifest *slot_manifest_read(const char *esp, unsigned slot);
