/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A million records of flows in memory, asked with several filters: the records of 500 pods that call each
 * other and outside hosts. Prints one JSON line: milliseconds of CPU time of each question, the best of the
 * runs that were asked for, and how many it found; and the bytes that the records take. An answer holds the
 * newest so many (0: all). Touches no kernel. Called by bench/run.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/own.h"
#include "observe/history.h"

enum { PODS = 500, OUTSIDE = 20000, RUNS_MAX = 99 };

static const char *const questions[] = {
    "",
    "tcp",
    "verdict == dropped",
    "tcp && dst.port in {80, 443, 8000-8100}",
    "ip == 10.244.1.0/24",
    "src.pod.label[\"app\"] == \"app-7\" && dst.port == 5432",
    "pod == shop/pod-11 || pod ~ 'pod-4?'",
    "ns == shop && !(dst.ip == 10.0.0.0/8) && bytes > 1M",
    "rtt > 20ms && state == closed",
    "tcp port 443 and net 10.0.0.0/8",
    "!(src.ip == 10.0.0.0/8 || dst.ns in {shop, kube-system}) || has(dns.name)",
};

static double cpu(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "history: %s\n", what);
	exit(1);
}

static struct str format(struct buf *b, const char *fmt, unsigned n)
{
	buf_clear(b);
	buf_printf(b, fmt, n);
	return buf_str(b);
}

static uint32_t random32(uint64_t *seed)
{
	*seed = *seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(*seed >> 33);
}

static void make_pods(struct identities *ids, const struct identity **who, struct addr *addr)
{
	AUTO_BUF name = {};
	AUTO_BUF app = {};

	for (unsigned i = 0; i < PODS; i++) {
		struct str label[] = {STR("app"), format(&app, "app-%u", i % 40), STR("tier"), STR("x")};
		struct identity id = {.kind = IDENTITY_POD,
				      .ns = i % 3 ? STR("shop") : STR("reports"),
				      .name = format(&name, "pod-%u", i),
				      .workload_kind = STR("Deployment"),
				      .workload = format(&app, "app-%u", i % 40),
				      .node = i & 1 ? STR("node-1") : STR("node-2"),
				      .labels = label,
				      .labels_len = 2};

		who[i] = identity_get(ids, &id);
		addr[i] = addr_from4(0x0af40000 + (i / 200) * 256 + i % 200);
	}
}

static void fill(struct history *h, unsigned n, const struct identity *const *who, const struct addr *addr)
{
	uint64_t seed = 1;

	for (unsigned i = 0; i < n; i++) {
		unsigned from = random32(&seed) % PODS, to = random32(&seed) % PODS;
		bool out = random32(&seed) % 4 == 0, tcp = random32(&seed) % 4;
		static const uint16_t ports[] = {80, 443, 5432, 53, 6379, 8080};
		struct record r = {
		    .kind = random32(&seed) % 50 ? RECORD_FLOW : RECORD_DROP,
		    .from = {addr[from], (uint16_t)(32768 + random32(&seed) % 28000), who[from]},
		    .to = {addr[to], ports[random32(&seed) % 6], who[to]},
		    .node = from & 1 ? "node-1" : "node-2",
		    .proto = tcp ? 6 : 17,
		    .state = STATE_CLOSED,
		    .ended = true,
		    .bytes = {random32(&seed) % 100000, random32(&seed) % 3000000},
		    .packets = {10, 20},
		    .first = (int64_t)i * 1000000 + 1,
		    .last = (int64_t)i * 1000000 + 900000000,
		    .id = i + 1,
		    .rtt_us = {tcp ? random32(&seed) % 30000 : 0, tcp},
		    .rule_egress = 7};

		if (out)
			r.to = (struct record_end){addr_from4(0x5db80000 + random32(&seed) % OUTSIDE), 443,
						   NULL};
		r.verdict = r.kind == RECORD_DROP ? VERDICT_DROPPED : VERDICT_FORWARDED;
		if (!tcp && r.to.port == 53)
			r.dns = STR("cart.shop.svc.cluster.local");
		if (history_put(h, &r))
			die("a record finds no room");
	}
}

static int count(void *ctx, const struct record *r)
{
	(void)r;
	++*(uint64_t *)ctx;
	return 0;
}

int main(int argc, char **argv)
{
	unsigned n = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 1000000;
	unsigned runs = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 5;
	uint32_t limit = argc > 3 ? (uint32_t)strtoul(argv[3], NULL, 10) : 0;
	static const struct identity *who[PODS];
	static struct addr addr[PODS];
	struct identities *ids = NULL;
	struct history *h = NULL;

	if (identities_new(&ids) || history_new(&h, ids, n, 1))
		die("out of memory");
	make_pods(ids, who, addr);
	fill(h, n, who, addr);
	printf("{\"records\": %u, \"bytes\": %zu, \"questions\": [", n, history_size(h).bytes);
	for (size_t i = 0; i < ARRAY_LEN(questions); i++) {
		AUTO(remarks_fini) struct remarks remarks = {};
		struct filter *f = NULL;
		double best = 0;
		uint64_t found = 0;

		if (filter_parse(&f, str_of(questions[i]), (struct pos){}, &remarks))
			die(questions[i]);
		for (unsigned r = 0; r < runs; r++) {
			struct history_query q = {.filter = f, .limit = limit};
			double t = cpu();

			found = 0;
			history_query(h, &q, count, &found);
			t = cpu() - t;
			best = r && best < t ? best : t;
		}
		printf("%s{\"ms\": %.1f, \"found\": %lu, \"n\": %zu}", i ? ", " : "", best,
		       (unsigned long)found, i);
		filter_unref(&f);
	}
	printf("]}\n");
	history_free(&h);
	return 0;
}
