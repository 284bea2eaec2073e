/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Alerts: a filter or a state, amounts with units that fit what is measured, receivers with an address or a
 * Secret that holds it; and all of it as numbers, for the hub.
 */
#include "object/alert.h"

#include <errno.h>
#include <inttypes.h>

#include "base/own.h"
#include "object/check.h"

enum { WINDOW_MIN = 5, WINDOW_MAX = 86400, RECEIVERS_MAX = 8, TIMEOUT_MAX = 60, GROUPS_MAX = 1000 };
#define SECOND_NS UINT64_C(1000000000)
#define MS_NS	  UINT64_C(1000000)

#define X(id, name) name,
static const char *const measures[] = {ALERT_MEASURES(X)}, *const statistics[] = {ALERT_STATISTICS(X)},
			 *const watches[] = {"", ALERT_WATCHES(X)}, *const bys[] = {ALERT_BYS(X)};
#undef X

static unsigned index_of(const char *const *names, unsigned n, struct str s, unsigned otherwise)
{
	for (unsigned i = 0; s.n && i < n; i++)
		if (str_eqz(s, names[i]))
			return i;
	return otherwise;
}

static int amount(struct str s, bool time, uint64_t *out)
{
	return filter_amount(s, time, out) ? 0 : -EINVAL;
}

static uint64_t amount_or(struct str s, bool time, uint64_t otherwise)
{
	uint64_t v;

	return s.n && !amount(s, time, &v) ? v : otherwise;
}

void alert_terms(const struct alert_spec *s, struct alert_terms *t)
{
	*t = (struct alert_terms){
	    .watch = index_of(watches, ALERT_WATCH_COUNT, s->watch, ALERT_NO_WATCH),
	    .measure = index_of(measures, ALERT_MEASURE_COUNT, s->measure, ALERT_RECORDS),
	    .statistic = index_of(statistics, ALERT_STATISTIC_COUNT, s->statistic, ALERT_P95),
	    .window_ms = amount_or(s->window, true, 300 * SECOND_NS) / MS_NS,
	    .wait_ms = amount_or(s->wait, true, 0) / MS_NS,
	    .keep_ms = amount_or(s->keep, true, 0) / MS_NS,
	    .min_records = s->min_records.set ? (uint32_t)s->min_records.v : 1,
	    .max_groups = s->max_groups.set ? (uint32_t)s->max_groups.v : 100};
	t->above = amount_or(s->above, alert_is_time(t->measure), 0);
	t->resolve = amount_or(s->resolve, alert_is_time(t->measure), t->above);
	for (size_t i = 0; i < s->by.len && t->n_by < ALERT_BY_COUNT; i++)
		t->by[t->n_by++] = index_of(bys, ALERT_BY_COUNT, s->by.items[i], 0);
	if (t->watch) /* a group for each node */
		t->by[t->n_by++] = ALERT_SEEN_NODE;
}

static void print_time(struct buf *b, uint64_t ns)
{
	static const struct {
		uint64_t ns;
		const char *unit;
	} units[] = {{SECOND_NS, "s"}, {MS_NS, "ms"}, {1000, "us"}, {1, "ns"}};
	size_t i = 0;

	while (i < 3 && ns < units[i].ns)
		i++;
	buf_printf(b, "%.4g%s", (double)ns / (double)units[i].ns, ns ? units[i].unit : "s");
}

void alert_value_print(struct buf *b, const struct alert_terms *t, uint64_t value)
{
	if (!t->watch && alert_is_time(t->measure))
		print_time(b, value);
	else
		buf_printf(b, "%" PRIu64, value);
}

const char *alert_by_name(enum alert_by by)
{
	return bys[by];
}

const char *alert_by_label(enum alert_by by)
{
	static const char *const labels[] = {"src_pod", "dst_pod",  "src_workload", "dst_workload", "src_ns",
					     "dst_ns",	"src_node", "dst_node",	    "src_ip",	    "dst_ip",
					     "service", "node",	    "reason",	    "dst_port"};
	_Static_assert(ARRAY_LEN(labels) == ALERT_BY_COUNT, "a label for each");
	return labels[by];
}

/* --- validation ------------------------------------------------------------------------------------ */

static void check_amount(struct check *c, const struct str *s, bool time, uint64_t *out)
{
	if (s->n && amount(*s, time, out))
		check_fail(c, s,
			   time ? "write a time: 20ms, 1.5s, 5m, 1h" : "write a number: 100, 10k, 1.5M, 2Gi",
			   "\"" STR_FMT "\" is no %s", STR_ARG(*s), time ? "time" : "number");
}

static void check_window(struct check *c, const struct alert_spec *s)
{
	uint64_t window = 300 * SECOND_NS, wait = 0, keep = 0;

	check_amount(c, &s->window, true, &window);
	check_amount(c, &s->wait, true, &wait);
	check_amount(c, &s->keep, true, &keep);
	if (window < WINDOW_MIN * SECOND_NS || window > WINDOW_MAX * SECOND_NS)
		check_fail(c, &s->window, NULL, STR_FMT " is not from 5s to 24h", STR_ARG(s->window));
	if (wait > WINDOW_MAX * SECOND_NS)
		check_fail(c, &s->wait, NULL, STR_FMT " is more than 24h", STR_ARG(s->wait));
	if (keep > WINDOW_MAX * SECOND_NS)
		check_fail(c, &s->keep, NULL, STR_FMT " is more than 24h", STR_ARG(s->keep));
}

static void check_measure(struct check *c, const struct alert_spec *s)
{
	bool time = alert_is_time(index_of(measures, ALERT_MEASURE_COUNT, s->measure, ALERT_RECORDS));
	uint64_t above = 0, resolve = 0;

	check_amount(c, &s->above, time, &above);
	check_amount(c, &s->resolve, time, &resolve);
	if (s->resolve.n && resolve > above)
		check_fail(c, &s->resolve, "what fires is over below the threshold, not above it",
			   STR_FMT " is more than above", STR_ARG(s->resolve));
	if (s->statistic.n && !time)
		check_fail(c, &s->statistic, "remove it, or measure tcp.handshake, tcp.rtt or duration",
			   "only times have a statistic");
	if (time && s->filter.n && !s->above.n)
		check_fail_whole(c, &s->filter, "add above: 20ms, or another time",
				 "a time needs a threshold");
	check_range(c, &s->min_records, 1, INT32_MAX);
	check_range(c, &s->max_groups, 1, GROUPS_MAX);
	check_distinct(c, &s->by);
}

/* Members that mean nothing where a state is watched. */
static void check_watch(struct check *c, const struct alert_spec *s)
{
	const struct str *texts[] = {&s->measure, &s->statistic};

	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		if (texts[i]->n)
			check_fail(c, texts[i], "remove it", "a watch has its own measure");
	if (s->by.len)
		check_fail(c, &s->by, "remove it", "a watch has a group for each node");
	if (s->min_records.set)
		check_fail(c, &s->min_records, "remove it", "a watch counts no records");
	if (!str_eqz(s->watch, "RecordsLost") && s->window.n)
		check_fail(c, &s->window, "remove it; use for, if it may last a while",
			   "only watch: RecordsLost has a window");
	if (!str_eqz(s->watch, "RecordsLost") && s->above.n)
		check_fail(c, &s->above, "remove it", "only watch: RecordsLost has a threshold");
}

static bool is_plain_url(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] <= ' ' || s.p[i] == 127)
			return false;
	return s.n < 2048;
}

/* The text is not shown: what follows the host may be a secret. */
static void check_receiver(struct check *c, const struct alert_receiver *r)
{
	if (!r->url.n == !r->url_from)
		check_fail_whole(c, &r->name, "add url: https://…, or urlFrom with a Secret that holds it",
				 "%s", r->url.n ? "url and urlFrom exclude each other" : "there is no url");
	if (r->url.n && (!is_plain_url(r->url) ||
			 (!str_starts(r->url, STR("http://")) && !str_starts(r->url, STR("https://")))))
		check_fail(c, &r->url, "write http://HOST:PORT/PATH or https://HOST/PATH",
			   "is no such address");
	if (r->token_from && str_starts(r->url, STR("http://")))
		check_remark(c, REMARK_WARNING, &r->url, "use https://",
			     "the token is sent in clear over http://");
	check_range(c, &r->timeout_seconds, 1, TIMEOUT_MAX);
}

static void check_labels_of(struct check *c, const struct strmap *m)
{
	static const char *const ours[] = {"alertname", "alertstate"};

	for (size_t i = 0; i < m->len; i++) {
		struct str key = m->items[i].key;
		bool good = key.n && !(key.p[0] >= '0' && key.p[0] <= '9');

		for (size_t k = 0; k < key.n; k++)
			good &= (key.p[k] >= 'a' && key.p[k] <= 'z') ||
				(key.p[k] >= 'A' && key.p[k] <= 'Z') ||
				(key.p[k] >= '0' && key.p[k] <= '9') || key.p[k] == '_';
		if (!good)
			check_fail(c, &m->items[i].key, "use letters, digits and \"_\", no digit first",
				   "\"" STR_FMT "\" is no label of Prometheus", STR_ARG(key));
		for (size_t k = 0; k < ARRAY_LEN(ours) + ALERT_BY_COUNT; k++)
			if (str_eqz(key, k < ARRAY_LEN(ours)
					     ? ours[k]
					     : alert_by_label((enum alert_by)(k - ARRAY_LEN(ours)))))
				check_fail(c, &m->items[i].key, "use another name",
					   "\"" STR_FMT "\" is set by the alert itself", STR_ARG(key));
	}
}

static void check(struct check *c)
{
	const struct alert_spec *s = c->o->alert->spec;

	if (!s)
		return; /* the field table says that it is required */
	if (!s->filter.n == !s->watch.n)
		check_fail(c, s->filter.n ? &s->watch : &s->filter,
			   s->filter.n ? "remove one of them"
				       : "add filter: 'reason == policy-ingress', or watch: NodeUnknown",
			   "%s",
			   s->filter.n ? "filter and watch exclude each other"
				       : "required, but missing: there is no filter and no watch");
	if (s->filter.n)
		check_filter(c, &s->filter, FILTER_RECORDS);
	if (s->watch.n)
		check_watch(c, s);
	check_window(c, s);
	check_measure(c, s);
	check_labels_of(c, &s->labels);
	if (s->receivers.len > RECEIVERS_MAX)
		check_fail(c, &s->receivers, "let one pass them on", "%zu receivers are more than %d",
			   s->receivers.len, (int)RECEIVERS_MAX);
	for (size_t i = 0; i < s->receivers.len; i++) {
		check_receiver(c, &s->receivers.items[i]);
		for (size_t k = 0; k < i; k++)
			if (str_eq(s->receivers.items[i].name, s->receivers.items[k].name))
				check_fail(c, &s->receivers.items[i].name, "give each a name of its own",
					   "the name \"" STR_FMT "\" is given twice",
					   STR_ARG(s->receivers.items[i].name));
	}
}

static int defaults(struct object *o)
{
	struct alert_spec *s = o->alert->spec;

	if (!s)
		return 0;
	if (!s->watch.n)
		default_str(&s->measure, "records");
	if (!s->watch.n || str_eqz(s->watch, "RecordsLost"))
		default_str(&s->window, "5m");
	for (size_t i = 0; i < s->receivers.len; i++)
		default_str(&s->receivers.items[i].form, "webhook");
	return 0;
}

const struct kind_rules alert_rules = {.check = check, .defaults = defaults};
