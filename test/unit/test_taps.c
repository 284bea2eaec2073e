/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the kernel shall copy: random maps, places and packets; the answer of a place's judge, computed here
 * from the very steps that the applier gets, against judge_packet(). Whatever is due is taken (BR05, BR06),
 * and what goes straight to a tool is exactly what is due to it (BR02, BR03).
 */
#include <stdarg.h>
#include <stddef.h>
#include <errno.h>
#include <setjmp.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/own.h"
#include "broker/judge.h"
#include "broker/taps.h"
#include "filter/dissect.h"
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

static struct broker *broker_of(const char *yaml, size_t n)
{
	struct remarks rs = {0};
	struct store *s = NULL;
	struct broker *b = NULL;
	struct file *file;

	assert_int_equal(store_new(&s, 1), 0);
	assert_int_equal(file_new(&file, "test", yaml, n), 0);
	assert_int_equal(decode_yaml(file, &(struct decoder_options){.sink = put, .ctx = s, .remarks = &rs}),
			 0);
	file_unref(&file);
	int r = broker_compile(&b, s, &rs);
	if (r)
		remarks_print(stderr, &rs, false);
	assert_int_equal(r, 0);
	remarks_fini(&rs);
	store_free(&s);
	return b;
}

/* UDP from 10.0.0.1 to 10.0.0.2; 42 bytes. */
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

static uint64_t slot(const struct dissected *d, unsigned s)
{
	switch (s) {
	case SLOT_HAS:
		return d->has;
	case SLOT_LEN:
		return d->len;
	case SLOT_ETHERTYPE:
		return d->ethertype;
	case SLOT_SPORT:
		return d->sport;
	case SLOT_DPORT:
		return d->dport;
	case SLOT_PROTO:
		return d->proto;
	case SLOT_TTL:
		return d->ttl;
	default:
		fail_msg("the filters of this test do not ask for slot %u", s);
		return 0;
	}
}

static bool in_range(const struct filter_step *s, const struct addr *a)
{
	uint64_t half[2] = {0};

	for (int i = 0; i < 16; i++)
		half[i / 8] = half[i / 8] << 8 | a->b[i];
	return (half[0] > s->lo[0] || (half[0] == s->lo[0] && half[1] >= s->lo[1])) &&
	       (half[0] < s->hi[0] || (half[0] == s->hi[0] && half[1] <= s->hi[1]));
}

static bool form_takes(const struct tap_form *f, const struct dissected *d)
{
	uint32_t at = 0;

	assert_non_null(f->steps);
	for (;;) {
		const struct filter_step *s = &f->steps[at];
		uint64_t v = s->op == STEP_ADDRESS ? 0 : slot(d, s->slot);
		bool yes = s->op == STEP_ADDRESS ? in_range(s, s->slot == SLOT_SRC ? &d->src : &d->dst)
			   : s->op == STEP_BITS	 ? v & s->lo[0]
						 : v >= s->lo[0] && v <= s->hi[0];
		uint32_t next = yes ? s->yes : s->no;

		if (next == STEP_YES || next == STEP_NO)
			return next == STEP_YES;
		assert_true(next > at && next < f->n);
		at = next;
	}
}

static uint32_t answer(const struct tap_judge *j, const struct chain_packet *p)
{
	struct filter_packet fp = {.p = p->p, .caplen = p->caplen, .len = p->len, .link = p->link};
	struct dissected d = {0};
	uint32_t bits = TAP_ALWAYS;

	dissect(&d, &fp);
	for (uint32_t i = 0; i < j->n; i++)
		bits |= (uint32_t)form_takes(&j->forms[i], &d) << i;
	return bits;
}

enum { PORTS = 8, SOURCES = 4 };

static void random_filter(struct buf *out)
{
	static const char *const wide[] = {"udp", "tcp", "false", "true", "ip.ttl == 64"};

	switch (roll(4)) {
	case 0:
		buf_addz(out, wide[roll(ARRAY_LEN(wide))]);
		break;
	case 1:
		buf_printf(out, "!(dst.port == %u)", 1000 + roll(40));
		break;
	default:
		buf_printf(out, "%sport %s %u", roll(2) ? "dst." : "",
			   roll(2) ? "==" : "<=", 1000 + roll(40));
	}
}

/* Tools 0 to 3 are plain interfaces, 4 masks, 5 is a file, 6 and 7 are the members of a group. */
static void random_objects(struct buf *out, unsigned maps)
{
	static const char *const ways[] = {"Both", "In", "Out"}, *const fates[] = {"Forwarded", "Dropped",
										   "All"};

	for (unsigned i = 0; i < PORTS; i++)
		buf_printf(
		    out,
		    "---\n{apiVersion: weft.network/v1alpha1, kind: Tool, metadata: {name: t%u}, spec: "
		    "{%s%s}}\n",
		    i, i == 5 ? "file: {path: x.pcapng}" : "interface: {name: veth}",
		    i == 4 ? ", ports: [{name: default, chain: {mask: {fields: [SourceIP]}}}]" : "");
	buf_addz(out, "---\n{apiVersion: weft.network/v1alpha1, kind: ToolGroup, metadata: {name: g}, spec: "
		      "{members: [{tool: t6}, {tool: t7}]}}\n");
	for (unsigned i = 0; i < maps; i++) {
		bool capture = !roll(8), rest = !capture && !roll(8);

		buf_printf(
		    out, "---\n{apiVersion: weft.network/v1alpha1, kind: %s, metadata: {name: m%u}, spec: {",
		    capture ? "Capture" : "TrafficMap", i);
		buf_printf(out, "from: [{interface: {name: e%u}}, {interface: {name: e%u}}], ", roll(SOURCES),
			   roll(SOURCES));
		buf_printf(out, "direction: %s, packets: %s", ways[roll(3)], fates[roll(3)]);
		if (roll(5)) {
			buf_addz(out, ", filter: \"");
			random_filter(out);
			buf_addz(out, "\"");
		}
		if (rest)
			buf_addz(out, ", rest: true");
		if (!capture && roll(10))
			buf_printf(out, ", to: [{tool: t%u}, {tool: t%u}]", roll(6), roll(6));
		else if (!capture)
			buf_addz(out, ", to: [{group: g}]");
		buf_addz(out, "}}\n");
	}
}

static uint32_t source(const struct broker *b, unsigned e)
{
	char text[32];

	snprintf(text, sizeof(text), "interface e%u", e);
	for (uint32_t i = 0; i < b->sources_n; i++)
		if (str_eqz(b->sources[i].text, text))
			return i;
	return BROKER_NONE;
}

struct world {
	struct broker *b;
	struct judge *j;
	struct point *at[SOURCES];
	uint32_t of[SOURCES];
	struct taps taps;
	uint32_t outlets_n;
	struct broker_outlet outlets[PORTS];
};

static void make_world(struct world *w, unsigned maps)
{
	struct broker_place places[SOURCES];
	struct remarks rs = {0};
	AUTO_BUF yaml = {0};
	uint32_t n = 0;

	*w = (struct world){0};
	random_objects(&yaml, maps);
	w->b = broker_of(yaml.p, yaml.n);
	assert_int_equal(judge_new(&w->j, w->b), 0);
	for (uint32_t p = 0; p < w->b->ports_n; p++)
		if (w->b->ports[p].to.way == BROKER_TO_INTERFACE) {
			w->outlets[w->outlets_n] = (struct broker_outlet){
			    .port = p,
			    .at = {.number = w->outlets_n + 1, .way = OUTLET_INTERFACE, .name = "veth"}};
			w->outlets_n++;
		}
	for (unsigned e = 0; e < SOURCES; e++) {
		w->of[e] = source(w->b, e);
		if (w->of[e] == BROKER_NONE)
			continue;
		assert_int_equal(point_new(&w->at[e], w->b, &w->of[e], 1), 0);
		places[n++] = (struct broker_place){.where = TAP_AT_INTERFACE,
						    .name = STR("eth"),
						    .point = e,
						    .sources = &w->of[e],
						    .sources_n = 1};
	}
	assert_int_equal(
	    broker_taps(&w->taps, w->b, 9, places, n, w->outlets, w->outlets_n, (struct str){0}, &rs), 0);
	assert_int_equal(w->taps.epoch, 9);
	remarks_fini(&rs);
}

static void end_world(struct world *w)
{
	taps_fini(&w->taps);
	for (unsigned e = 0; e < SOURCES; e++)
		point_free(&w->at[e]);
	judge_free(&w->j);
	broker_free(&w->b);
}

static const struct tap_place *place_of(const struct world *w, unsigned point)
{
	for (uint32_t i = 0; i < w->taps.places_n; i++)
		if (w->taps.places[i].point == point)
			return &w->taps.places[i];
	return NULL;
}

static const struct tap_direct *direct_to(const struct world *w, const struct tap_place *p, uint32_t port)
{
	for (uint32_t d = 0; d < p->directs; d++)
		for (uint32_t o = 0; o < w->outlets_n; o++)
			if (w->outlets[o].at.number == p->direct[d].outlet && w->outlets[o].port == port)
				return &p->direct[d];
	return NULL;
}

static unsigned copied, straight;

static void hold(struct world *w, unsigned e, const struct chain_packet *packet, unsigned take)
{
	const struct tap_place *p = place_of(w, e);
	unsigned direction = take % 2 == TAP_IN ? BROKER_DIRECTION_IN : BROKER_DIRECTION_OUT;
	unsigned fate = take >= TAP_IN_DROPPED ? BROKER_DROPPED : BROKER_FORWARDED;
	struct judged due;
	uint32_t bits;

	judge_packet(w->j, w->at[e], packet, direction, fate, &due);
	if (!p) {
		assert_int_equal(due.ports_n, 0);
		return;
	}
	bits = answer(&w->taps.judges[p->judge], packet);
	for (uint32_t port = 0; port < w->b->ports_n; port++) {
		const struct tap_direct *d = direct_to(w, p, port);
		bool wanted = false;

		for (uint32_t i = 0; i < due.ports_n; i++)
			wanted |= due.ports[i] == port;
		if (d) {
			assert_int_equal(!!(bits & d->take[take]), wanted);
			straight += wanted;
			assert_true(taps_direct(&w->taps, e, d->outlet));
		} else if (wanted) {
			assert_true(bits & p->take[take]);
			copied++;
		}
	}
}

static void try_packets(struct world *w, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		uint8_t frame[42];
		struct chain_packet p = udp(frame, (uint16_t)(1000 + roll(40)), (uint16_t)(1000 + roll(40)));

		if (!roll(20)) {
			frame[12] = 0x88; /* LLDP */
			frame[13] = 0xcc;
		}
		for (unsigned e = 0; e < SOURCES; e++)
			if (w->at[e])
				hold(w, e, &p, i % TAP_TAKES);
	}
}

static void test_due_is_taken(void **state)
{
	(void)state;
	copied = straight = 0;
	for (unsigned round = 0; round < 120; round++) {
		struct world w;

		make_world(&w, 1 + roll(60));
		try_packets(&w, 400);
		end_world(&w);
	}
	assert_true(copied > 10000 && straight > 2000);
}

static void maps_to(struct buf *yaml, unsigned n, const char *filter, const char *to)
{
	for (unsigned i = 0; i < n; i++) {
		buf_printf(
		    yaml,
		    "---\n{apiVersion: weft.network/v1alpha1, kind: TrafficMap, metadata: {name: m%u}, "
		    "spec: {from: [{interface: {name: e0}}], filter: \"",
		    i);
		buf_printf(yaml, filter, i + 1);
		buf_printf(yaml, "\", to: [%s]}}\n", to);
	}
}

static const char tools[] =
    "{apiVersion: weft.network/v1alpha1, kind: Tool, metadata: {name: t}, spec: {interface: {name: veth}}}\n"
    "---\n{apiVersion: weft.network/v1alpha1, kind: Tool, metadata: {name: f}, spec: {discard: true}}\n";

static void taps_of(struct taps *t, struct broker **b, const struct buf *yaml, struct remarks *rs)
{
	static const uint32_t first = 0;
	struct broker_outlet outlet = {
	    .port = 1, .at = {.number = 7, .way = OUTLET_INTERFACE, .name = "veth", .finish = true}};
	const struct broker_place places[] = {
	    {.where = TAP_AT_POD, .ifindex = 10003, .point = 1, .sources = &first, .sources_n = 1},
	    {.where = TAP_AT_POD, .ifindex = 10004, .point = 2},
	    {.where = TAP_AT_INTERFACE, .name = STR("eth9"), .point = 3, .sources = &first, .sources_n = 1}};

	*b = broker_of(yaml->p, yaml->n);
	assert_int_equal(broker_taps(t, *b, 1, places, 3, &outlet, 1, (struct str){0}, rs), 0);
	assert_int_equal(t->places_n, 2); /* nobody looks at the second */
}

/* A thousand maps that lead to one tool are one question; two places with the same maps share it. */
static void test_joined(void **state)
{
	struct remarks rs = {0};
	struct broker *b;
	struct taps t;
	AUTO_BUF yaml = {0};

	(void)state;
	buf_addz(&yaml, tools);
	maps_to(&yaml, 1000, "udp && dst.port == %u", "{tool: t}");
	taps_of(&t, &b, &yaml, &rs);
	assert_int_equal(t.judges_n, 1);
	assert_true(t.judges[0].n <= 4);
	assert_int_equal(t.places[0].take[TAP_IN], 0);
	assert_int_equal(t.places[0].directs, 1);
	assert_int_equal(t.places[0].direct[0].outlet, 7);
	assert_int_equal(t.places[0].direct[0].take[TAP_IN_DROPPED], 0);
	for (uint16_t port = 1; port < 1100; port++) {
		uint8_t frame[42];
		struct chain_packet p = udp(frame, 5000, port);
		bool takes = answer(&t.judges[0], &p) & t.places[0].direct[0].take[TAP_OUT];

		assert_int_equal(takes, port <= 1000);
	}
	assert_int_equal(rs.list.len, 0);
	taps_fini(&t);
	broker_free(&b);
}

/* pcap expressions cannot be joined: more of them than a judge has bits are left to weft-copier whole. */
static void test_too_many(void **state)
{
	struct remarks rs = {0};
	struct broker *b;
	struct taps t;
	AUTO_BUF yaml = {0};

	(void)state;
	buf_addz(&yaml, tools);
	maps_to(&yaml, 31, "pcap:'udp port %u'", "{tool: t}");
	taps_of(&t, &b, &yaml, &rs);
	assert_int_equal(t.judges[0].n, 0);
	assert_int_equal(t.places[0].directs, 0);
	assert_int_equal(t.places[0].take[TAP_IN], TAP_ALWAYS);
	taps_fini(&t);
	broker_free(&b);

	buf_clear(&yaml);
	buf_addz(&yaml, tools);
	maps_to(&yaml, 30, "pcap:'udp port %u'", "{tool: t}");
	taps_of(&t, &b, &yaml, &rs);
	assert_int_equal(t.judges[0].n, 30);
	assert_non_null(t.judges[0].forms[0].classic);
	assert_int_equal(t.places[0].direct[0].take[TAP_IN], (1u << 30) - 1);
	taps_fini(&t);
	broker_free(&b);
}

/* BR76: a filter that the kernel cannot judge is told with its term; packets are judged by weft-copier. */
static void test_not_in_kernel(void **state)
{
	struct remarks rs = {0};
	struct broker *b;
	struct taps t;
	AUTO_BUF yaml = {0};

	(void)state;
	buf_addz(&yaml, tools);
	maps_to(&yaml, 1, "mpls.label == %u", "{tool: t}, {tool: f}");
	taps_of(&t, &b, &yaml, &rs);
	assert_int_equal(t.places[0].directs, 0);
	assert_int_equal(t.places[0].take[TAP_OUT], TAP_ALWAYS);
	assert_int_equal(t.places[0].take[TAP_OUT_DROPPED], 0);
	assert_int_equal(rs.list.len, 1); /* once, not for each place */
	assert_int_equal(rs.list.items[0].level, REMARK_WARNING);
	assert_non_null(strstr(rs.list.items[0].text, "mpls"));
	remarks_fini(&rs);
	taps_fini(&t);
	broker_free(&b);
}

/* BR61: at an interface, packets of the tunnels that lead to tools are told apart; a pod sees none. */
static void test_own(void **state)
{
	static const char tunnel[] = "---\n{apiVersion: weft.network/v1alpha1, kind: Tool, metadata: {name: "
				     "far}, spec: {vxlan: {remote: "
				     "10.0.0.2, vni: 7}}}\n";
	struct remarks rs = {0};
	struct broker *b;
	struct taps t;
	AUTO_BUF yaml = {0};
	uint8_t frame[42];
	struct chain_packet ours = udp(frame, 50000, 4789);

	(void)state;
	buf_addz(&yaml, tools);
	buf_addz(&yaml, tunnel);
	maps_to(&yaml, 1, "udp && dst.port >= %u", "{tool: f}");
	taps_of(&t, &b, &yaml, &rs);
	assert_int_equal(t.places[0].own, 0);
	assert_int_equal(t.places[1].own, 1);
	assert_int_equal(answer(&t.judges[t.places[1].judge], &ours) & 1, 1);
	assert_int_equal(t.places[1].take[TAP_IN], 2);
	ours = udp(frame, 4789, 50000);
	assert_int_equal(answer(&t.judges[t.places[1].judge], &ours), TAP_ALWAYS | 2);
	taps_fini(&t);
	broker_free(&b);
}

/* What the kernel does for chains of one tool port; "": the chain is weft-copier's. */
static void edited(const char *chain, const char *want)
{
	struct tap_outlet o = {.number = 1, .way = OUTLET_INTERFACE, .name = "e", .finish = true};
	struct taps t = {.outlets = &o, .outlets_n = 1};
	AUTO_BUF yaml = {0}, text = {0}, line = {0};
	struct broker *b;

	buf_printf(&yaml,
		   "kind: Tool\napiVersion: weft.network/v1alpha1\nmetadata: {name: t}\n"
		   "spec: {interface: {name: e}, %s}\n",
		   chain);
	b = broker_of(yaml.p, yaml.n);
	o.edits = broker_edit(&b->ports[0], &o.edit);
	taps_print(&text, &t);
	buf_printf(&line, "outlet 1: interface e finished%s\n", want);
	assert_string_equal(text.p, line.p);
	broker_free(&b);
}

static void test_edits(void **state)
{
	(void)state;
	edited("ports: [{name: default, chain: {mask: {ranges: [{from: Payload}, {from: L3, offset: 4, "
	       "length: 2}], "
	       "fill: 7}}}]",
	       " mask payload+0 mask L3+4:2 fill 0x07");
	edited("ports: [{name: default, chain: {mask: {fields: [SourceIP, DestinationPort]}, slice: {from: "
	       "L4, bytes: 9}, "
	       "stamp: {vlan: 5}}}]",
	       " fields 0x24 fill 0x00 slice L4+9 tag 0x8100 5");
	edited("ports: [{name: default}]", "");
	edited("ports: [{name: default, chain: {mask: {ranges: [{from: Payload}], checksums: Fix}}}]", "");
	edited("ports: [{name: default, chain: {mask: {ranges: [{from: L2, length: 1}, {from: L2, length: "
	       "2}, {from: L2, length: "
	       "3}, {from: L2, length: 4}, {from: L2, length: 5}, {from: L2, length: 6}, {from: L2, length: "
	       "7}]}}}]",
	       "");
	edited("ports: [{name: default, chain: {slice: {bytes: 64}, sample: {oneIn: 2}}}]", "");
	edited("ports: [{name: default, chain: {slice: {bytes: 64}, dedup: {windowMicroseconds: 5}}}]", "");
	edited("ports: [{name: default, chain: {slice: {bytes: 64}, strip: [VLAN]}}]", "");
	edited("ports: [{name: default, chain: {slice: {bytes: 64}, stamp: {trailer: true}}}]", "");
	edited("ports: [{name: default, merged: Mark, chain: {slice: {bytes: 64}}}]", "");
	edited("mtu: 1500, ports: [{name: default, chain: {slice: {bytes: 64}}}]", "");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    {"BR02, BR03, BR05, BR06: the kernel takes what is due, straight to a tool exactly that",
	     test_due_is_taken, NULL, NULL, NULL},
	    {"BR61: packets of tools' tunnels are told apart at interfaces", test_own, NULL, NULL, NULL},
	    {"chains that the kernel runs, and all others", test_edits, NULL, NULL, NULL},
	    {"a thousand maps to one tool are one question", test_joined, NULL, NULL, NULL},
	    {"more filters than a judge has bits", test_too_many, NULL, NULL, NULL},
	    {"BR76: what the kernel cannot judge is told once, with the term", test_not_in_kernel, NULL, NULL,
	     NULL},
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
