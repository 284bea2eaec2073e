/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weft-box: gives an own program of a pod its root, its uids and its view of processes, and waits for it.
 * Starts with all rights in the pod's network namespace and cgroup; the program has none on the machine.
 * Reads its spec, made by the sandbox (program.c), from descriptor 3. A failure is one line on stderr and the
 * exit status 128.
 */
#ifndef WEFT_BOX_BOX_H
#define WEFT_BOX_BOX_H

#include <jansson.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum { BOX_FAILED = 128, BOX_UIDS = 65536 };

struct box {
	json_t *spec;
	unsigned base;	      /* uid 0 of the program is this one of the machine's */
	int users;	      /* its user namespace */
	char place[PATH_MAX]; /* a folder for its root */
};

_Noreturn void box_fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
const char *box_text(const struct box *b, const char *key);

/* root.c: makes the root and goes into it; in a mount namespace of its own. */
void root_make(const struct box *b);

/* skeleton.c: the folders of the layer at `up`, as the program's own. */
void skeleton_make(const struct box *b, const char *up);
/* Folders that are the container's own from the start, empty but for folders; ends by NULL. */
extern const char *const skeleton_fresh[];

/* mounts.c: /dev, /proc, /sys, volumes and single files below the root's path. */
void mounts_make(const struct box *b, const char *root);

/* user.c */
int user_namespace(unsigned base); /* a new one; its descriptor */
/* Goes into it and becomes its root, with the rights that container runtimes leave a root. */
void user_enter(const struct box *b);
/* The program's own uid, gid and groups; never to gain more. */
void user_become(const struct box *b);

/* inside.c */
/* As the first process of the program's: starts it, ends with it. */
_Noreturn void inside_run(const struct box *b);
/* Becomes the program. */
_Noreturn void inside_exec(const struct box *b);

#endif
