/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The client of the API: keeps a store equal to what the hub (or an API server) holds of some kinds, by list
 * and watch. While the hub is away the store stays as it is; after a gap a new list is held against it, and
 * what is gone is deleted. Writes the store from the loop's thread only.
 */
#ifndef WEFT_AGENT_HUB_H
#define WEFT_AGENT_HUB_H

#include "serve/curl_loop.h"
#include "store/store.h"

struct hub;
struct hub_options {
	/* Drops what the program never reads of an object, see decode_limits; NULL: nothing. */
	void (*narrow)(struct object *o);
	struct curl_loop *curl;
	struct store *store;
	const char *user; /* name in log lines */
	const enum kind *kinds;
	unsigned n_kinds;
	const char *pod_selector; /* field selector for pods, URL-encoded, or NULL */
	/* Called once, when every kind was listed for the first time. */
	void (*listed)(void *ctx);
	void *ctx;
};
int hub_new(struct hub **out, const struct hub_options *o);
void hub_free(struct hub **h);
bool hub_listed(const struct hub *h);
/* Whether every watch stands right now. */
bool hub_connected(const struct hub *h);

#endif
