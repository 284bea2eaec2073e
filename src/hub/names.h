/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names that the hub makes: uids, the hashes in the names of ReplicaSets, pods and slices. Pure and the same
 * on every machine, so that a plan made without a cluster names what a cluster will name.
 */
#ifndef WEFT_HUB_NAMES_H
#define WEFT_HUB_NAMES_H

#include "base/str.h"

/* A uid in the form of a random UUID, from what is named and which life of that name it is. */
void name_uid(char out[37], const char *kind, struct str key, uint64_t life);
/* n letters and digits without vowels, NUL-terminated: out[n + 1]. */
void name_suffix(char *out, size_t n, uint64_t h);

#endif
