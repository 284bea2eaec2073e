/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cluster policies at their limits: the largest that the API admits, and how few rows they are (CN21); and
 * that a set's ranges, asked as a whole, say what each question says.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#include "compile_world.h"

enum { LIMIT = 25 };

static void put_largest(struct world *w)
{
	AUTO_BUF b = {0};
	buf_addz(&b,
		 "{\"apiVersion\":\"policy.networking.k8s.io/v1alpha2\",\"kind\":\"ClusterNetworkPolicy\","
		 "\"metadata\":{\"name\":\"large\"},\"spec\":{\"tier\":\"Admin\",\"priority\":0,"
		 "\"subject\":{\"namespaces\":{}}");
	for (int dir = 0; dir < 2; dir++) {
		buf_addz(&b, dir ? ",\"egress\":[" : ",\"ingress\":[");
		for (int r = 0; r < LIMIT; r++) {
			buf_printf(&b, "%s{\"action\":\"%s\",\"%s\":[", r ? "," : "",
				   r % 2 ? "Deny" : "Accept", dir ? "to" : "from");
			for (int p = 0; p < LIMIT && dir; p++)
				buf_printf(&b, "%s{\"networks\":[\"10.%d.%d.0/24\"]}", p ? "," : "", 100 + r,
					   p);
			for (int p = 0; p < LIMIT && !dir; p++)
				buf_printf(&b,
					   "%s{\"pods\":{\"podSelector\":{\"matchLabels\":{\"n\":\"%d\"}}}}",
					   p ? "," : "", r * LIMIT + p);
			buf_printf(&b, "],\"protocols\":[");
			for (int p = 0; p < LIMIT; p++)
				buf_printf(&b, "%s{\"tcp\":{\"destinationPort\":{\"number\":%d}}}",
					   p ? "," : "", 1000 + r * LIMIT + p);
			buf_addz(&b, "]}");
		}
		buf_addc(&b, ']');
	}
	buf_addz(&b, "}}");
	world_put(w, &b);
}

static void put_pod(struct world *w, unsigned host, int n)
{
	AUTO_BUF b = {0};
	buf_printf(
	    &b,
	    "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"p%u\",\"namespace\":\"a\","
	    "\"uid\":\"u%u\",\"labels\":{\"n\":\"%d\"}},\"spec\":{\"nodeName\":\"node-1\","
	    "\"containers\":[{\"name\":\"c\",\"image\":\"i\"}]},\"status\":{\"podIPs\":[{\"ip\":"
	    "\"10.244.0.%u\"}]}}",
	    host, host, n, host);
	world_put(w, &b);
}

static struct verdict_table *table_of(const struct compiler *c, size_t counts[PLAN_MAP_COUNT])
{
	struct verdict_table *t;
	struct plan p = {0};
	assert_int_equal(verdict_table_new(&t), 0);
	assert_int_equal(compiler_plan(c, &p), 0);
	assert_int_equal(verdict_table_add(t, &p), 0);
	VEC_EACH (&p.rows, r)
		if (r->type == ROW_MAP && counts)
			counts[r->table]++;
	vec_free(&p.rows);
	return t;
}

/* Each of the 25 × 25 peers of either direction is judged by its own rule, and by no other. */
static void cn21_the_largest_policy_fits(void **state)
{
	struct world w;
	struct plan_delta d = {0};
	size_t counts[PLAN_MAP_COUNT] = {0};
	(void)state;
	world_init(&w, 3);
	w.compilers[0] = world_compiler(0);
	world_put_node(&w, 0);
	put_largest(&w);
	put_pod(&w, 4, 7 * LIMIT + 3); /* a peer of rule 7, which denies */
	put_pod(&w, 5, 8 * LIMIT + 3); /* of rule 8, which accepts */
	world_run(w.compilers[0], &d);
	plan_delta_fini(&d);
	struct verdict_table *t = table_of(w.compilers[0], counts);
	size_t asked = 0;
	for (unsigned r = 0; r < LIMIT; r++) {
		for (unsigned p = 0; p < LIMIT; p++) {
			struct question q = {.src = addr_from4(0x0af40004),
					     .dst = addr_from4(10u << 24 | (100 + r) << 16 | p << 8 | 9),
					     .proto = IPPROTO_TCP,
					     .port = (uint16_t)(1000 + r * LIMIT + p)};
			enum judgement want = r % 2 ? JUDGED_DENY_EGRESS : JUDGED_ALLOW;
			assert_int_equal(verdict_ask(t, &q).verdict, want);
			assert_int_equal(world_model(w.store, &q), want);
			assert_true(verdict_ask(t, &q).rule_egress != 0);
			q.port = (uint16_t)(1000 + (r + 1) * LIMIT + p); /* another rule's port */
			assert_int_equal(verdict_ask(t, &q).rule_egress, 0);
			asked++;
		}
	}
	struct question in = {.src = addr_from4(0x0af40004),
			      .dst = addr_from4(0x0af40005),
			      .proto = IPPROTO_TCP,
			      .port = 1000 + 7 * LIMIT};
	assert_int_equal(verdict_ask(t, &in).verdict, JUDGED_DENY_INGRESS);
	in.src = addr_from4(0x0af40005);
	in.dst = addr_from4(0x0af40004);
	in.port = 1000 + 8 * LIMIT;
	assert_int_equal(verdict_ask(t, &in).verdict, JUDGED_ALLOW);
	assert_true(verdict_ask(t, &in).rule_ingress != 0);
	/* A cell for each peer block and for each class of pods; ports are shared by the 25 peers of a rule.
	 */
	assert_true(counts[PLAN_MAP_policy] <= LIMIT * LIMIT + 8);
	assert_true(counts[PLAN_MAP_port] <= (LIMIT + 2) * LIMIT);
	print_message("# %zu peers asked, %zu policy rows, %zu port rows\n", asked, counts[PLAN_MAP_policy],
		      counts[PLAN_MAP_port]);
	verdict_table_free(&t);
	world_fini(&w);
}

static bool in_range(const struct verdict_range *r, uint8_t proto, uint32_t port)
{
	return r->proto == proto && r->low <= port && port <= r->high;
}

/* verdict_ranges() holds a port exactly where verdict_ask() allows it, by the same rules. */
static void ranges_say_what_questions_say(void **state)
{
	size_t asked = 0;
	(void)state;
	for (uint64_t seed = 1; seed <= 60; seed++) {
		struct world w;
		struct plan_delta d = {0};
		struct world_addrs addrs = {0};
		world_init(&w, seed);
		w.compilers[0] = world_compiler(0);
		world_fill(&w);
		world_run(w.compilers[0], &d);
		plan_delta_fini(&d);
		struct verdict_table *t = table_of(w.compilers[0], NULL);
		world_addrs(w.store, &addrs);
		for (int i = 0; i < 60; i++) {
			struct question q;
			struct str name;
			struct verdict_ranges got = {0};
			world_question(&w, &addrs, &name, &q);
			q.staged = i % 3 == 0;
			assert_int_equal(verdict_ranges(t, &q, &got), 0);
			for (int k = 0; k < 40; k++) {
				static const uint8_t protos[] = {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP, 1};
				static const uint16_t ports[] = {0,  1,	 52,  53,   78,	  79,
								 80, 81, 443, 8080, 65535};
				const struct verdict_range *hit = NULL;
				q.proto = PICK(&w, protos);
				q.port = q.proto == 1 ? 0 : PICK(&w, ports);
				struct answer a = verdict_ask(t, &q);
				VEC_EACH (&got.list, r)
					if (in_range(r, q.proto == 1 ? 0 : q.proto, q.port))
						hit = r;
				assert_int_equal(hit != NULL, a.verdict == JUDGED_ALLOW);
				if (hit) {
					assert_int_equal(hit->rule_egress, a.rule_egress);
					assert_int_equal(hit->rule_ingress, a.rule_ingress);
				}
				asked++;
			}
			vec_free(&got.list);
		}
		vec_free(&addrs.list);
		verdict_table_free(&t);
		world_fini(&w);
	}
	print_message("# %zu questions\n", asked);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(cn21_the_largest_policy_fits),
					   cmocka_unit_test(ranges_say_what_questions_say)};
	return cmocka_run_group_tests_name("compile cluster", tests, NULL, NULL);
}
