/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All interfaces of the host as ports: what the kernel says of each, and what maps and Tools make of it.
 * Those that objects name and that are not there are ports, too. Weft's own links are none.
 */
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/ethtool.h>
#include <linux/if.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "base/own.h"
#include "cli/broker_live.h"
#include "cli/port.h"

enum { PORTS_MAX = 4096 };

struct ports {
	VEC(struct port) list;
	int ask; /* a socket to ask drivers by */
};

static struct port *port_of(struct ports *all, uint32_t index)
{
	VEC_EACH (&all->list, p)
		if (p->index == index)
			return p;
	return NULL;
}

static bool is_own(const char *name)
{
	return !strncmp(name, "weft-copy", 9) || !strncmp(name, "weft-edit", 9);
}

/* Mbit/s; 0: the driver does not say. */
static uint32_t speed_of(int fd, const char *name)
{
	struct ethtool_cmd c = {.cmd = ETHTOOL_GSET};
	struct ifreq r = {.ifr_data = (void *)&c};
	uint32_t speed;

	snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", name);
	if (fd < 0 || ioctl(fd, SIOCETHTOOL, &r) < 0)
		return 0;
	speed = ethtool_cmd_speed(&c);
	return speed == (uint32_t)SPEED_UNKNOWN || speed == UINT16_MAX ? 0 : speed;
}

static int on_link(const struct nlmsghdr *h, void *ctx)
{
	struct ports *all = ctx;
	struct port p;

	if (port_decode(&p, h, h->nlmsg_len) || is_own(p.name) || all->list.len >= PORTS_MAX)
		return MNL_CB_OK;
	p.speed = p.link == PORT_UP ? speed_of(all->ask, p.name) : 0;
	return vec_push(&all->list, p) ? MNL_CB_ERROR : MNL_CB_OK;
}

static int on_address(const struct nlmsghdr *h, void *ctx)
{
	uint32_t index = port_addressed(h, h->nlmsg_len);
	struct port *p = index ? port_of(ctx, index) : NULL;

	if (p)
		p->address = true;
	return MNL_CB_OK;
}

/* A dump of all that the kernel has of a type; what came before a failure stays. */
static void dump(struct mnl_socket *s, uint16_t type, int (*fn)(const struct nlmsghdr *h, void *ctx),
		 struct ports *all)
{
	static char bytes[32768] __attribute__((aligned(8)));
	struct nlmsghdr *h = mnl_nlmsg_put_header(bytes);
	struct ifinfomsg *head;
	unsigned seq = (unsigned)type;
	ssize_t n;
	int more = 1;

	h->nlmsg_type = type;
	h->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	h->nlmsg_seq = seq;
	head = mnl_nlmsg_put_extra_header(
	    h, sizeof(*head)); /* its family is where each kind of request has it */
	head->ifi_family = AF_UNSPEC;
	if (mnl_socket_sendto(s, h, h->nlmsg_len) < 0)
		return;
	while (more > 0 && (n = mnl_socket_recvfrom(s, bytes, sizeof(bytes))) > 0)
		more = mnl_cb_run(bytes, (size_t)n, seq, mnl_socket_get_portid(s), fn, all);
}

static struct port *port_named(struct ports *all, struct str name)
{
	struct port absent = {.link = PORT_ABSENT, .kind = "not there"};

	if (!name.n || name.n >= sizeof(absent.name))
		return NULL;
	VEC_EACH (&all->list, p)
		if (str_eqz(name, p->name))
			return p;
	memcpy(absent.name, name.p, name.n);
	return vec_push(&all->list, absent) ? NULL : &all->list.items[all->list.len - 1];
}

static bool of_this_node(const struct live *l, struct str node)
{
	return !node.n || str_eqz(node, l->node);
}

static void give_roles(const struct live *l, struct ports *all)
{
	struct port *p;

	for (uint32_t i = 0; l->b && i < l->b->sources_n; i++) {
		const struct broker_source *s = &l->b->sources[i];

		if (s->kind == BROKER_INTERFACE && of_this_node(l, s->node) && (p = port_named(all, s->name)))
			p->source = true;
	}
	for (uint32_t i = 0; l->b && i < l->b->ports_n; i++) {
		const struct broker_destination *to = &l->b->ports[i].to;

		if (to->way == BROKER_TO_INTERFACE && of_this_node(l, to->node) &&
		    (p = port_named(all, to->name)))
			p->tool = true;
	}
	VEC_EACH (&l->places, place)
		if (place->feed == TAP_FEED_BY_TC || place->feed == TAP_FEED_BY_XDP)
			if ((p = port_named(all, str_of(place->name))))
				p->feed = p->source;
}

static json_t *count(const struct port_count *c)
{
	return json_pack("{s:I,s:I,s:I,s:I}", "packets", (json_int_t)c->packets, "bytes",
			 (json_int_t)c->bytes, "errors", (json_int_t)c->errors, "drops",
			 (json_int_t)c->drops);
}

static json_t *port_json(const struct port *p)
{
	json_t *o = json_pack("{s:s,s:s,s:s,s:i,s:b,s:s}", "name", p->name, "kind", p->kind, "link",
			      port_link_word(p->link), "mtu", (int)p->mtu, "address", p->address, "role",
			      port_role(p));

	if (!o)
		return NULL;
	json_object_set_new(o, "speed",
			    p->speed ? json_integer((json_int_t)p->speed * 1000000) : json_null());
	json_object_set_new(o, "in", count(&p->in));
	json_object_set_new(o, "out", count(&p->out));
	return o;
}

static int by_name(const void *a, const void *b)
{
	return port_compare(((const struct port *)a)->name, ((const struct port *)b)->name);
}

json_t *live_ports(const struct live *l)
{
	struct ports all = {.ask = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
	struct mnl_socket *s = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	json_t *list = json_array();

	if (s && !mnl_socket_bind(s, 0, MNL_SOCKET_AUTOPID)) {
		dump(s, RTM_GETLINK, on_link, &all);
		dump(s, RTM_GETADDR, on_address, &all);
	}
	give_roles(l, &all);
	if (all.list.len)
		qsort(all.list.items, all.list.len, sizeof(struct port), by_name);
	VEC_EACH (&all.list, p)
		json_array_append_new(list, port_json(p));
	vec_free(&all.list);
	own_fd(&all.ask);
	if (s)
		mnl_socket_close(s);
	return list;
}
