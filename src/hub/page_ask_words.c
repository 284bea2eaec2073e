/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Questions of the page as words of a command line: which command answers, what of the question becomes which
 * option, and who may ask. A word that comes from outside is never an option. Pure; called by page_ask.c.
 */
#include <errno.h>
#include <stdio.h>

#include "base/own.h"
#include "hub/page_ask.h"

enum { WORD_MAX = 4096, EDITS_MAX = 500, WORDS_MAX = 1200 };

enum changes { CHANGES_NONE, CHANGES_LAID, CHANGES_FILE, CHANGES_NEEDED };
static const struct question {
	const char *name;
	const char *words;    /* of the command, with spaces between */
	const char *fields;   /* of the question, each an option of that name */
	const char *operands; /* of the question, in this order */
	enum changes changes; /* as --over and --without; NEEDED: without them it is none; FILE: as operand,
			       * in place of the cluster's files */
	bool apart;	      /* it is about no cluster */
} questions[] = {
    {"why", "why --model", "proto family node namespace", "from to", CHANGES_LAID, false},
    {"kernel", "why", "proto family node namespace", "from to", CHANGES_NONE, false},
    {"reach", "reach --model", "from to namespace", "", CHANGES_LAID, false},
    {"diff", "diff --live", "", "", CHANGES_NEEDED, false},
    {"forecast", "plan --traffic", "since", "", CHANGES_NEEDED, false},
    {"suggest", "suggest", "namespace", "", CHANGES_NONE, false},
    {"check", "check", "ignore", "", CHANGES_FILE, true},
    {"account", "account", "node", "", CHANGES_NONE, false},
    {"doctor", "doctor", "", "", CHANGES_NONE, true},
    {"policies", "get policies -A", "", "", CHANGES_NONE, false},
    {"probes", "get probes", "namespace", "pod", CHANGES_NONE, false},
    {"maps", "maps", "node", "", CHANGES_NONE, false},
    {"history", "history", "since until at step by limit", "filter", CHANGES_NONE, false},
    {"top", "top", "by sort since until at limit", "filter", CHANGES_NONE, false},
};

/* By the model, and by the nodes themselves. */
static bool is_why(const struct question *q)
{
	return !strcmp(q->name, "why") || !strcmp(q->name, "kernel");
}

void ask_words_fini(struct ask_words *w)
{
	arena_fini(&w->arena);
	vec_free(&w->list);
	buf_fini(&w->over);
}

static int add(struct ask_words *w, struct str word)
{
	char *copy = arena_strz(&w->arena, word);

	return copy && w->list.len < WORDS_MAX && !vec_push(&w->list, copy) ? 0 : -ENOMEM;
}

static int add_all(struct ask_words *w, const char *words)
{
	struct str rest = str_of(words);
	int r = 0;

	while (!r && rest.n)
		r = add(w, str_cut(&rest, ' '));
	return r;
}

/* A member of the question as text; "" where it is not there. -EINVAL: told. */
static int text_of(const json_t *q, const char *key, struct buf *out, struct api_error *e)
{
	const json_t *v = json_object_get(q, key);
	const char *text = json_string_value(v);

	if (json_is_integer(v))
		buf_printf(out, "%lld", (long long)json_integer_value(v));
	else if (text && json_string_length(v) == strlen(text) && json_string_length(v) <= WORD_MAX)
		buf_addz(out, text);
	else if (v && !json_is_null(v))
		return api_fail(e, 400, "BadRequest", "%s is a text or a number", key);
	for (size_t i = 0; i < out->n; i++)
		if ((unsigned char)out->p[i] < 32 && out->p[i] != '\n' && out->p[i] != '\t')
			return api_fail(e, 400, "BadRequest", "%s holds a character that no line has", key);
	return out->failed ? -ENOMEM : 0;
}

static int add_fields(struct ask_words *w, const char *fields, const json_t *q, struct api_error *e)
{
	struct str rest = str_of(fields);

	while (rest.n) {
		AUTO_BUF key = {0};
		AUTO_BUF value = {0};
		AUTO_BUF word = {0};

		buf_adds(&key, str_cut(&rest, ' '));
		if (key.failed || text_of(q, key.p, &value, e))
			return -EINVAL;
		if (!value.n)
			continue;
		buf_printf(&word, "--%s=%s", key.p, value.p);
		if (word.failed || add(w, buf_str(&word)))
			return -ENOMEM;
	}
	return 0;
}

/* "shop/cart" and its port, where the question has it apart. */
static int add_operands(struct ask_words *w, const struct question *like, const json_t *q,
			struct api_error *e)
{
	struct str rest = str_of(like->operands);

	if (rest.n && add(w, STR("--")))
		return -ENOMEM;
	while (rest.n) {
		AUTO_BUF key = {0};
		AUTO_BUF value = {0};
		AUTO_BUF port = {0};

		buf_adds(&key, str_cut(&rest, ' '));
		if (key.failed || text_of(q, key.p, &value, e))
			return -EINVAL;
		if (!strcmp(key.p, "to") && text_of(q, "port", &port, e))
			return -EINVAL;
		if (port.n)
			buf_printf(&value, ":%s", port.p);
		if (!value.n && is_why(like))
			return api_fail(e, 400, "BadRequest", "%s needs from and to", like->name);
		if (value.n && add(w, buf_str(&value)))
			return -ENOMEM;
	}
	return 0;
}

/* --- changes --------------------------------------------------------------------------------------- */

static const char *member(const json_t *edit, const char *key)
{
	return json_string_value(json_object_get(edit, key)) ?: "";
}

static int add_without(struct ask_words *w, const json_t *edit, struct api_error *e)
{
	const struct kind_desc *k = kind_by_name(str_of(member(edit, "kind")));
	AUTO_BUF word = {0};

	if (!k || !*member(edit, "name"))
		return api_fail(e, 400, "BadRequest", "an edit that deletes has kind and name");
	buf_printf(&word, "--without=%s/", k->plural);
	if (k->namespaced)
		buf_printf(&word, "%s/", member(edit, "namespace"));
	buf_addz(&word, member(edit, "name"));
	return word.failed || add(w, buf_str(&word)) ? -ENOMEM : 0;
}

static int add_edit(struct ask_words *w, const json_t *edit, struct api_error *e)
{
	const char *verb = member(edit, "verb"), *yaml = member(edit, "yaml");

	if (!strcmp(verb, "delete"))
		return add_without(w, edit, e);
	if (strcmp(verb, "put") != 0 || !*yaml)
		return api_fail(e, 400, "BadRequest", "an edit puts yaml, or deletes");
	buf_addz(&w->over, w->over.n ? "\n---\n" : "");
	buf_addz(&w->over, yaml);
	return w->over.failed ? -ENOMEM : 0;
}

static int add_changes(struct ask_words *w, const struct question *like, const json_t *q, struct api_error *e)
{
	const json_t *changes = json_object_get(q, "changes"), *one;
	size_t i;
	int r = 0;

	if (like->changes == CHANGES_NONE)
		return 0;
	if (json_array_size(changes) > EDITS_MAX)
		return api_fail(e, 413, "RequestEntityTooLarge", "at most %d edits", EDITS_MAX);
	json_array_foreach ((json_t *)(uintptr_t)changes, i, one)
		r = r ? r : add_edit(w, one, e);
	if (!r && !json_array_size(changes) && like->changes == CHANGES_NEEDED)
		r = api_fail(e, 400, "BadRequest", "%s needs changes", like->name);
	return r;
}

/* They come from the standard input. */
static int add_over(struct ask_words *w, const struct question *like, const struct hub_options *of)
{
	bool operand = like->changes == CHANGES_FILE || !strcmp(like->name, "forecast");
	int r = 0;

	if (w->over.n)
		return add(w, operand ? STR("-") : STR("--over=-"));
	if (like->changes != CHANGES_FILE)
		return 0;
	r = add(w, STR("--"));
	for (size_t i = 0; !r && i < of->paths_len; i++)
		r = add(w, str_of(of->paths[i]));
	return r;
}

/* --- who may ask ----------------------------------------------------------------------------------- */

static bool sees_end(const struct who *who, const json_t *q, const char *key)
{
	struct str rest = str_of(member(q, key)), ns = str_cut(&rest, '/');

	return rest.n && access_level(who, ns) >= ACCESS_VIEW;
}

/* An answer names what is anywhere in the cluster; why names its two ends, and what selects them. */
static int may_ask(const struct question *like, const json_t *q, const struct who *who, struct api_error *e)
{
	if (access_level(who, STR("")) >= ACCESS_VIEW)
		return 0;
	if (is_why(like) && sees_end(who, q, "from") && sees_end(who, q, "to") &&
	    !json_array_size(json_object_get(q, "changes")))
		return 0;
	return api_fail(
	    e, 403, "Forbidden",
	    "%s may not ask this: the answer names what is in any namespace, and needs view on all",
	    who->user);
}

static const struct question *find(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(questions); i++)
		if (!strcmp(questions[i].name, name))
			return &questions[i];
	return NULL;
}

int ask_words(struct ask_words *out, const char *name, const json_t *q, const struct who *who,
	      const struct hub_options *of, struct api_error *e)
{
	const struct question *like = find(name);
	AUTO_BUF own = {0};
	int r;

	if (!like)
		return api_fail(e, 404, "NotFound", "nobody answers \"%s\"", name);
	r = may_ask(like, q, who, e);
	if (!r)
		r = add(out, STR("weft")) || add_all(out, like->words) ? -ENOMEM : 0;
	buf_printf(&own, "--name=%s", of->name);
	if (!r && !like->apart)
		r = own.failed ? -ENOMEM : add(out, buf_str(&own));
	if (!r)
		r = add(out, STR("--output=json"));
	if (!r && !strcmp(name, "why") && json_is_true(json_object_get(q, "copy")))
		r = add(out, STR("--copy"));
	if (!r && !strcmp(name, "probes") && !json_object_get(q, "namespace"))
		r = add(out, STR("--all-namespaces"));
	if (!r)
		r = add_fields(out, like->fields, q, e);
	if (!r)
		r = add_changes(out, like, q, e);
	if (!r)
		r = add_over(out, like, of);
	if (!r)
		r = add_operands(out, like, q, e);
	if (!r)
		r = vec_push(&out->list, (char *)NULL);
	if (r && !e->code)
		api_fail(e, 500, "InternalError", "out of memory");
	return r;
}
