/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hub of one broker host without a cluster: what weft broker, its parent, tells each second over the socket
 * that it was started with (descriptor 3), as lines of JSON. The hub ends when that socket does. It says
 * nothing over it.
 */
#ifndef WEFT_HUB_HOST_H
#define WEFT_HUB_HOST_H

#include <jansson.h>

#include "hub/hub.h"

/* Reads from the loop's next turn on. 0 or -errno. */
int host_new(struct host **out, struct hub *h);
void host_stop(struct host *s); /* before the loop ends */
void host_free(struct host **s);

/* Objects that may live in the hub there, and in no file: none of them says what is copied. */
bool host_keeps(enum kind k);

/* What weft broker counts, in the words of weft-copier's own account; a new reference, NULL: it is none. */
json_t *host_account(const json_t *line);

#endif
