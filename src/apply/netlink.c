/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Batches and dumps over rtnetlink. Knows message framing, acknowledgements and the kernel's error texts;
 * must not know what a link or a route is. Requests of a batch are acknowledged one by one, so each result
 * finds its row.
 */
#include "apply/netlink.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#ifndef SOL_NETLINK
#define SOL_NETLINK 270
#endif

static uint32_t next_seq = 1;

void nl_prepare(int fd)
{
	int on = 1, size = 1 << 20;
	struct timeval limit = {.tv_sec = 2};

	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof(on));
	setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof(on));
	setsockopt(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
}

int nl_open(void)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	if (fd < 0)
		return -errno;
	nl_prepare(fd);
	return fd;
}

void nl_batch_init(struct nl_batch *b, int fd)
{
	b->fd = fd;
	b->n = 0;
	b->last = NULL;
	b->text[0] = '\0';
	b->first_error = 0;
}

static size_t used(const struct nl_batch *b)
{
	return b->last ? (size_t)((const char *)b->last - b->buffer) +
			     (((size_t)b->last->nlmsg_len + 3) & ~(size_t)3)
		       : 0;
}

struct nlmsghdr *nl_message(struct nl_batch *b, uint16_t type, uint16_t flags, int *result, int ignore)
{
	struct nlmsghdr *nh;

	if (b->n == NL_BATCH_MAX)
		nl_send(b);
	if (!b->n)
		b->seq = next_seq;
	nh = mnl_nlmsg_put_header(b->buffer + used(b));
	nh->nlmsg_type = type;
	nh->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | NLM_F_ACK | flags);
	nh->nlmsg_seq = next_seq++;
	b->last = nh;
	b->result[b->n] = result;
	b->ignore[b->n] = ignore;
	b->n++;
	return nh;
}

static void keep_text(struct nl_batch *b, const struct nlmsghdr *nh, const struct nlmsgerr *e)
{
	size_t skip = sizeof(*e);

	b->first_error = e->error;
	if (!(nh->nlmsg_flags & NLM_F_ACK_TLVS))
		return;
	if (!(nh->nlmsg_flags & NLM_F_CAPPED))
		skip += e->msg.nlmsg_len - sizeof(e->msg);
	NL_ATTRS(a, nh, skip)
	{
		size_t n = mnl_attr_get_payload_len(a);

		if (mnl_attr_get_type(a) != NLMSGERR_ATTR_MSG)
			continue;
		n = n < sizeof(b->text) ? n : sizeof(b->text) - 1;
		memcpy(b->text, mnl_attr_get_payload(a), n);
		b->text[n] = '\0';
	}
}

/* Takes one answer; true when it belonged to this batch. */
static bool take(struct nl_batch *b, const struct nlmsghdr *nh)
{
	uint32_t i = nh->nlmsg_seq - b->seq;
	const struct nlmsgerr *e = mnl_nlmsg_get_payload(nh);
	int error;

	if (nh->nlmsg_type != NLMSG_ERROR || nh->nlmsg_len < sizeof(*nh) + sizeof(*e) || i >= b->n)
		return false;
	error = e->error == b->ignore[i] ? 0 : e->error;
	if (error && !b->first_error)
		keep_text(b, nh, e);
	if (b->result[i] && !*b->result[i])
		*b->result[i] = error;
	b->result[i] = NULL;
	return true;
}

int nl_send(struct nl_batch *b)
{
	struct sockaddr_nl to = {.nl_family = AF_NETLINK};
	char in[16384] __attribute__((aligned(8)));
	unsigned open = b->n;
	int err = 0;

	if (!b->n)
		return 0;
	if (sendto(b->fd, b->buffer, used(b), 0, (struct sockaddr *)&to, sizeof(to)) < 0)
		err = -errno;
	while (!err && open) {
		ssize_t n = recv(b->fd, in, sizeof(in), 0);
		const struct nlmsghdr *nh = (const struct nlmsghdr *)(const void *)in;
		int left = (int)n;

		if (n < 0) {
			if (errno == EINTR)
				continue;
			err = -errno;
			break;
		}
		for (; mnl_nlmsg_ok(nh, left); nh = mnl_nlmsg_next(nh, &left))
			open -= take(b, nh) ? 1 : 0;
	}
	for (unsigned i = 0; err && i < b->n; i++)
		if (b->result[i] && !*b->result[i])
			*b->result[i] = err;
	b->n = 0;
	b->last = NULL;
	return err;
}

int nl_dump(int fd, struct nlmsghdr *request, int (*fn)(const struct nlmsghdr *nh, void *ctx), void *ctx)
{
	struct sockaddr_nl to = {.nl_family = AF_NETLINK};
	static char in[32768] __attribute__((aligned(8)));
	int ret = 0;

	request->nlmsg_seq = next_seq++;
	request->nlmsg_flags |= NLM_F_REQUEST;
	if (sendto(fd, request, request->nlmsg_len, 0, (struct sockaddr *)&to, sizeof(to)) < 0)
		return -errno;
	for (;;) {
		ssize_t n = recv(fd, in, sizeof(in), 0);
		const struct nlmsghdr *nh = (const struct nlmsghdr *)(const void *)in;
		int left = (int)n;

		if (n < 0) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		for (; mnl_nlmsg_ok(nh, left); nh = mnl_nlmsg_next(nh, &left)) {
			if (nh->nlmsg_seq != request->nlmsg_seq)
				continue;
			if (nh->nlmsg_type == NLMSG_DONE)
				return ret;
			if (nh->nlmsg_type == NLMSG_ERROR) {
				const struct nlmsgerr *e = mnl_nlmsg_get_payload(nh);

				return e->error ? e->error : ret;
			}
			if (!ret)
				ret = fn(nh, ctx);
			if (!(nh->nlmsg_flags & NLM_F_MULTI))
				return ret;
		}
	}
}
