/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP over a Unix socket by libcurl: one request, or a stream of JSON lines. Tells failures on stderr. Used
 * by the commands that ask the hub or an observer.
 */
#include "cli/cluster.h"

#include "base/own.h"
#include "cli/command.h"
#include "cli/output.h"

#include <curl/curl.h>

enum { ANSWER_MAX = 256 << 20 };

static size_t collect(char *p, size_t size, size_t n, void *ctx)
{
	struct buf *b = ctx;

	if (b->n + size * n > ANSWER_MAX)
		return 0;
	buf_add(b, p, size * n);
	return b->failed ? 0 : size * n;
}

static CURL *prepare(const char *socket_path, const char *method, const char *url, const char *accept,
		     struct curl_slist **headers)
{
	AUTO_BUF full = {0};
	AUTO_BUF line = {0};
	CURL *c = curl_easy_init();

	if (!c)
		return NULL;
	buf_printf(&full, "http://localhost%s", url);
	buf_printf(&line, "Accept: %s", accept ? accept : "application/json");
	*headers = curl_slist_append(NULL, line.p);
	*headers = curl_slist_append(*headers, "Content-Type: application/json");
	curl_easy_setopt(c, CURLOPT_UNIX_SOCKET_PATH, socket_path);
	curl_easy_setopt(c, CURLOPT_URL, full.p);
	curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, method);
	curl_easy_setopt(c, CURLOPT_HTTPHEADER, *headers);
	curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c, CURLOPT_NOPROXY, "*");
	curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS, 3000L);
	return c;
}

static void tell_curl(CURLcode r, const char *socket_path)
{
	if (r == CURLE_COULDNT_CONNECT)
		cli_error("is the cluster running, and are you who ran `weft up`? `weft doctor` may help",
			  "cannot connect to %s", socket_path);
	else
		cli_error(NULL, "%s: %s", socket_path, curl_easy_strerror(r));
}

/* The status, or -1 with the cause in *failure. */
static long perform(const char *socket_path, const char *method, const char *url, const char *accept,
		    struct str body, struct buf *out, CURLcode *failure)
{
	struct curl_slist *headers = NULL;
	CURL *c = prepare(socket_path, method, url, accept, &headers);
	long code = -1;

	*failure = CURLE_OUT_OF_MEMORY;
	if (!c)
		return -1;
	if (body.p) {
		curl_easy_setopt(c, CURLOPT_POSTFIELDS, body.p);
		curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE, (long)body.n);
	}
	curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, collect);
	curl_easy_setopt(c, CURLOPT_WRITEDATA, out);
	curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, 10000L);
	*failure = curl_easy_perform(c);
	if (!*failure)
		curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &code);
	curl_slist_free_all(headers);
	curl_easy_cleanup(c);
	return code;
}

long http_request(const char *socket_path, const char *method, const char *url, const char *accept,
		  struct str body, struct buf *out)
{
	CURLcode failure;
	long code = perform(socket_path, method, url, accept, body, out, &failure);

	if (code < 0)
		tell_curl(failure, socket_path);
	return code;
}

long http_ask(const char *socket_path, const char *url, const char *accept, struct buf *out)
{
	CURLcode failure;

	return perform(socket_path, "GET", url, accept, (struct str){0}, out, &failure);
}

long http_try(const char *socket_path, const char *method, const char *url, struct str body, struct buf *out)
{
	CURLcode failure;

	return perform(socket_path, method, url, NULL, body, out, &failure);
}

void http_tell(long code, struct str body)
{
	http_tell_hint(NULL, code, body);
}

void http_tell_hint(const char *hint, long code, struct str body)
{
	AUTO_JSON v = json_loadb(body.p ? body.p : "", body.n, 0, NULL);
	const char *message = json_string_value(json_object_get(v, "message"));

	if (message)
		cli_error(hint, "%s", message);
	else
		cli_error(hint, "the server answered with status %ld", code);
}

json_t *http_get_json(const char *socket_path, const char *url, const char *accept)
{
	AUTO_BUF body = {0};
	json_error_t e;
	long code = http_request(socket_path, "GET", url, accept, (struct str){0}, &body);

	if (code < 0)
		return NULL;
	if (code != 200) {
		http_tell(code, buf_str(&body));
		return NULL;
	}
	json_t *v = json_loadb(body.p ? body.p : "", body.n, 0, &e);
	if (!v)
		cli_error(NULL, "the server's answer to %s is no JSON: %s", url, e.text);
	return v;
}

struct stream {
	struct buf in;
	http_line *fn;
	void *ctx;
	CURL *curl;
	int result;
	bool ended; /* the callback did not want more */
};

static size_t take_stream(char *p, size_t size, size_t n, void *ctx)
{
	struct stream *s = ctx;
	long code = 0;

	buf_add(&s->in, p, size * n);
	curl_easy_getinfo(s->curl, CURLINFO_RESPONSE_CODE, &code);
	if (code != 200)
		return s->in.n > ANSWER_MAX ? 0 : size * n;
	for (char *nl; s->in.n && (nl = memchr(s->in.p, '\n', s->in.n));) {
		size_t len = (size_t)(nl - s->in.p);
		AUTO_JSON v = len ? json_loadb(s->in.p, len, 0, NULL) : NULL;
		buf_drop(&s->in, len + 1);
		if (v && (s->result = s->fn(s->ctx, v))) {
			s->ended = true;
			return 0;
		}
	}
	return s->in.failed || s->in.n > ANSWER_MAX ? 0 : size * n;
}

int http_follow(const char *socket_path, const char *url, const char *accept, http_line *fn, void *ctx)
{
	struct curl_slist *headers = NULL;
	CURL *c = prepare(socket_path, "GET", url, accept, &headers);
	struct stream s = {.fn = fn, .ctx = ctx, .curl = c};
	long code = 0;

	if (!c)
		return -1;
	curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, take_stream);
	curl_easy_setopt(c, CURLOPT_WRITEDATA, &s);
	CURLcode r = curl_easy_perform(c);
	curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &code);
	if (!s.ended && (r || code != 200))
		s.result = -1;
	buf_fini(&s.in);
	curl_slist_free_all(headers);
	curl_easy_cleanup(c);
	return s.result;
}

void http_escape(struct buf *b, struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char ch = (unsigned char)s.p[i];
		if ((ch >= '0' && ch <= '9') || ((ch | 32) >= 'a' && (ch | 32) <= 'z') || strchr("-._~", ch))
			buf_addc(b, (char)ch);
		else
			buf_printf(b, "%%%02X", ch);
	}
}
