/* SPDX-License-Identifier: Apache-2.0 */
/* What other nodes send to tools of this one: see arrivals.h. */
#include "copier/arrivals.h"

#include <errno.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <time.h>

#include "base/clock.h"
#include "base/own.h"
#include "copier/copier.h"
#include "copier/relay.h"

enum {
	BATCH = 32,
	TURNS = 8, /* batches a turn of the loop */
	DATAGRAM = 65536,
	JOINS = 64, /* copies of which parts wait */
	JOIN_MS = 1000
};

struct join { /* a copy whose parts come one by one; bytes NULL: free */
	struct addr from;
	uint64_t key, since; /* ms */
	uint32_t id, total;
	uint16_t parts, got;
	uint64_t have[RELAY_PARTS_MAX / 64];
	uint8_t *bytes;
};

struct arrivals {
	uv_poll_t poll;
	struct copier *c;
	int fd;
	uint32_t dropped; /* by the socket, as last read */
	uint16_t ip_id;
	struct arrivals_counts n;
	struct join joins[JOINS];
	uint8_t (*room)[DATAGRAM]; /* BATCH of them */
};

void arrivals_wants_fini(struct arrivals_wants *w)
{
	free(w->nodes);
	free(w->tools);
	*w = (struct arrivals_wants){0};
}

static uint64_t wall(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static bool is_node(const struct arrivals_wants *w, const struct addr *from)
{
	for (size_t i = 0; i < w->nodes_n; i++)
		if (addr_eq(&w->nodes[i], from))
			return true;
	return false;
}

static struct port *port_of(const struct epoch *e, uint64_t key)
{
	for (size_t i = 0; i < e->arrivals.tools_n; i++)
		if (e->arrivals.tools[i].key == key)
			return e->ports[e->arrivals.tools[i].port];
	return NULL;
}

static void deliver(struct port *p, const uint8_t *bytes, uint32_t n)
{
	const struct chain_packet k = {
	    .p = bytes, .caplen = n, .len = n, .link = CHAIN_LINK_ETHERNET, .time = wall()};

	port_arrive(p, &k);
}

/* --- parts ------------------------------------------------------------------------------------------ */

static void join_drop(struct arrivals *a, struct join *j, bool whole)
{
	a->n.joined += whole;
	a->n.incomplete += !whole;
	a->n.waiting--;
	free(j->bytes);
	*j = (struct join){0};
}

static bool is_of(const struct join *j, const struct addr *from, const struct relay_message *m)
{
	return j->bytes && j->id == m->id && j->key == m->key && j->total == m->total &&
	       j->parts == m->parts && addr_eq(&j->from, from);
}

/* The copy that the part belongs to; the one that waits longest makes room for a new one. */
static struct join *join_of(struct arrivals *a, const struct addr *from, const struct relay_message *m)
{
	struct join *to = &a->joins[0];

	for (struct join *j = a->joins; j < a->joins + JOINS; j++) {
		if (is_of(j, from, m))
			return j;
		if (to->bytes && (!j->bytes || j->since < to->since))
			to = j;
	}
	if (to->bytes)
		join_drop(a, to, false);
	to->bytes = malloc(m->total);
	if (!to->bytes)
		return NULL;
	a->n.waiting++;
	to->from = *from;
	to->key = m->key;
	to->id = m->id;
	to->total = m->total;
	to->parts = m->parts;
	to->since = clock_ms();
	return to;
}

static void take_part(struct arrivals *a, const struct addr *from, const struct relay_message *m,
		      struct port *p)
{
	struct join *j = join_of(a, from, m);
	uint64_t bit = 1ull << m->part % 64, *have = j ? &j->have[m->part / 64] : NULL;
	uint32_t offset, n;

	if (!j) {
		a->n.incomplete++;
		return;
	}
	if (*have & bit)
		return;
	*have |= bit;
	relay_part(m->total, m->parts, m->part, &offset, &n);
	memcpy(j->bytes + offset, m->bytes, n);
	if (++j->got < j->parts)
		return;
	deliver(p, j->bytes, j->total);
	join_drop(a, j, true);
}

void arrivals_tick(struct arrivals *a, uint64_t ms)
{
	for (struct join *j = a->joins; a->n.waiting && j < a->joins + JOINS; j++)
		if (j->bytes && ms > j->since + JOIN_MS)
			join_drop(a, j, false);
}

/* --- questions -------------------------------------------------------------------------------------- */

static void answer(struct arrivals *a, const struct epoch *e, const struct addr *to,
		   const struct relay_message *m, const struct port *p)
{
	const struct addr *own = addr_is4(to) ? &e->arrivals.own4 : &e->arrivals.own6;
	const struct relay_way way = {.from = *own, .to = *to, .mtu = 1280, .key = m->key};
	const struct relay_message says = {.kind = RELAY_ANSWER,
					   .key = m->key,
					   .cookie = m->cookie,
					   .taking = p && p->sink->taking,
					   .arrived = p ? p->tally->arrived : 0};
	uint8_t frame[RELAY_ROOM];
	uint32_t n;

	if (addr_is_zero(own) || !e->arrivals.outlet)
		return;
	n = relay_frame(&way, &says, a->ip_id, a->ip_id, frame);
	a->ip_id++;
	a->c->host.send(a->c->host.ctx, e->arrivals.outlet | OUTLET_CANARY, frame, n);
}

static void heard(struct arrivals *a, const struct addr *from, const struct relay_message *m)
{
	VEC_EACH (&a->c->sinks, s)
		if ((*s)->output && (*s)->ops == &output_relay)
			relay_heard((*s)->output, from, m);
}

/* --- datagrams -------------------------------------------------------------------------------------- */

void arrivals_take(struct arrivals *a, const struct addr *from, uint16_t port, const uint8_t *p, size_t n)
{
	const struct epoch *e = a->c->epochs[0];
	struct relay_message m;
	struct port *to;

	a->n.received++;
	if (!e || !is_node(&e->arrivals, from) || port < RELAY_FROM || port >= RELAY_FROM + RELAY_FROM_N) {
		a->n.stranger++;
		return;
	}
	if (!relay_read(&m, p, n)) {
		a->n.malformed++;
		return;
	}
	to = port_of(e, m.key);
	if (m.kind == RELAY_ASK) {
		a->n.asks++;
		answer(a, e, from, &m, to);
	} else if (m.kind == RELAY_ANSWER) {
		a->n.answers++;
		heard(a, from, &m);
	} else if (!to) {
		a->n.unknown++;
	} else if (m.kind == RELAY_WHOLE) {
		a->n.whole++;
		deliver(to, m.bytes, m.n);
	} else {
		a->n.parts++;
		take_part(a, from, &m, to);
	}
}

/* An IPv4 address comes as one mapped into IPv6, as struct addr has it. */
static bool source_of(const struct sockaddr_storage *at, struct addr *out, uint16_t *port)
{
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)at;
	const struct sockaddr_in *in4 = (const struct sockaddr_in *)(const void *)at;

	if (at->ss_family == AF_INET6) {
		memcpy(out->b, &in6->sin6_addr, sizeof(out->b));
		*port = ntohs(in6->sin6_port);
		return true;
	}
	*out = addr_from4(ntohl(in4->sin_addr.s_addr));
	*port = ntohs(in4->sin_port);
	return at->ss_family == AF_INET;
}

/* How many there were; more may be. */
static int take_batch(struct arrivals *a)
{
	struct mmsghdr h[BATCH] = {0};
	struct iovec v[BATCH];
	struct sockaddr_storage at[BATCH];
	int n;

	for (int i = 0; i < BATCH; i++) {
		v[i] = (struct iovec){a->room[i], DATAGRAM};
		h[i].msg_hdr = (struct msghdr){
		    .msg_name = &at[i], .msg_namelen = sizeof(at[i]), .msg_iov = &v[i], .msg_iovlen = 1};
	}
	n = recvmmsg(a->fd, h, BATCH, MSG_DONTWAIT, NULL);
	for (int i = 0; i < n; i++) {
		struct addr from;
		uint16_t port;

		if (source_of(&at[i], &from, &port))
			arrivals_take(a, &from, port, a->room[i], h[i].msg_len);
	}
	return n;
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
	struct arrivals *a = poll->data;

	(void)status;
	(void)events;
	for (int i = 0; i < TURNS && take_batch(a) == BATCH; i++)
		;
	sinks_flush(a->c);
}

int arrivals_new(struct arrivals **out, struct copier *c, int fd)
{
	struct arrivals *a = calloc(1, sizeof(*a));
	int r = -ENOMEM;

	if (!a)
		return r;
	a->c = c;
	a->fd = fd;
	a->poll.data = a;
	a->room = malloc(sizeof(*a->room) * BATCH);
	if (a->room && fd >= 0)
		r = uv_poll_init(&c->loop, &a->poll, fd);
	else if (a->room)
		r = 0; /* a test's */
	if (r) {
		free(a->room);
		free(a);
		return r;
	}
	if (fd >= 0)
		uv_poll_start(&a->poll, UV_READABLE, on_readable);
	*out = a;
	return 0;
}

static void drop(struct arrivals *a)
{
	for (struct join *j = a->joins; j < a->joins + JOINS; j++)
		free(j->bytes);
	free(a->room);
	own_fd(&a->fd);
	free(a);
}

static void on_closed(uv_handle_t *h)
{
	drop(h->data);
}

void arrivals_free(struct arrivals **pa)
{
	struct arrivals *a = TAKE(*pa);

	if (!a)
		return;
	if (a->fd < 0) {
		drop(a);
		return;
	}
	uv_poll_stop(&a->poll);
	uv_close((uv_handle_t *)&a->poll, on_closed);
}

const struct arrivals_counts *arrivals_counts(struct arrivals *a)
{
	uint32_t memory[SK_MEMINFO_VARS] = {0};
	socklen_t n = sizeof(memory);

	if (a->fd >= 0 && !getsockopt(a->fd, SOL_SOCKET, SO_MEMINFO, memory, &n)) {
		a->n.overflow += (uint32_t)(memory[SK_MEMINFO_DROPS] - a->dropped);
		a->dropped = memory[SK_MEMINFO_DROPS];
	}
	return &a->n;
}
