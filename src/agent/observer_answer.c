/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Questions to the observer: /drops /staged /learned /counters /account /taps /metrics /conns /events /nat
 * /probes /status. The kernel's numbers are joined with pods here: by the interface's alias, which holds the
 * pod's uid, and by the pod's addresses.
 */
#include <errno.h>
#include <stdlib.h>

#include "agent/observer.h"
#include "agent/observer_join.h"
#include "base/clock.h"
#include "base/own.h"
#include "filter/reason.h"
#include "observe/kernel.h"
#include "observe/kernel_reason.h"
#include "seam/name.h"

enum { CONNS_MAX = 1000, EVENTS_MAX = 200 };

static void add_pod(struct buf *out, const struct join *j, uint32_t ifindex)
{
	struct str pod = join_pod(j, ifindex);

	if (pod.n) {
		buf_addz(out, ",\"pod\":");
		buf_json(out, pod);
	}
	if (ifindex)
		buf_printf(out, ",\"interface\":%u", ifindex);
}

/* Seen from the pod that was judged; a packet that was refused before it met one has none. */
static void add_direction(struct buf *out, uint32_t ifindex, bool to_pod)
{
	if (ifindex)
		buf_printf(out, ",\"direction\":\"%s\"", to_pod ? "to-pod" : "from-pod");
}

static void add_drop(struct buf *out, const struct join *j, const struct drop_count *d, bool by_kernel)
{
	uint16_t reason = by_kernel ? kernel_reason(d->reason) : d->reason;

	buf_printf(out, "{\"reason\":\"%s\",\"number\":%u", reason_name(reason) ?: "unknown", d->reason);
	add_direction(out, d->ifindex, d->to_pod);
	add_pod(out, j, d->ifindex);
	if (d->cause)
		buf_printf(out, ",\"cause\":%u", d->cause);
	buf_printf(out, ",\"packets\":%llu,\"bytes\":%llu,\"advice\":", (unsigned long long)d->packets,
		   (unsigned long long)d->bytes);
	buf_json(out, str_of(by_kernel ? "" : drop_advice(d->reason)));
	buf_addc(out, '}');
}

/* Weft's own, and apart from them the kernel's; without those they are unknown. */
static int answer_drops(struct observer *ob, struct buf *out)
{
	struct drop_counts drops = {0}, kernel = {0};
	int err = observed_drops(ob->observed, &drops), unknown;
	struct join j;
	size_t n = 0;

	if (err) {
		vec_free(&drops.list);
		return 503;
	}
	unknown = observed_kernel_drops(ob->observed, &kernel);
	join_begin(&j, ob);
	buf_addz(out, "{\"node\":");
	buf_json(out, str_of(ob->o.node));
	buf_addz(out, ",\"drops\":[");
	VEC_EACH (&drops.list, d) {
		buf_addz(out, n++ ? "," : "");
		add_drop(out, &j, d, false);
	}
	buf_addz(out, unknown ? "" : "],\"kernelDrops\":[");
	VEC_EACH (&kernel.list, d) {
		buf_addz(out, d == kernel.list.items ? "" : ",");
		add_drop(out, &j, d, true);
	}
	buf_addz(out, "]}\n");
	join_end(&j);
	vec_free(&drops.list);
	vec_free(&kernel.list);
	return 200;
}

/* Seconds since the newest event kept that tells of these connections; -1: none is kept. */
static long long staged_age(const struct observed *o, const struct drop_count *d, uint64_t now)
{
	struct seen e;

	for (unsigned i = 0; i < OBSERVE_EVENTS && observed_event(o, i, &e); i++)
		if (e.staged && e.ifindex == d->ifindex && e.cause == d->cause && e.reason == d->reason &&
		    e.to_pod == d->to_pod)
			return now > e.at ? (long long)((now - e.at) / 1000000000) : 0;
	return -1;
}

/* What staged policies would have done to connections: refuse what goes on, or allow what is refused. */
static int answer_staged(struct observer *ob, struct buf *out)
{
	struct drop_counts staged = {0};
	struct join j;
	int err = observed_staged(ob->observed, &staged);

	if (err) {
		vec_free(&staged.list);
		return 503;
	}
	join_begin(&j, ob);
	buf_addz(out, "{\"node\":");
	buf_json(out, str_of(ob->o.node));
	buf_addz(out, ",\"staged\":[");
	VEC_EACH (&staged.list, d) {
		long long age = staged_age(ob->observed, d, clock_us() * 1000);

		buf_printf(out, "%s{\"would\":\"%s\",\"number\":%u,\"cause\":%u",
			   d == staged.list.items ? "" : ",", d->reason ? "refuse" : "allow", d->reason,
			   d->cause);
		if (d->reason)
			buf_printf(out, ",\"reason\":\"%s\"", drop_name(d->reason));
		add_direction(out, d->ifindex, d->to_pod);
		add_pod(out, &j, d->ifindex);
		buf_printf(out, ",\"connections\":%llu", (unsigned long long)d->packets);
		if (age >= 0)
			buf_printf(out, ",\"secondsAgo\":%lld", age);
		buf_addc(out, '}');
	}
	buf_addz(out, "]}\n");
	join_end(&j);
	vec_free(&staged.list);
	return 200;
}

struct learned_list {
	struct buf *out;
	uint32_t now; /* monotonic seconds */
	size_t n;
};

static int add_learned(void *ctx, const struct addr *a, const struct learned_value *v)
{
	struct learned_list *l = ctx;
	char text[ADDR_TEXT];

	addr_print(a, text);
	for (int i = 0; i < LEARNED_SLOTS; i++)
		if (v->slot[i].name)
			buf_printf(l->out, "%s{\"address\":\"%s\",\"class\":%u,\"seconds\":%d}",
				   l->n++ ? "," : "", text, v->slot[i].name,
				   (int32_t)(v->slot[i].until - l->now));
	return 0;
}

/* Addresses under names; `seconds` below 1: so long ago it ended. */
static int answer_learned(struct observer *ob, struct buf *out)
{
	struct learned_list l = {.out = out, .now = (uint32_t)(clock_us() / 1000000)};
	int err;

	buf_addz(out, "{\"node\":");
	buf_json(out, str_of(ob->o.node));
	buf_addz(out, ",\"learned\":[");
	err = observed_learned(ob->observed, add_learned, &l);
	buf_addz(out, "]}\n");
	if (err)
		buf_clear(out);
	return err ? 503 : 200;
}

static int answer_counters(struct observer *ob, struct buf *out)
{
	uint64_t values[OBSERVE_COUNTERS_MAX];
	int n = observed_counters(ob->observed, values);

	if (n < 0)
		return 503;
	buf_addz(out, "{\"node\":");
	buf_json(out, str_of(ob->o.node));
	buf_addz(out, ",\"counters\":{");
	for (uint32_t i = 0; i < (uint32_t)n; i++)
		buf_printf(out, "%s\"%s\":%llu", i ? "," : "", counter_name(i),
			   (unsigned long long)values[i]);
	buf_addz(out, "}}\n");
	return 200;
}

struct conn_list {
	struct buf *out;
	size_t n, shown;
	bool answered;
};

static void add_end(struct buf *b, const char *name, const struct addr *a, uint16_t port)
{
	char text[ADDR_TEXT];

	addr_print(a, text);
	buf_printf(b, "\"%s\":\"%s\",\"%sPort\":%u,", name, text, name, port);
}

static int add_conn(void *ctx, const struct conn *c)
{
	struct conn_list *l = ctx;
	const struct conn_value *v = &c->value;

	l->n++;
	if (l->shown >= CONNS_MAX)
		return 0;
	buf_addz(l->out, l->shown++ ? ",{" : "{");
	add_end(l->out, "from", &c->from, c->from_port);
	add_end(l->out, "to", &c->to, c->to_port);
	buf_printf(
	    l->out,
	    "\"protocol\":%u,\"answered\":%s,\"bytes\":[%llu,%llu],\"packets\":[%llu,%llu],\"interface\":%u,"
	    "\"handshakeMicroseconds\":%u}",
	    c->proto, l->answered ? "true" : "false", (unsigned long long)v->there.bytes,
	    (unsigned long long)v->back.bytes, (unsigned long long)v->there.packets,
	    (unsigned long long)v->back.packets, v->ifindex, v->handshake_us);
	return 0;
}

static int answer_conns(struct observer *ob, struct buf *out)
{
	struct conn_list l = {.out = out, .answered = true};
	size_t live;
	int err;

	buf_addz(out, "{\"node\":");
	buf_json(out, str_of(ob->o.node));
	buf_addz(out, ",\"connections\":[");
	err = observed_conns(ob->observed, true, add_conn, &l);
	live = l.n;
	l.answered = false;
	if (!err)
		err = observed_conns(ob->observed, false, add_conn, &l);
	buf_printf(out, "],\"answered\":%zu,\"unanswered\":%zu,\"shown\":%zu}\n", live, l.n - live, l.shown);
	if (err)
		buf_clear(out);
	return err ? 503 : 200;
}

static const char *event_reason(const struct seen *e)
{
	return !e->reason     ? "allowed"
	       : e->by_kernel ? reason_name(kernel_reason(e->reason)) ?: "unknown"
			      : drop_name(e->reason);
}

static int answer_events(struct observer *ob, struct buf *out)
{
	struct join j;
	struct seen e;

	join_begin(&j, ob);
	buf_addz(out, "{\"node\":");
	buf_json(out, str_of(ob->o.node));
	buf_printf(out, ",\"taken\":%llu,\"events\":[", (unsigned long long)observed_events(ob->observed));
	for (unsigned i = 0; i < EVENTS_MAX && observed_event(ob->observed, i, &e); i++) {
		buf_addz(out, i ? ",{" : "{");
		add_end(out, "from", &e.src, e.sport);
		add_end(out, "to", &e.dst, e.dport);
		buf_printf(out, "\"at\":%llu,\"reason\":\"%s\",\"protocol\":%u,\"cause\":%u,\"bytes\":%u",
			   (unsigned long long)e.at, event_reason(&e), e.proto, e.cause, e.len);
		if (e.staged)
			buf_addz(out, ",\"staged\":true");
		add_direction(out, e.ifindex, e.to_pod);
		add_pod(out, &j, e.ifindex);
		buf_addc(out, '}');
	}
	buf_addz(out, "]}\n");
	join_end(&j);
	return 200;
}

static int answer_status(struct observer *ob, struct buf *out)
{
	unsigned probed, ready;

	prober_counts(ob->prober, &probed, &ready);
	buf_addz(out, "{\"node\":");
	buf_json(out, str_of(ob->o.node));
	buf_printf(out, ",\"kernel\":%s,\"hub\":%s,\"pods\":%zu,\"probed\":%u,\"ready\":%u,\"probing\":",
		   ob->observed ? "true" : "false", hub_connected(ob->hub) ? "true" : "false",
		   store_count(ob->store, KIND_pod), probed, ready);
	prober_stats(ob->prober, out);
	buf_addz(out, "}\n");
	return 200;
}

/* "pod=ns/name" of a query, or nothing. Names need no escapes. */
static struct str pod_asked(struct str query)
{
	while (query.n) {
		struct str value = str_cut(&query, '&'), name = str_cut(&value, '=');

		if (str_eqz(name, "pod"))
			return value;
	}
	return (struct str){0};
}

static int answer_probes(struct observer *ob, struct str query, struct buf *out)
{
	buf_addz(out, "{\"node\":");
	buf_json(out, str_of(ob->o.node));
	buf_addz(out, ",\"probes\":[");
	prober_print(ob->prober, pod_asked(query), out);
	buf_addz(out, "]}\n");
	return 200;
}

int observer_answer(void *ctx, struct str path, struct buf *out)
{
	struct observer *ob = ctx;
	struct str name = str_cut(&path, '?');

	if (str_eqz(name, "/status"))
		return answer_status(ob, out);
	if (str_eqz(name, "/probes"))
		return answer_probes(ob, path, out);
	if (str_eqz(name, "/metrics"))
		return observer_metrics(ob, out);
	if (!ob->observed) {
		buf_addz(out, "{\"error\":\"the applier has not handed over its tables yet\"}\n");
		return 503;
	}
	if (str_eqz(name, "/drops"))
		return answer_drops(ob, out);
	if (str_eqz(name, "/staged"))
		return answer_staged(ob, out);
	if (str_eqz(name, "/learned"))
		return answer_learned(ob, out);
	if (str_eqz(name, "/account"))
		return observer_account(ob, out);
	if (str_eqz(name, "/taps"))
		return observer_taps(ob, out);
	if (str_eqz(name, "/counters"))
		return answer_counters(ob, out);
	if (str_eqz(name, "/conns"))
		return answer_conns(ob, out);
	if (str_eqz(name, "/nat"))
		return observer_nat(ob, path, out);
	if (str_eqz(name, "/seen"))
		return observer_seen(ob, out);
	if (str_eqz(name, "/events"))
		return answer_events(ob, out);
	return 404;
}
