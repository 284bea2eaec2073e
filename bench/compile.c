/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What compiling costs, without a kernel: a cluster of 10,000 pods on 100 nodes and 10,000 Services of 10
 * endpoints, whole, and then one change at a time. Prints one line a measure: name, median and worst in
 * microseconds, rows changed. Called by bench/run and by hand: bench-compile [PODS [SERVICES]], or
 * bench-compile scale [PODS [POLICIES [NAMESPACES]]]: each pod an app of its own, as many policies, those of
 * this node's 100 pods in force.
 */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/own.h"
#include "compile/compile.h"
#include "compile/verdict.h"
#include "object/decode.h"
#include "store/store.h"

static struct store *store;
static struct compiler *compiler;
static unsigned pods = 10000, services = 10000;

static double now_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t); /* of one thread: the machine may be busy */
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void heard(void *ctx, const struct event *e)
{
	(void)ctx;
	if (compiler_tell(compiler, e->type == EVENT_DELETED ? e->object : e->old,
			  e->type == EVENT_DELETED ? NULL : e->object))
		exit(1);
}

static void put(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static void put(const char *fmt, ...)
{
	AUTO_BUF b = {0};
	struct remarks rs = {0};
	struct object *o = NULL;
	va_list ap;
	va_start(ap, fmt);
	buf_vprintf(&b, fmt, ap);
	va_end(ap);
	if (decode_json_object(buf_str(&b), NULL, NULL, &o, &rs) || object_default(o) ||
	    store_put(store, o, NULL)) {
		remarks_print(stderr, &rs, false);
		exit(1);
	}
	remarks_fini(&rs);
}

static void put_pod(unsigned i, const char *tier)
{
	put("{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"p%u\",\"namespace\":\"ns%u\","
	    "\"uid\":\"u%u\","
	    "\"labels\":{\"app\":\"a%u\",\"tier\":\"%s\"}},\"spec\":{\"nodeName\":\"node-%u\",\"containers\":"
	    "[{\"name\":\"c\","
	    "\"image\":\"i\",\"ports\":[{\"name\":\"http\",\"containerPort\":8080}]}]},\"status\":{"
	    "\"podIPs\":[{\"ip\":"
	    "\"10.%u.%u.%u\"},{\"ip\":\"fd57::%x\"}]}}",
	    i, i / 10 % 50, i, (i / 10 + (*tier == 't' ? 70 : 0)) % 1000, tier, i % 100, 128 + i % 100 / 256,
	    i % 100, 4 + i / 100, 4096 + i);
}

static void put_slice(unsigned i, unsigned skip)
{
	AUTO_BUF eps = {0};
	for (unsigned e = 0; e < 10; e++) {
		unsigned p = (i * 10 + e) % pods;
		if (e != skip)
			buf_printf(&eps, "%s{\"addresses\":[\"10.128.%u.%u\"]}", eps.n ? "," : "", p % 100,
				   4 + p / 100);
	}
	put("{\"apiVersion\":\"discovery.k8s.io/"
	    "v1\",\"kind\":\"EndpointSlice\",\"metadata\":{\"name\":\"s%u-x\",\"namespace\":"
	    "\"ns0\",\"labels\":{\"kubernetes.io/"
	    "service-name\":\"s%u\"}},\"addressType\":\"IPv4\",\"ports\":[{\"port\":%u}],"
	    "\"endpoints\":[%s]}",
	    i, i, 8000 + i / 1000, eps.p ? eps.p : ""); /* no two Services share their list */
}

static void put_service(unsigned i)
{
	put("{\"apiVersion\":\"v1\",\"kind\":\"Service\",\"metadata\":{\"name\":\"s%u\",\"namespace\":"
	    "\"ns0\"},\"spec\":{"
	    "\"clusterIP\":\"10.%u.%u.%u\",\"ports\":[{\"port\":80}]}}",
	    i, 96 + i / 65536, i / 256 % 256, i % 256);
}

/* A policy that selects the pods of one app, and lets in `peer` on one port. */
static void put_policy(unsigned i, const char *peer, unsigned port)
{
	put("{\"apiVersion\":\"networking.k8s.io/"
	    "v1\",\"kind\":\"NetworkPolicy\",\"metadata\":{\"name\":\"n%u\",\"namespace\":"
	    "\"ns%u\"},\"spec\":{\"podSelector\":{\"matchLabels\":{\"app\":\"a%u\"}},\"policyTypes\":["
	    "\"Ingress\"],\"ingress\":["
	    "{\"from\":[%s],\"ports\":[{\"port\":%u}]}]}}",
	    i, i % 50, i % 1000, peer, port);
}

static void fill(void)
{
	for (unsigned i = 0; i < 100; i++)
		put("{\"apiVersion\":\"v1\",\"kind\":\"Node\",\"metadata\":{\"name\":\"node-%u\"},\"spec\":{"
		    "\"podCIDRs\":["
		    "\"10.128.%u.0/"
		    "24\"]},\"status\":{\"addresses\":[{\"type\":\"InternalIP\",\"address\":\"172.31.0.%u\"}]"
		    "}}",
		    i, i, 10 + i);
	for (unsigned i = 0; i < 50; i++)
		put("{\"apiVersion\":\"v1\",\"kind\":\"Namespace\",\"metadata\":{\"name\":\"ns%u\","
		    "\"labels\":{\"team\":\"t%u\"}}}",
		    i, i % 10);
	for (unsigned i = 0; i < pods; i++)
		put_pod(i, "one");
	for (unsigned i = 0; i < services; i++) {
		put_service(i);
		put_slice(i, 99);
	}
	for (unsigned i = 0; i < 10000; i++) {
		AUTO_BUF peer = {0};
		buf_printf(&peer, "{\"podSelector\":{\"matchLabels\":{\"app\":\"a%u\"}}}", (i * 7) % 1000);
		put_policy(i, peer.p, 8080);
	}
}

static double run_once(size_t *rows)
{
	struct plan_delta d = {0};
	struct remarks rs = {0};
	double t = now_us();
	if (compiler_run(compiler, &d, &rs)) {
		fprintf(stderr, "out of memory\n");
		exit(1);
	}
	t = now_us() - t;
	*rows = plan_delta_changes(&d);
	plan_delta_fini(&d);
	remarks_fini(&rs);
	return t;
}

static int cmp(const void *a, const void *b)
{
	const double *x = a, *y = b;
	return (*x > *y) - (*x < *y);
}

/* Measures the run after each of n changes that change() tells. */
static void measure(const char *name, int n, void (*change)(unsigned i))
{
	double t[201];
	size_t rows = 0;
	for (int i = 0; i < n; i++) {
		change((unsigned)i);
		t[i] = run_once(&rows);
	}
	qsort(t, (size_t)n, sizeof(t[0]), cmp);
	printf("%-34s median %9.0f us  worst %9.0f us  rows %zu\n", name, t[n / 2], t[n - 1], rows);
}

static void change_pod(unsigned i)
{
	put_pod((i / 2 * 37) % pods, i & 1 ? "one" : "two");
}

static void come_and_go(unsigned i)
{
	AUTO_BUF ns = {0};
	AUTO_BUF name = {0};
	buf_printf(&ns, "ns%u", i / 2 * 37 % pods / 10 % 50);
	buf_printf(&name, "p%u", i / 2 * 37 % pods);
	if (i & 1)
		put_pod(i / 2 * 37 % pods, "one");
	else
		store_delete(store, KIND_pod, buf_str(&ns), buf_str(&name));
}

static void change_endpoints(unsigned i)
{
	put_slice((i / 2 * 37) % services, i & 1 ? 99 : i / 2 % 10);
}

static void change_service(unsigned i)
{
	AUTO_BUF name = {0};
	buf_printf(&name, "s%u", i / 2 * 37 % services);
	if (i & 1)
		put_service(i / 2 * 37 % services);
	else
		store_delete(store, KIND_service, STR("ns0"), buf_str(&name));
}

static void change_policy(unsigned i)
{
	put_policy(i / 2 * 50, "{\"podSelector\":{\"matchLabels\":{\"app\":\"a7\"}}}", i & 1 ? 8080 : 9090);
}

static void change_block(unsigned i)
{
	put_policy(i / 2 * 50,
		   i & 1 ? "{\"ipBlock\":{\"cidr\":\"10.128.7.0/28\"}}"
			 : "{\"ipBlock\":{\"cidr\":\"203.0.113.0/24\"}}",
		   8080);
}

static void change_all(unsigned i)
{
	put_policy(0, i & 1 ? "{\"podSelector\":{}}" : "{\"namespaceSelector\":{}}", 8080);
}

/* A million questions of random pods to random pods. */
static void ask_a_million(void)
{
	enum { N = 1000000 };
	struct verdict_table *t;
	struct plan p = {0};
	size_t allowed = 0;
	uint32_t x = 1;
	if (verdict_table_new(&t) || compiler_plan(compiler, &p) || verdict_table_add(t, &p))
		exit(1);
	vec_free(&p.rows);
	double at = now_us();
	for (int i = 0; i < N; i++) {
		x = x * 1664525 + 1013904223;
		uint32_t a = x >> 8;
		x = x * 1664525 + 1013904223;
		uint32_t b = (x >> 8) % 10000 * 100; /* of this node */
		struct question q = {.src = addr_from4(0x0a800000u | a % 100 << 8 | (4 + a / 100 % 100)),
				     .dst = addr_from4(0x0a800000u | b % 100 << 8 | (4 + b / 100 % 100)),
				     .proto = 6,
				     .port = 8080};
		allowed += verdict_ask(t, &q).verdict == JUDGED_ALLOW;
	}
	printf("%-34s %9.0f us  allowed %zu\n", "a million reachability questions", now_us() - at, allowed);
	verdict_table_free(&t);
}

static void ordinary(void)
{
	fill();
	size_t rows, before = mallinfo2().uordblks;
	double t = run_once(&rows);
	printf("%-34s %9.0f us  rows %zu  %.1f MiB\n", "cold start", t, rows,
	       (double)(mallinfo2().uordblks - before) / 1048576);
	ask_a_million();
	measure("pod changes its labels", 200, change_pod);
	measure("pod goes and comes", 200, come_and_go);
	measure("endpoint goes and comes", 200, change_endpoints);
	measure("service goes and comes", 200, change_service);
	measure("policy changes a port", 200, change_policy);
	measure("policy changes an ipBlock", 200, change_block);
	measure("selector of all pods", 20, change_all);
}

static unsigned policies = 10000, namespaces = 1;

/* Pod i of the other nodes; or, from `pods` on, of this one. */
static void put_single(unsigned i, const char *role)
{
	unsigned local = i < pods ? 0 : i - pods + 1;
	put("{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"p%u\",\"namespace\":\"ns%u\","
	    "\"uid\":\"u%u\",\"labels\":{\"app\":\"%s-%u\",\"role\":\"%s\"}},\"spec\":{\"nodeName\":\"node-%"
	    "u\"},"
	    "\"status\":{\"podIPs\":[{\"ip\":\"10.%u.%u.%u\"}]}}",
	    i, i % namespaces, i, local ? "local" : "peer", local ? local - 1 : i, role,
	    local ? 0 : 1 + i % 99, 128 + i / 62500, i / 250 % 250, 1 + i % 250);
}

static void put_single_policy(unsigned i, unsigned port)
{
	put("{\"apiVersion\":\"networking.k8s.io/"
	    "v1\",\"kind\":\"NetworkPolicy\",\"metadata\":{\"name\":\"n%u\","
	    "\"namespace\":\"ns%u\"},\"spec\":{\"podSelector\":{\"matchLabels\":{\"app\":\"local-%u\"}},"
	    "\"policyTypes\":[\"Ingress\"],\"ingress\":[{\"from\":[{\"podSelector\":{\"matchLabels\":{"
	    "\"app\":\"peer-%u\"}}}],\"ports\":[{\"port\":%u}]}]}}",
	    i, i % namespaces, i % 100, i % pods, port);
}

static void change_single(unsigned i)
{
	put_single(i / 2 * 37 % pods, i & 1 ? "one" : "two");
}

static void change_local(unsigned i)
{
	put_single(pods + i / 2 % 100, i & 1 ? "one" : "two");
}

static void change_single_policy(unsigned i)
{
	put_single_policy(i / 2 * 37 % policies, i & 1 ? 8080 : 9090);
}

static void scale(void)
{
	for (unsigned i = 0; i < pods + 100; i++)
		put_single(i, "one");
	for (unsigned i = 0; i < policies; i++)
		put_single_policy(i, 8080);
	size_t rows, before = mallinfo2().uordblks;
	double t = run_once(&rows);
	printf("%-34s %9.0f us  rows %zu  %.1f MiB\n", "cold start", t, rows,
	       (double)(mallinfo2().uordblks - before) / 1048576);
	measure("pod of another node changes", 200, change_single);
	measure("pod of this node changes", 200, change_local);
	measure("policy changes a port", 200, change_single_policy);
}

static void worlds(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "scale")) {
		unsigned *to[] = {&pods, &policies, &namespaces};
		for (int i = 0; i + 2 < argc && i < 3; i++)
			*to[i] = (unsigned)atoi(argv[i + 2]);
		scale();
		return;
	}
	if (argc > 1)
		pods = (unsigned)atoi(argv[1]);
	if (argc > 2)
		services = (unsigned)atoi(argv[2]);
	ordinary();
}

int main(int argc, char **argv)
{
	struct compile_config cfg = {.node = STR("node-0"), .mtu = 1500};
	prefix_parse(STR("10.96.0.0/16"), &cfg.services4);
	struct subscription *sub;
	if (store_new(&store, 1) || compiler_new(&compiler, &cfg) ||
	    store_subscribe(store, heard, NULL, &sub))
		return 1;
	compiler_wire_all(compiler);
	worlds(argc, argv);
	store_unsubscribe(&sub);
	compiler_free(&compiler);
	store_free(&store);
	return 0;
}
