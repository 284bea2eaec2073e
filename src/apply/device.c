/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The node's two devices: the uplink that it was started with (filtered, never configured) and the VXLAN
 * device that it makes. All nodes give their VXLAN devices one MAC, so a frame that one node's stack sends is
 * taken by another's.
 */
#include <errno.h>
#include <linux/if.h>

#include "apply/state.h"
#include "seam/config.h"

enum { TUNNEL_COST = 50 };

static int say(struct buf *why, int err, const char *what, const char *name, const char *kernel)
{
	buf_printf(why, "%s %s: %s", what, name, strerror(-err));
	if (kernel[0])
		buf_printf(why, " (%s)", kernel);
	return err;
}

static int make_tunnel(struct applier *a, struct buf *why)
{
	struct nl_batch *b = a->batch;
	struct link_info l;
	int err = link_get(a->route_fd, 0, TUNNEL_NAME, &l), made = 0, set = 0;
	uint32_t mtu = a->mtu > TUNNEL_COST ? a->mtu - TUNNEL_COST : 1450;

	if (err == -ENODEV) {
		nl_batch_init(b, a->route_fd);
		link_add_vxlan(b, TUNNEL_NAME, mtu, &made);
		nl_send(b);
		if (made)
			return say(why, made, "cannot make the tunnel device", TUNNEL_NAME, b->text);
		err = link_get(a->route_fd, 0, TUNNEL_NAME, &l);
	}
	if (err)
		return say(why, err, "cannot find the tunnel device", TUNNEL_NAME, "");
	if (l.group != WEFT_LINK_GROUP || strcmp(l.kind, "vxlan"))
		return say(why, -EEXIST, "an interface that is not ours has the name", TUNNEL_NAME, "");
	a->tunnel = l.index;
	nl_batch_init(b, a->route_fd);
	link_no_autoconf(b, l.index, NULL);
	tc_clsact(b, l.index, &set);
	tc_filter(b, l.index, false, a->kernel.program[PROG_TUNNEL_IN], program_table[PROG_TUNNEL_IN].name,
		  &set);
	tc_filter(b, l.index, true, a->kernel.program[PROG_TUNNEL_OUT], program_table[PROG_TUNNEL_OUT].name,
		  &set);
	link_up(b, l.index, mtu, true, &set);
	nl_send(b);
	return set ? say(why, set, "cannot set the tunnel device up", TUNNEL_NAME, b->text) : 0;
}

int device_open(struct applier *a, const char *uplink, struct buf *why)
{
	struct nl_batch *b = a->batch;
	struct link_info l;
	int err, set = 0;

	if (!uplink)
		return 0;
	err = link_get(a->route_fd, 0, uplink, &l);
	if (err)
		return say(why, err, "there is no uplink", uplink, "");
	a->uplink = l.index;
	a->mtu = l.mtu;
	memcpy(a->uplink_mac, l.mac, 6);
	nl_batch_init(b, a->route_fd);
	tc_clsact(b, l.index, &set);
	tc_filter(b, l.index, false, a->kernel.program[PROG_UPLINK], program_table[PROG_UPLINK].name, &set);
	tc_filter(b, l.index, true, a->kernel.program[PROG_UPLINK_OUT], program_table[PROG_UPLINK_OUT].name,
		  &set);
	nl_send(b);
	if (set)
		return say(why, set, "cannot filter at the uplink", uplink, b->text);
	return a->mode == MODE_VXLAN ? make_tunnel(a, why) : 0;
}

void device_clean(struct applier *a)
{
	struct nl_batch *b = a->batch;

	nl_batch_init(b, a->route_fd);
	if (a->uplink) {
		tc_filter_del(b, a->uplink, false, NULL);
		tc_filter_del(b, a->uplink, true, NULL);
	}
	if (a->tunnel)
		link_del(b, a->tunnel, NULL);
	nl_send(b);
}

static void check(const struct applier *a, uint32_t index, bool egress, enum program p, struct buf *out)
{
	char name[32];

	if (tc_filter_get(a->route_fd, index, egress, name) || strcmp(name, program_table[p].name))
		buf_printf(out, "program %s is not attached to interface %u\n", program_table[p].name, index);
}

void device_faults(const struct applier *a, struct buf *out)
{
	struct link_info l;

	if (a->uplink) {
		check(a, a->uplink, false, PROG_UPLINK, out);
		check(a, a->uplink, true, PROG_UPLINK_OUT, out);
	}
	if (!a->tunnel)
		return;
	check(a, a->tunnel, false, PROG_TUNNEL_IN, out);
	check(a, a->tunnel, true, PROG_TUNNEL_OUT, out);
	if (link_get(a->route_fd, a->tunnel, NULL, &l) || !(l.flags & IFF_UP))
		buf_printf(out, "the tunnel device %s is not up\n", TUNNEL_NAME);
}
