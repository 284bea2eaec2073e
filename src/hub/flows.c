/* SPDX-License-Identifier: Apache-2.0 */
/* The nodes' flows, joined: see flows.h. */
#include "hub/flows.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/own.h"
#include "hub/cluster.h"
#include "observe/history.h"
#include "observe/record_json.h"
#include "observe/report.h"

enum { OPEN_MAX = 1 << 20, FORGET_S = 3600, FORGET_EACH_S = 60, ANSWER_MAX = 100000, LABELS_MAX = 64 };

struct flow_node { /* what came from one */
	char *name;
	uint32_t epoch;
	uint64_t next;	   /* number of the record that comes next in this epoch */
	uint64_t received; /* over all epochs */
	uint64_t missing;  /* records that were numbered but never came */
	uint64_t lost;	   /* that the node could not keep, of past epochs */
	uint64_t lost_now; /* of this epoch */
	int64_t at;	   /* of the last report, by this clock; ns */
};

struct flows {
	struct store *store;
	struct subscription *sub;
	struct identities *ids;
	struct history *history;
	struct rollups *rollups;
	const struct identity *outside, *unknown; /* references */
	VEC(struct flow_node) nodes;
	VEC(struct prefix) ranges; /* of the nodes' pods */
	bool ranges_stale;
	int64_t forgotten;
};

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* --- names ----------------------------------------------------------------------------------------- */

/* What controls the pod, or what controls its ReplicaSet. */
static void set_workload(const struct flows *f, const struct object *pod, struct identity *out)
{
	const struct owner_reference *owner = object_controller(pod);
	const struct object *set;

	if (!owner)
		return;
	out->workload_kind = owner->kind;
	out->workload = owner->name;
	set = str_eqz(owner->kind, "ReplicaSet")
		  ? store_get(f->store, KIND_replicaset, pod->meta.ns, owner->name)
		  : NULL;
	owner = set ? object_controller(set) : NULL;
	if (owner) {
		out->workload_kind = owner->kind;
		out->workload = owner->name;
	}
}

static void own_text(struct flows *f, struct str text, const struct identity *who, int64_t at)
{
	struct addr a;

	if (!addr_parse(text, &a))
		identities_set(f->ids, &a, who, at);
}

/* The address may have another owner by now: then a late word of the old one changes nothing. */
static void disown_text(struct flows *f, struct str text, struct str ns, struct str name, int64_t at)
{
	const struct identity *who;
	struct addr a;

	if (addr_parse(text, &a))
		return;
	who = identities_at(f->ids, &a, INT64_MAX);
	if (who && str_eq(who->ns, ns) && str_eq(who->name, name))
		identities_set(f->ids, &a, NULL, at);
}

static void pod_addresses(struct flows *f, const struct object *o, const struct identity *who, int64_t at)
{
	const struct pod_status *status = o->pod->status;

	if (!status || (o->pod->spec && o->pod->spec->host_network.v))
		return;
	for (size_t i = 0; i < status->pod_ips.len; i++)
		if (who)
			own_text(f, status->pod_ips.items[i].ip, who, at);
		else
			disown_text(f, status->pod_ips.items[i].ip, o->meta.ns, o->meta.name, at);
}

static void node_addresses(struct flows *f, const struct object *o, const struct identity *who, int64_t at)
{
	const struct node_status *status = o->node->status;

	for (size_t i = 0; status && i < status->addresses.len; i++)
		if (who)
			own_text(f, status->addresses.items[i].address, who, at);
		else
			disown_text(f, status->addresses.items[i].address, STR(""), o->meta.name, at);
}

static void service_addresses(struct flows *f, const struct object *o, const struct identity *who, int64_t at)
{
	const struct service_spec *spec = o->service->spec;

	for (size_t i = 0; spec && i < spec->cluster_ips.len; i++)
		if (who)
			own_text(f, spec->cluster_ips.items[i], who, at);
		else
			disown_text(f, spec->cluster_ips.items[i], o->meta.ns, o->meta.name, at);
}

static bool pod_is_over(const struct object *o)
{
	const struct pod_status *s = o->pod->status;

	return s && (str_eqz(s->phase, "Succeeded") || str_eqz(s->phase, "Failed"));
}

static void note_object(struct flows *f, const struct object *o, bool gone, int64_t at)
{
	struct identity like = {.ns = o->meta.ns, .name = o->meta.name};
	struct str labels[2 * LABELS_MAX];
	const struct identity *who;

	switch (o->desc->kind) {
	case KIND_pod:
		like.kind = IDENTITY_POD;
		set_workload(f, o, &like);
		if (o->pod->spec)
			like.node = o->pod->spec->node_name;
		gone = gone || pod_is_over(o);
		break;
	case KIND_node:
		like.kind = IDENTITY_NODE;
		break;
	case KIND_service:
		like.kind = IDENTITY_SERVICE;
		break;
	default:
		return;
	}
	like.labels = labels;
	for (size_t i = 0; i < o->meta.labels.len && like.labels_len < LABELS_MAX; i++) {
		labels[2 * like.labels_len] = o->meta.labels.items[i].key;
		labels[2 * like.labels_len++ + 1] = o->meta.labels.items[i].value;
	}
	who = gone ? NULL : identity_get(f->ids, &like);
	if (!gone && !who)
		return; /* out of memory: it stays without a name */
	if (like.kind == IDENTITY_POD)
		pod_addresses(f, o, who, at);
	else if (like.kind == IDENTITY_NODE)
		node_addresses(f, o, who, at);
	else
		service_addresses(f, o, who, at);
	identity_unref(f->ids, &who);
}

static void on_event(void *ctx, const struct event *e)
{
	struct flows *f = ctx;

	f->ranges_stale = f->ranges_stale || e->object->desc->kind == KIND_node;
	note_object(f, e->object, e->type == EVENT_DELETED, now_ns());
}

static void read_ranges(struct flows *f)
{
	struct object_refs nodes = {0};

	if (store_list(f->store, KIND_node, STR(""), &nodes))
		return;
	f->ranges.len = 0;
	f->ranges_stale = false;
	VEC_EACH (&nodes.list, n) {
		const struct node_spec *spec = (*n)->node->spec;
		struct prefix p;

		for (size_t i = 0; spec && i < spec->pod_cidrs.len; i++)
			if (!prefix_parse(spec->pod_cidrs.items[i], &p) && vec_push(&f->ranges, p))
				f->ranges_stale = true;
	}
	vec_free(&nodes.list);
}

/* In a pod range of a node, but of no pod: unknown, not outside. */
static bool is_inside(struct flows *f, const struct addr *a)
{
	if (f->ranges_stale)
		read_ranges(f);
	VEC_EACH (&f->ranges, p)
		if (prefix_has(p, a))
			return true;
	return false;
}

static void name_end(struct flows *f, struct record_end *end, int64_t at)
{
	end->who = identities_at(f->ids, &end->addr, at);
	if (!end->who)
		end->who = is_inside(f, &end->addr) ? f->unknown : f->outside;
}

/* --- reports --------------------------------------------------------------------------------------- */

static struct flow_node *node_of(struct flows *f, struct str name)
{
	VEC_EACH (&f->nodes, n)
		if (str_eqz(name, n->name))
			return n;
	char *copy = strndup(name.p, name.n);

	if (!copy || vec_push(&f->nodes, (struct flow_node){.name = copy})) {
		free(copy);
		return NULL;
	}
	return &f->nodes.items[f->nodes.len - 1];
}

static void begin_epoch(struct flows *f, struct flow_node *n, const struct report *r)
{
	if (n->epoch == r->epoch)
		return;
	if (n->epoch) /* what was open is told again, if it is still there */
		history_end_node(f->history, n->name);
	n->epoch = r->epoch;
	n->next = 0;
	n->lost += n->lost_now;
	n->lost_now = 0;
}

int flows_take(struct flows *f, struct str node, struct str body, struct buf *answer, struct api_error *e)
{
	struct flow_node *n = NULL;
	struct report report;
	struct record record;
	int r = report_read(&body, &report);

	if (r)
		return api_fail(e, 400, "BadRequest",
				r == -EPROTO ? "the report is of a newer form" : "this is no report");
	if (!store_get(f->store, KIND_node, STR(""), node))
		return api_fail(e, 404, "NotFound", "nodes \"" STR_FMT "\" not found", STR_ARG(node));
	n = node_of(f, node);
	if (!n)
		return api_fail(e, 500, "InternalError", "out of memory");
	begin_epoch(f, n, &report);
	rollups_report(f->rollups, node, &report);
	n->at = now_ns();
	n->lost_now = report.lost;
	if (report.first > n->next) {
		n->missing += report.first - n->next;
		n->next = report.first;
	}
	for (uint32_t i = 0; i < report.count; i++) {
		r = report_next(&body, &record);
		if (r)
			return api_fail(e, 400, "BadRequest", "record %u of the report cannot be read", i);
		if (report.first + i < n->next)
			continue; /* told again */
		record.node = n->name;
		name_end(f, &record.from, record.first);
		name_end(f, &record.to, record.first);
		record.again = record.kind == RECORD_FLOW && record.from.who->kind == IDENTITY_POD &&
			       record.from.who->node.n && !str_eqz(record.from.who->node, n->name);
		rollups_take(f->rollups, report.first + i, &record);
		history_put(f->history, &record); /* what finds no room is counted there */
		n->next++;
		n->received++;
	}
	buf_addz(answer, "{\"ok\":true}\n");
	return 0;
}

/* --- questions ------------------------------------------------------------------------------------- */

struct printing {
	struct buf *out;
	size_t n;
};

static int print_record(void *ctx, const struct record *r)
{
	struct printing *p = ctx;

	buf_addz(p->out, p->n++ ? ",\n" : "");
	record_json(p->out, r);
	return p->out->failed ? -ENOMEM : 0;
}

static void print_nodes(const struct flows *f, struct buf *out)
{
	struct object_refs nodes = {0};
	size_t n = 0;

	if (store_list(f->store, KIND_node, STR(""), &nodes))
		return;
	buf_addz(out, "],\"nodes\":[");
	VEC_EACH (&nodes.list, o) {
		const struct flow_node *found = NULL;

		VEC_EACH (&f->nodes, x)
			if (str_eqz((*o)->meta.name, x->name))
				found = x;
		buf_printf(out, "%s{\"name\":", n++ ? "," : "");
		buf_json(out, (*o)->meta.name);
		if (found) {
			char at[31];

			record_time(found->at, at);
			buf_printf(out,
				   ",\"lastReport\":\"%s\",\"age\":%.3f,\"received\":%" PRIu64
				   ",\"missing\":%" PRIu64 ",\"lost\":%" PRIu64
				   ",\"epoch\":%u,\"next\":%" PRIu64,
				   at, (double)(now_ns() - found->at) / 1e9, found->received, found->missing,
				   found->lost + found->lost_now, found->epoch, found->next);
		}
		buf_addc(out, '}');
	}
	vec_free(&nodes.list);
}

static void tell_filter(struct api_error *e, const struct remarks *rs)
{
	AUTO_BUF text = {};

	if (rs->list.len)
		remark_print(&text, &rs->list.items[0], false);
	api_fail(e, 400, "BadRequest", "%s", text.p ? text.p : "the filter cannot be read");
}

static int read_filter(const json_t *j, struct filter **out, struct api_error *e)
{
	AUTO(remarks_fini) struct remarks remarks = {};
	const char *text = json_string_value(json_object_get(j, "filter"));
	AUTO_BUF why = {};
	int r;

	if (!text)
		return 0;
	r = filter_parse(out, str_of(text), (struct pos){}, &remarks);
	if (r == -EINVAL) {
		tell_filter(e, &remarks);
		return -EINVAL;
	}
	if (r)
		return api_fail(e, 500, "InternalError", "out of memory");
	if (!filter_uses(*out, FILTER_RECORDS, &why))
		return 0;
	filter_unref(out);
	return api_fail(e, 400, "BadRequest", "%s", why.p ? why.p : "the filter reads packets");
}

int flows_ask(struct flows *f, struct str body, struct buf *answer, struct api_error *e)
{
	json_t *j = json_loadb(body.p ? body.p : "", body.n, 0, NULL);
	struct printing p = {.out = answer};
	struct history_query q = {.since = json_integer_value(json_object_get(j, "since")),
				  .until = json_integer_value(json_object_get(j, "until")),
				  .open_only = json_is_true(json_object_get(j, "open")),
				  .again = json_is_true(json_object_get(j, "again"))};
	json_int_t limit = json_integer_value(json_object_get(j, "limit"));
	struct history_size size = history_size(f->history);
	struct filter *filter = NULL;
	int r = json_is_object(j) ? read_filter(j, &filter, e)
				  : api_fail(e, 400, "BadRequest", "the body is one JSON object");

	json_decref(j);
	if (r)
		return r;
	q.filter = filter;
	q.limit = limit > 0 && limit < ANSWER_MAX ? (uint32_t)limit : ANSWER_MAX;
	buf_addz(answer, "{\"flows\":[");
	r = history_query(f->history, &q, print_record, &p);
	print_nodes(f, answer);
	buf_printf(answer,
		   "],\"kept\":%" PRIu64 ",\"open\":%" PRIu64 ",\"taken\":%" PRIu64 ",\"madeRoom\":%" PRIu64
		   ",\"noRoom\":%" PRIu64 ",\"since\":%" PRId64 "}\n",
		   size.ended, size.open, size.put, size.pushed_out, size.no_room, size.since);
	if (filter)
		filter_unref(&filter);
	return r ? api_fail(e, 500, "InternalError", "out of memory") : 0;
}

/* --- life ------------------------------------------------------------------------------------------ */

void flows_tick(struct flows *f)
{
	int64_t now = now_ns();

	if (now - f->forgotten < (int64_t)FORGET_EACH_S * 1000000000 && now >= f->forgotten)
		return;
	f->forgotten = now;
	identities_forget(f->ids, now - (int64_t)FORGET_S * 1000000000);
}

/* Since when the object has what it has: a hub that begins anew hears of connections that are older. */
static int64_t since_when(const struct object *o, int64_t now)
{
	char text[64];
	int64_t seconds;

	snprintf(text, sizeof(text), STR_FMT, STR_ARG(o->meta.creation_timestamp));
	return clock_parse(text, &seconds) || seconds * 1000000000 > now ? now : seconds * 1000000000;
}

static int note_all(struct flows *f)
{
	static const enum kind kinds[] = {KIND_node, KIND_service, KIND_pod};
	int64_t now = now_ns();

	for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
		struct object_refs list = {0};

		if (store_list(f->store, kinds[k], STR(""), &list))
			return -ENOMEM;
		VEC_EACH (&list.list, o)
			note_object(f, *o, false, since_when(*o, now));
		vec_free(&list.list);
	}
	return 0;
}

int flows_new(struct flows **out, struct store *s, struct rollups *rollups, uint32_t records)
{
	static const struct identity outside = {.kind = IDENTITY_OUTSIDE},
				     unknown = {.kind = IDENTITY_UNKNOWN};
	struct flows *f = calloc(1, sizeof(*f));
	int r;

	if (!f)
		return -ENOMEM;
	f->store = s;
	f->rollups = rollups;
	f->ranges_stale = true;
	r = identities_new(&f->ids);
	if (!r)
		r = history_new(&f->history, f->ids, records, OPEN_MAX);
	if (!r) {
		f->outside = identity_get(f->ids, &outside);
		f->unknown = identity_get(f->ids, &unknown);
		r = f->outside && f->unknown ? note_all(f) : -ENOMEM;
	}
	if (!r)
		r = store_subscribe(s, on_event, f, &f->sub);
	if (r)
		flows_free(&f);
	else
		*out = f;
	return r;
}

void flows_free(struct flows **pf)
{
	struct flows *f = *pf;

	if (!f)
		return;
	store_unsubscribe(&f->sub);
	history_free(&f->history);
	if (f->ids) {
		identity_unref(f->ids, &f->outside);
		identity_unref(f->ids, &f->unknown);
	}
	identities_free(&f->ids);
	VEC_EACH (&f->nodes, n)
		free(n->name);
	vec_free(&f->nodes);
	vec_free(&f->ranges);
	free(TAKE(*pf));
}
