/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSONPath as kubectl's -o jsonpath and --sort-by take it: {.items[*].metadata.name}, ['key'], [0], [-1],
 * [1:3], ..key,
 * [?(@.phase=="Running")], {range PATH}…{end}, {"text"}. Works on values in memory; a path that leads nowhere
 * is empty.
 */
#ifndef WEFT_CLI_JSONPATH_H
#define WEFT_CLI_JSONPATH_H

#include <jansson.h>

#include "base/str.h"

/* Appends what the template makes of root. 0, or -1 with what is wrong in `error`. */
int jsonpath_print(struct buf *out, const char *template, const json_t *root, struct buf *error);
/* The values that a path leads to, into the array `found`. ".a.b" and "{.a.b}" alike. 0 or -1 as above. */
int jsonpath_find(json_t *found, const char *path, const json_t *root, struct buf *error);

#endif
