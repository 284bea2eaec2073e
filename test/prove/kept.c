/* SPDX-License-Identifier: Apache-2.0 */
/* Opens connections, plays the applier's part in a change, and sends one packet more on each. */
#include "kept.h"

#include <netinet/in.h>
#include <stdio.h>

#include "judge.h"
#include "packet.h"
#include "seam/class.h"
#include "seam/conn.h"
#include "seam/endpoint.h"
#include "witness.h"

enum { KEPT = 12 };

static size_t frame_of(const struct kept *k, bool later, uint8_t *frame)
{
	const struct packet_spec p = {.src = k->src,
				      .dst = k->dst,
				      .proto = k->proto,
				      .sport = k->sport,
				      .dport = k->dport,
				      .later = later};
	return packet_frame(&p, frame);
}

static void uid_at(const struct lab *l, const struct addr *a, char uid[24])
{
	const struct object *pod = model_pod_at(&l->model, a);
	struct str text = pod ? pod->meta.uid : STR("");
	snprintf(uid, 24, STR_FMT, STR_ARG(text));
}

/* TCP is open once its answer was confirmed. */
static bool opens(struct lab *l, const struct kept *k)
{
	uint8_t frame[FRAME_MAX];

	return exchange_passes(l, &k->src, &k->dst, frame, frame_of(k, false, frame)) &&
	       (k->proto != IPPROTO_TCP ||
		exchange_passes(l, &k->src, &k->dst, frame, frame_of(k, true, frame)));
}

void kept_open(struct lab *l, const struct batch *b)
{
	l->open.len = 0;
	VEC_EACH (&b->kept, k) {
		struct open o = {.k = *k};
		if (!l->kernels || !opens(l, k))
			continue;
		uid_at(l, &k->src, o.uids[0]);
		uid_at(l, &k->dst, o.uids[1]);
		if (vec_push(&l->open, o))
			must_have(NULL);
	}
}

/* Names are learned anew after each change, so what they allow is not looked at here. */
static bool is_named(const struct lab *l, const struct addr *a)
{
	for (int n = 0; n < NODES; n++)
		VEC_EACH (&l->names[n], name)
			if (addr_eq(&name->addr, a))
				return true;
	return false;
}

void kept_pick(struct lab *l, struct generator *g, struct batch *b)
{
	struct shot s;
	for (int i = 0; i < 4 * KEPT && b->kept.len < KEPT && shot_pick(l, g, &s); i++) {
		struct kept k = {s.q.src, s.q.dst, s.q.proto, (uint16_t)(20000 + i), s.q.port};
		bool multicast = addr_is4(&k.dst) ? k.dst.b[12] >= 224 : k.dst.b[0] == 0xff;
		bool portless =
		    !packet_has_ports(k.proto) && k.proto != IPPROTO_ICMP && k.proto != IPPROTO_ICMPV6;
		if (!s.q.service && !multicast && !portless && !addr_eq(&k.src, &k.dst) &&
		    !is_named(l, &k.dst) && model_ask(&l->model, &s.q).verdict == MODEL_ALLOW)
			batch_keep(b, &k);
	}
}

void kept_owner(struct lab *l, int node, const struct change *c)
{
	struct address_value was, now;
	struct owner o = {.node = node};
	if (c->row.type != ROW_MAP || c->row.table != PLAN_MAP_address)
		return;
	bool had = kernel_get(l->kernels[node], PLAN_MAP_address, c->row.key, &was);
	memcpy(&o.addr, c->row.key, sizeof(o.addr));
	o.owner = had ? was.owner : 0;
	if (c->op == CHANGE_DEL) {
		if (had && vec_push(&l->owners, o))
			must_have(NULL);
		return;
	}
	memcpy(&now, c->row.value, sizeof(now));
	bool other = had && was.owner != now.owner;
	VEC_EACH (&l->owners, gone)
		other |= gone->node == node && addr_eq(&gone->addr, &o.addr) && gone->owner != now.owner;
	if (other && (kernel_gone(l->kernels[node], c->row.key) || kernel_gc(l->kernels[node], GC_GONE)))
		must_have(NULL);
}

int kept_mark(struct lab *l, int node, const struct plan *p)
{
	VEC_EACH (&p->rows, r) {
		struct endpoint_value v;
		if (r->type != ROW_MAP || r->table != PLAN_MAP_endpoint)
			continue;
		memcpy(&v, r->value, sizeof(v));
		if (v.flags & ENDPOINT_STRICT)
			return kernel_gc(l->kernels[node], GC_RECHECK);
	}
	return 0;
}

/* Is it cut at this end? */
static bool cut_at(const struct lab *l, const struct model_question *q, bool egress)
{
	const struct object *pod = model_pod_at(&l->model, egress ? &q->src : &q->dst);
	return pod && model_strict(&l->model, pod) && !model_half(&l->model, q, egress).allow;
}

static bool must_pass(struct lab *l, const struct open *o, const struct model_question *q,
		      const char **because)
{
	char src[24], dst[24];
	uid_at(l, &o->k.src, src);
	uid_at(l, &o->k.dst, dst);
	bool allowed = model_ask(&l->model, q).verdict == MODEL_ALLOW;
	if (strcmp(src, o->uids[0]) || strcmp(dst, o->uids[1])) {
		*because = "an end has another owner: it is a new one";
		l->inherited++;
		return allowed;
	}
	if (cut_at(l, q, true) || cut_at(l, q, false)) {
		*because = "a strict pod no longer allows it";
		l->cut++;
		return false;
	}
	*because = "it was open before";
	l->went_on += !allowed;
	return true;
}

bool kept_agreed(struct lab *l, struct buf *why)
{
	uint8_t frame[FRAME_MAX];
	lab_names(l, -1);
	VEC_EACH (&l->open, o) {
		const struct model_question q = {
		    .src = o->k.src, .dst = o->k.dst, .proto = o->k.proto, .port = o->k.dport};
		const char *because;
		if (o->uids[0][0] && !model_pod_at(&l->model, &q.src))
			continue; /* nobody is left to send */
		if (!o->uids[0][0] && !model_pod_at(&l->model, &q.dst))
			continue; /* nor is anybody to take it */
		bool must = must_pass(l, o, &q, &because);
		if (frame_passes(l, &q.src, &q.dst, frame, frame_of(&o->k, true, frame)) == must)
			continue;
		char src[ADDR_TEXT], dst[ADDR_TEXT];
		addr_print(&q.src, src);
		addr_print(&q.dst, dst);
		buf_printf(why,
			   "an open connection must%s pass (%s), the kernel says otherwise: %s → %s port %u, "
			   "protocol "
			   "%u\n",
			   must ? "" : " not", because, src, dst, q.port, q.proto);
		return false;
	}
	l->open.len = 0;
	return true;
}
