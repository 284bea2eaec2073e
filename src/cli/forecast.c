/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `weft plan FILE --traffic`: what the maps of manifests would make of the traffic that the hub has records
 * of, beside what the maps in force make of it: packets and bits for each tool port, overlaps, tools that
 * would be too small. Applies nothing.
 */
#include "broker/forecast.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <strings.h>

#include "base/hash.h"
#include "base/own.h"
#include "broker/place.h"
#include "cli/cluster.h"
#include "cli/copies.h"
#include "cli/flowask.h"
#include "cli/forecast.h"
#include "cli/output.h"
#include "cli/when.h"
#include "cli/world.h"

enum { POD_MTU = 1450, POD_MTU_ROUTES = 1500 };

struct spot { /* a pod, as places of both configurations */
	struct point *at[2];
};
struct telling {
	const struct store *store;
	struct broker *b[2]; /* in force, planned */
	struct forecast *f[2];
	struct hash spots; /* "ns/name" → struct spot */
	uint64_t parts;	   /* ways of flows at pods that are there still */
	uint64_t gone;	   /* at pods that are not */
};

static const char *text(const json_t *o, const char *name)
{
	return json_string_value(json_object_get(o, name)) ?: "";
}

static uint64_t number(const json_t *o, const char *key)
{
	json_int_t n = json_integer_value(json_object_get(o, key));

	return n > 0 ? (uint64_t)n : 0;
}

/* --- both configurations --------------------------------------------------------------------------- */

static int add_kind(struct store *to, const struct store *from, enum kind k)
{
	struct object_refs all = {0};
	int r = store_list(from, k, (struct str){0}, &all);

	VEC_EACH (&all.list, o) {
		struct object *copy = NULL;

		if (!r)
			r = object_clone(&copy, *o);
		if (!r)
			r = store_put(to, copy, NULL);
	}
	vec_free(&all.list);
	return r;
}

static int compile(struct broker **out, const struct store *s, bool tell)
{
	AUTO(remarks_fini) struct remarks rs = {0};
	int r = broker_compile(out, s, &rs);

	if (tell && rs.list.len) {
		remarks_sort(&rs);
		remarks_print(stderr, &rs, *output_style(STYLE_BOLD) && isatty(STDERR_FILENO));
	}
	if (r == -EINVAL)
		cli_error("mend it and try again",
			  tell ? "%zu errors: these maps would not be in force"
			       : "the maps of the cluster have %zu errors: none is in force",
			  rs.errors);
	else if (r)
		cli_error(NULL, "%s", strerror(-r));
	return r;
}

/* KIND/NAME, as in "trafficmap/web", that shall be gone. */
static int leave_out(struct store *s, const char *text)
{
	struct str name = str_of(text), kind = str_cut(&name, '/');
	const struct kind_desc *d = kind_by_name(kind);

	if (!d || !name.n ||
	    (d->kind != KIND_tool && d->kind != KIND_toolgroup && d->kind != KIND_trafficfilter &&
	     d->kind != KIND_trafficmap)) {
		cli_error("trafficmap/NAME, trafficfilter/NAME, tool/NAME or toolgroup/NAME",
			  "--without says what shall be gone, not \"%s\"", text);
		return -1;
	}
	if (!store_get(s, d->kind, (struct str){0}, name)) {
		cli_error("weft get trafficmaps,trafficfilters,tools,toolgroups lists them",
			  "--without: there is no \"%s\"", text);
		return -1;
	}
	return store_delete(s, d->kind, (struct str){0}, name);
}

/* The cluster's objects, then what the files put in their place, without what shall be gone. */
static int load(struct telling *t, struct store **store, const struct options_plan *o, const char *name)
{
	static const enum kind kinds[] = {KIND_tool, KIND_toolgroup, KIND_trafficfilter, KIND_trafficmap};
	const struct world_files files = {
	    .paths = o->args, .n = (size_t)o->n_args, .quiet = true, .max_file = (size_t)o->max_file};
	struct store *planned = NULL;
	int r;

	if (o->n_args && world_from_files(&planned, &files))
		return -1;
	r = world_from_cluster(store, name) || world_add_maps(*store, name) ? -1 : 0;
	t->store = *store;
	if (!r)
		r = compile(&t->b[0], *store, false);
	for (size_t i = 0; !r && planned && i < ARRAY_LEN(kinds); i++)
		r = add_kind(*store, planned, kinds[i]);
	store_free(&planned);
	for (size_t i = 0; !r && i < o->without.n; i++)
		r = leave_out(*store, o->without.items[i]);
	return r ? r : compile(&t->b[1], *store, true);
}

/* --- records --------------------------------------------------------------------------------------- */

static struct spot *spot_of(struct telling *t, const json_t *end)
{
	AUTO_BUF key = {0};
	const struct object *pod;
	struct spot *s;
	int r = 0;

	if (strcmp(text(end, "kind"), "pod") != 0)
		return NULL;
	buf_printf(&key, "%s/%s", text(end, "namespace"), text(end, "name"));
	s = hash_get(&t->spots, buf_str(&key));
	if (s)
		return s;
	pod = store_get(t->store, KIND_pod, str_of(text(end, "namespace")), str_of(text(end, "name")));
	if (!pod) {
		t->gone++;
		return NULL;
	}
	s = calloc(1, sizeof(*s));
	for (int i = 0; s && !r && i < 2; i++) {
		AUTO_MEM uint32_t *sources = calloc(t->b[i]->sources_n + 1u, sizeof(*sources));

		r = !sources ||
		    point_new(&s->at[i], t->b[i], sources, place_pod(t->b[i], t->store, pod, sources));
	}
	if (!s || r || hash_set(&t->spots, buf_str(&key), s, NULL)) {
		if (s)
			point_free(&s->at[0]);
		free(s);
		return NULL;
	}
	return s;
}

static uint8_t proto_of(const char *word)
{
	static const struct {
		const char *word;
		uint8_t proto;
	} all[] = {{"tcp", IPPROTO_TCP},
		   {"udp", IPPROTO_UDP},
		   {"sctp", IPPROTO_SCTP},
		   {"icmp", IPPROTO_ICMP},
		   {"icmpv6", IPPROTO_ICMPV6}};
	int64_t n;

	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		if (!strcasecmp(all[i].word, word))
			return all[i].proto;
	return str_to_i64(str_of(word), 0, 255, &n) ? 0 : (uint8_t)n;
}

static bool flow_of(const json_t *record, struct copies_flow *f, int64_t *first, int64_t *last)
{
	const json_t *from = json_object_get(record, "from"), *to = json_object_get(record, "to");
	int64_t end;

	*f = (struct copies_flow){.from_port = (uint16_t)number(from, "port"),
				  .to_port = (uint16_t)number(to, "port"),
				  .proto = proto_of(text(record, "protocol"))};
	return !addr_parse(str_of(text(from, "address")), &f->from) &&
	       !addr_parse(str_of(text(to, "address")), &f->to) &&
	       !when_at(text(record, "first"), first, &end) && !when_at(text(record, "last"), last, &end);
}

/* One way of it, at one end. */
static int add_way(struct telling *t, const json_t *record, const struct copies_flow *f, const struct spot *s,
		   const char *way, unsigned direction, unsigned fate, const int64_t time[2])
{
	uint64_t packets = number(json_object_get(record, "packets"), way),
		 bytes = number(json_object_get(record, "bytes"), way);
	uint8_t frame[COPIES_FRAME];
	struct chain_packet p = copies_packet(frame, f);
	int r = 0;

	if (!s || !packets)
		return 0;
	p.len = bytes / packets > p.caplen ? (uint32_t)(bytes / packets) : p.caplen;
	t->parts++;
	for (int i = 0; !r && i < 2; i++)
		r = forecast_add(t->f[i], &(struct forecast_part){.at = s->at[i],
								  .packet = &p,
								  .direction = direction,
								  .fate = fate,
								  .packets = packets,
								  .bytes = bytes,
								  .first = time[0],
								  .last = time[1]});
	return r;
}

/* A drop is seen at the end whose policy or port it met: by the reason's name. */
static bool at_receiver(const char *reason)
{
	return !strcmp(reason, "policy-ingress") || !strcmp(reason, "deny-ingress") ||
	       !strncmp(reason, "kernel", 6);
}

static int add_record(struct telling *t, const json_t *record)
{
	struct copies_flow there, back;
	const char *kind = text(record, "record");
	int64_t time[2];
	int r;

	if ((strcmp(kind, "flow") != 0 && strcmp(kind, "drop") != 0) ||
	    !flow_of(record, &there, &time[0], &time[1]))
		return 0;
	struct spot *from = spot_of(t, json_object_get(record, "from")),
		    *to = spot_of(t, json_object_get(record, "to"));
	if (!strcmp(kind, "drop")) {
		bool in = at_receiver(text(record, "reason"));

		return add_way(t, record, &there, in ? to : from, "there",
			       in ? BROKER_DIRECTION_IN : BROKER_DIRECTION_OUT, BROKER_DROPPED, time);
	}
	back = (struct copies_flow){there.to, there.from, there.to_port, there.from_port, there.proto, true};
	r = add_way(t, record, &there, from, "there", BROKER_DIRECTION_OUT, BROKER_FORWARDED, time);
	if (!r)
		r = add_way(t, record, &there, to, "there", BROKER_DIRECTION_IN, BROKER_FORWARDED, time);
	if (!r)
		r = add_way(t, record, &back, to, "back", BROKER_DIRECTION_OUT, BROKER_FORWARDED, time);
	if (!r)
		r = add_way(t, record, &back, from, "back", BROKER_DIRECTION_IN, BROKER_FORWARDED, time);
	return r;
}

/* --- the answer ------------------------------------------------------------------------------------ */

static json_t *str_json(struct str s)
{
	return json_stringn_nocheck(s.p ? s.p : "", s.n);
}

static uint32_t port_named(const struct broker *b, const struct broker_port *like)
{
	for (uint32_t i = 0; i < b->ports_n; i++)
		if (str_eq(b->ports[i].tool, like->tool) && str_eq(b->ports[i].port, like->port))
			return i;
	return BROKER_NONE;
}

static json_t *tool_json(const struct telling *t, uint32_t i)
{
	const struct broker_port *p = &t->b[1]->ports[i];
	struct forecast_port planned = forecast_port(t->f[1], i), now = {0};
	uint32_t before = port_named(t->b[0], p);
	json_t *v;

	if (before != BROKER_NONE)
		now = forecast_port(t->f[0], before);
	v = json_pack("{s:o,s:o,s:f,s:f,s:f,s:f}", "tool", str_json(p->tool), "port", str_json(p->port),
		      "bitsNow", now.bits, "packets", planned.packets, "bits", planned.bits, "peakBits",
		      planned.peak);
	if (p->capacity)
		json_object_set_new(v, "capacity", json_integer((json_int_t)p->capacity));
	if (planned.least)
		json_object_set_new(v, "least", json_true());
	if (planned.full)
		json_object_set_new(v, "full", json_true());
	return v;
}

static void add_lines(json_t *to, const struct buf *lines)
{
	struct str rest = buf_str(lines);

	while (rest.n)
		json_array_append_new(to, str_json(str_cut(&rest, '\n')));
}

/* What records do not tell. */
static void add_unknown(const struct telling *t, json_t *to)
{
	const struct broker *b = t->b[1];

	for (uint32_t i = 0; i < b->maps_n; i++)
		if (forecast_blind(t->f[1], i))
			json_array_append_new(to, json_sprintf("map %.*s is not foretold: %s",
							       (int)b->maps[i].name.n, b->maps[i].name.p,
							       forecast_blind(t->f[1], i)));
	for (uint32_t i = 0; i < b->sources_n; i++)
		if (b->sources[i].kind == BROKER_UPLINK || b->sources[i].kind == BROKER_INTERFACE)
			json_array_append_new(to,
					      json_sprintf("what {%.*s} sees is not foretold: records are of "
							   "pods",
							   (int)b->sources[i].text.n, b->sources[i].text.p));
	if (t->gone)
		json_array_append_new(to,
				      json_sprintf("%llu ends of records are pods that are gone: left out",
						   (unsigned long long)t->gone));
}

/* Packets that would be too large for a tool (BR59), to stderr and into the document. */
static json_t *remarks_json(const struct telling *t, const struct options_plan *o)
{
	bool routes = o->mode && !strcmp(o->mode, "routes");
	json_t *all = json_array();

	for (uint32_t i = 0; i < t->b[1]->ports_n; i++) {
		const struct broker_port *p = &t->b[1]->ports[i];
		AUTO(remarks_fini) struct remarks rs = {0};

		forecast_mtu(t->b[1], i, routes ? POD_MTU_ROUTES : POD_MTU, &rs);
		remarks_print(stderr, &rs, *output_style(STYLE_BOLD) && isatty(STDERR_FILENO));
		VEC_EACH (&rs.list, r)
			json_array_append_new(all,
					      json_pack("{s:s,s:o,s:o,s:s,s:s?}", "level", "warning", "tool",
							str_json(p->tool), "port", str_json(p->port), "text",
							r->text, "hint", r->hint));
	}
	return all;
}

static json_t *document(const struct telling *t, const struct options_plan *o, int64_t since, int64_t until)
{
	json_t *tools = json_array(), *overlaps = json_array(), *unknown = json_array();
	AUTO_BUF lines = {0};

	for (uint32_t i = 0; i < t->b[1]->ports_n; i++)
		if (!str_eqz(t->b[1]->ports[i].tool, "capture"))
			json_array_append_new(tools, tool_json(t, i));
	forecast_print_overlaps(t->f[1], &lines);
	add_lines(overlaps, &lines);
	add_unknown(t, unknown);
	return json_pack("{s:f,s:f,s:I,s:o,s:o,s:o,s:o}", "seconds", (double)(until - since) / 1e9,
			 "intervalSeconds", forecast_interval(t->f[1]), "parts", (json_int_t)t->parts,
			 "tools", tools, "overlaps", overlaps, "unknown", unknown, "remarks",
			 remarks_json(t, o));
}

/* 1: a tool would be too small. */
static int answer(const struct telling *t, const struct options_plan *o, int64_t since, int64_t until)
{
	AUTO_JSON doc = document(t, o, since, until);
	json_t *tool;
	size_t i;
	int r = json_array_size(json_object_get(doc, "remarks")) ? EXIT_FAILED : EXIT_OK;

	json_array_foreach (json_object_get(doc, "tools"), i, tool)
		if (json_object_get(tool, "full"))
			r = EXIT_FAILED;
	if (o->output)
		output_value(doc, o->output);
	else
		forecast_show(doc);
	return r;
}

static json_t *ask(const char *name, const struct when *w)
{
	AUTO_JSON q = json_pack("{s:I}", "since", (json_int_t)w->since);

	return flow_ask(name, "flows", q);
}

/* Records of what flows now are as old as their last report: up to then the hub knows. */
static int64_t known_until(const json_t *flows, int64_t now)
{
	enum { REPORT_S = 5 };
	int64_t newest = 0, last, end;
	json_t *record;
	size_t i;

	json_array_foreach (json_object_get(flows, "flows"), i, record)
		if (!when_at(text(record, "last"), &last, &end) && last > newest)
			newest = last;
	return newest < now && now - newest < REPORT_S * 1000000000ll ? newest : now;
}

static int tell(struct telling *t, const struct options_plan *o, const char *name)
{
	struct when w;
	int64_t now = when_now(), since;
	json_t *record;
	size_t i;
	int r = when_range(&w, o->since ?: "1h", NULL, NULL);

	if (r)
		return r;
	AUTO_JSON flows = ask(name, &w);
	if (!flows)
		return EXIT_USAGE;
	flow_tell_gaps(flows, &w);
	flow_tell_silent(flows);
	since = w.since;
	if ((int64_t)number(flows, "beganNs") > since)
		since = (int64_t)number(flows, "beganNs");
	if ((int64_t)number(flows, "since") > since)
		since = (int64_t)number(flows, "since");
	now = known_until(flows, now);
	if (since >= now)
		since = now - 1;
	for (int k = 0; !r && k < 2; k++)
		r = forecast_new(&t->f[k], t->b[k], since, now);
	json_array_foreach (json_object_get(flows, "flows"), i, record)
		r = r ? r : add_record(t, record);
	if (r) {
		cli_error(NULL, "%s", strerror(-r));
		return EXIT_USAGE;
	}
	if (json_is_true(json_object_get(flows, "more")))
		cli_error("a shorter --since has all of its time",
			  "the hub tells the newest %zu records only: rates are too low",
			  json_array_size(json_object_get(flows, "flows")));
	return answer(t, o, since, now);
}

int plan_traffic(const struct options_plan *o)
{
	const char *name = cluster_name(o->name);
	struct telling t = {0};
	struct store *store = NULL;
	int r = EXIT_USAGE;

	if (!name || !cluster_need(name))
		return EXIT_USAGE;
	if (!load(&t, &store, o, name))
		r = tell(&t, o, name);
	HASH_EACH (&t.spots, slot) {
		struct spot *s = slot->value;

		point_free(&s->at[0]);
		point_free(&s->at[1]);
		free(s);
	}
	hash_fini(&t.spots);
	for (int i = 0; i < 2; i++) {
		forecast_free(&t.f[i]);
		broker_free(&t.b[i]);
	}
	store_free(&store);
	return r;
}
