/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `weft account` of the broker: what the taps of a node copied, what weft-copier got of it, and what became
 * of each tool port's copies. The kernel's numbers are read before and after weft-copier's, which are of one
 * moment: where nothing moves meanwhile they must match to the packet. A weft-copier that does not answer, or
 * that began anew, leaves unknown what only it could tell.
 */
#include <stdio.h>
#include <time.h>

#include "base/own.h"
#include "cli/account.h"
#include "cli/causes.h"
#include "cli/cluster.h"
#include "cli/output.h"

enum {
	TRIES = 8,
	AGAIN_MS = 150,
	UNDER_WAY_MS = 50,
	HOOKS = 64 /* packets that may be within a tap, one a CPU */
};

static json_int_t number(const json_t *o, const char *key)
{
	return json_integer_value(json_object_get(o, key));
}

static void add_term(json_t *sum, const char *side, const char *name, const char *words, json_int_t low,
		     json_int_t high)
{
	json_array_append_new(json_object_get(sum, "terms"),
			      json_pack("{s:s, s:s, s:s, s:I, s:I}", "side", side, "name", name, "words",
					words, "low", low, "high", high));
}

static json_t *sum_new(const char *name)
{
	return json_pack("{s:s, s:[]}", "sum", name, "terms");
}

static void side_sum(const json_t *sum, const char *side, json_int_t *low, json_int_t *high)
{
	json_t *t;
	size_t i;

	json_array_foreach (json_object_get(sum, "terms"), i, t) {
		const char *of = json_string_value(json_object_get(t, "side"));

		if (strcmp(of, side) != 0 && (strcmp(side, "out") != 0 || strcmp(of, "loss") != 0))
			continue;
		*low += number(t, "low");
		*high += number(t, "high");
	}
}

/* What the terms say: in = out + losses + the rest, where one is named (`rest`, its words). slack: packets
 * that may be within a hook. */
static json_t *judge(json_t *sum, const char *rest, json_int_t slack)
{
	json_int_t in[2] = {0}, out[2] = {0}, off = 0;
	bool still;

	side_sum(sum, "in", &in[0], &in[1]);
	side_sum(sum, "out", &out[0], &out[1]);
	still = in[0] == in[1] && out[0] == out[1];
	slack = still ? 0 : slack;
	if (out[0] > in[1] + slack)
		off = in[1] - out[0];
	else if (!rest && in[0] > out[1] + slack)
		off = in[0] - out[1];
	if (rest)
		add_term(sum, "rest", "rest", rest, in[0] > out[1] ? in[0] - out[1] : 0,
			 in[1] > out[0] ? in[1] - out[0] : 0);
	json_object_set_new(sum, "says", json_string(off ? "wrong" : still ? "exact" : "within"));
	json_object_set_new(sum, "off", json_integer(off));
	json_object_set_new(sum, "in", json_pack("[I,I]", in[0], in[1]));
	json_object_set_new(sum, "out", json_pack("[I,I]", out[0], out[1]));
	return sum;
}

static json_t *unknown(json_t *sum, const char *because)
{
	json_object_set_new(sum, "says", json_string("unknown"));
	json_object_set_new(sum, "off", json_integer(0));
	json_object_set_new(sum, "because", json_string(because));
	return sum;
}

struct copies {
	const json_t *before, *copier, *after; /* the kernel's, weft-copier's, the kernel's again */
	json_t *sums;
	bool wrong;
};

static void add(struct copies *c, json_t *sum)
{
	c->wrong |= !strcmp(json_string_value(json_object_get(sum, "says")) ?: "", "wrong");
	json_array_append_new(c->sums, sum);
}

static void kernel_term(const struct copies *c, json_t *sum, const char *side, const char *name,
			const char *words)
{
	add_term(sum, side, name, words, number(json_object_get(c->before, "sum"), name),
		 number(json_object_get(c->after, "sum"), name));
}

/* --- taps ------------------------------------------------------------------------------------------ */

static void sum_taps(struct copies *c)
{
	json_t *sum = sum_new("packets at taps");

	kernel_term(c, sum, "in", "seen", "seen by tapped places");
	kernel_term(c, sum, "out", "copied", "copied for weft-copier");
	kernel_term(c, sum, "out", "unwanted", "wanted by nobody");
	kernel_term(c, sum, "loss", "failed", "the kernel could not copy");
	add(c, judge(sum, "straight to tools only", HOOKS));
}

static void add_places(const json_t *p, json_int_t *classified, json_int_t *unparsable)
{
	*classified += number(p, "classified");
	*unparsable += number(p, "unparsable");
}

/* BR16, of what was judged again, also at places that are gone. */
static void sum_judged(struct copies *c)
{
	const json_t *ring = json_object_get(c->copier, "ring");
	json_t *sum = sum_new("copies judged"), *p;
	json_int_t received = number(ring, "received"), unknown_copies = number(ring, "unknown"),
		   classified = 0, unparsable = 0;
	size_t i;

	json_array_foreach (json_object_get(c->copier, "places"), i, p)
		add_places(p, &classified, &unparsable);
	add_places(json_object_get(c->copier, "placesGone"), &classified, &unparsable);
	add_term(sum, "in", "received", "received", received, received);
	add_term(sum, "out", "classified", "classified", classified, classified);
	add_term(sum, "out", "unparsable", "unparsable", unparsable, unparsable);
	if (number(ring, "handed"))
		add_term(sum, "out", "handed", "handed over by the kernel, not judged again",
			 number(ring, "handed"), number(ring, "handed"));
	add_term(sum, "loss", "unknown", "of no configuration that is kept", unknown_copies, unknown_copies);
	add(c, judge(sum, NULL, 0));
}

static json_int_t outlets_sum(const json_t *taps, const char *key)
{
	json_int_t sum = 0;
	json_t *o;
	size_t i;

	json_array_foreach (json_object_get(taps, "outlets"), i, o)
		sum += number(o, key);
	return sum;
}

/* Whether less than was copied came to this weft-copier for another reason than that traffic flows. */
static bool came_late(const struct copies *c, json_int_t got)
{
	return json_is_true(json_object_get(c->copier, "again")) &&
	       got < number(json_object_get(c->before, "sum"), "copied") + outlets_sum(c->before, "handed");
}

/* Packets that the kernel could not edit go there, too. */
static void add_handed(const struct copies *c, json_t *sum)
{
	json_int_t low = outlets_sum(c->before, "handed"), high = outlets_sum(c->after, "handed");

	if (high)
		add_term(sum, "in", "handed", "handed over by the kernel", low, high);
}

static void sum_received(struct copies *c)
{
	const json_t *ring = json_object_get(c->copier, "ring");
	json_t *sum = sum_new("copies to weft-copier");
	json_int_t got = number(ring, "received"), lost = number(ring, "lost");

	kernel_term(c, sum, "in", "copied", "copied by taps");
	add_handed(c, sum);
	add_term(sum, "out", "received", "received", got, got);
	add_term(sum, "loss", "lost", "no room in its ring", lost, lost);
	if (came_late(c, got + lost))
		add(c, unknown(sum, "weft-copier began anew: what was copied before it did is unknown"));
	else
		add(c, judge(sum, NULL, 0));
}

/* --- tool ports ------------------------------------------------------------------------------------ */

static const json_t *outlet_of(const json_t *taps, json_int_t outlet)
{
	json_t *o;
	size_t i;

	json_array_foreach (json_object_get(taps, "outlets"), i, o)
		if (outlet && number(o, "outlet") == outlet)
			return o;
	return NULL;
}

/* Of before and after, the lowest and the highest that one moment between them may have had. */
static void edited_term(json_t *sum, const char *side, const char *name, const char *words, json_int_t before,
			json_int_t after)
{
	add_term(sum, side, name, words, before < after ? before : after, before < after ? after : before);
}

/* What the kernel edits on its way: of split packets each segment. What it handed to weft-copier is due
 * there. */
static void add_edited(json_t *sum, const json_t *before, const json_t *after)
{
	static const char *const parts[][3] = {{"out", "direct", "sent, edited by the kernel"},
					       {"loss", "directFailed", "refused by the kernel"}};
	json_int_t due[2], left[2];

	for (unsigned i = 0; i < 2; i++) {
		const json_t *of = i ? after : before;

		due[i] = number(of, "segments") - number(of, "handed");
		left[i] = due[i];
		for (size_t k = 0; k < ARRAY_LEN(parts); k++)
			left[i] -= number(of, parts[k][1]);
	}
	edited_term(sum, "in", "edited", "due, to be edited by the kernel", due[0], due[1]);
	for (size_t k = 0; k < ARRAY_LEN(parts); k++)
		if (number(after, parts[k][1]))
			edited_term(sum, parts[k][0], parts[k][1], parts[k][2], number(before, parts[k][1]),
				    number(after, parts[k][1]));
	if (left[0] > 0 || left[1] > 0)
		edited_term(sum, "loss", "editQueue", "no room on the way to the edit",
			    left[0] > 0 ? left[0] : 0, left[1] > 0 ? left[1] : 0);
}

/* What went straight to the tool: the kernel alone counts it. */
static void add_direct(const struct copies *c, json_t *sum, json_int_t outlet)
{
	const json_t *of = outlet_of(c->after, outlet);
	json_int_t sent = number(of, "direct"), refused = number(of, "directFailed");

	if (number(of, "given")) {
		add_edited(sum, outlet_of(c->before, outlet), of);
		return;
	}
	if (!sent && !refused)
		return;
	add_term(sum, "in", "direct", "due, straight by taps", sent + refused, sent + refused);
	add_term(sum, "out", "direct", "sent, straight by taps", sent, sent);
	if (refused)
		add_term(sum, "loss", "directFailed", "refused by the kernel", refused, refused);
}

/* BR17: due + added + arrived = sent + relayed + each loss + in flight. */
static void sum_tool(struct copies *c, const json_t *tool)
{
	AUTO_BUF name = {0};
	json_t *sum, *n;
	const char *loss;

	buf_printf(&name, "tool %s/%s", json_string_value(json_object_get(tool, "tool")) ?: "?",
		   json_string_value(json_object_get(tool, "port")) ?: "?");
	sum = sum_new(name.p ? name.p : "tool");
	add_term(sum, "in", "due", "due", number(tool, "due"), number(tool, "due"));
	if (number(tool, "added"))
		add_term(sum, "in", "added", "added by splitting", number(tool, "added"),
			 number(tool, "added"));
	if (number(tool, "arrived"))
		add_term(sum, "in", "arrived", "arrived from other nodes", number(tool, "arrived"),
			 number(tool, "arrived"));
	add_term(sum, "out", "sent", "sent", number(tool, "sent"), number(tool, "sent"));
	if (number(tool, "relayed"))
		add_term(sum, "out", "relayed", "sent to the tool's node", number(tool, "relayed"),
			 number(tool, "relayed"));
	add_term(sum, "out", "inFlight", "in flight", number(tool, "inFlight"), number(tool, "inFlight"));
	json_object_foreach (json_object_get(tool, "losses"), loss, n)
		if (json_integer_value(n))
			add_term(sum, "loss", loss, loss, json_integer_value(n), json_integer_value(n));
	add_direct(c, sum, number(tool, "outlet"));
	if (json_is_false(json_object_get(tool, "taking")))
		json_object_set_new(sum, "because", json_string("it takes nothing now"));
	add(c, judge(sum, NULL, 0));
}

/* What other nodes sent here, and where it went: by datagrams, and by copies. */
static void sum_arrivals(struct copies *c)
{
	static const char *const kinds[][3] = {{"out", "whole", "whole copies"},
					       {"out", "parts", "parts of copies"},
					       {"out", "asks", "questions of other nodes"},
					       {"out", "answers", "answers of other nodes"},
					       {"loss", "stranger", "of no node of the cluster"},
					       {"loss", "unknown", "for no tool of this node"},
					       {"loss", "malformed", "no message of a weft-copier"}};
	const json_t *a = json_object_get(c->copier, "arrivals");
	json_int_t arrived = 0;
	json_t *sum, *t;
	size_t i;

	if (!a || !number(a, "received"))
		return;
	sum = sum_new("from other nodes");
	add_term(sum, "in", "received", "received", number(a, "received"), number(a, "received"));
	for (size_t k = 0; k < ARRAY_LEN(kinds); k++)
		if (number(a, kinds[k][1]))
			add_term(sum, kinds[k][0], kinds[k][1], kinds[k][2], number(a, kinds[k][1]),
				 number(a, kinds[k][1]));
	add(c, judge(sum, NULL, 0));
	json_array_foreach (json_object_get(c->copier, "tools"), i, t)
		arrived += number(t, "arrived");
	if (!arrived)
		return;
	sum = sum_new("copies from other nodes");
	add_term(sum, "in", "whole", "whole", number(a, "whole"), number(a, "whole"));
	add_term(sum, "in", "joined", "joined of parts", number(a, "joined"), number(a, "joined"));
	add_term(sum, "out", "arrived", "arrived at tools", arrived, arrived);
	add(c, judge(sum, NULL, 0));
}

/* Frames that weft-copier sent, and what the kernel made of them (BR64). */
static void sum_frames(struct copies *c)
{
	static const char *const parts[][3] = {{"out", "sent", "sent to tools"},
					       {"loss", "failed", "the interface refused"},
					       {"loss", "unreachable", "no way to the tool's host"}};
	json_t *sum, *o;
	json_int_t frames = number(c->copier, "frames"), low[ARRAY_LEN(parts)] = {0},
		   high[ARRAY_LEN(parts)] = {0};
	size_t i;

	if (!json_object_get(c->copier, "frames"))
		return;
	for (size_t k = 0; k < ARRAY_LEN(parts); k++) {
		json_array_foreach (json_object_get(c->before, "outlets"), i, o)
			low[k] += number(o, parts[k][1]);
		json_array_foreach (json_object_get(c->after, "outlets"), i, o)
			high[k] += number(o, parts[k][1]);
	}
	if (!frames && !high[0] && !high[1] && !high[2])
		return;
	sum = sum_new("frames to tools");
	add_term(sum, "in", "frames", "sent by weft-copier", frames, frames);
	for (size_t k = 0; k < ARRAY_LEN(parts); k++)
		add_term(sum, parts[k][0], parts[k][1], parts[k][2], low[k], high[k]);
	if (json_is_true(json_object_get(c->copier, "again")))
		add(c, unknown(sum, "weft-copier began anew: frames of before are unknown"));
	else
		add(c, judge(sum, NULL, 0));
}

/* --- the node -------------------------------------------------------------------------------------- */

static json_t *copier_account(const char *cluster, const char *node)
{
	char path[CLUSTER_PATH];
	AUTO_BUF file = {0};
	AUTO_BUF body = {0};

	buf_printf(&file, "%s/copier.sock", node);
	cluster_path(path, cluster, file.p ? file.p : "");
	if (http_ask(path, "/account", NULL, &body) != 200)
		return NULL;
	return json_loadb(body.p ? body.p : "", body.n, 0, NULL);
}

static void pause_ms(unsigned ms)
{
	nanosleep(&(struct timespec){.tv_nsec = ms * 1000000L}, NULL);
}

/* False: nothing is tapped there, and nothing was. */
static bool form(struct copies *c)
{
	json_t *tool;
	size_t i;

	if (!json_array_size(json_object_get(c->after, "places")) && !c->copier)
		return false;
	sum_taps(c);
	if (!c->copier) {
		add(c, unknown(sum_new("copies to weft-copier"),
			       "weft-copier does not answer: what became of them is unknown, not 0"));
		return true;
	}
	sum_received(c);
	sum_judged(c);
	json_array_foreach (json_object_get(c->copier, "tools"), i, tool)
		sum_tool(c, tool);
	sum_arrivals(c);
	sum_frames(c);
	return true;
}

void account_copies(const char *cluster, const char *node, json_t *answer)
{
	json_t *sums = json_object_get(answer, "sums");

	for (int i = 0;; i++) {
		AUTO_JSON before = observer_get(cluster, node, "/taps");
		pause_ms(before ? UNDER_WAY_MS : 0); /* what was copied until then has come */
		AUTO_JSON copier = copier_account(cluster, node);
		AUTO_JSON after = before ? observer_get(cluster, node, "/taps") : NULL;
		AUTO_JSON found = json_array();
		struct copies c = {.before = before, .copier = copier, .after = after, .sums = found};

		if (!after || !form(&c))
			return;
		if (c.wrong && i < TRIES) {
			pause_ms(AGAIN_MS);
			continue;
		}
		json_array_extend(sums, found);
		if (copier)
			json_object_set_new(answer, "copier",
					    json_pack("{s:I, s:I, s:b}", "epoch", number(copier, "epoch"),
						      "began", number(copier, "began"), "again",
						      json_is_true(json_object_get(copier, "again"))));
		return;
	}
}
