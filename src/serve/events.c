/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Events, derived from what objects say of themselves when they are asked for: where a pod was put, or why
 * not; when its containers began, or why they wait; what a Deployment wants of its ReplicaSets; which Alerts
 * fire. Nothing is kept, so an event is there for as long as it is true. Reads the store only.
 */
#include <stdio.h>

#include "base/clock.h"
#include "serve/api_state.h"

struct events {
	struct buf *b;
	struct str selector; /* the request's fieldSelector */
	const struct who *who;
	bool table;
	size_t n;
	int64_t now;
};

struct told {
	const struct object *of;
	const char *what; /* part of the name: one event of each for an object */
	struct str part;
	const char *type, *reason, *source;
	struct str when;
};

static struct str value_of(const struct told *t, struct str key, struct str name)
{
	if (str_eqz(key, "involvedObject.name"))
		return t->of->meta.name;
	if (str_eqz(key, "involvedObject.namespace") || str_eqz(key, "metadata.namespace"))
		return t->of->meta.ns;
	if (str_eqz(key, "involvedObject.kind"))
		return str_of(t->of->desc->name);
	if (str_eqz(key, "involvedObject.uid"))
		return t->of->meta.uid;
	if (str_eqz(key, "involvedObject.apiVersion"))
		return str_of(kind_api_version(t->of->desc));
	if (str_eqz(key, "reason"))
		return str_of(t->reason);
	if (str_eqz(key, "type"))
		return str_of(t->type);
	return str_eqz(key, "metadata.name") ? name : (struct str){0};
}

/* The terms were parsed before: each has its operator. */
static bool wanted(const struct events *e, const struct told *t, struct str name)
{
	for (struct str rest = e->selector; rest.n;) {
		struct str value = str_cut(&rest, ','), key = str_cut(&value, '=');
		bool not = str_ends(key, STR("!"));
		key.n -= not ;
		if (value.n && *value.p == '=')
			value = (struct str){value.p + 1, value.n - 1};
		if (str_eq(value_of(t, str_trim(key), name), str_trim(value)) == not )
			return false;
	}
	return true;
}

/* What is in no namespace tells of all of them: an Alert's groups name pods, a Capture's filter does. */
static bool may_know(const struct events *e, const struct object *of)
{
	return access_level(e->who, of->meta.ns) >= ACCESS_VIEW;
}

static void print_row(struct events *e, const struct told *t, struct str message)
{
	char text[64], age[16] = "<unknown>";
	int64_t at;
	AUTO_BUF object = {0};
	snprintf(text, sizeof(text), STR_FMT, STR_ARG(t->when));
	if (*text && !clock_parse(text, &at))
		clock_age(e->now > at ? e->now - at : 0, age);
	buf_printf(&object, "%s/" STR_FMT, t->of->desc->singular, STR_ARG(t->of->meta.name));
	buf_printf(e->b, "{\"cells\":[\"%s\",\"%s\",\"%s\",", age, t->type, t->reason);
	buf_json(e->b, buf_str(&object));
	buf_addc(e->b, ',');
	buf_json(e->b, message);
	buf_addz(e->b, "],\"object\":");
}

static void tell(struct events *e, const struct told *t, struct str message)
{
	AUTO_BUF name = {0};
	struct buf *b = e->b;
	buf_printf(&name, STR_FMT ".%s%s" STR_FMT, STR_ARG(t->of->meta.name), t->what, t->part.n ? "." : "",
		   STR_ARG(t->part));
	if (name.failed || !may_know(e, t->of) || !wanted(e, t, buf_str(&name)))
		return;
	buf_addz(b, e->n++ ? "," : "");
	if (e->table)
		print_row(e, t, message);
	buf_addz(b, "{\"kind\":\"Event\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":");
	buf_json(b, buf_str(&name));
	buf_addz(b, ",\"namespace\":");
	buf_json(b, t->of->meta.ns.n ? t->of->meta.ns : STR("default"));
	buf_printf(
	    b, ",\"resourceVersion\":\"%llu\",\"creationTimestamp\":", (unsigned long long)t->of->version);
	buf_json(b, t->when);
	buf_printf(b, "},\"involvedObject\":{\"kind\":\"%s\",\"apiVersion\":\"%s\",\"namespace\":",
		   t->of->desc->name, kind_api_version(t->of->desc));
	buf_json(b, t->of->meta.ns);
	buf_addz(b, ",\"name\":");
	buf_json(b, t->of->meta.name);
	buf_addz(b, ",\"uid\":");
	buf_json(b, t->of->meta.uid);
	buf_printf(b, "},\"reason\":\"%s\",\"message\":", t->reason);
	buf_json(b, message);
	buf_printf(b, ",\"source\":{\"component\":\"%s\"},\"firstTimestamp\":", t->source);
	buf_json(b, t->when);
	buf_addz(b, ",\"lastTimestamp\":");
	buf_json(b, t->when);
	buf_printf(b,
		   ",\"count\":1,\"type\":\"%s\",\"reportingComponent\":\"%s\",\"reportingInstance\":\"\"}",
		   t->type, t->source);
	buf_addz(b, e->table ? "}" : "");
}

/* A text member of a container's state, which is compact JSON. */
static struct str text_in(struct str state, const char *key)
{
	char quoted[64];
	int n = snprintf(quoted, sizeof(quoted), "\"%s\":\"", key);
	const char *at = state.n ? memmem(state.p, state.n, quoted, (size_t)n) : NULL;
	if (!at)
		return (struct str){0};
	at += n;
	const char *end = memchr(at, '"', state.n - (size_t)(at - state.p));
	return end ? (struct str){at, (size_t)(end - at)} : (struct str){0};
}

static void tell_containers(struct events *e, const struct object *o, const struct container_status_list *l)
{
	for (size_t i = 0; i < l->len; i++) {
		const struct container_status *c = &l->items[i];
		struct str began = text_in(c->state, "startedAt"), reason = text_in(c->state, "reason");
		AUTO_BUF text = {0};
		struct told t = {.of = o, .part = c->name, .source = "kubelet"};
		if (began.n && c->state.n && memmem(c->state.p, c->state.n, "\"running\"", 9)) {
			t.what = "started";
			t.type = "Normal";
			t.reason = "Started";
			t.when = began;
			buf_printf(&text, "Started container " STR_FMT, STR_ARG(c->name));
			tell(e, &t, buf_str(&text));
		} else if (str_eqz(reason, "CrashLoopBackOff")) {
			t.what = "backoff";
			t.type = "Warning";
			t.reason = "BackOff";
			t.when = text_in(c->last_state, "finishedAt");
			buf_printf(&text, "Back-off restarting failed container " STR_FMT " in pod " STR_FMT,
				   STR_ARG(c->name), STR_ARG(o->meta.name));
			tell(e, &t, buf_str(&text));
		}
	}
}

static void tell_pod(struct events *e, const struct object *o)
{
	const struct pod_status *st = o->pod->status;
	for (size_t i = 0; st && i < st->conditions.len; i++) {
		const struct condition *c = &st->conditions.items[i];
		AUTO_BUF text = {0};
		bool placed = str_eqz(c->status, "True");
		if (!str_eqz(c->type, "PodScheduled"))
			continue;
		struct told t = {.of = o,
				 .what = "scheduled",
				 .type = placed ? "Normal" : "Warning",
				 .reason = placed ? "Scheduled" : "FailedScheduling",
				 .source = "default-scheduler",
				 .when = c->last_transition_time};
		if (placed && o->pod->spec)
			buf_printf(&text, "Successfully assigned " STR_FMT "/" STR_FMT " to " STR_FMT,
				   STR_ARG(o->meta.ns), STR_ARG(o->meta.name),
				   STR_ARG(o->pod->spec->node_name));
		else
			buf_adds(&text, c->message);
		tell(e, &t, buf_str(&text));
	}
	if (st) {
		tell_containers(e, o, &st->init_container_statuses);
		tell_containers(e, o, &st->container_statuses);
	}
}

static void tell_replicaset(struct events *e, struct api *a, const struct object *rs)
{
	for (size_t i = 0; i < rs->meta.owner_references.len; i++) {
		const struct owner_reference *ref = &rs->meta.owner_references.items[i];
		const struct object *owner = store_get(a->store, KIND_deployment, rs->meta.ns, ref->name);
		AUTO_BUF text = {0};
		if (!owner || !str_eqz(ref->kind, "Deployment"))
			continue;
		struct told t = {.of = owner,
				 .what = "scaling",
				 .part = rs->meta.name,
				 .type = "Normal",
				 .reason = "ScalingReplicaSet",
				 .source = "deployment-controller",
				 .when = rs->meta.creation_timestamp};
		buf_printf(&text, "Scaled replica set " STR_FMT " to %lld", STR_ARG(rs->meta.name),
			   (long long)(rs->replicaset->spec ? rs->replicaset->spec->replicas.v : 0));
		tell(e, &t, buf_str(&text));
	}
}

static void tell_group(struct events *e, const struct object *o, const struct alert_instance *g)
{
	bool firing = str_eqz(g->state, "firing"), pending = str_eqz(g->state, "pending");
	struct str above = o->alert->spec->above.n ? o->alert->spec->above : STR("0");
	AUTO_BUF text = {0};
	struct told t = {.of = o,
			 .what = "alert",
			 .part = g->fingerprint,
			 .type = firing ? "Warning" : "Normal",
			 .reason = firing    ? "AlertFiring"
				   : pending ? "AlertPending"
					     : "AlertResolved",
			 .source = "weft-hub",
			 .when = firing	   ? g->starts_at
				 : pending ? g->active_at
					   : g->ends_at};
	buf_printf(&text, STR_FMT ", threshold " STR_FMT, STR_ARG(g->value), STR_ARG(above));
	for (size_t i = 0; i < g->labels.len; i++)
		if (!str_eqz(g->labels.items[i].key, "alertname"))
			buf_printf(&text, ", " STR_FMT "=" STR_FMT, STR_ARG(g->labels.items[i].key),
				   STR_ARG(g->labels.items[i].value));
	tell(e, &t, buf_str(&text));
}

static void tell_alert(struct events *e, const struct object *o)
{
	const struct alert_status *st = o->alert->status;
	for (size_t i = 0; st && o->alert->spec && i < st->groups.len; i++)
		tell_group(e, o, &st->groups.items[i]);
}

static void tell_capture(struct events *e, const struct object *o)
{
	const struct capture_spec *s = o->capture->spec;
	const struct capture_status *st = o->capture->status;
	struct told t = {
	    .of = o, .what = "started", .type = "Normal", .reason = "CaptureStarted", .source = "weft-hub"};
	AUTO_BUF text = {0};
	AUTO_BUF end = {0};

	if (!s || !st || !st->started.n)
		return;
	t.when = st->started;
	buf_printf(&text, STR_FMT " sees packets: " STR_FMT, STR_ARG(s->user.n ? s->user : STR("a manifest")),
		   STR_ARG(s->filter.n ? s->filter : STR("all")));
	tell(e, &t, buf_str(&text));
	if (!st->ended.n)
		return;
	t.what = "ended";
	t.reason = "CaptureEnded";
	t.when = st->ended;
	buf_printf(&end, "%lld packets, %lld bytes, %lld lost by slow readers", (long long)st->packets.v,
		   (long long)st->bytes.v, (long long)st->dropped.v);
	tell(e, &t, buf_str(&end));
}

void events_list(struct api *a, const struct target *t, const struct http_request *rq, struct buf *b)
{
	const char *fields = http_query(rq, "fieldSelector");
	struct events e = {.b = b,
			   .selector = str_of(fields),
			   .who = who_of(rq),
			   .table = show_of(rq).table,
			   .now = clock_wall()};
	static const char *const columns[] = {"Last Seen", "Type", "Reason", "Object", "Message"};
	struct object_refs all = {0};
	unsigned long long version = store_version(a->store);
	if (e.table) {
		buf_printf(
		    b,
		    "{\"kind\":\"Table\",\"apiVersion\":\"meta.k8s.io/v1\",\"metadata\":{\"resourceVersion\":"
		    "\"%llu\"},\"columnDefinitions\":[",
		    version);
		for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++)
			buf_printf(
			    b,
			    "%s{\"name\":\"%s\",\"type\":\"string\",\"format\":\"\",\"description\":\"\","
			    "\"priority\":0}",
			    i ? "," : "", columns[i]);
		buf_addz(b, "],\"rows\":[");
	} else {
		buf_printf(b,
			   "{\"kind\":\"EventList\",\"apiVersion\":\"v1\",\"metadata\":{\"resourceVersion\":"
			   "\"%llu\"},"
			   "\"items\":[",
			   version);
	}
	if (!store_list(a->store, KIND_replicaset, str_of(t->ns), &all))
		VEC_EACH (&all.list, o)
			tell_replicaset(&e, a, *o);
	vec_free(&all.list);
	if (!store_list(a->store, KIND_pod, str_of(t->ns), &all))
		VEC_EACH (&all.list, o)
			tell_pod(&e, *o);
	vec_free(&all.list);
	/* Of what is in no namespace, they are in "default". */
	if ((!*t->ns || !strcmp(t->ns, "default")) && !store_list(a->store, KIND_alert, STR(""), &all))
		VEC_EACH (&all.list, o)
			tell_alert(&e, *o);
	vec_free(&all.list);
	if ((!*t->ns || !strcmp(t->ns, "default")) && !store_list(a->store, KIND_capture, STR(""), &all))
		VEC_EACH (&all.list, o)
			tell_capture(&e, *o);
	vec_free(&all.list);
	buf_addz(b, "]}\n");
}
