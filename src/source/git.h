/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Source git: manifests of a revision, without a checkout, with positions that name the commit; and which
 * commit holds a file of the work tree. Reads the repository only.
 */
#ifndef WEFT_SOURCE_GIT_H
#define WEFT_SOURCE_GIT_H

#include "object/decode.h"

/* Objects below `path` (a folder or a file of a work tree, which need not exist in it any more) as they are
 * in `revision` ("HEAD~2", a branch, an id), validated and defaulted, in name order of their files; each is
 * given to `put`, which takes it over. Positions print as "path:line:col@commit". Of two objects with one
 * name the first holds, the other is an error in rs. 0; -EINVAL when there were errors (the good objects were
 * given); -ENOENT with a remark when there is no repository, revision or path; or what put returned. */
int git_load(const char *path, const char *revision, const struct decode_limits *limits,
	     int (*put)(void *ctx, struct object *o), void *ctx, struct remarks *rs);

/* "A..B": true, with the revisions copied into a and b (each of `size` bytes); an empty side is HEAD. */
bool git_range(const char *text, char *a, char *b, size_t size);

/* Full hex id of HEAD in out[41] if the file lies in a work tree and its content is what HEAD has there: 0;
 * -ENOENT else. */
int git_commit_of(const char *path, char out[41]);

#endif
