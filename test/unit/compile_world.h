/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small random cluster for tests of compile/: two nodes, three namespaces, pods with names, labels and
 * named ports, policies over all that rules can say, Services. One seed is one history. Included by
 * test_compile_*.c only.
 */
#ifndef WEFT_TEST_COMPILE_WORLD_H
#define WEFT_TEST_COMPILE_WORLD_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>

#include "compile/compile.h"
#include "compile/names.h"
#include "compile/verdict.h"
#include "object/decode.h"
#include "model.h"
#include "store/store.h"

enum {
	WORLD_PODS = 12,
	WORLD_POLICIES = 7,
	WORLD_SERVICES = 4,
	WORLD_NODES = 2,
	WORLD_NS = 3,
	WORLD_CLUSTER = 5
};

struct world {
	uint64_t seed;
	bool blocky; /* most peers are ipBlocks, of many lengths */
	bool dense;  /* pods of one node and family, rules without ports, many relabels: what two ends can do
			wrong */
	bool tiers;  /* cluster policies, staged ones, names */
	struct store *store;
	struct subscription *sub;
	struct compiler *compilers[WORLD_NODES + 1]; /* that are told of each change; ends with NULL */
};

static inline uint32_t world_random(struct world *w, uint32_t below)
{
	w->seed += 0x9e3779b97f4a7c15ULL;
	uint64_t z = w->seed;
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return (uint32_t)((z ^ (z >> 31)) >> 33) % below;
}

#define PICK(w, array) (array)[world_random((w), (uint32_t)(sizeof(array) / sizeof((array)[0])))]

static inline void world_heard(void *ctx, const struct event *e)
{
	struct world *w = ctx;
	for (int i = 0; w->compilers[i]; i++)
		assert_int_equal(compiler_tell(w->compilers[i], e->type == EVENT_DELETED ? e->object : e->old,
					       e->type == EVENT_DELETED ? NULL : e->object),
				 0);
}

static inline struct compiler *world_compiler(int node)
{
	char name[24];
	snprintf(name, sizeof(name), "node-%d", node + 1);
	struct compile_config cfg = {.node = str_of(name), .mode = 0, .mtu = 1500};
	prefix_parse(STR("10.96.0.0/16"), &cfg.services4);
	struct compiler *c;
	assert_int_equal(compiler_new(&c, &cfg), 0);
	compiler_wire_all(c);
	return c;
}

static inline void world_put(struct world *w, struct buf *json)
{
	struct object *o = NULL;
	struct remarks rs = {0};
	if (decode_json_object(buf_str(json), NULL, NULL, &o, &rs) || rs.errors) {
		remarks_print(stderr, &rs, false);
		fail_msg("%s", json->p);
	}
	assert_int_equal(object_default(o), 0);
	if (!object_validate(o, &rs)) {
		remarks_print(stderr, &rs, false);
		fail_msg("%s", json->p);
	}
	remarks_fini(&rs);
	assert_int_equal(store_put(w->store, o, NULL), 0);
}

static inline void world_put_ns(struct world *w, uint32_t i)
{
	static const char *const teams[] = {"red", "blue"};
	AUTO_BUF b = {0};
	buf_printf(
	    &b,
	    "{\"apiVersion\":\"v1\",\"kind\":\"Namespace\",\"metadata\":{\"name\":\"ns%u\",\"labels\":{"
	    "\"kubernetes.io/metadata.name\":\"ns%u\",\"team\":\"%s\"}}}",
	    i, i, PICK(w, teams));
	world_put(w, &b);
}

static inline void world_put_node(struct world *w, uint32_t i)
{
	static const char *const zones[] = {"a", "b"}, *const ready[] = {"True", "True", "Unknown"};
	AUTO_BUF b = {0};
	buf_printf(
	    &b,
	    "{\"apiVersion\":\"v1\",\"kind\":\"Node\",\"metadata\":{\"name\":\"node-%u\",\"labels\":{"
	    "\"zone\":\"%s\",\"topology.kubernetes.io/zone\":\"%s\"}},\"spec\":{"
	    "\"podCIDRs\":["
	    "\"10.244.%u.0/24\",\"fd57:0:0:%u::/80\"]},\"status\":{\"addresses\":[{\"type\":\"InternalIP\","
	    "\"address\":\"172.31.0.%u\"},{\"type\":\"InternalIP\",\"address\":\"fd57:1::%x\"}],"
	    "\"conditions\":[{\"type\":\"Ready\",\"status\":\"%s\"}]}}",
	    i + 1, w->tiers ? PICK(w, zones) : "a", PICK(w, zones), i, i, 10 + i, 16 + i, PICK(w, ready));
	world_put(w, &b);
}

static inline void world_labels(struct world *w, struct buf *b)
{
	static const char *const apps[] = {"web", "db", "fe"}, *const tiers[] = {"1", "2"};
	buf_printf(b, "{\"app\":\"%s\"", PICK(w, apps));
	if (world_random(w, 3))
		buf_printf(b, ",\"tier\":\"%s\"", PICK(w, tiers));
	buf_addc(b, '}');
}

static inline void world_put_pod(struct world *w, uint32_t i)
{
	static const char *const ports[] = {
	    "",
	    "{\"name\":\"http\",\"containerPort\":80}",
	    "{\"name\":\"http\",\"containerPort\":8080}",
	    ("{\"name\":\"http\",\"containerPort\":8080},{\"name\":\"dns\","
	     "\"containerPort\":53,\"protocol\":\"UDP\"}"),
	    "{\"containerPort\":80,\"hostPort\":85}",
	    ("{\"containerPort\":81,\"hostPort\":85,\"hostIP\":\"172.31.0.10\"},"
	     "{\"containerPort\":82,\"hostPort\":86}")};
	AUTO_BUF b = {0};
	uint32_t node = w->dense ? 0 : i % WORLD_NODES;
	uint32_t host = 4 + i + (w->dense || world_random(w, 8) ? 0 : WORLD_PODS);
	bool v4 = w->dense || world_random(w, 8), v6 = !w->dense && (!v4 || world_random(w, 3));
	const char *open = PICK(w, ports);
	bool host_network = !w->dense && !strstr(open, "hostPort") && !world_random(w, 12);
	buf_printf(
	    &b,
	    "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"p%u\",\"namespace\":\"ns%u\","
	    "\"uid\":\"uid-%u-%u\",\"labels\":",
	    i, i % WORLD_NS, i, world_random(w, 4));
	world_labels(w, &b);
	buf_printf(&b,
		   "},\"spec\":{\"nodeName\":\"node-%u\",\"hostNetwork\":%s,\"containers\":[{\"name\":\"c\","
		   "\"image\":"
		   "\"i\",\"ports\":[%s]}]},\"status\":{\"phase\":\"%s\",\"podIPs\":[",
		   node + 1, host_network ? "true" : "false", open,
		   w->dense || world_random(w, 10) ? "Running" : "Succeeded");
	if (v4)
		buf_printf(&b, "{\"ip\":\"10.244.%u.%u\"}%s", node, host, v6 ? "," : "");
	if (v6)
		buf_printf(&b, "{\"ip\":\"fd57:0:0:%u::%x\"}", node, host);
	buf_addz(&b, "]}}");
	world_put(w, &b);
}

static inline void world_selector(struct world *w, struct buf *b)
{
	static const char *const pods[] = {
	    "{}",
	    "{\"matchLabels\":{\"app\":\"web\"}}",
	    "{\"matchLabels\":{\"app\":\"db\"}}",
	    "{\"matchLabels\":{\"tier\":\"1\"}}",
	    "{\"matchExpressions\":[{\"key\":\"app\",\"operator\":\"In\",\"values\":[\"fe\",\"web\"]}]}",
	    "{\"matchExpressions\":[{\"key\":\"tier\",\"operator\":\"DoesNotExist\"}]}",
	    "{\"matchExpressions\":[{\"key\":\"app\",\"operator\":\"NotIn\",\"values\":[\"db\"]}]}",
	    "{\"matchExpressions\":[{\"key\":\"tier\",\"operator\":\"Exists\"}]}"};
	buf_addz(b, PICK(w, pods));
}

static inline void world_peer(struct world *w, struct buf *b)
{
	static const char *const spaces[] = {"{}", "{\"matchLabels\":{\"team\":\"red\"}}",
					     "{\"matchLabels\":{\"kubernetes.io/metadata.name\":\"ns1\"}}"};
	static const char *const blocks[] = {
	    "{\"cidr\":\"10.244.0.0/16\"}",
	    "{\"cidr\":\"10.244.0.0/24\",\"except\":[\"10.244.0.4/30\"]}",
	    "{\"cidr\":\"10.244.1.0/24\",\"except\":[\"10.244.1.5/32\",\"10.244.1.128/25\"]}",
	    "{\"cidr\":\"203.0.113.0/24\",\"except\":[\"203.0.113.128/25\"]}",
	    "{\"cidr\":\"203.0.113.192/26\"}",
	    "{\"cidr\":\"203.0.113.10/32\"}",
	    "{\"cidr\":\"0.0.0.0/0\",\"except\":[\"10.0.0.0/8\"]}",
	    "{\"cidr\":\"0.0.0.0/0\"}",
	    "{\"cidr\":\"10.244.0.0/17\",\"except\":[\"10.244.0.0/27\",\"10.244.1.0/29\"]}",
	    "{\"cidr\":\"200.0.0.0/5\",\"except\":[\"200.0.0.0/13\",\"201.0.0.0/14\"]}",
	    "{\"cidr\":\"200.1.0.0/18\",\"except\":[\"200.1.0.0/22\",\"200.1.32.0/23\"]}",
	    "{\"cidr\":\"::/0\",\"except\":[\"fd57::/32\"]}",
	    "{\"cidr\":\"::/0\"}",
	    "{\"cidr\":\"fd57::/64\",\"except\":[\"fd57::6/128\"]}",
	    "{\"cidr\":\"172.31.0.0/24\"}",
	    "{\"cidr\":\"172.31.0.11/32\"}",
	    "{\"cidr\":\"128.0.0.0/1\"}",
	    "{\"cidr\":\"8.0.0.0/7\"}",
	    "{\"cidr\":\"2001:db8::/32\",\"except\":[\"2001:db8:1::/48\",\"2001:db8:2::/49\"]}"};
	uint32_t kind = w->blocky && world_random(w, 4) ? 0 : world_random(w, 5);
	if (kind == 0) {
		buf_printf(b, "{\"ipBlock\":%s}", PICK(w, blocks));
		return;
	}
	buf_addc(b, '{');
	if (kind != 1) {
		buf_addz(b, "\"podSelector\":");
		world_selector(w, b);
	}
	if (kind < 3)
		buf_printf(b, "%s\"namespaceSelector\":%s", kind == 1 ? "" : ",", PICK(w, spaces));
	buf_addc(b, '}');
}

static inline void world_rules(struct world *w, struct buf *b, const char *peers)
{
	static const char *const ports[] = {"{\"port\":80}",
					    "{\"protocol\":\"UDP\",\"port\":53}",
					    "{\"protocol\":\"UDP\"}",
					    "{\"port\":\"http\"}",
					    "{\"port\":\"dns\",\"protocol\":\"UDP\"}",
					    "{\"port\":\"dns\"}",
					    "{\"port\":79,\"endPort\":8081}",
					    "{\"port\":443,\"endPort\":443}",
					    "{\"protocol\":\"SCTP\",\"port\":80}",
					    "{\"port\":1,\"endPort\":65535}"};
	uint32_t rules = world_random(w, 4);
	buf_addc(b, '[');
	for (uint32_t r = 0; r < rules; r++) {
		uint32_t n = world_random(w, 3) + w->dense, p = w->dense ? 0 : world_random(w, 3);
		buf_printf(b, "%s{\"%s\":[", r ? "," : "", peers);
		for (uint32_t i = 0; i < n; i++) {
			buf_addz(b, i ? "," : "");
			world_peer(w, b);
		}
		buf_addz(b, "],\"ports\":[");
		for (uint32_t i = 0; i < p; i++)
			buf_printf(b, "%s%s", i ? "," : "", PICK(w, ports));
		buf_addz(b, "]}");
	}
	buf_addc(b, ']');
}

#include "compile_tiers.h"

static inline void world_put_policy(struct world *w, uint32_t i)
{
	static const char *const types[] = {"", "\"policyTypes\":[\"Ingress\"],",
					    "\"policyTypes\":[\"Egress\"],",
					    "\"policyTypes\":[\"Ingress\",\"Egress\"],"};
	AUTO_BUF b = {0};
	buf_printf(&b,
		   "{\"apiVersion\":\"networking.k8s.io/"
		   "v1\",\"kind\":\"NetworkPolicy\",\"metadata\":{\"name\":\"n%u\","
		   "\"namespace\":\"ns%u\"",
		   i, i % WORLD_NS);
	world_marks(w, &b);
	buf_printf(&b, "},\"spec\":{%s\"podSelector\":", PICK(w, types));
	world_selector(w, &b);
	if (world_random(w, 3)) {
		buf_addz(&b, ",\"ingress\":");
		world_rules(w, &b, "from");
	}
	if (world_random(w, 3)) {
		buf_addz(&b, ",\"egress\":");
		world_rules(w, &b, "to");
	}
	buf_addz(&b, "}}");
	world_put(w, &b);
}

#include "compile_services.h"

static inline void world_delete(struct world *w, enum kind k, const char *prefix, uint32_t i, bool cluster)
{
	char name[16], ns[16] = "";
	snprintf(name, sizeof(name), "%s%u", prefix, i);
	if (!cluster)
		snprintf(ns, sizeof(ns), "ns%u", i % WORLD_NS);
	store_delete(w->store, k, str_of(ns), str_of(name));
}

/* One random change of one object. */
static inline void world_change(struct world *w)
{
	bool gone = !world_random(w, w->dense ? 12 : 4);
	uint32_t pod = world_random(w, WORLD_PODS), pol = world_random(w, WORLD_POLICIES),
		 svc = world_random(w, WORLD_SERVICES), slice = world_random(w, 2 * WORLD_SERVICES),
		 ns = world_random(w, WORLD_NS);
	if (w->tiers && world_random(w, 3) == 0) {
		uint32_t i = world_random(w, WORLD_CLUSTER + 1);
		if (i == WORLD_CLUSTER)
			world_put_node(w, world_random(w, WORLD_NODES));
		else if (gone)
			world_delete(w, KIND_clusternetworkpolicy, "c", i, true);
		else
			world_put_cluster(w, i);
		return;
	}
	switch (world_random(w, w->dense ? 6 : 13)) {
	case 0:
		world_put_ns(w, ns);
		break;
	case 1:
	case 2:
	case 3:
		gone ? world_delete(w, KIND_pod, "p", pod, false) : world_put_pod(w, pod);
		break;
	case 4:
	case 5:
	case 6:
	case 7:
		gone ? world_delete(w, KIND_networkpolicy, "n", pol, false) : world_put_policy(w, pol);
		break;
	case 8:
	case 9:
		gone ? world_delete(w, KIND_service, "s", svc, false) : world_put_service(w, svc);
		break;
	case 10:
		world_put_node(w, world_random(w, WORLD_NODES));
		break;
	case 11:
		world_put_pool(w, gone);
		break;
	default:
		gone ? world_delete(w, KIND_endpointslice, "e", slice, false) : world_put_slice(w, slice);
		break;
	}
}

/* A full cluster from a seed. */
static inline void world_init(struct world *w, uint64_t seed)
{
	*w = (struct world){.seed = seed, .blocky = seed % 4 == 0, .tiers = seed % 3 != 0};
	assert_int_equal(store_new(&w->store, 0), 0);
	assert_int_equal(store_subscribe(w->store, world_heard, w, &w->sub), 0);
}

static inline void world_fill(struct world *w)
{
	for (uint32_t i = 0; i < WORLD_NODES; i++)
		world_put_node(w, i);
	for (uint32_t i = 0; i < WORLD_NS; i++)
		world_put_ns(w, i);
	for (uint32_t i = 0; i < WORLD_PODS; i++)
		world_put_pod(w, i);
	for (uint32_t i = 0; i < WORLD_POLICIES; i++)
		world_put_policy(w, i);
	for (uint32_t i = 0; i < WORLD_CLUSTER && w->tiers; i++)
		world_put_cluster(w, i);
	world_put_pool(w, false);
	for (uint32_t i = 0; i < WORLD_SERVICES; i++) {
		world_put_service(w, i);
		world_put_slice(w, i);
	}
}

static inline void world_fini(struct world *w)
{
	store_unsubscribe(&w->sub);
	for (int i = 0; i < WORLD_NODES; i++)
		compiler_free(&w->compilers[i]);
	store_free(&w->store);
}

static inline void world_run(struct compiler *c, struct plan_delta *d)
{
	struct remarks rs = {0};
	int e = compiler_run(c, d, &rs);
	remarks_fini(&rs);
	assert_int_equal(e, 0);
}

static inline int world_tell_all(struct compiler *c, const struct store *s)
{
	for (int k = 0; k < KIND_COUNT; k++) {
		struct object_refs refs = {0};
		assert_int_equal(store_list(s, (enum kind)k, STR(""), &refs), 0);
		VEC_EACH (&refs.list, o)
			assert_int_equal(compiler_tell(c, NULL, *o), 0);
		vec_free(&refs.list);
	}
	return 0;
}

static inline void world_text(const struct compiler *c, struct buf *b)
{
	struct plan p = {0};
	assert_int_equal(compiler_plan(c, &p), 0);
	plan_print(b, &p, compiler_names(c));
	vec_free(&p.rows);
}

struct world_addrs {
	VEC(struct addr) list;
};

/* Addresses worth asking about: of pods, of nodes, outside, and one that nobody has. */
static inline void world_addrs(const struct store *s, struct world_addrs *out)
{
	static const char *const more[] = {"172.31.0.10",  "172.31.0.11",   "fd57:1::10",  "fd57:1::11",
					   "203.0.113.10", "203.0.113.200", "203.0.113.1", "8.8.8.8",
					   "2001:db8::1",  "2001:db8:1::1", "200.1.1.1",   "10.244.0.99"};
	struct object_refs refs = {0};
	assert_int_equal(store_list(s, KIND_pod, STR(""), &refs), 0);
	VEC_EACH (&refs.list, o) {
		const struct pod_status *st = (*o)->pod->status;
		for (size_t i = 0; st && i < st->pod_ips.len; i++) {
			struct addr a;
			if (!addr_parse(st->pod_ips.items[i].ip, &a))
				vec_push(&out->list, a);
		}
	}
	vec_free(&refs.list);
	for (size_t i = 0; i < sizeof(more) / sizeof(more[0]); i++) {
		struct addr a;
		assert_int_equal(addr_parse(str_of(more[i]), &a), 0);
		vec_push(&out->list, a);
	}
}

static const struct {
	uint8_t proto;
	uint16_t port;
} world_ports[] = {{IPPROTO_TCP, 80},	{IPPROTO_TCP, 8080}, {IPPROTO_TCP, 443}, {IPPROTO_TCP, 53},
		   {IPPROTO_UDP, 53},	{IPPROTO_UDP, 80},   {IPPROTO_SCTP, 80}, {IPPROTO_ICMP, 0},
		   {IPPROTO_TCP, 9000}, {IPPROTO_TCP, 1}};
enum { WORLD_PORTS = sizeof(world_ports) / sizeof(world_ports[0]) };

/* The names of the destination are known wherever one asks. */
static inline void world_question(struct world *w, const struct world_addrs *addrs, struct str *name,
				  struct question *q)
{
	*q = (struct question){.src = addrs->list.items[world_random(w, (uint32_t)addrs->list.len)],
			       .dst = addrs->list.items[world_random(w, (uint32_t)addrs->list.len)]};
	uint32_t port = w->dense ? 0 : world_random(w, WORLD_PORTS);
	q->proto = world_ports[port].proto;
	q->port = world_ports[port].port;
	if (!world_random(w, 12)) {
		q->src = q->dst;
		q->through_service = world_random(w, 2);
	}
	*name = world_name(&q->dst);
	q->names = name;
	q->names_len = name->n != 0;
}

/* What the reference says. */
static inline enum judgement world_model(const struct store *s, const struct question *q)
{
	struct model m = {0};
	struct model_name names[WORLD_NAMES];
	assert_int_equal(model_init(&m, s), 0);
	for (int i = 0; i < WORLD_NAMES; i++) {
		names[i].name = str_of(world_names[i].name);
		addr_parse(str_of(world_names[i].addr), &names[i].addr);
	}
	m.names = names;
	m.names_len = q->names_len ? WORLD_NAMES : 0;
	m.staged = q->staged;
	const struct model_question mq = {
	    .src = q->src, .dst = q->dst, .proto = q->proto, .port = q->port, .service = q->through_service};
	enum judgement out = (enum judgement)model_ask(&m, &mq).verdict;
	model_fini(&m);
	return out;
}

static inline void question_text(const struct question *q, struct buf *b)
{
	char src[ADDR_TEXT], dst[ADDR_TEXT];
	addr_print(&q->src, src);
	addr_print(&q->dst, dst);
	buf_printf(b, "%s → %s protocol %u port %u", src, dst, q->proto, q->port);
}

#endif
