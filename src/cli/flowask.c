/* SPDX-License-Identifier: Apache-2.0 */
/* Asking the hub for flows, and words for them: see flowask.h. */
#include "cli/flowask.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/own.h"
#include "cli/cluster.h"
#include "cli/command.h"
#include "cli/output.h"

enum { SILENT_S = 5 };

json_t *flow_ask(const char *name, const char *what, const json_t *question)
{
	AUTO_BUF out = {};
	AUTO_MEM char *text = json_dumps(question, JSON_COMPACT);
	char path[CLUSTER_PATH], url[64];
	json_t *answer;
	long code;

	if (!text)
		return NULL;
	cluster_path(path, name, "hub.sock");
	snprintf(url, sizeof(url), "/apis/weft.network/internal/%s", what);
	code = http_request(path, "POST", url, NULL, str_of(text), &out);
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

static json_int_t number_of(const json_t *o, const char *key)
{
	return json_integer_value(json_object_get(o, key));
}

void flow_tell_gaps(const json_t *answer, const struct when *w)
{
	json_int_t began = number_of(answer, "beganNs"), gone = number_of(answer, "since"),
		   lesser = number_of(answer, "sinceUnanswered"),
		   questions = number_of(answer, "sinceQuestions");
	char at[WHEN_TEXT];

	if (w->since && w->since < began) {
		when_text(began, false, at);
		cli_error("connections that ended before are unknown here; `weft history` has their sums",
			  "the hub keeps flows since %s", at);
	}
	if (gone > w->since) {
		when_text(gone, false, at);
		cli_error(NULL, "connections of before %s made room for newer ones: some are missing", at);
	}
	if (lesser > w->since) {
		when_text(lesser, false, at);
		cli_error(NULL,
			  "drops and unanswered connections of before %s made room for newer ones: some are "
			  "missing",
			  at);
	}
	if (questions > w->since) {
		when_text(questions, false, at);
		cli_error(NULL, "DNS questions of before %s made room for newer ones: some are missing", at);
	}
}

void flow_tell_silent(const json_t *answer)
{
	json_t *n;
	size_t i;

	json_array_foreach (json_object_get(answer, "nodes"), i, n) {
		const json_t *age = json_object_get(n, "age");
		const char *name = json_string_value(json_object_get(n, "name")) ?: "?";
		json_int_t lost = number_of(n, "lost") + number_of(n, "missing"),
			   evicted = number_of(n, "evicted"), questions = number_of(n, "questionsLost");

		if (!age)
			cli_error("its flows are unknown, not none", "%s has told no flows yet", name);
		else if (json_number_value(age) > SILENT_S)
			cli_error("its newer flows are unknown, not none", "%s told its flows %.0f s ago",
				  name, json_number_value(age));
		if (lost)
			cli_error(NULL, "%lld ends of connections or drops of %s were lost on their way",
				  (long long)lost, name);
		if (questions)
			cli_error(NULL, "%lld DNS questions or answers of %s were lost on their way",
				  (long long)questions, name);
		if (evicted)
			cli_error(
			    "those had no answer; a flood of new connections does that",
			    "%lld unanswered connections of %s made room for others before they were over",
			    (long long)evicted, name);
	}
}

void flow_end_text(struct buf *b, const json_t *end)
{
	const char *kind = json_string_value(json_object_get(end, "kind")) ?: "",
		   *ns = json_string_value(json_object_get(end, "namespace")),
		   *name = json_string_value(json_object_get(end, "name")),
		   *domain = json_string_value(json_object_get(end, "domain")),
		   *address = json_string_value(json_object_get(end, "address")) ?: "?";
	json_int_t port = number_of(end, "port");

	if (name && ns)
		buf_printf(b, "%s/%s", ns, name);
	else if (name)
		buf_printf(b, "%s %s", kind, name);
	else if (domain)
		buf_printf(b, "%s (%s)", domain, address);
	else if (port && strchr(address, ':'))
		buf_printf(b, "[%s]", address);
	else
		buf_addz(b, address);
	if (port)
		buf_printf(b, ":%lld", (long long)port);
}

void flow_amount(struct buf *b, double v)
{
	static const char units[] = " kMGT";
	size_t u = 0;

	while (v >= 1000 && u < sizeof(units) - 2) {
		v /= 1000;
		u++;
	}
	if (u)
		buf_printf(b, v < 10 ? "%.1f%c" : "%.0f%c", v, units[u]);
	else
		buf_printf(b, "%.0f", v);
}

void flow_time(struct buf *b, double us)
{
	char text[16];

	if (us < 1000)
		buf_printf(b, "%.0f µs", us);
	else if (us < 1e6)
		buf_printf(b, us < 1e4 ? "%.1f ms" : "%.0f ms", us / 1000);
	else if (us < 12e7)
		buf_printf(b, "%.1f s", us / 1e6);
	else {
		clock_age((int64_t)(us / 1e6), text);
		buf_addz(b, text);
	}
}

json_int_t flow_way(const json_t *flow, const char *what, const char *which)
{
	return number_of(json_object_get(flow, what), which);
}
