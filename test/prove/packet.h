/* SPDX-License-Identifier: Apache-2.0 */
/* Packets: a question and what else is in a frame, and the frame itself. */
#ifndef WEFT_TEST_PROVE_PACKET_H
#define WEFT_TEST_PROVE_PACKET_H

#include "base/addr.h"

struct packet_spec {
	struct addr src, dst;
	uint8_t proto;
	uint16_t sport, dport;			     /* host order; ICMP echo: sport is the identifier */
	enum { WHOLE, FIRST_PART, LATER_PART } part; /* of a datagram that was cut; its number is sport */
	bool later;				     /* of an open connection: TCP has ACK alone */
	bool reply;				     /* SYN+ACK, echo reply */
	const uint8_t *payload;			     /* UDP only; NULL: 8 zero bytes */
	size_t payload_len;
};

bool packet_has_ports(uint8_t proto);
/* Length of the Ethernet frame written to `to`, which has room for 128 bytes and the payload. */
size_t packet_frame(const struct packet_spec *p, uint8_t *to);
/* Turns a frame round: its ends and ports exchanged, as an answer. */
void packet_turn(uint8_t *frame);

#endif
