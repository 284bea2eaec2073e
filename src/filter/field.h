/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fields and values of the filter language: the table of tables/filter.def, its look-up, and values as text
 * by type. Pure. Called by the parser, the printers, the matcher and completion.
 */
#ifndef WEFT_FILTER_FIELD_H
#define WEFT_FILTER_FIELD_H

#include "base/addr.h"
#include "base/arena.h"

enum filter_type {
	TYPE_FLAG,
	TYPE_NUMBER,
	TYPE_SIZE,
	TYPE_MICROSECONDS,
	TYPE_NANOSECONDS,
	TYPE_ADDRESS,
	TYPE_MAC,
	TYPE_TEXT,
	TYPE_LABEL,
	TYPE_PROTOCOL,
	TYPE_VERDICT,
	TYPE_REASON,
	TYPE_STATE,
	TYPE_RECORD,
	TYPE_KIND,
	TYPE_ETHERTYPE,
	TYPE_TCPFLAGS,
	TYPE_DNSTYPE,
	TYPE_DNSCODE,
	TYPE_RULE,
};

enum field_id {
#define FILTER_FIELD(id, path, sides, type, uses, sentence) FIELD_##id,
#define FILTER_ALIAS(path, of)
#include "tables/filter.def"
#undef FILTER_FIELD
#undef FILTER_ALIAS
	FIELD_MAX
};

enum { USE_RECORDS = 1, USE_PACKETS = 2, USE_KERNEL = 4 };

struct field {
	const char *path;
	bool sided;
	enum filter_type type;
	unsigned uses; /* USE_… */
	const char *sentence;
};
extern const struct field filter_fields[FIELD_MAX];

/* Index of the field of that path without src. or dst., or of its alias; -1: none. */
int filter_field(struct str path);
/* The field or alias nearest to a path that is none, or NULL. */
const char *filter_field_near(struct str path);

/* One element of a set: a range of numbers or addresses (lo = hi: one), or a text. */
struct value {
	uint64_t lo, hi;
	struct addr from, to;
	struct str text;
	bool glob; /* text is a pattern of * and ? */
};
bool type_is_text(enum filter_type t);
bool type_has_order(enum filter_type t); /* < and > mean something */

/* Reads a word as a value of the type (ranges too). Texts are copied into the arena. 0; -EINVAL with what is
 * wrong in *why (static or from the arena), -ENOMEM. */
int value_parse(struct value *out, enum field_id f, struct str word, struct arena *a, const char **why);
/* Prints so that value_parse() reads the same. */
void value_print(struct buf *out, enum field_id f, const struct value *v);
/* A number of the field as a filter writes it: "AAAA". */
void field_name(struct buf *out, enum field_id f, uint64_t n);
/* The largest number that a field can have. */
uint64_t filter_field_top(enum field_id f);
/* Calls fn for each name that values of the type can have. */
void type_names(enum filter_type t, void (*fn)(void *ctx, const char *name), void *ctx);

#endif
