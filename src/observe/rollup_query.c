/* SPDX-License-Identifier: Apache-2.0 */
/* Grouping and printing: see rollup_query.h. */
#include "observe/rollup_query.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/own.h"
#include "filter/reason.h"
#include "filter/node.h"
#include "observe/record_json.h"

#define NS 1000000000ll

static const char *const columns[] = {
#define X(id, name) name,
    ROLLUP_COLUMNS(X)
#undef X
};
static const char *const sums[] = {
#define X(member, name) name,
    ROLLUP_SUMS(X)
#undef X
};

int rollup_by_parse(struct str text, unsigned *mask, struct buf *why)
{
	*mask = 0;
	while (text.n) {
		struct str word = str_trim(str_cut(&text, ','));
		unsigned i = 0;

		while (i < ROLLUP_BY_COUNT && !str_eqz(word, columns[i]))
			i++;
		if (str_eqz(word, "workload"))
			*mask |= 1u << ROLLUP_BY_FROM | 1u << ROLLUP_BY_TO;
		else if (i < ROLLUP_BY_COUNT)
			*mask |= 1u << i;
		else if (!str_eqz(word, "none")) {
			buf_printf(why, "\"" STR_FMT "\" cannot be told apart: there are workload, none",
				   STR_ARG(word));
			for (i = 0; i < ROLLUP_BY_COUNT; i++)
				buf_printf(why, ", %s", columns[i]);
			return -EINVAL;
		}
	}
	return 0;
}

/* --- the filter ------------------------------------------------------------------------------------ */

/* Why roll-ups do not know it, or NULL. */
static const char *unknown_field(const struct node *n)
{
	switch (n->field) {
	case FIELD_PORT:
		return n->side == SIDE_SRC ? "callers' ports are added up" : NULL;
	case FIELD_NS:
	case FIELD_WORKLOAD:
	case FIELD_KIND:
	case FIELD_DOMAIN:
	case FIELD_SERVICE:
	case FIELD_VIA_PORT:
	case FIELD_TCP:
	case FIELD_UDP:
	case FIELD_SCTP:
	case FIELD_ICMP:
	case FIELD_PROTO:
	case FIELD_RECORD:
	case FIELD_VERDICT:
	case FIELD_REASON:
		for (unsigned i = 0; i < n->values_len; i++)
			if (n->values[i].lo > REASON_KERNEL)
				return "reasons of the kernel are added up as kernel";
		return NULL;
	case FIELD_RULE:
	case FIELD_SEEN:
		return NULL;
	case FIELD_POD:
	case FIELD_LABEL:
	case FIELD_NODE:
		return "pods are added up by their workload";
	case FIELD_IP:
	case FIELD_VIA_IP:
	case FIELD_IP4:
	case FIELD_IP6:
		return "addresses are added up by workload, domain or network";
	default:
		return "it is of one connection, and these are sums of many";
	}
}

static const struct node *find_unknown(const struct node *n)
{
	const struct node *bad = NULL;

	if (n->op == NODE_TEST || n->op == NODE_HAS)
		return unknown_field(n) ? n : NULL;
	for (unsigned i = 0; i < n->kids_len && !bad; i++)
		bad = find_unknown(n->kids[i]);
	return bad;
}

int rollup_filter_check(const struct filter *f, struct buf *why)
{
	const struct node *bad;
	int r = filter_uses(f, FILTER_RECORDS, why);

	if (r)
		return r;
	bad = find_unknown(f->root);
	if (!bad)
		return 0;
	buf_addz(why, "history does not know ");
	node_print(why, bad);
	buf_printf(why, ": %s; weft flows asks what is in memory", unknown_field(bad));
	return -ENOTSUP;
}

static void identity_of(const struct rollup_end *e, struct identity *out)
{
	*out = (struct identity){.refs = 1, .kind = e->kind, .ns = e->ns};
	if (e->kind == IDENTITY_NODE || e->kind == IDENTITY_SERVICE)
		out->name = e->what;
	else if (str_eqz(e->what_kind, "Domain"))
		out->domain = e->what;
	else if (e->kind == IDENTITY_POD) {
		out->workload_kind = e->what_kind;
		out->workload = e->what;
	}
}

bool rollup_filter_match(const struct filter *f, const struct rollup_key *k)
{
	struct identity from, to,
	    service = {.refs = 1, .kind = IDENTITY_SERVICE, .ns = k->service_ns, .name = k->service};
	char node[256];
	struct record r = {.kind = k->kind,
			   /* callers' ports are not known: `port` means the port that was called */
			   .from = {.port = k->port, .who = &from},
			   .to = {.port = k->port, .who = &to},
			   .via_port = k->service_port,
			   .service = k->service.n ? &service : NULL,
			   .proto = k->proto,
			   .verdict = k->verdict,
			   .reason = k->reason,
			   .cause = k->cause,
			   .rule_egress = k->rule_egress,
			   .rule_ingress = k->rule_ingress,
			   .node = node,
			   .dns_code = 255};

	identity_of(&k->from, &from);
	identity_of(&k->to, &to);
	r.via.b[15] = k->service_port ? 1 : 0;
	snprintf(node, sizeof(node), STR_FMT, STR_ARG(k->node));
	return filter_record(f, &r);
}

/* --- groups ---------------------------------------------------------------------------------------- */

struct tag { /* what is told apart, as JSON members */
	uint32_t number;
	char json[];
};

struct group {
	int64_t t;
	const struct tag *tag;
	uint64_t v[ROLLUP_SUM_COUNT];
};

struct span_ns {
	int64_t from, to;
};

struct seen_node {
	char *name;
	bool there;
	int64_t since;
	VEC(struct span_ns) spans;
};

struct rollup_answer {
	struct rollup_ask ask;
	struct hash tags, by_group;
	VEC(struct group) groups;
	VEC(struct seen_node) nodes;
	bool failed;
};

enum rollup_level rollup_ask_level(const struct rollup_ask *a, int64_t now)
{
	int64_t until = a->until < now ? a->until : now, range = until - a->since;

	if (a->step)
		return a->step % 3600 == 0 ? ROLLUP_HOUR : a->step % 60 == 0 ? ROLLUP_MINUTE : ROLLUP_SECOND;
	return range <= 3600 ? ROLLUP_SECOND : range <= 2 * 86400 ? ROLLUP_MINUTE : ROLLUP_HOUR;
}

int rollup_answer_new(struct rollup_answer **out, const struct rollup_ask *ask)
{
	struct rollup_answer *a = calloc(1, sizeof(*a));

	if (!a)
		return -ENOMEM;
	a->ask = *ask;
	*out = a;
	return 0;
}

void rollup_answer_free(struct rollup_answer **pa)
{
	struct rollup_answer *a = *pa;

	if (!a)
		return;
	HASH_EACH (&a->tags, s)
		free(s->value);
	VEC_EACH (&a->nodes, n) {
		free(n->name);
		vec_free(&n->spans);
	}
	hash_fini(&a->tags);
	hash_fini(&a->by_group);
	vec_free(&a->groups);
	vec_free(&a->nodes);
	free(TAKE(*pa));
}

static void end_json(struct buf *b, const char *name, const struct rollup_end *e)
{
	static const char *const kinds[] = {"unknown", "pod", "node", "service", "outside"};

	buf_printf(b, ",\"%s\":{\"kind\":\"%s\"", name, kinds[e->kind]);
	if (e->ns.n) {
		buf_addz(b, ",\"namespace\":");
		buf_json(b, e->ns);
	}
	if (e->what.n) {
		bool pod = e->kind == IDENTITY_POD;

		buf_addz(b, pod ? ",\"workloadKind\":" : ",\"is\":");
		buf_json(b, e->what_kind);
		buf_addz(b, pod ? ",\"workload\":" : ",\"name\":");
		buf_json(b, e->what);
	}
	buf_addc(b, '}');
}

static void rule_json(struct buf *b, const struct rollup_key *k)
{
	if (k->cause)
		buf_printf(b, ",\"cause\":%u", k->cause);
	if (k->rule_egress)
		buf_printf(b, ",\"ruleEgress\":%u", k->rule_egress);
	if (k->rule_ingress)
		buf_printf(b, ",\"ruleIngress\":%u", k->rule_ingress);
}

static void key_json(struct buf *b, const struct rollup_key *k, unsigned by)
{
	const struct record r = {.kind = k->kind, .verdict = k->verdict};
	char proto[8];

	if (by & 1u << ROLLUP_BY_FROM)
		end_json(b, "from", &k->from);
	if (by & 1u << ROLLUP_BY_TO)
		end_json(b, "to", &k->to);
	if (by & 1u << ROLLUP_BY_SERVICE && k->service.n) {
		buf_addz(b, ",\"service\":{\"namespace\":");
		buf_json(b, k->service_ns);
		buf_addz(b, ",\"name\":");
		buf_json(b, k->service);
		buf_printf(b, ",\"port\":%u}", k->service_port);
	}
	if (by & 1u << ROLLUP_BY_PORT)
		buf_printf(b, ",\"port\":%u", k->port);
	if (by & 1u << ROLLUP_BY_PROTOCOL) {
		record_protocol(k->proto, proto);
		buf_printf(b, ",\"protocol\":\"%s\"", proto);
	}
	if (by & 1u << ROLLUP_BY_NODE) {
		buf_addz(b, ",\"node\":");
		buf_json(b, k->node);
	}
	if (by & 1u << ROLLUP_BY_VERDICT)
		buf_printf(b, ",\"verdict\":\"%s\"", record_verdict(&r));
	if (by & 1u << ROLLUP_BY_REASON && k->reason)
		buf_printf(b, ",\"reason\":\"%s\"", record_reason(k->reason));
	if (by & 1u << ROLLUP_BY_RULE)
		rule_json(b, k);
}

bool rollup_answer_want(void *ctx, const struct rollup_key *k, void **out)
{
	struct rollup_answer *a = ctx;
	AUTO_BUF text = {};
	struct tag *tag;
	struct rollup_key seen;

	if (a->ask.view) {
		seen = *k; /* its texts stay where they are */
		k = &seen;
		if (!a->ask.view(a->ask.view_ctx, &seen))
			return false;
	}
	if (a->ask.filter && !rollup_filter_match(a->ask.filter, k))
		return false;
	buf_addz(&text, "");
	key_json(&text, k, a->ask.by);
	tag = text.n ? hash_get(&a->tags, buf_str(&text)) : hash_get(&a->tags, STR("-"));
	if (!tag) {
		tag = malloc(sizeof(*tag) + text.n + 1);
		if (!tag || text.failed ||
		    hash_set(&a->tags, text.n ? buf_str(&text) : STR("-"), tag, NULL)) {
			free(tag);
			a->failed = true;
			return false;
		}
		tag->number = (uint32_t)a->tags.len;
		memcpy(tag->json, text.p ? text.p : "", text.n + 1);
	}
	*out = tag;
	return true;
}

struct group_key {
	int64_t t;
	uint64_t tag;
};

void rollup_answer_row(void *ctx, void *of, enum rollup_level level, int64_t t,
		       const uint64_t v[ROLLUP_SUM_COUNT])
{
	struct rollup_answer *a = ctx;
	const struct tag *tag = of;
	struct group_key key = {a->ask.step ? t - t % a->ask.step : a->ask.since, tag->number};
	struct str k = {(const char *)&key, sizeof(key)};
	void *found = hash_get(&a->by_group, k);

	(void)level;
	if (!found) {
		if (vec_push(&a->groups, (struct group){.t = key.t, .tag = tag}) ||
		    hash_set(&a->by_group, k, (void *)(uintptr_t)a->groups.len, NULL)) {
			a->failed = true;
			return;
		}
		found = (void *)(uintptr_t)a->groups.len;
	}
	rollup_add(a->groups.items[(uintptr_t)found - 1].v, v);
}

void rollup_answer_cell(struct rollup_answer *a, const struct rollup_cell *c)
{
	void *tag = NULL;

	if (c->t >= a->ask.since && c->t < a->ask.until && rollup_answer_want(a, c->key, &tag))
		rollup_answer_row(a, tag, c->level, c->t, c->v);
}

/* --- what is not known ----------------------------------------------------------------------------- */

static struct seen_node *node_of(struct rollup_answer *a, struct str name)
{
	VEC_EACH (&a->nodes, n)
		if (str_eqz(name, n->name))
			return n;
	char *copy = strndup(name.p, name.n);

	if (!copy || vec_push(&a->nodes, (struct seen_node){.name = copy, .since = INT64_MAX})) {
		free(copy);
		a->failed = true;
		return NULL;
	}
	return &a->nodes.items[a->nodes.len - 1];
}

void rollup_answer_known(void *ctx, struct str node, int64_t from, int64_t to)
{
	struct rollup_answer *a = ctx;
	struct seen_node *n = node_of(a, node);

	if (n && vec_push(&n->spans, (struct span_ns){from, to}))
		a->failed = true;
}

void rollup_answer_node(struct rollup_answer *a, struct str node, int64_t since)
{
	struct seen_node *n = node_of(a, node);

	if (n) {
		n->there = true;
		n->since = since;
	}
}

static int by_from(const void *x, const void *y)
{
	const struct span_ns *a = x, *b = y;

	return a->from < b->from ? -1 : a->from > b->from;
}

static void print_gap(struct buf *out, const struct seen_node *n, int64_t from, int64_t to, size_t *any)
{
	char a[31], b[31];

	if (from >= to)
		return;
	record_time(from, a);
	record_time(to, b);
	buf_printf(out, "%s{\"node\":", (*any)++ ? "," : "");
	buf_json(out, str_of(n->name));
	buf_printf(out, ",\"from\":\"%s\",\"to\":\"%s\"}", a, b);
}

static int64_t later(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

static int64_t sooner(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static void print_gaps(const struct rollup_answer *a, struct seen_node *n, struct buf *out, int64_t now,
		       size_t *any)
{
	int64_t until = a->ask.until < now / NS ? a->ask.until * NS : now;
	int64_t since = a->ask.since > 0 ? a->ask.since * NS : 0, at;

	if (n->spans.len)
		qsort(n->spans.items, n->spans.len, sizeof(*n->spans.items), by_from);
	/* Before it was there it hid nothing. */
	at = n->spans.len ? sooner(n->since, n->spans.items[0].from) : n->since;
	at = later(at, since);
	VEC_EACH (&n->spans, s) {
		print_gap(out, n, at, sooner(s->from, until), any);
		at = later(at, s->to);
	}
	if (n->there)
		print_gap(out, n, at, until, any);
}

/* --- printing -------------------------------------------------------------------------------------- */

static int by_time(const void *x, const void *y)
{
	const struct group *a = x, *b = y;
	uint64_t m = a->v[ROLLUP_bytes_there] + a->v[ROLLUP_bytes_back],
		 n = b->v[ROLLUP_bytes_there] + b->v[ROLLUP_bytes_back];

	if (a->t != b->t)
		return a->t < b->t ? -1 : 1;
	if (m != n)
		return m > n ? -1 : 1;
	return strcmp(a->tag->json, b->tag->json);
}

int rollup_answer_print(struct rollup_answer *a, struct buf *out, int64_t now)
{
	size_t any = 0;

	if (a->groups.len)
		qsort(a->groups.items, a->groups.len, sizeof(*a->groups.items), by_time);
	buf_addz(out, "{\"rows\":[");
	for (size_t i = 0; i < a->groups.len && (!a->ask.limit || i < a->ask.limit); i++) {
		const struct group *g = &a->groups.items[i];
		char at[21];

		clock_rfc3339(g->t < 0 ? 0 : g->t, at);
		buf_printf(out, "%s{\"at\":\"%s\"%s", i ? ",\n" : "", at, g->tag->json);
		for (int s = 0; s < ROLLUP_SUM_COUNT; s++)
			if (g->v[s])
				buf_printf(out, ",\"%s\":%" PRIu64, sums[s], g->v[s]);
		buf_addc(out, '}');
	}
	buf_printf(out, "],\"found\":%zu,\"step\":%" PRId64 ",\"unknown\":[", a->groups.len, a->ask.step);
	VEC_EACH (&a->nodes, n)
		print_gaps(a, n, out, now, &any);
	buf_addc(out, ']');
	return a->failed || out->failed ? -ENOMEM : 0;
}
