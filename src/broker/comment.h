/* SPDX-License-Identifier: Apache-2.0 */
/* What a chain did to a copy, in words for a capture's comment. Pure. */
#ifndef WEFT_BROKER_COMMENT_H
#define WEFT_BROKER_COMMENT_H

#include "base/str.h"
#include "chain/packet.h"

/* Appends "masked; taken out of VXLAN 10.0.0.1 to 10.0.0.2, number 7", or nothing; behind "; " where b is not
 * empty. */
void broker_comment(struct buf *b, const struct chain_packet *p);

#endif
