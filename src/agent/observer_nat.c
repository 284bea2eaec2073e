/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /nat: who is behind an address and port of this node. What leaves under the node's own address, because it
 * leaves the cluster or came for a Service, is led back to who sent it, and to the pod where it is one of
 * this node. Called by observer_answer.c.
 */
#include "agent/observer.h"
#include "observe/kernel.h"

enum { SHOWN_MAX = 1000 };

struct nat_list {
	const struct observer *ob;
	struct buf *out;
	struct addr as; /* zero: any */
	uint16_t port;	/* 0: any */
	size_t n;
};

static bool has_address(const struct object *pod, const struct addr *a)
{
	const struct pod_status *st = pod->pod->status;
	struct addr own;

	if (pod->pod->spec && pod->pod->spec->host_network.v)
		return false;
	for (size_t i = 0; st && i < st->pod_ips.len; i++)
		if (!addr_parse(st->pod_ips.items[i].ip, &own) && addr_eq(&own, a))
			return true;
	return false;
}

static void add_pod(const struct nat_list *l, const struct addr *from)
{
	struct object_refs pods = {0};

	if (!store_list(l->ob->store, KIND_pod, (struct str){0}, &pods))
		VEC_EACH (&pods.list, o)
			if (has_address(*o, from)) {
				buf_addz(l->out, ",\"pod\":");
				buf_json(l->out, object_key(*o));
				break;
			}
	vec_free(&pods.list);
}

static void add_end(struct buf *b, const char *name, const struct addr *a, uint16_t port)
{
	char text[ADDR_TEXT];

	addr_print(a, text);
	buf_printf(b, ",\"%s\":\"%s\",\"%sPort\":%u", name, text, name, port);
}

static int add_one(void *ctx, const struct translation *t)
{
	struct nat_list *l = ctx;

	if ((l->port && l->port != t->as_port) || (!addr_is_zero(&l->as) && !addr_eq(&l->as, &t->as)))
		return 0;
	if (l->n++ >= SHOWN_MAX)
		return 0;
	buf_printf(l->out, "%s{\"protocol\":%u", l->n > 1 ? "," : "", t->proto);
	add_end(l->out, "from", &t->from, t->from_port);
	add_end(l->out, "as", &t->as, t->as_port);
	add_end(l->out, "to", &t->to, t->to_port);
	add_pod(l, &t->from);
	buf_addc(l->out, '}');
	return 0;
}

int observer_nat(struct observer *ob, struct str query, struct buf *out)
{
	struct nat_list l = {.ob = ob, .out = out};

	while (query.n) {
		struct str value = str_cut(&query, '&'), key = str_cut(&value, '=');
		int64_t port = 0;

		if (str_eqz(key, "port") && !str_to_i64(value, 0, 65535, &port))
			l.port = (uint16_t)port;
		else if (!str_eqz(key, "address") || addr_parse(value, &l.as))
			return 400;
	}
	buf_addz(out, "{\"node\":");
	buf_json(out, str_of(ob->o.node));
	buf_addz(out, ",\"translations\":[");
	if (observed_translations(ob->observed, add_one, &l)) {
		buf_clear(out);
		return 503;
	}
	buf_printf(out, "],\"matching\":%zu}\n", l.n);
	return 200;
}
