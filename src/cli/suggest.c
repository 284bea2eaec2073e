/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `weft suggest`: NetworkPolicies from the connections that a running cluster has. Reads only; what to do
 * with the answer is the user's.
 */
#include "reason/suggest.h"

#include "base/own.h"
#include "cli/cluster.h"
#include "cli/command.h"
#include "cli/output.h"
#include "cli/seen.h"
#include "cli/world.h"
#include "object/decode.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <time.h>

/* "90", "60s", "5m", "1h": seconds, or -1. */
static int64_t seconds_of(const char *text)
{
	static const struct {
		char unit;
		int64_t factor;
	} units[] = {{'s', 1}, {'m', 60}, {'h', 3600}};
	struct str s = str_of(text);
	int64_t n, factor = 1;

	for (size_t i = 0; i < ARRAY_LEN(units) && s.n; i++)
		if (s.p[s.n - 1] == units[i].unit) {
			factor = units[i].factor;
			s.n--;
			break;
		}
	return str_to_i64(s, 1, 86400, &n) ? -1 : n * factor;
}

static int wait_for(int64_t seconds)
{
	struct timespec left = {.tv_sec = seconds};

	fprintf(stderr, "watching connections for %lld s…\n", (long long)seconds);
	while (nanosleep(&left, &left))
		if (errno != EINTR)
			return -1;
	return 0;
}

/* What counts: answered connections, and one-way UDP; of the last `window_ms` where it is not 0. */
static int take(const struct seen_all *all, uint64_t window_ms, struct seen_flows *out)
{
	int r = 0;

	VEC_EACH (&all->list, x) {
		if ((!x->answered && x->proto != IPPROTO_UDP) || (window_ms && x->last_ms > window_ms))
			continue;
		const struct seen_flow f = {.from = x->from, .to = x->to, .proto = x->proto, .port = x->port};
		r = r ? r : vec_push(&out->list, f);
	}
	return r;
}

static void about(struct buf *b, const struct seen_all *all, int64_t seconds, size_t flows)
{
	uint64_t age = seconds ? (uint64_t)seconds : all->since_ms / 1000;

	buf_printf(b, "From %zu flow%s that %u node%s saw in %llu s.", flows, flows == 1 ? "" : "s",
		   all->nodes, all->nodes == 1 ? "" : "s", (unsigned long long)age);
	if (all->lost)
		buf_printf(b, "\n%llu connections found no room and are not in it.",
			   (unsigned long long)all->lost);
	buf_addz(
	    b, "\nEach workload may send and receive what was seen, and nothing else.\nPolicies that are in "
	       "force already add to it: `weft diff --live DIR` shows what changes.");
}

static int add_item(void *ctx, struct object *o)
{
	struct buf *b = ctx;

	buf_addz(b, b->n ? "," : "");
	object_print_json(b, o, PRINT_PLAIN);
	object_unref(&o);
	return b->failed ? -ENOMEM : 0;
}

static int print_json(struct str yaml)
{
	AUTO(remarks_fini) struct remarks rs = {0};
	struct file *file = NULL;
	AUTO_BUF items = {0};
	const struct decoder_options opt = {.sink = add_item, .ctx = &items, .remarks = &rs};
	int r = file_new(&file, "suggested", yaml.p, yaml.n);

	if (!r)
		r = decode_yaml(file, &opt);
	file_unref(&file);
	if (r) {
		cli_error(NULL, "cannot print the policies: %s", strerror(-r));
		return -1;
	}
	printf("{\"apiVersion\":\"v1\",\"kind\":\"List\",\"items\":[%s]}\n", items.p ? items.p : "");
	return 0;
}

static int write_policies(const struct options_suggest *o, const struct store *s, const struct seen_all *all,
			  int64_t seconds)
{
	struct seen_flows flows = {0};
	struct suggested counts = {0};
	AUTO_BUF top = {0};
	AUTO_BUF yaml = {0};
	int r = take(all, seconds ? (uint64_t)seconds * 1000 + 1000 : 0, &flows);

	about(&top, all, seconds, flows.list.len);
	const struct suggest_options opt = {.ns = str_of(o->ns), .about = top.p};
	if (!r)
		r = suggest(s, &flows, &opt, &yaml, &counts);
	vec_free(&flows.list);
	if (r) {
		cli_error(NULL, "out of memory");
		return EXIT_FAILED;
	}
	if (!counts.policies) {
		cli_error(o->ns ? "`weft get pods -A` lists them" : NULL,
			  "there is no pod to write a policy for");
		return EXIT_FAILED;
	}
	if (o->output && !strcmp(o->output, "json") && print_json(buf_str(&yaml)))
		return EXIT_FAILED;
	if (!o->output || strcmp(o->output, "json") != 0)
		fwrite(yaml.p, 1, yaml.n, stdout);
	fprintf(stderr, "%zu policies for %zu flows\n", counts.policies, counts.flows);
	if (counts.strangers)
		fprintf(stderr, "%zu flows left out: their pods are gone\n", counts.strangers);
	if (counts.portless)
		fprintf(stderr,
			"%zu flows left out: protocols without ports, as ICMP, which no rule can name\n",
			counts.portless);
	return EXIT_OK;
}

int cmd_suggest(const struct options_suggest *o)
{
	const char *name = cluster_name(o->name);
	int64_t seconds = o->window ? seconds_of(o->window) : 0;
	struct seen_all all = {0};
	struct store *s = NULL;
	int r;

	if (!name)
		return EXIT_USAGE;
	if (seconds < 0) {
		cli_error("as 60s, 5m or 1h", "--for %s is no time", o->window);
		return EXIT_USAGE;
	}
	if (!cluster_need(name) || (seconds && wait_for(seconds)) || world_from_cluster(&s, name))
		return EXIT_FAILED;
	r = seen_collect(&all, name) ? EXIT_FAILED : write_policies(o, s, &all, seconds);
	seen_fini(&all);
	store_free(&s);
	return r;
}
