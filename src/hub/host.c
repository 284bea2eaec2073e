/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of weft broker → accounts for the page: see host.h. */
#include "hub/host.h"

#include <errno.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/own.h"
#include "hub/page_live.h"

enum { CHANNEL_FD = 3, LINE_MAX_BYTES = 16 << 20 };

struct host {
	struct hub *hub;
	uv_pipe_t pipe;
	struct buf line;
	bool skips; /* the line that comes is too long */
	char piece[64 << 10];
};

bool host_keeps(enum kind k)
{
	return k == KIND_user || k == KIND_role || k == KIND_draft;
}

/* --- words ----------------------------------------------------------------------------------------- */

static json_int_t number(const json_t *o, const char *key)
{
	return json_integer_value(json_object_get(o, key));
}

static json_t *places(const json_t *account)
{
	json_t *list = json_array(), *s;
	size_t i;

	json_array_foreach (json_object_get(account, "sources"), i, s) {
		json_t *name = json_object_get(s, "source");

		json_array_append_new(list, json_pack("{s:O?,s:O?,s:I,s:I,s:I}", "point", name, "name", name,
						      "seen", number(s, "seen"), "received",
						      number(s, "seen") - number(s, "unwanted"), "lost",
						      number(json_object_get(s, "lost"), "clone")));
	}
	return list;
}

static json_t *tools(const json_t *account)
{
	static const char *const same[] = {"tool",  "port", "kind",	 "taking",  "due",
					   "added", "sent", "sentBytes", "inFlight"};
	json_t *list = json_array(), *t;
	size_t i;

	json_array_foreach (json_object_get(account, "tools"), i, t) {
		json_t *o = json_object();

		for (size_t k = 0; k < ARRAY_LEN(same); k++)
			json_object_set(o, same[k], json_object_get(t, same[k]));
		json_object_set(o, "losses", json_object_get(t, "lost"));
		json_array_append_new(list, o);
	}
	return list;
}

json_t *host_account(const json_t *line)
{
	const json_t *account = json_object_get(line, "account");
	json_t *o, *kept;

	if (!json_is_object(account))
		return NULL;
	o = json_object();
	json_object_set(o, "began", json_object_get(account, "copierRestarts"));
	json_object_set_new(o, "places", places(account));
	json_object_set_new(o, "tools", tools(account));
	kept = json_object_get(account, "maps");
	json_object_set_new(o, "maps", kept ? json_incref(kept) : json_array());
	kept = json_object_get(account, "ports");
	json_object_set_new(o, "ports", kept ? json_incref(kept) : json_array());
	json_object_set_new(o, "stale", json_boolean(json_is_true(json_object_get(line, "stale"))));
	return o;
}

/* --- the socket ------------------------------------------------------------------------------------- */

static void take_line(struct host *s)
{
	json_t *line = json_loadb(s->line.p ? s->line.p : "", s->line.n, 0, NULL);
	json_t *account = line ? host_account(line) : NULL;

	if (account)
		page_live_account(s->hub->live, s->hub->opt.host, account);
	else
		log_warn("weft broker told a line that is no account");
	json_decref(account);
	json_decref(line);
}

static void take(struct host *s, struct str bytes)
{
	while (bytes.n) {
		const char *end = memchr(bytes.p, '\n', bytes.n);
		size_t n = end ? (size_t)(end - bytes.p) : bytes.n;

		s->skips |= s->line.n + n > LINE_MAX_BYTES;
		if (!s->skips)
			buf_add(&s->line, bytes.p, n);
		bytes.p += n + (end != NULL);
		bytes.n -= n + (end != NULL);
		if (!end)
			continue;
		if (!s->skips && !s->line.failed)
			take_line(s);
		else
			log_warn("weft broker told a line that is too long");
		buf_fini(&s->line);
		s->line = (struct buf){0};
		s->skips = false;
	}
}

static void on_room(uv_handle_t *handle, size_t hint, uv_buf_t *out)
{
	struct host *s = handle->data;

	(void)hint;
	*out = uv_buf_init(s->piece, sizeof(s->piece));
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *from)
{
	struct host *s = stream->data;

	if (n > 0)
		take(s, (struct str){from->base, (size_t)n});
	if (n >= 0)
		return;
	log_info("weft broker ended");
	s->hub->stopping = true;
	uv_stop(&s->hub->loop);
}

int host_new(struct host **out, struct hub *h)
{
	struct host *s = calloc(1, sizeof(*s));
	int r = s ? uv_pipe_init(&h->loop, &s->pipe, 0) : -ENOMEM;

	if (r) {
		free(s);
		return r;
	}
	s->hub = h;
	s->pipe.data = s;
	*out = s;
	r = uv_pipe_open(&s->pipe, CHANNEL_FD);
	return r ? r : uv_read_start((uv_stream_t *)&s->pipe, on_room, on_read);
}

void host_stop(struct host *s)
{
	if (s && !uv_is_closing((uv_handle_t *)&s->pipe))
		uv_close((uv_handle_t *)&s->pipe, NULL);
}

void host_free(struct host **sp)
{
	struct host *s = *sp;

	if (!s)
		return;
	buf_fini(&s->line);
	free(TAKE(*sp));
}
