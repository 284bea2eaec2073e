/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `weft why --copy`: which maps take a flow's packets, or a captured packet, at each place that sees it, why
 * the others do not, and which tools get copies. What becomes of the flow itself `weft why` says; the maps
 * are those of files, or of the hub.
 */
#include "cli/copies.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>

#include "base/own.h"
#include "broker/place.h"
#include "cli/cluster.h"
#include "cli/output.h"
#include "cli/why.h"
#include "cli/world.h"

#define UPLINK "uplink0"

struct asking {
	const struct options_why *o;
	const struct store *store;
	const struct broker *b;
	const char *cluster; /* NULL: offline */
	json_t *places;	     /* of the answer */
	json_t *unknown;     /* what could not be asked: texts */
	json_t *looked;	     /* node → its weft-copier's account, or null */
	bool routes;	     /* between nodes packets go as they are, else in a tunnel */
	bool wires;	     /* uplinks that see it were told */
	bool failed;
};

static const char *text(const json_t *o, const char *name)
{
	return json_string_value(json_object_get(o, name)) ?: "";
}

static bool flag(const json_t *o, const char *name)
{
	return json_is_true(json_object_get(o, name));
}

/* --- tools that take nothing ----------------------------------------------------------------------- */

static const json_t *account_of(struct asking *k, const char *node)
{
	AUTO_BUF file = {0};
	AUTO_BUF body = {0};
	char path[CLUSTER_PATH];
	json_t *v = json_object_get(k->looked, node);

	if (v)
		return v;
	buf_printf(&file, "%s/copier.sock", node);
	cluster_path(path, k->cluster, file.p ? file.p : "");
	if (http_ask(path, "/account", NULL, &body) == 200)
		v = json_loadb(body.p ? body.p : "", body.n, 0, NULL);
	if (!v) {
		json_array_append_new(
		    k->unknown,
		    json_sprintf(
			"weft-copier of %s does not answer: whether tools take copies there is unknown",
			node));
		v = json_null();
	}
	json_object_set_new(k->looked, node, v);
	return v;
}

/* By tool port: takes nothing now. NULL: not known. */
static bool *down_at(struct asking *k, const char *node)
{
	const json_t *account = k->cluster && *node ? account_of(k, node) : NULL;
	bool *down = json_is_object(account) ? calloc(k->b->ports_n + 1u, sizeof(*down)) : NULL;
	json_t *t;
	size_t i;

	json_array_foreach (json_object_get(account, "tools"), i, t)
		for (uint32_t p = 0; down && p < k->b->ports_n; p++)
			if (str_eqz(k->b->ports[p].tool, text(t, "tool")) &&
			    str_eqz(k->b->ports[p].port, text(t, "port")))
				down[p] = json_is_false(json_object_get(t, "taking"));
	return down;
}

/* Where a tool is that another node has, as weft-copier of this one knows it. */
static void add_where(struct asking *k, const char *node, json_t *place)
{
	const json_t *account = k->cluster && *node ? account_of(k, node) : NULL;
	json_t *tool, *t;
	size_t i, n;

	json_array_foreach (json_object_get(place, "tools"), i, tool)
		json_array_foreach (json_object_get(account, "tools"), n, t)
			if (json_object_get(t, "at") && !strcmp(text(t, "tool"), text(tool, "tool")) &&
			    !strcmp(text(t, "port"), text(tool, "port")))
				json_object_set(tool, "on", json_object_get(t, "at"));
}

/* --- places that see a flow ------------------------------------------------------------------------ */

static void explain_pod(struct asking *k, const struct object *pod, const struct copies_flow *f,
			unsigned direction, unsigned fate)
{
	AUTO_MEM uint32_t *sources = calloc(k->b->sources_n + 1u, sizeof(*sources));
	uint8_t frame[COPIES_FRAME];
	const struct chain_packet p = copies_packet(frame, f);
	AUTO_BUF node = {0};
	AUTO_BUF name = {0};
	json_t *one = NULL;

	if (pod->pod->spec)
		buf_adds(&node, pod->pod->spec->node_name);
	buf_adds(&name, object_key(pod));
	AUTO_MEM bool *down = down_at(k, node.p ? node.p : "");
	if (sources && !name.failed)
		one = copies_explain(
		    k->b, &(struct copies_seen){.place = name.p,
						.kind = "pod",
						.node = node.p,
						.way = f->answer ? "back" : "there",
						.packet = &p,
						.sources = sources,
						.sources_n = place_pod(k->b, k->store, pod, sources),
						.direction = direction,
						.fate = fate,
						.down = down});
	k->failed |= !one;
	if (!one)
		return;
	add_where(k, node.p ? node.p : "", one);
	json_array_append_new(k->places, one);
}

/* --- uplinks ---------------------------------------------------------------------------------------- */

/* The end of its tunnel. */
static bool node_end(const struct asking *k, const char *node, struct addr *out)
{
	const struct object *o = store_get(k->store, KIND_node, STR(""), str_of(node));
	const struct node_status *st = o ? o->node->status : NULL;

	for (size_t i = 0; st && i < st->addresses.len; i++)
		if (str_eqz(st->addresses.items[i].type, "InternalIP") &&
		    !addr_parse(st->addresses.items[i].address, out))
			return true;
	return false;
}

static uint32_t uplink_sources(struct asking *k, const char *node, uint32_t *out)
{
	const struct object *o = store_get(k->store, KIND_node, STR(""), str_of(node));
	uint32_t n = o ? place_uplink(k->b, o, out) : 0;

	return n ? n : place_interface(k->b, str_of(node), STR(UPLINK), out);
}

/* What crosses between two nodes, at the uplink of one of them. */
static void explain_uplink(struct asking *k, const char *at, const struct copies_flow *f,
			   const struct addr tunnel[2], unsigned direction)
{
	AUTO_MEM uint32_t *sources = calloc(k->b->sources_n + 1u, sizeof(*sources));
	uint8_t frame[COPIES_FRAME], outer[COPIES_FRAME];
	const struct chain_packet inner = copies_packet(frame, f);
	const struct chain_packet p = k->routes ? inner : copies_outer(outer, &inner, &tunnel[0], &tunnel[1]);
	uint32_t n = sources ? uplink_sources(k, at, sources) : 0;
	json_t *one;

	k->failed |= !sources;
	if (!n)
		return; /* no map looks there */
	AUTO_MEM bool *down = down_at(k, at);

	one = copies_explain(k->b, &(struct copies_seen){.place = UPLINK,
							 .kind = "uplink",
							 .node = at,
							 .inner = k->routes ? NULL : &inner,
							 .way = f->answer ? "back" : "there",
							 .packet = &p,
							 .sources = sources,
							 .sources_n = n,
							 .direction = direction,
							 .fate = BROKER_FORWARDED,
							 .down = down});
	k->failed |= !one;
	if (one)
		json_array_append_new(k->places, one);
}

/* From pod to pod of another node: both uplinks see it. */
static void explain_wire(struct asking *k, const char *from, const char *to, const struct copies_flow *f)
{
	struct addr tunnel[2];

	if (!*from || !*to || !strcmp(from, to) || !node_end(k, from, &tunnel[0]) ||
	    !node_end(k, to, &tunnel[1]))
		return;
	k->wires = true;
	explain_uplink(k, from, f, tunnel, BROKER_DIRECTION_OUT);
	explain_uplink(k, to, f, tunnel, BROKER_DIRECTION_IN);
}

static const struct object *pod_named(const struct store *s, const char *name)
{
	struct str rest = str_of(name), ns = str_cut(&rest, '/');

	return rest.n ? store_get(s, KIND_pod, ns, rest) : NULL;
}

/* One way to one destination. A drop is seen where it is counted: one of the receiver's policies, on the same
 * node, is none of the sender's. */
static void explain_flow(struct asking *k, const struct why_asked *a, const json_t *family,
			 const json_t *flow)
{
	const struct object *from = a->from.kind == END_POD && !a->from.host_network ? a->from.o : NULL;
	const struct object *to = pod_named(k->store, text(flow, "pod"));
	const json_t *egress = json_object_get(flow, "egress"), *ingress = json_object_get(flow, "ingress");
	bool leaves = !egress || flag(egress, "allowed"), enters = !ingress || flag(ingress, "allowed");
	bool same = a->from.node && !strcmp(a->from.node, text(flow, "node"));
	struct copies_flow f = {.to_port = (uint16_t)json_integer_value(json_object_get(flow, "port")),
				.from_port = (uint16_t)k->o->source_port,
				.proto = a->proto};
	struct addr seen_as;

	if (addr_parse(str_of(text(family, "source")), &f.from) ||
	    addr_parse(str_of(text(flow, "address")), &f.to))
		return;
	if (addr_parse(str_of(text(flow, "seenAs")), &seen_as))
		seen_as = f.from;
	if (f.proto == IPPROTO_ICMP && !addr_is4(&f.to))
		f.proto = IPPROTO_ICMPV6;
	if (from && (!leaves || enters || !same))
		explain_pod(k, from, &f, BROKER_DIRECTION_OUT, leaves ? BROKER_FORWARDED : BROKER_DROPPED);
	if (from && to && leaves)
		explain_wire(k, a->from.node ?: "", text(flow, "node"), &f);
	f.from = seen_as;
	if (to && leaves)
		explain_pod(k, to, &f, BROKER_DIRECTION_IN, enters ? BROKER_FORWARDED : BROKER_DROPPED);
	if (!leaves || !enters)
		return;
	struct copies_flow back = {f.to, f.from, f.to_port, f.from_port, f.proto, true};
	if (to)
		explain_pod(k, to, &back, BROKER_DIRECTION_OUT, BROKER_FORWARDED);
	if (from && to)
		explain_wire(k, text(flow, "node"), a->from.node ?: "", &back);
	if (addr_parse(str_of(text(family, "source")), &back.to))
		return;
	if (from)
		explain_pod(k, from, &back, BROKER_DIRECTION_IN, BROKER_FORWARDED);
}

/* Between pods of one node no uplink sees anything. */
static bool stays(const json_t *why)
{
	json_t *family, *flow;
	size_t i, n;

	json_array_foreach (json_object_get(why, "families"), i, family)
		json_array_foreach (json_object_get(family, "flows"), n, flow)
			if (strcmp(text(flow, "node"), text(json_object_get(why, "from"), "node")) != 0)
				return false;
	return true;
}

static int explain_flows(struct asking *k, json_t *doc)
{
	AUTO(why_asked_fini) struct why_asked a = {0};
	struct why_source *src = NULL;
	json_t *family, *flow;
	size_t i, n;

	if (why_name(&a, k->store, k->o))
		return EXIT_USAGE;
	if (why_source_new(&src, k->store, k->o))
		return EXIT_USAGE;
	AUTO_JSON why = why_answer_make(src, k->store, &a, k->o);
	k->routes = why_source_routes(src);
	why_source_free(&src);
	if (!why)
		return EXIT_USAGE;
	json_array_foreach (json_object_get(why, "families"), i, family)
		json_array_foreach (json_object_get(family, "flows"), n, flow)
			explain_flow(k, &a, family, flow);
	json_object_set(doc, "from", json_object_get(why, "from"));
	json_object_set(doc, "to", json_object_get(why, "to"));
	json_object_set(doc, "protocol", json_object_get(why, "protocol"));
	json_object_set(doc, "allowed", json_object_get(why, "allowed"));
	json_object_set_new(doc, "sourcePort", json_integer(k->o->source_port));
	for (uint32_t s = 0; s < k->b->sources_n; s++)
		if ((k->b->sources[s].kind == BROKER_UPLINK && !k->wires && !stays(why)) ||
		    (k->b->sources[s].kind == BROKER_INTERFACE && !str_eqz(k->b->sources[s].name, UPLINK)))
			json_array_append_new(
			    k->unknown, json_sprintf("what {%.*s} sees of it is not told here: give "
						     "addresses with --at, or a packet with --pcap",
						     (int)k->b->sources[s].text.n, k->b->sources[s].text.p));
	return EXIT_OK;
}

/* --- a captured packet ----------------------------------------------------------------------------- */

/* Sources that --at means: a pod, an interface as NAME or NODE/NAME; left out: all interfaces. */
static int sources_at(struct asking *k, const char *at, uint32_t *out, uint32_t *n, const char **kind)
{
	const struct object *pod = at ? pod_named(k->store, at) : NULL;
	struct str rest = str_of(at), node = str_cut(&rest, '/');

	*n = 0;
	*kind = pod ? "pod" : "interface";
	if (pod)
		*n = place_pod(k->b, k->store, pod, out);
	else if (at)
		*n = place_interface(k->b, rest.n ? node : (struct str){0}, rest.n ? rest : str_of(at), out);
	for (uint32_t i = 0; !at && i < k->b->sources_n; i++)
		if (k->b->sources[i].kind == BROKER_INTERFACE)
			out[(*n)++] = i;
	if (*n || pod)
		return EXIT_OK;
	cli_error("give the place of the capture: --at eth1, --at node-1/eth1, --at shop/web-0",
		  at ? "no map looks at \"%s\", and no pod has that name" : "no map looks at an interface%s",
		  at ? at : "");
	return EXIT_USAGE;
}

static int explain_captured(struct asking *k, json_t *doc)
{
	const struct options_why *o = k->o;
	AUTO_MEM uint32_t *sources = calloc(k->b->sources_n + 1u, sizeof(*sources));
	AUTO_MEM uint8_t *bytes = NULL;
	struct chain_packet p;
	AUTO_BUF way = {0};
	uint32_t n;
	const char *kind;
	json_t *one = NULL;

	if (!sources || sources_at(k, o->at, sources, &n, &kind))
		return EXIT_USAGE;
	if (copies_capture(o->pcap, o->packet, &p, &bytes))
		return EXIT_USAGE;
	buf_printf(&way, "packet %ld of %s", o->packet, o->pcap);
	if (!way.failed)
		one = copies_explain(
		    k->b, &(struct copies_seen){.place = o->at ? o->at : "any interface",
						.kind = kind,
						.way = way.p,
						.packet = &p,
						.sources = sources,
						.sources_n = n,
						.direction = BROKER_DIRECTION_IN | BROKER_DIRECTION_OUT,
						.fate = o->dropped ? BROKER_DROPPED : BROKER_FORWARDED});
	k->failed |= !one;
	if (one)
		json_array_append_new(k->places, one);
	json_object_set_new(doc, "capture", json_string(o->pcap));
	return EXIT_OK;
}

/* --- addresses at an interface --------------------------------------------------------------------- */

/* "10.0.0.2:80", "[fd00::2]:80", "10.0.0.2"; port 0 where it says none. */
static int end_of(const char *said, struct addr *out, uint16_t *port)
{
	struct str host = str_of(said), tail = {0};
	const char *colon = strrchr(said, ':');
	int64_t number = 0;

	*port = 0;
	if (*said == '[' && (colon = strstr(said, "]:")))
		host = (struct str){said + 1, (size_t)(colon++ - said) - 1};
	else if (colon && strchr(said, ':') == colon)
		host.n = (size_t)(colon - said);
	else
		colon = NULL;
	if (colon)
		tail = str_of(colon + 1);
	if (addr_parse(host, out) || (colon && str_to_i64(tail, 1, 65535, &number))) {
		cli_error("weft why --copy --at eth1 10.0.0.1 10.0.0.2:80",
			  "with --at the ends are addresses, and \"%s\" is none", said);
		return EXIT_USAGE;
	}
	*port = (uint16_t)number;
	return EXIT_OK;
}

static uint8_t proto_of(const char *word)
{
	static const struct {
		const char *word;
		uint8_t proto;
	} known[] = {{"udp", IPPROTO_UDP}, {"sctp", IPPROTO_SCTP}, {"icmp", IPPROTO_ICMP}};

	for (size_t i = 0; word && i < ARRAY_LEN(known); i++)
		if (!strcmp(word, known[i].word))
			return known[i].proto;
	return IPPROTO_TCP;
}

/* What one interface of a plain host, or of a node, sees of a connection whose ends are addresses. */
static int explain_at(struct asking *k, json_t *doc)
{
	const struct options_why *o = k->o;
	AUTO_MEM uint32_t *sources = calloc(k->b->sources_n + 1u, sizeof(*sources));
	struct copies_flow f = {.from_port = (uint16_t)o->source_port, .proto = proto_of(o->proto)};
	uint32_t n;
	const char *kind;
	uint16_t none;

	if (!sources || sources_at(k, o->at, sources, &n, &kind) || end_of(o->args[0], &f.from, &none) ||
	    end_of(o->args[1], &f.to, &f.to_port))
		return EXIT_USAGE;
	if (addr_is4(&f.from) != addr_is4(&f.to) || (!f.to_port && f.proto != IPPROTO_ICMP)) {
		cli_error("weft why --copy --at eth1 10.0.0.1 10.0.0.2:80",
			  "both ends are of one family, and TO has a port");
		return EXIT_USAGE;
	}
	if (f.proto == IPPROTO_ICMP && !addr_is4(&f.to))
		f.proto = IPPROTO_ICMPV6;
	const struct copies_flow ways[] = {f, {f.to, f.from, f.to_port, f.from_port, f.proto, true}};

	for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
		uint8_t frame[COPIES_FRAME];
		const struct chain_packet p = copies_packet(frame, &ways[i]);
		json_t *one = copies_explain(
		    k->b, &(struct copies_seen){.place = o->at,
						.kind = kind,
						.way = i ? "back" : "there",
						.packet = &p,
						.sources = sources,
						.sources_n = n,
						.direction = BROKER_DIRECTION_IN | BROKER_DIRECTION_OUT,
						.fate = o->dropped ? BROKER_DROPPED : BROKER_FORWARDED});

		k->failed |= !one;
		if (one)
			json_array_append_new(k->places, one);
	}
	json_object_set_new(doc, "at", json_string(o->at));
	json_object_set_new(doc, "sourcePort", json_integer(o->source_port));
	return EXIT_OK;
}

/* --- the whole ------------------------------------------------------------------------------------- */

static int load(struct store **s, const struct options_why *o)
{
	const struct world_files files = {.paths = &o->files,
					  .n = 1,
					  .nodes = (unsigned)o->nodes,
					  .quiet = true,
					  .max_file = (size_t)o->max_file};
	const char *name;

	if (o->files)
		return world_from_files(s, &files);
	name = cluster_name(o->name);
	if (!name || !cluster_need(name) || world_from_cluster(s, name))
		return -1;
	if (!world_add_maps(*s, name) && !why_lay_over(*s, o))
		return 0;
	store_free(s);
	return -1;
}

static int compile(struct broker **out, const struct store *s)
{
	AUTO(remarks_fini) struct remarks rs = {0};
	int r = broker_compile(out, s, &rs);

	if (r == -EINVAL) {
		remarks_sort(&rs);
		remarks_print(stderr, &rs, *output_style(STYLE_BOLD) && isatty(STDERR_FILENO));
		cli_error("mend it and try again", "with an error in the maps, no map is in force");
	} else if (r) {
		cli_error(NULL, "%s", strerror(-r));
	}
	return r;
}

static bool any_copy(const json_t *places)
{
	json_t *p;
	size_t i;

	json_array_foreach ((json_t *)(uintptr_t)places, i, p)
		if (json_array_size(json_object_get(p, "tools")))
			return true;
	return false;
}

static int answer(struct asking *k)
{
	AUTO_JSON doc = json_object();
	int r = k->o->pcap ? explain_captured(k, doc) : k->o->at ? explain_at(k, doc) : explain_flows(k, doc);

	if (!r && k->failed)
		cli_error(NULL, "out of memory");
	if (r || k->failed)
		return EXIT_USAGE;
	json_object_set(doc, "places", k->places);
	json_object_set_new(doc, "copied", json_boolean(any_copy(k->places)));
	json_object_set_new(doc, "maps", json_integer(k->b->maps_n));
	if (json_array_size(k->unknown))
		json_object_set(doc, "unknown", k->unknown);
	if (k->o->output)
		output_value(doc, k->o->output);
	else
		copies_print(doc);
	return any_copy(k->places) ? EXIT_OK : EXIT_FAILED;
}

int cmd_why_copy(const struct options_why *o)
{
	AUTO_JSON places = json_array();
	AUTO_JSON unknown = json_array();
	AUTO_JSON looked = json_object();
	struct broker *b = NULL;
	struct store *s = NULL;
	int r = EXIT_USAGE;

	if (o->pcap ? o->n_args != 0 : o->n_args != 2) {
		cli_error("weft why --copy FROM TO[:PORT], or weft why --copy --pcap FILE --packet N",
			  "which packet?");
		return EXIT_USAGE;
	}
	if (load(&s, o))
		return EXIT_USAGE;
	if (!compile(&b, s)) {
		struct asking k = {.o = o,
				   .store = s,
				   .b = b,
				   .cluster = o->files ? NULL : cluster_name(o->name),
				   .places = places,
				   .unknown = unknown,
				   .looked = looked};
		r = answer(&k);
	}
	broker_free(&b);
	store_free(&s);
	return r;
}
