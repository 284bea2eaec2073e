/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The document of `weft why` as text: a line that says it all, then the path step by step. What is alike for
 * several backends, or for both families, is said once. Reads the document only.
 */
#include "cli/why.h"

#include "base/own.h"
#include "cli/output.h"

#include <stdio.h>

#define PLACE_INDENT "             "

static const char *text(const json_t *o, const char *name)
{
	return json_string_value(json_object_get(o, name)) ?: "";
}

static bool flag(const json_t *o, const char *name)
{
	return json_is_true(json_object_get(o, name));
}

static long long number(const json_t *o, const char *name)
{
	return (long long)json_integer_value(json_object_get(o, name));
}

void why_place(struct buf *b, const json_t *at)
{
	if (!*text(at, "file"))
		return;
	buf_printf(b, "%s:%lld:%lld", text(at, "file"), number(at, "line"), number(at, "column"));
	if (*text(at, "commit"))
		buf_printf(b, "@%.12s", text(at, "commit"));
}

static void print_place(const json_t *at)
{
	AUTO_BUF b = {0};

	why_place(&b, at);
	if (b.n)
		printf("  %s%s%s", output_style(STYLE_DIM), b.p, output_style(STYLE_PLAIN));
	putchar('\n');
}

static const char *verdict_style(bool allowed)
{
	return output_style(allowed ? STYLE_GREEN : STYLE_RED);
}

/* "NetworkPolicy shop/web ingress[0]", "ClusterNetworkPolicy base egress[1] "no-db" (Admin tier, priority 5)"
 */
static void print_rule(const json_t *rule)
{
	printf("%s %s", text(rule, "policy"), text(rule, "path"));
	if (*text(rule, "name"))
		printf(" \"%s\"", text(rule, "name"));
	if (*text(rule, "tier"))
		printf(" (%s tier, priority %lld)", text(rule, "tier"), number(rule, "priority"));
	print_place(rule);
}

/* --- one direction of one pod --- */

static void print_policies(const json_t *side)
{
	const json_t *p;
	size_t i;

	json_array_foreach (json_object_get(side, "policies"), i, p) {
		long long rules = number(p, "rules");

		printf(PLACE_INDENT "%s", text(p, "policy"));
		if (*text(p, "tier"))
			printf(" (%s tier, priority %lld; does not isolate)", text(p, "tier"),
			       number(p, "priority"));
		else if (!rules)
			printf(" (allows nothing)");
		else
			printf(" (%lld rule%s)", rules, rules == 1 ? "" : "s");
		if (flag(p, "staged"))
			printf(" (staged)");
		print_place(p);
	}
}

static void print_missed(const json_t *side)
{
	const json_t *all = json_object_get(side, "missed"), *m;
	size_t i, n = json_array_size(all);

	if (n)
		printf("           nearest rule%s that missed:\n", n == 1 ? "" : "s");
	json_array_foreach ((json_t *)(uintptr_t)all, i, m) {
		printf(PLACE_INDENT "%s %s", text(m, "policy"), text(m, "what"));
		print_place(m);
	}
}

/* Each pattern that could let it through, and what is known of the address under it. */
static void print_names(const json_t *side)
{
	const json_t *n;
	size_t i;

	if (json_array_size(json_object_get(side, "domainNames")))
		printf("           names that let it through while a DNS answer has told the address:\n");
	json_array_foreach (json_object_get(side, "domainNames"), i, n) {
		const json_t *seconds = json_object_get(n, "seconds");
		long long left = number(n, "seconds");

		printf(PLACE_INDENT "\"%s\"", text(n, "pattern"));
		if (seconds && left > 0)
			printf(", learned, for another %lld s,", left);
		else if (seconds)
			printf(", learned, but over since %lld s,", -left);
		printf(" of ");
		print_rule(json_object_get(n, "rule"));
	}
}

static size_t isolating(const json_t *side)
{
	const json_t *p;
	size_t i, n = 0;

	json_array_foreach (json_object_get(side, "policies"), i, p)
		n += !*text(p, "tier");
	return n;
}

static void print_default(const json_t *side, const char *pod)
{
	size_t n = isolating(side);

	if (n == 1)
		printf(": 1 policy isolates %s, and no rule of it matches:\n", pod);
	else
		printf(": %zu policies isolate %s, and no rule of them matches:\n", n, pod);
	print_policies(side);
	print_missed(side);
	if (json_array_size(json_object_get(side, "domainNames")))
		printf("           what would let it through as soon as the cluster's DNS gives this "
		       "address:\n");
	print_names(side);
}

static void print_reason(const json_t *side, const char *pod, const char *direction)
{
	const char *why = text(side, "reason");

	if (!strcmp(why, "not-selected"))
		printf(": no policy selects %s for %s\n", pod, direction);
	else if (!strcmp(why, "open"))
		printf(": only cluster policies select %s, and no rule of them matches\n", pod);
	else if (!strcmp(why, "own-node"))
		printf(": sockets of its own node always get in\n");
	else if (!strcmp(why, "self"))
		printf(": no policy stands between a pod and itself\n");
	else if (!strcmp(why, "default-deny"))
		print_default(side, pod);
	else if (!strcmp(why, "learned")) {
		printf(": a DNS answer gave this address under a name that a rule accepts\n");
		print_names(side);
	} else {
		printf(" by ");
		print_rule(json_object_get(side, "rule"));
		if (!strcmp(why, "deny")) {
			print_missed(side);
			print_names(side);
		}
	}
}

static void print_passed(const json_t *side)
{
	const json_t *r;
	size_t i;

	json_array_foreach (json_object_get(side, "passed"), i, r) {
		printf("           before, Pass hands it to what follows: ");
		print_rule(r);
	}
}

static void print_staged(const json_t *side, const char *pod, const char *direction)
{
	const json_t *staged = json_object_get(side, "staged");

	if (!staged)
		return;
	if (flag(staged, "allowed") == flag(side, "allowed")) {
		printf("    staged  the staged policies that select %s would not change this\n", pod);
		return;
	}
	printf("    staged  %swould be %s%s", output_style(STYLE_YELLOW),
	       flag(staged, "allowed") ? "allowed" : "refused", output_style(STYLE_PLAIN));
	print_reason(staged, pod, direction);
	if (json_object_get(staged, "connections")) {
		printf("            in live traffic of this pod: %lld connection%s",
		       number(staged, "connections"), number(staged, "connections") == 1 ? "" : "s");
		if (json_object_get(staged, "secondsAgo"))
			printf(", the last %lld s ago", number(staged, "secondsAgo"));
		putchar('\n');
	}
}

static void print_side(const json_t *side)
{
	const char *direction = text(side, "direction"), *pod = text(side, "pod");
	bool allowed = flag(side, "allowed");

	if (!side)
		return;
	printf("  %-8s  %s%s%s", direction, verdict_style(allowed), allowed ? "allowed" : "refused",
	       output_style(STYLE_PLAIN));
	print_reason(side, pod, direction);
	print_passed(side);
	print_staged(side, pod, direction);
	if (json_object_get(side, "differs"))
		printf("  %sDIFFERS%s   %s\n", output_style(STYLE_RED), output_style(STYLE_PLAIN),
		       text(side, "differs"));
}

/* --- ways --- */

static void print_way(const json_t *flow)
{
	const char *way = text(flow, "way"), *node = text(flow, "node");

	printf("  way       ");
	if (!strcmp(way, "local"))
		printf("delivered on %s\n", node);
	else if (!strcmp(way, "tunnel"))
		printf("through the tunnel to %s\n", node);
	else if (!strcmp(way, "route"))
		printf("routed over the uplink to %s\n", node);
	else if (!strcmp(way, "inbound"))
		printf("from outside, routed to %s\n", *node ? node : "the address");
	else if (!strcmp(way, "node"))
		printf("to an address of %s\n", node);
	else if (!strcmp(way, "own-node"))
		printf("to sockets of its own node, %s; policies do not judge those\n", node);
	else if (!strcmp(way, "nobody"))
		printf("%snobody%s has %s: it is refused at once\n", output_style(STYLE_RED),
		       output_style(STYLE_PLAIN), text(flow, "address"));
	else if (!strcmp(way, "no-service"))
		printf("%snone%s: %s is a Service's address, and nothing is served there under this protocol "
		       "and port: it is refused at once\n",
		       output_style(STYLE_RED), output_style(STYLE_PLAIN), text(flow, "address"));
	else if (!strcmp(way, "unassigned"))
		printf("%snone%s: %s lies in the range of Services, and none has it: dropped\n",
		       output_style(STYLE_RED), output_style(STYLE_PLAIN), text(flow, "address"));
	else
		printf("out of the cluster, over the node's uplink\n");
}

/* NP39: whether an ipBlock can know the client. */
static void print_source(const json_t *flow, bool from_outside)
{
	if (flag(flow, "masquerade"))
		printf("  source    becomes %s%s\n", text(flow, "seenAs"),
		       from_outside ? ", the node's: an ipBlock with the client's address cannot match" : "");
	else if (from_outside && json_object_get(flow, "ingress"))
		printf("  source    stays %s: an ipBlock with the client's address can match\n",
		       text(flow, "seenAs"));
}

/* --- flows --- */

static void sign_side(struct buf *b, const json_t *side)
{
	const json_t *staged = json_object_get(side, "staged");

	buf_printf(b, "|%d%d%s%s%s", side != NULL, flag(side, "allowed"), text(side, "reason"),
		   text(json_object_get(side, "rule"), "id"), text(side, "differs"));
	if (staged)
		sign_side(b, staged);
}

/* Flows that read alike have one signature; pods and addresses are not part of it. */
static void sign_flow(struct buf *b, const json_t *flow)
{
	const json_t *v;
	size_t i;

	buf_printf(b, "%s%d", text(flow, "way"), flag(flow, "masquerade"));
	sign_side(b, json_object_get(flow, "egress"));
	sign_side(b, json_object_get(flow, "ingress"));
	json_array_foreach (json_object_get(json_object_get(flow, "then"), "flows"), i, v)
		sign_flow(b, v);
}

static bool signed_alike(const json_t *a, const json_t *b)
{
	AUTO_BUF x = {0}, y = {0};

	sign_flow(&x, a);
	sign_flow(&y, b);
	return !x.failed && !y.failed && str_eq(buf_str(&x), buf_str(&y)) &&
	       !strcmp(text(a, "node"), text(b, "node"));
}

static size_t alike(const json_t *flows, size_t at, size_t *first)
{
	const json_t *v, *me = json_array_get(flows, at);
	size_t i, n = 0;

	*first = at;
	json_array_foreach ((json_t *)(uintptr_t)flows, i, v) {
		if (!signed_alike(v, me))
			continue;
		if (!n++)
			*first = i;
	}
	return n;
}

static void print_end(const json_t *flow)
{
	bool six = strchr(text(flow, "address"), ':');

	printf(six ? "[%s]" : "%s", text(flow, "address"));
	if (number(flow, "port"))
		printf(":%lld", number(flow, "port"));
	if (*text(flow, "pod"))
		printf(", %s", text(flow, "pod"));
}

static void print_answer(const json_t *answer, bool from_outside);

static void print_flow(const json_t *flow, bool from_outside)
{
	const json_t *then = json_object_get(flow, "then");

	print_side(json_object_get(flow, "egress"));
	print_way(flow);
	print_source(flow, from_outside);
	if (then)
		print_answer(then, true);
	print_side(json_object_get(flow, "ingress"));
}

static void print_service(const json_t *t, size_t n)
{
	static const char *const words[][2] = {{"nodePort", ", node port"},
					       {"balancer", ", address of the balancer"},
					       {"external", ", external IP"},
					       {"hostPort", ", host port"}};
	const char *as = "", *by = text(t, "announcedBy");

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (!strcmp(text(t, "as"), words[i][0]))
			as = words[i][1];
	printf("  becomes   %s%s: %zu endpoint%s", text(t, "service"), as, n, n == 1 ? "" : "s");
	if (*by)
		printf(", announced by %s", by);
	if (number(t, "affinitySeconds"))
		printf(", a client stays for %lld s", number(t, "affinitySeconds"));
	if (flag(t, "maglev"))
		printf(", by Maglev");
	if (flag(t, "direct"))
		printf(", answered directly");
	print_place(t);
}

/* What the node's kernel does beside what the objects say. */
static void print_kernel(const json_t *answer)
{
	const json_t *k = json_object_get(answer, "kernel"), *v;
	size_t i;

	if (!k)
		return;
	if (!flag(k, "known"))
		printf("  kernel    %s does not know this address of the Service yet\n", text(k, "node"));
	json_array_foreach (json_object_get(k, "stale"), i, v)
		printf("  kernel    %s still sends to %s%s%s, which is no endpoint now\n", text(k, "node"),
		       output_style(STYLE_RED), json_string_value(v), output_style(STYLE_PLAIN));
	json_array_foreach (json_object_get(k, "missing"), i, v)
		if (flag(k, "known"))
			printf("  kernel    %s does not send to %s yet\n", text(k, "node"),
			       json_string_value(v));
}

/* Why nobody serves: the Service's pods, one by one. */
static void print_outs(const json_t *answer)
{
	const json_t *outs = json_object_get(answer, "outs"), *v, *why;
	long long n = number(answer, "selected");
	size_t i, k;

	if (!outs)
		return;
	if (*text(answer, "noSelector"))
		printf("  endpoints %s\n", text(answer, "noSelector"));
	else if (!n)
		printf("  endpoints its selector %s means no pod\n", text(answer, "selector"));
	else
		printf("  endpoints its selector %s means %lld pod%s, and none serves:\n",
		       text(answer, "selector"), n, n == 1 ? "" : "s");
	json_array_foreach (outs, i, v) {
		printf("            %s:", text(v, "pod"));
		json_array_foreach (json_object_get(v, "why"), k, why)
			printf("%s %s", k ? ";" : "", json_string_value(why));
		putchar('\n');
	}
	if (n > (long long)json_array_size(outs))
		printf("            and %lld more\n", n - (long long)json_array_size(outs));
}

static void print_translation(const json_t *answer, const json_t *flows)
{
	const json_t *t = json_object_get(answer, "translation");
	size_t n = json_array_size(flows);

	if (t)
		print_service(t, n);
	if (flag(answer, "headless"))
		printf("  becomes   what DNS says: %zu endpoint%s\n", n, n == 1 ? "" : "s");
	if (!n && *text(answer, "noWay"))
		printf("  way       %snone%s: %s\n", output_style(STYLE_RED), output_style(STYLE_PLAIN),
		       text(answer, "noWay"));
	else if (!n)
		printf("  way       %snone%s: the Service has no endpoint that is ready; it is refused at "
		       "once\n",
		       output_style(STYLE_RED), output_style(STYLE_PLAIN));
	print_outs(answer);
	print_kernel(answer);
}

static void print_troubles(const json_t *doc)
{
	const json_t *v;
	size_t i;

	json_array_foreach (json_object_get(doc, "troubles"), i, v)
		printf("  %snotice%s    %s: %s.\n", output_style(STYLE_YELLOW), output_style(STYLE_PLAIN),
		       text(v, "node"), text(v, "text"));
}

static void print_answer(const json_t *answer, bool from_outside)
{
	const json_t *flows = json_object_get(answer, "flows"), *flow;
	size_t i, first, n = json_array_size(flows);

	if (*text(answer, "entry") && !strcmp(text(json_object_get(answer, "translation"), "as"), "nodePort"))
		printf("  enters    at node port %lld of %s\n", number(answer, "port"),
		       text(answer, "entry"));
	else if (*text(answer, "entry"))
		printf("  enters    at %s, port %lld, on %s\n", text(answer, "destination"),
		       number(answer, "port"), text(answer, "entry"));
	print_translation(answer, flows);
	json_array_foreach ((json_t *)(uintptr_t)flows, i, flow) {
		size_t same = alike(flows, i, &first);
		if (first != i)
			continue;
		if (n > 1 || json_object_get(answer, "translation") || flag(answer, "headless")) {
			printf("  backend   ");
			print_end(flow);
			if (same > 1)
				printf(" (alike for %zu of %zu)", same, n);
			putchar('\n');
		}
		print_flow(flow, from_outside);
	}
}

/* --- the whole --- */

static bool families_alike(const json_t *families)
{
	const json_t *a = json_array_get(families, 0), *b = json_array_get(families, 1), *v;
	const json_t *other = json_object_get(b, "flows");
	size_t i, n = json_array_size(json_object_get(a, "flows"));
	AUTO_BUF x = {0}, y = {0};

	if (n != json_array_size(other) ||
	    json_array_size(json_object_get(a, "outs")) != json_array_size(json_object_get(b, "outs")))
		return false;
	if (flag(a, "differs") || flag(b, "differs"))
		return false;
	json_array_foreach (json_object_get(a, "flows"), i, v) {
		sign_flow(&x, v);
		sign_flow(&y, json_array_get(other, i));
	}
	return !x.failed && !y.failed && str_eq(buf_str(&x), buf_str(&y));
}

static void print_ends(const json_t *doc, const json_t *answer)
{
	const char *const names[] = {"from", "to"}, *const addresses[] = {"source", "destination"};

	for (int i = 0; i < 2; i++) {
		const json_t *e = json_object_get(doc, names[i]);
		const char *address = text(answer, addresses[i]);

		printf("  %-8s  %s", names[i], text(e, "name"));
		if (*text(e, "note"))
			printf(" (%s)", text(e, "note"));
		if (strcmp(text(e, "name"), address) && strcmp(address, "::"))
			printf(", %s", address);
		if (*text(e, "node") && strcmp(text(e, "kind"), "node"))
			printf(", on %s", text(e, "node"));
		putchar('\n');
		if (flag(e, "hostNetwork"))
			printf("            it uses its node's network: policies neither judge it nor know "
			       "it by its "
			       "labels\n");
	}
}

static const char *verdict(const json_t *answer)
{
	if (flag(answer, "allowed"))
		return "allowed";
	return flag(answer, "some") ? "refused by some endpoints" : "refused";
}

void why_print(const json_t *doc)
{
	const json_t *families = json_object_get(doc, "families"), *v;
	size_t i, n = json_array_size(families);
	bool same = n == 2 && families_alike(families);

	json_array_foreach ((json_t *)(uintptr_t)families, i, v) {
		bool outside = !strcmp(text(json_object_get(doc, "from"), "kind"), "outside");

		if (i && same)
			continue;
		printf("%s%s → %s", i ? "\n" : "", text(json_object_get(doc, "from"), "name"),
		       text(json_object_get(doc, "to"), "name"));
		if (number(doc, "port"))
			printf(" %s %lld", text(doc, "protocol"), number(doc, "port"));
		else
			printf(" %s", text(doc, "protocol"));
		printf(", %s: %s%s%s\n", same ? "IPv4 and IPv6" : text(v, "family"),
		       verdict_style(flag(v, "allowed")), verdict(v), output_style(STYLE_PLAIN));
		print_ends(doc, v);
		print_answer(v, outside);
	}
	print_troubles(doc);
	if (flag(doc, "differs") && !json_object_get(doc, "troubles"))
		printf("\n%sThe kernel does not hold what the policies say.%s The log of the node in "
		       "/run/weft/NAME/log may tell why.\n",
		       output_style(STYLE_RED), output_style(STYLE_PLAIN));
}
