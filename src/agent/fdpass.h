/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages with descriptors over SOCK_SEQPACKET, and the few messages between weft-agent and its children. A
 * child finds its control socket at descriptor CONTROL_FD; it ends when that socket does. Only control_dial()
 * waits.
 */
#ifndef WEFT_AGENT_FDPASS_H
#define WEFT_AGENT_FDPASS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { CONTROL_FD = 3, FDPASS_MAX = 80 };

enum control {
	CONTROL_PEER = 1, /* agent → planner and applier: their socket to each other, one descriptor */
	CONTROL_LISTEN, /* agent → planner, observer: a socket to accept on; `value` is enum control_listen */
	CONTROL_OBSERVE, /* agent → applier: send the descriptors that enum control_observe says to this
			    socket;  → observer, weft-copier: from it */
	CONTROL_CLEAN,	 /* agent → applier: remove everything that was made, then end */
	CONTROL_DIAL, /* planner, observer → agent: a connection is wanted, `value` says to whom; the answer
		       * has the descriptor, or none and the errno in `value` */
	CONTROL_KEEP, /* applier → agent: keep this descriptor for the applier that comes after me, `value`
		       * names it; without one: let it go. agent → applier: one that an earlier applier gave
		       */
	CONTROL_READY, /* child → agent: in force, value = milliseconds since its start */
	CONTROL_WANT, /* planner → agent: enum control_want says what of weft-copier is wanted from now on */
	CONTROL_CONFIG, /* agent → planner: its socket to weft-copier, whenever that starts; weft-copier gets
			 * the other end as CONTROL_PEER */
	CONTROL_PACKETS,  /* agent → weft-copier: a packet socket, bound to weft-copy1 */
	CONTROL_FILES,	  /* agent → weft-copier: the folder of its files */
	CONTROL_ARRIVALS, /* agent → weft-copier: a UDP socket, bound to the uplink: copies of other nodes */
};
enum control_listen {
	LISTEN_ALL,
	LISTEN_QUESTIONS, /* planner: of who may only ask why */
};
enum control_observe {
	OBSERVE_ALL,	 /* the observer's */
	OBSERVE_OUTLETS, /* BPF map outlet_count, to read */
};
enum control_want {
	WANT_COPIER = 1, /* the program; until weft-agent ends */
	WANT_PACKETS,	 /* and its packet socket: the applier has made weft-copy1 (anew) */
	WANT_ARRIVALS,	 /* and its socket for copies of other nodes */
};
enum control_dial { DIAL_HUB, DIAL_RUNTIME }; /* the runtime: whoever runs this node's containers */
struct control_message {
	uint32_t type; /* enum control */
	int32_t value;
};

/* 0 or -errno. The descriptors stay the caller's. */
int fdpass_send(int sock, const void *message, size_t n, const int *fds, unsigned nfds);
/* Bytes, 0 at the end of the conversation, or -errno (-EMSGSIZE: cut off, descriptors closed). */
ssize_t fdpass_recv(int sock, void *message, size_t n, int *fds, unsigned *nfds, unsigned fds_max);

int control_send(int sock, enum control type, int32_t value, int fd); /* fd -1: none */
/* 1 with a message (its descriptor or -1 in *fd), 0 at the end, or -errno. */
int control_recv(int sock, struct control_message *m, int *fd);
/* A child's: asks weft-agent for a connection and waits for it, at most 2 s. Other messages that
 * come first go to `other`, with their descriptor, which that owns. The connection, or -errno (-EPIPE:
 * weft-agent is gone). */
int control_dial(enum control_dial whom, void (*other)(void *ctx, const struct control_message *m, int fd),
		 void *ctx);

#endif
