/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * DNS messages of pods, as they pass: what a pod of this node asks, and what it is answered. Ring asked. The
 * record ends with the message's bytes that are there, so its length tells how many.
 */
#ifndef WEFT_SEAM_ASKED_H
#define WEFT_SEAM_ASKED_H

#include "seam/addr.h"

#define ASKED_BYTES 1232 /* of a message; what lies behind is not told */

#define ASKED_ANSWER 1u /* goes from the server to who asked */

struct asked {
	__u64 at; /* monotonic ns */
	struct addr16 asker, server;
	__u16 asker_port, server_port; /* network order */
	__u8 proto;
	__u8 flags; /* ASKED_… */
	__u16 len;  /* of the message on its way, bytes */
	__u8 message[ASKED_BYTES];
};
WEFT_SEAM_SIZE(struct asked, 1280);

#endif
