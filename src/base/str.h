/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Byte strings: `struct str` is a borrowed slice (not NUL-terminated), `struct buf` owns and grows.
 * A buf remembers the first allocation failure in `failed`, so that a chain of appends needs one check.
 */
#ifndef WEFT_BASE_STR_H
#define WEFT_BASE_STR_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct str {
	const char *p;
	size_t n;
};

#define STR(lit)   ((struct str){.p = (lit), .n = sizeof(lit) - 1})
#define STR_FMT	   "%.*s"
#define STR_ARG(s) ((int)(s).n), ((s).p ? (s).p : "")

static inline struct str str_of(const char *z)
{
	return (struct str){.p = z, .n = z ? strlen(z) : 0};
}
static inline bool str_eq(struct str a, struct str b)
{
	return a.n == b.n && (!a.n || !memcmp(a.p, b.p, a.n));
}
static inline bool str_eqz(struct str a, const char *z)
{
	return str_eq(a, str_of(z));
}
/* Bytewise order; a prefix comes first. */
int str_cmp(struct str a, struct str b);
bool str_starts(struct str s, struct str prefix);
bool str_ends(struct str s, struct str suffix);
/* Cuts `s` at the first `sep`: returns what is before it, leaves what follows in *s. No sep: all, *s empty.
 */
struct str str_cut(struct str *s, char sep);
struct str str_trim(struct str s);
/* Whole decimal number in [min, max]: 0, -EINVAL (not a number) or -ERANGE. */
int str_to_i64(struct str s, int64_t min, int64_t max, int64_t *out);
/* Bytes of the valid UTF-8 sequence at p (at most n), 0 where there is none. */
size_t str_utf8(const char *p, size_t n);
/* Edit distance, capped at 64 bytes a side; for "did you mean". */
unsigned str_distance(struct str a, struct str b);

struct buf {
	char *p; /* NUL-terminated when not NULL */
	size_t n, cap;
	bool failed;
};

void buf_fini(struct buf *b);
void buf_clear(struct buf *b);
void buf_add(struct buf *b, const void *p, size_t n);
void buf_addz(struct buf *b, const char *z);
void buf_addc(struct buf *b, char c);
void buf_adds(struct buf *b, struct str s);
void buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void buf_vprintf(struct buf *b, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));
/* Drops the first n bytes (a consumed prefix). */
void buf_drop(struct buf *b, size_t n);
static inline struct str buf_str(const struct buf *b)
{
	return (struct str){.p = b->p, .n = b->n};
}
/* Appends s as a JSON string with quotes and escapes; invalid UTF-8 becomes U+FFFD. */
void buf_json(struct buf *b, struct str s);

#define AUTO_BUF __attribute__((cleanup(buf_fini))) struct buf

#endif
