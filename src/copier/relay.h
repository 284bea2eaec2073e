/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Relay: copies on their way from one node to a tool on another, between two weft-copiers, over UDP
 * (doc/internals.md). A copy that fits goes whole, behind eight bytes that are a VXLAN header to whoever
 * looks (RFC 7348; the key fills what is reserved there, too); one that does not goes in parts, each with the
 * port's number, which the other end joins: fragments of IP would hide from taps what they belong to. A node
 * asks whether the tool takes what it sends, and the tool's node answers. Pure: frames and messages, no
 * descriptor.
 */
#ifndef WEFT_COPIER_RELAY_H
#define WEFT_COPIER_RELAY_H

#include "base/addr.h"

/* Both sides send to this port; from one that only the privileged can have, so that no pod's packet that is
 * translated to the node's address on its way comes from it. */
enum { RELAY_PORT = 22341, RELAY_FROM = 512, RELAY_FROM_N = 512 };
enum {
	RELAY_ETHERNET = 14,
	RELAY_HEAD = 8,
	RELAY_PART_HEAD = 12,
	RELAY_ROOM = 128,	    /* of a frame that asks or answers */
	RELAY_COPY_MAX = 256 << 10, /* bytes of a copy */
	RELAY_PARTS_MAX = 512
};
#define RELAY_KEY_BITS 0xffffffffffffffull /* never 0 in use */

enum relay_kind { RELAY_WHOLE = 0x08, RELAY_PART = 0x18, RELAY_ASK = 0x28, RELAY_ANSWER = 0x48 };

struct relay_message {
	enum relay_kind kind;
	uint64_t key;	      /* of the tool port */
	const uint8_t *bytes; /* WHOLE: the frame; PART: this part of it */
	uint32_t n;
	uint32_t id, total; /* PART: of the copy: number, bytes */
	uint16_t part, parts;
	uint64_t cookie;  /* ASK, ANSWER */
	bool taking;	  /* ANSWER: the tool takes what comes */
	uint64_t arrived; /* ANSWER: copies for it from all nodes */
};

/* False: it is none of these. Borrows from p. */
bool relay_read(struct relay_message *out, const uint8_t *p, size_t n);

struct relay_way {
	struct addr from, to; /* of one family */
	uint32_t mtu;	      /* of outer IP packets, at least 576, at most 65535 */
	uint64_t key;
};
/* Bytes of a copy that fit into one frame, whole (part: as a part of one). */
uint32_t relay_room(const struct relay_way *w, bool part);
/* How many parts a copy of n bytes makes (1: it goes whole); 0: it is too large for all of them. */
uint32_t relay_parts(const struct relay_way *w, uint32_t n);
/* Offset and bytes of a part: all but the last are equal. */
void relay_part(uint32_t total, uint32_t parts, uint32_t part, uint32_t *offset, uint32_t *n);
/* One frame (MAC addresses are for the kernel to set) with the message; `flow` chooses the source port.
 * `out` has RELAY_ETHERNET + w->mtu bytes, or RELAY_ROOM for what asks and answers. Its length. */
uint32_t relay_frame(const struct relay_way *w, const struct relay_message *m, uint32_t flow, uint16_t ip_id,
		     uint8_t *out);

#endif
