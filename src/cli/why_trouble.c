/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is wrong with a node itself, for `weft why`: its agent is away, or refuses its plan. Then packets go
 * by what was in force before, and whoever asks must know. Asks the node's agent, and where that is silent
 * the sandbox that runs it.
 */
#include "base/clock.h"
#include "cli/agent_socket.h"
#include "cli/cluster.h"
#include "cli/output.h"
#include "cli/why.h"

#include <stdio.h>

static int take_status(void *ctx, const json_t *line)
{
	json_t **out = ctx;

	*out = json_incref((json_t *)(uintptr_t)line);
	return 1;
}

static json_int_t away_ms(const json_t *status, const char *node)
{
	const json_t *v;
	size_t i;

	json_array_foreach (json_object_get(status, "away"), i, v)
		if (!strcmp(json_string_value(json_object_get(v, "node")) ?: "", node))
			return json_integer_value(json_object_get(v, "ms"));
	return -1;
}

static void say_away(json_t *t, const char *cluster, const char *node)
{
	AUTO_JSON ask = json_pack("{s:s}", "op", "status");
	AUTO_JSON status = NULL;
	AUTO_BUF b = {0};
	char age[16];

	(void)control_request(cluster, ask, take_status, &status);
	json_int_t ms = away_ms(status, node);
	clock_age(ms / 1000, age);
	if (ms < 0)
		buf_addz(&b, "its agent does not answer");
	else
		buf_printf(&b, "its agent is away since %s", age);
	buf_addz(&b, ". Its kernel goes on with what was in force then: what is said of it here follows from "
		     "the objects, and may not be in force there yet");
	json_object_set_new(t, "away", json_true());
	if (ms >= 0)
		json_object_set_new(t, "awayMs", json_integer(ms));
	if (json_object_get(status, "mode"))
		json_object_set(t, "mode", json_object_get(status, "mode"));
	json_object_set_new(t, "text", json_string(b.p ? b.p : ""));
}

json_t *why_trouble(const char *cluster, const char *node)
{
	AUTO_JSON status = agent_status(cluster, node);
	json_t *t = json_pack("{s:s}", "node", node);
	const char *alarm = json_string_value(json_object_get(status, "alarm")) ?: "";
	AUTO_BUF b = {0};

	if (!t)
		return NULL;
	if (!status) {
		say_away(t, cluster, node);
		return t;
	}
	/* An agent that was started anew and cannot go on knows nothing of its kernel. */
	if (json_is_false(json_object_get(status, "enforcing")) &&
	    !json_is_false(json_object_get(status, "applier"))) {
		buf_printf(&b,
			   "%s. Its kernel goes on with what was in force before its agent began; what is "
			   "said of it "
			   "here follows from the objects",
			   *alarm ? alarm : "its agent has begun anew, and its plan is not in force yet");
		json_object_set_new(t, "away", json_true());
	} else if (json_is_false(json_object_get(status, "applier")))
		buf_addz(&b, "its applier is away. Its kernel goes on with what was in force then");
	else if (*alarm)
		buf_printf(&b, "%s. Until then all of it goes on as it was in force last", alarm);
	else if (json_is_false(json_object_get(status, "hub")))
		buf_addz(&b, "it does not hear the hub. What changed since is not in force there");
	if (!b.n) {
		json_decref(t);
		return NULL;
	}
	if (*alarm)
		json_object_set_new(t, "alarm", json_string(alarm));
	json_object_set_new(t, "text", json_string(b.p ? b.p : ""));
	return t;
}
