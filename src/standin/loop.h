/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Event loop of the stand-in: descriptors by epoll, and timers in one list sorted by time. Small on purpose:
 * a cluster holds one such process per container. Watches and timers are embedded in what owns them and must
 * be removed before that is freed. Not for other programs.
 */
#ifndef WEFT_STANDIN_LOOP_H
#define WEFT_STANDIN_LOOP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

struct watch {
	int fd; /* -1: not watched */
	void (*fn)(struct watch *w, uint32_t events);
};

struct timer {
	uint64_t at; /* monotonic ms */
	struct timer *prev, *next;
	bool armed;
	void (*fn)(struct timer *t);
};

struct loop {
	int ep;
	struct timer *first, *last;
	struct epoll_event batch[32];
	int n, i; /* of the batch being dispatched */
	bool stop;
};

int loop_init(struct loop *l);
void loop_fini(struct loop *l);
/* Starts watching w->fd for `events` (level-triggered). 0 or -errno. */
int loop_watch(struct loop *l, struct watch *w, uint32_t events);
int loop_change(struct loop *l, struct watch *w, uint32_t events);
/* Stops watching and closes w->fd; events of this round for it are not delivered. */
void loop_close(struct loop *l, struct watch *w);
void loop_arm(struct loop *l, struct timer *t, uint64_t in_ms);
void loop_disarm(struct loop *l, struct timer *t);
/* Runs until l->stop. 0 or -errno of epoll_wait. */
int loop_run(struct loop *l);

#endif
