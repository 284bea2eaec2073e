/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `weft flows`: connections and drops, as the hub has them from all nodes, found with a filter. Judges
 * nothing itself. A node that told nothing lately is named.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/own.h"
#include "cli/cluster.h"
#include "cli/command.h"
#include "cli/output.h"

enum { FOLLOW_MS = 500, SILENT_S = 5 };

/* Minutes, hours: "90s", "5m", "2h", "1d": ns. */
static int span_ns(const char *text, int64_t *out)
{
	static const struct {
		char unit;
		int64_t s;
	} units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
	char *end;
	double n = strtod(text, &end);

	for (size_t i = 0; i < ARRAY_LEN(units); i++)
		if (end != text && end[0] == units[i].unit && !end[1] && n >= 0 && n < 1e6) {
			*out = (int64_t)(n * (double)units[i].s * 1e9);
			return 0;
		}
	return -EINVAL;
}

static int64_t wall_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* "10:42", "10:42:30" of today (of yesterday where that is still to come), or RFC 3339: [since, until). */
static int at_ns(const char *text, int64_t *since, int64_t *until)
{
	int h, m, s = 0, n = 0;
	int64_t seconds;
	struct tm tm;
	time_t now = time(NULL);

	if (!clock_parse(text, &seconds)) {
		*since = seconds * 1000000000;
		*until = *since + 1000000000;
		return 0;
	}
	bool whole = sscanf(text, "%2d:%2d:%2d%n", &h, &m, &s, &n) == 3 && !text[n];

	if (!whole) {
		s = 0;
		if (sscanf(text, "%2d:%2d%n", &h, &m, &n) != 2 || text[n])
			return -EINVAL;
	}
	if (h > 23 || m > 59 || s > 59 || h < 0 || m < 0 || s < 0)
		return -EINVAL;
	localtime_r(&now, &tm);
	tm.tm_hour = h;
	tm.tm_min = m;
	tm.tm_sec = s;
	tm.tm_isdst = -1;
	seconds = mktime(&tm);
	if (seconds > now)
		seconds -= 86400;
	*since = seconds * 1000000000;
	*until = *since + (whole ? 1000000000 : 60000000000);
	return 0;
}

/* "shop/web-1:8080", or the address. */
static void end_text(struct buf *b, const json_t *end)
{
	const char *kind = json_string_value(json_object_get(end, "kind")) ?: "",
		   *ns = json_string_value(json_object_get(end, "namespace")),
		   *name = json_string_value(json_object_get(end, "name")),
		   *address = json_string_value(json_object_get(end, "address")) ?: "?";
	json_int_t port = json_integer_value(json_object_get(end, "port"));

	if (name && ns)
		buf_printf(b, "%s/%s", ns, name);
	else if (name)
		buf_printf(b, "%s %s", kind, name);
	else if (port && strchr(address, ':'))
		buf_printf(b, "[%s]", address);
	else
		buf_addz(b, address);
	if (port)
		buf_printf(b, ":%lld", (long long)port);
}

static void amount(struct buf *b, json_int_t n)
{
	static const char units[] = " kMGT";
	double v = (double)n;
	size_t u = 0;

	while (v >= 1000 && u < sizeof(units) - 2) {
		v /= 1000;
		u++;
	}
	if (u)
		buf_printf(b, v < 10 ? "%.1f%c" : "%.0f%c", v, units[u]);
	else
		buf_printf(b, "%lld", (long long)n);
}

static json_int_t way(const json_t *flow, const char *what, const char *which)
{
	return json_integer_value(json_object_get(json_object_get(flow, what), which));
}

static void what_text(struct buf *b, const json_t *f)
{
	const char *reason = json_string_value(json_object_get(f, "reason"));
	const char *record = json_string_value(json_object_get(f, "record")) ?: "";
	json_int_t handshake = json_integer_value(json_object_get(f, "handshakeMicroseconds"));
	json_int_t again = json_integer_value(json_object_get(f, "retransmits"));

	if (!strcmp(record, "flow"))
		buf_addz(b, json_string_value(json_object_get(f, "state")) ?: "");
	else
		buf_printf(b, "%s%s%s", json_string_value(json_object_get(f, "verdict")) ?: "",
			   reason ? " " : "", reason ?: "");
	if (handshake)
		buf_printf(b, ", answered in %.1f ms", (double)handshake / 1000);
	if (again)
		buf_printf(b, ", %lld sent again", (long long)again);
}

static void row(struct table *t, const json_t *f)
{
	const char *last = json_string_value(json_object_get(f, "last")) ?: "";
	bool dropped = !strcmp(json_string_value(json_object_get(f, "verdict")) ?: "", "dropped");
	AUTO_BUF from = {};
	AUTO_BUF to = {};
	AUTO_BUF there = {};
	AUTO_BUF back = {};
	AUTO_BUF what = {};
	int64_t seconds = 0;
	struct tm tm;
	char at[16] = "";

	if (!clock_parse(last, &seconds)) {
		localtime_r(&(time_t){seconds}, &tm);
		snprintf(at, sizeof(at), "%02d:%02d:%02d.%.3s", tm.tm_hour, tm.tm_min, tm.tm_sec,
			 strlen(last) > 23 ? last + 20 : "000");
	}
	end_text(&from, json_object_get(f, "from"));
	end_text(&to, json_object_get(f, "to"));
	amount(&there, way(f, "bytes", "there"));
	amount(&back, way(f, "bytes", "back"));
	what_text(&what, f);
	table_cell(t, at);
	table_cell(t, json_string_value(json_object_get(f, "protocol")));
	table_cell(t, from.p ? from.p : "");
	table_cell(t, to.p ? to.p : "");
	table_cell(t, there.p ? there.p : "");
	table_cell(t, back.p ? back.p : "");
	table_cell_styled(t, dropped ? STYLE_RED : STYLE_PLAIN, what.p ? what.p : "");
}

/* The answer of the hub, or NULL (told). */
static json_t *ask(const struct options_flows *o, const char *name, int64_t since, int64_t until)
{
	AUTO_JSON q = json_object();
	AUTO_BUF out = {};
	char path[CLUSTER_PATH];
	char *text;
	json_t *answer;
	long code;

	if (o->n_args)
		json_object_set_new(q, "filter", json_string(o->args[0]));
	json_object_set_new(q, "since", json_integer(since));
	json_object_set_new(q, "until", json_integer(until));
	json_object_set_new(q, "limit", json_integer(o->limit));
	json_object_set_new(q, "open", json_boolean(o->open));
	json_object_set_new(q, "again", json_boolean(o->every_node));
	text = json_dumps(q, JSON_COMPACT);
	cluster_path(path, name, "hub.sock");
	code = text
		   ? http_request(path, "POST", "/apis/weft.network/internal/flows", NULL, str_of(text), &out)
		   : -1;
	free(text);
	if (code < 0)
		return NULL;
	if (code != 200) {
		http_tell(code, buf_str(&out));
		return NULL;
	}
	answer = json_loadb(out.p, out.n, 0, NULL);
	if (!answer)
		cli_error(NULL, "the hub's answer cannot be read");
	return answer;
}

/* Nodes whose flows may be missing. */
static void tell_silent(const json_t *answer)
{
	json_t *n;
	size_t i;

	json_array_foreach (json_object_get(answer, "nodes"), i, n) {
		const json_t *age = json_object_get(n, "age");
		const char *name = json_string_value(json_object_get(n, "name")) ?: "?";

		if (!age)
			cli_error("its flows are unknown, not none", "%s has told no flows yet", name);
		else if (json_number_value(age) > SILENT_S)
			cli_error("its newer flows are unknown, not none", "%s told its flows %.0f s ago",
				  name, json_number_value(age));
		json_int_t lost = json_integer_value(json_object_get(n, "lost")) +
				  json_integer_value(json_object_get(n, "missing"));
		if (lost)
			cli_error(NULL, "%lld records of %s were lost on their way", (long long)lost, name);
	}
}

static void print_lines(const json_t *flows)
{
	for (size_t i = json_array_size(flows); i--;) {
		char *text = json_dumps(json_array_get(flows, i), JSON_COMPACT);

		if (text)
			puts(text);
		free(text);
	}
}

/* Oldest first, as logs read. */
static void show(const struct options_flows *o, const json_t *flows, bool more)
{
	static const char *const headings[] = {"LAST",	"PROTOCOL", "FROM",  "TO",
					       "BYTES", "BACK",	    "STATE", NULL};
	AUTO_TABLE t = {0};

	if (o->output) {
		print_lines(flows);
		return;
	}
	if (!json_array_size(flows)) {
		if (!more)
			printf("No flow matches.\n");
		return;
	}
	table_init(&t, headings);
	for (size_t i = json_array_size(flows); i--;)
		row(&t, json_array_get(flows, i));
	table_print(&t);
}

static int follow(const struct options_flows *o, const char *name)
{
	int64_t since = wall_ns();

	while (cluster_is_up(name)) {
		int64_t now = wall_ns();
		AUTO_JSON answer = ask(o, name, since, 0);

		if (!answer)
			return EXIT_FAILED;
		show(o, json_object_get(answer, "flows"), true);
		fflush(stdout);
		since = now;
		nanosleep(&(struct timespec){.tv_nsec = FOLLOW_MS * 1000000L}, NULL);
	}
	return EXIT_OK;
}

int cmd_flows(const struct options_flows *o)
{
	const char *name = cluster_name(o->name);
	int64_t since = 0, until = 0;

	if (!name)
		return EXIT_USAGE;
	if (o->since && o->at) {
		cli_error(NULL, "--since and --at cannot be used together");
		return EXIT_USAGE;
	}
	if (o->since && span_ns(o->since, &since)) {
		cli_error("like 90s, 5m, 2h, 1d", "--since: \"%s\" is no span of time", o->since);
		return EXIT_USAGE;
	}
	if (o->since)
		since = wall_ns() - since;
	if (o->at && at_ns(o->at, &since, &until)) {
		cli_error("like 10:42, 10:42:30, 2026-01-02T10:42:30Z", "--at: \"%s\" is no time", o->at);
		return EXIT_USAGE;
	}
	if (!cluster_need(name))
		return EXIT_FAILED;
	if (o->follow)
		return follow(o, name);
	AUTO_JSON answer = ask(o, name, since, until);

	if (!answer)
		return EXIT_FAILED;
	show(o, json_object_get(answer, "flows"), false);
	fflush(stdout);
	tell_silent(answer);
	return EXIT_OK;
}
