/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Outlets as the kernel counts them: a read-only handle of the BPF map outlet_count, from the applier.
 * Without one nothing is known of what became of frames that were sent.
 */
#ifndef WEFT_COPIER_OUTLETS_H
#define WEFT_COPIER_OUTLETS_H

#include <stdbool.h>
#include <uv.h>

#include "seam/tap.h"

struct outlets;
/* Waits on the socket, which it owns from now on, for the applier's descriptors; others than this one are
 * closed. 0 or -errno. */
int outlets_new(struct outlets **out, uv_loop_t *loop, int fd);
/* Sums of all CPUs, of what this program asks for: 0, -ENODATA while there is no handle, or -errno. */
int outlets_read(struct outlets *o, uint32_t number, struct outlet_count *out);
/* Whether the last answer that some CPU saw has one of these n cookies. */
bool outlets_cookie(const struct outlets *o, uint32_t number, const uint64_t *cookies, size_t n);
void outlets_free(struct outlets **o);

#endif
