/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the broker says of a packet: over random maps and packets, its reasons against the judge and against
 * the meaning of maps (BR03, BR07, BR08, BR09, BR94); the terms that settled a filter; places of objects.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/own.h"
#include "broker/explain.h"
#include "broker/place.h"
#include "object/decode.h"

static uint64_t dice = 88172645463325252u;

static uint32_t roll(uint32_t n)
{
	dice ^= dice << 13;
	dice ^= dice >> 7;
	dice ^= dice << 17;
	return (uint32_t)(dice >> 33) % n;
}

static int put(void *ctx, struct object *o)
{
	struct remarks rs = {0};
	bool good = object_validate(o, &rs);

	if (!good)
		remarks_print(stderr, &rs, false);
	remarks_fini(&rs);
	assert_true(good);
	assert_int_equal(object_default(o), 0);
	return store_put(ctx, o, NULL);
}

static struct store *store_of(struct str yaml)
{
	struct remarks rs = {0};
	struct store *s = NULL;
	struct file *file;

	assert_int_equal(store_new(&s, 1), 0);
	assert_int_equal(file_new(&file, "test", yaml.p, yaml.n), 0);
	assert_int_equal(decode_yaml(file, &(struct decoder_options){.sink = put, .ctx = s, .remarks = &rs}),
			 0);
	file_unref(&file);
	remarks_fini(&rs);
	return s;
}

static struct broker *broker_of(const struct store *s)
{
	struct remarks rs = {0};
	struct broker *b = NULL;
	int r = broker_compile(&b, s, &rs);

	if (r)
		remarks_print(stderr, &rs, false);
	assert_int_equal(r, 0);
	remarks_fini(&rs);
	return b;
}

/* UDP from 10.0.0.1 to 10.0.0.2, ports as asked; 42 bytes. */
static struct chain_packet udp(uint8_t frame[42], uint16_t sport, uint16_t dport)
{
	static const uint8_t head[] = {2,  0, 0, 0, 0, 2,  2,  0, 0, 0,	 0, 1, 8, 0,  0x45, 0, 0,
				       28, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0,    0, 2};
	const uint8_t rest[] = {
	    (uint8_t)(sport >> 8), (uint8_t)sport, (uint8_t)(dport >> 8), (uint8_t)dport, 0, 8, 0, 0};

	memcpy(frame, head, sizeof(head));
	memcpy(frame + 34, rest, sizeof(rest));
	return (struct chain_packet){
	    .p = frame, .caplen = 42, .len = 42, .link = CHAIN_LINK_ETHERNET, .time = 1};
}

enum { MAPS = 10, TOOLS = 5, SOURCES = 3, ROUNDS = 60, PACKETS = 40 };
#define HEAD "---\n{apiVersion: weft.network/v1alpha1, "

static void random_map(struct buf *out, unsigned i)
{
	static const char *const directions[] = {"Both", "In", "Out"};
	static const char *const fates[] = {"Forwarded", "Dropped", "All"};
	bool rest = !roll(5);

	buf_printf(out, HEAD "kind: TrafficMap, metadata: {name: m%u}, spec: {from: [", i);
	for (unsigned s = 0, some = 1 + roll((1 << SOURCES) - 1); s < SOURCES; s++)
		if (some >> s & 1)
			buf_printf(out, "{interface: {name: e%u}},", s);
	buf_printf(out, "], direction: %s, packets: %s, rest: %s, to: [", directions[roll(3)], fates[roll(3)],
		   rest ? "true" : "false");
	if (roll(3))
		buf_printf(out, "{tool: t%u},", roll(TOOLS));
	else
		buf_addz(out, "{group: g},");
	buf_addz(out, "], except: [");
	for (unsigned k = 0; !rest && k < i; k++)
		if (!roll(5) && k % 3 == 0)
			buf_printf(out, "m%u,", k);
	if (roll(3))
		buf_printf(out, "], filter: 'port in {%u-%u} && !(src.port == %u)'}}\n", roll(4) * 10,
			   30 + roll(4) * 10, roll(60));
	else
		buf_addz(out, "]}}\n");
}

/* Maps whose number is a multiple of three never take the rest, so that all may name them. */
static struct broker *random_broker(void)
{
	AUTO_BUF yaml = {0};
	struct store *s;
	struct broker *b;

	for (int i = 0; i < TOOLS; i++)
		buf_printf(&yaml, HEAD "kind: Tool, metadata: {name: t%d}, spec: {discard: true}}\n", i);
	buf_addz(&yaml,
		 HEAD "kind: ToolGroup, metadata: {name: g}, spec: {members: [{tool: t0}, {tool: t1}], "
		      "standby: {tool: t4}}}\n");
	for (unsigned i = 0; i < MAPS; i++) {
		AUTO_BUF one = {0};

		do {
			buf_clear(&one);
			random_map(&one, i);
		} while (i % 3 == 0 && memmem(one.p, one.n, "rest: true", 10));
		buf_adds(&yaml, buf_str(&one));
	}
	s = store_of(buf_str(&yaml));
	b = broker_of(s);
	store_free(&s);
	return b;
}

static bool in(const uint32_t *list, uint32_t n, uint32_t x)
{
	for (uint32_t i = 0; i < n; i++)
		if (list[i] == x)
			return true;
	return false;
}

static void check_map(const struct broker *b, const struct explain_question *q, const struct explain_map *e,
		      const struct judged *said)
{
	const struct broker_map *m = &b->maps[e->map];
	const struct broker_map *other = e->other == BROKER_NONE ? NULL : &b->maps[e->other];
	bool here = in(m->sources.items, m->sources.n, q->sources[0]);

	assert_int_equal(e->why == EXPLAIN_TAKEN, in(said->maps, said->maps_n, e->map));
	assert_int_equal(e->why == EXPLAIN_SOURCE, !here);
	if (e->why == EXPLAIN_DIRECTION)
		assert_false(m->directions & q->direction);
	if (e->why == EXPLAIN_FATE)
		assert_false(m->packets & q->fate);
	if (e->why == EXPLAIN_FILTER)
		assert_int_equal(e->filters_n, m->filters.n);
	for (uint32_t i = 0; i < e->filters_n; i++) {
		assert_int_equal(e->filters[i].matches, e->why != EXPLAIN_FILTER && i + 1 == e->filters_n);
		assert_true(e->filters[i].terms.n > 0);
	}
	if (e->why == EXPLAIN_EXCEPT)
		assert_true(in(m->except.items, m->except.n, e->other));
	if (e->why == EXPLAIN_REST)
		assert_true(m->rest && !other->rest);
	if (other)
		assert_true(in(said->maps, said->maps_n, e->other));
}

static void check_ports(const struct explained *x, const struct judged *said)
{
	assert_int_equal(x->ports_n, said->ports_n);
	for (uint32_t i = 0; i < x->ports_n; i++) {
		const struct explain_port *p = &x->ports[i];

		assert_true(in(said->ports, said->ports_n, p->port));
		assert_true(p->maps_n > 0);
		for (uint32_t k = 0; k < p->maps_n; k++)
			assert_true(in(said->maps, said->maps_n, p->maps[k]));
		for (uint32_t k = 0; k < i; k++)
			assert_int_not_equal(p->port, x->ports[k].port); /* BR03 */
	}
}

/* BR03 BR07 BR08 BR09: reasons agree with the judge; each packet's every map has one. */
static void reasons(void **state)
{
	unsigned count[EXPLAIN_REST + 1] = {0};

	(void)state;
	for (int round = 0; round < ROUNDS; round++) {
		struct broker *b = random_broker();
		struct judge *j = NULL;
		bool down[TOOLS] = {round % 2, round % 4 > 1, false, false, false};

		assert_int_equal(judge_new(&j, b), 0);
		group_set_down(judge_group(j, 0), 0, down[0]);
		group_set_down(judge_group(j, 0), 1, down[1]);
		for (int i = 0; i < PACKETS; i++) {
			uint8_t frame[42];
			struct chain_packet p = udp(frame, (uint16_t)roll(60), (uint16_t)roll(60));
			uint32_t source = roll(b->sources_n);
			struct explain_question q = {.packet = &p,
						     .sources = &source,
						     .sources_n = 1,
						     .direction = 1 + roll(2),
						     .fate = 1 + roll(2),
						     .down = down};
			struct explained x;
			struct judged said;
			struct point *at = NULL;

			assert_int_equal(point_new(&at, b, &source, 1), 0);
			judge_packet(j, at, &p, q.direction, q.fate, &said);
			assert_int_equal(broker_explain(&x, b, &q), 0);
			assert_int_equal(x.maps_n, b->maps_n); /* BR94 */
			for (uint32_t k = 0; k < x.maps_n; k++) {
				check_map(b, &q, &x.maps[k], &said);
				count[x.maps[k].why]++;
			}
			check_ports(&x, &said);
			explained_fini(&x);
			point_free(&at);
		}
		judge_free(&j);
		broker_free(&b);
	}
	for (int i = 0; i <= EXPLAIN_REST; i++) /* each was met */
		assert_true(count[i] > 10);
}

static void settled(const char *text, bool matches, const char *want)
{
	struct remarks rs = {0};
	struct filter *f = NULL;
	uint8_t frame[42];
	struct chain_packet c = udp(frame, 40000, 80);
	const struct filter_packet p = {.p = c.p, .caplen = c.caplen, .len = c.len, .link = c.link};
	AUTO_BUF why = {0};

	assert_int_equal(filter_parse(&f, str_of(text), (struct pos){0}, &rs), 0);
	assert_int_equal(filter_packet_why(f, &p, &why), matches);
	assert_string_equal(why.p, want);
	filter_unref(&f);
	remarks_fini(&rs);
}

static void terms(void **state)
{
	(void)state;
	settled("port == 443", false, "port == 443 (it has 40000 and 80)");
	settled("tcp && dst.port == 443", false, "tcp");
	settled("udp && dst.port == 443 && ip == 10.0.0.1", false, "dst.port == 443 (it has 80)");
	settled("udp && dst.port == 80", true, "udp, dst.port == 80 (it has 80)");
	settled("tcp || dst.port in {80, 443}", true, "dst.port in {80, 443} (it has 80)");
	settled("tcp || src.ip == 10.0.0.2", false, "tcp, src.ip == 10.0.0.2 (it has 10.0.0.1)");
	settled("!(udp && dst.port == 80)", false, "!udp, dst.port != 80 (it has 80)");
	settled("vlan.id == 3", false, "vlan.id == 3 (it has none)");
	settled("true", true, "true");
	settled("pcap:'udp[8] == 1 or tcp'", false, "the pcap expression as a whole");
}

static const char world[] = HEAD
    "kind: Tool, metadata: {name: t}, spec: {discard: true}}\n" HEAD
    "kind: TrafficMap, metadata: {name: m}, spec: {to: [{tool: t}], from: ["
    "{pods: {podSelector: {matchLabels: {app: web}}}},"
    "{pods: {namespaceSelector: {matchLabels: {team: a}}}},"
    "{pods: {namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: other}}}},"
    "{service: {namespace: shop, name: web}}, {service: {namespace: shop, name: bare}},"
    "{uplink: {}}, {uplink: {nodeSelector: {matchLabels: {rack: r1}}}},"
    "{interface: {name: eth1}}, {interface: {name: eth1, node: n2}}]}}\n"
    "---\n{apiVersion: v1, kind: Namespace, metadata: {name: shop, labels: {team: a}}}\n"
    "---\n{apiVersion: v1, kind: Service, metadata: {name: web, namespace: shop}, spec: {selector: {app: "
    "web}, ports: [{port: 80}]}}\n"
    "---\n{apiVersion: v1, kind: Service, metadata: {name: bare, namespace: shop}, spec: {ports: [{port: "
    "80}]}}\n"
    "---\n{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: bare-1, namespace: "
    "shop, labels: {kubernetes.io/service-name: bare}}, addressType: IPv4, endpoints: [{addresses: "
    "[10.0.0.9]}]}\n"
    "---\n{apiVersion: v1, kind: Node, metadata: {name: n1, labels: {rack: r1}}}\n"
    "---\n{apiVersion: v1, kind: Node, metadata: {name: n2}}\n";
static const char pods[] =
    "---\n{apiVersion: v1, kind: Pod, metadata: {name: web, namespace: shop, labels: {app: web}}, spec: "
    "{containers: [{name: c, image: i}]}}\n"
    "---\n{apiVersion: v1, kind: Pod, metadata: {name: db, namespace: shop}, spec: {containers: [{name: c, "
    "image: i}]}, status: {podIPs: [{ip: 10.0.0.9}]}}\n"
    "---\n{apiVersion: v1, kind: Pod, metadata: {name: web, namespace: other, labels: {app: web}}, spec: "
    "{containers: [{name: c, image: i}]}}\n"
    "---\n{apiVersion: v1, kind: Pod, metadata: {name: host, namespace: shop, labels: {app: web}}, spec: "
    "{hostNetwork: true, containers: [{name: c, image: i}]}}\n";

static void is(const struct broker *b, const uint32_t *list, uint32_t n, const char *want)
{
	AUTO_BUF got = {0};

	for (uint32_t i = 0; i < n; i++)
		buf_printf(&got, "%s" STR_FMT, i ? "; " : "", STR_ARG(b->sources[list[i]].text));
	assert_string_equal(got.p ? got.p : "", want);
}

static void places(void **state)
{
	AUTO_BUF yaml = {0};
	uint32_t out[16];
	struct store *s;
	struct broker *b;

	(void)state;
	buf_addz(&yaml, world);
	buf_addz(&yaml, pods);
	s = store_of(buf_str(&yaml));
	b = broker_of(s);
#define POD(ns, name) store_get(s, KIND_pod, STR(ns), STR(name))
	is(b, out, place_pod(b, s, POD("shop", "web"), out),
	   "pods  in team=a; pods app=web in all; service shop/web");
	is(b, out, place_pod(b, s, POD("shop", "db"), out), "pods  in team=a; service shop/bare");
	is(b, out, place_pod(b, s, POD("other", "web"), out),
	   "pods  in kubernetes.io/metadata.name=other; pods app=web in all");
	is(b, out, place_pod(b, s, POD("shop", "host"), out), "");
	is(b, out, place_uplink(b, store_get(s, KIND_node, STR(""), STR("n1")), out),
	   "uplink ; uplink rack=r1");
	is(b, out, place_uplink(b, store_get(s, KIND_node, STR(""), STR("n2")), out), "uplink ");
	is(b, out, place_interface(b, STR("n1"), STR("eth1"), out), "interface eth1");
	is(b, out, place_interface(b, STR("n2"), STR("eth1"), out), "interface eth1; interface n2/eth1");
	is(b, out, place_interface(b, STR("n2"), STR("eth2"), out), "");
	broker_free(&b);
	store_free(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(reasons),
	    cmocka_unit_test(terms),
	    cmocka_unit_test(places),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
