/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of `weft get` share, see get.c. */
#ifndef WEFT_CLI_GET_H
#define WEFT_CLI_GET_H

#include <jansson.h>

#include "base/vec.h"
#include "cli/command.h"
#include "cli/output.h"
#include "object/object.h"

#define GET_ACCEPT_TABLE "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"

/* One kind, or one object of it where name is not NULL. */
struct get_ask {
	const struct kind_desc *k;
	const char *name;
};
struct get_asks {
	VEC(struct get_ask) list;
};
struct get_kind_list {
	VEC(const struct kind_desc *) list;
};
/* "pods,svc" or "all" into descriptors; EXIT_USAGE after telling. */
int get_kinds(struct get_kind_list *out, const char *words);
/* Path of a kind's list, or of one object of it, with its query; a watch of one object is a list with a
 * selector. */
void get_url(struct buf *b, const struct options_get *o, const struct kind_desc *k, const char *name,
	     const char *query);

/* Each is an exit status. */
int get_policies(const struct options_get *o); /* of a cluster or of files */
int get_probes(const struct options_get *o);   /* of a cluster */
int get_from_files(const struct options_get *o, const struct get_asks *asks);
int get_watch(const struct options_get *o, const struct get_ask *a);

bool get_wide(const struct options_get *o);
bool get_table(const struct options_get *o); /* -o wide or nothing */
/* json, yaml, name, jsonpath=…, custom-columns=…, of an object or of a List; get_print_value() of any value
 * but names. An exit status, told. */
int get_print_objects(const struct options_get *o, const struct kind_desc *k, const json_t *v);
int get_print_value(const struct options_get *o, const json_t *v);
void get_print_name(const struct kind_desc *k, const json_t *object);

/* A server's Table: its columns as ours, then its rows, each with what the options ask for. EVENT comes first
 * where `event` is not NULL. */
void get_table_start(struct table *t, const struct options_get *o, const struct kind_desc *k,
		     const json_t *columns);
void get_table_add(struct table *t, const struct options_get *o, const struct kind_desc *k,
		   const json_t *columns, const json_t *row, const char *event);
int get_print_table(const struct options_get *o, const struct kind_desc *k, const json_t *v);

#endif
