/* SPDX-License-Identifier: Apache-2.0 */
/* XDP features of interfaces: see netdev.h. */
#include "apply/netdev.h"

#include <errno.h>
#include <linux/genetlink.h>
#include <sys/socket.h>

#include "apply/netlink.h"
#include "base/own.h"

/* Of the kernel's header linux/netdev.h, which is newer than the oldest kernel. */
enum { DEV_GET = 1, DEV_IFINDEX = 1, DEV_XDP_FEATURES = 3 };

static struct nlmsghdr *put(char *buf, uint16_t type, uint8_t command)
{
	struct nlmsghdr *nh = mnl_nlmsg_put_header(buf);
	struct genlmsghdr *g;

	nh->nlmsg_type = type;
	g = mnl_nlmsg_put_extra_header(nh, sizeof(*g));
	g->cmd = command;
	g->version = 1;
	return nh;
}

static int take_family(const struct nlmsghdr *nh, void *ctx)
{
	NL_ATTRS(a, nh, sizeof(struct genlmsghdr))
	if (mnl_attr_get_type(a) == CTRL_ATTR_FAMILY_ID)
		*(uint16_t *)ctx = mnl_attr_get_u16(a);
	return 0;
}

static int take_features(const struct nlmsghdr *nh, void *ctx)
{
	NL_ATTRS(a, nh, sizeof(struct genlmsghdr))
	if (mnl_attr_get_type(a) == DEV_XDP_FEATURES && mnl_attr_get_payload_len(a) == 8)
		*(uint64_t *)ctx = mnl_attr_get_u64(a);
	return 0;
}

int netdev_open(struct netdev *n)
{
	char buf[128] __attribute__((aligned(8)));
	struct nlmsghdr *nh = put(buf, GENL_ID_CTRL, CTRL_CMD_GETFAMILY);
	int err;

	*n = (struct netdev){.fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC)};
	if (n->fd < 0)
		return -errno;
	nl_prepare(n->fd);
	mnl_attr_put_strz(nh, CTRL_ATTR_FAMILY_NAME, "netdev");
	err = nl_dump(n->fd, nh, take_family, &n->family);
	if (!err && n->family)
		return 0;
	netdev_close(n);
	return err && err != -ENOENT ? err : -EOPNOTSUPP;
}

void netdev_close(struct netdev *n)
{
	own_fd(&n->fd);
	n->family = 0;
}

int netdev_xdp(const struct netdev *n, uint32_t ifindex, uint64_t *features)
{
	char buf[128] __attribute__((aligned(8)));
	struct nlmsghdr *nh;

	*features = 0;
	if (n->fd < 0)
		return -EOPNOTSUPP;
	nh = put(buf, n->family, DEV_GET);
	mnl_attr_put_u32(nh, DEV_IFINDEX, ifindex);
	return nl_dump(n->fd, nh, take_features, features);
}
