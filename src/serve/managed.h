/* SPDX-License-Identifier: Apache-2.0 */
/*
 * metadata.managedFields: who set which fields. Kept for clients that say who they are (fieldManager, or
 * their User-Agent); what Weft's own programs write over the Unix socket is nobody's.
 */
#ifndef WEFT_SERVE_MANAGED_H
#define WEFT_SERVE_MANAGED_H

#include <jansson.h>

#include "serve/api_state.h"

enum { MANAGER_MAX = 128 };

struct writer {
	char name[MANAGER_MAX + 1]; /* "": is not kept */
	const char *sub;	    /* "status", "scale" or "" */
};
/* 0, or -EINVAL with e. */
int writer_of(struct writer *w, const struct http_request *rq, const char *sub, struct api_error *e);

/* Sets now's managedFields after a write that was no apply; `now` is unpublished, old may be NULL. 0 or
 * -ENOMEM. */
int managed_update(struct object *now, const struct object *old, const struct writer *w);

/* The object without managedFields, as JSON. NULL without memory. */
json_t *managed_json(const struct object *o);

/* The entries, each with its set in "set" (fieldset.h). NULL without memory. */
json_t *managed_read(const struct object *o);
/* The entry of that manager; made where there is none. Borrowed. */
json_t *managed_entry(json_t *entries, const struct kind_desc *k, const char *manager, const char *operation,
		      const char *sub);
/* Drops what is empty, bounds their number, and writes them into the object. 0 or -ENOMEM. */
int managed_write(struct object *o, const json_t *entries);
void managed_touch(json_t *entry);

#endif
