/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pen: the one process that may write manifests, for a hub that may not. It knows one request: "this file, as
 * long as it holds these bytes, shall hold those". It parses nothing and writes nowhere but below the paths
 * that it was started with. It ends with the hub.
 */
#ifndef WEFT_HUB_PEN_H
#define WEFT_HUB_PEN_H

#include "base/str.h"

struct pen;

/* Starts the process. To be called before anything else is open and before privileges go. Paths are folders
 * and files as the hub knows them; they must live on. dir: the runtime folder; of the pens there only one
 * writes, and one whose hub was killed ends what it began first. 0 or -errno. */
int pen_start(struct pen **out, const char *dir, const char *const *paths, size_t n);
void pen_free(struct pen **p);

/* Waits until it is this one that writes: what a file holds from now on, no other pen changes. 0 or -errno.
 */
int pen_ready(struct pen *p);
/* It does not answer any more: what it was asked last may be done or not. */
bool pen_lost(const struct pen *p);
/* What a pen that was killed left beside the file goes. */
void pen_tidy(struct pen *p, const char *path);
/* The file becomes `text`, in one step and kept on disk, with its mode and owner. A text with p NULL is a
 * file that is not there: it is made (as its folder is owned, mode 0644), or it goes. On failure it is as it
 * was and *why says what to do: -ESTALE: it does not hold `was` any more; -EBUSY: somebody has it open for
 * writing; -EPERM: it is not to be written; else -errno of the disk. */
int pen_write(struct pen *p, const char *path, struct str was, struct str text, const char **why);

#endif
