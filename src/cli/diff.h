/* SPDX-License-Identifier: Apache-2.0 */
/* What commands that reason over files share: two worlds, compared. */
#ifndef WEFT_CLI_DIFF_H
#define WEFT_CLI_DIFF_H

#include <jansson.h>

#include "cli/world.h"
#include "reason/diff.h"
#include "reason/label.h"

struct compared {
	struct store *stores[ENGINES];
	struct port_fns fns;
	struct pod_pairs pairs;
	struct engine *engines[ENGINES];
	struct diff diff;
};
/* Takes the stores over, also on failure (told on stderr). 0 or -1. */
int compared_new(struct compared *c, struct store *before, struct store *after, bool staged);
void compared_fini(struct compared *c);

void diff_print(const struct compared *c);
json_t *diff_json(const struct compared *c);

#endif
