/* SPDX-License-Identifier: Apache-2.0 */
/* Accounts of weft-copiers as rates: see page_broker.h. */
#include "hub/page_broker.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/own.h"
#include "base/vec.h"

enum { SILENT_MS = 7000 };

struct counted_node {
	char *name;
	json_t *before, *now; /* counted references; before NULL: there is one account only */
	uint64_t before_ms, now_ms;
};

struct page_broker {
	VEC(struct counted_node) nodes;
	uint64_t number;
};

struct page_broker *page_broker_new(void)
{
	return calloc(1, sizeof(struct page_broker));
}

void page_broker_free(struct page_broker **pb)
{
	struct page_broker *b = *pb;

	if (!b)
		return;
	VEC_EACH (&b->nodes, n) {
		free(n->name);
		json_decref(n->before);
		json_decref(n->now);
	}
	vec_free(&b->nodes);
	free(TAKE(*pb));
}

static struct counted_node *node_of(struct page_broker *b, const char *name)
{
	VEC_EACH (&b->nodes, n)
		if (!strcmp(n->name, name))
			return n;
	char *copy = strdup(name);

	if (!copy || vec_push(&b->nodes, (struct counted_node){.name = copy})) {
		free(copy);
		return NULL;
	}
	return &b->nodes.items[b->nodes.len - 1];
}

static json_int_t number(const json_t *o, const char *key)
{
	return json_integer_value(json_object_get(o, key));
}

void page_broker_take(struct page_broker *b, const char *node, json_t *account, uint64_t now_ms)
{
	struct counted_node *n = account ? node_of(b, node) : NULL;

	if (!n)
		return;
	json_decref(n->before);
	n->before = n->now;
	n->before_ms = n->now_ms;
	/* one that began anew counts from 0: no rate of that */
	if (n->before && number(n->before, "began") != number(account, "began")) {
		json_decref(n->before);
		n->before = NULL;
	}
	n->now = json_incref(account);
	n->now_ms = now_ms;
	b->number++;
}

uint64_t page_broker_number(const struct page_broker *b)
{
	return b->number;
}

/* --- rates ----------------------------------------------------------------------------------------- */

struct printing {
	struct buf *out;
	const struct counted_node *node;
	const struct store *store;
	const struct who *who;
	bool some;
};

static bool same(const json_t *a, const json_t *b, const char *key)
{
	const json_t *x = json_object_get(a, key), *y = json_object_get(b, key);

	return !key || (x && y && json_equal(x, y));
}

/* The row of the account before that has the same keys; NULL: there is none. */
static const json_t *row_before(const struct counted_node *n, const char *list, const json_t *row,
				const char *key, const char *key2)
{
	json_t *one;
	size_t i;

	json_array_foreach (json_object_get(n->before, list), i, one)
		if (same(one, row, key) && same(one, row, key2))
			return one;
	return NULL;
}

static double rate(const struct counted_node *n, const json_t *row, const json_t *before, const char *key)
{
	json_int_t grown = number(row, key) - number(before, key);

	return before && grown > 0 && n->now_ms > n->before_ms
		   ? (double)grown * 1000 / (double)(n->now_ms - n->before_ms)
		   : 0;
}

static void text(struct buf *b, const char *key, const json_t *row)
{
	const char *v = json_string_value(json_object_get(row, key));

	buf_printf(b, "\"%s\":", key);
	buf_json(b, str_of(v ? v : ""));
}

static void print_capacity(struct printing *p, const char *tool)
{
	const struct object *o = store_get(p->store, KIND_tool, STR(""), str_of(tool ? tool : ""));
	const struct tool_spec *spec = o ? o->tool->spec : NULL;
	uint64_t bits = 0;

	if (spec && spec->capacity.n && !quantity_number(spec->capacity, &bits) && bits)
		buf_printf(p->out, ",\"capacity\":%" PRIu64, bits);
	else
		buf_addz(p->out, ",\"capacity\":null");
}

static void print_losses(struct printing *p, const json_t *row, const json_t *before, bool total)
{
	const json_t *now = json_object_get(row, "losses"), *was = json_object_get(before, "losses");
	const char *name, *comma = "";
	json_t *v;

	buf_addc(p->out, '{');
	json_object_foreach ((json_t *)(uintptr_t)now, name, v) {
		buf_addz(p->out, comma);
		buf_json(p->out, str_of(name));
		if (total)
			buf_printf(p->out, ":%" PRId64, (int64_t)json_integer_value(v));
		else
			buf_printf(p->out, ":%.1f", was ? rate(p->node, now, was, name) : 0);
		comma = ",";
	}
	buf_addc(p->out, '}');
}

static void print_tool(struct printing *p, const json_t *row)
{
	const json_t *before = row_before(p->node, "tools", row, "tool", "port");
	struct buf *b = p->out;

	if (json_is_true(json_object_get(row, "gone")))
		return;
	buf_addz(b, p->some ? ",{" : "{");
	p->some = true;
	text(b, "tool", row);
	buf_addc(b, ',');
	text(b, "port", row);
	buf_addc(b, ',');
	text(b, "kind", row);
	buf_addz(b, ",\"node\":");
	buf_json(b, str_of(p->node->name));
	buf_printf(b,
		   ",\"taking\":%s,\"due\":%.1f,\"sent\":%.1f,\"bytes\":%.1f,\"inFlight\":%" PRId64
		   ",\"losses\":",
		   json_is_false(json_object_get(row, "taking")) ? "false" : "true",
		   rate(p->node, row, before, "due"), rate(p->node, row, before, "sent"),
		   rate(p->node, row, before, "sentBytes"), (int64_t)number(row, "inFlight"));
	print_losses(p, row, before, false);
	print_capacity(p, json_string_value(json_object_get(row, "tool")));
	buf_printf(b,
		   ",\"totals\":{\"due\":%" PRId64 ",\"added\":%" PRId64 ",\"sent\":%" PRId64 ",\"losses\":",
		   (int64_t)number(row, "due"), (int64_t)number(row, "added"), (int64_t)number(row, "sent"));
	print_losses(p, row, before, true);
	buf_addz(b, "}}");
}

/* Of the kernel's counters; null where they could not be read twice. */
static void print_taken(struct printing *p, const json_t *row, const json_t *before)
{
	if (json_object_get(row, "taken") && json_object_get(before, "taken"))
		buf_printf(p->out, ",\"taken\":%.1f", rate(p->node, row, before, "taken"));
	else
		buf_addz(p->out, ",\"taken\":null");
}

static void print_place(struct printing *p, const json_t *row)
{
	const json_t *before = row_before(p->node, "places", row, "point", NULL);
	const char *name = json_string_value(json_object_get(row, "name"));
	struct str rest = str_of(name ? name : ""), ns = str_cut(&rest, '/');

	/* a pod has a namespace before it; of interfaces of a node who sees anything may know */
	if (rest.n && access_level(p->who, ns) < ACCESS_VIEW)
		return;
	buf_addz(p->out, p->some ? ",{" : "{");
	p->some = true;
	text(p->out, "name", row);
	buf_printf(p->out, ",\"kind\":\"%s\",\"node\":", rest.n ? "pod" : "interface");
	buf_json(p->out, str_of(p->node->name));
	if (json_object_get(row, "seen"))
		buf_printf(p->out, ",\"seen\":%.1f", rate(p->node, row, before, "seen"));
	else
		buf_addz(p->out, ",\"seen\":null");
	print_taken(p, row, before);
	buf_printf(p->out, ",\"copied\":%.1f}", rate(p->node, row, before, "received"));
}

static void print_way(struct printing *p, const json_t *row, const json_t *before, const char *way)
{
	static const char *const counts[] = {"packets", "bytes", "errors", "drops"};
	const json_t *now = json_object_get(row, way), *was = json_object_get(before, way);

	buf_printf(p->out, ",\"%s\":{", way);
	for (size_t i = 0; i < sizeof(counts) / sizeof(*counts); i++)
		buf_printf(p->out, "%s\"%s\":%.1f,\"%sAll\":%" PRId64, i ? "," : "", counts[i],
			   rate(p->node, now, was, counts[i]), counts[i], (int64_t)number(now, counts[i]));
	buf_addc(p->out, '}');
}

/* Of a broker host: its interfaces, with what came in and went out a second. */
static void print_port(struct printing *p, const json_t *row)
{
	const json_t *before = row_before(p->node, "ports", row, "name", NULL);

	buf_addz(p->out, p->some ? ",{" : "{");
	p->some = true;
	text(p->out, "name", row);
	buf_addc(p->out, ',');
	text(p->out, "kind", row);
	buf_addc(p->out, ',');
	text(p->out, "link", row);
	buf_addc(p->out, ',');
	text(p->out, "role", row);
	buf_printf(p->out, ",\"mtu\":%" PRId64 ",\"address\":%s,\"speed\":", (int64_t)number(row, "mtu"),
		   json_is_true(json_object_get(row, "address")) ? "true" : "false");
	if (number(row, "speed"))
		buf_printf(p->out, "%" PRId64, (int64_t)number(row, "speed"));
	else
		buf_addz(p->out, "null");
	print_way(p, row, before, "in");
	print_way(p, row, before, "out");
	buf_addc(p->out, '}');
}

/* What was due, added, or came from another node must have been sent, there or to another one, be lost by
 * name, or be on its way: of one moment. */
static void print_sum(struct printing *p, const json_t *row)
{
	int64_t off = number(row, "due") + number(row, "added") + number(row, "arrived") -
		      number(row, "sent") - number(row, "relayed") - number(row, "inFlight");
	const char *name;
	json_t *v;

	json_object_foreach (json_object_get(row, "losses"), name, v)
		off -= json_integer_value(v);
	AUTO_BUF sum = {0};

	buf_printf(&sum, "%s, %s on %s", json_string_value(json_object_get(row, "tool")) ?: "",
		   json_string_value(json_object_get(row, "port")) ?: "", p->node->name);
	buf_addz(p->out, p->some ? ",{\"sum\":" : "{\"sum\":");
	p->some = true;
	buf_json(p->out, buf_str(&sum));
	buf_printf(p->out, ",\"says\":\"%s\",\"off\":%" PRId64 "}", off ? "wrong" : "exact", off);
}

static void each(const struct page_broker *b, struct printing *p, uint64_t now_ms, const char *list,
		 void (*fn)(struct printing *p, const json_t *row))
{
	json_t *row;
	size_t i;

	p->some = false;
	VEC_EACH (&b->nodes, n) {
		p->node = n;
		if (now_ms - n->now_ms > SILENT_MS)
			continue;
		json_array_foreach (json_object_get(n->now, list), i, row)
			fn(p, row);
	}
}

/* --- maps: over all nodes -------------------------------------------------------------------------- */

struct map_rate {
	const char *name;
	double packets, bytes;
	bool part; /* there are more, which nobody counts by map */
};

static void print_maps(const struct page_broker *b, uint64_t now_ms, struct buf *out)
{
	VEC(struct map_rate) all = {0};
	json_t *row;
	size_t i;

	VEC_EACH (&b->nodes, n) {
		if (now_ms - n->now_ms > SILENT_MS)
			continue;
		json_array_foreach (json_object_get(n->now, "maps"), i, row) {
			const json_t *before = row_before(n, "maps", row, "name", NULL);
			struct map_rate one = {json_string_value(json_object_get(row, "name")),
					       rate(n, row, before, "packets"), rate(n, row, before, "bytes"),
					       json_is_true(json_object_get(row, "part"))};
			struct map_rate *found = NULL;

			VEC_EACH (&all, m)
				if (one.name && !strcmp(m->name, one.name))
					found = m;
			if (found) {
				found->packets += one.packets;
				found->bytes += one.bytes;
				found->part |= one.part;
			} else if (one.name && vec_push(&all, one)) {
				break;
			}
		}
	}
	VEC_EACH (&all, m) {
		buf_addz(out, m > all.items ? ",{\"name\":" : "{\"name\":");
		buf_json(out, str_of(m->name));
		buf_printf(out, ",\"packets\":%.1f,\"bytes\":%.1f%s}", m->packets, m->bytes,
			   m->part ? ",\"part\":true" : "");
	}
	vec_free(&all);
}

void page_broker_print(const struct page_broker *b, const struct store *s, const struct who *who,
		       int64_t wall_ms, uint64_t now_ms, struct buf *out)
{
	struct printing p = {.out = out, .store = s, .who = who};

	buf_printf(out, "{\"at\":%" PRId64 ",\"maps\":[", wall_ms);
	print_maps(b, now_ms, out);
	buf_addz(out, "],\"tools\":[");
	each(b, &p, now_ms, "tools", print_tool);
	buf_addz(out, "],\"places\":[");
	each(b, &p, now_ms, "places", print_place);
	buf_addz(out, "],\"sums\":[");
	each(b, &p, now_ms, "tools", print_sum);
	buf_addc(out, ']');
	VEC_EACH (&b->nodes, n) {
		if (!json_object_get(n->now, "ports"))
			continue;
		buf_addz(out, ",\"ports\":[");
		each(b, &p, now_ms, "ports", print_port);
		buf_printf(out, "],\"stale\":%s",
			   json_is_true(json_object_get(n->now, "stale")) ? "true" : "false");
		break;
	}
	buf_addc(out, '}');
}
