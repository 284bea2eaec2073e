/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What may stand at the end of an unfinished command line: commands, options, their values, kinds, and names
 * of a running cluster. Called by the shells' scripts as `weft __complete WORD…`, the last word being the
 * unfinished one; prints a candidate a line, "word\tsentence", and at last ":files" where a file may stand
 * there. Never tells an error: somebody is typing.
 */
#include "cli/command.h"

#include "base/own.h"
#include "cli/cluster.h"
#include "cli/names.h"
#include "cli/output.h"
#include "filter/filter.h"
#include "object/filterplace.h"

#include <fcntl.h>
#include <stdio.h>

struct line {
	const struct command_desc *c;
	struct str word; /* unfinished */
	const char *cluster, *ns;
	bool files_asked;  /* -f was given: names are those of files */
	const char *first; /* the first argument that is no option, or NULL */
	int n_args;
	const struct option_desc *expects; /* the option whose value the last word is, or NULL */
	bool after_dashes;
};

/* `before` is what of the unfinished word stays in front: "--mode=", "pods,". */
static void offer(const struct line *l, const char *before, const char *word, const char *sentence)
{
	AUTO_BUF whole = {0};

	buf_printf(&whole, "%s%s", before, word);
	if (!whole.failed && str_starts(buf_str(&whole), l->word))
		printf("%s%s%s\n", whole.p, *sentence ? "\t" : "", sentence);
}

static void offer_values(const struct line *l, const char *before, const char *values)
{
	struct str rest = str_of(values);

	while (rest.n) {
		AUTO_BUF one = {0};
		buf_adds(&one, str_cut(&rest, '|'));
		offer(l, before, one.p, "");
	}
}

static void offer_commands(const struct line *l)
{
	for (size_t i = 0; i < command_count; i++)
		offer(l, "", command_table[i].name, command_table[i].sentence);
}

static void offer_options(const struct line *l)
{
	for (size_t i = 0; i < l->c->n_options; i++) {
		AUTO_BUF name = {0};
		buf_printf(&name, "--%s", l->c->options[i].name);
		offer(l, "", name.p, l->c->options[i].sentence);
	}
	offer(l, "", "--help", "Show help.");
	offer_values(l, "--color=", "auto|always|never");
}

static void offer_names(const struct line *l, const char *before, enum kind k, const char *ns)
{
	AUTO_NAMES names = {0};

	names_of_kind(&names, l->cluster, &kind_table[k], ns);
	VEC_EACH (&names.list, n)
		offer(l, before, n->name, "");
}

/* NS/NAME of each object of a kind. */
static void offer_paths(const struct line *l, const char *before, enum kind k)
{
	AUTO_NAMES names = {0};

	names_of_kind(&names, l->cluster, &kind_table[k], NULL);
	VEC_EACH (&names.list, n) {
		AUTO_BUF path = {0};
		buf_printf(&path, "%s/%s", n->ns, n->name);
		offer(l, before, path.p, kind_table[k].name);
	}
}

static void offer_workloads(const struct line *l, const char *before)
{
	static const enum kind kinds[] = {KIND_deployment, KIND_statefulset, KIND_daemonset, KIND_pod};

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		offer_paths(l, before, kinds[i]);
}

static void offer_ends(const struct line *l, const char *before)
{
	AUTO_BUF node = {0};

	buf_printf(&node, "%snode:", before);
	offer_workloads(l, before);
	offer_paths(l, before, KIND_service);
	offer(l, before, "outside", "A host behind the cluster's router.");
	offer_names(l, node.p, KIND_node, NULL);
}

static void offer_clusters(const struct line *l, const char *before)
{
	AUTO_NAMES names = {0};

	names_of_clusters(&names);
	VEC_EACH (&names.list, n)
		offer(l, before, n->name, "");
}

static bool is_word(const char *s, const char *const *words)
{
	for (; *words; words++)
		if (!strcmp(s, *words))
			return true;
	return false;
}

static void offer_value(const struct line *l, const struct option_desc *o, const char *before)
{
	static const char *const files[] = {"DIR", "PATH", "FILE", NULL};

	if (*o->values)
		offer_values(l, before, o->values);
	else if (is_word(o->metavar, files))
		printf(":files\n");
	else if (!strcmp(o->metavar, "NS"))
		offer_names(l, before, KIND_namespace, NULL);
	else if (!strcmp(o->metavar, "NODE"))
		offer_names(l, before, KIND_node, NULL);
	else if (!strcmp(o->name, "name"))
		offer_clusters(l, before);
	else if (!strcmp(o->metavar, "WHO"))
		offer_ends(l, before);
	else if (!strcmp(o->metavar, "WHOM") || !strcmp(o->metavar, "POD"))
		offer_workloads(l, before);
}

/* "pods,sv" goes on with a kind after the comma. */
static void offer_kinds(const struct line *l)
{
	const char *comma = l->word.n ? memrchr(l->word.p, ',', l->word.n) : NULL;
	AUTO_BUF before = {0};

	if (comma)
		buf_add(&before, l->word.p, (size_t)(comma + 1 - l->word.p));
	else
		buf_addz(&before, "");
	for (int k = 0; k < KIND_COUNT; k++)
		offer(l, before.p ? before.p : "", kind_table[k].plural, kind_table[k].sentence);
	if (comma)
		return;
	offer(l, "", "policies", "All policies, and what staged ones would have done.");
	offer(l, "", "probes", "Probes with their last results.");
	offer(l, "", "all", "Workloads, pods and Services.");
}

/* "pods" then names, or "pod/NAME" in one word. */
static void offer_kind_or_name(const struct line *l)
{
	const char *slash = l->word.n ? memchr(l->word.p, '/', l->word.n) : NULL;
	struct str kind = slash ? (struct str){l->word.p, (size_t)(slash - l->word.p)} : str_of(l->first);
	const struct kind_desc *k = kind.n ? kind_by_name(kind) : NULL;
	AUTO_BUF before = {0};

	if (!slash && !l->first) {
		offer_kinds(l);
		return;
	}
	if (!k && l->first && !slash && !strcmp(l->first, "policies"))
		k = &kind_table[KIND_networkpolicy];
	buf_add(&before, l->word.p, slash ? (size_t)(slash + 1 - l->word.p) : 0);
	if (k && !l->files_asked)
		offer_names(l, before.p ? before.p : "", k->kind,
			    k->namespaced && l->ns && !*l->ns ? NULL
			    : l->ns			      ? l->ns
							      : "default");
}

static void offer_fault(const struct line *l)
{
	if (l->n_args)
		return;
	offer_workloads(l, "");
	offer_names(l, "node/", KIND_node, NULL);
}

/* Objects that fields of a filter name; live, of the cluster. */
static void offer_filter_names(const struct line *l, const char *field, struct str key, const char *before)
{
	const struct filter_place *place = filter_place_of(field);
	AUTO_NAMES values = {0};

	for (size_t i = 0; place && i < place->n; i++) {
		if (kind_table[place->kinds[i]].namespaced)
			offer_paths(l, before, place->kinds[i]);
		else
			offer_names(l, before, place->kinds[i], NULL);
	}
	if (strcmp(field, "pod.label") != 0)
		return;
	names_of_label(&values, l->cluster, key);
	VEC_EACH (&values.list, n)
		offer(l, before, n->name, "Value of the label");
}

struct filter_line {
	const struct line *l;
	const char *before;
};

static void offer_filter_word(void *ctx, const char *word, const char *sentence)
{
	const struct filter_line *f = ctx;

	offer(f->l, f->before, word, sentence);
}

/* The filter is one word of the line: what is typed of it stays in front of the field or value that it ends
 * with. */
static void offer_filter(const struct line *l)
{
	struct filter_line f = {.l = l};
	AUTO_BUF before = {0};
	struct str key;
	const char *field = filter_complete_value(l->word, &key);

	if (l->n_args)
		return;
	buf_add(&before, l->word.p, filter_complete_from(l->word));
	f.before = before.p ? before.p : "";
	filter_complete(l->word, strcmp(l->c->name, "filter") != 0, offer_filter_word, &f);
	if (field)
		offer_filter_names(l, field, key, f.before);
}

/* The newest changes, with what they did. */
static void offer_changes(const struct line *l)
{
	char sock[CLUSTER_PATH];
	AUTO_BUF body = {0};
	const json_t *one;
	size_t i;

	cluster_path(sock, l->cluster, "hub.sock");
	if (l->n_args || http_ask(sock, "/apis/weft.network/internal/changes", NULL, &body) != 200)
		return;
	AUTO_JSON v = json_loadb(body.p ? body.p : "", body.n, 0, NULL);
	json_array_foreach (json_object_get(v, "changes"), i, one) {
		const json_t *o = json_array_get(json_object_get(one, "objects"), 0);
		const char *name = json_string_value(json_object_get(o, "name"));
		char id[24];

		snprintf(id, sizeof(id), "%lld", (long long)json_integer_value(json_object_get(one, "id")));
		offer(l, "", id, name ? name : "");
	}
}

static void offer_argument(const struct line *l)
{
	if (l->after_dashes || (l->c->max >= 0 && l->n_args >= l->c->max && l->c->max))
		return;
	switch (l->c->hint) {
	case HINT_PATHS:
	case HINT_SCENES:
		printf(":files\n");
		break;
	case HINT_KIND:
		offer_kind_or_name(l);
		break;
	case HINT_SHELL:
		offer_values(l, "", "bash|zsh|fish");
		break;
	case HINT_COMMANDS:
		offer_commands(l);
		break;
	case HINT_ENDS:
		offer_ends(l, "");
		break;
	case HINT_POD:
		if (!l->n_args)
			offer_workloads(l, "");
		break;
	case HINT_FAULT:
		offer_fault(l);
		break;
	case HINT_FILTER:
		offer_filter(l);
		break;
	case HINT_CHANGE:
		offer_changes(l);
		break;
	case HINT_NONE:
		break;
	}
}

static const struct option_desc *option_of(const struct command_desc *c, const char *word)
{
	struct str rest = str_of(word + 2), name = str_cut(&rest, '=');
	size_t n = strlen(word);

	for (size_t i = 0; i < c->n_options; i++) {
		const struct option_desc *o = &c->options[i];
		if (word[1] == '-' ? str_eqz(name, o->name) : o->letter && word[n - 1] == o->letter)
			return o;
	}
	return NULL;
}

static void take_value(struct line *l, const struct option_desc *o, const char *value)
{
	if (!strcmp(o->name, "namespace"))
		l->ns = value;
	else if (!strcmp(o->name, "name") && *value)
		l->cluster = value;
	else if (!strcmp(o->name, "filename"))
		l->files_asked = true;
}

/* The finished words after the command. */
static void take_words(struct line *l, char *const *words, int n)
{
	for (int i = 0; i < n; i++) {
		const char *w = words[i];
		const struct option_desc *o = w[0] == '-' && w[1] ? option_of(l->c, w) : NULL;
		if (l->expects) {
			take_value(l, l->expects, w);
			l->expects = NULL;
		} else if (!strcmp(w, "--")) {
			l->after_dashes = true;
		} else if (w[0] != '-' || !w[1]) {
			l->first = l->n_args++ ? l->first : w;
		} else if (o && o->type == OPTION_FLAG) {
			if (!strcmp(o->name, "all-namespaces"))
				l->ns = "";
		} else if (o && strchr(w, '=')) {
			take_value(l, o, strchr(w, '=') + 1);
		} else if (o && *o->metavar != '[') {
			l->expects = o;
		}
	}
}

static void complete_word(struct line *l)
{
	const char *equals =
	    l->word.n > 2 && str_starts(l->word, STR("--")) ? memchr(l->word.p, '=', l->word.n) : NULL;

	if (l->expects) {
		offer_value(l, l->expects, "");
	} else if (equals) {
		const struct option_desc *o = option_of(l->c, l->word.p);
		AUTO_BUF before = {0};
		buf_add(&before, l->word.p, (size_t)(equals + 1 - l->word.p));
		if (o && before.p)
			offer_value(l, o, before.p);
	} else if (l->word.n && l->word.p[0] == '-' && !l->after_dashes) {
		offer_options(l);
	} else {
		offer_argument(l);
	}
}

int command_complete(int n, char *const *words)
{
	struct line l = {.cluster = "default"};
	AUTO_FD int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

	if (null >= 0)
		dup2(null, STDERR_FILENO);
	if (n < 1)
		return EXIT_USAGE;
	l.word = str_of(words[n - 1]);
	if (n == 1) {
		offer_commands(&l);
		offer(&l, "", "--help", "Show help.");
		offer(&l, "", "--version", "Print the version.");
		return EXIT_OK;
	}
	l.c = command_find(words[0]);
	if (!l.c)
		return EXIT_OK;
	take_words(&l, words + 1, n - 2);
	l.cluster = cluster_name(l.cluster);
	if (l.cluster)
		complete_word(&l);
	return EXIT_OK;
}
