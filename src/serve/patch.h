/* SPDX-License-Identifier: Apache-2.0 */
/* Patches of objects as JSON texts, and status sub-resources. */
#ifndef WEFT_SERVE_PATCH_H
#define WEFT_SERVE_PATCH_H

#include "object/object.h"

/* RFC 7396: the object printed, with the patch merged in, as JSON in out. 0 or -EINVAL with a static *why. */
int patch_merge(const struct object *old, struct str patch, struct buf *out, const char **why);
/* A strategic merge patch, and a JSON patch (RFC 6902): as patch_merge(). Where an operation of the latter
 * cannot be done, -ENOENT, and `out` says which and why. */
int patch_strategic(const struct object *old, struct str patch, struct buf *out, const char **why);
int patch_json(const struct object *old, struct str patch, struct buf *out, const char **why);
/* A copy of `old` with the status of `from`, an unshared object of the same kind that is only good for
 * object_unref() afterwards. 0, -ENOMEM, or -ENOENT: the kind has no status. */
int object_take_status(struct object **out, const struct object *old, struct object *from);

#endif
