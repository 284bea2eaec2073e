/* SPDX-License-Identifier: Apache-2.0 */
/* Fabric: see fabric.h. Must never touch the caller's namespace but for the one link of --attach. Called by
 * run.c. */
#include <errno.h>
#include <linux/netlink.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/log.h"
#include "base/own.h"
#include "sandbox/fabric.h"
#include "sandbox/netlink.h"

/* Interface numbers inside the fabric's namespace; nodes' ports follow. */
enum {
	FABRIC_BRIDGE = 2,
	FABRIC_OUT = 3,
	FABRIC_ATTACH = 4,
	FABRIC_PORT = 10,
	UPLINK = 2,
	OUTSIDE_LINK = 2,
	LOOPBACK = 1,
	ATTACH_LINK = 57057
};

void fabric_node4(unsigned index, char out[ADDRESS_TEXT])
{
	snprintf(out, ADDRESS_TEXT, "172.31.0.%u", 10 + index);
}

void fabric_node6(unsigned index, char out[ADDRESS_TEXT])
{
	snprintf(out, ADDRESS_TEXT, "fd57:e7f7:0:1::%x", 16 + index);
}

void fabric_pods4(unsigned index, char out[ADDRESS_TEXT])
{
	snprintf(out, ADDRESS_TEXT, "10.244.%u.0/24", index);
}

void fabric_pods6(unsigned index, char out[ADDRESS_TEXT])
{
	snprintf(out, ADDRESS_TEXT, "fd57:e7f7:0:244:%x::/80", index);
}

static int make_links(struct sandbox *s, struct netlink *nl)
{
	netlink_begin(nl, s->fabric.route);
	netlink_bridge(nl, FABRIC_BRIDGE, "fab0");
	netlink_address(nl, FABRIC_BRIDGE, "172.31.0.1/24");
	netlink_address(nl, FABRIC_BRIDGE, "fd57:e7f7:0:1::1/64");
	netlink_up(nl, FABRIC_BRIDGE);
	netlink_veth(nl, FABRIC_OUT, "out0", s->outside.fd, OUTSIDE_LINK, "eth0");
	netlink_address(nl, FABRIC_OUT, "203.0.113.1/24");
	netlink_address(nl, FABRIC_OUT, "2001:db8:113::1/64");
	netlink_up(nl, FABRIC_OUT);
	netlink_route(nl, FABRIC_OUT, "198.51.100.0/24", "203.0.113.10");
	netlink_route(nl, FABRIC_OUT, "2001:db8:51::/64", "2001:db8:113::10");
	return netlink_commit(nl, "fabric");
}

int fabric_make(struct sandbox *s)
{
	AUTO_MEM struct netlink *nl = malloc(sizeof(*nl));
	char name[NETNS_NAME];
	int r;

	snprintf(name, sizeof(name), "weft-%s-fabric", s->opt->name);
	r = nl ? netns_make(&s->fabric, name, NETNS_ROUTER) : -ENOMEM;
	snprintf(name, sizeof(name), "weft-%s-outside", s->opt->name);
	r = r ? r : netns_make(&s->outside, name, NETNS_HOST);
	r = r ? r : make_links(s, nl);
	if (r)
		return r;
	netlink_begin(nl, s->outside.route);
	netlink_address(nl, OUTSIDE_LINK, "203.0.113.10/24");
	netlink_address(nl, OUTSIDE_LINK, "2001:db8:113::10/64");
	netlink_up(nl, OUTSIDE_LINK);
	netlink_route(nl, OUTSIDE_LINK, NULL, "203.0.113.1");
	netlink_route(nl, OUTSIDE_LINK, NULL, "2001:db8:113::1");
	/* All of these are that host too: addresses for names (--host). */
	netlink_route_local(nl, LOOPBACK, "198.51.100.0/24");
	netlink_route_local(nl, LOOPBACK, "2001:db8:51::/64");
	return netlink_commit(nl, "outside host");
}

int fabric_add_node(struct sandbox *s, const struct node *n)
{
	AUTO_MEM struct netlink *nl = malloc(sizeof(*nl));
	char port[16], address[ADDRESS_TEXT], pods[ADDRESS_TEXT], prefix[ADDRESS_TEXT + 4];
	int r;

	if (!nl)
		return -ENOMEM;
	snprintf(port, sizeof(port), "port%u", n->index);
	netlink_begin(nl, s->fabric.route);
	netlink_veth(nl, FABRIC_PORT + n->index, port, n->netns.fd, UPLINK, "uplink0");
	netlink_enslave(nl, FABRIC_PORT + n->index, FABRIC_BRIDGE);
	netlink_up(nl, FABRIC_PORT + n->index);
	fabric_node4(n->index, address);
	fabric_pods4(n->index, pods);
	netlink_route(nl, FABRIC_BRIDGE, pods, address);
	fabric_node6(n->index, address);
	fabric_pods6(n->index, pods);
	netlink_route(nl, FABRIC_BRIDGE, pods, address);
	r = netlink_commit(nl, n->name);
	if (r)
		return r;
	netlink_begin(nl, n->netns.route);
	fabric_node4(n->index, address);
	snprintf(prefix, sizeof(prefix), "%s/24", address);
	netlink_address(nl, UPLINK, prefix);
	fabric_node6(n->index, address);
	snprintf(prefix, sizeof(prefix), "%s/64", address);
	netlink_address(nl, UPLINK, prefix);
	netlink_up(nl, UPLINK);
	netlink_route(nl, UPLINK, NULL, "172.31.0.1");
	netlink_route(nl, UPLINK, NULL, "fd57:e7f7:0:1::1");
	return netlink_commit(nl, n->name);
}

int fabric_cable(struct sandbox *s, const struct node *n, bool in)
{
	AUTO_MEM struct netlink *nl = malloc(sizeof(*nl));

	if (!nl)
		return -ENOMEM;
	netlink_begin(nl, s->fabric.route);
	if (in)
		netlink_up(nl, FABRIC_PORT + n->index);
	else
		netlink_down(nl, FABRIC_PORT + n->index);
	return netlink_commit(nl, n->name);
}

void fabric_attach_name(const char *cluster, char out[16])
{
	snprintf(out, 16, "weft-%.10s", cluster);
}

static int attach_routes(struct sandbox *s, struct netlink *nl, int own)
{
	netlink_begin(nl, own);
	netlink_address(nl, ATTACH_LINK, "198.18.57.2/30");
	netlink_address(nl, ATTACH_LINK, "fd57:e7f7:0:a::2/64");
	netlink_up(nl, ATTACH_LINK);
	netlink_route(nl, ATTACH_LINK, "172.31.0.0/24", "198.18.57.1");
	netlink_route(nl, ATTACH_LINK, "fd57:e7f7:0:1::/64", "fd57:e7f7:0:a::1");
	netlink_route(nl, ATTACH_LINK, "203.0.113.0/24", "198.18.57.1");
	netlink_route(nl, ATTACH_LINK, "2001:db8:113::/64", "fd57:e7f7:0:a::1");
	netlink_route(nl, ATTACH_LINK, "198.51.100.0/24", "198.18.57.1");
	netlink_route(nl, ATTACH_LINK, "2001:db8:51::/64", "fd57:e7f7:0:a::1");
	for (unsigned i = 0; i < s->nodes_len; i++) {
		char pods[ADDRESS_TEXT];

		fabric_pods4(i, pods);
		netlink_route(nl, ATTACH_LINK, pods, "198.18.57.1");
		fabric_pods6(i, pods);
		netlink_route(nl, ATTACH_LINK, pods, "fd57:e7f7:0:a::1");
		if (i % 16 == 15) {
			int r = netlink_commit(nl, "attach");

			if (r)
				return r;
			netlink_begin(nl, own);
		}
	}
	return netlink_commit(nl, "attach");
}

bool fabric_can_attach(void)
{
	struct if_nameindex *links = if_nameindex();
	bool can = true;

	for (struct if_nameindex *l = links; can && l && l->if_index; l++) {
		can = strncmp(l->if_name, "weft-", 5) != 0;
		if (!can)
			log_error("--attach: a cluster is attached already, by the link %s, and has the same "
				  "addresses; end that one, or go without --attach",
				  l->if_name);
	}
	if (links)
		if_freenameindex(links);
	return can;
}

int fabric_attach(struct sandbox *s)
{
	AUTO_FD int own = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	AUTO_MEM struct netlink *nl = malloc(sizeof(*nl));
	char name[16];
	int r;

	if (own < 0 || !nl)
		return -ENOMEM;
	fabric_attach_name(s->opt->name, name);
	netlink_begin(nl, own);
	netlink_veth(nl, ATTACH_LINK, name, s->fabric.fd, FABRIC_ATTACH, "attach0");
	r = netlink_commit(nl, "attach");
	if (r)
		return r;
	s->attached = true;
	netlink_begin(nl, s->fabric.route);
	netlink_address(nl, FABRIC_ATTACH, "198.18.57.1/30");
	netlink_address(nl, FABRIC_ATTACH, "fd57:e7f7:0:a::1/64");
	netlink_up(nl, FABRIC_ATTACH);
	r = netlink_commit(nl, "attach");
	return r ? r : attach_routes(s, nl, own);
}

void fabric_detach(const char *cluster)
{
	AUTO_FD int own = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	AUTO_MEM struct netlink *nl = malloc(sizeof(*nl));
	char name[16];
	unsigned index;

	fabric_attach_name(cluster, name);
	index = if_nametoindex(name);
	if (own < 0 || !nl || !index)
		return;
	netlink_begin(nl, own);
	netlink_delete(nl, index);
	netlink_commit(nl, "detach");
}
