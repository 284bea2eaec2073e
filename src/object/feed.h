/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One event interface for both syntaxes: a feed yields scalars, starts and ends of maps and lists, with byte
 * positions. A map yields key, value, key, value, … and then its end. Who reads a feed checks its depth
 * (tree.c); feeds bound only their own stack. For object/, and for source/layout.c.
 */
#ifndef WEFT_OBJECT_FEED_H
#define WEFT_OBJECT_FEED_H

#include "base/remark.h"

enum feed_type { FEED_SCALAR, FEED_MAP, FEED_SEQ, FEED_END, FEED_ALIAS, FEED_EOF };

struct feed_event {
	enum feed_type type;
	bool plain;	   /* SCALAR: unquoted, so that it may be a number, true, null … */
	bool flow;	   /* MAP, SEQ: written with brackets */
	struct str text;   /* SCALAR; lives until the next event */
	struct str anchor; /* its own, or the target of an ALIAS; lives until the next event */
	uint32_t line, col, len;
	size_t offset; /* of the first byte in the text that the feed was given */
	size_t end;    /* behind the last byte of a scalar or an alias; of an END of brackets */
	char style;    /* SCALAR of YAML: 0 plain, or the character that begins it: ' " | > */
	bool tagged;   /* has a tag of its own */
};

struct feed {
	/* 0, or -EINVAL after an error was added to the feed's remarks: the document is lost. */
	int (*next)(struct feed *f, struct feed_event *ev);
};

/* JSON, RFC 8259, strict; text is borrowed. file may be NULL and is for positions only. */
struct json_feed {
	struct feed feed;
	struct str text;
	struct file *file;
	struct remarks *rs;
	size_t at;	    /* next byte */
	size_t line_start;  /* byte where the current line starts */
	uint32_t line;	    /* from 1 */
	unsigned depth;	    /* open brackets */
	uint64_t maps[4];   /* bit per level: is a map */
	int expect;	    /* private to feed_json.c */
	struct buf scratch; /* text of a string with escapes */
};
enum { JSON_FEED_DEPTH = 250 };
void json_feed_init(struct json_feed *f, struct str text, struct file *file, struct remarks *rs);
void json_feed_fini(struct json_feed *f);

/* Cuts a YAML stream into documents at lines that start with --- or ...: no scalar can hold these at
 * column 1. What stands before the first --- joins it when it is only directives, comments or blank. */
struct yaml_slices {
	struct str rest; /* without a byte order mark */
	uint32_t line;	 /* of its start, from 1 */
};
bool yaml_slice_next(struct yaml_slices *s, struct str *slice, uint32_t *first_line);

/* One YAML document, libyaml's events; text is borrowed. `offset` and `line` say where the slice starts in
 * its file. */
struct yaml_feed;
int yaml_feed_new(struct yaml_feed **out, struct str slice, uint32_t line, struct file *file,
		  struct remarks *rs);
void yaml_feed_free(struct yaml_feed **f);
struct feed *yaml_feed(struct yaml_feed *f);

#endif
