/* SPDX-License-Identifier: Apache-2.0 */
/* From node tree to typed struct, by the field tables. Private to object/. */
#ifndef WEFT_OBJECT_FILL_H
#define WEFT_OBJECT_FILL_H

#include "object/tree.h"

struct fill {
	const struct tree *tree;
	struct object *object;
	struct remarks *rs;
	bool positions; /* keep them */
	/* Where the names of unknown members are kept, NULL: nowhere; of the nearest enclosing struct that
	 * keeps them. */
	struct strlist *unknown;
	struct buf path;
};

/* Fills object->meta, the body (or opaque) from the object's top map: remarks for all that is wrong. 0 or
 * -ENOMEM. */
int fill_object(struct fill *f, const struct value *map);
/* Sets the positions that a member "weftPositions" tells; the object then has the file that it names. 0,
 * -ENOMEM or -EINVAL when it is malformed. */
int fill_positions(struct object *o, const struct value *told);

#endif
