/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an unquoted scalar is: YAML 1.1 as the Kubernetes tools resolve it (JSON's words are a part of it).
 * Private to object/.
 */
#ifndef WEFT_OBJECT_SCALAR_H
#define WEFT_OBJECT_SCALAR_H

#include "base/str.h"

enum scalar_type {
	SCALAR_NULL,
	SCALAR_BOOL,
	SCALAR_INT,
	SCALAR_FLOAT, /* also a whole number beyond 64 bits */
	SCALAR_WORD,  /* yes, no, on, off, y, n: true or false in YAML 1.1, text to a reader */
	SCALAR_TEXT,
};

struct scalar {
	enum scalar_type type;
	bool b;	   /* BOOL and WORD */
	int64_t i; /* INT */
};

struct scalar scalar_resolve(struct str s);
bool scalar_is_json_number(struct str s);

#endif
