/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a record costs with many alerts: one hub's worth of Alerts by namespace, Service, workload, reason and
 * time, each with a filter of its own, looks at records as they come. Prints one JSON line: nanoseconds of
 * CPU time a record. Touches no kernel. Called by bench/run.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/own.h"
#include "observe/alertset.h"
#include "seam/event.h"

enum { ALERTS_MAX = 1000, PODS = 500, RECORDS = 4096 };

/* One %u, a number of its own. */
static const char *const filters[] = {
    "dst.ns == team-%u && reason == policy-ingress",
    "service == shop/service-%u && dst.port == 80",
    "src.workload == shop/app-%u && verdict == dropped",
    "dst.pod.label[\"app\"] == \"app-%u\" && state == reset",
    "tcp && dst.workload == shop/app-%u && handshake > 50ms",
    "ns == team-%u && !(dst.ip == 10.0.0.0/8) && bytes > 1M",
    "dst.ip == 192.0.2.%u && dst.port in {80, 443, 8000-8100}",
    "src.ns == team-%u && dst.domain ~ '*.example.com'",
};

static double cpu(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "alert: %s\n", what);
	exit(1);
}

static uint32_t random32(uint64_t *seed)
{
	*seed = *seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(*seed >> 33);
}

static struct str text_of(const char *fmt, unsigned n)
{
	char *p = NULL;

	if (asprintf(&p, fmt, n) < 0)
		die("out of memory");
	return str_of(p);
}

/* Lives as long as the program. */
static void make_pods(struct identity *who)
{
	for (unsigned i = 0; i < PODS; i++) {
		struct str *labels = calloc(2, sizeof(*labels));

		if (!labels)
			die("out of memory");
		labels[0] = STR("app");
		labels[1] = text_of("app-%u", i % 40);
		who[i] = (struct identity){.refs = 1,
					   .kind = IDENTITY_POD,
					   .ns = i % 3 ? STR("shop") : text_of("team-%u", i % 20),
					   .name = text_of("pod-%u", i),
					   .workload_kind = STR("Deployment"),
					   .workload = labels[1],
					   .node = i & 1 ? STR("node-1") : STR("node-2"),
					   .labels = labels,
					   .labels_len = 1};
	}
}

static void make_records(struct record *r, const struct identity *who, const struct identity *services)
{
	uint64_t seed = 1;

	for (unsigned i = 0; i < RECORDS; i++) {
		unsigned from = random32(&seed) % PODS, to = random32(&seed) % PODS;
		static const uint16_t ports[] = {80, 443, 5432, 53, 6379, 8080};

		r[i] =
		    (struct record){.kind = random32(&seed) % 50 ? RECORD_FLOW : RECORD_DROP,
				    .from = {addr_from4(0x0af40000 + from),
					     (uint16_t)(32768 + random32(&seed) % 28000), &who[from]},
				    .to = {addr_from4(0x0af40000 + to), ports[random32(&seed) % 6], &who[to]},
				    .node = from & 1 ? "node-1" : "node-2",
				    .proto = 6,
				    .state = STATE_CLOSED,
				    .ended = true,
				    .bytes = {random32(&seed) % 100000, random32(&seed) % 3000000},
				    .packets = {10, 20},
				    .first = 1,
				    .last = 900000000,
				    .id = i + 1,
				    .handshake_us = random32(&seed) % 60000};
		if (random32(&seed) % 4 == 0) {
			r[i].service = &services[random32(&seed) % 40];
			r[i].via = addr_from4(0x0a600000 + to);
			r[i].via_port = 80;
		}
		if (r[i].kind == RECORD_DROP) {
			r[i].verdict = VERDICT_DROPPED;
			r[i].reason = DROP_POLICY_INGRESS;
		}
	}
}

int main(int argc, char **argv)
{
	unsigned n = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 100;
	unsigned rounds = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 50;
	static struct alert_rule *rules[ALERTS_MAX];
	static struct identity who[PODS], services[40];
	static struct record records[RECORDS];
	size_t room = 64 << 20;
	struct alert_set *set = NULL;
	uint64_t groups = 0;

	if (n > ALERTS_MAX || !rounds)
		die("how many alerts, how many rounds?");
	make_pods(who);
	for (unsigned i = 0; i < ARRAY_LEN(services); i++)
		services[i] = (struct identity){
		    .refs = 1, .kind = IDENTITY_SERVICE, .ns = STR("shop"), .name = text_of("service-%u", i)};
	make_records(records, who, services);
	for (unsigned i = 0; i < n; i++) {
		AUTO(remarks_fini) struct remarks remarks = {};
		struct alert_terms t = {.window_ms = 60000,
					.min_records = 1,
					.max_groups = 1000,
					.above = 100,
					.n_by = 1,
					.by = {ALERT_SRC_POD}};
		struct filter *f = NULL;
		struct str text = text_of(filters[i % ARRAY_LEN(filters)], i / (unsigned)ARRAY_LEN(filters));

		if (filter_parse(&f, text, (struct pos){}, &remarks) ||
		    alert_rule_new(&rules[i], &t, f, &room, 0))
			die("an alert cannot be made");
		filter_unref(&f);
	}
	if (alert_set_new(&set, rules, n))
		die("out of memory");
	double t = cpu();

	for (unsigned round = 0; round < rounds; round++)
		for (unsigned k = 0; k < RECORDS; k++)
			alert_set_take(set, &(struct sight){.now = &records[k], .now_ms = 1000000 + round});
	t = cpu() - t;
	alert_set_free(&set);
	for (unsigned i = 0; i < n; i++) {
		groups += rules[i]->groups.len;
		alert_rule_free(&rules[i]);
	}
	printf("{\"alerts\": %u, \"ns\": %.1f, \"groups\": %lu}\n", n, t / rounds / RECORDS,
	       (unsigned long)groups);
	return 0;
}
