/* SPDX-License-Identifier: MIT */
/* Predicts which names libcurl will want to resolve, since libcurl does not announce them. */
#include "gate.h"

#include "io.h"

#include <string.h>
#include <strings.h>

static void curl_url_cleanupp(CURLU **url)
{
	curl_url_cleanup(*url);
}

/* Takes host and port from a URL. Without a scheme, http is assumed. */
static bool name_take(const char *url, unsigned port, struct gate_name *ret_name)
{
	_cleanup_(curl_url_cleanupp) CURLU *parts = curl_url();
	char *host = NULL, *number = NULL;
	size_t skip, len = 0;

	if (!parts || curl_url_set(parts, CURLUPART_URL, url,
				   CURLU_DEFAULT_SCHEME | CURLU_NON_SUPPORT_SCHEME) != CURLUE_OK ||
	    curl_url_get(parts, CURLUPART_HOST, &host, CURLU_PUNYCODE) != CURLUE_OK)
		return false;
	if (curl_url_get(parts, CURLUPART_PORT, &number, port ? 0 : CURLU_DEFAULT_PORT) == CURLUE_OK)
		port = (unsigned)strtoul(number, NULL, 10);
	skip = host[0] == '[';
	len = strcspn(host + skip, "]");
	if (len < sizeof ret_name->host)
		(void)snprintf(ret_name->host, sizeof ret_name->host, "%.*s", (int)len, host + skip);
	ret_name->port = port;
	curl_free(host);
	curl_free(number);
	return len > 0 && len < sizeof ret_name->host;
}

static const char *environment(const char *const *names)
{
	for (; *names; names++) {
		const char *value = getenv(*names);

		if (value && *value)
			return value;
	}
	return NULL;
}

/* Finds the proxy as libcurl does, or NULL. HTTP_PROXY in capitals is not read: under CGI, a
 * client's header could set it. */
static const char *proxy_of(const char *url, const struct http_options *options)
{
	static const char *const http[] = { "http_proxy", "all_proxy", "ALL_PROXY", NULL };
	static const char *const https[] = { "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY",
					     NULL };

	if (options->proxy)
		return strcmp(options->proxy, "none") == 0 ? NULL : options->proxy;
	return environment(strncasecmp(url, "https:", 6) == 0 ? https : http);
}

/* True for proxies that need the server's address, so that libcurl resolves its name. */
static bool proxy_wants_address(const char *proxy)
{
	return strncasecmp(proxy, "socks4:", 7) == 0 || strncasecmp(proxy, "socks5:", 7) == 0 ||
	       strncasecmp(proxy, "socks:", 6) == 0;
}

enum { PROXY_PORT = 1080, PROXY_PORT_HTTPS = 443 };

size_t gate_names(const char *url, const struct http_options *options, struct gate_name names[2])
{
	static const char *const exceptions[] = { "no_proxy", "NO_PROXY", NULL };
	const char *proxy = proxy_of(url, options);
	unsigned port = proxy && strncasecmp(proxy, "https:", 6) == 0 ? PROXY_PORT_HTTPS : PROXY_PORT;
	size_t count = 0;

	if (proxy && name_take(proxy, port, &names[count])) {
		names[count].proxy = names[count].wanted = true;
		count++;
	}
	if (count > 0 && !proxy_wants_address(proxy) && !environment(exceptions))
		return count;
	if (name_take(url, 0, &names[count])) {
		names[count].proxy = false;
		names[count].wanted = count == 0;
		count++;
	}
	return count;
}
