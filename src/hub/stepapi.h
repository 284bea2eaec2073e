/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changes as clients see them: making one, the list, one of them, undoing one, and the export of all objects.
 * Requests are JSON in, JSON out (doc/internals.md has them). Called for the command line's requests over the
 * Unix socket and for the page's.
 */
#ifndef WEFT_HUB_STEPAPI_H
#define WEFT_HUB_STEPAPI_H

#include "hub/page.h"

/* Who asks: `user` is his name in the history, `who` says what he may. */
struct step_client {
	const char *user;
	const struct who *who;
};

/* rest: what follows "changes" in the path ("", "/12", "/12/undo"). Fills status and body; failures are in e.
 */
void stepapi_changes(struct hub *h, const struct step_client *by, const struct http_request *rq,
		     const char *rest, struct http_reply *rp, struct api_error *e);
/* All that users say of objects, as YAML. */
void stepapi_export(struct hub *h, const struct step_client *by, struct http_reply *rp, struct api_error *e);

#endif
