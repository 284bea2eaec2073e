/* SPDX-License-Identifier: Apache-2.0 */
/* Server-side apply, without the request around it. Called by write.c. */
#ifndef WEFT_SERVE_APPLY_H
#define WEFT_SERVE_APPLY_H

#include "serve/managed.h"

/* The object after the manager's configuration was applied to `old` (NULL: there is none yet): unpublished,
 * with its managedFields. 0, or -EINVAL with e: 409 with a cause for each field in conflict. */
int apply_object(struct object **out, struct object *config, const struct object *old, const struct writer *w,
		 bool force, struct api_error *e);

#endif
