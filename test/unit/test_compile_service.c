/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What Services are compiled to, beyond single cases (test/golden/service): Maglev tables change little, all
 * nodes agree who announces an address, balancers hear how many endpoints are ready here, and one change
 * among thousands of Services touches a handful of rows.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#include "compile_world.h"
#include "seam/service.h"

static void put(struct world *w, const char *fmt, ...)
{
	AUTO_BUF b = {0};
	va_list ap;
	va_start(ap, fmt);
	buf_vprintf(&b, fmt, ap);
	va_end(ap);
	world_put(w, &b);
}

static void put_node(struct world *w, unsigned n, const char *ready)
{
	put(w,
	    "{\"apiVersion\":\"v1\",\"kind\":\"Node\",\"metadata\":{\"name\":\"node-%u\"},\"spec\":{"
	    "\"podCIDRs\":[\"10.244.%u.0/24\"]},\"status\":{\"addresses\":[{\"type\":\"InternalIP\","
	    "\"address\":\"172.31.0.%u\"}],\"conditions\":[{\"type\":\"Ready\",\"status\":\"%s\"}]}}",
	    n + 1, n, 10 + n, ready);
}

static void put_service(struct world *w, unsigned i, const char *meta, const char *spec, const char *rest)
{
	put(w,
	    "{\"apiVersion\":\"v1\",\"kind\":\"Service\",\"metadata\":{\"name\":\"s%u\",\"namespace\":\"x\"%"
	    "s},"
	    "\"spec\":{%s,\"clusterIP\":\"10.96.%u.%u\",\"ports\":[{\"port\":80}]}%s}",
	    i, meta, spec, i >> 8, i & 255, rest);
}

/* Endpoints 10.244.0.1 and up; of `without` there is none, those of `states` say what follows "ready". */
static void put_slice(struct world *w, unsigned i, unsigned endpoints, unsigned without)
{
	AUTO_BUF b = {0};
	for (unsigned e = 1; e <= endpoints; e++)
		if (e != without)
			buf_printf(&b, "%s{\"addresses\":[\"10.244.%u.%u\"],\"nodeName\":\"node-1\"}",
				   b.n ? "," : "", (e >> 8), e & 255);
	put(w,
	    "{\"apiVersion\":\"discovery.k8s.io/"
	    "v1\",\"kind\":\"EndpointSlice\",\"metadata\":{\"name\":\"e%u\","
	    "\"namespace\":\"x\",\"labels\":{\"kubernetes.io/"
	    "service-name\":\"s%u\"}},\"addressType\":\"IPv4\","
	    "\"ports\":[{\"port\":8080}],\"endpoints\":[%s]}",
	    i, i, b.n ? b.p : "");
}

static size_t run(struct compiler *c)
{
	struct plan_delta d = {0};
	world_run(c, &d);
	size_t n = plan_delta_changes(&d);
	plan_delta_fini(&d);
	return n;
}

static void start(struct world *w, int nodes)
{
	*w = (struct world){.seed = 1};
	assert_int_equal(store_new(&w->store, 0), 0);
	assert_int_equal(store_subscribe(w->store, world_heard, w, &w->sub), 0);
	for (int n = 0; n < nodes; n++)
		w->compilers[n] = world_compiler(n);
}

/* --- Maglev --- */

enum { SLOTS_MOST = 1021 };
struct table {
	uint32_t count;
	struct addr16 slots[SLOTS_MOST];
};

/* The list of 10.96.0.0:80. */
static void read_table(const struct compiler *c, struct table *t)
{
	struct plan p = {0};
	struct service_value v = {0};
	t->count = 0;
	assert_int_equal(compiler_plan(c, &p), 0);
	VEC_EACH (&p.rows, r) {
		struct service_key k;
		if (r->type != ROW_MAP || r->table != PLAN_MAP_service)
			continue;
		memcpy(&k, r->key, sizeof(k));
		if (k.proto)
			memcpy(&v, r->value, sizeof(v));
	}
	assert_true(v.flags & SERVICE_MAGLEV);
	VEC_EACH (&p.rows, r) {
		struct backend_key k;
		struct backend_value b;
		if (r->type != ROW_MAP || r->table != PLAN_MAP_backend)
			continue;
		memcpy(&k, r->key, sizeof(k));
		memcpy(&b, r->value, sizeof(b));
		assert_int_equal(k.list, v.list);
		assert_true(k.slot < v.count && v.count <= SLOTS_MOST);
		t->slots[k.slot] = b.addr;
		t->count++;
	}
	assert_int_equal(t->count, v.count);
	vec_free(&p.rows);
}

static unsigned of_backend(const struct table *t, const struct addr16 *a)
{
	unsigned n = 0;
	for (uint32_t i = 0; i < t->count; i++)
		n += !memcmp(&t->slots[i], a, sizeof(*a));
	return n;
}

static void one_less(unsigned backends, unsigned slots)
{
	static const char maglev[] = ",\"annotations\":{\"weft.network/load-balancing\":\"maglev\"}";
	struct table was, now;
	struct world w;
	unsigned worst = 0;
	start(&w, 1);
	put_node(&w, 0, "True");
	put_service(&w, 0, maglev, "\"type\":\"ClusterIP\"", "");
	put_slice(&w, 0, backends, 0);
	run(w.compilers[0]);
	read_table(w.compilers[0], &was);
	assert_int_equal(was.count, slots);
	for (unsigned e = 1; e <= backends; e++) {
		struct addr a = addr_from4(0x0af40000u + e);
		struct addr16 gone;
		unsigned moved = 0;
		memcpy(&gone, &a, sizeof(gone));
		unsigned share = of_backend(&was, &gone);
		/* Each has its share of the slots: that of the whole, rounded, and not twice as many. */
		assert_true(share >= slots / backends && share <= slots / backends + 1);
		put_slice(&w, 0, backends, e);
		run(w.compilers[0]);
		read_table(w.compilers[0], &now);
		assert_int_equal(now.count, slots);
		for (unsigned i = 0; i < slots; i++)
			moved += memcmp(&was.slots[i], &now.slots[i], sizeof(was.slots[i])) != 0;
		assert_int_equal(of_backend(&now, &gone), 0);
		assert_true(moved >= share);
		worst = moved - share > worst ? moved - share : worst;
	}
	print_message("# %u backends, %u slots: one goes, at most %u slots of others move\n", backends, slots,
		      worst);
	assert_true(worst <= slots / 6); /* a list by number would move nearly all of them */
	world_fini(&w);
}

static void maglev_moves_little(void **state)
{
	(void)state;
	one_less(3, 251);
	one_less(10, 251);
	one_less(50, 251);
	one_less(60, 1021);
}

/* --- announced addresses --- */

static size_t announced(const struct compiler *c, bool which[256])
{
	struct plan p = {0};
	size_t n = 0;
	assert_int_equal(compiler_plan(c, &p), 0);
	VEC_EACH (&p.rows, r) {
		if (r->type != ROW_ADDRESS)
			continue;
		assert_int_equal(r->value_len, 0);
		which[r->key[15]] = true;
		n++;
	}
	vec_free(&p.rows);
	return n;
}

enum { BALANCERS = 200 };

/* Who announces each address; fails unless it is one node exactly. */
static void who(const struct world *w, int of[BALANCERS])
{
	for (int i = 0; i < BALANCERS; i++)
		of[i] = -1;
	for (int n = 0; n < WORLD_NODES; n++) {
		bool which[256] = {false};
		announced(w->compilers[n], which);
		for (int i = 0; i < BALANCERS; i++) {
			if (!which[i])
				continue;
			assert_int_equal(of[i], -1);
			of[i] = n;
		}
	}
	for (int i = 0; i < BALANCERS; i++)
		assert_int_not_equal(of[i], -1);
}

static void one_node_announces(void **state)
{
	struct world w;
	int first[BALANCERS], then[BALANCERS];
	unsigned share[WORLD_NODES] = {0};
	(void)state;
	start(&w, WORLD_NODES);
	for (unsigned n = 0; n < WORLD_NODES; n++)
		put_node(&w, n, "True");
	put(&w, "{\"apiVersion\":\"weft.network/v1alpha1\",\"kind\":\"AddressPool\",\"metadata\":{\"name\":"
		"\"p\"},\"spec\":{\"addresses\":[\"198.51.100.0/24\"]}}");
	for (unsigned i = 0; i < BALANCERS; i++) {
		char rest[128];
		snprintf(rest, sizeof(rest),
			 ",\"status\":{\"loadBalancer\":{\"ingress\":[{\"ip\":\"198.51.100.%u\"}]}}", i);
		put_service(&w, i, "", "\"type\":\"LoadBalancer\"", rest);
	}
	for (int n = 0; n < WORLD_NODES; n++)
		run(w.compilers[n]);
	who(&w, first);
	for (int i = 0; i < BALANCERS; i++)
		share[first[i]]++;
	assert_true(share[0] > BALANCERS / 4 && share[1] > BALANCERS / 4);

	put_node(&w, 1, "Unknown"); /* it fails: the first has them all, and adds only what it lacked */
	assert_int_equal(run(w.compilers[0]), share[1]);
	assert_int_equal(run(w.compilers[1]), share[1]);
	who(&w, then);
	for (int i = 0; i < BALANCERS; i++)
		assert_int_equal(then[i], 0);

	put_node(&w, 0, "False"); /* none is ready: they go on as by name and address */
	run(w.compilers[0]);
	run(w.compilers[1]);
	who(&w, then);
	assert_memory_equal(then, first, sizeof(first));

	put_node(&w, 0, "True");
	put_node(&w, 1, "True");
	run(w.compilers[0]);
	run(w.compilers[1]);
	who(&w, then);
	assert_memory_equal(then, first, sizeof(first));
	world_fini(&w);
}

/* --- what balancers ask --- */

struct heard {
	unsigned calls, ready;
	uint16_t port;
	char name[16];
};

static void hear(void *ctx, const struct compiler_health *h)
{
	struct heard *to = ctx;
	to->calls++;
	to->ready = h->ready;
	to->port = h->port;
	assert_true(str_eqz(h->ns, "x"));
	snprintf(to->name, sizeof(to->name), STR_FMT, STR_ARG(h->name));
}

static struct heard health(const struct world *w, int node)
{
	struct heard h = {0};
	compiler_health(w->compilers[node], hear, &h);
	return h;
}

static void put_ends(struct world *w, const char *first, const char *second)
{
	put(w,
	    "{\"apiVersion\":\"discovery.k8s.io/v1\",\"kind\":\"EndpointSlice\",\"metadata\":{\"name\":\"e\","
	    "\"namespace\":\"x\",\"labels\":{\"kubernetes.io/"
	    "service-name\":\"s7\"}},\"addressType\":\"IPv4\","
	    "\"ports\":[{\"port\":8080}],\"endpoints\":["
	    "{\"addresses\":[\"10.244.0.4\"],\"nodeName\":\"node-1\",\"conditions\":{%s}},"
	    "{\"addresses\":[\"10.244.0.5\"],\"nodeName\":\"node-1\",\"conditions\":{%s}},"
	    "{\"addresses\":[\"10.244.1.4\"],\"nodeName\":\"node-2\"}]}",
	    first, second);
}

static void health_counts_ready_ones_here_sv39_sv40(void **state)
{
	static const char ready[] = "\"ready\":true", not_ready[] = "\"ready\":false",
			  ends[] = "\"ready\":false,\"serving\":true,\"terminating\":true",
			  published[] = "\"ready\":true,\"serving\":true,\"terminating\":true";
	static const char local[] =
	    "\"type\":\"LoadBalancer\",\"externalTrafficPolicy\":\"Local\",\"healthCheckNodePort\":32111";
	struct world w;
	(void)state;
	start(&w, WORLD_NODES);
	put_node(&w, 0, "True");
	put_node(&w, 1, "True");
	put_service(&w, 7, "", local, "");
	put_service(&w, 8, "", "\"type\":\"LoadBalancer\"", "");
	put_ends(&w, ready, ready);
	for (int n = 0; n < WORLD_NODES; n++)
		run(w.compilers[n]);
	struct heard here = health(&w, 0), there = health(&w, 1);
	assert_int_equal(here.calls, 1);
	assert_int_equal(here.ready, 2);
	assert_int_equal(here.port, 32111);
	assert_string_equal(here.name, "s7");
	assert_int_equal(there.ready, 1);

	put_ends(&w, ready, not_ready);
	run(w.compilers[0]);
	assert_int_equal(health(&w, 0).ready, 1);
	put_ends(&w, ends, published); /* SV40 */
	run(w.compilers[0]);
	assert_int_equal(health(&w, 0).ready, 0);
	put_service(&w, 7, "", "\"type\":\"ClusterIP\"", "");
	run(w.compilers[0]);
	assert_int_equal(health(&w, 0).calls, 0);
	put_service(&w, 7, "", local, "");
	run(w.compilers[0]);
	assert_int_equal(health(&w, 0).calls, 1);
	store_delete(w.store, KIND_service, STR("x"), STR("s7"));
	run(w.compilers[0]);
	assert_int_equal(health(&w, 0).calls, 0);
	world_fini(&w);
}

/* --- step by step as whole --- */

static void one_change(struct world *w)
{
	uint32_t i = world_random(w, WORLD_SERVICES), gone = !world_random(w, 4);
	switch (world_random(w, 6)) {
	case 0:
	case 1:
		gone ? world_delete(w, KIND_service, "s", i, false) : world_put_service(w, i);
		break;
	case 2:
	case 3:
		gone ? world_delete(w, KIND_endpointslice, "e", i, false) : world_put_slice(w, i);
		break;
	case 4:
		world_put_node(w, world_random(w, WORLD_NODES));
		break;
	default:
		world_random(w, 2) ? world_put_pool(w, gone) : world_put_pod(w, world_random(w, WORLD_PODS));
	}
}

static void same_as_whole(const struct world *w, uint64_t seed, int round)
{
	for (int n = 0; n < WORLD_NODES; n++) {
		struct compiler *fresh = world_compiler(n);
		AUTO_BUF a = {0};
		AUTO_BUF b = {0};
		world_tell_all(fresh, w->store);
		run(fresh);
		world_text(w->compilers[n], &a);
		world_text(fresh, &b);
		if (!str_eq(buf_str(&a), buf_str(&b)))
			fail_msg("seed %llu, round %d, node %d: step by step\n%s\nwhole\n%s",
				 (unsigned long long)seed, round, n + 1, a.p, b.p);
		compiler_free(&fresh);
	}
}

static void changes_lead_to_the_whole_plan(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 15; seed++) {
		struct world w;
		start(&w, WORLD_NODES);
		w.seed = seed * 7919;
		world_put_pool(&w, false);
		for (uint32_t i = 0; i < WORLD_NODES; i++)
			world_put_node(&w, i);
		for (uint32_t i = 0; i < WORLD_SERVICES; i++) {
			world_put_service(&w, i);
			world_put_slice(&w, i);
		}
		for (int round = 0; round < 30; round++) {
			one_change(&w);
			run(w.compilers[0]);
			run(w.compilers[1]);
			same_as_whole(&w, seed, round);
		}
		world_fini(&w);
	}
}

/* --- a change costs what it changes --- */

static void a_change_touches_few_rows_sv66(void **state)
{
	enum { MANY = 2000 };
	struct world w;
	(void)state;
	start(&w, 1);
	put_node(&w, 0, "True");
	for (unsigned i = 0; i < MANY; i++) {
		put_service(&w, i, "", "\"type\":\"ClusterIP\"", "");
		put_slice(&w, i, 10, 11 + i); /* all alike */
	}
	assert_true(run(w.compilers[0]) > 2 * MANY);
	put_slice(&w, 1000, 10, 3); /* one endpoint goes: a list of nine, and one element is switched to it */
	assert_int_equal(run(w.compilers[0]), 9 + 1);
	put_slice(&w, 1000, 10, 0);
	assert_int_equal(run(w.compilers[0]), 9 + 1);
	put_service(&w, MANY, "", "\"type\":\"ClusterIP\"", ""); /* SV66 */
	assert_int_equal(run(w.compilers[0]), 2);
	put_node(&w, 0, "Unknown"); /* no Service looks at it */
	assert_int_equal(run(w.compilers[0]), 0);
	world_fini(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(maglev_moves_little),
	    cmocka_unit_test(one_node_announces),
	    cmocka_unit_test(health_counts_ready_ones_here_sv39_sv40),
	    cmocka_unit_test(changes_lead_to_the_whole_plan),
	    cmocka_unit_test(a_change_touches_few_rows_sv66),
	};
	return cmocka_run_group_tests_name("compile service", tests, NULL, NULL);
}
