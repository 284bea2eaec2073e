/* SPDX-License-Identifier: Apache-2.0 */
/* What `weft get` shares between the running cluster's part (get.c) and the files' part (get_files.c). */
#ifndef WEFT_CLI_GET_H
#define WEFT_CLI_GET_H

#include <jansson.h>

#include "base/vec.h"
#include "cli/command.h"
#include "object/object.h"

struct get_kind_list {
	VEC(const struct kind_desc *) list;
};
/* "pods,svc" or "all" into descriptors; EXIT_USAGE after telling. */
int get_kinds(struct get_kind_list *out, const char *words);
/* `weft get policies`, of a cluster or of files. */
int get_policies(const struct options_get *o);
/* `weft get probes`, of a cluster. */
int get_probes(const struct options_get *o);
int get_from_files(const struct options_get *o, const struct get_kind_list *kinds);

bool get_wide(const struct options_get *o);
bool get_table(const struct options_get *o); /* -o wide or nothing */
/* json, yaml or name, of an object or of a List. */
void get_print_objects(const struct options_get *o, const struct kind_desc *k, const json_t *v);
void get_print_name(const struct kind_desc *k, const json_t *object);
/* Text of a Table's cell; may lie in scratch. */
const char *get_cell_text(const json_t *cell, struct buf *scratch);

#endif
