/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which containers are own programs, and what they run: by annotation in the manifest, or by word of
 * `weft run` and `weft up --run`, which go before it and hold for pods that come later too. Called by
 * program.c, container.c and control.c.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/own.h"
#include "sandbox/program_state.h"
#include "sandbox/run_word.h"

enum { WORDS_MAX = 1000, NAMED_MAX = 8 };

struct run_word {
	char *ns, *name, *container; /* ns, container "": any, the first */
	json_t *command;	     /* NULL: the stand-in */
};

static bool is_first(const struct container *c)
{
	const struct pod *p = c->pod;
	const char *named = json_text(
	    json_at(p->spec, "metadata", "annotations", "kubectl.kubernetes.io/default-container", NULL));

	if (*named)
		return !strcmp(named, c->name);
	return p->containers_len > p->inits && c == &p->containers[p->inits];
}

const char *program_annotation(const struct container *c, const char *which)
{
	const json_t *all = json_at(c->pod->spec, "metadata", "annotations", NULL);
	char key[400];
	const char *own;

	snprintf(key, sizeof(key), "weft.network/%s.%s", which, c->name);
	own = json_string_value(json_object_get(all, key));
	if (own || !is_first(c))
		return own;
	snprintf(key, sizeof(key), "weft.network/%s", which);
	return json_string_value(json_object_get(all, key));
}

/* By its own name, its controller's, or that of its controller's Deployment. */
static bool is_of(const struct pod *p, const char *name)
{
	size_t n = strlen(name), i;
	const json_t *o;

	if (!strcmp(p->name, name))
		return true;
	json_array_foreach (json_at(p->spec, "metadata", "ownerReferences", NULL), i, o) {
		const char *owner = json_text(json_object_get(o, "name")), *last = strrchr(owner, '-');

		if (!strcmp(owner, name))
			return true;
		if (!strcmp(json_text(json_object_get(o, "kind")), "ReplicaSet") && last &&
		    (size_t)(last - owner) == n && !strncmp(owner, name, n))
			return true;
	}
	return false;
}

static bool names(const struct run_word *w, const struct container *c)
{
	return (!*w->ns || !strcmp(w->ns, c->pod->ns)) && is_of(c->pod, w->name) &&
	       (*w->container ? !strcmp(w->container, c->name) : is_first(c));
}

static const struct run_word *word_for(const struct container *c)
{
	const struct run_word *found = NULL;

	VEC_EACH (&c->pod->sandbox->runs, w)
		if (names(*w, c))
			found = *w; /* the last word holds */
	return found;
}

/* A list in JSON, or a line for the shell. */
static json_t *parse(const char *text)
{
	json_t *o = *text == '[' ? json_loads(text, 0, NULL) : NULL, *word;
	size_t i;

	if (o) {
		json_array_foreach (o, i, word)
			if (!json_is_string(word)) {
				json_decref(o);
				o = NULL;
				break;
			}
	}
	if (o)
		return o;
	/* The shell knows the variables itself, and means its own by "$$" and "$(…)". */
	AUTO_BUF line = {0};

	for (; *text; text++) {
		if (*text == '$')
			buf_addc(&line, '$');
		buf_addc(&line, *text);
	}
	return line.failed ? NULL : json_pack("[sss]", "/bin/sh", "-c", line.n ? line.p : "");
}

json_t *program_command(const struct container *c)
{
	const struct run_word *w = word_for(c);
	const char *text = program_annotation(c, "command");

	if (w)
		return w->command ? json_incref(w->command) : NULL;
	return text && *text ? parse(text) : NULL;
}

bool program_wanted(const struct container *c)
{
	const struct run_word *w = word_for(c);
	const char *how = program_annotation(c, "program");

	if (c->pod->dns)
		return false;
	if (w)
		return w->command != NULL;
	return program_annotation(c, "command") || program_annotation(c, "rootfs") ||
	       (how && !strcmp(how, "manifest"));
}

static void ignored(struct mirror *m, const char *key, json_t *was, json_t *now)
{
	(void)m;
	(void)key;
	(void)was;
	(void)now;
}

void program_needs_objects(struct sandbox *s)
{
	if (s->configs.api || !s->kubelet_open)
		return;
	mirror_start(&s->configs, &s->api, "/api/v1/configmaps", ignored, NULL, s);
	mirror_start(&s->secrets, &s->api, "/api/v1/secrets", ignored, NULL, s);
}

static void word_free(struct run_word *w)
{
	if (!w)
		return;
	free(w->ns);
	free(w->name);
	free(w->container);
	json_decref(w->command);
	free(w);
}

/* "[NS/]NAME[:CONTAINER]" and "=" and a list in JSON, or a line for the shell; "": the stand-in again. */
int run_word_add(struct sandbox *s, const char *text, const char **error)
{
	const char *is = strchr(text, '='), *slash, *colon;
	struct run_word *w;

	*error = "it is [NAMESPACE/]POD-OR-WORKLOAD[:CONTAINER]=COMMAND";
	if (!is || is == text)
		return -EINVAL;
	if (s->runs.len >= WORDS_MAX) {
		*error = "1000 of them are in force already";
		return -ENOSPC;
	}
	slash = memchr(text, '/', (size_t)(is - text));
	slash = slash ? slash : text - 1;
	colon = memchr(slash + 1, ':', (size_t)(is - slash - 1));
	colon = colon ? colon : is;
	w = calloc(1, sizeof(*w));
	if (w) {
		w->ns = strndup(text, slash < text ? 0 : (size_t)(slash - text));
		w->name = strndup(slash + 1, (size_t)(colon - slash - 1));
		w->container =
		    strndup(colon == is ? is : colon + 1, colon == is ? 0 : (size_t)(is - colon - 1));
		w->command = is[1] ? parse(is + 1) : NULL;
	}
	if (!w || !w->ns || !w->name || !w->container || (is[1] && !w->command) || vec_push(&s->runs, w)) {
		word_free(w);
		*error = "out of memory";
		return -ENOMEM;
	}
	if (w->name[0])
		return 0;
	run_word_drop_last(s);
	return -EINVAL;
}

void run_word_drop_last(struct sandbox *s)
{
	if (s->runs.len)
		word_free(s->runs.items[--s->runs.len]);
}

unsigned run_word_apply(struct sandbox *s)
{
	const struct run_word *w = s->runs.len ? s->runs.items[s->runs.len - 1] : NULL;
	unsigned n = 0;

	HASH_EACH (&s->pods, slot) {
		struct pod *p = slot->value;

		for (size_t i = 0; w && p->step < POD_ENDING && !p->dns && i < p->containers_len; i++)
			if (names(w, &p->containers[i])) {
				container_afresh(&p->containers[i]);
				n++;
			}
	}
	return n;
}

static bool answers(const struct sandbox *s, const struct run_word *w)
{
	HASH_EACH (&s->pods, slot) {
		const struct pod *p = slot->value;

		for (size_t i = 0; !p->dns && i < p->containers_len; i++)
			if (names(w, &p->containers[i]))
				return true;
	}
	return false;
}

/* "shop/page:c, shop/cart:c", a few of them: what a word could have named. */
static void what_there_is(const struct sandbox *s, struct buf *out)
{
	unsigned n = 0;

	HASH_EACH (&s->pods, slot) {
		const struct pod *p = slot->value;

		for (size_t i = p->inits; !p->dns && i < p->containers_len && n < NAMED_MAX; i++, n++)
			buf_printf(out, "%s%s:%s", n ? ", " : "", p->key, p->containers[i].name);
	}
}

void run_words_check(struct sandbox *s)
{
	AUTO_BUF there = {0};

	VEC_EACH (&s->runs, at) {
		const struct run_word *w = *at;

		if (answers(s, w))
			continue;
		if (!there.n)
			what_there_is(s, &there);
		sandbox_remark(s, "--run %s%s%s%s%s: no pod or workload has that name%s yet; there are %s%s",
			       w->ns, *w->ns ? "/" : "", w->name, *w->container ? ":" : "", w->container,
			       *w->container ? " and container" : "", there.n ? there.p : "none",
			       s->pods.len > NAMED_MAX ? ", \xe2\x80\xa6" : "");
	}
}

void run_words_free(struct sandbox *s)
{
	while (s->runs.len)
		run_word_drop_last(s);
	vec_free(&s->runs);
	if (s->configs.api) {
		mirror_stop(&s->configs);
		mirror_stop(&s->secrets);
	}
}
