/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The accounts of a run over capture files: per source, map, group and tool port, and whether the sums match:
 * seen = classified + unparsable; due + added = sent + each named loss. See broker.h.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/own.h"
#include "cli/broker.h"
#include "cli/command.h"
#include "cli/output.h"

struct loss {
	const char *name;
	uint64_t n;
};

struct sums { /* of a tool port */
	uint64_t added, sent, lost;
	struct loss losses[CHAIN_COUNTERS + 3];
	unsigned n;
	bool match;
};

static void lose(struct sums *s, const char *name, uint64_t n)
{
	s->lost += n;
	if (n)
		s->losses[s->n++] = (struct loss){name, n};
}

static bool no_room(int error)
{
	return error == -ENOSPC || error == -EDQUOT || error == -EFBIG;
}

static struct sums sums_of(const struct broker_tool *t)
{
	const uint64_t *counts = chain_counts(t->chain);
	struct sums s = {.added = broker_chain_sum(t->chain, CHAIN_KIND_ADDED)};

	for (int i = 0; i < CHAIN_COUNTERS; i++)
		if (chain_counter_kind((enum chain_counter)i) == CHAIN_KIND_LOSS)
			lose(&s, chain_counter_name((enum chain_counter)i), counts[i]);
	lose(&s, "mtu", t->mtu);
	if (t->path)
		lose(&s, no_room(t->error) ? "disk" : "write", t->totals.lost + t->refused);
	s.sent = t->path ? t->totals.packets + t->ring.overwritten : t->handed;
	s.match = t->due + s.added == s.sent + s.lost;
	return s;
}

static struct str input_name(const struct broker_input *in)
{
	return in->name.n ? in->name : STR("all");
}

static bool check_inputs(const struct broker_run *run)
{
	bool good = true;

	for (uint32_t i = 0; i < run->inputs_n; i++) {
		const struct broker_input *in = &run->inputs[i];

		if (in->broken_at >= 0) {
			cli_error(in->seen ? "what stands before it was processed"
					   : "a capture in pcap or pcapng form, as tcpdump -w writes it",
				  "%s: byte %" PRId64 ": %s", in->path, in->broken_at, in->error);
			good = false;
		}
		if (in->seen != in->classified + in->unparsable) {
			cli_error("this is a fault of the broker: please report it",
				  "%s: seen %" PRIu64 ", but classified %" PRIu64 " and unparsable %" PRIu64,
				  in->path, in->seen, in->classified, in->unparsable);
			good = false;
		}
	}
	if (run->interrupted)
		cli_error(NULL, "interrupted: what was read until then was processed");
	return good && !run->interrupted;
}

static bool check_tools(const struct broker_run *run)
{
	bool good = true;

	for (uint32_t i = 0; i < run->b->ports_n; i++) {
		const struct broker_tool *t = &run->tools[i];
		const struct broker_port *p = &run->b->ports[i];
		struct sums s;

		if (!t->used)
			continue;
		s = sums_of(t);
		if (t->error) {
			cli_error("it holds what came before, to its last whole packet", "%s: %s", t->path,
				  strerror(-t->error));
			good = false;
		}
		if (!s.match) {
			cli_error("this is a fault of the broker: please report it",
				  STR_FMT "/" STR_FMT ": due %" PRIu64 " and added %" PRIu64
					  ", but sent %" PRIu64 " and lost %" PRIu64,
				  STR_ARG(p->tool), STR_ARG(p->port), t->due, s.added, s.sent, s.lost);
			good = false;
		}
		if (p->capacity && t->peak > p->capacity)
			cli_error("share the load among tools with a ToolGroup, or sample",
				  STR_FMT "/" STR_FMT ": up to %" PRIu64
					  " bits in one second are more than its capacity, %" PRIu64,
				  STR_ARG(p->tool), STR_ARG(p->port), t->peak, p->capacity);
	}
	return good;
}

static json_t *text(struct str s)
{
	return json_stringn(s.p, s.n);
}

static json_t *number(uint64_t n)
{
	return json_integer((json_int_t)n);
}

static json_t *inputs_json(const struct broker_run *run)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < run->inputs_n; i++) {
		const struct broker_input *in = &run->inputs[i];
		json_t *o =
		    json_pack("{s:o, s:s, s:o, s:o, s:o, s:o}", "source", text(input_name(in)), "file",
			      in->path, "seen", number(in->seen), "classified", number(in->classified),
			      "unparsable", number(in->unparsable), "taken", number(in->taken));

		if (in->broken_at >= 0)
			json_object_set_new(
			    o, "error",
			    json_pack("{s:I, s:s}", "byte", (json_int_t)in->broken_at, "what", in->error));
		json_array_append_new(list, o);
	}
	return list;
}

static bool map_is_used(const struct broker_run *run, uint32_t map)
{
	for (uint32_t i = 0; i < run->inputs_n; i++)
		if (point_has_map(run->inputs[i].point, map))
			return true;
	return false;
}

static json_t *maps_json(const struct broker_run *run)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < run->b->maps_n; i++)
		if (map_is_used(run, i))
			json_array_append_new(
			    list, json_pack("{s:o, s:o, s:o}", "map", text(run->b->maps[i].name), "packets",
					    number(run->map_packets[i]), "bytes", number(run->map_bytes[i])));
	return list;
}

/* Number of the oldest file of a row that is there still. */
static uint32_t oldest(const struct broker_port *p, const struct broker_tool *t)
{
	uint32_t keep = p->to.rotate_count;

	return keep && t->totals.files > keep ? t->totals.files - keep + 1 : 1;
}

static json_t *row_json(const struct broker_port *p, const struct broker_tool *t)
{
	json_t *list = json_array();

	for (uint32_t i = oldest(p, t); i <= t->totals.files; i++) {
		AUTO_MEM char *name = broker_file_name(p, t->row.folder, i);

		json_array_append_new(list, json_string(name ? name : ""));
	}
	return list;
}

static json_t *tool_json(const struct broker_port *p, const struct broker_tool *t)
{
	struct sums s = sums_of(t);
	json_t *losses = json_object(), *notes = json_object();
	json_t *o = json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:b}", "tool", text(p->tool), "port",
			      text(p->port), "due", number(t->due), "dueBytes", number(t->due_bytes), "added",
			      number(s.added), "sent", number(s.sent), "peakBitsPerSecond", number(t->peak),
			      "sumsMatch", s.match);

	for (unsigned i = 0; i < s.n; i++)
		json_object_set_new(losses, s.losses[i].name, number(s.losses[i].n));
	for (int i = 0; i < CHAIN_COUNTERS; i++)
		if (chain_counter_kind((enum chain_counter)i) == CHAIN_KIND_NOTE && chain_counts(t->chain)[i])
			json_object_set_new(notes, chain_counter_name((enum chain_counter)i),
					    number(chain_counts(t->chain)[i]));
	if (t->ring.size)
		json_object_set_new(notes, "overwritten", number(t->ring.overwritten));
	json_object_set_new(o, "lost", losses);
	json_object_set_new(o, "notes", notes);
	if (t->path && !broker_is_row(p))
		json_object_set_new(o, "file", json_string(t->path));
	if (t->path && broker_is_row(p))
		json_object_set_new(o, "files", row_json(p, t));
	return o;
}

static json_t *group_json(const struct broker_run *run, uint32_t i)
{
	const struct broker_group *g = &run->b->groups[i];
	const struct group *state = judge_group(run->judge, i);
	const struct group_counts *c = group_counts(state);
	json_t *members = json_array();

	for (uint32_t m = 0; m < g->members_n; m++) {
		const struct broker_port *p = &run->b->ports[g->members[m].port];

		json_array_append_new(members,
				      json_pack("{s:o, s:o, s:I, s:o}", "tool", text(p->tool), "port",
						text(p->port), "weight", (json_int_t)g->members[m].weight,
						"packets", number(group_member_packets(state)[m])));
	}
	return json_pack("{s:o, s:o, s:o, s:o, s:o}", "group", text(g->name), "packets", number(c->packets),
			 "notIP", number(c->not_ip), "toolDown", number(c->down), "members", members);
}

static void print_json(const struct broker_run *run, const char *format, bool good)
{
	AUTO_JSON o = json_pack("{s:o, s:o}", "sources", inputs_json(run), "maps", maps_json(run));
	json_t *tools = json_array(), *groups = json_array();

	for (uint32_t i = 0; i < run->b->ports_n; i++)
		if (run->tools[i].used)
			json_array_append_new(tools, tool_json(&run->b->ports[i], &run->tools[i]));
	for (uint32_t i = 0; i < run->b->groups_n; i++)
		json_array_append_new(groups, group_json(run, i));
	json_object_set_new(o, "groups", groups);
	json_object_set_new(o, "tools", tools);
	json_object_set_new(o, "complete", json_boolean(good));
	output_value(o, format);
}

static void print_inputs(const struct broker_run *run)
{
	static const char *const heads[] = {"SOURCE", "SEEN", "CLASSIFIED", "UNPARSABLE",
					    "TAKEN",  "FILE", NULL};
	AUTO_TABLE t;

	table_init(&t, heads);
	for (uint32_t i = 0; i < run->inputs_n; i++) {
		const struct broker_input *in = &run->inputs[i];

		table_cellf(&t, STR_FMT, STR_ARG(input_name(in)));
		table_cellf(&t, "%" PRIu64, in->seen);
		table_cellf(&t, "%" PRIu64, in->classified);
		table_cellf(&t, "%" PRIu64, in->unparsable);
		table_cellf(&t, "%" PRIu64, in->taken);
		table_cell(&t, in->path);
	}
	table_print(&t);
}

static void print_maps(const struct broker_run *run)
{
	static const char *const heads[] = {"MAP", "TOOK", "BYTES", NULL};
	AUTO_TABLE t;

	table_init(&t, heads);
	for (uint32_t i = 0; i < run->b->maps_n; i++) {
		if (!map_is_used(run, i))
			continue;
		table_cellf(&t, STR_FMT, STR_ARG(run->b->maps[i].name));
		table_cellf(&t, "%" PRIu64, run->map_packets[i]);
		table_cellf(&t, "%" PRIu64, run->map_bytes[i]);
	}
	table_print(&t);
}

static void print_tools(const struct broker_run *run)
{
	static const char *const heads[] = {"TOOL", "DUE", "ADDED", "SENT", "LOST", "FILE", NULL};
	AUTO_TABLE t;

	table_init(&t, heads);
	for (uint32_t i = 0; i < run->b->ports_n; i++) {
		const struct broker_tool *tool = &run->tools[i];
		const struct broker_port *p = &run->b->ports[i];
		struct sums s;
		AUTO_BUF lost = {0};

		if (!tool->used)
			continue;
		s = sums_of(tool);
		for (unsigned k = 0; k < s.n; k++)
			buf_printf(&lost, "%s%" PRIu64 " %s", lost.n ? ", " : "", s.losses[k].n,
				   s.losses[k].name);
		table_cellf(&t, STR_FMT "/" STR_FMT, STR_ARG(p->tool), STR_ARG(p->port));
		table_cellf(&t, "%" PRIu64, tool->due);
		table_cellf(&t, "%" PRIu64, s.added);
		table_cellf(&t, "%" PRIu64, s.sent);
		table_cell(&t, lost.n ? lost.p : "0");
		if (tool->ring.overwritten)
			table_cellf(&t, "%s (the newest %" PRIu64 ")", tool->path, tool->totals.packets);
		else if (tool->path && broker_is_row(p))
			table_cellf(&t, "%s: -%05u to -%05u", tool->path, oldest(p, tool),
				    tool->totals.files);
		else
			table_cell(&t, tool->path ? tool->path : "discarded");
	}
	table_print(&t);
}

static void print_groups(const struct broker_run *run)
{
	static const char *const heads[] = {"GROUP", "MEMBER", "WEIGHT", "PACKETS", "NOT IP", NULL};
	AUTO_TABLE t;

	table_init(&t, heads);
	for (uint32_t i = 0; i < run->b->groups_n; i++) {
		const struct broker_group *g = &run->b->groups[i];
		const struct group *state = judge_group(run->judge, i);

		for (uint32_t m = 0; m < g->members_n; m++) {
			const struct broker_port *p = &run->b->ports[g->members[m].port];

			table_cellf(&t, STR_FMT, STR_ARG(g->name));
			table_cellf(&t, STR_FMT "/" STR_FMT, STR_ARG(p->tool), STR_ARG(p->port));
			table_cellf(&t, "%u", g->members[m].weight);
			table_cellf(&t, "%" PRIu64, group_member_packets(state)[m]);
			table_cellf(&t, "%" PRIu64, group_counts(state)->not_ip);
		}
	}
	table_print(&t);
}

bool broker_report(const struct broker_run *run, const char *format)
{
	bool good = check_inputs(run) & check_tools(run);

	if (format) {
		print_json(run, format, good);
		return good;
	}
	print_inputs(run);
	putchar('\n');
	print_maps(run);
	if (run->b->groups_n) {
		putchar('\n');
		print_groups(run);
	}
	putchar('\n');
	print_tools(run);
	if (good)
		printf("\nall sums match: seen = classified + unparsable, due + added = sent + lost\n");
	return good;
}
