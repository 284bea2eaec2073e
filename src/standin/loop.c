/* SPDX-License-Identifier: Apache-2.0 */
/* Event loop of the stand-in: see loop.h. Must never block but in epoll_wait. Called by all of src/standin.
 */
#include <errno.h>
#include <unistd.h>

#include "base/clock.h"
#include "standin/loop.h"

int loop_init(struct loop *l)
{
	*l = (struct loop){.ep = epoll_create1(EPOLL_CLOEXEC)};
	return l->ep < 0 ? -errno : 0;
}

void loop_fini(struct loop *l)
{
	if (l->ep >= 0)
		close(l->ep);
	l->ep = -1;
}

int loop_watch(struct loop *l, struct watch *w, uint32_t events)
{
	struct epoll_event e = {.events = events, .data.ptr = w};

	return epoll_ctl(l->ep, EPOLL_CTL_ADD, w->fd, &e) ? -errno : 0;
}

int loop_change(struct loop *l, struct watch *w, uint32_t events)
{
	struct epoll_event e = {.events = events, .data.ptr = w};

	return epoll_ctl(l->ep, EPOLL_CTL_MOD, w->fd, &e) ? -errno : 0;
}

void loop_close(struct loop *l, struct watch *w)
{
	if (w->fd < 0)
		return;
	epoll_ctl(l->ep, EPOLL_CTL_DEL, w->fd, NULL);
	close(w->fd);
	w->fd = -1;
	for (int i = l->i; i < l->n; i++)
		if (l->batch[i].data.ptr == w)
			l->batch[i].data.ptr = NULL;
}

/* New timers are mostly the latest: look for their place from the end. */
void loop_arm(struct loop *l, struct timer *t, uint64_t in_ms)
{
	struct timer *after;

	loop_disarm(l, t);
	t->at = clock_ms() + in_ms;
	for (after = l->last; after && after->at > t->at; after = after->prev)
		;
	t->prev = after;
	t->next = after ? after->next : l->first;
	if (t->next)
		t->next->prev = t;
	else
		l->last = t;
	if (after)
		after->next = t;
	else
		l->first = t;
	t->armed = true;
}

void loop_disarm(struct loop *l, struct timer *t)
{
	if (!t->armed)
		return;
	if (t->prev)
		t->prev->next = t->next;
	else
		l->first = t->next;
	if (t->next)
		t->next->prev = t->prev;
	else
		l->last = t->prev;
	t->armed = false;
	t->prev = t->next = NULL;
}

static int loop_timers(struct loop *l)
{
	uint64_t now = clock_ms();

	while (l->first && l->first->at <= now) {
		struct timer *t = l->first;

		loop_disarm(l, t);
		t->fn(t);
	}
	if (!l->first)
		return -1;
	now = clock_ms();
	return l->first->at <= now ? 0 : (int)(l->first->at - now < 60000 ? l->first->at - now : 60000);
}

int loop_run(struct loop *l)
{
	while (!l->stop) {
		int wait = loop_timers(l);

		if (l->stop)
			break;
		l->n = epoll_wait(l->ep, l->batch, (int)(sizeof(l->batch) / sizeof(l->batch[0])), wait);
		if (l->n < 0 && errno != EINTR)
			return -errno;
		for (l->i = 0; l->i < l->n; l->i++) {
			struct watch *w = l->batch[l->i].data.ptr;

			if (w)
				w->fn(w, l->batch[l->i].events);
		}
		l->n = 0;
	}
	return 0;
}
