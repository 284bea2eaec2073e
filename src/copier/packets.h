/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packets: the packet socket at weft-copy1: its ring of copies that came (TPACKET_V3, with the kernel's notes
 * on checksums and segments), and frames that go to outlets by it. Owns the descriptor and the ring.
 */
#ifndef WEFT_COPIER_PACKETS_H
#define WEFT_COPIER_PACKETS_H

#include <stdbool.h>
#include <uv.h>

#include "chain/packet.h"

struct packet_seen {		    /* holds during the call */
	struct chain_packet packet; /* source is not set */
	uint32_t mark;		    /* seam/tap.h */
};

struct packets;
struct packets_options {
	uv_loop_t *loop;
	void (*seen)(void *ctx, const struct packet_seen *p);
	void (*batch)(void *ctx);	      /* no more at the moment */
	void (*failed)(void *ctx, int error); /* its interface went: nothing comes any more */
	void *ctx;
};
/* Takes over the bound socket on success: 0 or -errno. */
int packets_new(struct packets **out, int fd, const struct packets_options *o);
/* Whether no copy waits in the ring but those that came in the last PACKETS_RETIRE_MS. */
bool packets_idle(const struct packets *p);
enum { PACKETS_RETIRE_MS = 20 };
/* At the end of the process: hands on what waits, and what comes within that time. */
void packets_drain(struct packets *p, int ms);
/* Copies that found no room in the ring since the start. */
uint64_t packets_lost(struct packets *p);
/* A frame for the outlet of that number: 0, or -errno (-EAGAIN: the socket is full). */
int packets_send(struct packets *p, uint32_t outlet, const uint8_t *frame, uint32_t n);
void packets_free(struct packets **p);

#endif
