/* SPDX-License-Identifier: MIT */
/*
 * The way out of a process that may not make sockets: another one, the gate, turns names
 * into addresses and hands over sockets that are connecting. It reads no answer of a
 * server, and is told a name and a port, not to whom it speaks.
 *
 * It connects to what it has resolved, by TCP, and nowhere else. The names of the URL and
 * of the proxy it takes always. Others, to which a server may redirect:
 *
 *   redirects = 0                      none
 *   else                               any, but with the addresses of this machine and of its
 *                                      link (127/8, ::1, 169.254/16, fe80::/10) only if the
 *                                      URL's or the proxy's name has one, too
 *
 * Addresses are kept for a minute, as libcurl does.
 */
#pragma once

#include "cage.h"
#include "child.h"
#include "http_options.h"

#include <curl/curl.h>

/* --- for slotctl ------------------------------------------------------------- */

/* Starts it; what it could not have of its cage in lack. Both must outlive the call only.
 * EX_SOFTWARE. child_stop() in every case. */
int gate_start(const char *url, const struct http_options *options, struct child *gate,
	       char lack[static CAGE_LACK_BYTES], struct err *err);

/* --- for who fetches --------------------------------------------------------- */

struct gate {
	int channel;
	uint32_t serial;
};

/* Has easy connect through the gate. */
CURLcode gate_take(struct gate *gate, CURL *easy);

/* Before each exchange: resolves what libcurl will want to connect to for url. In *names, which
 * is NULL or of the exchange before, is what easy needs for as long as it is in use; the
 * caller frees it. CURLE_OK, or CURLE_COULDNT_RESOLVE_HOST or _PROXY with "Could not resolve
 * host: NAME" in text; CURLE_FAILED_INIT: there is no gate any more. */
CURLcode gate_lead(struct gate *gate, CURL *easy, const char *url, const struct http_options *options,
		   struct curl_slist **names, char text[static CURL_ERROR_SIZE]);

/* --- for both, and their tests ------------------------------------------------- */

#define GATE_NAME_BYTES 256

struct gate_name {
	char host[GATE_NAME_BYTES];	/* without the brackets of an IPv6 address */
	unsigned port;
	bool proxy;
	bool wanted;		/* or else it may be of use */
};

/* What libcurl may connect to for a URL, given these options and the environment: 1 or 2
 * names, the wanted one first; 0: it is no URL. */
size_t gate_names(const char *url, const struct http_options *options, struct gate_name names[2]);
