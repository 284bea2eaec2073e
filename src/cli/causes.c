/* SPDX-License-Identifier: Apache-2.0 */
/* See causes.h. Keeps nothing: numbers are asked for whenever they are shown. */
#include "cli/causes.h"

#include "base/own.h"
#include "cli/agent_socket.h"
#include "cli/cluster.h"
#include "cli/output.h"
#include "cli/why.h"
#include "source/git.h"

#include <dirent.h>
#include <stdio.h>

static int is_node(const struct dirent *d)
{
	return d->d_name[0] != '.';
}

json_t *cluster_nodes(const char *cluster)
{
	char path[CLUSTER_PATH];
	struct dirent **found = NULL;
	json_t *nodes = json_array();

	snprintf(path, sizeof(path), CLUSTER_RUN "/%s", cluster);
	int n = scandir(path, &found, is_node, alphasort);
	for (int i = 0; i < n; i++) {
		AUTO_BUF socket_path = {0};
		buf_printf(&socket_path, "%s/%s/agent.sock", path, found[i]->d_name);
		if (!socket_path.failed && !access(socket_path.p, F_OK))
			json_array_append_new(nodes, json_string(found[i]->d_name));
		free(found[i]);
	}
	free(found);
	return nodes;
}

json_t *observer_get(const char *cluster, const char *node, const char *path)
{
	char socket_path[CLUSTER_PATH];
	AUTO_BUF file = {0};
	AUTO_BUF body = {0};

	buf_printf(&file, "%s/observer.sock", node);
	cluster_path(socket_path, cluster, file.p ? file.p : "");
	if (http_request(socket_path, "GET", path, NULL, (struct str){0}, &body) != 200)
		return NULL;
	return json_loadb(body.p ? body.p : "", body.n, 0, NULL);
}

static json_int_t cause_of(const json_t *item)
{
	return json_integer_value(json_object_get(item, "cause"));
}

static json_t *numbers(const json_t *items)
{
	json_t *ids = json_array(), *v, *known;
	size_t i, j;

	json_array_foreach ((json_t *)(uintptr_t)items, i, v) {
		bool have = !cause_of(v);
		json_array_foreach (ids, j, known)
			have |= json_integer_value(known) == cause_of(v);
		if (!have)
			json_array_append_new(ids, json_integer(cause_of(v)));
	}
	return ids;
}

void causes_join(const char *cluster, const char *node, json_t *items)
{
	AUTO_JSON ids = numbers(items);
	AUTO_BUF text = {0};
	json_t *v, *c;
	size_t i, j;

	if (!json_array_size(ids))
		return;
	AUTO_JSON question = json_pack("{s:s,s:O}", "op", "causes", "ids", ids);
	if (agent_ask_text(cluster, node, question, &text))
		return;
	AUTO_JSON known = json_loadb(text.p ? text.p : "", text.n, 0, NULL);
	json_array_foreach (items, i, v)
		json_array_foreach (known, j, c) {
			json_int_t id =
			    json_integer_value(json_object_get(c, "set") ?: json_object_get(c, "rule"));
			if (id == cause_of(v))
				json_object_set(v, "why", c);
		}
	commits_join(items);
}

void commits_join(json_t *v)
{
	const char *file = json_string_value(json_object_get(v, "file")), *key;
	char commit[41];
	json_t *child;
	size_t i;

	if (file && !json_object_get(v, "commit") && !git_commit_of(file, commit))
		json_object_set_new(v, "commit", json_string(commit));
	json_object_foreach (v, key, child)
		commits_join(child);
	json_array_foreach (v, i, child)
		commits_join(child);
}

static void print_one(struct buf *b, const char *what, const json_t *at)
{
	if (b->n)
		buf_addz(b, "; ");
	buf_addz(b, what);
	if (json_object_get(at, "file"))
		buf_addc(b, ' ');
	why_place(b, at);
}

void cause_print(struct buf *b, const json_t *item)
{
	const json_t *why = json_object_get(item, "why"), *p;
	size_t i;

	if (!cause_of(item))
		return;
	if (!why) {
		buf_printf(b, "%08llx, no longer in force, and forgotten",
			   (unsigned long long)cause_of(item));
		return;
	}
	json_array_foreach (json_object_get(why, "policies"), i, p)
		if (json_is_true(json_object_get(p, "isolates")))
			print_one(b, json_string_value(json_object_get(p, "policy")) ?: "", p);
	if (json_object_get(why, "rule")) {
		const char *policy = json_string_value(json_object_get(why, "policy"));
		AUTO_BUF words = {0};

		if (policy)
			buf_printf(&words, "%s %s", policy,
				   json_string_value(json_object_get(why, "path")) ?: "");
		else
			buf_addz(&words, json_string_value(json_object_get(why, "text")) ?: "");
		print_one(b, words.p ? words.p : "", why);
	}
	if (json_is_true(json_object_get(why, "over")))
		buf_addz(b, " (no longer in force)");
}

/* --- rules of flows and of sums -------------------------------------------------------------------- */

static const char *const rule_keys[] = {"cause", "ruleEgress", "ruleIngress"};

/* Sums of several nodes: the number is the same on each that has it. */
static void ask_all(const char *cluster, json_t *items)
{
	AUTO_JSON nodes = cluster_nodes(cluster);
	json_t *node;
	size_t i;

	json_array_foreach (nodes, i, node)
		causes_join(cluster, json_string_value(node), items);
}

void rules_join(const char *cluster, json_t *flows)
{
	AUTO_JSON nodes = json_object();
	const char *node;
	json_t *flow, *list;
	size_t i;

	json_array_foreach (flows, i, flow) {
		const json_t *seen = json_object_get(flow, "seenBy") ?: json_object_get(flow, "node");
		json_t *rules = json_array();

		node = json_string_value(seen) ?: "";
		list = json_object_get(nodes, node);
		if (!list)
			json_object_set_new(nodes, node, list = json_array());
		for (size_t k = 0; k < ARRAY_LEN(rule_keys); k++) {
			const json_t *id = json_object_get(flow, rule_keys[k]);
			json_t *item = id ? json_pack("{s:I}", "cause", json_integer_value(id)) : NULL;

			if (!item)
				continue;
			json_array_append(list, item);
			json_array_append_new(rules, item);
		}
		if (json_array_size(rules))
			json_object_set(flow, "rules", rules);
		json_decref(rules);
	}
	json_object_foreach (nodes, node, list)
		if (json_array_size(list) && *node)
			causes_join(cluster, node, list);
		else if (json_array_size(list))
			ask_all(cluster, list);
}

void rules_text(struct buf *b, const json_t *flow)
{
	json_t *item;
	size_t i;

	json_array_foreach (json_object_get(flow, "rules"), i, item)
		cause_print(b, item);
}
