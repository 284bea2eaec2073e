/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The packets' answer: asks the sandbox to try each pair from the caller's own namespace, many at a time, and
 * files what comes back. Judges nothing.
 */
#include "cli/reach.h"

#include "base/own.h"
#include "cli/cluster.h"
#include "cli/command.h"
#include "cli/output.h"

#include <netinet/in.h>

enum { PROBES_AT_A_TIME = 4000 };

struct trying {
	struct reach *r;
	size_t answered;
	char error[160]; /* the first text of an "error" answer */
};

static enum reach_answer answer_of(const char *word)
{
	static const struct {
		const char *word;
		enum reach_answer answer;
	} words[] = {{"ok", REACH_YES},
		     {"refused", REACH_REFUSED},
		     {"timeout", REACH_NO},
		     {"unreachable", REACH_NO},
		     {"dns", REACH_NO}};

	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (!strcmp(words[i].word, word))
			return words[i].answer;
	return REACH_ERROR;
}

static int take_answer(void *ctx, const json_t *line)
{
	struct trying *t = ctx;
	json_int_t id = json_integer_value(json_object_get(line, "id"));
	const char *result = json_string_value(json_object_get(line, "result"));

	if (!result || id < 0 || (size_t)id / REACH_FAMILIES >= t->r->callers.len * t->r->targets.len)
		return 0;
	struct reach_cell *cell = &t->r->cells[id / REACH_FAMILIES];
	enum reach_answer a = answer_of(result);
	cell->seen[id % REACH_FAMILIES] = (uint8_t)a;
	cell->ms[id % REACH_FAMILIES] = (float)json_number_value(json_object_get(line, "ms"));
	if (a == REACH_ERROR && !t->error[0]) {
		const char *text = json_string_value(json_object_get(line, "error")) ?: result;
		strncpy(t->error, text, sizeof(t->error) - 1);
	}
	t->answered++;
	return 0;
}

static json_t *make_probe(const struct reach *r, size_t i, size_t j, int f)
{
	const struct reach_caller *c = &r->callers.items[i];
	const struct reach_target *t = &r->targets.items[j];
	char text[ADDR_TEXT];

	if (t->host) {
		/* One try, by the families that the name has: filed under IPv4 where the caller has it. */
		if (f != (c->has[REACH_4] ? REACH_4 : REACH_6) || !strchr(c->name, '/'))
			return NULL; /* only pods have the cluster's DNS */
	} else if (!c->has[f] || !t->has[f]) {
		return NULL;
	} else {
		addr_print(&t->addr[f], text);
	}
	return json_pack("{s:I,s:s,s:s,s:s,s:i}", "id",
			 (json_int_t)((i * r->targets.len + j) * REACH_FAMILIES) + f, "from", c->name,
			 "proto", t->proto == IPPROTO_UDP ? "udp" : "tcp", t->host ? "host" : "addr",
			 t->host ? t->host : text, "port", (int)t->port);
}

static int send_probes(struct trying *t, const char *cluster, int64_t timeout_ms, json_t *probes)
{
	AUTO_JSON request =
	    json_pack("{s:s,s:I,s:O}", "op", "reach", "timeout_ms", (json_int_t)timeout_ms, "probes", probes);
	size_t asked = json_array_size(probes), before = t->answered;

	if (!request) {
		cli_error(NULL, "out of memory");
		return -1;
	}
	if (control_request(cluster, request, take_answer, t))
		return -1;
	json_array_clear(probes);
	if (t->answered - before != asked) {
		cli_error("look at the cluster's log/", "the sandbox answered %zu of %zu tries",
			  t->answered - before, asked);
		return -1;
	}
	return 0;
}

int reach_try(struct reach *r, const char *cluster, int64_t timeout_ms)
{
	struct trying t = {.r = r};
	AUTO_JSON probes = json_array();
	int e = 0;

	for (size_t i = 0; !e && i < r->callers.len; i++)
		for (size_t j = 0; !e && j < r->targets.len; j++) {
			for (int f = 0; f < REACH_FAMILIES; f++) {
				json_t *p = make_probe(r, i, j, f);
				if (p)
					json_array_append_new(probes, p);
			}
			if (json_array_size(probes) >= PROBES_AT_A_TIME)
				e = send_probes(&t, cluster, timeout_ms, probes);
		}
	if (!e && json_array_size(probes))
		e = send_probes(&t, cluster, timeout_ms, probes);
	if (!e && t.error[0])
		cli_error(NULL, "some tries could not be made: %s", t.error);
	r->tried = !e;
	return e;
}
