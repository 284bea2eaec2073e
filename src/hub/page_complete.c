/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GET /page/complete?what=filter&text=TEXT: what may stand at the end of a filter that is being typed:
 * fields, the words of their values, and names of objects that the user may see. ?what=PLURAL: names of that
 * kind.
 */
#include <stdlib.h>

#include "base/own.h"
#include "filter/filter.h"
#include "hub/page_routes.h"
#include "object/filterplace.h"

enum { ITEMS_MAX = 60, TEXT_MAX = 4096 };

struct proposing {
	const struct store *store;
	const struct who *who;
	struct buf *out;
	struct str before, word, after; /* of what is typed */
	size_t n;
};

static void propose(void *ctx, const char *word, const char *note)
{
	struct proposing *p = ctx;
	AUTO_BUF whole = {0};

	if (p->n == ITEMS_MAX)
		return;
	buf_adds(&whole, p->before);
	buf_addz(&whole, word);
	buf_adds(&whole, p->after);
	buf_printf(p->out, "%s{\"text\":", p->n++ ? "," : "");
	buf_json(p->out, buf_str(&whole));
	buf_addz(p->out, ",\"word\":");
	buf_json(p->out, str_of(word));
	buf_addz(p->out, ",\"note\":");
	buf_json(p->out, str_of(note));
	buf_addc(p->out, '}');
}

/* By its path, or by its name alone. */
static void propose_object(struct proposing *p, const struct object *o)
{
	AUTO_BUF path = {0};

	if (!access_sees(p->who, o))
		return;
	if (o->meta.ns.n)
		buf_printf(&path, STR_FMT "/", STR_ARG(o->meta.ns));
	buf_adds(&path, o->meta.name);
	if (!path.failed && (str_starts(buf_str(&path), p->word) || str_starts(o->meta.name, p->word)))
		propose(p, path.p, o->desc->name);
}

static void propose_kind(struct proposing *p, enum kind kind)
{
	struct object_refs all = {0};

	if (store_list(p->store, kind, STR(""), &all))
		return;
	VEC_EACH (&all.list, o)
		propose_object(p, *o);
	vec_free(&all.list);
}

/* Each value that a label has, once. */
static void propose_labels(struct proposing *p, struct str key)
{
	struct object_refs pods = {0};
	struct hash seen = {0};

	if (store_list(p->store, KIND_pod, STR(""), &pods))
		return;
	for (size_t i = 0; i < pods.list.len; i++) {
		const struct object *o = pods.list.items[i];

		for (size_t k = 0; access_sees(p->who, o) && k < o->meta.labels.len; k++) {
			const struct strpair *l = &o->meta.labels.items[k];
			AUTO_BUF text = {0};

			if (!str_eq(l->key, key) || !str_starts(l->value, p->word) ||
			    hash_get(&seen, l->value) || hash_set(&seen, l->value, p, NULL))
				continue;
			buf_adds(&text, l->value);
			if (text.n)
				propose(p, text.p, "value of the label");
		}
	}
	hash_fini(&seen);
	vec_free(&pods.list);
}

static void propose_filter(struct proposing *p, struct str text)
{
	size_t from = filter_complete_from(text);
	struct str key;
	const char *field = filter_complete_value(text, &key);
	const struct filter_place *place = field ? filter_place_of(field) : NULL;

	p->before = (struct str){text.p, from};
	p->word = (struct str){text.p + from, text.n - from};
	filter_complete(text, true, propose, p);
	for (size_t i = 0; place && i < place->n; i++)
		propose_kind(p, place->kinds[i]);
	if (field && !strcmp(field, "pod.label"))
		propose_labels(p, key);
}

void page_complete(struct hub *h, const struct who *who, const struct http_request *rq, struct http_reply *rp,
		   struct api_error *e)
{
	const char *what = http_query(rq, "what"), *typed = http_query(rq, "text"),
		   *at = http_query(rq, "at");
	struct str text = str_of(typed ? typed : "");
	const struct kind_desc *kind = what ? kind_by_name(str_of(what)) : NULL;
	struct proposing p = {.store = h->store, .who = who, .out = &rp->body};
	int64_t cursor = (int64_t)text.n;

	if (text.n > TEXT_MAX || (at && str_to_i64(str_of(at), 0, (int64_t)text.n, &cursor))) {
		api_fail(e, 400, "BadRequest", "text has at most %d bytes, and `at` is one of its places",
			 TEXT_MAX);
		return;
	}
	if (!kind && what && strcmp(what, "filter") != 0) {
		api_fail(e, 400, "BadRequest", "what: \"filter\" or a kind, not \"%s\"", what);
		return;
	}
	p.after = (struct str){text.p + cursor, text.n - (size_t)cursor};
	text.n = (size_t)cursor;
	buf_addz(&rp->body, "{\"items\":[");
	if (kind) {
		p.word = text;
		propose_kind(&p, kind->kind);
	} else {
		propose_filter(&p, text);
	}
	buf_addz(&rp->body, "]}");
}
