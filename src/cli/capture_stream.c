/* SPDX-License-Identifier: Apache-2.0 */
/* Streams of packets, one a node: see capture.h. Asked of the hub, which relays what the node's weft-copier
 * sends. */
#include "cli/capture.h"

#include <curl/curl.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/own.h"
#include "cli/cluster.h"
#include "cli/command.h"
#include "cli/output.h"

enum { AGAIN_MS = 100, AGAIN_MAX_MS = 1000, REFUSED_MS = 10000, TEXT_MAX_ = 64 << 10 };

struct capture_stream {
	struct capture_streams *of;
	unsigned number;
	char *node;
	CURL *curl;
	long code;
	struct buf refusal;
	bool runs, over;    /* a request is under way; nothing more will be asked */
	bool began, broken; /* packets came, or could have; what it sent cannot be read */
	bool ended;	    /* nobody asked it to */
	unsigned breaks;
	uint64_t asked_ms, again_ms;
	char *why; /* it was refused last */
	bool clock_known;
	double ahead_ms, error_ms; /* of this machine's clock */
};

static uint64_t now_ns(void)
{
	return clock_us() * 1000;
}

static int64_t wall_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* The node's time between two of this machine's: half of what lies between them is how wrong that may be. */
static void ask_clock(struct capture_stream *s)
{
	AUTO_BUF url = {0};
	AUTO_BUF answer = {0};

	buf_printf(&url, "%s/clock?node=%s", s->of->path, s->node);
	int64_t before = wall_ns();
	long code = http_try(s->of->socket_path, "GET", url.p, (struct str){0}, &answer);
	int64_t after = wall_ns();
	AUTO_JSON v = code == 200 ? json_loadb(answer.p ? answer.p : "", answer.n, 0, NULL) : NULL;
	json_int_t there = json_integer_value(json_object_get(v, "time"));

	if (there <= 0 || after < before)
		return;
	s->clock_known = true;
	s->error_ms = (double)(after - before) / 2e6;
	s->ahead_ms = (double)(there - before) / 1e6 - s->error_ms;
}

static size_t take(char *p, size_t size, size_t n, void *ctx)
{
	struct capture_stream *s = ctx;
	const char *why = NULL;

	if (!s->code)
		curl_easy_getinfo(s->curl, CURLINFO_RESPONSE_CODE, &s->code);
	if (s->code != 200) {
		if (s->refusal.n < TEXT_MAX_)
			buf_add(&s->refusal, p, size * n);
		return size * n;
	}
	if (!s->began && !s->clock_known)
		ask_clock(s);
	s->of->bytes += size * n;
	s->breaks += s->began && s->ended;
	s->began = true;
	s->ended = false;
	int r = pcapng_merge_feed(s->of->merge, s->number, (struct str){p, size * n}, now_ns(), &why);

	if (r == -ENOMEM)
		s->of->failed = true;
	if (why) {
		s->broken = s->over = true;
		cli_error(NULL, "%s: what it sends cannot be read: %s", s->node, why);
	}
	return r ? 0 : size * n;
}

static int ask(struct capture_stream *s)
{
	AUTO_BUF url = {0};

	buf_printf(&url, "http://localhost%s/stream?node=%s%s", s->of->path, s->node, s->of->query);
	s->curl = curl_easy_init();
	if (!s->curl || url.failed)
		return -1;
	s->code = 0;
	buf_clear(&s->refusal);
	curl_easy_setopt(s->curl, CURLOPT_UNIX_SOCKET_PATH, s->of->socket_path);
	curl_easy_setopt(s->curl, CURLOPT_URL, url.p);
	curl_easy_setopt(s->curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(s->curl, CURLOPT_NOPROXY, "*");
	curl_easy_setopt(s->curl, CURLOPT_CONNECTTIMEOUT_MS, 3000L);
	curl_easy_setopt(s->curl, CURLOPT_WRITEFUNCTION, take);
	curl_easy_setopt(s->curl, CURLOPT_WRITEDATA, s);
	curl_easy_setopt(s->curl, CURLOPT_PRIVATE, s);
	if (curl_multi_add_handle(s->of->multi, s->curl))
		return -1;
	s->runs = true;
	return 0;
}

static void forget(struct capture_stream *s)
{
	if (s->curl) {
		curl_multi_remove_handle(s->of->multi, s->curl);
		curl_easy_cleanup(TAKE(s->curl));
	}
	s->runs = false;
}

static void set_why(struct capture_stream *s, const char *text)
{
	free(s->why);
	s->why = strdup(text ? text : "");
}

/* A refusal may be over soon: the node's weft-copier starts, or has not heard of it yet. */
static void end_one(struct capture_stream *s, CURLcode error)
{
	AUTO_JSON v =
	    s->code != 200 ? json_loadb(s->refusal.p ? s->refusal.p : "", s->refusal.n, 0, NULL) : NULL;
	const char *message = json_string_value(json_object_get(v, "message"));
	bool soon = s->of->again && (s->code == 200 || (!s->code && !s->of->while_there) || s->code == 503 ||
				     (s->code == 404 && (s->began || clock_ms() - s->asked_ms < REFUSED_MS)));

	s->ended |= s->code == 200 && s->of->again;
	if (s->code != 200)
		set_why(s, message ?: curl_easy_strerror(error));
	forget(s);
	if (s->over || !soon) {
		s->over = true;
		pcapng_merge_end(s->of->merge, s->number);
		return;
	}
	uint64_t wait = clock_ms() - s->asked_ms < REFUSED_MS ? AGAIN_MS : AGAIN_MAX_MS;

	if (s->code == 200)
		s->asked_ms = clock_ms();
	s->again_ms = clock_ms() + wait;
	pcapng_merge_again(s->of->merge, s->number);
}

int capture_streams_open(struct capture_streams *s, const char *const *nodes, unsigned n, uint64_t delay_ns)
{
	struct pcapng_merge_options o = {.streams = n, .delay = delay_ns};

	s->all = calloc(n, sizeof(*s->all));
	s->multi = curl_multi_init();
	if (!s->all || !s->multi || pcapng_merge_new(&s->merge, &o))
		goto memory;
	s->n = n;
	for (unsigned i = 0; i < n; i++) {
		s->all[i] = (struct capture_stream){
		    .of = s, .number = i, .node = strdup(nodes[i]), .asked_ms = clock_ms()};
		if (!s->all[i].node || ask(&s->all[i]))
			goto memory;
	}
	return 0;
memory:
	cli_error(NULL, "out of memory");
	return -1;
}

void capture_streams_run(struct capture_streams *s, int wait_ms)
{
	int running, left;

	for (unsigned i = 0; i < s->n; i++)
		if (!s->all[i].runs && !s->all[i].over && clock_ms() >= s->all[i].again_ms && ask(&s->all[i]))
			s->failed = true;
	curl_multi_perform(s->multi, &running);
	for (CURLMsg *m; (m = curl_multi_info_read(s->multi, &left));) {
		struct capture_stream *one = NULL;
		CURLcode error = m->data.result;

		curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &one);
		curl_easy_getinfo(m->easy_handle, CURLINFO_RESPONSE_CODE, &one->code);
		end_one(one, error);
	}
	if (wait_ms > 0)
		curl_multi_poll(s->multi, NULL, 0, wait_ms, NULL);
}

void capture_streams_last(struct capture_streams *s)
{
	s->again = false;
	for (unsigned i = 0; i < s->n; i++)
		if (!s->all[i].runs && !s->all[i].over) {
			s->all[i].over = true;
			pcapng_merge_end(s->merge, i);
		}
}

bool capture_streams_live(const struct capture_streams *s)
{
	for (unsigned i = 0; i < s->n; i++)
		if (!s->all[i].over)
			return true;
	return false;
}

bool capture_streams_begun(const struct capture_streams *s)
{
	for (unsigned i = 0; i < s->n; i++)
		if (!s->all[i].began && !s->all[i].over)
			return false;
	return true;
}

bool capture_streams_any(const struct capture_streams *s)
{
	for (unsigned i = 0; i < s->n; i++)
		if (s->all[i].began)
			return true;
	return false;
}

void capture_stream_clock(const struct capture_streams *s, unsigned stream, struct buf *out)
{
	const struct capture_stream *one = &s->all[stream];

	if (one->clock_known)
		buf_printf(out,
			   "clock of %s: %+.3f ms beside the clock of who captured, error at most %.3f ms",
			   one->node, one->ahead_ms, one->error_ms);
	else
		buf_printf(out, "clock of %s: not known", one->node);
}

void capture_streams_clocks(const struct capture_streams *s, struct buf *out)
{
	buf_printf(out, "merged by time from %u node%s, by each node's own clock", s->n,
		   s->n == 1 ? "" : "s");
	for (unsigned i = 0; i < s->n; i++)
		if (s->all[i].began) {
			buf_addz(out, "; ");
			capture_stream_clock(s, i, out);
		}
}

void capture_streams_tell(const struct capture_streams *s, const struct capture_show *shown)
{
	for (unsigned i = 0; i < s->n; i++) {
		const struct capture_stream *one = &s->all[i];
		uint64_t slow, room;

		capture_show_lost(shown, one->node, &slow, &room);
		if (slow)
			fprintf(stderr, "%s: %" PRIu64 " packets lost: they were not read fast enough here\n",
				one->node, slow);
		if (room)
			fprintf(stderr, "%s: %" PRIu64 " packets lost: no room for the copies on the node\n",
				one->node, room);
		if (one->breaks)
			fprintf(stderr,
				"%s: the stream broke off %u time%s: what passed meanwhile is not there\n",
				one->node, one->breaks, one->breaks == 1 ? "" : "s");
		if (one->began && one->ended)
			fprintf(stderr, "%s: the stream ended before this did, and did not come back%s%s\n",
				one->node, one->why && *one->why ? ": " : "", one->why ?: "");
		if (!one->began)
			cli_error(NULL, "nothing came from %s: %s", one->node,
				  one->why && *one->why ? one->why : "it did not answer");
	}
}

void capture_streams_fini(struct capture_streams *s)
{
	for (unsigned i = 0; s->all && i < s->n; i++) {
		forget(&s->all[i]);
		buf_fini(&s->all[i].refusal);
		free(s->all[i].node);
		free(s->all[i].why);
	}
	free(s->all);
	if (s->multi)
		curl_multi_cleanup(s->multi);
	pcapng_merge_free(&s->merge);
}
