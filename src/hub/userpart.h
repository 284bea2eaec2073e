/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Of an object, what users say and a manifest would hold: without status, uid, versions, times, and what
 * controllers and clients note for themselves. For the history, for undo and for the export.
 */
#ifndef WEFT_HUB_USERPART_H
#define WEFT_HUB_USERPART_H

#include "object/object.h"

/* As compact JSON. 0 or -ENOMEM. */
int userpart_json(struct buf *out, const struct object *o);
/* As YAML; of a Secret without its content. From what userpart_json() wrote. 0, -EINVAL, -ENOMEM. */
int userpart_yaml(struct buf *out, struct str json, bool redact);
/* Both say the same. */
bool userpart_same(const struct object *a, const struct object *b);

#endif
