/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The account of a live broker: what the kernel saw and copied at each source, what weft-copier did with it,
 * and what the kernel sent. seen = classified + unparsable; copied = judged + each named loss; due + added =
 * sent + each named loss + in flight.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/own.h"
#include "cli/broker_live.h"
#include "cli/output.h"

enum { CPUS_MAX = 1024 };

static uint64_t get(const json_t *o, const char *key)
{
	json_int_t n = json_integer_value(json_object_get(o, key));

	return n > 0 ? (uint64_t)n : 0;
}

static const char *text(const json_t *o, const char *key)
{
	const char *t = json_string_value(json_object_get(o, key));

	return t ? t : "";
}

static void set(json_t *o, const char *key, uint64_t n)
{
	json_object_set_new(o, key, json_integer((json_int_t)n));
}

static void add(json_t *o, const char *key, uint64_t n)
{
	if (n)
		set(o, key, get(o, key) + n);
}

/* --- the kernel's numbers --------------------------------------------------------------------------- */

/* Sum over all CPUs of a value that is made of __u64 alone; zeros where there is no such element. */
static void sum_cpus(int map, const void *key, uint64_t *out, size_t n)
{
	int cpus = libbpf_num_possible_cpus();
	AUTO_MEM uint64_t *values =
	    cpus > 0 && cpus <= CPUS_MAX ? calloc((size_t)cpus * n, sizeof(*values)) : NULL;

	memset(out, 0, n * sizeof(*out));
	if (!values || bpf_map_lookup_elem(map, key, values))
		return;
	for (size_t i = 0; i < (size_t)cpus * n; i++)
		out[i % n] += values[i];
}

static void add_tapped(struct tapped_value *sum, const struct tapped_value *v)
{
	const uint64_t *from = (const uint64_t *)(const void *)v;
	uint64_t *to = (uint64_t *)(void *)sum;

	for (size_t i = 0; i < sizeof(*v) / 8; i++)
		to[i] += from[i];
}

static void tapped_at(const struct live *l, uint32_t index, struct tapped_value *sum)
{
	uint32_t slot = tapper_slot(l->tapper, index);

	for (uint32_t take = 0; take < TAP_TAKES; take++) {
		struct tapped_key key = {.ifindex = index, .take = take};
		struct tapped_value v;

		sum_cpus(l->plain.tapped, &key, (uint64_t *)(void *)&v, sizeof(v) / 8);
		add_tapped(sum, &v);
	}
	if (slot) {
		struct tapped_slot s;

		sum_cpus(l->plain.tapped_slot, &slot, (uint64_t *)(void *)&s, sizeof(s) / 8);
		add_tapped(sum, &s.take[TAP_IN]);
		add_tapped(sum, &s.take[TAP_OUT]);
	}
}

static struct outlet_count count_of(const struct live *l, uint32_t number)
{
	struct outlet_count c;

	sum_cpus(l->plain.outlet_count, &number, (uint64_t *)(void *)&c, sizeof(c) / 8);
	return c;
}

/* --- sources ---------------------------------------------------------------------------------------- */

static json_t *source(const struct live *l, const struct live_place *p, const json_t *said,
		      struct live_sums *sums)
{
	json_t *o = json_object(), *lost = json_object();
	static const char *const ways[] = {
	    [TAP_FEED_HOST] = "no", [TAP_FEED_BY_TC] = "tc", [TAP_FEED_BY_XDP] = "xdp"};
	struct tapped_value v = {0};
	uint64_t received = 0;
	const json_t *place;
	size_t i;

	VEC_EACH (&p->indexes, index)
		tapped_at(l, *index, &v);
	json_array_foreach (json_object_get(said, "places"), i, place)
		if (get(place, "point") == p->point)
			received = get(place, "received");
	json_object_set_new(o, "source", json_string(p->name));
	if (p->feed != TAP_FEED_NONE)
		json_object_set_new(o, "feed", json_string(ways[p->feed]));
	if (p->why)
		json_object_set_new(o, "why", json_string(p->why));
	set(o, "seen", v.seen);
	set(o, "seenBytes", v.seen_bytes);
	set(o, "classified", v.seen - v.unparsable);
	set(o, "unparsable", v.unparsable);
	set(o, "unwanted", v.unwanted);
	set(o, "own", v.own);
	set(o, "copied", v.copied);
	set(o, "judged", received);
	add(lost, "clone", v.failed);
	json_object_set_new(o, "lost", lost);
	sums->copied += v.copied - p->copied_before;
	sums->arrived += received;
	return o;
}

static json_t *sources(const struct live *l, const json_t *said, struct live_sums *sums)
{
	json_t *list = json_array();

	VEC_EACH (&l->places, p)
		json_array_append_new(list, source(l, p, said, sums));
	return list;
}

/* --- tools ------------------------------------------------------------------------------------------ */

/* What the kernel did to them, by the chain's names. */
static void add_note(json_t *o, enum chain_counter which, uint64_t n)
{
	add(json_object_get(o, "notes"), chain_counter_name(which), n);
}

/* Copies that the kernel edits: of split packets each segment counts. What it handed to weft-copier is due
 * there already. What did not come to its edit is under way, or the pair of links dropped it. */
static void join_edits(json_t *o, json_t *lost, const struct outlet_count *c)
{
	uint64_t done = c->direct + c->direct_failed + c->handed;
	uint64_t left = c->segments > done ? c->segments - done : 0,
		 dropped = live_link_dropped(EDIT_IN_NAME);

	set(o, "due", get(o, "due") + c->given - c->handed);
	set(o, "added", get(o, "added") + c->segments - c->given);
	add(lost, "edit-queue", left < dropped ? left : dropped);
	add_note(o, CHAIN_MASKED, c->masked);
	add_note(o, CHAIN_SLICED, c->sliced);
	add_note(o, CHAIN_SLICE_SHALLOW, c->shallow);
	add_note(o, CHAIN_STAMPED, c->stamped);
	set(o, "editing", get(o, "editing") + (left > dropped ? left - dropped : 0));
}

/* What the kernel did for a tool port: adds what it cloned by itself, and says what became of what
 * weft-copier gave it. */
static void join_outlet(json_t *o, json_t *lost, const struct outlet_count *c,
			const struct outlet_count *before, uint64_t *given)
{
	uint64_t failed = c->failed - before->failed, unreachable = c->unreachable - before->unreachable;

	set(o, "straight", c->given ? c->given : c->direct + c->direct_failed);
	set(o, "straightBytes", c->direct_bytes);
	if (c->given)
		join_edits(o, lost, c);
	else
		set(o, "due", get(o, "due") + c->direct + c->direct_failed);
	set(o, "sent", get(o, "sent") + c->direct);
	set(o, "sentBytes", get(o, "sentBytes") + c->direct_bytes);
	set(o, "direct", get(o, "direct") + c->direct);
	add(lost, "refused", c->direct_failed + failed);
	add(lost, "unreachable", unreachable);
	set(o, "sent", get(o, "sent") - (failed + unreachable));
	*given += c->sent - before->sent + failed + unreachable;
}

static bool is_of(const struct live_outlet *w, const json_t *tool)
{
	return !strcmp(w->tool, text(tool, "tool")) && w->port && !strcmp(w->port, text(tool, "port"));
}

static uint64_t sum_of(const json_t *losses)
{
	const char *name;
	json_t *n;
	uint64_t sum = 0;

	json_object_foreach ((json_t *)(uintptr_t)losses, name, n)
		sum += json_integer_value(n) > 0 ? (uint64_t)json_integer_value(n) : 0;
	return sum;
}

static json_t *tool(const struct live *l, const json_t *t, struct live_sums *sums)
{
	json_t *o = json_object(), *lost = json_deep_copy(json_object_get(t, "losses"));
	const char *const same[] = {"tool", "port", "kind"};
	uint64_t given = 0, handed = get(t, "sent");
	bool wire = false, match;

	if (!lost)
		lost = json_object();
	for (size_t i = 0; i < ARRAY_LEN(same); i++)
		json_object_set(o, same[i], json_object_get(t, same[i]));
	json_object_set_new(o, "notes", json_deep_copy(json_object_get(t, "notes")) ?: json_object());
	set(o, "due", get(t, "due"));
	set(o, "added", get(t, "added"));
	set(o, "sent", handed);
	set(o, "sentBytes", get(t, "sentBytes"));
	if (!json_is_true(json_object_get(t, "gone")))
		json_object_set(o, "taking", json_object_get(t, "taking"));
	match = get(t, "due") + get(t, "added") == handed + sum_of(lost) + get(t, "inFlight");
	VEC_EACH (&l->ways, w)
		if (is_of(w, t)) {
			struct outlet_count c = count_of(l, w->number);

			uint64_t dropped = live_link_dropped(w->link);

			/* Frames, where packets were split: no part of the sum. */
			set(o, "droppedBehind", dropped > w->dropped ? dropped - w->dropped : 0);
			join_outlet(o, lost, &c, &w->before, &given);
			wire = true;
		}
	/* What weft-copier has given to the kernel and the kernel has not told of yet is under way. */
	set(o, "inFlight",
	    get(t, "inFlight") + get(o, "editing") + (wire && handed > given ? handed - given : 0));
	json_object_del(o, "editing");
	if (wire)
		set(o, "sent", get(o, "sent") - (handed > given ? handed - given : 0));
	json_object_set_new(o, "lost", lost);
	match = match && (!wire || given <= handed) &&
		get(o, "due") + get(o, "added") == get(o, "sent") + sum_of(lost) + get(o, "inFlight");
	json_object_set_new(o, "sumsMatch", json_boolean(match));
	sums->in_flight += get(o, "inFlight");
	sums->match = sums->match && match;
	return o;
}

static json_t *tools(const struct live *l, const json_t *said, struct live_sums *sums)
{
	json_t *list = json_array();
	const json_t *t;
	size_t i;

	json_array_foreach (json_object_get(said, "tools"), i, t)
		json_array_append_new(list, tool(l, t, sums));
	return list;
}

/* --- maps ------------------------------------------------------------------------------------------- */

static json_t *row_of(const json_t *rows, struct str name, struct str port)
{
	json_t *t;
	size_t i;

	json_array_foreach (rows, i, t)
		if (str_eqz(name, text(t, "tool")) && str_eqz(port, text(t, "port")))
			return t;
	return NULL;
}

static unsigned leading(const struct broker *b, uint32_t port)
{
	unsigned n = 0;

	for (uint32_t i = 0; i < b->maps_n; i++)
		n += broker_has(&b->maps[i].ports, port);
	return n;
}

/* What went straight to the tools of a map, weft-copier did not see. Where a tool is of one map alone it is
 * that map's; else what is counted here is a part of what the map took. */
static void join_map(const struct broker *b, const struct broker_map *m, const json_t *rows, json_t *o)
{
	uint64_t packets = 0, bytes = 0;
	bool shared = false, all = !m->groups.n;

	for (uint32_t i = 0; i < m->ports.n; i++) {
		const struct broker_port *p = &b->ports[m->ports.items[i]];
		const json_t *row = row_of(rows, p->tool, p->port);
		uint64_t straight = get(row, "straight");

		shared |= straight && leading(b, m->ports.items[i]) > 1;
		all &= straight != 0;
		if (straight > packets) {
			packets = straight;
			bytes = get(row, "straightBytes");
		}
	}
	if (shared)
		json_object_set_new(o, "part", json_true());
	else if (all) {
		set(o, "packets", get(o, "packets") + packets);
		set(o, "bytes", get(o, "bytes") + bytes);
	}
}

static json_t *maps(const struct live *l, const json_t *said, const json_t *rows)
{
	json_t *list = json_deep_copy(json_object_get(said, "maps")) ?: json_array(), *o;
	size_t i;

	json_array_foreach (list, i, o)
		for (uint32_t k = 0; l->b && k < l->b->maps_n; k++)
			if (str_eqz(l->b->maps[k].name, text(o, "name")))
				join_map(l->b, &l->b->maps[k], rows, o);
	json_array_foreach (rows, i, o) {
		json_object_del(o, "straight");
		json_object_del(o, "straightBytes");
	}
	return list;
}

json_t *live_account(struct live *l, struct live_sums *sums)
{
	AUTO_JSON said = live_copier_account(l);
	const json_t *ring = json_object_get(said, "ring");
	json_t *o;

	*sums = (struct live_sums){.match = true};
	if (!said)
		return NULL;
	live_note_indexes(l);
	o = json_object();
	set(o, "epoch", l->epoch);
	set(o, "copierRestarts", l->restarts);
	json_object_set_new(o, "sources", sources(l, said, sums));
	json_t *rows = tools(l, said, sums);

	json_object_set_new(o, "maps", maps(l, said, rows));
	json_object_set(o, "groups", json_object_get(said, "groups"));
	json_object_set_new(o, "tools", rows);
	json_object_set_new(o, "ports", live_ports(l));
	json_object_set_new(o, "ring",
			    json_pack("{s:I,s:I,s:I}", "copied", (json_int_t)sums->copied, "lost",
				      (json_int_t)get(ring, "lost"), "unknown",
				      (json_int_t)get(ring, "unknown")));
	VEC_EACH (&l->ways, w)
		sums->copied += count_of(l, w->number).handed - w->before.handed;
	sums->arrived += get(ring, "lost") + get(ring, "unknown") + get(ring, "handed");
	sums->match = sums->match && sums->arrived <= sums->copied;
	return o;
}

void live_account_anew(struct live *l)
{
	live_note_indexes(l);
	l->restarts++;
	VEC_EACH (&l->places, p) {
		struct tapped_value v = {0};

		VEC_EACH (&p->indexes, index)
			tapped_at(l, *index, &v);
		p->copied_before = v.copied;
	}
	VEC_EACH (&l->ways, w)
		w->before = count_of(l, w->number);
}

/* --- for people ------------------------------------------------------------------------------------- */

static void print_lost(struct table *t, const json_t *lost, uint64_t behind)
{
	AUTO_BUF words = {0};
	const char *name;
	json_t *n;

	json_object_foreach ((json_t *)(uintptr_t)lost, name, n)
		if (json_integer_value(n))
			buf_printf(&words, "%s%" JSON_INTEGER_FORMAT " %s", words.n ? ", " : "",
				   json_integer_value(n), name);
	if (behind)
		buf_printf(&words, "%s%" PRIu64 " frames behind the interface", words.n ? "; " : "", behind);
	table_cell(t, words.n ? words.p : "0");
}

static void cell(struct table *t, const json_t *o, const char *key)
{
	table_cellf(t, "%" PRIu64, get(o, key));
}

static void print_sources(const json_t *account)
{
	static const char *const heads[] = {"SOURCE", "SEEN",	"CLASSIFIED", "UNPARSABLE",
					    "COPIED", "JUDGED", "LOST",	      NULL};
	AUTO_TABLE t;
	const json_t *s;
	size_t i;

	table_init(&t, heads);
	json_array_foreach (json_object_get(account, "sources"), i, s) {
		table_cell(&t, text(s, "source"));
		cell(&t, s, "seen");
		cell(&t, s, "classified");
		cell(&t, s, "unparsable");
		cell(&t, s, "copied");
		cell(&t, s, "judged");
		print_lost(&t, json_object_get(s, "lost"), 0);
	}
	table_print(&t);
}

static void print_maps(const json_t *account)
{
	static const char *const heads[] = {"MAP", "TOOK", "BYTES", NULL};
	AUTO_TABLE t;
	const json_t *m;
	size_t i;

	table_init(&t, heads);
	json_array_foreach (json_object_get(account, "maps"), i, m) {
		table_cell(&t, text(m, "name"));
		cell(&t, m, "packets");
		cell(&t, m, "bytes");
	}
	if (table_rows(&t))
		table_print(&t);
}

static void print_tools(const json_t *account)
{
	static const char *const heads[] = {"TOOL", "KIND", "DUE",	 "ADDED",
					    "SENT", "LOST", "IN FLIGHT", NULL};
	AUTO_TABLE t;
	const json_t *o;
	size_t i;

	table_init(&t, heads);
	json_array_foreach (json_object_get(account, "tools"), i, o) {
		table_cellf(&t, "%s/%s", text(o, "tool"), text(o, "port"));
		table_cell(&t, text(o, "kind"));
		cell(&t, o, "due");
		cell(&t, o, "added");
		cell(&t, o, "sent");
		print_lost(&t, json_object_get(o, "lost"), get(o, "droppedBehind"));
		cell(&t, o, "inFlight");
	}
	table_print(&t);
}

void live_account_print(const json_t *account)
{
	const json_t *ring = json_object_get(account, "ring");

	print_sources(account);
	putchar('\n');
	print_maps(account);
	putchar('\n');
	print_tools(account);
	if (get(account, "copierRestarts"))
		printf("\nweft-copier was started anew %" PRIu64
		       " times: what it did before is not in these numbers\n",
		       get(account, "copierRestarts"));
	if (get(ring, "lost") || get(ring, "unknown"))
		printf("\nlost before they were judged: %" PRIu64 ", of an epoch that is over: %" PRIu64 "\n",
		       get(ring, "lost"), get(ring, "unknown"));
}

/* Of the item at the same place before: lists only grow. */
static void rate(struct buf *out, const json_t *before, const json_t *now, const char *list, const char *key,
		 const char *name, uint64_t ms)
{
	const json_t *o;
	size_t i;

	json_array_foreach (json_object_get(now, list), i, o) {
		uint64_t was = get(json_array_get(json_object_get(before, list), i), key), is = get(o, key);

		buf_printf(out, "%s%s %" PRIu64 "/s", out->n ? ", " : "", text(o, name),
			   (is > was ? is - was : 0) * 1000 / (ms ? ms : 1));
	}
}

void live_rates(struct buf *out, const json_t *before, const json_t *now, uint64_t ms)
{
	AUTO_BUF tools_of = {0};

	rate(out, before, now, "sources", "seen", "source", ms);
	rate(&tools_of, before, now, "tools", "sent", "tool", ms);
	if (tools_of.n)
		buf_printf(out, " -> " STR_FMT, STR_ARG(buf_str(&tools_of)));
}
