/* SPDX-License-Identifier: MIT */
/* Keeps secrets out of messages. */
#pragma once

/* In place, in each URL of text: what stands between :// and @ becomes "...", so
 * that "https://me:pw@host/x" reads "https://...@host/x" (RFC 3986, 3.2.1). Where
 * the text was cut (its length is cap - 1) an authority without an end goes too. */
void secret_mask_urls(char *text, unsigned long cap);

/* Overwrites a text that is not needed any more. */
void secret_wipe(char *text);

/* A secret is about to be read: from now on this process leaves no core. */
void secret_keep(void);
