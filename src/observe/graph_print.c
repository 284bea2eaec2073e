/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is told of the graph, as JSON. An edge's text is made once a frame and kept, so that readers cost a
 * copy and what did not change is known; numbers are written by hand, since a frame has thousands. Called by
 * graph.c and by who sends frames.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "observe/graph_state.h"
#include "observe/record_json.h"

static void add_number(struct buf *b, uint64_t n)
{
	char text[20];
	size_t at = sizeof(text);

	do
		text[--at] = (char)('0' + n % 10);
	while (n /= 10);
	buf_add(b, text + at, sizeof(text) - at);
}

/* By thousandths, without zeros at the end. */
static void add_thousandths(struct buf *b, uint64_t n)
{
	unsigned rest = (unsigned)(n % 1000);
	char text[4] = {'.', (char)('0' + rest / 100), (char)('0' + rest / 10 % 10), (char)('0' + rest % 10)};
	size_t len = rest % 10 ? 4 : rest % 100 ? 3 : rest ? 2 : 0;

	add_number(b, n / 1000);
	buf_add(b, text, len);
}

/* A second, to a tenth: of something, never 0. */
static void add_rate(struct buf *b, uint64_t sum, uint64_t span_ms)
{
	uint64_t tenths = (sum * 10000 + span_ms / 2) / span_ms;

	add_thousandths(b, (sum && !tenths ? 1 : tenths) * 100);
}

static void add_pair(struct buf *b, const uint64_t n[2], uint64_t span_ms)
{
	buf_addc(b, '[');
	add_rate(b, n[0], span_ms);
	buf_addc(b, ',');
	add_rate(b, n[1], span_ms);
	buf_addc(b, ']');
}

static int by_length(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static void add_times(struct buf *b, uint32_t *times, size_t n)
{
	if (!n) {
		buf_addz(b, "null");
		return;
	}
	qsort(times, n, sizeof(*times), by_length);
	buf_addc(b, '[');
	add_thousandths(b, times[(n - 1) / 2]);
	buf_addc(b, ',');
	add_thousandths(b, times[(n * 95 + 99) / 100 - 1]);
	buf_addc(b, ']');
}

struct sums {
	struct graph_slot all;
	uint32_t times[SLOTS * TIMES];
	size_t n_times;
	bool in[SLOTS];
};

static void add_up(const struct graph_window *w, uint64_t number, struct sums *out)
{
	for (unsigned i = 0; w && i < SLOTS; i++) {
		const struct graph_slot *s = &w->slots[i];

		out->in[i] = s->number + SLOTS > number;
		if (!out->in[i])
			continue;
		for (unsigned k = 0; k < 2; k++) {
			out->all.bytes[k] += s->bytes[k];
			out->all.packets[k] += s->packets[k];
		}
		out->all.begun += s->begun;
		out->all.lost += s->lost;
		for (unsigned k = 0; k < TIMES && k < s->seen_times; k++)
			out->times[out->n_times++] = s->times[k];
	}
}

static void add_drops(struct buf *b, const struct graph_window *w, const struct sums *sums, uint64_t span_ms)
{
	bool any = false;

	buf_addz(b, ",\"drops\":{");
	for (size_t i = 0; w && i < w->drops.len; i++) {
		const struct graph_drops *d = &w->drops.items[i];
		uint64_t n = 0;

		for (unsigned k = 0; k < SLOTS; k++)
			n += sums->in[k] ? d->n[k] : 0;
		if (!n)
			continue;
		buf_addz(b, any ? ",\"" : "\"");
		buf_addz(b, d->reason ? record_reason(d->reason) : "other");
		buf_addz(b, "\":");
		add_rate(b, n, span_ms);
		any = true;
	}
	buf_addc(b, '}');
}

/* From the first slot's begin to now; less where the graph is younger. */
static uint64_t span_of(const struct graph *g, uint64_t now_ms)
{
	uint64_t span = (SLOTS - 1) * SLOT_MS + now_ms % SLOT_MS, age = now_ms - g->began_ms;

	span = age < span ? age : span;
	return span < SLOT_MS ? SLOT_MS : span;
}

bool graph_edge_text(struct graph *g, struct graph_edge *e, uint64_t now_ms)
{
	uint64_t span = span_of(g, now_ms);
	struct buf *b = &g->scratch, old;
	struct sums sums = {0};

	add_up(e->window, now_ms / SLOT_MS, &sums);
	buf_clear(b);
	buf_add(b, e->text.p, e->head);
	buf_addz(b, ",\"packets\":");
	add_pair(b, sums.all.packets, span);
	buf_addz(b, ",\"bytes\":");
	add_pair(b, sums.all.bytes, span);
	buf_addz(b, ",\"begun\":");
	add_rate(b, sums.all.begun, span);
	buf_addz(b, ",\"open\":");
	add_number(b, e->open);
	add_drops(b, e->window, &sums, span);
	buf_addz(b, ",\"lost\":");
	add_rate(b, sums.all.lost, span);
	buf_addz(b, ",\"latencyMs\":");
	add_times(b, sums.times, sums.n_times);
	buf_addz(b, ",\"last\":");
	add_number(b, e->last > 0 ? (uint64_t)e->last / 1000000 : 0);
	buf_addc(b, '}');
	if (b->failed || str_eq(buf_str(b), buf_str(&e->text)))
		return false;
	old = e->text;
	e->text = *b;
	*b = old;
	return true;
}

/* --- frames ---------------------------------------------------------------------------------------- */

static void print_end(struct buf *b, const struct graph_end *e)
{
	static const char *const kinds[] = {"workload", "service", "node", "outside", "unknown", "hidden"};

	buf_addz(b, "{\"id\":");
	buf_json(b, e->id);
	buf_printf(b, ",\"kind\":\"%s\"", kinds[e->kind]);
	if (e->ns.n) {
		buf_addz(b, ",\"namespace\":");
		buf_json(b, e->ns);
	}
	if (e->name.n) {
		buf_addz(b, ",\"name\":");
		buf_json(b, e->name);
	}
	if (e->kind == END_WORKLOAD) {
		buf_addz(b, ",\"workloadKind\":");
		buf_json(b, e->what_kind);
		buf_printf(b, ",\"pods\":%u", e->pods);
	}
	buf_addc(b, '}');
}

/* Whether all that went since that frame is still known. */
static bool knows_gone(const struct graph *g, uint64_t since)
{
	return g->gone_n <= GONE_KEPT || g->gone[g->gone_n % GONE_KEPT].frame <= since;
}

static void print_gone(const struct graph *g, uint64_t since, struct buf *out)
{
	uint64_t first = g->gone_n;
	const char *comma = "";

	while (first && g->gone_n - first < GONE_KEPT && g->gone[(first - 1) % GONE_KEPT].frame > since)
		first--;
	for (; first < g->gone_n; first++) {
		if (!g->gone[first % GONE_KEPT].id)
			continue;
		buf_printf(out, "%s\"%016" PRIx64 "\"", comma, g->gone[first % GONE_KEPT].id);
		comma = ",";
	}
}

void graph_print(const struct graph *g, uint64_t since, int64_t wall_ms, struct buf *out)
{
	const char *comma = "";

	if (!knows_gone(g, since))
		since = 0;
	buf_printf(out, "{\"at\":%" PRId64 ",\"seconds\":", wall_ms);
	add_thousandths(out, (span_of(g, g->ticked_ms) + 50) / 100 * 100);
	buf_printf(out, ",\"full\":%s,\"unshown\":%" PRIu64 ",\"ends\":[", since ? "false" : "true",
		   g->unshown);
	VEC_EACH (&g->ends, e) {
		if ((*e)->changed && (*e)->changed <= since)
			continue;
		buf_addz(out, comma);
		print_end(out, *e);
		comma = ",";
	}
	buf_addz(out, "],\"edges\":[");
	comma = "";
	VEC_EACH (&g->edges, e) {
		if ((*e)->changed <= since) /* 0: of no frame yet */
			continue;
		buf_addz(out, comma);
		buf_adds(out, buf_str(&(*e)->text));
		comma = ",";
	}
	buf_addz(out, "],\"gone\":[");
	if (since)
		print_gone(g, since, out);
	buf_addz(out, "]}");
}
