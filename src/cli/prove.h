/* SPDX-License-Identifier: Apache-2.0 */
/* A packet in words, and as a scene that `weft test` replays. Shared by the commands that find such packets.
 */
#ifndef WEFT_CLI_PROVE_H
#define WEFT_CLI_PROVE_H

#include <jansson.h>

#include "reason/prove.h"

/* "dev/a (10.244.0.2) -> db/b (10.244.1.2) tcp 80". */
void packet_print(struct buf *b, const struct ends *e, const struct packet *p);
/* Two lines: what lets it out and in, or what refuses it. */
void decision_print(struct buf *b, const struct ends *e, const struct packet *p, const struct decision *d,
		    const char *indent);
json_t *packet_json(const struct ends *e, const struct packet *p, const struct decision *d);

/* A scene in which the packet must come through or not, over the manifests at `path`. false: scenes cannot
 * send such a packet; *why says why. */
bool packet_scene(struct buf *b, const struct ends *e, const struct packet *p, bool comes, const char *path,
		  struct str title, const char **why);

#endif
