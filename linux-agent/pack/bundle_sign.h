/* SPDX-License-Identifier: MIT */
/*
 * Putting a signature into a bundle that was made without: for keys on a machine that has
 * no bundles, or that no bundle may reach.
 */
#pragma once

#include "err.h"

/* Puts the detached CMS signature (DER) in signature_path into the bundle as manifest.p7s,
 * in place of one that may be there. The result is what signing at creation gives. The
 * signature must be over the bundle's very manifest, and carry its signer's certificate;
 * whether that is trusted is the machines' matter. EX_DATAERR: it is not, or the bundle is
 * none; EX_NOINPUT; EX_IOERR. On failure the bundle is as it was. */
int bundle_sign(const char *path, const char *signature_path, struct err *err);
