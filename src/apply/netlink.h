/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Netlink, the part that knows no object: a socket (of whatever namespace it was opened in), batches of
 * requests with one answer each, and dumps. One file per object builds on it (link, addr, route, neigh, tc).
 * Only apply/ calls it.
 */
#ifndef WEFT_APPLY_NETLINK_H
#define WEFT_APPLY_NETLINK_H

#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Over the attributes of a message after `skip` bytes of header, and over those nested in one. */
#define NL_ATTRS(a, nh, skip)                                                                                \
	for (const struct nlattr *a = mnl_nlmsg_get_payload_offset((nh), (skip));                            \
	     mnl_attr_ok(a, (int)((const char *)mnl_nlmsg_get_payload_tail(nh) - (const char *)a));          \
	     a = mnl_attr_next(a))
#define NL_NESTED(a, nest)                                                                                   \
	for (const struct nlattr *a = mnl_attr_get_payload(nest);                                            \
	     mnl_attr_ok(a, (int)((const char *)(nest) + (nest)->nla_len - (const char *)a));                \
	     a = mnl_attr_next(a))

enum { NL_BATCH_MAX = 32, NL_MESSAGE_MAX = 768, NL_TEXT = 128 };

/* Opens a NETLINK_ROUTE socket in the caller's namespace and prepares it. A descriptor or -errno. */
int nl_open(void);
/* Large receive buffer, extended acks, a time limit of 2 s for an answer; also for sockets that were handed
 * over. */
void nl_prepare(int fd);

/* Requests that are sent together. Results go to where the caller said at nl_begin_message(). Zeroed is not
 * legal. */
struct nl_batch {
	int fd;
	uint32_t seq; /* of the first message in the buffer */
	unsigned n;
	int *result[NL_BATCH_MAX];
	int ignore[NL_BATCH_MAX]; /* an -errno that counts as 0; 0: none */
	struct nlmsghdr *last;	  /* still being built; NULL when empty */
	char text[NL_TEXT];	  /* the kernel's words for the first failure, "" when it gave none */
	int first_error;
	char buffer[NL_BATCH_MAX * NL_MESSAGE_MAX] __attribute__((aligned(8)));
};
void nl_batch_init(struct nl_batch *b, int fd);

/* The next message; a full batch is sent first. *result (may be NULL) gets 0 or -errno once the batch was
 * sent, but keeps an earlier failure. */
struct nlmsghdr *nl_message(struct nl_batch *b, uint16_t type, uint16_t flags, int *result, int ignore);
/* Sends what is there and waits for all answers. 0, or -errno when the socket itself failed (every result
 * still open then gets it too). */
int nl_send(struct nl_batch *b);

/* One dump: the request has been built in `request` (NLM_F_DUMP set); fn gets each answer. 0, -errno, or what
 * fn returned when not 0. */
int nl_dump(int fd, struct nlmsghdr *request, int (*fn)(const struct nlmsghdr *nh, void *ctx), void *ctx);

#endif
