/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ownership: cleanup attributes for locals that own, and TAKE() for the visible hand-over.
 * Holds no state. Used by every room above.
 */
#ifndef WEFT_BASE_OWN_H
#define WEFT_BASE_OWN_H

#include <stdlib.h>
#include <unistd.h>

#define AUTO(free_fn) __attribute__((cleanup(free_fn)))
/* Declares the cleanup function own_NAME for `type *`, which calls free_fn(&local) (NULL is allowed). */
#define OWN_DEFINE(name, type, free_fn)                                                                      \
	static inline void own_##name(type **p)                                                              \
	{                                                                                                    \
		free_fn(p);                                                                                  \
	}

/* Hands the pointer over: yields its value and leaves NULL behind. */
#define TAKE(x)                                                                                              \
	({                                                                                                   \
		__typeof__(x) take_ = (x);                                                                   \
		(x) = NULL;                                                                                  \
		take_;                                                                                       \
	})
/* The same for file descriptors: leaves -1 behind. */
#define TAKE_FD(x)                                                                                           \
	({                                                                                                   \
		int take_ = (x);                                                                             \
		(x) = -1;                                                                                    \
		take_;                                                                                       \
	})

static inline void own_mem(void *p)
{
	void **q = (void **)p;
	free(*q);
	*q = NULL;
}

static inline void own_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

#define AUTO_MEM AUTO(own_mem)
#define AUTO_FD	 AUTO(own_fd)

#define ARRAY_LEN(a)	      (sizeof(a) / sizeof((a)[0]))
#define CONTAINER_OF(p, t, m) ((t *)((char *)(p)-offsetof(t, m)))

#endif
