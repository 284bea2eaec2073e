/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What diff and prove say of groups is what the reference says of each pair: random clusters are changed at
 * random, and every pair of addresses is asked on both sides. Regions, assertions and names of sets of ends
 * by literals.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/own.h"
#include "compile_world.h"

#include "reason/checks.h"
#include "reason/diff.h"
#include "reason/label.h"
#include "reason/prove.h"
#include "reason/select.h"
#include "reason/suggest.h"

struct pair_of_worlds {
	struct world w[ENGINES];
	struct port_fns fns;
	struct engine *engines[ENGINES];
	struct pod_pairs pairs;
	struct diff diff;
	struct ends one; /* of the first world alone */
};

static void worlds_new(struct pair_of_worlds *p, uint64_t seed, int changes)
{
	const struct diff_options opt = {0};
	struct engine_options eo = {0};

	*p = (struct pair_of_worlds){0};
	prefix_parse(STR("10.96.0.0/16"), &eo.services4);
	assert_int_equal(port_fns_init(&p->fns), 0);
	for (int i = 0; i < ENGINES; i++) {
		world_init(&p->w[i], seed);
		world_fill(&p->w[i]);
	}
	for (int i = 0; i < changes; i++)
		world_change(&p->w[1]);
	assert_int_equal(match_pods(p->w[0].store, p->w[1].store, &p->pairs), 0);
	for (int i = 0; i < ENGINES; i++) {
		struct remarks rs = {0};
		assert_int_equal(engine_new(&p->engines[i], p->w[i].store, &p->fns, &eo, &rs), 0);
		remarks_fini(&rs);
	}
	assert_int_equal(diff_new(&p->diff, p->engines, &p->fns, &p->pairs, &opt), 0);
	assert_int_equal(ends_new(&p->one, p->engines, 1, &p->fns, NULL, NULL), 0);
}

static void worlds_fini(struct pair_of_worlds *p)
{
	diff_fini(&p->diff);
	ends_fini(&p->one);
	for (int i = 0; i < ENGINES; i++) {
		engine_free(&p->engines[i]);
		world_fini(&p->w[i]);
	}
	vec_free(&p->pairs.list);
	port_fns_fini(&p->fns);
}

/* What the lines say about a question: PORT_DENY or PORT_ALLOW, or -1: no change. */
static int said(const struct diff *d, size_t src, size_t dst, int family, const struct question *q)
{
	uint8_t proto = q->proto == IPPROTO_ICMP ? 0 : q->proto;
	int hit = -1;

	VEC_EACH (&d->changes, c) {
		if (!c->sources[src] || !c->destinations[dst] || (c->family && c->family != (family ? 6 : 4)))
			continue;
		if (!ends_judged(&d->ends.list.items[src], &d->ends.list.items[dst]))
			continue;
		VEC_EACH (&c->ports, s)
			if (s->proto == proto && q->port >= s->low && q->port <= s->high) {
				assert_int_equal(hit, -1); /* each flow stands in one line */
				hit = c->now;
			}
	}
	return hit;
}

static enum judgement refer(const struct pair_of_worlds *p, int i, const struct end *src,
			    const struct end *dst, int f, struct question q)
{
	q.src = src->addr[i][f];
	q.dst = dst->addr[i][f];
	return world_model(p->w[i].store, &q);
}

static void check_diff_pair(struct pair_of_worlds *p, uint64_t seed, size_t src, size_t dst, size_t counts[3])
{
	const struct ends *e = &p->diff.ends;
	const struct end *s = &e->list.items[src], *d = &e->list.items[dst];

	for (int f = 0; f < FAMILIES; f++) {
		uint32_t at = world_random(&p->w[0], WORLD_PORTS);
		struct question q = {.proto = world_ports[at].proto, .port = world_ports[at].port};
		if (!s->has[f] || !d->has[f] || (s->kind != END_POD && d->kind != END_POD))
			continue;
		enum judgement was = refer(p, 0, s, d, f, q), now = refer(p, 1, s, d, f, q);
		int want = (was == JUDGED_ALLOW) == (now == JUDGED_ALLOW) ? -1
			   : now == JUDGED_ALLOW			  ? PORT_ALLOW
									  : PORT_DENY;
		counts[want + 1 ? want == PORT_ALLOW ? 1 : 2 : 0]++;
		int got = said(&p->diff, src, dst, f, &q);
		/* The reference knows no address by name here; the lines say what would come with names. */
		bool named = p->w[0].tiers && d->kind == END_OUTSIDE;
		if (got == want || (named && (got == PORT_NAMES || (got == PORT_DENY && want == -1))))
			continue;
		AUTO_BUF b = {0};
		q.src = s->addr[0][f];
		q.dst = d->addr[0][f];
		question_text(&q, &b);
		fail_msg("seed %llu: %s: the lines say %d, the reference %d (was %d, is %d)",
			 (unsigned long long)seed, b.p, got, want, was, now);
	}
}

/* Nothing is left out: changed pairs are those that have a line. */
static void check_sums(const struct pair_of_worlds *p)
{
	const struct diff *d = &p->diff;
	uint64_t changed = 0;

	for (size_t s = 0; s < d->ends.list.len; s++)
		for (size_t t = 0; t < d->ends.list.len; t++) {
			bool any = false;
			VEC_EACH (&d->changes, c)
				any |= c->sources[s] && c->destinations[t];
			changed += any && ends_judged(&d->ends.list.items[s], &d->ends.list.items[t]);
		}
	assert_int_equal(changed, d->changed);
}

static void lines_say_what_the_reference_says(void **state)
{
	(void)state;
	size_t counts[3] = {0}, worlds = getenv("WEFT_WORLDS") ? (size_t)atoi(getenv("WEFT_WORLDS")) : 60;

	for (uint64_t seed = 1; seed <= worlds; seed++) {
		struct pair_of_worlds p;
		worlds_new(&p, seed, 1 + (int)(seed % 5));
		for (size_t s = 0; s < p.diff.ends.list.len; s++)
			for (size_t d = 0; d < p.diff.ends.list.len; d++)
				check_diff_pair(&p, seed, s, d, counts);
		check_sums(&p);
		worlds_fini(&p);
	}
	for (int i = 0; i < 3; i++)
		assert_true(counts[i] > 0);
	print_message("# the same %zu, becomes allowed %zu, becomes refused %zu\n", counts[0], counts[1],
		      counts[2]);
}

static void prove_text(const struct ends *e, const char *text, struct proof *out)
{
	struct assertion a;
	struct arena arena = {0};
	size_t column;
	const char *why;

	assert_int_equal(assertion_parse(&a, &arena, str_of(text), &column, &why), 0);
	assert_int_equal(prove(e, &a, out), 0);
	assertion_fini(&a);
	arena_fini(&arena);
}

/* By asking each pair of pods the reference. */
static bool slow_proof(struct pair_of_worlds *p, const char *from_ns, const char *to_ns, uint16_t port,
		       bool can)
{
	VEC_EACH (&p->one.list, s)
		VEC_EACH (&p->one.list, d)
			for (int f = 0; f < FAMILIES; f++) {
				struct question q = {.proto = IPPROTO_TCP, .port = port};
				if (s->kind != END_POD || d->kind != END_POD || s == d || !s->has[f] ||
				    !d->has[f] || !str_eqz(s->ns, from_ns) || !str_eqz(d->ns, to_ns))
					continue;
				if ((refer(p, 0, s, d, f, q) == JUDGED_ALLOW) != can)
					return false;
			}
	return true;
}

static void proofs_are_right(void **state)
{
	(void)state;
	size_t counts[2] = {0};

	for (uint64_t seed = 1; seed <= 60; seed++) {
		struct pair_of_worlds p;
		worlds_new(&p, seed, 0);
		assert_int_equal(p.diff.changes.len, 0);
		for (int i = 0; i < 8; i++) {
			char from[8], to[8], text[96];
			bool can = i & 1;
			uint16_t port = i & 2 ? 80 : 443;
			snprintf(from, sizeof(from), "ns%u", world_random(&p.w[0], WORLD_NS));
			snprintf(to, sizeof(to), "ns%u", world_random(&p.w[0], WORLD_NS));
			snprintf(text, sizeof(text), "ns=%s %s reach ns=%s on tcp/%u", from,
				 can ? "can" : "cannot", to, port);
			struct proof got;
			prove_text(&p.one, text, &got);
			if (!got.from || !got.to)
				continue;
			counts[got.holds]++;
			if (got.holds != slow_proof(&p, from, to, port, can))
				fail_msg("seed %llu: %s: %d", (unsigned long long)seed, text, got.holds);
			if (got.holds)
				continue;
			/* The packet that refutes it does so for the reference too. */
			const struct packet *k = &got.packet;
			const struct question q = {.proto = k->proto, .port = k->port};
			assert_int_equal(k->port, port);
			assert_int_equal(refer(&p, 0, &p.one.list.items[k->src], &p.one.list.items[k->dst],
					       k->family, q) == JUDGED_ALLOW,
					 !can);
		}
		worlds_fini(&p);
	}
	assert_true(counts[0] > 0 && counts[1] > 0);
}

/* The policy without the rules that are marked in `out` (by index in c->rules). */
static void put_without(struct store *s, const struct check_run *c, const struct object *o, const bool *out)
{
	struct object *copy;
	assert_int_equal(object_clone(&copy, o), 0);
	struct networkpolicy_spec *spec = copy->networkpolicy->spec;
	struct str *types = arena_array(&copy->arena, struct str, 2);
	size_t n = 0;
	if (policy_has_direction(o, false))
		types[n++] = STR("Ingress");
	if (policy_has_direction(o, true))
		types[n++] = STR("Egress");
	for (size_t i = c->rules.len; i-- > 0;) {
		const struct rule_view *r = &c->rules.items[i];
		if (r->o != o || !out[i])
			continue;
		if (r->egress) {
			memmove(&spec->egress.items[r->index], &spec->egress.items[r->index + 1],
				(spec->egress.len - r->index - 1) * sizeof(*spec->egress.items));
			spec->egress.len--;
		} else {
			memmove(&spec->ingress.items[r->index], &spec->ingress.items[r->index + 1],
				(spec->ingress.len - r->index - 1) * sizeof(*spec->ingress.items));
			spec->ingress.len--;
		}
	}
	spec->policy_types = (struct strlist){.items = types, .len = n, .set = true};
	assert_int_equal(store_put(s, copy, NULL), 0);
}

/* Pairs that change when the marked rules go. */
static uint64_t changes_without(struct pair_of_worlds *p, struct check_run *c, const bool *out)
{
	const struct diff_options opt = {0};
	struct engine *engines[ENGINES] = {p->engines[0], NULL};
	struct engine_options eo = {0};
	struct pod_pairs pairs = {0};
	struct remarks rs = {0};
	struct diff d;
	prefix_parse(STR("10.96.0.0/16"), &eo.services4);
	const struct object *last = NULL;
	for (size_t i = 0; i < c->rules.len; i++)
		if (!c->rules.items[i].cluster && c->rules.items[i].o != last) {
			last = c->rules.items[i].o;
			put_without(p->w[1].store, c, last, out);
		}
	assert_int_equal(match_pods(p->w[0].store, p->w[1].store, &pairs), 0);
	assert_int_equal(engine_new(&engines[1], p->w[1].store, &p->fns, &eo, &rs), 0);
	assert_int_equal(diff_new(&d, engines, &p->fns, &pairs, &opt), 0);
	uint64_t changed = d.changed;
	diff_fini(&d);
	engine_free(&engines[1]);
	remarks_fini(&rs);
	vec_free(&pairs.list);
	return changed;
}

/* The rule lets something through, between ends that are judged. */
static bool allows_something(struct check_run *c, const struct rule_view *r)
{
	bool any = false;
	for (size_t g = 0; g < c->ends.groups.len; g++)
		for (size_t h = 0; h < c->ends.groups.len && r->subject[g] && !any; h++) {
			const struct group *a = &c->ends.groups.items[g], *b = &c->ends.groups.items[h];
			unsigned families = (a->has[0] ? 1u : 0u) | (a->has[1] ? 2u : 0u);
			struct span_list spans = {0};
			if (!(r->match[h] & families) ||
			    !groups_pairs(&c->ends, r->egress ? a : b, r->egress ? b : a))
				continue;
			assert_int_equal(rule_spans(c, r, r->egress ? b : a, &spans), 0);
			any = spans.list.len > 0;
			vec_free(&spans.list);
		}
	return any;
}

/* Without all redundant rules nothing changes; without one more, something does. */
static void redundant_rules_are_those_that_change_nothing(void **state)
{
	(void)state;
	size_t redundant = 0, needed = 0;

	for (uint64_t seed = 1; seed <= 45; seed++) {
		struct pair_of_worlds p;
		struct engine_options eo = {0};
		struct findings found = {0};
		bool out[256] = {false};
		worlds_new(&p, seed, 0);
		struct check_run c = {.s = p.w[0].store, .opt = &eo, .ends = p.one, .out = &found};
		assert_int_equal(rules_view(&c), 0);
		assert_true(c.rules.len < ARRAY_LEN(out));
		check_rules(&c);
		assert_int_equal(c.error, 0);
		for (size_t i = 0; i < c.rules.len; i++)
			redundant += out[i] = c.rules.items[i].redundant;
		if (changes_without(&p, &c, out))
			fail_msg("seed %llu: without the redundant rules something changes",
				 (unsigned long long)seed);
		/* Where cluster policies decide, a rule that nothing covers may still change nothing. */
		for (size_t i = 0; i < c.rules.len && !p.w[0].tiers; i++) {
			if (out[i] || !allows_something(&c, &c.rules.items[i]))
				continue;
			out[i] = true;
			needed += changes_without(&p, &c, out) > 0;
			/* The other end may refuse it all the same: then only both changes together show. */
			out[i] = false;
		}
		rules_view_fini(&c);
		findings_fini(&found);
		worlds_fini(&p);
	}
	print_message("# redundant rules %zu, needed ones %zu\n", redundant, needed);
	assert_true(redundant > 20 && needed > 20);
}

static void put_json(struct world *w, const char *text)
{
	AUTO_BUF b = {0};
	buf_addz(&b, text);
	world_put(w, &b);
}

static struct seen_flow flow(const char *from, const char *to, uint16_t port)
{
	struct seen_flow f = {.proto = IPPROTO_TCP, .port = port};
	assert_int_equal(addr_parse(str_of(from), &f.from), 0);
	assert_int_equal(addr_parse(str_of(to), &f.to), 0);
	return f;
}

/* Pods by the fewest labels that tell them from the others; addresses join only to whole blocks. */
static void suggestions_are_exact(void **state)
{
	(void)state;
#define POD(name, labels, ip)                                                                                \
	"{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"" name                             \
	"\",\"namespace\":\"a\",\"labels\":{" labels                                                         \
	"}},\"spec\":{\"nodeName\":\"node-1\",\"containers\":[{"                                             \
	"\"name\":\"c\"}]},\"status\":{\"phase\":\"Running\",\"podIPs\":[{\"ip\":\"" ip "\"}]}}"
	static const char *const expected =
	    "---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata:\n  name: api\n  "
	    "namespace: a\n"
	    "spec:\n  podSelector: {matchLabels: {tier: \"1\"}}\n  policyTypes: [Ingress, Egress]\n"
	    "  ingress:\n  - from:\n    - podSelector: {matchLabels: {app: web, tier: \"2\"}}\n"
	    "    - ipBlock: {cidr: \"198.51.100.4/31\"}\n    - ipBlock: {cidr: \"198.51.100.7/32\"}\n"
	    "    ports:\n    - {protocol: TCP, port: 80}\n"
	    "---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata:\n  name: page\n  "
	    "namespace: a\n"
	    "spec:\n  podSelector: {matchLabels: {app: web, tier: \"2\"}}\n  policyTypes: [Ingress, Egress]\n"
	    "  egress:\n  - to:\n    - podSelector: {matchLabels: {tier: \"1\"}}\n"
	    "    ports:\n    - {protocol: TCP, port: 80}\n"
	    "---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata:\n  name: tools\n  "
	    "namespace: a\n"
	    "spec:\n  podSelector: {matchLabels: {app: tools}}\n  policyTypes: [Ingress, Egress]\n";
	struct world w;
	struct seen_flows flows = {0};
	struct suggested counts;
	const struct suggest_options opt = {0};
	AUTO_BUF yaml = {0};

	world_init(&w, 3);
	world_put_node(&w, 0);
	put_json(&w, POD("api", "\"app\":\"web\",\"tier\":\"1\"", "10.244.0.4"));
	put_json(&w, POD("page", "\"app\":\"web\",\"tier\":\"2\"", "10.244.0.5"));
	put_json(&w, POD("tools", "\"app\":\"tools\",\"tier\":\"2\"", "10.244.0.6"));
	const struct seen_flow all[] = {
	    flow("10.244.0.5", "10.244.0.4", 80),   flow("198.51.100.4", "10.244.0.4", 80),
	    flow("198.51.100.5", "10.244.0.4", 80), flow("198.51.100.7", "10.244.0.4", 80),
	    flow("172.31.0.10", "10.244.0.4", 80), /* its own node */
	    flow("10.244.0.77", "10.244.0.4", 80), /* a pod that is gone */
	};
	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		assert_int_equal(vec_push(&flows.list, all[i]), 0);
	assert_int_equal(suggest(w.store, &flows, &opt, &yaml, &counts), 0);
	assert_string_equal(yaml.p, expected);
	assert_int_equal(counts.policies, 3);
	assert_int_equal(counts.flows, 4);
	assert_int_equal(counts.strangers, 1);
	vec_free(&flows.list);
	world_fini(&w);
}

static void assertions_parse(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		size_t column; /* 0: right */
		const char *ports;
	} cases[] = {
	    {"ns=dev cannot reach ns=db except tcp/5432", 0, "everything but tcp 5432"},
	    {"app=a and ns!=b can reach svc=x/y on tcp/80, udp/53", 0, "tcp 80, udp 53"},
	    {"any cannot reach 10.0.0.0/8 on 1-5 except tcp/2", 0, "tcp 1, 3-5"},
	    {"outside can not reach pods, ns:team=red", 0, "everything"},
	    {"ns=dev may reach ns=db", 8, NULL},
	    {"ns=dev cannot reahc ns=db", 15, NULL},
	    {"ns=dev cannot reach", 20, NULL},
	    {"ns=dev cannot reach db", 21, NULL},
	    {"ns=dev cannot reach ns=db on http", 30, NULL},
	    {"ns=dev cannot reach ns=db on tcp/70000", 30, NULL},
	    {"ns=dev cannot reach pod=x", 21, NULL},
	    {"10.0.0.1/8 cannot reach any", 1, NULL},
	    {"any cannot reach any ever", 22, NULL},
	    {"any cannot reach any on tcp/1 except tcp/1", 1, NULL},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct assertion a;
		struct arena arena = {0};
		size_t column = 0;
		const char *why = NULL;
		int r = assertion_parse(&a, &arena, str_of(cases[i].text), &column, &why);
		assert_int_equal(r, cases[i].column ? -EINVAL : 0);
		if (r) {
			if (column != cases[i].column || !why)
				fail_msg("%s: column %zu: %s", cases[i].text, column, why);
		} else {
			AUTO_BUF b = {0};
			port_spans_print(&b, a.ports.items, a.ports.len);
			assert_string_equal(b.p, cases[i].ports);
			assertion_fini(&a);
		}
		arena_fini(&arena);
	}
}

static void regions_are_a_partition(void **state)
{
	(void)state;
	static const char *const blocks[] = {"10.0.0.0/8", "10.0.0.0/9",    "10.128.0.0/9", "10.1.0.0/16",
					     "0.0.0.0/1",  "2001:db8::/32", "10.0.0.0/8"};
	static const struct {
		const char *in[6];
		const char *text;
	} cases[] = {
	    {{"1.0.0.1", "10.0.0.1", "10.1.0.1", "10.128.0.1", "200.0.0.1", "::1"},
	     "outside 0.0.0.0/0, ::/0 except 2001:db8::/32"},
	    {{"10.0.0.1", "10.1.0.1", "10.128.0.1"}, "outside 10.0.0.0/8"},
	    {{"10.0.0.1", "10.128.0.1"}, "outside 10.0.0.0/9 except 10.1.0.0/16, 10.128.0.0/9"},
	    {{"10.1.0.1", "2001:db8::1"}, "outside 10.1.0.0/16, 2001:db8::/32"},
	    {{"200.0.0.1"}, "outside 0.0.0.0/0 except 0.0.0.0/1"},
	};
	struct regions rs = {0};

	for (size_t i = 0; i < ARRAY_LEN(blocks); i++) {
		struct prefix p;
		assert_int_equal(prefix_parse(str_of(blocks[i]), &p), 0);
		assert_int_equal(regions_add(&rs, &p, REGION_OUTSIDE), 0);
	}
	assert_int_equal(regions_settle(&rs), 0);
	for (size_t i = 0; i < rs.list.len; i++) /* a sample lies in its own region */
		if (rs.list.items[i].kind == REGION_OUTSIDE)
			assert_int_equal(region_of(&rs, &rs.list.items[i].sample), i);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		bool in[16] = {false};
		AUTO_BUF b = {0};
		for (size_t k = 0; k < 6 && cases[i].in[k]; k++) {
			struct addr a;
			assert_int_equal(addr_parse(str_of(cases[i].in[k]), &a), 0);
			in[region_of(&rs, &a)] = true;
		}
		regions_print(&b, &rs, in);
		assert_string_equal(b.p, cases[i].text);
	}
	regions_fini(&rs);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(regions_are_a_partition),
	    cmocka_unit_test(assertions_parse),
	    cmocka_unit_test(suggestions_are_exact),
	    cmocka_unit_test(lines_say_what_the_reference_says),
	    cmocka_unit_test(proofs_are_right),
	    cmocka_unit_test(redundant_rules_are_those_that_change_nothing),
	};
	return cmocka_run_group_tests_name("reason", tests, NULL, NULL);
}
