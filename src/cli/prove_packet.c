/* SPDX-License-Identifier: Apache-2.0 */
/* Packets in words, as JSON, and as scenes; see prove.h. Judges nothing. */
#include "cli/prove.h"

#include "base/own.h"
#include "reason/label.h"
#include "reason/select.h"
#include "seam/policy.h"

#include <netinet/in.h>
#include <stdlib.h>

#define OUTSIDE_V4 "203.0.113.10" /* the outside host of doc/internals.md */
#define OUTSIDE_V6 "2001:db8:113::10"

static void end_name(struct buf *b, const struct ends *e, const struct end *end)
{
	if (end->kind == END_POD)
		buf_printf(b, STR_FMT "/" STR_FMT, STR_ARG(end->ns), STR_ARG(end->name));
	else if (end->kind == END_NODE)
		end_print(b, e, end);
	else
		buf_addz(b, "outside");
}

/* In a cluster of its own pods get other names: the workload stands for them. */
static void scene_name(struct buf *b, const struct ends *e, const struct end *end)
{
	if (end->kind == END_POD)
		buf_printf(b, STR_FMT "/" STR_FMT, STR_ARG(end->ns), STR_ARG(end->workload));
	else
		end_name(b, e, end);
}

static void end_both(struct buf *b, const struct ends *e, const struct end *end, int family)
{
	char text[ADDR_TEXT];

	addr_print(&end->addr[0][family], text);
	end_name(b, e, end);
	buf_printf(b, " (%s)", text);
}

void packet_print(struct buf *b, const struct ends *e, const struct packet *p)
{
	end_both(b, e, &e->list.items[p->src], p->family);
	buf_addz(b, " -> ");
	end_both(b, e, &e->list.items[p->dst], p->family);
	buf_printf(b, " %s", port_proto_name(p->proto));
	if (p->proto)
		buf_printf(b, " %u", p->port);
}

static void policies_print(struct buf *b, const struct ends *e, const struct end *end, bool egress)
{
	struct object_refs list = {0};
	size_t n = 0;

	policies_isolating(engine_store(e->engines[0]), end->o[0], egress, false, &list);
	VEC_EACH (&list.list, o) {
		buf_printf(b, "%sNetworkPolicy " STR_FMT "/" STR_FMT ", ", n++ ? "; " : "",
			   STR_ARG((*o)->meta.ns), STR_ARG((*o)->meta.name));
		pos_print(b, object_pos(*o, &(*o)->networkpolicy->spec->pod_selector));
	}
	vec_free(&list.list);
	if (!n)
		buf_addz(b, "cluster policies");
}

static void side_print(struct buf *b, const struct ends *e, const struct end *end, bool egress,
		       const struct fn_range *r, const char *indent)
{
	if (end->kind != END_POD)
		return;
	buf_printf(b, "%s%s of ", indent, egress ? "egress" : "ingress");
	end_name(b, e, end);
	buf_addz(b, ": ");
	if (r->rule >= RULE_FIRST) {
		AUTO_BUF text = {0};
		struct origin o = engine_rule(e->engines[0], r->rule, &text);
		buf_printf(b, "%s by %s, ",
			   r->word == PORT_ALLOW   ? "allowed"
			   : r->word == PORT_NAMES ? "refused but for addresses learned by name,"
						   : "refused",
			   o.object ? o.object
			   : text.p ? text.p
				    : "");
		pos_print(b, o.pos);
	} else if (r->word == PORT_ALLOW) {
		buf_addz(b, "allowed, nothing isolates it");
	} else {
		buf_printf(b, "%s; isolated by ",
			   r->word == PORT_NAMES ? "allowed for addresses learned by name only"
						 : "refused, no rule allows it");
		policies_print(b, e, end, egress);
	}
	buf_addc(b, '\n');
}

void decision_print(struct buf *b, const struct ends *e, const struct packet *p, const struct decision *d,
		    const char *indent)
{
	side_print(b, e, &e->list.items[p->src], true, &d->egress, indent);
	side_print(b, e, &e->list.items[p->dst], false, &d->ingress, indent);
}

static json_t *end_json(const struct ends *e, const struct end *end, int family)
{
	char text[ADDR_TEXT];
	AUTO_BUF b = {0};

	addr_print(&end->addr[0][family], text);
	end_name(&b, e, end);
	return json_pack("{s:s, s:s}", "name", b.p ? b.p : "", "address", text);
}

json_t *packet_json(const struct ends *e, const struct packet *p, const struct decision *d)
{
	static const char *const words[] = {"refused", "by name", "allowed"};
	json_t *j = json_pack("{s:o, s:o, s:s, s:s}", "from", end_json(e, &e->list.items[p->src], p->family),
			      "to", end_json(e, &e->list.items[p->dst], p->family), "protocol",
			      p->proto ? port_proto_name(p->proto) : "other", "verdict", words[d->word]);
	AUTO_BUF why = {0};

	if (p->proto)
		json_object_set_new(j, "port", json_integer(p->port));
	decision_print(&why, e, p, d, "");
	json_t *lines = json_array();
	for (struct str rest = buf_str(&why), line; rest.n;) {
		line = str_cut(&rest, '\n');
		json_array_append_new(lines, json_stringn(line.p, line.n));
	}
	json_object_set_new(j, "why", lines);
	return j;
}

/* A pod like this one that serves the port; its labels decide all that policies ask. */
static void cast_pod(struct buf *b, const struct end *end, const struct packet *p)
{
	const struct strmap *labels = &end->o[0]->meta.labels;

	buf_printf(b, "cast:\n  pods:\n    " STR_FMT "/replay: {labels: {", STR_ARG(end->ns));
	for (size_t i = 0; i < labels->len; i++) {
		buf_addz(b, i ? ", " : "");
		buf_json(b, labels->items[i].key);
		buf_addz(b, ": ");
		buf_json(b, labels->items[i].value);
	}
	buf_printf(b, "}, ports: [%s%u%s]}\n", p->proto == IPPROTO_UDP ? "\"" : "", p->port,
		   p->proto == IPPROTO_UDP ? "/udp\"" : "");
}

static bool outside_host(const struct ends *e, const struct end *end)
{
	struct addr a;

	addr_parse(addr_is4(&e->regions.list.items[end->region].sample) ? STR(OUTSIDE_V4) : STR(OUTSIDE_V6),
		   &a);
	return region_of(&e->regions, &a) == end->region;
}

static const char *hindrance(const struct ends *e, const struct packet *p)
{
	const struct end *src = &e->list.items[p->src], *dst = &e->list.items[p->dst];

	if (p->proto != IPPROTO_TCP && p->proto != IPPROTO_UDP)
		return "scenes send TCP and UDP only";
	if (dst->kind != END_POD)
		return "scenes send to pods and Services only";
	if (src->kind == END_OUTSIDE && !outside_host(e, src))
		return "the outside host of scenes has another address";
	return p->port ? NULL : "nobody serves port 0";
}

bool packet_scene(struct buf *b, const struct ends *e, const struct packet *p, bool comes, const char *path,
		  struct str title, const char **why)
{
	const struct end *src = &e->list.items[p->src], *dst = &e->list.items[p->dst];
	bool serves = end_declares(dst, p->proto, p->port);
	AUTO_MEM char *full = realpath(path, NULL);
	AUTO_BUF from = {0};

	*why = hindrance(e, p);
	if (*why)
		return false;
	scene_name(&from, e, src);
	buf_addz(b, "title: ");
	buf_json(b, title);
	buf_addz(b, "\nwhy: A packet for which that does not hold.\nmanifests: [");
	buf_json(b, str_of(full ? full : path));
	buf_addz(b, "]\n");
	if (!serves)
		cast_pod(b, dst, p);
	buf_printf(b, "expect: |\n  from " STR_FMT "/" STR_FMT ":%u%s\n  %s %s\n", STR_ARG(dst->ns),
		   STR_ARG(serves ? dst->workload : STR("replay")), p->port,
		   p->proto == IPPROTO_UDP ? "/udp" : "", from.p ? from.p : "", comes ? "yes" : "no");
	return true;
}
