/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The plan on its way from planner to applier: messages of one SOCK_SEQPACKET socket, both ends on one
 * machine and of one build (native byte order; a foreign build is refused by the head's version). Encoding
 * and decoding only: no descriptor is touched here. The decoder trusts nothing: sizes are checked against
 * row_sizes() before use. Called by the planner (agent/), by apply/ and by the tests that play a hostile
 * planner.
 */
#ifndef WEFT_COMPILE_WIRE_H
#define WEFT_COMPILE_WIRE_H

#include "compile/plan.h"
#include "seam/ask.h"

enum {
	WIRE_MESSAGE_MAX = 60 * 1024,
	WIRE_STEPS_MAX = 64,
	WIRE_ROWS_MAX = 4 * 1000 * 1000,
	WIRE_ASKS_MAX = 512
};

enum wire_type {
	/* planner → applier */
	WIRE_HELLO = 1, /* nothing follows; answered by WELCOME */
	WIRE_NAMESPACE, /* char uid[40]; fds: namespace, NETLINK_ROUTE socket in it, NETLINK_SOCK_DIAG socket
			   in it */
	WIRE_BEGIN,	/* a transaction begins; what was collected before it is dropped */
	WIRE_ROWS,	/* changes of the transaction; also applier → planner as answer to READBACK */
	WIRE_COMMIT,	/* apply; answered by RESULTS (one int32 a row, in order, in pieces), then DONE */
	WIRE_READBACK,	/* answered by ROWS (as ADDs), then FAULTS */
	WIRE_ASK,	/* struct ask, `count` of them; answered by ANSWER */
	WIRE_LOSE,	/* struct wire_loss; answered by LOST */
	WIRE_TAPS,	/* nothing follows; fd: a memfd that holds taps (tap/tap.h); answered by TAPPED */
	/* applier → planner */
	WIRE_WELCOME, /* struct wire_welcome */
	WIRE_RESULTS, /* int32_t per row: 0 or -errno; -ECANCELED: not tried */
	WIRE_DONE,    /* struct wire_done, then text up to the end */
	WIRE_FAULTS,  /* text: what is missing besides rows (filters, links), a line each; empty when all is
			 there */
	WIRE_LOST,    /* int32_t: 0 or -errno */
	WIRE_ANSWER,  /* int32_t: 0 or -errno; with 0 the same struct ask, answered */
	WIRE_TAPPED,  /* int32_t: 0, or -errno: the taps before it are in force; then text up to the end: what
			 is  not there yet, or what is wrong, a line each */
	WIRE_TYPE_END,
};

struct wire_head {
	uint32_t version; /* WIRE_VERSION */
	uint16_t type;	  /* enum wire_type */
	uint16_t count;	  /* rows or results that follow */
	uint32_t txn;	  /* chosen by the planner, repeated in the answers */
};
#define WIRE_VERSION 0x57460004u

/* `weft fault --loss`: not of the plan; it stays until it is set to 0 or the pod's link goes. */
struct wire_loss {
	uint32_t ifindex;    /* host-side interface of a pod; 0: the uplink */
	uint32_t millionths; /* of its packets that are lost; 0: none */
};

struct wire_welcome {
	uint32_t mode;		 /* MODE_… */
	uint32_t uplink, tunnel; /* ifindexes; tunnel 0 without one */
	uint32_t mtu;		 /* of the uplink */
	uint8_t uplink_mac[6];
	uint8_t fresh;			  /* 1: no pins were found, the kernel holds nothing yet */
	uint8_t tapped;			  /* 1: taps of an earlier planner may be in force */
	uint32_t entries[PLAN_MAP_COUNT]; /* capacity of each BPF map */
};

enum wire_status {
	WIRE_APPLIED, /* every row is in force and was read back */
	WIRE_REFUSED, /* nothing was changed; the text says why */
	WIRE_PARTLY,  /* RESULTS say which rows failed; BPF map rows were put back as they were if one of them
			 failed */
};
struct wire_done {
	uint32_t status; /* enum wire_status */
	uint32_t failed; /* rows */
	uint32_t us;	 /* time spent */
};

/* Starts a message in b (cleared before). Finish nothing: b is the message; head.count is kept up to date. */
void wire_start(struct buf *b, enum wire_type type, uint32_t txn);
/* Appends a change of step `step`. 0, -EMSGSIZE (send b, start the next, call again), -EINVAL (sizes are not
 * those of the row's type) or -ENOMEM. A DEL carries no value. */
int wire_put(struct buf *b, unsigned step, const struct change *c);
int wire_put_result(struct buf *b, int32_t result); /* -EMSGSIZE, -ENOMEM */

/* Starts ASK, or ANSWER with its result, with n ≤ WIRE_ASKS_MAX questions. b->failed when out of memory. */
void wire_asks(struct buf *b, enum wire_type type, uint32_t txn, int32_t result, const struct ask *asks,
	       size_t n);
/* Questions of a message of that type whose head was read; *result (of ANSWER) may be NULL for ASK. 0 or
 * -EPROTO. */
int wire_asks_read(const void *message, size_t n, int32_t *result, struct ask asks[WIRE_ASKS_MAX],
		   size_t *count);

/* Reads the head of a message of n bytes. 0 or -EPROTO. */
int wire_head(const void *p, size_t n, struct wire_head *out);
struct wire_reader {
	const uint8_t *p;
	size_t n;
	unsigned left;
};
/* Over the rows of a message whose head was read: 1 (one more; c's key and value point into the message,
 * value is NULL for DEL, origin is empty), 0 (end), -EPROTO (cut short, unknown type, wrong sizes, step ≥
 * WIRE_STEPS_MAX, or bytes left over). */
void wire_reader_init(struct wire_reader *r, const void *message, size_t n);
int wire_next(struct wire_reader *r, unsigned *step, struct change *c);

#endif
