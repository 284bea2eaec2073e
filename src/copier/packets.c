/* SPDX-License-Identifier: Apache-2.0 */
/* The packet ring and the way back: see packets.h. */
#include "copier/packets.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/own.h"
#include "seam/tap.h"

enum {
	BLOCK = 256 << 10, /* holds the largest merged packet */
	BLOCKS = 96,
	FRAME = 2048, /* only a divisor: blocks hold packets of any size */
	RETIRE_MS = 4,
	BATCH = 8, /* blocks a turn of the loop */
	MACS = 12,
	TAG = 4,
	TPID = 0x88a8,
};

struct packets {
	struct packets_options o;
	uv_poll_t poll;
	int fd;
	uint8_t *ring;
	unsigned next; /* block */
	uint64_t lost;
};

static int set_ring(int fd)
{
	struct tpacket_req3 req = {.tp_block_size = BLOCK,
				   .tp_block_nr = BLOCKS,
				   .tp_frame_size = FRAME,
				   .tp_frame_nr = BLOCK / FRAME * BLOCKS,
				   .tp_retire_blk_tov = RETIRE_MS,
				   .tp_feature_req_word = TP_FT_REQ_FILL_RXHASH};
	int version = TPACKET_V3, one = 1;

	if (setsockopt(fd, SOL_PACKET, PACKET_VERSION, &version, sizeof(version)) ||
	    setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &one, sizeof(one)) ||
	    setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof(one)) ||
	    setsockopt(fd, SOL_PACKET, PACKET_RX_RING, &req, sizeof(req)))
		return -errno;
	return fcntl(fd, F_SETFL, O_NONBLOCK) < 0 ? -errno : 0;
}

/* What the kernel notes before the bytes. */
static void read_notes(struct chain_packet *k, const struct tpacket3_hdr *h, const uint8_t *bytes)
{
	struct virtio_net_hdr v;

	memcpy(&v, bytes - sizeof(v), sizeof(v));
	if (v.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) {
		k->flags |= PACKET_UNFINISHED;
		k->csum_start = v.csum_start;
		k->csum_offset = v.csum_offset;
	}
	if (v.gso_type != VIRTIO_NET_HDR_GSO_NONE)
		k->gso_size = v.gso_size;
	if (h->tp_status & TP_STATUS_VLAN_VALID) {
		k->flags |= PACKET_VLAN_BESIDE;
		k->vlan_tci = (uint16_t)h->hv1.tp_vlan_tci;
		k->vlan_tpid = h->tp_status & TP_STATUS_VLAN_TPID_VALID ? h->hv1.tp_vlan_tpid : 0;
	}
}

static void read_block(struct packets *p, const struct tpacket_block_desc *b)
{
	const uint8_t *at = (const uint8_t *)b + b->hdr.bh1.offset_to_first_pkt;

	for (uint32_t i = 0; i < b->hdr.bh1.num_pkts; i++) {
		const struct tpacket3_hdr *h = (const struct tpacket3_hdr *)(const void *)at;
		struct packet_seen s = {
		    .packet = {.p = at + h->tp_mac,
			       .caplen = h->tp_snaplen,
			       .len = h->tp_len < h->tp_snaplen ? h->tp_snaplen : h->tp_len,
			       .link = CHAIN_LINK_ETHERNET,
			       .time = h->tp_sec * 1000000000ull + h->tp_nsec},
		    .mark = h->hv1.tp_rxhash};

		read_notes(&s.packet, h, s.packet.p);
		p->o.seen(p->o.ctx, &s);
		at += h->tp_next_offset;
	}
}

/* The next block, once the kernel is done with it. */
static struct tpacket_block_desc *ready(const struct packets *p)
{
	struct tpacket_block_desc *b =
	    (struct tpacket_block_desc *)(void *)(p->ring + (size_t)p->next * BLOCK);

	return __atomic_load_n(&b->hdr.bh1.block_status, __ATOMIC_ACQUIRE) & TP_STATUS_USER ? b : NULL;
}

static bool read_next(struct packets *p)
{
	struct tpacket_block_desc *b = ready(p);

	if (!b)
		return false;
	read_block(p, b);
	__atomic_store_n(&b->hdr.bh1.block_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
	p->next = (p->next + 1) % BLOCKS;
	return true;
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
	struct packets *p = poll->data;

	(void)events;
	if (status < 0) {
		int error = 0;
		socklen_t n = sizeof(error);

		getsockopt(p->fd, SOL_SOCKET, SO_ERROR, &error, &n);
		p->o.failed(p->o.ctx, error ? -error : status);
		return;
	}
	for (unsigned n = 0; n < BATCH && read_next(p); n++)
		;
	p->o.batch(p->o.ctx);
}

bool packets_idle(const struct packets *p)
{
	return !ready(p);
}

void packets_drain(struct packets *p, int ms)
{
	struct pollfd one = {.fd = p->fd, .events = POLLIN};

	do {
		for (unsigned n = 0; n < BLOCKS && read_next(p); n++)
			;
		p->o.batch(p->o.ctx);
	} while (!ready(p) && poll(&one, 1, ms) > 0 && one.revents == POLLIN);
}

int packets_new(struct packets **out, int fd, const struct packets_options *o)
{
	struct packets *p = calloc(1, sizeof(*p));
	int r = p ? set_ring(fd) : -ENOMEM;

	if (!r) {
		p->o = *o;
		p->fd = fd;
		p->ring = mmap(NULL, (size_t)BLOCK * BLOCKS, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		r = p->ring == MAP_FAILED ? -errno : uv_poll_init(o->loop, &p->poll, fd);
		if (r && p->ring != MAP_FAILED)
			munmap(p->ring, (size_t)BLOCK * BLOCKS);
	}
	if (r) {
		free(p);
		return r;
	}
	p->poll.data = p;
	uv_poll_start(&p->poll, UV_READABLE, on_readable);
	*out = p;
	return 0;
}

uint64_t packets_lost(struct packets *p)
{
	struct tpacket_stats_v3 s;
	socklen_t n = sizeof(s);

	/* Reading sets them to 0. */
	if (!getsockopt(p->fd, SOL_PACKET, PACKET_STATISTICS, &s, &n))
		p->lost += s.tp_drops;
	return p->lost;
}

int packets_send(struct packets *p, uint32_t outlet, const uint8_t *frame, uint32_t n)
{
	struct virtio_net_hdr none = {0};
	uint8_t tag[TAG] = {TPID >> 8, TPID & 0xff, (uint8_t)(outlet >> 8), (uint8_t)outlet};
	struct iovec v[] = {{&none, sizeof(none)},
			    {(void *)(uintptr_t)frame, MACS},
			    {tag, TAG},
			    {(void *)(uintptr_t)(frame + MACS), n - MACS}};

	if (n < MACS + 2)
		return -EINVAL;
	while (writev(p->fd, v, ARRAY_LEN(v)) < 0)
		if (errno != EINTR)
			return -errno;
	return 0;
}

static void on_closed(uv_handle_t *h)
{
	struct packets *p = h->data;

	close(p->fd);
	munmap(p->ring, (size_t)BLOCK * BLOCKS);
	free(p);
}

void packets_free(struct packets **pp)
{
	struct packets *p = TAKE(*pp);

	if (!p)
		return;
	uv_poll_stop(&p->poll);
	uv_close((uv_handle_t *)&p->poll, on_closed);
}
