/* SPDX-License-Identifier: Apache-2.0 */
/* /metrics: the same numbers as /account, as Prometheus reads them. */
#include <inttypes.h>

#include "copier/copier.h"

static void family(struct buf *b, const char *name, const char *type, const char *help)
{
	buf_printf(b, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void label(struct buf *b, const char *key, const char *value)
{
	buf_printf(b, ",%s=", key);
	buf_json(b, str_of(value));
}

static void sample(struct buf *b, const struct copier *c, const char *name)
{
	buf_printf(b, "%s{node=", name);
	buf_json(b, str_of(c->host.node));
}

static void plain(struct buf *b, const struct copier *c, const char *name, const char *help, uint64_t v)
{
	family(b, name, "counter", help);
	sample(b, c, name);
	buf_printf(b, "} %" PRIu64 "\n", v);
}

static void tool_sample(struct buf *b, const struct copier *c, const struct tally *t, const char *name)
{
	sample(b, c, name);
	label(b, "tool", t->tool);
	label(b, "port", t->port);
}

static void print_losses(struct buf *b, const struct copier *c)
{
	const char *name = "weft_tool_lost_packets_total";

	family(b, name, "counter", "Copies that were due to a tool port and did not leave, by reason.");
	VEC_EACH (&c->tallies, t) {
		struct port_sums s;

		tally_sums(c, *t, &s);
		for (int i = 0; i < CHAIN_COUNTERS; i++)
			if (chain_counter_kind((enum chain_counter)i) == CHAIN_KIND_LOSS && s.chain[i]) {
				tool_sample(b, c, *t, name);
				label(b, "reason", chain_counter_name((enum chain_counter)i));
				buf_printf(b, "} %" PRIu64 "\n", s.chain[i]);
			}
		for (int i = 0; i < OUTPUT_LOSSES; i++)
			if (s.losses[i]) {
				tool_sample(b, c, *t, name);
				label(b, "reason", output_loss_name((enum output_loss)i));
				buf_printf(b, "} %" PRIu64 "\n", s.losses[i]);
			}
	}
}

static void print_tools(struct buf *b, const struct copier *c)
{
	static const struct {
		const char *name, *type, *help;
		size_t at;
	} rows[] = {
	    {"weft_tool_due_packets_total", "counter", "Copies that maps sent to a tool port.",
	     offsetof(struct port_sums, due)},
	    {"weft_tool_added_packets_total", "counter",
	     "Packets that became more on the way: segments, fragments.", offsetof(struct port_sums, added)},
	    {"weft_tool_sent_packets_total", "counter", "Copies that left for the tool.",
	     offsetof(struct port_sums, sent)},
	    {"weft_tool_sent_bytes_total", "counter", "Bytes that left for the tool.",
	     offsetof(struct port_sums, sent_bytes)},
	    {"weft_tool_relayed_packets_total", "counter", "Copies that left for the node that has the tool.",
	     offsetof(struct port_sums, relayed)},
	    {"weft_tool_arrived_packets_total", "counter",
	     "Copies that other nodes sent for the tool of this one.", offsetof(struct port_sums, arrived)},
	    {"weft_tool_in_flight_packets", "gauge", "Copies that wait for the tool.",
	     offsetof(struct port_sums, in_flight)},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		family(b, rows[i].name, rows[i].type, rows[i].help);
		VEC_EACH (&c->tallies, t) {
			struct port_sums s;
			uint64_t v;

			tally_sums(c, *t, &s);
			memcpy(&v, (const char *)&s + rows[i].at, sizeof(v));
			tool_sample(b, c, *t, rows[i].name);
			buf_printf(b, "} %" PRIu64 "\n", v);
		}
	}
	family(b, "weft_tool_over_capacity_seconds_total", "counter",
	       "Seconds in which a tool port got more bits than its tool's capacity.");
	VEC_EACH (&c->tallies, t) {
		tool_sample(b, c, *t, "weft_tool_over_capacity_seconds_total");
		buf_printf(b, "} %" PRIu64 "\n", (*t)->over);
	}
	family(b, "weft_tool_taking", "gauge", "1: the tool gets rid of what it is given.");
	VEC_EACH (&c->tallies, t) {
		tool_sample(b, c, *t, "weft_tool_taking");
		buf_printf(b, "} %d\n", tally_sink(c, *t) && tally_sink(c, *t)->taking);
	}
}

void metrics_print(struct copier *c, struct buf *out)
{
	plain(out, c, "weft_copies_received_packets_total", "Copies that reached weft-copier.", c->received);
	plain(out, c, "weft_copies_lost_packets_total", "Copies that found no room in its packet ring.",
	      copier_lost(c));
	plain(out, c, "weft_copies_unknown_packets_total",
	      "Copies of a place or a configuration that it does not know.", c->unknown);
	print_tools(out, c);
	print_losses(out, c);
}
