/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Probes over HTTP and HTTPS: 200 to 399 is success, the certificate is not looked at, a redirect to the same
 * host is followed up to ten times, one to another host counts as success.
 */
#include <errno.h>
#include <stdio.h>

#include "agent/attempt_state.h"
#include "base/own.h"

enum { REDIRECTS = 10 };

static size_t on_body(struct transfer *t, const char *p, size_t n)
{
	(void)t;
	(void)p;
	return n; /* only the status counts */
}

/* Scheme, host and port of a URL, for comparing. */
static struct str origin(const char *url)
{
	struct str s = str_of(url);
	const char *slash = strstr(url, "://");

	slash = slash ? strchr(slash + 3, '/') : NULL;
	if (slash)
		s.n = (size_t)(slash - url);
	return s;
}

static void on_done(struct transfer *t, long status, CURLcode error)
{
	struct attempt *a = CONTAINER_OF(t, struct attempt, transfer);
	char *next = NULL, *url = NULL, why[96];
	bool same = false;

	if (error != CURLE_OK) {
		attempt_end(a, false, error == CURLE_COULDNT_CONNECT ? "refused" : curl_easy_strerror(error));
		return;
	}
	curl_easy_getinfo(t->easy, CURLINFO_REDIRECT_URL, &next);
	curl_easy_getinfo(t->easy, CURLINFO_EFFECTIVE_URL, &url);
	same = next && url && str_eq(origin(next), origin(url));
	if (same && a->redirects++ < REDIRECTS) {
		AUTO_MEM char *copy = strdup(next);

		curl_easy_setopt(t->easy, CURLOPT_URL, copy ? copy : url);
		if (!copy || transfer_begin(a->curl, t))
			attempt_end(a, false, "out of memory");
		return;
	}
	snprintf(why, sizeof(why), "status %ld%s", status,
		 same	? ", more than 10 redirects"
		 : next ? ", a redirect to another host"
			: "");
	attempt_end(a, status >= 200 && status < 400, why);
}

static int add_headers(struct attempt *a, const struct http_get_action *h)
{
	bool agent = false;

	VEC_EACH (&h->http_headers, x) {
		struct curl_slist *more;
		AUTO_BUF b = {0};

		agent = agent || str_eqz(x->name, "User-Agent");
		if (x->value.n)
			buf_printf(&b, STR_FMT ": " STR_FMT, STR_ARG(x->name), STR_ARG(x->value));
		else
			buf_printf(&b, STR_FMT ";", STR_ARG(x->name));
		more = b.failed ? NULL : curl_slist_append(a->headers, b.p);
		if (!more)
			return -ENOMEM;
		a->headers = more;
	}
	curl_easy_setopt(a->transfer.easy, CURLOPT_HTTPHEADER, a->headers);
	if (!agent)
		curl_easy_setopt(a->transfer.easy, CURLOPT_USERAGENT, "weft-probe/" WEFT_VERSION);
	return 0;
}

int attempt_http(struct attempt *a, const struct attempt_spec *spec)
{
	const struct http_get_action *h = spec->http;
	bool tls = str_eqz(h->scheme, "HTTPS"), is4 = addr_is4(&spec->addr);
	char host[ADDR_TEXT];
	AUTO_BUF url = {0};
	CURL *easy;

	addr_print(&spec->addr, host);
	buf_printf(&url, "%s://%s%s%s:%u%s" STR_FMT, tls ? "https" : "http", is4 ? "" : "[", host,
		   is4 ? "" : "]", spec->port, h->path.n && h->path.p[0] == '/' ? "" : "/", STR_ARG(h->path));
	easy = a->transfer.easy = curl_easy_init();
	if (!easy || url.failed || add_headers(a, h))
		return -ENOMEM;
	a->transfer.body = on_body;
	a->transfer.done = on_done;
	curl_easy_setopt(easy, CURLOPT_URL, url.p);
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 0L);
	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
	curl_easy_setopt(easy, CURLOPT_PROXY, "");
	curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
	curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, 4096L);
	return transfer_begin(a->curl, &a->transfer);
}
