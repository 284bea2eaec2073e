/* SPDX-License-Identifier: Apache-2.0 */
/* Manifests out of a Git repository, by libgit2; see git.h. Never writes to it, and runs no hooks or filters.
 */
#include "source/git.h"

#include <errno.h>
#include <git2.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/own.h"

enum { SHORT_ID = 12, FOLDERS_DEEP = 32 };

static void own_repo(git_repository **r)
{
	git_repository_free(*r);
}
static void own_tree(git_tree **t)
{
	git_tree_free(*t);
}
static void own_entry(git_tree_entry **e)
{
	git_tree_entry_free(*e);
}
static void own_object(git_object **o)
{
	git_object_free(*o);
}

static void complain(struct remarks *rs, const char *name, const char *hint, const char *what)
{
	struct file *f = NULL;

	if (!file_new(&f, name, NULL, 0))
		remark_add(rs, REMARK_ERROR, (struct pos){.file = f}, hint, "%s", what);
	file_unref(&f);
}

/* How much of the path exists, cut at slashes. */
static size_t real_part(const char *path)
{
	char cut[PATH_MAX], real[PATH_MAX];

	snprintf(cut, sizeof(cut), "%s", path);
	while (*cut && !realpath(cut, real)) {
		char *slash = strrchr(cut, '/');
		*(slash && slash > cut ? slash : cut) = 0;
	}
	return strlen(cut);
}

/* The part that exists, resolved; the folder at hand where none does. */
static bool resolve(const char *path, char out[PATH_MAX])
{
	char cut[PATH_MAX];

	snprintf(cut, sizeof(cut), "%.*s", (int)real_part(path), path);
	return realpath(*cut ? cut : ".", out);
}

/* The repository around a path, and the path inside it ("" for its top). 0 or -ENOENT. */
static int open_at(const char *path, git_repository **repo, struct buf *inside)
{
	char top[PATH_MAX], full[PATH_MAX];

	if (!resolve(path, top) || git_repository_open_ext(repo, top, 0, NULL))
		return -ENOENT;
	const char *work = git_repository_workdir(*repo);
	if (!work || !realpath(work, full))
		return -ENOENT;
	size_t n = strlen(full);
	if (strncmp(top, full, n) || (top[n] && top[n] != '/'))
		return -ENOENT;
	/* What of the path does not exist any more is as the user wrote it. */
	const char *rest = path + real_part(path);
	while (*rest == '/')
		rest++;
	const char *within = top + n;
	while (*within == '/')
		within++;
	buf_addz(inside, within);
	if (*rest)
		buf_printf(inside, "%s%s", inside->n ? "/" : "", rest);
	while (inside->n && inside->p[inside->n - 1] == '/')
		inside->p[--inside->n] = 0;
	return inside->failed ? -ENOMEM : 0;
}

struct loading {
	git_repository *repo;
	const struct decode_limits *limits;
	int (*put)(void *ctx, struct object *o);
	void *ctx;
	struct remarks *rs;
	char commit[SHORT_ID + 1];
	struct hash seen; /* "kind ns/name" → struct object */
	struct hash skipped;
};

/* A second object of a name is left out. */
static bool is_second(struct loading *l, const struct object *o, int *r)
{
	AUTO_BUF key = {0};

	buf_printf(&key, "%d " STR_FMT "/" STR_FMT, (int)o->desc->kind, STR_ARG(o->meta.ns),
		   STR_ARG(o->meta.name));
	const struct object *first = hash_get(&l->seen, buf_str(&key));
	if (first) {
		AUTO_BUF at = {0};
		pos_print(&at, first->pos);
		remark_add(l->rs, REMARK_ERROR, o->pos, "keep one of them",
			   "%s " STR_FMT " is there already, at %s", o->desc->name, STR_ARG(o->meta.name),
			   at.p ? at.p : "");
		return true;
	}
	*r = key.failed ? -ENOMEM : hash_set(&l->seen, buf_str(&key), object_ref(o), NULL);
	return false;
}

static int take_object(void *ctx, struct object *o)
{
	struct loading *l = ctx;
	int r = 0;

	if (object_validate(o, l->rs)) {
		r = object_default(o);
		if (!r && !is_second(l, o, &r) && !r) {
			/* The store changes what it gets: the seen one is another reference. */
			struct object *copy = NULL;
			r = object_clone(&copy, o);
			if (!r)
				r = l->put(l->ctx, copy);
		}
	}
	object_unref(&o);
	return r;
}

static int load_blob(struct loading *l, const git_oid *id, const char *name)
{
	git_blob *blob = NULL;
	struct file *file = NULL;

	if (git_blob_lookup(&blob, l->repo, id)) {
		complain(l->rs, name, NULL, "the repository does not hold this file's content");
		return 0;
	}
	size_t n = (size_t)git_blob_rawsize(blob);
	int r = 0;
	if (n > (l->limits ? l->limits->bytes : decode_limits_default.bytes))
		complain(l->rs, name, "split the file, or raise the limit (--max-file)",
			 "larger than the limit");
	else
		r = file_new(&file, name, git_blob_rawcontent(blob), n);
	git_blob_free(blob);
	if (!file)
		return r;
	file->commit = strdup(l->commit);
	struct decoder_options opt = {
	    .limits = l->limits, .sink = take_object, .ctx = l, .remarks = l->rs, .skipped = &l->skipped};
	if (!file->commit)
		r = -ENOMEM;
	else
		r = str_ends(str_of(name), STR(".json")) ? decode_json(file, &opt) : decode_yaml(file, &opt);
	file_unref(&file);
	return r == -EINVAL ? 0 : r;
}

static bool is_manifest(struct str name)
{
	return str_ends(name, STR(".yaml")) || str_ends(name, STR(".yml")) || str_ends(name, STR(".json"));
}

static int load_tree(struct loading *l, const git_tree *tree, const char *name, unsigned depth)
{
	int r = 0;

	if (depth > FOLDERS_DEEP)
		return 0;
	for (size_t i = 0; i < git_tree_entrycount(tree) && !r; i++) {
		const git_tree_entry *e = git_tree_entry_byindex(tree, i);
		const char *own = git_tree_entry_name(e);
		AUTO_BUF path = {0};
		if (*own == '.')
			continue;
		buf_printf(&path, "%s%s%s", name, *name && name[strlen(name) - 1] != '/' ? "/" : "", own);
		if (path.failed)
			return -ENOMEM;
		if (git_tree_entry_type(e) == GIT_OBJECT_TREE) {
			__attribute__((cleanup(own_tree))) git_tree *below = NULL;
			if (!git_tree_lookup(&below, l->repo, git_tree_entry_id(e)))
				r = load_tree(l, below, path.p, depth + 1);
		} else if (git_tree_entry_type(e) == GIT_OBJECT_BLOB &&
			   git_tree_entry_filemode(e) != GIT_FILEMODE_LINK && is_manifest(str_of(own))) {
			r = load_blob(l, git_tree_entry_id(e), path.p);
		}
	}
	return r;
}

static int load_path(struct loading *l, const git_tree *tree, const char *inside, const char *name,
		     const char *revision)
{
	__attribute__((cleanup(own_entry))) git_tree_entry *e = NULL;
	__attribute__((cleanup(own_tree))) git_tree *below = NULL;

	if (!*inside)
		return load_tree(l, tree, strcmp(name, ".") ? name : "", 0);
	if (git_tree_entry_bypath(&e, tree, inside)) {
		AUTO_BUF what = {0};
		buf_printf(&what, "is not in %s", revision);
		complain(l->rs, name, "check the path and the revision", what.p ? what.p : "is not there");
		return -ENOENT;
	}
	if (git_tree_entry_type(e) != GIT_OBJECT_TREE)
		return load_blob(l, git_tree_entry_id(e), name);
	if (git_tree_lookup(&below, l->repo, git_tree_entry_id(e)))
		return -ENOENT;
	return load_tree(l, below, strcmp(name, ".") ? name : "", 0);
}

static int load(struct loading *l, const char *path, const char *revision, const char *inside)
{
	__attribute__((cleanup(own_object))) git_object *commit = NULL, *tree = NULL, *found = NULL;

	if (git_revparse_single(&found, l->repo, revision) ||
	    git_object_peel(&commit, found, GIT_OBJECT_COMMIT) ||
	    git_object_peel(&tree, found, GIT_OBJECT_TREE)) {
		AUTO_BUF what = {0};
		buf_printf(&what, "there is no revision \"%s\"", revision);
		complain(l->rs, path, "a branch, a tag, an id, HEAD~1", what.p ? what.p : "no such revision");
		return -ENOENT;
	}
	git_oid_tostr(l->commit, sizeof(l->commit), git_object_id(commit));
	return load_path(l, (git_tree *)tree, inside, path, revision);
}

int git_load(const char *path, const char *revision, const struct decode_limits *limits,
	     int (*put)(void *ctx, struct object *o), void *ctx, struct remarks *rs)
{
	__attribute__((cleanup(own_repo))) git_repository *repo = NULL;
	struct loading l = {.limits = limits, .put = put, .ctx = ctx, .rs = rs};
	AUTO_BUF inside = {0};
	size_t errors = rs->errors;

	git_libgit2_init();
	int r = open_at(path, &repo, &inside);
	if (r == -ENOENT)
		complain(rs, path, "run it in a work tree, or name two folders",
			 "lies in no Git work tree that may be read");
	l.repo = repo;
	if (!r)
		r = load(&l, path, revision, inside.p ? inside.p : "");
	HASH_EACH (&l.seen, s) {
		struct object *o = s->value;
		object_unref(&o);
	}
	hash_fini(&l.seen);
	hash_fini(&l.skipped);
	return r ? r : rs->errors > errors ? -EINVAL : 0;
}

bool git_range(const char *text, char *a, char *b, size_t size)
{
	const char *dots = strstr(text, "..");
	size_t n = dots ? (size_t)(dots - text) : 0;

	if (!dots || dots[2] == '.' || dots[2] == '/' || n >= size || (n && text[n - 1] == '/') ||
	    strstr(dots + 2, ".."))
		return false;
	snprintf(a, size, "%.*s", n ? (int)n : 4, n ? text : "HEAD");
	snprintf(b, size, "%s", dots[2] ? dots + 2 : "HEAD");
	return true;
}

int git_commit_of(const char *path, char out[41])
{
	__attribute__((cleanup(own_repo))) git_repository *repo = NULL;
	__attribute__((cleanup(own_object))) git_object *head = NULL, *tree = NULL;
	__attribute__((cleanup(own_entry))) git_tree_entry *e = NULL;
	AUTO_BUF inside = {0};
	git_oid now;

	git_libgit2_init();
	if (open_at(path, &repo, &inside) || !inside.n || git_revparse_single(&head, repo, "HEAD") ||
	    git_object_peel(&tree, head, GIT_OBJECT_TREE) ||
	    git_tree_entry_bypath(&e, (git_tree *)tree, inside.p) ||
	    git_repository_hashfile(&now, repo, inside.p, GIT_OBJECT_BLOB, NULL) ||
	    git_oid_cmp(&now, git_tree_entry_id(e)))
		return -ENOENT;
	git_oid_tostr(out, 41, git_object_id(head));
	return 0;
}
