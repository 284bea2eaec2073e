/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Probes of the network side: a child enters a network namespace of its own and makes the devices there by
 * netlink; all of it goes when the child ends. Called by doctor.c.
 */
#include "base/own.h"
#include "cli/doctor.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/if_link.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <sys/wait.h>

/* Sends one request and waits for its acknowledgement: 0 or errno. */
static int request(struct mnl_socket *s, struct nlmsghdr *h)
{
	char answer[8192];
	ssize_t n;

	h->nlmsg_flags |= NLM_F_REQUEST | NLM_F_ACK;
	h->nlmsg_seq = 1;
	if (mnl_socket_sendto(s, h, h->nlmsg_len) < 0)
		return errno;
	n = mnl_socket_recvfrom(s, answer, sizeof(answer));
	if (n < 0 || mnl_cb_run(answer, (size_t)n, 1, mnl_socket_get_portid(s), NULL, NULL) < 0)
		return errno;
	return 0;
}

static int make_link(struct mnl_socket *s, const char *kind, const char *name)
{
	char msg[1024];
	struct nlmsghdr *h = mnl_nlmsg_put_header(msg);

	h->nlmsg_type = RTM_NEWLINK;
	h->nlmsg_flags = NLM_F_CREATE | NLM_F_EXCL;
	mnl_nlmsg_put_extra_header(h, sizeof(struct ifinfomsg));
	mnl_attr_put_strz(h, IFLA_IFNAME, name);
	struct nlattr *info = mnl_attr_nest_start(h, IFLA_LINKINFO);
	mnl_attr_put_str(h, IFLA_INFO_KIND, kind);
	if (!strcmp(kind, "vxlan")) {
		struct nlattr *data = mnl_attr_nest_start(h, IFLA_INFO_DATA);
		mnl_attr_put_u8(h, IFLA_VXLAN_COLLECT_METADATA, 1);
		mnl_attr_put_u16(h, IFLA_VXLAN_PORT, htons(4789));
		mnl_attr_nest_end(h, data);
	}
	mnl_attr_nest_end(h, info);
	return request(s, h);
}

static int add_clsact(struct mnl_socket *s)
{
	char msg[1024];
	struct nlmsghdr *h = mnl_nlmsg_put_header(msg);
	int r = make_link(s, "veth", "doctor0");

	if (r)
		return r;
	h->nlmsg_type = RTM_NEWQDISC;
	h->nlmsg_flags = NLM_F_CREATE | NLM_F_EXCL;
	struct tcmsg *t = mnl_nlmsg_put_extra_header(h, sizeof(*t));
	t->tcm_ifindex = (int)if_nametoindex("doctor0");
	t->tcm_handle = TC_H_MAKE(TC_H_CLSACT, 0);
	t->tcm_parent = TC_H_CLSACT;
	mnl_attr_put_strz(h, TCA_KIND, "clsact");
	return request(s, h);
}

/* In the child: 0 or the errno of the step that failed. */
static int try_device(const char *kind)
{
	struct mnl_socket *s;

	if (unshare(CLONE_NEWNET))
		return errno;
	if (!kind)
		return 0;
	s = mnl_socket_open(NETLINK_ROUTE);
	if (!s || mnl_socket_bind(s, 0, MNL_SOCKET_AUTOPID) < 0)
		return errno;
	return strcmp(kind, "clsact") ? make_link(s, kind, "doctor0") : add_clsact(s);
}

static enum finding probe_device(struct buf *found, const char *kind)
{
	int status = 0;
	pid_t pid = fork();

	if (pid < 0)
		return FOUND_UNKNOWN;
	if (!pid)
		_exit(try_device(kind) & 0x7f);
	waitpid(pid, &status, 0);
	int e = WIFEXITED(status) ? WEXITSTATUS(status) : EINTR;
	if (!e) {
		buf_printf(found, "%s can be made", kind ? kind : "a network namespace");
		return FOUND_OK;
	}
	buf_printf(found, "%s: %s", kind ? kind : "unshare", strerror(e));
	return e == EPERM ? FOUND_UNKNOWN : FOUND_MISSING;
}

enum finding doctor_netns(struct buf *found)
{
	return probe_device(found, NULL);
}

enum finding doctor_veth(struct buf *found)
{
	return probe_device(found, "veth");
}

enum finding doctor_bridge(struct buf *found)
{
	return probe_device(found, "bridge");
}

enum finding doctor_vxlan(struct buf *found)
{
	return probe_device(found, "vxlan");
}

enum finding doctor_clsact(struct buf *found)
{
	return probe_device(found, "clsact");
}

enum finding doctor_ipv6(struct buf *found)
{
	AUTO_FD int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	buf_addz(found, fd >= 0 ? "available" : strerror(errno));
	return fd >= 0 ? FOUND_OK : FOUND_MISSING;
}
