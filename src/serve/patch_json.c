/* SPDX-License-Identifier: Apache-2.0 */
/* JSON patches (RFC 6902): add, remove, replace, move, copy and test, in order, all or none. See patch.h. */
#include <errno.h>
#include <jansson.h>

#include "serve/patch.h"

enum { OPS_MAX = 1000, TOKEN_MAX = 512 };

/* One step of a pointer (RFC 6901, 4): "~1" is '/', "~0" is '~'. Returns where the next begins, or NULL. */
static const char *token(const char *at, char out[TOKEN_MAX])
{
	size_t n = 0;
	if (*at != '/')
		return NULL;
	for (at++; *at && *at != '/'; at++) {
		char c = *at;
		if (c == '~') {
			c = *++at == '1' ? '/' : *at == '0' ? '~' : 0;
			if (!c)
				return NULL;
		}
		if (n + 1 >= TOKEN_MAX)
			return NULL;
		out[n++] = c;
	}
	out[n] = 0;
	return at;
}

/* "-" is the place behind the last (RFC 6902, 4.1). */
static bool index_of(const json_t *list, const char *text, bool end, size_t *out)
{
	int64_t n;
	size_t len = json_array_size(list);
	*out = len;
	if (end && !strcmp(text, "-"))
		return true;
	if (str_to_i64(str_of(text), 0, INT32_MAX, &n) || (size_t)n + !end > len)
		return false;
	*out = (size_t)n;
	return true;
}

static json_t *step(json_t *at, const char *name)
{
	size_t i;
	if (json_is_object(at))
		return json_object_get(at, name);
	return json_is_array(at) && index_of(at, name, false, &i) ? json_array_get(at, i) : NULL;
}

/* The value that holds the last step of `path`, whose name goes to `last`; NULL: there is none. */
static json_t *parent(json_t *root, const char *path, char last[TOKEN_MAX])
{
	json_t *at = root;
	const char *next = path ? token(path, last) : NULL;
	while (next && *next && at) {
		at = step(at, last);
		next = token(next, last);
	}
	return next ? at : NULL;
}

static json_t *find(json_t *root, const char *path)
{
	char last[TOKEN_MAX];
	if (path && !*path)
		return root;
	json_t *at = parent(root, path, last);
	return at ? step(at, last) : NULL;
}

/* Takes no reference over. */
static bool add(json_t *root, const char *path, json_t *value)
{
	char last[TOKEN_MAX];
	size_t i;
	json_t *at = value ? parent(root, path, last) : NULL;
	if (json_is_object(at))
		return !json_object_set(at, last, value);
	return json_is_array(at) && index_of(at, last, true, &i) && !json_array_insert(at, i, value);
}

static bool take(json_t *root, const char *path)
{
	char last[TOKEN_MAX];
	size_t i;
	json_t *at = parent(root, path, last);
	if (json_is_object(at))
		return !json_object_del(at, last);
	return json_is_array(at) && index_of(at, last, false, &i) && !json_array_remove(at, i);
}

static bool replace(json_t *root, const char *path, json_t *value)
{
	char last[TOKEN_MAX];
	size_t i;
	json_t *at = value ? parent(root, path, last) : NULL;
	if (json_is_object(at))
		return json_object_get(at, last) && !json_object_set(at, last, value);
	return json_is_array(at) && index_of(at, last, false, &i) && !json_array_set(at, i, value);
}

static bool run(json_t *root, const json_t *step_of)
{
	const char *op = json_string_value(json_object_get(step_of, "op"));
	const char *path = json_string_value(json_object_get(step_of, "path"));
	const char *from = json_string_value(json_object_get(step_of, "from"));
	json_t *value = json_object_get(step_of, "value");
	if (!op || !path)
		return false;
	if (!strcmp(op, "add"))
		return add(root, path, value);
	if (!strcmp(op, "remove"))
		return take(root, path);
	if (!strcmp(op, "replace"))
		return replace(root, path, value);
	if (!strcmp(op, "test"))
		return value && json_equal(find(root, path), value);
	bool move = !strcmp(op, "move");
	if ((!move && strcmp(op, "copy")) || !from)
		return false;
	json_t *held = json_deep_copy(find(root, from));
	bool good = held && (!move || take(root, from)) && add(root, path, held);
	json_decref(held);
	return good;
}

/* What could not be done, for the client. */
static void say_op(struct buf *b, size_t i, json_t *step_of)
{
	const char *op = json_string_value(json_object_get(step_of, "op"));
	const char *path = json_string_value(json_object_get(step_of, "path"));
	bool test = op && !strcmp(op, "test");
	buf_printf(b, "operation %zu, %.40s of %.400s: %s", i + 1, op ? op : "without \"op\"",
		   path ? path : "no \"path\"",
		   test ? "the value there is another"
			: "it is not possible: is the path there, and the value given?");
}

int patch_json(const struct object *old, struct str patch, struct buf *out, const char **why)
{
	AUTO_BUF text = {0};
	object_print_json(&text, old, PRINT_PLAIN);
	json_t *into = json_loadb(text.p, text.n, 0, NULL);
	json_t *p = json_loadb(patch.p ? patch.p : "", patch.n, JSON_REJECT_DUPLICATES, NULL);
	char *printed = NULL;
	size_t i, n = json_array_size(p);
	*why = "the body is not a list of operations";
	bool good = into && json_is_array(p) && n <= OPS_MAX;
	for (i = 0; good && i < n; i++) {
		good = run(into, json_array_get(p, i));
		if (!good)
			say_op(out, i, json_array_get(p, i));
	}
	int r = i && !good ? -ENOENT : -EINVAL;
	if (good)
		printed = json_dumps(into, JSON_COMPACT);
	if (printed)
		buf_addz(out, printed);
	free(printed);
	json_decref(into);
	json_decref(p);
	return printed && !out->failed ? 0 : r;
}
