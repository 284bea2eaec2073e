/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Source dir: a folder (or single files) of manifests → objects with positions, and what changed since the
 * last look. Reads *.yaml, *.yml, *.json in name order, folders recursively, hidden names left out; follows
 * no links out of the folder. A file that fails keeps its last good objects in force ("quarantine").
 */
#ifndef WEFT_SOURCE_DIR_H
#define WEFT_SOURCE_DIR_H

#include "object/decode.h"
#include "base/vec.h"

struct source_dir;
enum source_op { SOURCE_PUT, SOURCE_DELETE };
struct source_change {
	enum source_op op;
	struct object *object; /* a reference owned by the list; for DELETE the last one seen */
};
/* A file that was read again, came or went. */
struct source_file {
	struct file *was, *now; /* references with their texts; NULL: it was not there, it is not there */
	bool secret;		/* a Secret is or was in it */
};
struct source_changes {
	VEC(struct source_change) list;
	VEC(struct source_file) files;
};
void source_changes_fini(struct source_changes *c);

/* paths: files and folders as the user gave them. 0 or -errno (a missing path is a remark and -ENOENT). */
int source_dir_new(struct source_dir **out, const char *const *paths, size_t n,
		   const struct decode_limits *limits, struct remarks *rs);
void source_dir_free(struct source_dir **s);
/* Reads what changed (by mtime, size, inode) and appends the differences in load order (tables/kinds.def
 * order, Namespaces first). Duplicate names are errors with both positions; the first holds. Objects are
 * validated and defaulted; a bad object keeps its last good version in force. 0, or -EINVAL when there were
 * errors. */
int source_dir_scan(struct source_dir *s, struct source_changes *out, struct remarks *rs);
/* What the files last gave under that name, borrowed until the next scan; NULL: nothing. */
const struct object *source_dir_find(struct source_dir *s, enum kind k, struct str ns, struct str name);
/* inotify descriptor: readable when a scan may find something. Drain with source_dir_drain(). */
int source_dir_fd(struct source_dir *s);
void source_dir_drain(struct source_dir *s);

#endif
