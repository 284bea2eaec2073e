/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What tests of taps share: src0 ↔ gen0 and tool0 ↔ end0 in the node's namespace, taps between them, frames
 * that are taken or left, and whose program stands at src0.
 */
#ifndef WEFT_TEST_RUN_TAP_PLAY_H
#define WEFT_TEST_RUN_TAP_PLAY_H

#include "apply/tap.h"

enum { PORT_TAKEN = 4000, PORT_LEFT = 4001, WAIT_MS = 3000 };

struct wanted {
	struct tap_judge judge;
	struct tap_place places[2];
	struct tap_outlet outlets[2];
	struct taps t;
};

/* Port 4000 at src0 goes to weft-copier, and straight to tool0. */
void want(struct wanted *w, uint32_t epoch);

void tap_links(void);
int packets_of(const char *name); /* a packet socket */
/* UDP over IPv4, 60 bytes. */
void send_frame(int out, uint16_t port, uint8_t tag);
/* Tag of the next frame that comes in, 0: none within the time. */
int next_tag(int fd, int wait_ms);
/* Sends one that is left and one that is taken; the latter alone comes. */
bool taken(int out, int at, uint8_t tag);

bool said(const char *command); /* it ends with 0 */
/* Whose program is at src0's ingress? The newest of that name. */
bool serves(const char *program);

#endif
