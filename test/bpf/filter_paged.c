/* SPDX-License-Identifier: Apache-2.0 */
/* Paged frames through a filtered socket: see filter_paged.h. */
#include "filter_paged.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/own.h"
#include "filter_model.h"

enum { FRAME = 8192, PAGED = 4200, WAIT_MS = 10000 };

struct sockets {
	int all, some, out;
};

struct heard {
	uint8_t bytes[FRAME];
	ssize_t n;
	bool tagged;
	uint16_t tci, tpid;
};

static int packet_socket(int program)
{
	struct sockaddr_ll at = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
	int on = 1, size = 64 << 20, fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);

	at.sll_ifindex = (int)if_nametoindex("lo");
	if (fd < 0 || setsockopt(fd, SOL_PACKET, PACKET_AUXDATA, &on, sizeof(on)) ||
	    setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on)) ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) ||
	    (program >= 0 && setsockopt(fd, SOL_SOCKET, SO_ATTACH_BPF, &program, sizeof(program))) ||
	    bind(fd, (struct sockaddr *)&at, sizeof(at))) {
		if (fd >= 0)
			close(fd);
		return -errno;
	}
	return fd;
}

static int out_socket(void)
{
	struct sockaddr_ll at = {.sll_family = AF_PACKET};
	struct ifreq lo = {.ifr_name = "lo"};
	int on = 1, fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);

	at.sll_ifindex = (int)if_nametoindex("lo");
	if (fd < 0 || ioctl(fd, SIOCGIFFLAGS, &lo))
		return -errno;
	lo.ifr_flags |= IFF_UP;
	if (ioctl(fd, SIOCSIFFLAGS, &lo) || setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof(on)) ||
	    bind(fd, (struct sockaddr *)&at, sizeof(at)))
		return -errno;
	return fd;
}

/* Only the first 14 bytes lie in the linear part, the rest in pages. */
static int send_frame(int fd, const struct model_frame *f, uint8_t mark)
{
	struct virtio_net_hdr head = {.hdr_len = 14};
	struct {
		struct virtio_net_hdr head;
		uint8_t bytes[PAGED + sizeof(f->bytes)];
	} __attribute__((packed)) whole;
	unsigned n = PAGED + f->n % 7;

	memset(&whole, mark, sizeof(whole));
	whole.head = head;
	memcpy(whole.bytes, f->bytes, f->n);
	return send(fd, &whole, sizeof(head) + n, 0) == (ssize_t)(sizeof(head) + n) ? 0 : -errno;
}

/* 1: heard one; 0: none now. */
static int hear(int fd, struct heard *h, int wait_ms)
{
	union {
		char bytes[CMSG_SPACE(sizeof(struct tpacket_auxdata))];
		struct cmsghdr align;
	} control;
	struct iovec part = {h->bytes, sizeof(h->bytes)};
	struct msghdr m = {
	    .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
	struct pollfd p = {.fd = fd, .events = POLLIN};

	if (poll(&p, 1, wait_ms) != 1)
		return 0;
	h->n = recvmsg(fd, &m, MSG_DONTWAIT);
	h->tagged = false;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c && h->n >= 0; c = CMSG_NXTHDR(&m, c))
		if (c->cmsg_level == SOL_PACKET && c->cmsg_type == PACKET_AUXDATA) {
			struct tpacket_auxdata aux;

			memcpy(&aux, CMSG_DATA(c), sizeof(aux));
			h->tagged = aux.tp_status & TP_STATUS_VLAN_VALID;
			h->tci = aux.tp_vlan_tci;
			h->tpid = aux.tp_vlan_tpid;
		}
	return h->n >= 0;
}

static bool same(const struct heard *a, const struct heard *b)
{
	/* a socket's filter says how many bytes to keep: 1 */
	return b->n == 1 && a->tagged == b->tagged &&
	       (!a->tagged || (a->tci == b->tci && a->tpid == b->tpid));
}

/* The kernel gives each frame to all sockets before the next: what passed is there when all heard the last.
 */
static int compare(const struct sockets *s, unsigned frames,
		   uint32_t (*fn)(void *ctx, const uint8_t *p, uint32_t n, bool tagged, uint16_t tci,
				  uint16_t tpid),
		   void *ctx, unsigned long *judged, unsigned long *matched, unsigned long *tags)
{
	static struct heard all, some;
	uint64_t seed = 11;

	for (unsigned i = 0; i < frames; i++) {
		struct model_frame f;
		int r;

		model_frame(&seed, &f);
		r = send_frame(s->out, &f, (uint8_t)i);
		if (r)
			return r;
		if (!hear(s->all, &all, WAIT_MS))
			return -ETIMEDOUT;
		bool want = fn(ctx, all.bytes, (uint32_t)all.n, all.tagged, all.tci, all.tpid);
		bool got = hear(s->some, &some, want ? WAIT_MS : 0);

		++*judged;
		*matched += want;
		*tags += all.tagged;
		if (got != want || (got && !same(&all, &some))) {
			fprintf(stderr, "# frame %u of %zd bytes%s: the kernel says %d, user space %d\n", i,
				all.n, all.tagged ? ", tag beside" : "", got, want);
			return 1;
		}
	}
	return 0;
}

int paged_run(int program, unsigned frames,
	      uint32_t (*fn)(void *ctx, const uint8_t *p, uint32_t n, bool tagged, uint16_t tci,
			     uint16_t tpid),
	      void *ctx, unsigned long *judged, unsigned long *matched, unsigned long *tags)
{
	struct sockets s = {-1, -1, -1};
	int r;

	if (unshare(CLONE_NEWNET))
		return -errno;
	s.out = out_socket();
	s.all = s.out < 0 ? s.out : packet_socket(-1);
	s.some = s.all < 0 ? s.all : packet_socket(program);
	r = s.some < 0 ? s.some : compare(&s, frames, fn, ctx, judged, matched, tags);
	own_fd(&s.out);
	own_fd(&s.all);
	own_fd(&s.some);
	return r;
}
