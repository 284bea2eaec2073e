/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Manifests: whenever the hub writes to its log, asks it for its remarks on the files and shows those that
 * are new, and says when the last error is gone. Must never judge a manifest itself. Called by run.c and
 * control.c.
 */
#include "sandbox/manifests.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"

enum { SETTLE_MS = 50, AGAIN_MS = 500, KEPT_MAX = 200 };

struct manifests {
	struct sandbox *sandbox;
	uv_fs_event_t log; /* both are closed with the loop, and lie in this struct until then */
	uv_timer_t later;
	VEC(char *) kept; /* what the last answer held */
	size_t errors;
	bool answered;
};

static void forget(char **texts, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(texts[i]);
}

/* "/srv/shop/page.yaml:4:7: error: what\n     hint: what to do" */
static char *text_of(const json_t *remark)
{
	struct buf b = {0};
	const char *file = json_text(json_at(remark, "file", NULL));
	const char *hint = json_text(json_at(remark, "hint", NULL));
	long long line = json_integer_value(json_at(remark, "line", NULL));

	if (*file)
		buf_addz(&b, file);
	if (*file && line)
		buf_printf(&b, ":%lld:%lld", line, json_integer_value(json_at(remark, "column", NULL)));
	buf_printf(&b, "%s%s: %s", *file ? ": " : "", json_text(json_at(remark, "level", NULL)),
		   json_text(json_at(remark, "text", NULL)));
	if (*hint)
		buf_printf(&b, "\n     hint: %s", hint);
	if (b.failed) {
		free(b.p);
		return NULL;
	}
	return b.p;
}

static bool was_there(const struct manifests *m, const char *text)
{
	VEC_EACH (&m->kept, k)
		if (!strcmp(*k, text))
			return true;
	return false;
}

static void show(const struct sandbox *s, const char *text)
{
	if (s->opt->remark)
		s->opt->remark(s->opt->ctx, text);
	else
		log_warn("%s", text);
}

static void ask(uv_timer_t *t);

static void answered(void *ctx, int status, const json_t *reply)
{
	struct manifests *m = ctx;
	const json_t *remarks = json_at(reply, "remarks", NULL), *remark;
	VEC(char *) now = {0};
	size_t i, errors = 0;

	if (status != 200) {
		uv_timer_start(&m->later, ask, AGAIN_MS, 0);
		return;
	}
	json_array_foreach (remarks, i, remark) {
		bool error = !strcmp(json_text(json_at(remark, "level", NULL)), "error");
		char *text = now.len < KEPT_MAX ? text_of(remark) : NULL;

		errors += error;
		/* Before the start the command line has shown the warnings. */
		if (text && (error || m->answered) && !was_there(m, text))
			show(m->sandbox, text);
		if (text && vec_push(&now, text))
			free(text);
	}
	if (m->errors && !errors)
		show(m->sandbox, "manifests: no errors any more, all of it is in force");
	forget(m->kept.items, m->kept.len);
	vec_free(&m->kept);
	m->kept.items = now.items;
	m->kept.len = now.len;
	m->kept.cap = now.cap;
	m->errors = errors;
	m->answered = true;
}

static void ask(uv_timer_t *t)
{
	struct manifests *m = t->data;

	api_forget(&m->sandbox->api, m);
	api_request(&m->sandbox->api, "GET", "/apis/weft.network/internal/remarks", NULL, NULL, answered, m);
}

static void log_grew(uv_fs_event_t *e, const char *name, int events, int status)
{
	struct manifests *m = e->data;

	(void)name;
	(void)events;
	if (!status && !m->sandbox->stopping)
		uv_timer_start(&m->later, ask, SETTLE_MS, 0);
}

int manifests_start(struct sandbox *s)
{
	struct manifests *m = calloc(1, sizeof(*m));
	char path[PATH_LEN];
	int r;

	if (!m)
		return -ENOMEM;
	m->sandbox = s;
	s->manifests = m;
	uv_fs_event_init(&s->loop, &m->log);
	uv_timer_init(&s->loop, &m->later);
	m->log.data = m->later.data = m;
	snprintf(path, sizeof(path), "%s/log/hub.log", s->dir);
	r = uv_fs_event_start(&m->log, log_grew, path, 0);
	uv_timer_start(&m->later, ask, SETTLE_MS, 0);
	return r;
}

void manifests_stop(struct sandbox *s)
{
	struct manifests *m = s->manifests;

	if (!m)
		return;
	forget(m->kept.items, m->kept.len);
	vec_free(&m->kept);
	uv_timer_stop(&m->later);
	uv_fs_event_stop(&m->log);
}

void manifests_print(const struct sandbox *s, struct buf *b, bool comma)
{
	if (!s->manifests)
		return;
	VEC_EACH (&s->manifests->kept, text) {
		if (comma)
			buf_addc(b, ',');
		buf_json(b, str_of(*text));
		comma = true;
	}
}
