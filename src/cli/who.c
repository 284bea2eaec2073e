/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `weft who`: which pod is behind an address and port of a node, by the nodes' tables of translations. Knows
 * nothing of its own; a node that does not answer is named.
 */
#include "base/addr.h"
#include "base/own.h"
#include "cli/causes.h"
#include "cli/cluster.h"
#include "cli/command.h"
#include "cli/output.h"

#include <stdio.h>

/* "10.0.0.1:80" or "[fd00::1]:80" into the query; an address alone asks who has most of its ports. */
static int read_end(const char *text, struct buf *path)
{
	const char *colon = strrchr(text, ':');
	struct addr whole;

	if (!addr_parse(str_of(text), &whole)) {
		buf_printf(path, "/nat?users=1&address=%s", text);
		return path->failed ? EXIT_USAGE : EXIT_OK;
	}
	struct str host = {.p = text, .n = colon ? (size_t)(colon - text) : 0};
	char address[ADDR_TEXT];
	struct addr a;
	int64_t port;

	if (host.n > 2 && host.p[0] == '[' && host.p[host.n - 1] == ']')
		host = (struct str){.p = host.p + 1, .n = host.n - 2};
	if (!colon || addr_parse(host, &a) || str_to_i64(str_of(colon + 1), 1, 65535, &port)) {
		cli_error("give an address and a port, such as 172.31.0.10:40123 or [fd00::1]:40123, or an "
			  "address alone",
			  "\"%s\" is no address", text);
		return EXIT_USAGE;
	}
	addr_print(&a, address);
	buf_printf(path, "/nat?address=%s&port=%d", address, (int)port);
	return path->failed ? EXIT_USAGE : EXIT_OK;
}

static bool by_user(const char *path)
{
	return strstr(path, "users=1") != NULL;
}

static int collect(const char *name, const char *path, json_t *list)
{
	AUTO_JSON nodes = cluster_nodes(name);
	int r = EXIT_OK;
	json_t *v, *one;
	size_t i, k;

	json_array_foreach (nodes, i, v) {
		AUTO_JSON answer = observer_get(name, json_string_value(v), path);

		if (!answer) {
			cli_error("its translations are unknown, not none",
				  "the observer of %s does not answer", json_string_value(v));
			r = EXIT_TROUBLE;
		}
		json_array_foreach (json_object_get(answer, by_user(path) ? "users" : "translations"), k,
				    one) {
			json_object_set(one, "node", v);
			json_array_append(list, one);
		}
	}
	return r;
}

static void end_cell(struct table *t, const json_t *one, const char *address, const char *port)
{
	const char *a = json_string_value(json_object_get(one, address)) ?: "";

	table_cellf(t, strchr(a, ':') ? "[%s]:%lld" : "%s:%lld", a,
		    (long long)json_integer_value(json_object_get(one, port)));
}

static const char *protocol(const json_t *one)
{
	switch (json_integer_value(json_object_get(one, "protocol"))) {
	case 6:
		return "tcp";
	case 17:
		return "udp";
	case 132:
		return "sctp";
	default:
		return "icmp";
	}
}

static void show(const json_t *list)
{
	static const char *const ends[] = {"NODE", "PROTO", "POD", "FROM", "TO", NULL};
	static const char *const users[] = {"NODE", "PROTO", "POD", "FROM", "TO", "CONNECTIONS", NULL};
	bool counts = json_object_get(json_array_get(list, 0), "connections") != NULL;
	AUTO_TABLE t;
	json_t *one;
	size_t i;

	table_init(&t, counts ? users : ends);
	json_array_foreach ((json_t *)(uintptr_t)list, i, one) {
		table_cell(&t, json_string_value(json_object_get(one, "node")));
		table_cell(&t, protocol(one));
		table_cell(&t, json_string_value(json_object_get(one, "pod")) ?: "–");
		if (counts)
			table_cell(&t, json_string_value(json_object_get(one, "from")));
		else
			end_cell(&t, one, "from", "fromPort");
		end_cell(&t, one, "to", "toPort");
		if (counts)
			table_cellf(&t, "%lld",
				    (long long)json_integer_value(json_object_get(one, "connections")));
	}
	table_print(&t);
}

int cmd_who(const struct options_who *o)
{
	const char *name = cluster_name(o->name);
	AUTO_JSON list = json_array();
	AUTO_BUF path = {0};
	int r;

	if (!name || read_end(o->args[0], &path))
		return EXIT_USAGE;
	if (!cluster_need(name))
		return EXIT_TROUBLE;
	r = collect(name, path.p, list);
	if (o->output)
		output_value(list, o->output);
	else if (json_array_size(list))
		show(list);
	else if (!r)
		printf("Nobody is behind %s.\n", o->args[0]);
	return r ? r : json_array_size(list) ? EXIT_OK : EXIT_FAILED;
}
