/* SPDX-License-Identifier: Apache-2.0 */
/* Port functions and their numbers, see portfn.h. Knows no set, no class, no object. Called by engine.c and
 * by whoever compares. */
#include "reason/portfn.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>

const uint8_t port_protos[PORT_PROTOS] = {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP, 0};

static uint16_t last_port(uint8_t proto)
{
	return proto ? 65535 : 0;
}

int port_fns_init(struct port_fns *t)
{
	struct fn_range all[PORT_PROTOS];
	uint32_t id;

	for (int i = 0; i < PORT_PROTOS; i++)
		all[i] = (struct fn_range){
		    .proto = port_protos[i], .high = last_port(port_protos[i]), .word = PORT_ALLOW};
	return port_fn_get(t, all, PORT_PROTOS, &id);
}

void port_fns_fini(struct port_fns *t)
{
	VEC_EACH (&t->list, f)
		free(f->ranges);
	vec_free(&t->list);
	vec_free(&t->unnamed);
	hash_fini(&t->by_text);
}

static bool says_same(const struct fn_range *a, const struct fn_range *b)
{
	return a->proto == b->proto && a->word == b->word && a->rule == b->rule && a->names == b->names;
}

int port_fn_get(struct port_fns *t, const struct fn_range *ranges, size_t n, uint32_t *id)
{
	struct fn_range *own = calloc(n, sizeof(*own));
	size_t len = 0;

	if (!own)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		if (len && says_same(&own[len - 1], &ranges[i]))
			own[len - 1].high = ranges[i].high;
		else
			own[len++] = ranges[i];
	}
	struct str key = {(const char *)own, len * sizeof(*own)};
	void *known = hash_get(&t->by_text, key);
	if (known) {
		*id = (uint32_t)(uintptr_t)known - 1;
		free(own);
		return 0;
	}
	*id = (uint32_t)t->list.len;
	if (vec_push(&t->list, (struct port_fn){own, len})) {
		free(own);
		return -ENOMEM;
	}
	if (hash_set(&t->by_text, key, (void *)(uintptr_t)(*id + 1), NULL)) {
		t->list.len--;
		free(own);
		return -ENOMEM;
	}
	return 0;
}

int port_fn_unnamed(struct port_fns *t, uint32_t fn, uint32_t *id)
{
	while (t->unnamed.len <= fn)
		if (vec_push(&t->unnamed, 0))
			return -ENOMEM;
	if (!t->unnamed.items[fn]) {
		const struct port_fn *f = port_fn(t, fn);
		struct fn_range *plain = calloc(f->n, sizeof(*plain));
		int r = plain ? 0 : -ENOMEM;
		for (size_t i = 0; plain && i < f->n; i++) {
			plain[i] = f->ranges[i];
			plain[i].names = 0;
			if (plain[i].word == PORT_NAMES)
				plain[i].word = PORT_DENY;
		}
		if (!r)
			r = port_fn_get(t, plain, f->n, id);
		free(plain);
		if (r)
			return r;
		t->unnamed.items[fn] = *id + 1;
	}
	*id = t->unnamed.items[fn] - 1;
	return 0;
}

const struct fn_range *port_fn_at(const struct port_fn *f, uint8_t proto, uint16_t port)
{
	bool ports = proto == IPPROTO_TCP || proto == IPPROTO_UDP || proto == IPPROTO_SCTP;

	for (size_t i = 0; i < f->n; i++)
		if (f->ranges[i].proto == (ports ? proto : 0) &&
		    (!ports || (port >= f->ranges[i].low && port <= f->ranges[i].high)))
			return &f->ranges[i];
	return NULL;
}

bool port_walk_next(struct port_walk *w, const struct port_fn *const *fns, size_t n,
		    const struct fn_range **out, uint8_t *proto, uint16_t *low, uint16_t *high)
{
	if (n > sizeof(w->at) / sizeof(w->at[0]) || (n && w->at[0] >= fns[0]->n))
		return false;
	*proto = fns[0]->ranges[w->at[0]].proto;
	if (!w->begun || *proto != w->proto) {
		w->begun = true;
		w->proto = *proto;
		w->next = 0;
	}
	*low = (uint16_t)w->next;
	*high = last_port(*proto);
	for (size_t i = 0; i < n; i++) {
		out[i] = &fns[i]->ranges[w->at[i]];
		if (out[i]->high < *high)
			*high = out[i]->high;
	}
	for (size_t i = 0; i < n; i++)
		w->at[i] += out[i]->high == *high;
	w->next = (uint32_t)*high + 1;
	return true;
}

const char *port_proto_name(uint8_t proto)
{
	return proto == IPPROTO_TCP    ? "tcp"
	       : proto == IPPROTO_UDP  ? "udp"
	       : proto == IPPROTO_SCTP ? "sctp"
				       : "icmp and others";
}

static void print_spans(struct buf *b, const struct port_span *spans, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct port_span *s = &spans[i];
		bool next = i && spans[i - 1].proto == s->proto;
		buf_addz(b, i ? ", " : "");
		if (!next)
			buf_addz(b, port_proto_name(s->proto));
		if (s->low == 0 && s->high == last_port(s->proto))
			continue;
		buf_printf(b, "%s%u", next ? "" : " ", s->low);
		if (s->high != s->low)
			buf_printf(b, "-%u", s->high);
	}
}

/* What the spans leave out, at most `room`; more than that: room + 1. */
static size_t left_out(const struct port_span *spans, size_t n, struct port_span *out, size_t room)
{
	size_t missing = 0;

	for (int i = 0; i < PORT_PROTOS; i++) {
		uint32_t next = 0, end = (uint32_t)last_port(port_protos[i]) + 1;
		for (size_t k = 0; k <= n && missing <= room; k++) {
			uint32_t from = k < n ? spans[k].low : end;
			if (k < n && spans[k].proto != port_protos[i])
				continue;
			if (from > next && missing++ < room)
				out[missing - 1] =
				    (struct port_span){port_protos[i], (uint16_t)next, (uint16_t)(from - 1)};
			next = k < n ? (uint32_t)spans[k].high + 1 : end;
		}
	}
	return missing;
}

void port_spans_print(struct buf *b, const struct port_span *spans, size_t n)
{
	struct port_span out[3];
	size_t missing = left_out(spans, n, out, 3);

	if (missing <= 3 && n > missing) {
		buf_addz(b, missing ? "everything but " : "everything");
		print_spans(b, out, missing);
	} else {
		print_spans(b, spans, n);
	}
}
