/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copies as flow records of an IPFIX collector (RFC 7011), over UDP or TCP. A packet is in flight until the
 * record of its flow was handed to the kernel. Before each beginning, and whenever messages came back, the
 * templates go alone: a collector that is away costs nothing but what its queue has no room for. Sequence
 * numbers count what was lost here too, so that the collector computes the same loss.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
/* after those of the C library */
#include <linux/errqueue.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/own.h"
#include "chain/layout.h"
#include "copier/output.h"
#include "copier/packetflow.h"
#include "filter/dissect.h"
#include "observe/ipfix.h"

enum {
	FLOWS = 32768,
	QUEUE = 1024, /* messages */
	BURST = 128,  /* sent in one tick, so that a collector keeps up */
	RECENT = 256, /* that may still come back */
	TEMPLATES_EACH = 64,
	TEMPLATES_SECONDS = 30,
	AGAIN_MS = 1000, /* until the next try */
	BEATS = 3,	 /* in the time in which a collector must answer */
	SEQUENCE_AT = 8,
	HEAD = 16,
};
#define SECOND_NS 1000000000ull

enum state {
	AWAY,	 /* the next try comes at `again` */
	PROBING, /* templates are out, or a connection is being made */
	THERE,
};

struct message {
	uint32_t records, sequence;
	uint64_t packets, octets;
	size_t n;
	uint8_t bytes[IPFIX_MESSAGE_MAX];
};
struct sent { /* and may come back */
	uint32_t sequence, records;
	uint64_t packets, octets;
};

struct ipfix_output {
	struct output head;
	struct packetflows *flows;
	struct sockaddr_storage collector;
	socklen_t collector_n;
	int fd;
	bool tcp;
	enum state state;
	uint64_t again, templates_at; /* monotonic ms */
	uint32_t beat, within; /* ms: templates so often, and taken in this time; 0: as they are needed */
	unsigned since_templates;
	struct ipfix message;	  /* that is being filled */
	uint64_t packets, octets; /* in it */
	struct message *queue;
	uint32_t queue_at, queue_n;
	size_t written; /* TCP: of the first message */
	struct sent recent[RECENT];
	uint32_t recent_at;
	struct output_counts counts;
	struct ipfix_statistics statistics;
	uint32_t own_sequence; /* of domain 0 */
	char *domain_name;
	struct { /* places by their number, for names */
		uint32_t id, ifindex;
		char name[64];
	} * places;
	uint32_t places_n;
};

/* --- flows to messages ----------------------------------------------------------------------------- */

static void lose(struct ipfix_output *o, enum output_loss why, uint64_t packets, uint32_t records)
{
	o->counts.losses[why] += packets;
	o->counts.in_flight -= packets;
	o->statistics.not_sent += records;
}

static void close_message(struct ipfix_output *o)
{
	struct ipfix *m = &o->message;
	struct message *to;

	if (!m->records)
		return;
	ipfix_end(m);
	if (o->queue_n == QUEUE) {
		lose(o, o->state == THERE ? LOST_QUEUE : LOST_UNREACHABLE, o->packets, m->records);
	} else {
		to = &o->queue[(o->queue_at + o->queue_n++) % QUEUE];
		*to = (struct message){.records = m->records,
				       .sequence = m->sequence,
				       .packets = o->packets,
				       .octets = o->octets,
				       .n = m->n};
		memcpy(to->bytes, m->bytes, m->n);
	}
	m->sequence += m->records;
	o->packets = o->octets = 0;
	ipfix_begin(m, (uint32_t)clock_wall());
}

static void told(void *ctx, const struct packetflow *f, enum packetflow_end why)
{
	struct ipfix_output *o = ctx;
	const struct packetflow_key *k = &f->key;
	struct ipfix_record r = {.from = k->from,
				 .to = k->to,
				 .from_port = k->from_port,
				 .to_port = k->to_port,
				 .proto = k->proto,
				 .end_reason = (uint8_t)why,
				 .status = packetflow_status(k),
				 .bytes = {f->bytes},
				 .packets = {f->packets},
				 .first = f->first / 1000000,
				 .last = f->last / 1000000,
				 .id = f->number,
				 .out = k->out,
				 .vlan = k->vlan};

	for (uint32_t i = 0; i < o->places_n; i++)
		if (o->places[i].id == k->place) {
			r.interface = o->places[i].ifindex;
			r.place = str_of(o->places[i].name);
		}
	if (!ipfix_add(&o->message, &r)) {
		close_message(o);
		ipfix_add(&o->message, &r); /* an empty one has room for any */
	}
	o->packets += f->packets;
	o->octets += f->bytes;
}

/* --- packets to flows ------------------------------------------------------------------------------ */

static void know_place(struct ipfix_output *o, const struct place *at)
{
	void *more;

	for (uint32_t i = 0; i < o->places_n; i++)
		if (o->places[i].id == at->id) {
			o->places[i].ifindex = at->ifindex;
			return;
		}
	more = realloc(o->places, (o->places_n + 1) * sizeof(*o->places));
	if (!more)
		return; /* its records go without a name */
	o->places = more;
	o->places[o->places_n].id = at->id;
	o->places[o->places_n].ifindex = at->ifindex;
	snprintf(o->places[o->places_n++].name, sizeof(o->places->name), "%s", at->name ?: "");
}

static void give(struct output *out, const struct chain_packet *p, const struct seen *s)
{
	enum { FIN_RST = 5 };
	struct ipfix_output *o = (struct ipfix_output *)out;
	const struct filter_packet packet = {.p = p->p,
					     .caplen = p->caplen,
					     .len = p->len,
					     .link = p->link,
					     .vlan_in_meta = p->flags & PACKET_VLAN_BESIDE,
					     .vlan_tci = p->vlan_tci,
					     .vlan_tpid = p->vlan_tpid};
	struct dissected d;
	struct layout l;

	dissect(&d, &packet);
	if (!(d.has & HAS_IP)) {
		o->counts.losses[LOST_NOT_IP]++;
		return;
	}
	layout_read(&l, p->p, p->caplen, p->len, p->link);
	know_place(o, s->at);
	o->counts.in_flight++;
	packetflows_add(o->flows,
			&(struct packetflow_key){.from = d.src,
						 .to = d.dst,
						 .from_port = d.has & HAS_PORTS ? d.sport : 0,
						 .to_port = d.has & HAS_PORTS ? d.dport : 0,
						 .vlan = d.has & HAS_VLAN ? d.vlan & 0xfff : 0,
						 .reason = s->dropped ? s->reason : 0,
						 .place = s->at->id,
						 .proto = d.proto,
						 .out = s->out,
						 .dropped = s->dropped},
			p->time, l.version && l.end > l.l3 ? l.end - l.l3 : p->len,
			d.has & HAS_TCP && d.tcp_flags & FIN_RST);
}

/* --- messages to the collector --------------------------------------------------------------------- */

static void go_away(struct ipfix_output *o)
{
	if (o->tcp && o->fd >= 0) {
		close(o->fd);
		o->fd = -1;
	}
	o->state = AWAY;
	o->again = clock_ms() + AGAIN_MS;
	o->counts.failing = true;
}

/* TCP: what the kernel has taken the half of never arrives whole. */
static void lose_first(struct ipfix_output *o)
{
	struct message *m = &o->queue[o->queue_at];

	lose(o, LOST_UNREACHABLE, m->packets, m->records);
	o->queue_at = (o->queue_at + 1) % QUEUE;
	o->queue_n--;
	o->written = 0;
}

static void refused(struct ipfix_output *o, uint32_t sequence)
{
	for (uint32_t i = 0; i < RECENT; i++) {
		struct sent *s = &o->recent[i];

		if (!s->records || s->sequence != sequence)
			continue;
		o->counts.sent -= s->packets;
		o->counts.sent_bytes -= s->octets;
		o->counts.losses[LOST_UNREACHABLE] += s->packets;
		o->statistics.records -= s->records;
		o->statistics.not_sent += s->records;
		s->records = 0;
	}
}

/* Datagrams that a machine sent back, since it has no collector. True where there were some. */
static bool take_back(struct ipfix_output *o)
{
	uint8_t bytes[IPFIX_MESSAGE_MAX];
	char control[512];
	bool some = false;

	for (;;) {
		struct iovec v = {bytes, sizeof(bytes)};
		struct msghdr m = {.msg_iov = &v,
				   .msg_iovlen = 1,
				   .msg_control = control,
				   .msg_controllen = sizeof(control)};
		ssize_t n = recvmsg(o->fd, &m, MSG_ERRQUEUE | MSG_DONTWAIT);

		if (n < 0)
			break;
		some = true;
		if (n >= HEAD)
			refused(o, get32(bytes + SEQUENCE_AT));
	}
	if (some) { /* it stands as the socket's error too */
		int error;
		socklen_t size = sizeof(error);
		getsockopt(o->fd, SOL_SOCKET, SO_ERROR, &error, &size);
	}
	return some;
}

/* 1: all of it; 0: no room now; -errno. */
static int put(struct ipfix_output *o, const uint8_t *p, size_t n, size_t *written)
{
	while (*written < n) {
		ssize_t r = send(o->fd, p + *written, n - *written, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return errno == EAGAIN || errno == ENOBUFS ? 0 : -errno;
		*written += (size_t)r;
	}
	return 1;
}

/* Templates, the domain's name and the exporter's numbers. TCP has room for them: they are the first, or come
 * between messages. */
static int put_templates(struct ipfix_output *o)
{
	struct ipfix m = {.domain = o->message.domain,
			  .sequence = o->queue_n ? o->queue[o->queue_at].sequence : o->message.sequence,
			  .place = true,
			  .room = IPFIX_MESSAGE_MAX};
	size_t written = 0;
	int r;

	ipfix_begin(&m, (uint32_t)clock_wall());
	ipfix_add_templates(&m);
	ipfix_end(&m);
	r = put(o, m.bytes, m.n, &written);
	if (r == 1) {
		struct ipfix own = {.sequence = o->own_sequence, .room = IPFIX_MESSAGE_MAX};

		ipfix_begin(&own, (uint32_t)clock_wall());
		ipfix_add_statistics(&own, &o->statistics);
		ipfix_add_domain(&own, o->message.domain, str_of(o->domain_name));
		ipfix_end(&own);
		written = 0;
		r = put(o, own.bytes, own.n, &written);
		o->own_sequence += own.records;
	}
	o->since_templates = 0;
	o->templates_at = clock_ms();
	return r == 1 || !written ? r : -EPIPE; /* half of it: the stream is of no use any more */
}

static void open_socket(struct ipfix_output *o)
{
	bool six = o->collector.ss_family == AF_INET6;
	int one = 1;

	if (o->fd < 0)
		o->fd = socket(o->collector.ss_family,
			       (o->tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (o->fd >= 0 && !o->tcp)
		setsockopt(o->fd, six ? IPPROTO_IPV6 : IPPROTO_IP, six ? IPV6_RECVERR : IP_RECVERR, &one,
			   sizeof(one));
	if (o->fd < 0 || (connect(o->fd, (struct sockaddr *)&o->collector, o->collector_n) &&
			  errno != EINPROGRESS && errno != EISCONN))
		go_away(o);
	if (o->fd >= 0 && o->tcp && o->within)
		setsockopt(o->fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &o->within, sizeof(o->within));
}

/* Whether the stream stands. */
static bool connected(struct ipfix_output *o)
{
	struct pollfd p = {.fd = o->fd, .events = POLLOUT};
	int error = 0;
	socklen_t n = sizeof(error);

	if (poll(&p, 1, 0) <= 0)
		return false;
	getsockopt(o->fd, SOL_SOCKET, SO_ERROR, &error, &n);
	if (!error && !(p.revents & (POLLERR | POLLHUP)))
		return true;
	go_away(o);
	return false;
}

static void try_state(struct ipfix_output *o)
{
	if (o->state == AWAY && clock_ms() >= o->again) {
		o->state = PROBING;
		open_socket(o);
		if (o->state == PROBING && !o->tcp && put_templates(o) < 0)
			go_away(o);
		return;
	}
	if (o->state != PROBING)
		return;
	if (o->tcp) {
		if (!connected(o))
			return;
		if (put_templates(o) != 1) {
			go_away(o);
			return;
		}
	} else if (take_back(o)) {
		go_away(o);
		return;
	}
	o->state = THERE;
	o->counts.failing = false;
}

/* 1: it left; 0: no room now; -errno. */
static int send_first(struct ipfix_output *o)
{
	struct message *m = &o->queue[o->queue_at];
	int r;

	if (!o->written && (o->since_templates >= TEMPLATES_EACH ||
			    clock_ms() - o->templates_at >= TEMPLATES_SECONDS * 1000ull)) {
		r = put_templates(o);
		if (r != 1)
			return r;
	}
	if (!o->written)
		ipfix_set_time(m->bytes, (uint32_t)clock_wall());
	r = put(o, m->bytes, m->n, &o->written);
	if (r != 1)
		return r;
	o->written = 0;
	o->recent[o->recent_at++ % RECENT] =
	    (struct sent){m->sequence, o->tcp ? 0 : m->records, m->packets, m->octets};
	o->counts.sent += m->packets;
	o->counts.sent_bytes += m->octets;
	o->counts.in_flight -= m->packets;
	o->statistics.messages++;
	o->statistics.records += m->records;
	o->statistics.bytes += m->n;
	o->since_templates++;
	o->queue_at = (o->queue_at + 1) % QUEUE;
	o->queue_n--;
	return 1;
}

static void drain(struct ipfix_output *o)
{
	int r = 1;

	for (unsigned i = 0; i < BURST && o->queue_n && r == 1; i++)
		r = send_first(o);
	if (!o->tcp && take_back(o))
		r = -ECONNREFUSED;
	if (r >= 0)
		return;
	if (o->written)
		lose_first(o);
	go_away(o);
}

/* A collector answers nothing. What can be known without records: over TCP that its machine takes what is
 * sent, and that it has not hung up; over UDP that its machine does not send templates back. */
static void ask(struct ipfix_output *o)
{
	uint8_t byte;
	int r = 0;

	if (o->state != THERE)
		return;
	if (o->tcp && !recv(o->fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK))
		r = -EPIPE;
	if (!r && !o->written && clock_ms() - o->templates_at >= o->beat)
		r = put_templates(o);
	if (r < 0)
		go_away(o);
}

static void tick(struct output *out, uint64_t now)
{
	struct ipfix_output *o = (struct ipfix_output *)out;

	(void)now;
	packetflows_tick(o->flows, clock_us() * 1000);
	close_message(o);
	if (o->state != THERE && (o->queue_n || o->state == PROBING || o->beat))
		try_state(o);
	if (o->beat)
		ask(o);
	if (o->state == THERE)
		drain(o);
}

/* --- the whole ------------------------------------------------------------------------------------- */

static void counts(const struct output *out, struct output_counts *to)
{
	*to = ((const struct ipfix_output *)out)->counts;
}

static bool finish(struct output *out, bool wait)
{
	struct ipfix_output *o = (struct ipfix_output *)out;

	packetflows_flush(o->flows);
	tick(out, 0);
	return !wait || !o->counts.in_flight;
}

static void free_output(struct output **out)
{
	struct ipfix_output *o = (struct ipfix_output *)*out;

	if (!o)
		return;
	packetflows_free(&o->flows);
	if (o->fd >= 0)
		close(o->fd);
	free(o->queue);
	free(o->places);
	free(o->domain_name);
	free(o);
	*out = NULL;
}

static void set_collector(struct ipfix_output *o, const struct broker_destination *to)
{
	struct sockaddr_in *four = (struct sockaddr_in *)&o->collector;
	struct sockaddr_in6 *six = (struct sockaddr_in6 *)&o->collector;

	if (addr_is4(&to->collector)) {
		*four = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(to->collector_port)};
		memcpy(&four->sin_addr, to->collector.b + 12, 4);
		o->collector_n = sizeof(*four);
		return;
	}
	*six = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = htons(to->collector_port)};
	memcpy(&six->sin6_addr, to->collector.b, 16);
	o->collector_n = sizeof(*six);
}

static int open_output(struct output **out, const struct output_config *c, struct buf *why)
{
	struct ipfix_output *o = calloc(1, sizeof(*o));
	struct output *head = (struct output *)o;
	const struct broker_destination *to = c->to;
	AUTO_BUF name = {0};

	if (!o)
		goto no_memory;
	o->head = (struct output){.ops = &output_ipfix, .host = c->host};
	o->fd = -1;
	o->tcp = to->tcp;
	if (to->answers) {
		o->within = to->within * 1000;
		o->beat = o->within / BEATS;
	}
	set_collector(o, to);
	buf_printf(&name, "%s " STR_FMT "/" STR_FMT, c->host->node, STR_ARG(c->tool), STR_ARG(c->port));
	o->domain_name = TAKE(name.p);
	o->queue = calloc(QUEUE, sizeof(*o->queue));
	if (!o->domain_name || !o->queue ||
	    packetflows_new(&o->flows, FLOWS, to->idle * SECOND_NS, to->active * SECOND_NS, told, o))
		goto no_memory;
	/* each tool port of each node numbers its own records */
	o->message =
	    (struct ipfix){.domain = (uint32_t)hash_bytes(o->domain_name, strlen(o->domain_name), 0) | 1,
			   .place = true,
			   .room = IPFIX_MESSAGE_MAX};
	ipfix_begin(&o->message, (uint32_t)clock_wall());
	*out = head;
	return 0;
no_memory:
	free_output(&head);
	buf_addz(why, "out of memory");
	return -ENOMEM;
}

const struct output_ops output_ipfix = {.name = "ipfix",
					.open = open_output,
					.give = give,
					.tick = tick,
					.counts = counts,
					.finish = finish,
					.free = free_output,
					.refused = LOST_UNREACHABLE};
