/* SPDX-License-Identifier: Apache-2.0 */
/* Streams of weft-copier for clients of the API: see relay.h. */
#include "hub/relay.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/own.h"
#include "pcapng/read.h"

static const char RIGHT_ENDED[] = "the right to these packets ended";

enum { HIGH = 256 << 10, TEXT_MAX_ = 64 << 10, CONNECT_MS = 2000, ANSWER_MS = 5000, TELL_MS = 1000 };

struct relay {
	struct transfer transfer;
	struct http_later later;
	struct http_stream stream;
	struct relays *all;
	struct relay_told told;
	bool pcapng;
	bool answered, streaming, paused, ended; /* ended: nothing more comes from the node */
	long status;
	CURLcode error;
	char node[64];
	struct buf in; /* from the node */
	size_t whole;  /* of it, whole blocks that were looked at */
	struct pcapng_reader reader;
	VEC(uint64_t) dropped; /* by interface, as it was told last */
	const char *broken;    /* what is wrong with its bytes */
	struct relay_sums sums;
	uint64_t asked_ms, told_ms;
};

int relays_new(struct relays **out, uv_loop_t *loop, const char *dir)
{
	struct relays *r = calloc(1, sizeof(*r));
	int e = r && (r->dir = strdup(dir)) ? curl_loop_init(&r->curl, loop, NULL, NULL) : -ENOMEM;

	if (e && r) {
		free(r->dir);
		free(r);
	}
	if (!e)
		*out = r;
	return e;
}

void relays_stop(struct relays *r)
{
	if (r && !uv_is_closing((uv_handle_t *)&r->curl.timer))
		uv_close((uv_handle_t *)&r->curl.timer, NULL);
}

void relays_free(struct relays **pr)
{
	struct relays *r = *pr;

	if (!r)
		return;
	curl_multi_cleanup(r->curl.multi);
	free(r->dir);
	free(TAKE(*pr));
}

/* --- counted as they pass ------------------------------------------------------------------------------ */

static void note_dropped(struct relay *r, const struct pcapng_statistics *s)
{
	while (r->dropped.len <= s->interface)
		if (vec_push(&r->dropped, 0))
			return;
	uint64_t was = r->dropped.items[s->interface];

	if (s->has_os_dropped && s->os_dropped > was) {
		r->sums.dropped += s->os_dropped - was;
		r->dropped.items[s->interface] = s->os_dropped;
	}
}

static void look(struct relay *r)
{
	struct str rest = {r->in.p + r->whole, r->in.n - r->whole};
	struct pcapng_block b;
	int e;

	while ((e = pcapng_read(&r->reader, &rest, &b)) > 0) {
		if (b.kind == PCAPNG_PACKET) {
			r->sums.packets++;
			r->sums.bytes += b.packet.caplen;
		} else if (b.kind == PCAPNG_STATISTICS) {
			note_dropped(r, &b.statistics);
		}
	}
	r->whole = r->in.n - rest.n;
	if (e < 0)
		r->broken = e == -EPROTO ? r->reader.why : "out of memory";
}

/* --- from the node ------------------------------------------------------------------------------------- */

static void wake(struct relay *r)
{
	if (r->streaming)
		http_stream_wake(&r->stream);
	else if (!r->answered)
		http_later_wake(&r->later);
}

static size_t on_body(struct transfer *t, const char *p, size_t n)
{
	struct relay *r = CONTAINER_OF(t, struct relay, transfer);

	if (!r->status)
		curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &r->status);
	bool stream = r->status == 200 && r->pcapng;

	if (stream && r->whole > HIGH) {
		r->paused = true;
		return CURL_WRITEFUNC_PAUSE;
	}
	buf_add(&r->in, p, n);
	if (stream)
		look(r);
	if (r->in.failed || r->broken || (!stream && r->in.n > TEXT_MAX_))
		return 0;
	if (stream)
		wake(r);
	return n;
}

/* A node that takes the question and says nothing is not waited for. */
static int on_progress(void *ctx, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
	const struct relay *r = ctx;

	(void)a, (void)b, (void)c, (void)d;
	return !r->status && clock_ms() - r->asked_ms > ANSWER_MS;
}

static void on_done(struct transfer *t, long status, CURLcode error)
{
	struct relay *r = CONTAINER_OF(t, struct relay, transfer);

	r->status = status;
	r->error = error;
	r->ended = true;
	wake(r);
}

/* --- to the client ------------------------------------------------------------------------------------- */

static const char *how(const struct relay *r)
{
	if (r->broken)
		return r->broken;
	if (r->told.may && !r->told.may(r->told.ctx))
		return RIGHT_ENDED;
	if (!r->ended)
		return "the reader left";
	return r->error ? curl_easy_strerror(r->error) : "";
}

static void end(struct relay *r)
{
	if (!r->ended)
		transfer_stop(&r->all->curl, &r->transfer);
	if (r->streaming && r->told.over)
		r->told.over(r->told.ctx, &r->sums, how(r));
	if (r->told.free)
		r->told.free(r->told.ctx);
	curl_easy_cleanup(r->transfer.easy);
	pcapng_reader_fini(&r->reader);
	vec_free(&r->dropped);
	buf_fini(&r->in);
	r->all->running--;
	free(r);
}

static void pull(struct http_stream *s)
{
	struct relay *r = CONTAINER_OF(s, struct relay, stream);

	if (r->whole) {
		buf_add(&s->out, r->in.p, r->whole);
		buf_drop(&r->in, r->whole);
		r->whole = 0;
	}
	if (clock_ms() - r->told_ms >= TELL_MS && r->told.goes) {
		r->told_ms = clock_ms();
		r->told.goes(r->told.ctx, &r->sums);
	}
	if (r->told.may && !r->told.may(r->told.ctx))
		r->broken = RIGHT_ENDED;
	s->done = r->ended || r->broken;
	if (r->paused) { /* it may call on_body() before it returns */
		r->paused = false;
		curl_easy_pause(r->transfer.easy, CURLPAUSE_CONT);
	}
}

static bool is_over(struct http_stream *s)
{
	const struct relay *r = CONTAINER_OF(s, struct relay, stream);

	return r->told.may && !r->told.may(r->told.ctx);
}

static void on_close(struct http_stream *s)
{
	end(CONTAINER_OF(s, struct relay, stream));
}

static void refuse(struct relay *r, struct http_reply *rp)
{
	AUTO_BUF text = {0};

	rp->status = r->status == 404 ? 404 : 503;
	rp->retry = rp->status == 503;
	if (r->status == 404)
		buf_printf(&text, "%s does not know it (yet)", r->node);
	else if (r->status && !r->broken)
		buf_printf(&text, "weft-copier of %s answers with status %ld", r->node, r->status);
	else
		buf_printf(&text, "weft-copier of %s does not answer: %s", r->node,
			   r->broken  ? r->broken
			   : r->error ? curl_easy_strerror(r->error)
				      : "it said nothing");
	buf_addz(
	    &rp->body,
	    "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":\"Failure\",\"message\":");
	buf_json(&rp->body, buf_str(&text));
	buf_printf(&rp->body, ",\"reason\":\"%s\",\"code\":%d}\n",
		   r->status == 404 ? "NotFound" : "ServiceUnavailable", rp->status);
}

static void on_answer(struct http_later *l, struct http_reply *rp)
{
	struct relay *r = CONTAINER_OF(l, struct relay, later);

	r->answered = true;
	if (r->status == 200 && r->pcapng && !r->broken) {
		r->streaming = true;
		r->told_ms = clock_ms();
		rp->content_type = "application/x-pcapng";
		rp->stream = &r->stream;
		if (r->told.began)
			r->told.began(r->told.ctx);
		return;
	}
	if (r->status == 200 && !r->pcapng && !r->error)
		buf_adds(&rp->body, buf_str(&r->in));
	else
		refuse(r, rp);
	end(r);
}

static void on_gone(struct http_later *l)
{
	struct relay *r = CONTAINER_OF(l, struct relay, later);

	r->answered = true;
	end(r);
}

CURL *relay_question(const struct relays *all, const char *node, const char *path)
{
	AUTO_BUF socket = {0};
	AUTO_BUF url = {0};
	CURL *c = curl_easy_init();

	buf_printf(&socket, "%s/%s/copier.sock", all->dir, node);
	buf_printf(&url, "http://copier%s", path);
	if (!c || socket.failed || url.failed) {
		curl_easy_cleanup(c);
		return NULL;
	}
	curl_easy_setopt(c, CURLOPT_UNIX_SOCKET_PATH, socket.p);
	curl_easy_setopt(c, CURLOPT_URL, url.p);
	curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http");
	curl_easy_setopt(c, CURLOPT_NOPROXY, "*");
	curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
	return c;
}

static int begin(struct relay *r, const char *node, const char *path)
{
	CURL *c = r->transfer.easy = relay_question(r->all, node, path);

	if (!c)
		return -ENOMEM;
	curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
	curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, on_progress);
	curl_easy_setopt(c, CURLOPT_XFERINFODATA, r);
	r->asked_ms = clock_ms();
	if (!r->pcapng)
		curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, (long)CONNECT_MS);
	return transfer_begin(&r->all->curl, &r->transfer);
}

struct http_later *relay_ask(struct relays *all, const char *node, const char *path, bool pcapng,
			     const struct relay_told *t, struct api_error *e)
{
	struct relay *r = all->running < RELAYS_MAX ? calloc(1, sizeof(*r)) : NULL;

	if (!r) {
		api_fail(e, 429, "TooManyRequests", "%d streams of packets run already", RELAYS_MAX);
		e->retry = true;
		if (t->free)
			t->free(t->ctx);
		return NULL;
	}
	*r = (struct relay){.transfer = {.body = on_body, .done = on_done},
			    .later = {.answer = on_answer, .gone = on_gone},
			    .stream = {.pull = pull, .close = on_close, .over = is_over},
			    .all = all,
			    .told = *t,
			    .pcapng = pcapng};
	snprintf(r->node, sizeof(r->node), "%s", node);
	all->running++;
	if (begin(r, node, path)) {
		api_fail(e, 500, "InternalError", "out of memory");
		r->ended = true;
		end(r);
		return NULL;
	}
	return &r->later;
}
