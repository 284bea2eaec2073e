/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Schemas from the field tables: the components of an OpenAPI v3 document, and structural schemas for
 * CustomResourceDefinitions. Prints only.
 */
#ifndef WEFT_OBJECT_SCHEMA_H
#define WEFT_OBJECT_SCHEMA_H

#include "object/object.h"

/* "PodSpec": what clients call the struct. Written to out. */
void schema_name(const struct struct_desc *d, char out[64]);

/* The kinds' schemas of one group and version, and those of all structs that they are made of, as members of
 * components.schemas. Structs are referred to. */
void schema_components(struct buf *b, const char *group, const char *version);
/* "#/components/schemas/…" of a kind. */
void schema_ref(struct buf *b, const struct kind_desc *k);

/* One kind as a structural schema (apiextensions.k8s.io/v1), everything in place. */
void schema_structural(struct buf *b, const struct kind_desc *k);

/* The CustomResourceDefinition of a kind, as JSON. */
void schema_crd(struct buf *b, const struct kind_desc *k);

#endif
