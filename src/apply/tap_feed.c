/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Feeds in XDP: which interfaces can be one and, where not, why; judges and sets of tools for those that are;
 * the program at the interface, by a link that goes with the process, beside the tc program that stays and
 * does what XDP leaves to it. A foreign XDP program is never replaced. Frames are taken only where their
 * bytes are those of the wire: what a card or a veth's peer would leave beside them is switched off first.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>

#include "apply/filter.h"
#include "apply/tap_state.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/own.h"

struct feed { /* its number is TAP_FEED + 1 + its place in the list */
	uint64_t key;
	bool filled, used, wanted;
	uint32_t from, n;
	struct {
		uint32_t outlet, to; /* to 0: frames cannot be sent there */
	} tool[TAP_DIRECT_MAX];
};

int tap_feed_open(struct tapper *t)
{
	t->netdev.fd = -1;
	if (!t->kernel.xdp || t->kernel.xdp->mode == TAP_XDP_OFF || t->kernel.xdp->mode == TAP_XDP_NONE)
		return 0;
	t->feeds = calloc(FEEDS_MAX, sizeof(*t->feeds));
	if (!t->feeds)
		return -ENOMEM;
	netdev_open(&t->netdev);
	return 0;
}

void tap_feed_close(struct tapper *t)
{
	netdev_close(&t->netdev);
	free(t->feeds);
	t->feeds = NULL;
}

/* --- judges and sets of tools ----------------------------------------------------------------------- */

static int load_judge(const struct tap_judge *j, struct buf *why)
{
	struct filter_form forms[TAP_FILTERS_MAX];
	struct filter_code code = {0};
	int fd;

	for (uint32_t i = 0; i < j->n; i++)
		forms[i] = (struct filter_form){
		    .steps = j->forms[i].steps, .classic = j->forms[i].classic, .n = j->forms[i].n};
	fd = filter_translate_feed(&code, forms, j->n, why);
	if (!fd) {
		fd = filter_load(&code, BPF_PROG_TYPE_XDP, NULL, why);
		filter_code_fini(&code);
	}
	return fd;
}

/* The interfaces of the tools in `wanted`, as a BPF map; or -errno. */
static int make_tools(const struct tapper *t, const struct feed *f, uint32_t wanted)
{
	AUTO_FD int fd = bpf_map_create(BPF_MAP_TYPE_DEVMAP, "feed_tools", sizeof(uint32_t),
					sizeof(struct bpf_devmap_val), TAP_DIRECT_MAX, NULL);
	uint32_t n = 0;

	if (fd < 0)
		return -errno;
	for (uint32_t i = 0; i < f->n; i++) {
		struct bpf_devmap_val v = {.ifindex = f->tool[i].to, .bpf_prog.fd = t->kernel.xdp->sent};

		if (wanted >> i & 1) {
			if (bpf_map_update_elem(fd, &n, &v, BPF_ANY))
				return -errno;
			n++;
		}
	}
	return TAKE_FD(fd);
}

static int put_sets(const struct tapper *t, const struct feed *f, uint32_t number)
{
	uint32_t able = 0;

	for (uint32_t i = 0; i < f->n; i++) {
		struct feed_way way = {.from = f->from, .to = f->tool[i].to};

		if (!way.to)
			continue;
		able |= 1u << i;
		if (bpf_map_update_elem(t->kernel.xdp->way, &way, &f->tool[i].outlet, BPF_ANY))
			return -errno;
	}
	for (uint32_t wanted = 1; wanted <= able; wanted++) {
		struct feed_set_key key = {.feed = number, .wanted = wanted};
		AUTO_FD int fd = -1;

		if (wanted & ~able)
			continue;
		fd = make_tools(t, f, wanted);
		if (fd < 0)
			return fd;
		if (bpf_map_update_elem(t->kernel.xdp->set, &key, &fd, BPF_ANY))
			return -errno;
	}
	return 0;
}

static bool has_way(const struct feed *f, const struct feed_way *way)
{
	if (f->from == way->from)
		for (uint32_t i = 0; i < f->n; i++)
			if (f->tool[i].to == way->to)
				return true;
	return false;
}

static void empty(struct tapper *t, struct feed *f)
{
	const struct tap_xdp *k = t->kernel.xdp;
	uint32_t slot = (uint32_t)(f - t->feeds), number = TAP_FEED + 1 + slot;

	bpf_map_delete_elem(k->judge, &slot);
	for (uint32_t wanted = 1; wanted < 1u << f->n; wanted++) {
		struct feed_set_key key = {.feed = number, .wanted = wanted};

		bpf_map_delete_elem(k->set, &key);
	}
	for (uint32_t i = 0; i < f->n; i++) {
		struct feed_way way = {.from = f->from, .to = f->tool[i].to};
		bool others = false;

		for (uint32_t o = 0; o < FEEDS_MAX; o++)
			others |= o != slot && t->feeds[o].filled && has_way(&t->feeds[o], &way);
		if (!others)
			bpf_map_delete_elem(k->way, &way);
	}
	*f = (struct feed){0};
}

/* Where frames for an outlet of the place can go; 0: nowhere. */
static uint32_t interface_of(const struct tapper *t, const struct taps *taps, const struct tap_place *p,
			     uint32_t outlet)
{
	const struct tap_device *from = tap_link_device(t, p->name);

	for (uint32_t i = 0; i < taps->outlets_n; i++) {
		const struct tap_outlet *o = &taps->outlets[i];
		const struct tap_device *d;

		if (o->number != outlet || o->way != OUTLET_INTERFACE || o->edits)
			continue; /* nobody would edit its frames on their way */
		d = tap_link_device(t, o->name);
		return d && !d->ours && d != from && d->xdp & NETDEV_XDP_SENDS ? d->ifindex : 0;
	}
	return 0;
}

/* Of two tools behind one interface nobody could say whose frame it did not take. */
static void leave_twins(struct feed *f)
{
	for (uint32_t i = 0; i < f->n; i++)
		for (uint32_t k = i + 1; k < f->n; k++)
			if (f->tool[k].to && f->tool[k].to == f->tool[i].to)
				f->tool[k].to = 0;
}

static struct feed *find(struct tapper *t, uint64_t key)
{
	for (uint32_t i = 0; i < FEEDS_MAX; i++)
		if (t->feeds[i].filled && t->feeds[i].key == key)
			return &t->feeds[i];
	return NULL;
}

static struct feed *find_free(struct tapper *t)
{
	for (uint32_t i = 0; i < FEEDS_MAX; i++)
		if (!t->feeds[i].filled)
			return &t->feeds[i];
	return NULL;
}

static int fill(struct tapper *t, struct feed *f, const struct tap_judge *judge, struct buf *why)
{
	uint32_t slot = (uint32_t)(f - t->feeds);
	AUTO_FD int fd = load_judge(judge, why);
	int err = fd < 0 ? fd : bpf_map_update_elem(t->kernel.xdp->judge, &slot, &fd, BPF_ANY) ? -errno : 0;

	return err ? err : put_sets(t, f, TAP_FEED + 1 + slot);
}

/* Its number; 0: it cannot be made. */
static uint32_t number_of(struct tapper *t, const struct taps *taps, const struct tap_place *p, uint32_t from)
{
	struct feed want = {.filled = true, .wanted = true, .from = from, .n = p->directs}, *f;
	uint64_t judge[2];
	AUTO_BUF why = {0};
	int err;

	for (uint32_t i = 0; i < p->directs; i++) {
		want.tool[i].outlet = p->direct[i].outlet;
		want.tool[i].to = interface_of(t, taps, p, p->direct[i].outlet);
	}
	leave_twins(&want);
	tap_judge_key(&taps->judges[p->judge], judge);
	want.key = hash_bytes(judge, sizeof(judge), from);
	want.key = hash_bytes(want.tool, want.n * sizeof(*want.tool), want.key);
	f = find(t, want.key);
	if (f) {
		f->wanted = true;
		return TAP_FEED + 1 + (uint32_t)(f - t->feeds);
	}
	f = find_free(t);
	if (!f)
		return 0;
	*f = want;
	err = fill(t, f, &taps->judges[p->judge], &why);
	if (!err)
		return TAP_FEED + 1 + (uint32_t)(f - t->feeds);
	log_warn("%.*s: its feed is left to tc: %s %s", TAP_NAME, p->name, strerror(-err),
		 why.n ? why.p : "");
	empty(t, f);
	return 0;
}

/* --- which can be ----------------------------------------------------------------------------------- */

static const char *why_not(const struct tapper *t, const struct tap_device *d)
{
	struct link_info l;

	if (!t->kernel.xdp)
		return "nodes of a cluster have none";
	if (t->kernel.xdp->mode == TAP_XDP_OFF)
		return "it is switched off";
	if (t->kernel.xdp->mode == TAP_XDP_NONE)
		return "this kernel refuses its programs";
	if (d->outlet)
		return "a tool is behind it, whose answers tc takes";
	if (t->netdev.fd < 0)
		return "this kernel does not tell what drivers can";
	if (~d->xdp & (NETDEV_XDP_BASIC | NETDEV_XDP_REDIRECT))
		return "its driver has none";
	if (link_get(t->route, d->ifindex, NULL, &l))
		return "it cannot be looked at";
	if (strcmp(l.kind, "veth"))
		return NULL;
	if (t->kernel.xdp->mode != TAP_XDP_NATIVE)
		return "a veth is left its offloads";
	return l.peer_away ? "its peer, whose offloads would have to go, is in another network namespace"
			   : NULL;
}

void tap_feed_make(struct tapper *t, const struct taps *taps)
{
	for (uint32_t i = 0; t->feeds && i < FEEDS_MAX; i++)
		if (t->feeds[i].filled && !t->feeds[i].used)
			empty(t, &t->feeds[i]);
	VEC_EACH (&t->devices, d) {
		d->feed = 0;
		d->why = NULL;
	}
	for (uint32_t i = 0; i < taps->places_n; i++) {
		const struct tap_place *p = &taps->places[i];
		struct tap_device *d = p->feed ? tap_link_device(t, p->name) : NULL;

		if (!d || !d->ifindex || d->ours || d->addressed)
			continue;
		d->feed = TAP_FEED;
		d->why = why_not(t, d);
		if (d->why)
			continue;
		d->feed = number_of(t, taps, p, d->ifindex);
		if (!d->feed) {
			d->feed = TAP_FEED;
			d->why = "its programs could not be made";
		}
	}
}

void tap_feed_settle(struct tapper *t, bool keep)
{
	for (uint32_t i = 0; t->feeds && i < FEEDS_MAX; i++) {
		struct feed *f = &t->feeds[i];

		if (keep)
			f->used = f->wanted;
		else if (f->wanted && !f->used)
			empty(t, f);
		f->wanted = false;
	}
}

/* --- at the interface ------------------------------------------------------------------------------- */

/* Whose offloads stand in the way: its own, or those of its peer. False: nobody's that can be reached. */
static bool who_leaves(const struct tapper *t, const struct tap_device *d, char name[IF_NAMESIZE], bool *veth)
{
	struct link_info l;

	if (link_get(t->route, d->ifindex, NULL, &l))
		return false;
	*veth = !strcmp(l.kind, "veth");
	return !(*veth && l.peer_away) && if_indextoname(*veth ? l.peer : d->ifindex, name);
}

static int look(const char *name, bool veth, struct offload *out)
{
	return veth ? offload_beside(name, out) : offload_tags(name, out);
}

static bool any(const struct offload *o)
{
	uint32_t all = 0;

	for (unsigned i = 0; i < OFFLOAD_BLOCKS; i++)
		all |= o->bits[i];
	return all;
}

static bool refuse(struct tap_device *d, const char *why)
{
	d->why = why;
	return false;
}

bool tap_feed_prepare(struct tapper *t, struct tap_device *d)
{
	char name[IF_NAMESIZE];
	struct offload now;
	bool veth;

	if (!who_leaves(t, d, name, &veth) || look(name, veth, &now))
		return refuse(d, "what is left to the card cannot be told");
	if (any(&now) && !d->beside.blocks) {
		d->beside = now;
		d->stale = true; /* what is to be put back is written down before it is changed */
	}
	return true;
}

void tap_feed_attach(struct tapper *t, struct tap_device *d)
{
	LIBBPF_OPTS(bpf_link_create_opts, how, .flags = XDP_FLAGS_DRV_MODE);
	char name[IF_NAMESIZE];
	struct offload now = {0};
	bool veth;

	d->link = -1;
	if (who_leaves(t, d, name, &veth) && d->beside.blocks)
		offload_set(name, &d->beside, false);
	if (!look(name, veth, &now) && !any(&now))
		d->link = bpf_link_create(t->kernel.xdp->feed, (int)d->ifindex, BPF_XDP, &how);
	if (d->link >= 0)
		return;
	if (any(&now))
		d->why = "tags or checksums are left to the card there, and that cannot be switched off";
	else
		d->why =
		    errno == EBUSY || errno == EEXIST ? "another XDP program is there" : "its driver refuses";
	tap_feed_detach(t, d);
}

void tap_feed_detach(struct tapper *t, struct tap_device *d)
{
	char name[IF_NAMESIZE];
	bool veth;

	own_fd(&d->link);
	if (!d->beside.blocks)
		return;
	if (who_leaves(t, d, name, &veth))
		offload_set(name, &d->beside, true);
	d->beside = (struct offload){0};
	d->stale = true;
}

void tap_feed_clean(struct tapper *t)
{
	for (uint32_t i = 0; t->feeds && i < FEEDS_MAX; i++)
		if (t->feeds[i].filled)
			empty(t, &t->feeds[i]);
}

enum tap_feed_way tapper_feed(const struct tapper *t, const char *name, const char **why)
{
	const struct tap_device *d = tap_link_device(t, name);

	*why = NULL;
	if (!d || !d->feeds || !d->ifindex)
		return TAP_FEED_NONE;
	if (d->link >= 0)
		return TAP_FEED_BY_XDP;
	*why = d->addressed ? "it has an address of this host" : d->why;
	return d->feed ? TAP_FEED_BY_TC : TAP_FEED_HOST;
}
