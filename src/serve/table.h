/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Objects as rows of a Table (meta.k8s.io/v1), with the columns that kubectl's users know. Pure; the command
 * line uses it offline as well.
 */
#ifndef WEFT_SERVE_TABLE_H
#define WEFT_SERVE_TABLE_H

#include "object/object.h"

/* Opens a Table up to the "[" of rows; rows follow, separated by commas, then "]}". */
void table_begin(struct buf *b, enum kind k, uint64_t version);
/* The same with the list's metadata, as JSON. */
void table_begin_meta(struct buf *b, enum kind k, struct str meta);
/* The same without column definitions, for later events of a watch. */
void table_begin_bare(struct buf *b, uint64_t version);
/* now: seconds since 1970, for ages. whole: the object in full rather than its metadata. */
void table_row(struct buf *b, const struct object *o, int64_t now, bool whole, unsigned print);

#endif
