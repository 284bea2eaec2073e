/* SPDX-License-Identifier: Apache-2.0 */
/* Posts to receivers of alerts: see webhook.h. */
#include "hub/webhook.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/own.h"
#include "serve/curl_loop.h"

enum { RUNNING_MAX = 16, ANSWER_MAX = 65536, WAIT_MS = 1000, WAIT_MAX_MS = 60000 };

struct webhooks {
	struct curl_loop curl;
	unsigned running;
};

struct webhook {
	struct transfer transfer;
	struct webhooks *all;
	void (*done)(void *ctx, const char *why);
	void *ctx;
	struct curl_slist *headers;
	struct buf body;
	int ca_fd;
	size_t answer;
	uint64_t not_before, wait_ms;
	bool running;
};

int webhooks_new(struct webhooks **out, uv_loop_t *loop)
{
	struct webhooks *w = calloc(1, sizeof(*w));
	int r = w ? curl_loop_init(&w->curl, loop, NULL, NULL) : -ENOMEM;

	if (r)
		free(w);
	else
		*out = w;
	return r;
}

void webhooks_stop(struct webhooks *w)
{
	if (!uv_is_closing((uv_handle_t *)&w->curl.timer))
		uv_close((uv_handle_t *)&w->curl.timer, NULL);
}

void webhooks_free(struct webhooks **pw)
{
	struct webhooks *w = *pw;

	if (!w)
		return;
	curl_multi_cleanup(w->curl.multi);
	free(TAKE(*pw));
}

static size_t on_body(struct transfer *t, const char *p, size_t n)
{
	struct webhook *h = CONTAINER_OF(t, struct webhook, transfer);

	(void)p;
	h->answer += n;
	return h->answer > ANSWER_MAX ? 0 : n; /* the status was said before */
}

static void end(struct webhook *h)
{
	h->running = false;
	h->all->running--;
	curl_easy_cleanup(TAKE(h->transfer.easy));
	curl_slist_free_all(TAKE(h->headers));
	if (h->ca_fd >= 0)
		close(TAKE_FD(h->ca_fd));
	buf_fini(&h->body);
	h->body = (struct buf){0};
}

void webhook_failed(struct webhook *h, uint64_t now_ms)
{
	h->wait_ms = h->wait_ms ? h->wait_ms * 2 : WAIT_MS;
	if (h->wait_ms > WAIT_MAX_MS)
		h->wait_ms = WAIT_MAX_MS;
	h->not_before = now_ms + h->wait_ms;
}

static void on_done(struct transfer *t, long status, CURLcode error)
{
	struct webhook *h = CONTAINER_OF(t, struct webhook, transfer);
	char why[128] = "";

	if (!status)
		snprintf(why, sizeof(why), "%s", curl_easy_strerror(error ? error : CURLE_GOT_NOTHING));
	else if (status / 100 == 3)
		snprintf(why, sizeof(why), "HTTP %ld: redirects are not followed", status);
	else if (status / 100 != 2)
		snprintf(why, sizeof(why), "HTTP %ld", status);
	end(h);
	if (*why) {
		webhook_failed(h, clock_ms());
	} else {
		h->wait_ms = 0;
		h->not_before = 0;
	}
	h->done(h->ctx, *why ? why : NULL);
}

struct webhook *webhook_new(struct webhooks *w, void (*done)(void *ctx, const char *why), void *ctx)
{
	struct webhook *h = calloc(1, sizeof(*h));

	if (!h)
		return NULL;
	h->transfer.body = on_body;
	h->transfer.done = on_done;
	h->all = w;
	h->done = done;
	h->ctx = ctx;
	h->ca_fd = -1;
	return h;
}

void webhook_free(struct webhook **ph)
{
	struct webhook *h = *ph;

	if (!h)
		return;
	if (h->running) {
		transfer_stop(&h->all->curl, &h->transfer);
		end(h);
	}
	free(TAKE(*ph));
}

bool webhook_ready(const struct webhook *h, uint64_t now_ms)
{
	return !h->running && now_ms >= h->not_before && h->all->running < RUNNING_MAX;
}

/* Authorities are read from a file: one that is nowhere but in memory. */
static int set_ca(struct webhook *h, struct str ca)
{
	char path[32];

	h->ca_fd = memfd_create("ca", MFD_CLOEXEC);
	if (h->ca_fd < 0 || write(h->ca_fd, ca.p, ca.n) != (ssize_t)ca.n)
		return -ENOMEM;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", h->ca_fd);
	return curl_easy_setopt(h->transfer.easy, CURLOPT_CAINFO, path) ? -ENOMEM : 0;
}

static int add_header(struct webhook *h, const char *line)
{
	struct curl_slist *l = curl_slist_append(h->headers, line);

	h->headers = l ? l : h->headers;
	return l ? 0 : -ENOMEM;
}

static int set_headers(struct webhook *h, struct str token)
{
	AUTO_BUF line = {0};
	int r = add_header(h, "Content-Type: application/json");

	/* A receiver that is slow to say "100 Continue" would only be waited for. */
	if (!r)
		r = add_header(h, "Expect:");
	buf_printf(&line, "Authorization: Bearer " STR_FMT, STR_ARG(token));
	if (!r && token.n)
		r = line.failed ? -ENOMEM : add_header(h, line.p);
	return r;
}

/* No address: spaces and control characters would be another request. */
static bool is_address(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] <= ' ' || s.p[i] == 127)
			return false;
	return str_starts(s, STR("http://")) || str_starts(s, STR("https://"));
}

static bool is_token(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] < ' ' || s.p[i] == 127)
			return false;
	return true;
}

static int begin(struct webhook *h, struct webhook_post *p)
{
	AUTO_BUF url = {0};
	CURL *c = h->transfer.easy = curl_easy_init();
	int r = c ? 0 : -ENOMEM;

	buf_adds(&url, p->url);
	if (!r)
		r = url.failed ? -ENOMEM : set_headers(h, p->token);
	if (!r && p->ca.n)
		r = set_ca(h, p->ca);
	if (r)
		return r;
	h->answer = 0;
	curl_easy_setopt(c, CURLOPT_URL, url.p);
	curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(c, CURLOPT_POST, 1L);
	curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE, (long)h->body.n);
	curl_easy_setopt(c, CURLOPT_POSTFIELDS, h->body.p);
	curl_easy_setopt(c, CURLOPT_HTTPHEADER, h->headers);
	curl_easy_setopt(c, CURLOPT_USERAGENT, "weft/" WEFT_VERSION);
	curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, (long)p->timeout_s * 1000);
	return transfer_begin(&h->all->curl, &h->transfer);
}

int webhook_post(struct webhook *h, struct webhook_post *p, uint64_t now_ms)
{
	h->body = p->body;
	p->body = (struct buf){0};
	h->running = true;
	h->all->running++;
	int r = h->body.failed ? -ENOMEM : is_address(p->url) && is_token(p->token) ? 0 : -EINVAL;

	if (!r)
		r = begin(h, p);
	if (r) {
		end(h);
		webhook_failed(h, now_ms);
	}
	return r;
}
