/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages over UDP. A machine that has no collector sends datagrams back: which, the kernel tells, and their
 * records are counted as refused. From then on only templates are sent, until none comes back: a collector
 * that is away costs one message.
 */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
/* after those of the C library */
#include <linux/errqueue.h>

#include "base/clock.h"
#include "base/own.h"
#include "cli/export.h"

enum { PAUSE_EACH = 16, PAUSE_NS = 1000000, PROBE_MS = 50, SEND_MS = 100 };
enum { IPFIX_HEAD = 16, SEQUENCE_AT = 8, DOMAIN_AT = 12, LENGTH_AT = 2, HEADS_4 = 28, HEADS_6 = 48 };

static bool is_6(int fd)
{
	int domain = AF_INET;
	socklen_t n = sizeof(domain);

	getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &n);
	return domain == AF_INET6;
}

static void set(int fd, int option4, int option6, int v)
{
	if (is_6(fd))
		setsockopt(fd, IPPROTO_IPV6, option6, &v, sizeof(v));
	else
		setsockopt(fd, IPPROTO_IP, option4, &v, sizeof(v));
}

int datagram_open(struct sink *k)
{
	struct addrinfo hints = {.ai_socktype = SOCK_DGRAM}, *found = NULL;
	struct timeval wait = {.tv_usec = SEND_MS * 1000};
	int r = getaddrinfo(k->to->host, k->to->port, &hints, &found);

	if (r) {
		cli_error("is the name right, and does this machine resolve it?", "--to %s: %s", k->to->host,
			  gai_strerror(r));
		return -ENOENT;
	}
	AUTO_FD int fd = socket(found->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, found->ai_addr, found->ai_addrlen)) {
		r = -errno;
		cli_error(NULL, "--to %s: %s", k->to->host, strerror(-r));
		freeaddrinfo(found);
		return r;
	}
	freeaddrinfo(found);
	set(fd, IP_RECVERR, IPV6_RECVERR, 1);
	set(fd, IP_MTU_DISCOVER, IPV6_MTU_DISCOVER, IP_PMTUDISC_DO);
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
	k->fd = TAKE_FD(fd);
	k->absent = true;
	return 0;
}

uint32_t datagram_room(const struct sink *k)
{
	bool six = is_6(k->fd);
	int mtu = 0;
	socklen_t n = sizeof(mtu);

	if (getsockopt(k->fd, six ? IPPROTO_IPV6 : IPPROTO_IP, six ? IPV6_MTU : IP_MTU, &mtu, &n))
		return IPFIX_MESSAGE_MAX;
	mtu -= six ? HEADS_6 : HEADS_4;
	return mtu > IPFIX_MESSAGE_MAX	 ? IPFIX_MESSAGE_MAX
	       : mtu < IPFIX_MESSAGE_MIN ? IPFIX_MESSAGE_MIN
					 : (uint32_t)mtu;
}

/* --- what came back -------------------------------------------------------------------------------- */

static uint32_t number_at(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void note_refused(struct sink *k, const uint8_t *message)
{
	uint32_t domain = number_at(message + DOMAIN_AT), sequence = number_at(message + SEQUENCE_AT);

	for (size_t i = 0; i < SINK_RECENT; i++) {
		struct sink_recent *r = &k->recent[i];

		if (!r->records || r->domain != domain || r->sequence != sequence)
			continue;
		k->s->lost[LOSS_REFUSED] += r->records;
		k->s->records -= r->records;
		r->records = 0;
	}
}

static bool is_refusal(struct msghdr *m)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		const struct sock_extended_err *e = (const void *)CMSG_DATA(c);
		bool ours = (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_RECVERR) ||
			    (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_RECVERR);

		if (ours && (e->ee_origin == SO_EE_ORIGIN_ICMP || e->ee_origin == SO_EE_ORIGIN_ICMP6) &&
		    e->ee_errno != EMSGSIZE)
			return true;
	}
	return false;
}

/* Whether something came back. */
static bool take_errors(struct sink *k)
{
	uint8_t bytes[IPFIX_MESSAGE_MAX];
	char control[512];
	bool refused = false;
	int pending;
	socklen_t len = sizeof(pending);

	for (;;) {
		struct iovec v = {bytes, sizeof(bytes)};
		struct msghdr m = {.msg_iov = &v,
				   .msg_iovlen = 1,
				   .msg_control = control,
				   .msg_controllen = sizeof(control)};
		ssize_t n = recvmsg(k->fd, &m, MSG_ERRQUEUE | MSG_DONTWAIT);

		if (n < 0)
			break;
		if (!is_refusal(&m))
			continue;
		refused = true;
		if (n >= IPFIX_HEAD)
			note_refused(k, bytes);
	}
	getsockopt(k->fd, SOL_SOCKET, SO_ERROR, &pending, &len);
	if (refused)
		k->absent = true;
	return refused;
}

static enum sink_result stand_refused(struct sink *k)
{
	return sink_stand(k, "nobody listens at %s port %s", k->to->host, k->to->port);
}

/* --- out ------------------------------------------------------------------------------------------- */

/* 0 or -errno. A way that became narrower than the message: cut into fragments, this once. */
static int send_one(struct sink *k, uint8_t *p, size_t n)
{
	ssize_t sent;

	ipfix_set_time(p, (uint32_t)clock_wall());
	sent = send(k->fd, p, n, 0);
	if (sent < 0 && errno == EMSGSIZE) {
		set(k->fd, IP_MTU_DISCOVER, IPV6_MTU_DISCOVER, IP_PMTUDISC_DONT);
		sent = send(k->fd, p, n, 0);
		set(k->fd, IP_MTU_DISCOVER, IPV6_MTU_DISCOVER, IP_PMTUDISC_DO);
	}
	/* so that a collector on this machine keeps up: what it has no room for is told by nobody */
	if (++k->in_row % PAUSE_EACH == 0)
		nanosleep(&(struct timespec){.tv_nsec = PAUSE_NS}, NULL);
	return sent == (ssize_t)n ? 0 : sent < 0 ? -errno : -EIO;
}

/* Messages without records, or with the exporter's own. */
static int send_front(struct sink *k)
{
	int r = 0;

	while (k->front.n >= IPFIX_HEAD && !r) {
		uint8_t *p = (uint8_t *)k->front.p;
		size_t n = (size_t)p[LENGTH_AT] << 8 | p[LENGTH_AT + 1];

		r = send_one(k, p, n);
		buf_drop(&k->front, n);
	}
	buf_clear(&k->front);
	return r;
}

static enum sink_result stand_error(struct sink *k, int r)
{
	k->told.len = 0;
	if (take_errors(k) || r == -ECONNREFUSED) {
		k->absent = true;
		return stand_refused(k);
	}
	return sink_stand(k, "%s port %s: %s", k->to->host, k->to->port, strerror(-r));
}

/* Templates that come back say that there is no collector, and cost nothing. */
static enum sink_result probe(struct sink *k, uint32_t domain, uint32_t sequence)
{
	struct pollfd p = {.fd = k->fd};
	int r;

	take_errors(k);
	k->told.len = 0;
	sink_add_templates(k, domain, sequence);
	r = send_front(k);
	if (r)
		return stand_error(k, r);
	poll(&p, 1, PROBE_MS); /* an error wakes it */
	if (take_errors(k))
		return stand_refused(k);
	k->absent = false;
	k->statistics = true;
	return SINK_TAKEN;
}

enum sink_result datagram_put(struct sink *k, struct export_batch *b)
{
	struct export_chunk *c = &b->chunks.items[k->s->written];
	struct sink_recent *recent = &k->recent[k->recent_next];
	int r;

	if (k->absent && probe(k, c->domain, c->sequence) != SINK_TAKEN)
		return SINK_STANDS;
	sink_add_templates(k, c->domain, c->sequence);
	sink_add_statistics(k);
	r = send_front(k);
	if (r)
		return stand_error(k, r);
	k->s->in_write = k->s->written + 1;
	*recent = (struct sink_recent){c->domain, c->sequence, c->records};
	r = send_one(k, (uint8_t *)b->bytes.p + c->at, c->n);
	if (r) {
		recent->records = 0;
		k->s->in_write = 0;
		return stand_error(k, r);
	}
	k->recent_next = (k->recent_next + 1) % SINK_RECENT;
	k->messages++;
	sink_commit(k, c);
	take_errors(k);
	return SINK_TAKEN;
}

/* Of a collector that is not there nothing is asked while there is nothing to send. */
void datagram_tick(struct sink *k)
{
	struct export_state *s = k->s;

	take_errors(k);
	if (k->absent || k->form->json || s->phase != PHASE_IDLE)
		return;
	for (uint32_t i = 0; i < s->nodes_len; i++)
		sink_add_templates(k, export_domain(s->nodes[i].name), s->nodes[i].sequence);
	sink_add_statistics(k);
	if (k->front.n && send_front(k))
		take_errors(k);
}
