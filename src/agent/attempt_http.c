/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Probes over HTTP and HTTPS: 200 to 399 is success, the certificate is not looked at, a redirect to the same
 * host is followed up to ten times, one to another host counts as success.
 */
#include <errno.h>
#include <stdio.h>
#include <strings.h>

#include "agent/attempt_state.h"
#include "base/own.h"

enum { REDIRECTS = 10 };

static size_t on_body(struct transfer *t, const char *p, size_t n)
{
	(void)t;
	(void)p;
	return n; /* only the status counts */
}

/* The host of a URL, without its port, for comparing. */
static struct str host_of(const char *url)
{
	const char *p = strstr(url, "://"), *end;

	p = p ? p + 3 : url;
	end = *p == '[' ? strchr(p, ']') : NULL;
	return (struct str){.p = p, .n = end ? (size_t)(end + 1 - p) : strcspn(p, ":/?#")};
}

static enum attempt_cause cause_of(CURL *easy, CURLcode error)
{
	long os = 0;

	switch (error) {
	case CURLE_COULDNT_CONNECT:
		curl_easy_getinfo(easy, CURLINFO_OS_ERRNO, &os);
		return os == EHOSTUNREACH || os == ENETUNREACH		     ? ATTEMPT_UNREACHABLE
		       : os == ETIMEDOUT				     ? ATTEMPT_TIMEOUT
		       : os == EADDRNOTAVAIL || os == EMFILE || os == ENFILE ? ATTEMPT_PROBER
									     : ATTEMPT_REFUSED;
	case CURLE_OPERATION_TIMEDOUT:
		return ATTEMPT_TIMEOUT;
	case CURLE_GOT_NOTHING:
	case CURLE_RECV_ERROR:
	case CURLE_SEND_ERROR:
	case CURLE_PARTIAL_FILE:
		return ATTEMPT_CLOSED;
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_SSL_CIPHER:
	case CURLE_PEER_FAILED_VERIFICATION:
		return ATTEMPT_TLS;
	case CURLE_URL_MALFORMAT:
		return ATTEMPT_TARGET;
	case CURLE_OUT_OF_MEMORY:
	case CURLE_FAILED_INIT:
		return ATTEMPT_PROBER;
	default:
		return ATTEMPT_PROTOCOL;
	}
}

static void failed(struct attempt *a, CURLcode error)
{
	enum attempt_cause cause = cause_of(a->transfer.easy, error);

	attempt_end(a, cause, (int)error,
		    cause == ATTEMPT_REFUSED	   ? "refused"
		    : cause == ATTEMPT_UNREACHABLE ? "unreachable"
						   : curl_easy_strerror(error));
}

bool attempt_same_host(const char *url, const char *other)
{
	return str_eq(host_of(url), host_of(other));
}

void attempt_http_judge(struct attempt *a, long status, bool same, bool away)
{
	char why[96];

	snprintf(why, sizeof(why), "status %ld%s", status,
		 same	? "; warning: more than 10 redirects"
		 : away ? "; warning: a redirect to another host"
			: "");
	attempt_end(a, status >= 200 && status < 400 ? ATTEMPT_SUCCESS : ATTEMPT_STATUS, (int)status, why);
}

static void on_done(struct transfer *t, long status, CURLcode error)
{
	struct attempt *a = CONTAINER_OF(t, struct attempt, transfer);
	char *next = NULL, *url = NULL;
	bool same = false;

	if (error != CURLE_OK) {
		failed(a, error);
		return;
	}
	curl_easy_getinfo(t->easy, CURLINFO_REDIRECT_URL, &next);
	curl_easy_getinfo(t->easy, CURLINFO_EFFECTIVE_URL, &url);
	same = next && url && attempt_same_host(next, url);
	if (same && a->redirects++ < REDIRECTS) {
		AUTO_MEM char *copy = strdup(next);

		curl_easy_setopt(t->easy, CURLOPT_URL, copy ? copy : url);
		if (!copy || transfer_begin(a->curl, t))
			attempt_end(a, ATTEMPT_PROBER, 0, "out of memory");
		return;
	}
	attempt_http_judge(a, status, same, next && !same);
}

static bool is_user_agent(struct str name)
{
	return name.n == 10 && !strncasecmp(name.p, "User-Agent", 10);
}

int attempt_http_header(struct attempt *a, const char *line)
{
	struct curl_slist *more = line ? curl_slist_append(a->headers, line) : NULL;

	if (!more)
		return -ENOMEM;
	a->headers = more;
	return 0;
}

/* An empty value sends the header empty, but an empty User-Agent sends none. */
static int add_headers(struct attempt *a, const struct http_get_action *h)
{
	int err = attempt_http_header(a, "Connection: close");
	bool agent = false;

	VEC_EACH (&h->http_headers, x) {
		AUTO_BUF b = {0};

		agent = agent || is_user_agent(x->name);
		if (x->value.n)
			buf_printf(&b, STR_FMT ": " STR_FMT, STR_ARG(x->name), STR_ARG(x->value));
		else
			buf_printf(&b, STR_FMT "%c", STR_ARG(x->name), is_user_agent(x->name) ? ':' : ';');
		if (!err)
			err = b.failed ? -ENOMEM : attempt_http_header(a, b.p);
	}
	if (!agent)
		curl_easy_setopt(a->transfer.easy, CURLOPT_USERAGENT, "weft-probe/" WEFT_VERSION);
	return err;
}

static int begin(struct attempt *a, const char *url)
{
	CURL *easy = a->transfer.easy;

	a->transfer.body = on_body;
	a->transfer.done = on_done;
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, a->headers);
	curl_easy_setopt(easy, CURLOPT_URL, url);
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

int attempt_http(struct attempt *a, const struct attempt_spec *spec)
{
	const struct http_get_action *h = spec->http;
	bool tls = str_eqz(h->scheme, "HTTPS"), is4 = addr_is4(&spec->addr);
	char host[ADDR_TEXT];
	AUTO_BUF url = {0};

	addr_print(&spec->addr, host);
	buf_printf(&url, "%s://%s%s%s:%u%s" STR_FMT, tls ? "https" : "http", is4 ? "" : "[", host,
		   is4 ? "" : "]", spec->port, h->path.n && h->path.p[0] == '/' ? "" : "/", STR_ARG(h->path));
	a->transfer.easy = curl_easy_init();
	if (!a->transfer.easy || url.failed || add_headers(a, h))
		return -ENOMEM;
	return begin(a, url.p);
}

int attempt_http_follow(struct attempt *a, const char *url)
{
	a->redirects++;
	a->transfer.easy = curl_easy_init();
	return a->transfer.easy ? begin(a, url) : -ENOMEM;
}
