/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A million questions "may this pod reach that one on this port?" to the offline engine: manifests → objects
 * → each node's plan → one verdict table; then random pairs of pods, half of them on the declared port.
 * Prints one JSON line. Touches no kernel. Called by bench/run.
 */
#include "base/own.h"
#include "compile/compile.h"
#include "compile/verdict.h"
#include "hub/offline.h"
#include "seam/config.h"
#include "source/dir.h"
#include "store/store.h"

#include <errno.h>

#include <netinet/in.h>
#include <stdio.h>
#include <time.h>

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static _Noreturn void die(const char *what, int error, const struct remarks *rs)
{
	if (rs)
		remarks_print(stderr, rs, false);
	fprintf(stderr, "questions: %s: %s\n", what, strerror(-error));
	exit(1);
}

static struct store *load(const char *folder)
{
	struct cluster_options options = {.nodes = 50};
	struct source_changes changes = {0};
	struct source_dir *dir = NULL;
	struct remarks rs = {0};
	struct store *s = NULL;
	int r = store_new(&s, 1);

	if (!r)
		r = source_dir_new(&dir, &folder, 1, NULL, &rs);
	if (!r)
		r = source_dir_scan(dir, &changes, &rs);
	VEC_EACH (&changes.list, c)
		if (!r && c->op == SOURCE_PUT)
			r = store_put(s, TAKE(c->object), NULL);
	source_changes_fini(&changes);
	source_dir_free(&dir);
	if (!r)
		r = cluster_expand(s, &options, &rs);
	if (r)
		die(folder, r, &rs);
	remarks_fini(&rs);
	return s;
}

/* Adds the plan of one node to the table. */
static void add_node(struct verdict_table *t, const struct store *s, const struct object *node)
{
	struct compile_config config = {.node = node->meta.name, .mode = MODE_VXLAN, .mtu = 1500};
	struct plan_delta delta = {0};
	struct compiler *c = NULL;
	struct remarks rs = {0};
	struct plan plan = {0};
	int r;

	cluster_service_ranges(&config.services4, &config.services6);
	r = compiler_new(&c, &config);
	for (int k = 0; !r && k < KIND_COUNT; k++) {
		struct object_refs refs = {0};

		r = store_list(s, (enum kind)k, (struct str){0}, &refs);
		VEC_EACH (&refs.list, o) {
			if (!r)
				r = compiler_tell(c, NULL, *o);
		}
		vec_free(&refs.list);
	}
	if (!r)
		compiler_wire_all(c);
	if (!r)
		r = compiler_run(c, &delta, &rs);
	if (!r)
		r = compiler_plan(c, &plan);
	if (!r)
		r = verdict_table_add(t, &plan);
	if (r)
		die("compile", r, &rs);
	plan_delta_fini(&delta);
	remarks_fini(&rs);
	vec_free(&plan.rows);
	compiler_free(&c);
}

struct pods {
	VEC(struct addr) list;
};

static void collect(const struct store *s, struct pods *out)
{
	struct object_refs refs = {0};
	struct addr a;

	if (store_list(s, KIND_pod, (struct str){0}, &refs))
		die("pods", -ENOMEM, NULL);
	VEC_EACH (&refs.list, o) {
		const struct pod *p = (*o)->pod;

		if (p->status && p->status->pod_ip.n && !addr_parse(p->status->pod_ip, &a) &&
		    vec_push(&out->list, a))
			die("pods", -ENOMEM, NULL);
	}
	vec_free(&refs.list);
	if (out->list.len < 2)
		die("the manifests make fewer than two pods with addresses", -EINVAL, NULL);
}

static uint32_t dice(uint64_t *state)
{
	*state = *state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(*state >> 33);
}

static size_t ask(const struct verdict_table *t, const struct pods *pods, size_t count, uint64_t seed)
{
	size_t allowed = 0;

	for (size_t i = 0; i < count; i++) {
		struct question q = {
		    .src = pods->list.items[dice(&seed) % pods->list.len],
		    .dst = pods->list.items[dice(&seed) % pods->list.len],
		    .proto = IPPROTO_TCP,
		    .port = dice(&seed) & 1 ? 8080 : 9090,
		};

		allowed += verdict_ask(t, &q).verdict == JUDGED_ALLOW;
	}
	return allowed;
}

int main(int argc, char **argv)
{
	size_t count = argc == 4 ? strtoul(argv[2], NULL, 10) : 0, allowed = 0;
	int rounds = argc == 4 ? atoi(argv[3]) : 0;
	struct verdict_table *table = NULL;
	struct object_refs nodes = {0};
	struct pods pods = {0};
	double began = now();
	struct store *s;

	if (!count || rounds < 1) {
		fputs("usage: bench-questions FOLDER QUESTIONS ROUNDS\n", stderr);
		return 2;
	}
	s = load(argv[1]);
	if (verdict_table_new(&table) || store_list(s, KIND_node, (struct str){0}, &nodes))
		die("table", -ENOMEM, NULL);
	VEC_EACH (&nodes.list, node)
		add_node(table, s, *node);
	collect(s, &pods);
	printf("{\"pods\":%zu,\"policies\":%zu,\"prepare_seconds\":%.3f,\"seconds\":[", pods.list.len,
	       store_count(s, KIND_networkpolicy), now() - began);
	for (int r = 0; r < rounds; r++) {
		began = now();
		allowed += ask(table, &pods, count, (uint64_t)r + 1);
		printf("%s%.4f", r ? "," : "", now() - began);
	}
	printf("],\"asked\":%zu,\"allowed\":%zu}\n", count * (size_t)rounds, allowed);
	verdict_table_free(&table);
	vec_free(&nodes.list);
	vec_free(&pods.list);
	store_free(&s);
	return allowed ? 0 : 1;
}
