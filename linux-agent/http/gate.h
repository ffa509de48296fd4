/* SPDX-License-Identifier: MIT */
/*
 * Network access for a process that must not create sockets. A second process, the gate,
 * resolves names and passes connecting sockets to it. The gate never reads a server's answer.
 *
 * It connects only to addresses that it has resolved itself, and only by TCP. It always
 * resolves the names in the URL and in the proxy. For other names, to which a server may
 * redirect:
 *
 *   redirects = 0      none is resolved
 *   otherwise          all are, but addresses of this machine and its link (127/8, ::1,
 *                      169.254/16, fe80::/10) are left out unless the name in the URL or in
 *                      the proxy has such an address, too
 *
 * Addresses are cached for a minute, as libcurl does.
 */
#pragma once

#include "cage.h"
#include "child.h"
#include "http_options.h"

#include <curl/curl.h>

/* --- for slotctl ------------------------------------------------------------- */

/* Starts the gate. lack says what its cage could not provide. url and options need to live only
 * until it returns. EX_SOFTWARE. The caller must call child_stop(), also after an error. */
int gate_start(const char *url, const struct http_options *options, struct child *gate,
	       char lack[static CAGE_LACK_BYTES], struct err *err);

/* --- for who fetches --------------------------------------------------------- */

struct gate {
	int channel;
	uint32_t serial;
};

/* Makes easy connect through the gate. */
CURLcode gate_take(struct gate *gate, CURL *easy);

/* Call before each exchange: resolves the names that libcurl will connect to for url. *names is
 * NULL or the list of the previous exchange; easy uses the list that replaces it for as long as it
 * is in use, and the caller frees it. Returns CURLE_OK; CURLE_COULDNT_RESOLVE_HOST or _PROXY, with
 * "Could not resolve host: NAME" in text; or CURLE_FAILED_INIT if the gate has ended. */
CURLcode gate_lead(struct gate *gate, CURL *easy, const char *url, const struct http_options *options,
		   struct curl_slist **names, char text[static CURL_ERROR_SIZE]);

/* --- for both, and their tests ------------------------------------------------- */

#define GATE_NAME_BYTES 256

struct gate_name {
	char host[GATE_NAME_BYTES];	/* without the brackets of an IPv6 address */
	unsigned port;
	bool proxy;
	bool wanted;		/* must resolve; the other one may fail */
};

/* Finds the names that libcurl may connect to for a URL, given these options and the environment.
 * Returns 1 or 2, the wanted one first; 0 if url is not a URL. */
size_t gate_names(const char *url, const struct http_options *options, struct gate_name names[2]);
