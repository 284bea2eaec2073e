/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `weft why FROM TO[:PORT]`: asks the node of the source for translation, ways and egress, the node of each
 * destination for ingress, and joins what they say into one document, family by family. Text is
 * why_print.c's.
 */
#include "cli/why.h"

#include "base/own.h"
#include "cli/causes.h"
#include "cli/cluster.h"
#include "cli/copies.h"
#include "cli/output.h"
#include "cli/overlay.h"
#include "cli/why_ready.h"
#include "cli/world.h"

#include <netinet/in.h>
#include <stdio.h>

struct asking {
	struct why_source *src;
	const struct store *store;
	const struct why_asked *a;
	const struct options_why *o;
	int family; /* 0: IPv4 */
	bool differs, failed;
};

static uint8_t proto_of(const struct asking *k)
{
	return k->a->proto == IPPROTO_ICMP && k->family ? IPPROTO_ICMPV6 : k->a->proto;
}

static bool flag(const json_t *o, const char *name)
{
	return json_is_true(json_object_get(o, name));
}

static const char *text(const json_t *o, const char *name)
{
	return json_string_value(json_object_get(o, name)) ?: "";
}

static void set_text(json_t *o, const char *name, const char *value)
{
	if (value)
		json_object_set_new(o, name, json_string(value));
}

/* --- what is live --- */

/* Connections that the staged policies of this pod judged otherwise, in this direction. */
static void add_staged(const char *cluster, const char *node, json_t *side)
{
	json_t *staged = json_object_get(side, "staged"), *v, *age;
	const char *would = flag(staged, "allowed") ? "allow" : "refuse";
	const char *direction = strcmp(text(side, "direction"), "ingress") ? "from-pod" : "to-pod";
	json_int_t n = 0, seconds = -1;
	size_t i;

	if (!staged || flag(staged, "allowed") == flag(side, "allowed"))
		return;
	AUTO_JSON seen = observer_get(cluster, node, "/staged");
	json_array_foreach (json_object_get(seen, "staged"), i, v) {
		if (strcmp(text(v, "pod"), text(side, "pod")) || strcmp(text(v, "direction"), direction) ||
		    strcmp(text(v, "would"), would))
			continue;
		n += json_integer_value(json_object_get(v, "connections"));
		age = json_object_get(v, "secondsAgo");
		if (age && (seconds < 0 || json_integer_value(age) < seconds))
			seconds = json_integer_value(age);
	}
	if (seen)
		json_object_set_new(staged, "connections", json_integer(n));
	if (seconds >= 0)
		json_object_set_new(staged, "secondsAgo", json_integer(seconds));
}

/* Which patterns the destination is known under now, and for how long; or since when no more. */
static void add_learned(const char *cluster, const char *node, const char *address, json_t *side)
{
	json_t *names = json_object_get(side, "domainNames"), *name, *v;
	size_t i, j;

	if (!json_array_size(names))
		return;
	AUTO_JSON seen = observer_get(cluster, node, "/learned");
	json_array_foreach (names, i, name)
		json_array_foreach (json_object_get(seen, "learned"), j, v)
			if (!strcmp(text(v, "address"), address) &&
			    json_equal(json_object_get(v, "class"), json_object_get(name, "class")))
				json_object_set(name, "seconds", json_object_get(v, "seconds"));
}

/* Packets of that node which found no port or no room to be translated: the next may be one. */
static void add_untranslated(struct asking *k, const char *node)
{
	const char *cluster = why_source_cluster(k->src);
	json_t *troubles = why_source_troubles(k->src), *v;
	size_t i;

	json_array_foreach (troubles, i, v)
		if (!strcmp(text(v, "node"), node) && (flag(v, "away") || json_object_get(v, "untranslated")))
			return;
	AUTO_JSON seen = cluster ? observer_get(cluster, node, "/drops") : NULL;
	json_array_foreach (json_object_get(seen, "drops"), i, v) {
		const char *reason = text(v, "reason");
		json_int_t n = json_integer_value(json_object_get(v, "packets"));
		AUTO_BUF b = {0};

		if (!n || (strcmp(reason, "snat-ports") && strcmp(reason, "nat-full")))
			continue;
		buf_printf(&b,
			   "of its packets %lld could not be translated since its start: %s. %.*s `weft who` "
			   "with its address says who has most",
			   (long long)n, reason, (int)strlen(text(v, "advice")), text(v, "advice"));
		json_array_append_new(troubles,
				      json_pack("{s:s,s:s,s:I,s:s}", "node", node, "text", b.p ? b.p : "",
						"untranslated", n, "reason", reason));
	}
}

/* --- one flow --- */

static bool flow_allowed(const json_t *flow)
{
	const json_t *out = json_object_get(flow, "egress"), *in = json_object_get(flow, "ingress");
	const json_t *then = json_object_get(flow, "then"), *v;
	bool yes = (!out || flag(out, "allowed")) && (!in || flag(in, "allowed")) &&
		   strcmp(text(flow, "way"), "nobody") && strcmp(text(flow, "way"), "no-service") &&
		   strcmp(text(flow, "way"), "unassigned");
	size_t i;

	if (then)
		yes = yes && json_array_size(json_object_get(then, "flows"));
	json_array_foreach (json_object_get(then, "flows"), i, v)
		yes = yes && flag(v, "allowed");
	return yes;
}

static void note_side(struct asking *k, const char *node, const char *address, json_t *side)
{
	const char *cluster = why_source_cluster(k->src);

	k->differs |= json_object_get(side, "differs") != NULL;
	if (!cluster || !side)
		return;
	add_staged(cluster, node, side);
	add_learned(cluster, node, address, side);
}

/* Where a packet for a node's own address is translated again: a NodePort. */
static void follow_node(struct asking *k, json_t *flow, const struct why_question *q);

static void finish_flow(struct asking *k, const char *at, json_t *flow, const struct why_question *asked)
{
	struct why_question q = {.proto = asked->proto, .self = flag(flow, "self"), .outside = true};
	const char *node = text(flow, "node");

	if (addr_parse(str_of(text(flow, "seenAs")), &q.src) ||
	    addr_parse(str_of(text(flow, "address")), &q.dst)) {
		k->failed = true;
		return;
	}
	q.port = (uint16_t)json_integer_value(json_object_get(flow, "port"));
	note_side(k, at, text(flow, "address"), json_object_get(flow, "egress"));
	if (flag(flow, "masquerade"))
		add_untranslated(k, at);
	if (*text(flow, "pod") && *node) {
		json_t *in = why_source_ask(k->src, node, &q, true);
		k->failed |= !in;
		note_side(k, node, text(flow, "seenAs"), in);
		if (in)
			json_object_set_new(flow, "ingress", in);
	} else if (!strcmp(text(flow, "way"), "node")) {
		follow_node(k, flow, &q);
	}
	json_object_set_new(flow, "allowed", json_boolean(flow_allowed(flow)));
}

static void finish_flows(struct asking *k, json_t *answer, const struct why_question *q)
{
	json_t *flow;
	size_t i;

	json_array_foreach (json_object_get(answer, "flows"), i, flow)
		finish_flow(k, text(answer, "node"), flow, q);
}

static void follow_node(struct asking *k, json_t *flow, const struct why_question *q)
{
	json_t *then = why_source_ask(k->src, text(flow, "node"), q, false);

	k->failed |= !then;
	if (then && json_object_get(then, "translation")) {
		finish_flows(k, then, q);
		json_object_set(flow, "then", then);
	}
	json_decref(then);
}

/* --- where the question enters --- */

static json_t *no_way(const char *why)
{
	return json_pack("{s:[],s:s}", "flows", "noWay", why);
}

/* From outside straight to an address of a pod. */
static json_t *direct(const struct asking *k, const struct why_question *q)
{
	char src[ADDR_TEXT], dst[ADDR_TEXT];
	json_t *flow;

	addr_print(&q->src, src);
	addr_print(&q->dst, dst);
	flow =
	    json_pack("{s:i,s:s,s:s,s:s}", "port", q->port, "way", "inbound", "address", dst, "seenAs", src);
	if (k->a->to.kind == END_POD && !k->a->to.host_network) {
		set_text(flow, "pod", k->a->to.words);
		set_text(flow, "node", k->a->to.node);
	}
	return json_pack("{s:[o]}", "flows", flow);
}

/* The node that is called at a Service's node port: --node, else the first. */
static const struct object *entry_node(const struct asking *k)
{
	const struct object *found = NULL;
	struct object_refs nodes = {0};

	(void)store_list(k->store, KIND_node, (struct str){0}, &nodes);
	VEC_EACH (&nodes.list, n)
		if (!found && (!k->o->node || str_eqz((*n)->meta.name, k->o->node)))
			found = *n;
	vec_free(&nodes.list);
	return found;
}

static bool node_address(const struct object *node, int family, struct addr *out)
{
	const struct node_status *st = node->node->status;

	for (size_t i = 0; st && i < st->addresses.len; i++)
		if (str_eqz(st->addresses.items[i].type, "InternalIP") &&
		    !addr_parse(st->addresses.items[i].address, out) && addr_is4(out) == !family)
			return true;
	return false;
}

/* At an address that a node announces, or that each node takes: NULL where no Service has it. */
static json_t *at_address(const struct asking *k, const struct why_question *q)
{
	const struct object *node = entry_node(k);
	AUTO_BUF name = {0};

	if (!node)
		return NULL;
	buf_printf(&name, STR_FMT, STR_ARG(node->meta.name));
	for (int asked = 0; !name.failed && asked < 2; asked++) {
		json_t *v = why_source_ask(k->src, name.p, q, false);
		const json_t *t = json_object_get(v, "translation");
		const char *by = text(t, "announcedBy");

		if (!t) {
			json_decref(v);
			return NULL;
		}
		if (asked || !*by || !strcmp(by, name.p)) {
			set_text(v, "entry", name.p);
			return v;
		}
		buf_clear(&name);
		buf_addz(&name, by);
		json_decref(v);
	}
	return NULL;
}

/* Of the family asked for; not of one that traffic has to go out to. */
static bool balancer_address(const struct asking *k, struct addr *out)
{
	const struct service_status *st = k->a->to.o->service->status;

	for (size_t i = 0; st && st->load_balancer && i < st->load_balancer->ingress.len; i++) {
		const struct balancer_ingress *in = &st->load_balancer->ingress.items[i];
		if (!str_eqz(in->ip_mode, "Proxy") && !addr_parse(in->ip, out) && addr_is4(out) == !k->family)
			return true;
	}
	return false;
}

static json_t *from_outside(struct asking *k, struct why_question *q)
{
	struct addr balancer;
	const struct why_named *to = &k->a->to;
	const struct object *node = to->kind == END_SERVICE ? entry_node(k) : NULL;
	AUTO_BUF name = {0};

	q->outside = true;
	if (to->kind == END_NODE)
		return why_source_ask(k->src, to->node, q, false);
	if (to->kind != END_SERVICE) {
		json_t *there = at_address(k, q);
		return there ? there : direct(k, q);
	}
	if (!k->o->node && balancer_address(k, &balancer)) {
		q->dst = balancer;
		json_t *there = at_address(k, q);
		return there ? there : no_way("no node serves the address of its balancer");
	}
	if (!k->a->service_port || !k->a->service_port->node_port.v)
		return no_way("a Service without a node port is served inside of the cluster only");
	if (!node || !node_address(node, k->family, &q->dst))
		return no_way("there is no such node, or it has no address of this family");
	q->port = (uint16_t)k->a->service_port->node_port.v;
	buf_printf(&name, STR_FMT, STR_ARG(node->meta.name));
	json_t *v = why_source_ask(k->src, name.p, q, false);
	set_text(v, "entry", name.p);
	return v;
}

/* DNS answers with the addresses of a headless Service's pods: each is asked about. */
static json_t *headless(struct asking *k, struct why_question *q)
{
	AUTO_JSON flows = json_array();
	struct object_refs slices = {0};
	struct str name = k->a->to.o->meta.name;

	(void)store_list(k->store, KIND_endpointslice, k->a->to.o->meta.ns, &slices);
	VEC_EACH (&slices.list, it) {
		const struct str *of = strmap_get(&(*it)->meta.labels, STR("kubernetes.io/service-name"));
		const struct endpointslice *es = (*it)->endpointslice;
		for (size_t i = 0; of && str_eq(*of, name) && i < es->endpoints.len; i++) {
			const struct endpoint *e = &es->endpoints.items[i];
			if (!e->addresses.len || addr_parse(e->addresses.items[0], &q->dst) ||
			    addr_is4(&q->dst) == !!k->family)
				continue;
			if (es->ports.len && k->a->service_port && es->ports.items[0].port.set)
				q->port = (uint16_t)es->ports.items[0].port.v;
			json_t *one = why_source_ask(k->src, k->a->from.node, q, false);
			json_array_extend(flows, json_object_get(one, "flows"));
			k->failed |= !one;
			json_decref(one);
		}
	}
	vec_free(&slices.list);
	return json_pack("{s:O,s:b,s:s}", "flows", flows, "headless", 1, "node", k->a->from.node);
}

static json_t *enter(struct asking *k, struct why_question *q)
{
	const struct why_named *from = &k->a->from, *to = &k->a->to;
	const struct service_spec *spec = to->kind == END_SERVICE ? to->o->service->spec : NULL;

	if (spec && str_eqz(spec->type, "ExternalName"))
		return no_way("an ExternalName Service is a name for an address outside: ask about that");
	if (from->kind == END_OUTSIDE)
		return from_outside(k, q);
	if (spec && str_eqz(spec->cluster_ip, "None"))
		return headless(k, q);
	return why_source_ask(k->src, from->node, q, false);
}

static json_t *family_answer(struct asking *k)
{
	struct why_question q = {.src = k->a->from.addr[k->family],
				 .dst = k->a->to.addr[k->family],
				 .proto = proto_of(k),
				 .port = k->a->port};
	char src[ADDR_TEXT], dst[ADDR_TEXT];
	size_t i, yes = 0, n;
	json_t *flow;

	addr_print(&q.src, src);
	json_t *v = enter(k, &q);
	if (!v)
		return NULL;
	addr_print(&q.dst, dst);
	finish_flows(k, v, &q);
	json_array_foreach (json_object_get(v, "flows"), i, flow)
		yes += flag(flow, "allowed");
	n = json_array_size(json_object_get(v, "flows"));
	k->differs |= flag(v, "differs");
	if (!n && !*text(v, "noWay") && json_object_get(v, "translation"))
		why_out_add(v, why_source_cluster(k->src), k->store,
			    k->a->to.kind == END_SERVICE ? k->a->to.o : NULL);
	set_text(v, "family", k->family ? "IPv6" : "IPv4");
	set_text(v, "source", src);
	set_text(v, "destination", dst);
	json_object_set_new(v, "port", json_integer(q.port));
	json_object_set_new(v, "allowed", json_boolean(n && yes == n));
	json_object_set_new(v, "some", json_boolean(yes));
	return v;
}

/* --- the whole --- */

static json_t *end_json(const struct why_named *e)
{
	static const char *const kinds[] = {"pod", "node", "service", "outside"};
	json_t *v = json_pack("{s:s,s:s}", "kind", kinds[e->kind], "name", e->words);

	set_text(v, "note", e->note);
	set_text(v, "node", e->node);
	if (e->host_network)
		json_object_set_new(v, "hostNetwork", json_true());
	return v;
}

static bool wanted(const struct asking *k)
{
	const struct why_named *to = &k->a->to;
	bool headless_service = to->kind == END_SERVICE && !to->has[0] && !to->has[1];

	if (k->o->family && (k->o->family[0] == '6') != (k->family == 1))
		return false;
	return k->a->from.has[k->family] && (to->has[k->family] || headless_service);
}

static const char *proto_word(uint8_t proto)
{
	return proto == IPPROTO_TCP    ? "TCP"
	       : proto == IPPROTO_UDP  ? "UDP"
	       : proto == IPPROTO_SCTP ? "SCTP"
				       : "ICMP";
}

json_t *why_answer_make(struct why_source *src, const struct store *s, const struct why_asked *a,
			const struct options_why *o)
{
	struct asking k = {.src = src, .store = s, .a = a, .o = o};
	AUTO_JSON families = json_array();
	bool all = true;

	for (k.family = 0; k.family < WHY_FAMILIES && !k.failed; k.family++) {
		if (!wanted(&k))
			continue;
		json_t *v = family_answer(&k);
		k.failed |= !v;
		all = all && flag(v, "allowed");
		if (v)
			json_array_append_new(families, v);
	}
	if (k.failed)
		return NULL;
	if (!json_array_size(families)) {
		cli_error("--family 4 or 6, or neither", "%s and %s have no address of one family",
			  a->from.words, a->to.words);
		return NULL;
	}
	json_t *doc =
	    json_pack("{s:o,s:o,s:s,s:i,s:O,s:b,s:b}", "from", end_json(&a->from), "to", end_json(&a->to),
		      "protocol", proto_word(a->proto), "port", a->port, "families", families, "allowed", all,
		      "online", why_source_cluster(src) != NULL);
	if (json_array_size(why_source_troubles(src)))
		json_object_set(doc, "troubles", why_source_troubles(src));
	commits_join(doc);
	if (k.differs)
		json_object_set_new(doc, "differs", json_true());
	return doc;
}

int why_lay_over(struct store *s, const struct options_why *o)
{
	const struct overlay changes = {.over = o->over,
					.without = o->without.items,
					.without_n = o->without.n,
					.max_file = (size_t)o->max_file};

	if ((o->over || o->without.n) && !o->model) {
		cli_error("weft why --model --over FILE FROM TO:PORT",
			  "--over and --without are for what is not there: the nodes cannot be asked");
		return -1;
	}
	return overlay_lay(s, &changes);
}

static int load(struct store **s, const struct options_why *o)
{
	const struct world_files files = {.paths = &o->files,
					  .n = 1,
					  .nodes = (unsigned)o->nodes,
					  .quiet = true,
					  .max_file = (size_t)o->max_file};

	if (o->files)
		return world_from_files(s, &files);
	if (!cluster_name(o->name) || !cluster_need(cluster_name(o->name)))
		return -1;
	return world_from_cluster(s, cluster_name(o->name)) || why_lay_over(*s, o) ? -1 : 0;
}

static int status_of(const json_t *doc)
{
	if (flag(doc, "differs"))
		return EXIT_DIFFERS;
	return flag(doc, "allowed") ? EXIT_OK : EXIT_FAILED;
}

int cmd_why(const struct options_why *o)
{
	struct why_source *src = NULL;
	struct why_asked a = {0};
	struct store *s = NULL;
	int r = EXIT_USAGE;

	if (o->copy)
		return cmd_why_copy(o);
	if (o->pcap) {
		cli_error("weft why --copy --pcap FILE --packet N", "--pcap asks who gets a copy");
		return EXIT_USAGE;
	}
	if (o->ready)
		return why_ready(o);
	if (o->n_args != 2) {
		cli_error("weft why FROM TO[:PORT], or weft why POD --ready", "to whom?");
		return EXIT_USAGE;
	}
	if (load(&s, o)) {
		store_free(&s);
		return EXIT_USAGE;
	}
	if (!why_name(&a, s, o) && !why_source_new(&src, s, o)) {
		AUTO_JSON doc = why_answer_make(src, s, &a, o);
		if (doc && o->output)
			output_value(doc, o->output);
		else if (doc)
			why_print(doc);
		r = doc ? status_of(doc) : EXIT_USAGE;
	}
	why_source_free(&src);
	why_asked_fini(&a);
	store_free(&s);
	return r;
}
