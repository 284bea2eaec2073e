/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Chunks of an exporter's batch: records as the hub's JSON has them become IPFIX messages, by node, or lines.
 * The same records give the same chunks: an exporter that was killed goes on within its batch.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/own.h"
#include "cli/export.h"

enum { LINES_MAX = 32768 };

static const char *text_of(const json_t *o, const char *key)
{
	return json_string_value(json_object_get(o, key)) ?: "";
}

static uint64_t way(const json_t *flow, const char *what, const char *which)
{
	return (uint64_t)json_integer_value(json_object_get(json_object_get(flow, what), which));
}

uint32_t export_domain(const char *node)
{
	uint32_t d = (uint32_t)hash_bytes(node, strlen(node), 0);

	return d ? d : 1; /* 0 is the exporter's own */
}

/* --- a record -------------------------------------------------------------------------------------- */

static uint64_t ms_of(const char *text)
{
	int64_t seconds = 0;
	const char *dot = strchr(text, '.');

	if (clock_parse(text, &seconds) || seconds < 0)
		return 0;
	return (uint64_t)seconds * 1000 +
	       (dot && strlen(dot) > 3 ? strtoul((char[]){dot[1], dot[2], dot[3], 0}, NULL, 10) : 0);
}

static uint8_t protocol_of(const char *name)
{
	static const struct {
		const char *name;
		uint8_t number;
	} all[] = {{"ICMP", 1}, {"TCP", 6}, {"UDP", 17}, {"ICMPv6", 58}, {"SCTP", 132}};

	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		if (!strcmp(name, all[i].name))
			return all[i].number;
	return (uint8_t)strtoul(name, NULL, 10);
}

static uint8_t end_reason_of(const json_t *f)
{
	const char *state = text_of(f, "state");

	if (!*state)
		return 0;
	return !strcmp(state, "cut") ? 4 : !strcmp(state, "unanswered") ? 1 : 3;
}

static bool end_of(const json_t *end, struct addr *a, uint16_t *port)
{
	*port = (uint16_t)json_integer_value(json_object_get(end, "port"));
	return !addr_parse(str_of(text_of(end, "address")), a);
}

static void name_of(struct buf *b, const json_t *end)
{
	const char *ns = text_of(end, "namespace"), *name = text_of(end, "name");

	if (*name)
		buf_printf(b, "%s%s%s", ns, *ns ? "/" : "", name);
	else
		buf_addz(b, text_of(end, "domain"));
}

static void workload_of(struct buf *b, const json_t *end)
{
	if (*text_of(end, "workload"))
		buf_printf(b, "%s/%s", text_of(end, "workloadKind"), text_of(end, "workload"));
}

static int read_record(const json_t *f, struct ipfix_record *r, struct buf names[IPFIX_NAMES])
{
	const json_t *from = json_object_get(f, "from"), *to = json_object_get(f, "to");

	*r = (struct ipfix_record){.proto = protocol_of(text_of(f, "protocol")),
				   .end_reason = end_reason_of(f),
				   .dropped = !strcmp(text_of(f, "verdict"), "dropped"),
				   .bytes = {way(f, "bytes", "there"), way(f, "bytes", "back")},
				   .packets = {way(f, "packets", "there"), way(f, "packets", "back")},
				   .first = ms_of(text_of(f, "first")),
				   .last = ms_of(text_of(f, "last")),
				   .id = strtoull(text_of(f, "id"), NULL, 16)};
	if (!end_of(from, &r->from, &r->from_port) || !end_of(to, &r->to, &r->to_port))
		return -EINVAL;
	name_of(&names[IPFIX_FROM], from);
	name_of(&names[IPFIX_TO], to);
	name_of(&names[IPFIX_SERVICE], json_object_get(f, "service"));
	workload_of(&names[IPFIX_FROM_WORKLOAD], from);
	workload_of(&names[IPFIX_TO_WORKLOAD], to);
	buf_addz(&names[IPFIX_REASON], text_of(f, "reason"));
	for (unsigned i = 0; i < IPFIX_NAMES; i++)
		r->names[i] = buf_str(&names[i]);
	return 0;
}

static void swap_names(struct ipfix_record *r, enum ipfix_name a, enum ipfix_name b)
{
	struct str s = r->names[a];

	r->names[a] = r->names[b];
	r->names[b] = s;
}

static struct ipfix_record turned(const struct ipfix_record *r)
{
	struct ipfix_record back = *r;

	back.from = r->to;
	back.to = r->from;
	back.from_port = r->to_port;
	back.to_port = r->from_port;
	back.bytes[0] = r->bytes[1];
	back.packets[0] = r->packets[1];
	swap_names(&back, IPFIX_FROM, IPFIX_TO);
	swap_names(&back, IPFIX_FROM_WORKLOAD, IPFIX_TO_WORKLOAD);
	return back;
}

/* --- chunks ---------------------------------------------------------------------------------------- */

/* A node's message that is being filled. */
struct export_filling {
	struct ipfix m;
	struct export_node *node;
	uint32_t done;
	struct export_filling *next;
};

void export_batch_clear(struct export_batch *b)
{
	buf_clear(&b->bytes);
	b->chunks.len = 0;
	while (b->fillings) {
		struct export_filling *f = b->fillings;

		b->fillings = f->next;
		free(f);
	}
}

static int end_message(struct export_batch *b, struct export_filling *f)
{
	if (!f->m.records)
		return 0;
	ipfix_end(&f->m);
	struct export_chunk c = {.at = b->bytes.n,
				 .n = f->m.n,
				 .records = f->m.records,
				 .done = f->done,
				 .domain = f->m.domain,
				 .sequence = f->m.sequence};

	buf_add(&b->bytes, f->m.bytes, f->m.n);
	f->m.sequence += f->m.records;
	f->m.records = 0;
	f->done = 0;
	f->node->sequence_to = f->m.sequence;
	return b->bytes.failed ? -ENOMEM : vec_push(&b->chunks, c);
}

static struct export_filling *filling_of(struct export_batch *b, struct export_state *s,
					 const struct export_form *form, const char *name)
{
	struct export_node *node = export_state_node(s, name, true);
	struct export_filling *f = b->fillings;

	while (f && f->node != node)
		f = f->next;
	if (f || !node)
		return f;
	f = calloc(1, sizeof(*f));
	if (!f)
		return NULL;
	f->node = node;
	f->m.domain = export_domain(name);
	f->m.sequence = node->sequence;
	f->m.pen = form->pen;
	f->m.both_ways = form->both_ways;
	f->m.room = form->room;
	f->next = b->fillings;
	b->fillings = f;
	return f;
}

static int add_way(struct export_batch *b, struct export_filling *f, const struct ipfix_record *r)
{
	int res;

	if (!f->m.records)
		ipfix_begin(&f->m, (uint32_t)clock_wall());
	if (ipfix_add(&f->m, r))
		return 0;
	res = end_message(b, f);
	if (res)
		return res;
	ipfix_begin(&f->m, (uint32_t)clock_wall());
	return ipfix_add(&f->m, r) ? 0 : -EINVAL;
}

static int add_record(struct export_batch *b, struct export_filling *f, const struct ipfix_record *r)
{
	struct ipfix_record back = turned(r);
	int res = add_way(b, f, r);

	if (!res && !f->m.both_ways && r->packets[1])
		res = add_way(b, f, &back);
	f->done += !res && r->end_reason != EXPORT_ACTIVE_TIMEOUT; /* it is the hub's that ended */
	return res;
}

static int add_line(struct export_batch *b, const json_t *flow)
{
	AUTO_MEM char *text = json_dumps(flow, JSON_COMPACT);
	struct export_chunk *c = b->chunks.len ? &b->chunks.items[b->chunks.len - 1] : NULL;
	size_t n = text ? strlen(text) + 1 : 0;

	if (!text)
		return -ENOMEM;
	if (!c || c->n + n > LINES_MAX) {
		if (vec_push(&b->chunks, (struct export_chunk){.at = b->bytes.n}))
			return -ENOMEM;
		c = &b->chunks.items[b->chunks.len - 1];
	}
	buf_add(&b->bytes, text, n - 1);
	buf_addc(&b->bytes, '\n');
	c->n += n;
	c->records++;
	c->done++;
	return b->bytes.failed ? -ENOMEM : 0;
}

/* Whether it is told now; of one that goes on r becomes what came since the last time. One that is closed,
 * but not over, is told at its end. */
static bool is_told(const struct export_batch *b, const struct export_filling *f, const json_t *flow,
		    struct ipfix_record *r)
{
	bool ended = json_is_true(json_object_get(flow, "ended"));
	const char *state = text_of(flow, "state");

	if (!b->active || strcmp(text_of(flow, "record"), "flow") != 0)
		return true;
	if (ended || !strcmp(state, "open") || !strcmp(state, "unanswered"))
		return export_active_take(b->active, f->m.domain, ended, r);
	export_active_keep(b->active, f->m.domain, r->id);
	return false;
}

int export_batch_add(struct export_batch *b, struct export_state *s, const struct export_form *form,
		     const json_t *flow)
{
	struct export_filling *f;
	struct ipfix_record r;
	struct buf names[IPFIX_NAMES] = {};
	int res;

	if (form->json)
		return add_line(b, flow);
	if (!strcmp(text_of(flow, "record"), "dns"))
		return 0; /* its flow counts its packets */
	f = filling_of(b, s, form, text_of(flow, "seenBy"));
	res = f ? read_record(flow, &r, names) : -ENOMEM;
	if (!res && is_told(b, f, flow, &r))
		res = add_record(b, f, &r);
	for (unsigned i = 0; i < IPFIX_NAMES; i++)
		buf_fini(&names[i]);
	return res;
}

int export_batch_end(struct export_batch *b)
{
	int r = 0;

	for (struct export_filling *f = b->fillings; f && !r; f = f->next)
		r = end_message(b, f);
	return r;
}
