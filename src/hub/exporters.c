/* SPDX-License-Identifier: Apache-2.0 */
/* Exporters as metrics: see exporters.h. */
#include "hub/exporters.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/own.h"
#include "base/vec.h"

enum { SILENT_MS = 15000, FORGET_MS = 3600000, EXPORTERS_MAX = 64, NAME_MAX_BYTES = 1000 };

struct told {
	json_t *v;
	char *labels; /* exporter="…",filter="…" */
	uint64_t at;  /* monotonic ms */
};

struct exporters {
	VEC(struct told) told;
};

int exporters_new(struct exporters **out)
{
	*out = calloc(1, sizeof(**out));
	return *out ? 0 : -ENOMEM;
}

static void told_free(struct told *t)
{
	json_decref(t->v);
	free(t->labels);
}

void exporters_free(struct exporters **px)
{
	struct exporters *x = *px;

	if (!x)
		return;
	VEC_EACH (&x->told, t)
		told_free(t);
	vec_free(&x->told);
	free(TAKE(*px));
}

static void add_escaped(struct buf *b, const char *p)
{
	for (; *p; p++) {
		if (*p == '"' || *p == '\\')
			buf_addc(b, '\\');
		if (*p == '\n')
			buf_addz(b, "\\n");
		else
			buf_addc(b, *p);
	}
}

/* Room for one more: the longest silent makes it. */
static struct told *place(struct exporters *x, const char *labels)
{
	struct told *oldest = NULL;

	VEC_EACH (&x->told, t)
		if (!strcmp(t->labels, labels))
			return t;
	VEC_EACH (&x->told, t)
		if (!oldest || t->at < oldest->at)
			oldest = t;
	if (x->told.len < EXPORTERS_MAX)
		return vec_push(&x->told, (struct told){}) ? NULL : &x->told.items[x->told.len - 1];
	told_free(oldest);
	*oldest = (struct told){};
	return oldest;
}

static int check(const json_t *v, const char **to, const char **filter, struct api_error *e)
{
	json_int_t n;
	json_error_t why;
	const char *cause;
	json_t *lost, *one;
	int standing;

	*filter = "";
	if (json_unpack_ex((json_t *)(uintptr_t)v, &why, 0, "{s:s,s?s,s:I,s:I,s:I,s:I,s:b,s:o !}", "to", to,
			   "filter", filter, "records", &n, "messages", &n, "bytes", &n, "waiting", &n,
			   "standing", &standing, "lost", &lost))
		return api_fail(e, 400, "BadRequest", "this is no word of an exporter: %s", why.text);
	json_object_foreach (lost, cause, one)
		if (!json_is_integer(one) || strspn(cause, "abcdefghijklmnopqrstuvwxyz") != strlen(cause))
			return api_fail(e, 400, "BadRequest", "lost has a number by cause");
	if (!json_is_object(lost) || strlen(*to) + strlen(*filter) > NAME_MAX_BYTES)
		return api_fail(e, 400, "BadRequest", "the exporter's name is too long");
	return 0;
}

int exporters_take(struct exporters *x, struct str body, struct buf *answer, struct api_error *e)
{
	json_t *v = json_loadb(body.p ? body.p : "", body.n, 0, NULL);
	const char *to, *filter;
	AUTO_BUF labels = {};
	struct told *t;
	int r = check(v, &to, &filter, e);

	if (r) {
		json_decref(v);
		return r;
	}
	buf_addz(&labels, "exporter=\"");
	add_escaped(&labels, to);
	buf_addz(&labels, "\",filter=\"");
	add_escaped(&labels, filter);
	buf_addc(&labels, '"');
	t = labels.failed ? NULL : place(x, labels.p);
	if (!t) {
		json_decref(v);
		return api_fail(e, 500, "InternalError", "out of memory");
	}
	if (!t->labels)
		t->labels = TAKE(labels.p);
	json_decref(t->v);
	t->v = v;
	t->at = clock_ms();
	buf_addz(answer, "{\"ok\":true}\n");
	return 0;
}

static bool is_heard(const struct told *t)
{
	return clock_ms() - t->at < SILENT_MS;
}

static const struct {
	const char *key, *name, *type, *help;
} families[] = {
    {"records", "weft_exporter_records_total", "counter", "Records that an exporter handed on."},
    {"messages", "weft_exporter_messages_total", "counter", "Messages that it sent."},
    {"bytes", "weft_exporter_bytes_total", "counter", "Bytes that it sent."},
    {"waiting", "weft_exporter_waiting_records", "gauge",
     "Records that the hub keeps and the exporter has not handed on: its queue."},
    {"standing", "weft_exporter_standing", "gauge",
     "1: its collector, file or reader takes nothing now; it tries again."},
};

static void print_lost(const struct exporters *x, struct buf *out)
{
	const char *cause;
	json_t *one;

	buf_addz(out, "# HELP weft_exporter_lost_records_total Records that an exporter could not hand on.\n"
		      "# TYPE weft_exporter_lost_records_total counter\n");
	VEC_EACH (&x->told, t) {
		if (!is_heard(t))
			continue;
		json_object_foreach (json_object_get(t->v, "lost"), cause, one)
			buf_printf(out,
				   "weft_exporter_lost_records_total{%s,cause=\"%s\"} %" JSON_INTEGER_FORMAT
				   "\n",
				   t->labels, cause, json_integer_value(one));
	}
}

void exporters_print(const struct exporters *x, struct buf *out)
{
	if (!x->told.len)
		return;
	buf_addz(out, "# HELP weft_exporter_up 1: the exporter tells its numbers; 0: they are unknown.\n"
		      "# TYPE weft_exporter_up gauge\n");
	VEC_EACH (&x->told, t)
		if (clock_ms() - t->at < FORGET_MS)
			buf_printf(out, "weft_exporter_up{%s} %d\n", t->labels, is_heard(t));
	for (size_t i = 0; i < ARRAY_LEN(families); i++) {
		buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", families[i].name, families[i].help,
			   families[i].name, families[i].type);
		VEC_EACH (&x->told, t) {
			const json_t *v = json_object_get(t->v, families[i].key);

			if (is_heard(t))
				buf_printf(out, "%s{%s} %" JSON_INTEGER_FORMAT "\n", families[i].name,
					   t->labels, json_is_true(v) ? 1 : json_integer_value(v));
		}
	}
	print_lost(x, out);
}
