/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Growable typed arrays. VEC(T) is an anonymous struct of items, len and cap; zeroed is empty.
 * All growth goes through vec_reserve_(), which returns -ENOMEM and leaves the vector as it was.
 */
#ifndef WEFT_BASE_VEC_H
#define WEFT_BASE_VEC_H

#include <stddef.h>
#include <stdlib.h>

#define VEC(T)                                                                                               \
	struct {                                                                                             \
		T *items;                                                                                    \
		size_t len, cap;                                                                             \
	}

/* 0 or -ENOMEM. Makes room for `want` items of `size` bytes. */
int vec_reserve_(void **items, size_t *cap, size_t want, size_t size);

#define vec_reserve(v, want) vec_reserve_((void **)&(v)->items, &(v)->cap, (want), sizeof(*(v)->items))

/* Appends a copy of x: 0 or -ENOMEM. */
#define vec_push(v, ...)                                                                                     \
	({                                                                                                   \
		int vec_r_ = vec_reserve((v), (v)->len + 1);                                                 \
		if (!vec_r_)                                                                                 \
			(v)->items[(v)->len++] = (__VA_ARGS__);                                              \
		vec_r_;                                                                                      \
	})

#define vec_free(v)                                                                                          \
	do {                                                                                                 \
		free((v)->items);                                                                            \
		(v)->items = NULL;                                                                           \
		(v)->len = (v)->cap = 0;                                                                     \
	} while (0)

/* Removes item i, keeping the order. */
#define vec_remove(v, i)                                                                                     \
	do {                                                                                                 \
		size_t vec_i_ = (i);                                                                         \
		__builtin_memmove(&(v)->items[vec_i_], &(v)->items[vec_i_ + 1],                              \
				  ((v)->len - vec_i_ - 1) * sizeof(*(v)->items));                            \
		(v)->len--;                                                                                  \
	} while (0)

#define VEC_EACH(v, it) for (__typeof__(*(v)->items) *it = (v)->items; it && it < (v)->items + (v)->len; it++)

#endif
