/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A scene's words: which keys there are, and what they may hold. Plays nothing.
 */
#include "cli/scene.h"

#include "base/own.h"

#include <stdlib.h>

static const char *const page_keys[] = {"title", "why",	  "cluster", "cast",  "manifests",
					"yaml",	 "hosts", "expect",  "steps", NULL};
static const char *const cluster_keys[] = {"nodes", "mode", NULL};
static const char *const step_keys[] = {"apply", "delete", "yaml",   "as", "cast",
					"fault", "run",	   "expect", NULL};
static const char *const expect_keys[] = {"reach", "drops", "get", NULL};

int scene_check_keys(const struct scene_page *p, const json_t *map, const char *const *known,
		     const char *where)
{
	const char *key;
	json_t *v;

	json_object_foreach ((json_t *)(uintptr_t)map, key, v) {
		AUTO_BUF hint = {0};
		size_t i = 0;
		while (known[i] && strcmp(known[i], key) != 0)
			i++;
		if (known[i])
			continue;
		buf_addz(&hint, "known:");
		for (i = 0; known[i]; i++)
			buf_printf(&hint, " %s", known[i]);
		return scene_tell(p, json_is_null(v) ? map : v, hint.p, "%s has no \"%s\"", where, key);
	}
	return 0;
}

static int add_nodes(struct scene *s, const json_t *v)
{
	int64_t n = 0;

	if (!json_is_string(v) ||
	    str_to_i64((struct str){json_string_value(v), json_string_length(v)}, 1, 64, &n) ||
	    vec_push(&s->nodes, (unsigned)n))
		return scene_tell(&s->page, v, NULL, "nodes is a number from 1 to 64, or a list of such");
	return 0;
}

static int add_mode(struct scene *s, const json_t *v)
{
	const char *m = json_string_value(v);

	if (!m || (strcmp(m, "vxlan") != 0 && strcmp(m, "routes") != 0) || vec_push(&s->modes, m))
		return scene_tell(&s->page, v, NULL, "mode is vxlan or routes, or a list of both");
	return 0;
}

static int each(struct scene *s, const json_t *v, int (*fn)(struct scene *, const json_t *))
{
	json_t *item;
	size_t i;
	int r = 0;

	if (!json_is_array(v))
		return fn(s, v);
	json_array_foreach ((json_t *)(uintptr_t)v, i, item)
		r = r ? r : fn(s, item);
	return r;
}

static int read_cluster(struct scene *s)
{
	const json_t *c = json_object_get(s->page.root, "cluster");
	const json_t *nodes = json_object_get(c, "nodes"), *mode = json_object_get(c, "mode");

	if (c && !json_is_object(c))
		return scene_tell(&s->page, c, "cluster: {nodes: 2, mode: vxlan}", "cluster is a map");
	if (scene_check_keys(&s->page, c, cluster_keys, "cluster"))
		return -1;
	if (nodes ? each(s, nodes, add_nodes) : vec_push(&s->nodes, 2u))
		return -1;
	return mode ? each(s, mode, add_mode) : vec_push(&s->modes, "vxlan");
}

static int check_expect(struct scene *s, const json_t *e)
{
	struct expect_table t = {0};
	int r = 0;

	if (!e)
		return 0;
	if (!json_is_string(e) && !json_is_object(e))
		return scene_tell(&s->page, e, "expect: | and a table, or a map of reach, drops, get",
				  "expect is a table or a map");
	if (scene_check_keys(&s->page, e, expect_keys, "expect"))
		return -1;
	const json_t *reach = json_is_string(e) ? e : json_object_get(e, "reach");
	if (reach)
		r = expect_table_read(&t, &s->page, reach);
	expect_table_fini(&t);
	s->needs_cluster |= json_object_get(e, "drops") || json_object_get(e, "get");
	return r;
}

static int check_steps(struct scene *s)
{
	json_t *step;
	size_t i;

	if (s->steps && !json_is_array(s->steps))
		return scene_tell(&s->page, s->steps, NULL, "steps is a list");
	json_array_foreach (s->steps, i, step) {
		if (!json_is_object(step))
			return scene_tell(&s->page, step, NULL, "a step is a map");
		if (scene_check_keys(&s->page, step, step_keys, "a step") ||
		    check_expect(s, json_object_get(step, "expect")))
			return -1;
		if (json_object_get(step, "yaml") && !json_string_value(json_object_get(step, "as")))
			return scene_tell(&s->page, step, "as: policy.yaml",
					  "a step with yaml needs a file name");
		if (json_object_get(step, "fault") && !json_is_string(json_object_get(step, "fault")))
			return scene_tell(&s->page, json_object_get(step, "fault"),
					  "fault: shop/web --not-ready",
					  "fault is what `weft fault` is to be told");
		s->needs_cluster |= json_object_get(step, "run") || json_object_get(step, "fault");
	}
	return 0;
}

int scene_read(struct scene *out, const char *path, struct buf *told)
{
	struct scene s = {0};
	int r = scene_page_read(&s.page, path, told);
	const json_t *root = s.page.root;

	if (!r)
		r = scene_check_keys(&s.page, root, page_keys, "a scene");
	s.title = json_string_value(json_object_get(root, "title"));
	s.cast = json_object_get(root, "cast");
	s.manifests = json_object_get(root, "manifests");
	s.yaml = json_object_get(root, "yaml");
	s.hosts = json_object_get(root, "hosts");
	s.expect = json_object_get(root, "expect");
	s.steps = json_object_get(root, "steps");
	if (!r && !s.title)
		r = scene_tell(&s.page, NULL, "title: what this scene shows, in one sentence",
			       "a scene needs a title");
	if (!r)
		r = read_cluster(&s);
	if (!r && s.manifests && !json_is_array(s.manifests))
		r = scene_tell(&s.page, s.manifests, NULL, "manifests is a list of paths");
	if (!r && s.yaml && !json_is_string(s.yaml))
		r = scene_tell(&s.page, s.yaml, "yaml: |", "yaml is the text of manifests");
	if (!r && s.cast) {
		AUTO_BUF scratch = {0};
		r = scene_cast_print(&scratch, &s.page, s.cast);
	}
	if (!r && s.hosts) {
		struct scene_args args = {0};
		r = scene_hosts_args(&args, &s.page, s.hosts);
		scene_args_fini(&args);
	}
	if (!r)
		r = check_expect(&s, s.expect);
	if (!r)
		r = check_steps(&s);
	if (r) {
		scene_fini(&s);
		return -1;
	}
	*out = s;
	return 0;
}

void scene_fini(struct scene *s)
{
	vec_free(&s->nodes);
	vec_free(&s->modes);
	scene_page_fini(&s->page);
}

bool scene_path(struct buf *out, const struct scene_page *page, const char *said)
{
	static const char variable[] = "${WEFT_INPUTS}";
	const char *inputs = getenv("WEFT_INPUTS");
	const char *slash = strrchr(page->path, '/');

	if (!strncmp(said, variable, sizeof(variable) - 1)) {
		if (!inputs || !*inputs)
			return false;
		buf_printf(out, "%s%s", inputs, said + sizeof(variable) - 1);
	} else if (*said == '/' || !slash) {
		buf_addz(out, said);
	} else {
		buf_printf(out, "%.*s/%s", (int)(slash - page->path), page->path, said);
	}
	return true;
}
