/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One connected socket on the event loop: what is read is handed on in pieces, what is written waits in a
 * buffer when the other side is slow. The owner stops reading when it has nowhere to put the data, and holds
 * back what it writes by duplex_pending(); that is all the back-pressure there is. Never blocks.
 */
#ifndef WEFT_SERVE_DUPLEX_H
#define WEFT_SERVE_DUPLEX_H

#include <uv.h>

#include "base/str.h"

enum { DUPLEX_READ = 65536, DUPLEX_HIGH = 262144, DUPLEX_LOW = 65536 };

struct duplex;
struct duplex_ops { /* all on the loop; each may close the duplex */
	void (*data)(struct duplex *d, char *p, size_t n);
	void (*ended)(struct duplex *d); /* end of file or an error: nothing more comes; once */
	/* At most DUPLEX_LOW bytes wait, after some had to: who sent them last does not matter. May be NULL.
	 */
	void (*drained)(struct duplex *d);
};

struct duplex {
	const struct duplex_ops *ops;
	struct buf out; /* append here, then duplex_flush() */
	size_t piece;	/* most bytes of one read; 0: DUPLEX_READ */
	bool hangs_up;	/* the other side's end counts at once, even while nothing is read */
	/* private */
	uv_poll_t poll;
	void (*freed)(struct duplex *d);
	size_t sent;
	int fd, events;
	bool reading, open, ended, owes; /* owes: a drained() is due */
};

/* fd is connected; it becomes non-blocking, and stays the caller's to close after duplex_close(). Starts to
 * read. */
int duplex_init(struct duplex *d, uv_loop_t *loop, int fd, const struct duplex_ops *ops);
void duplex_read(struct duplex *d, bool on);
void duplex_flush(struct duplex *d);
/* Bytes that wait to be sent. */
static inline size_t duplex_pending(const struct duplex *d)
{
	return d->out.n - d->sent;
}
/* No callback comes after it; `freed` is called when the memory may go, on a later turn of the loop. */
void duplex_close(struct duplex *d, void (*freed)(struct duplex *d));

#endif
