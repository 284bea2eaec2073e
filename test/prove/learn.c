/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DNS answers (RFC 1035) as packets. A node learns from what is delivered to a pod of its own, so a pod there
 * asks first; where policies let none ask, the node is told nothing.
 */
#include "learn.h"

#include <netinet/in.h>

#include "packet.h"
#include "witness.h"

enum { MESSAGE_MAX = 256, DNS_PORT = 53 };

static void add16(struct buf *b, unsigned v)
{
	buf_addc(b, (char)(v >> 8));
	buf_addc(b, (char)v);
}

static void add_name(struct buf *b, const char *name)
{
	struct str rest = str_of(name);
	while (rest.n) {
		struct str label = str_cut(&rest, '.');
		buf_addc(b, (char)label.n);
		buf_adds(b, label);
	}
	buf_addc(b, 0);
}

/* A record: the name by a pointer to the question's, class IN, five minutes. */
static void add_record(struct buf *b, unsigned name, unsigned type, const void *data, size_t n)
{
	add16(b, name);
	add16(b, type);
	add16(b, 1);
	add16(b, 0);
	add16(b, 300);
	add16(b, (unsigned)n);
	buf_add(b, data, n);
}

/* The answer; every other one by way of another name (CN17). */
static void message(struct buf *b, const struct dns_answer *a)
{
	bool v4 = addr_is4(&a->addr), chain = a->addr.b[15] & 1;
	unsigned type = v4 ? 1 : 28;
	AUTO_BUF other = {0};
	add16(b, 0x1234);
	add16(b, 0x8180);
	add16(b, 1);
	add16(b, chain ? 2 : 1);
	add16(b, 0);
	add16(b, 0);
	add_name(b, a->name);
	add16(b, type);
	add16(b, 1);
	unsigned name = 0xc00c;
	if (chain) {
		add_name(&other, "edge.invalid");
		name = 0xc000u | (unsigned)(b->n + 12);
		add_record(b, 0xc00c, 5, other.p, other.n);
	}
	add_record(b, name, type, v4 ? a->addr.b + 12 : a->addr.b, v4 ? 4 : 16);
}

static bool tell(struct lab *l, const struct addr *client, const struct addr *server,
		 const struct dns_answer *a)
{
	uint8_t frame[FRAME_MAX];
	AUTO_BUF b = {0};
	if (++l->sport < 1024)
		l->sport = 1024;
	struct packet_spec ask = {
	    .src = *client, .dst = *server, .proto = IPPROTO_UDP, .sport = l->sport, .dport = DNS_PORT};
	size_t n = packet_frame(&ask, frame);
	if (!frame_passes(l, client, server, frame, n))
		return false;
	message(&b, a);
	struct packet_spec answer = {.src = *server,
				     .dst = *client,
				     .proto = IPPROTO_UDP,
				     .sport = DNS_PORT,
				     .dport = l->sport,
				     .payload = (const uint8_t *)b.p,
				     .payload_len = b.n};
	return frame_passes(l, server, client, frame, packet_frame(&answer, frame));
}

static bool is_dns(const struct object *pod)
{
	const struct str *app = strmap_get(&pod->meta.labels, STR("k8s-app"));
	return str_eqz(pod->meta.ns, "kube-system") && app && str_eqz(*app, "kube-dns");
}

/* Addresses of live pods: the DNS's, or those of a node. */
struct ends {
	struct addr items[2 * PODS];
	size_t n;
};

static void find_ends(const struct lab *l, int node, struct ends *out)
{
	out->n = 0;
	VEC_EACH (&l->model.pods.list, o) {
		const struct pod_status *st = (*o)->pod->status;
		if (node < 0 ? !is_dns(*o) : lab_node((*o)->pod->spec->node_name) != node)
			continue;
		for (size_t i = 0; st && i < st->pod_ips.len; i++) {
			struct addr *a = &out->items[out->n];
			if (out->n < 2 * PODS && !addr_parse(st->pod_ips.items[i].ip, a) &&
			    model_pod_at(&l->model, a) == *o)
				out->n++;
		}
	}
}

/* A pair that policies let talk, found by the first answer; false: there is none. */
static bool find_pair(struct lab *l, const struct ends *clients, const struct ends *servers,
		      const struct dns_answer *a, struct addr *client, struct addr *server)
{
	for (size_t c = 0; c < clients->n; c++) {
		for (size_t s = 0; s < servers->n; s++) {
			*client = clients->items[c];
			*server = servers->items[s];
			if (addr_is4(client) == addr_is4(server) && !addr_eq(client, server) &&
			    tell(l, client, server, a))
				return true;
		}
	}
	return false;
}

static void learn_node(struct lab *l, int node, const struct batch *b, const struct ends *servers)
{
	struct addr client, server;
	struct ends clients;
	find_ends(l, node, &clients);
	for (size_t i = 0; i < b->answers.len; i++) {
		const struct dns_answer *a = &b->answers.items[i];
		if (l->kernels && !i && !find_pair(l, &clients, servers, a, &client, &server))
			return;
		if (l->kernels && i && !tell(l, &client, &server, a))
			continue;
		if (vec_push(&l->names[node], (struct model_name){str_of(a->name), a->addr}))
			must_have(NULL);
		l->told++;
	}
}

void learn(struct lab *l, const struct batch *b)
{
	struct ends servers;
	find_ends(l, -1, &servers);
	for (int n = 0; n < NODES; n++) {
		l->names[n].len = 0;
		if (l->kernels)
			kernel_unlearn(l->kernels[n]);
	}
	for (int n = 0; n < NODES; n++)
		learn_node(l, n, b, &servers);
	for (int n = 0; l->kernels && n < NODES; n++)
		kernel_forget(l->kernels[n], true);
}
