/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Links of pods: the veth pair, both its ends' addresses, routes and neighbours, and the two filters at the
 * host end. Many links are made in a few round trips. The alias of the host end is written last and holds
 * what the row said: it marks a link as complete, and is how a later process knows it again. Called by
 * rows.c.
 */
#include "apply/state.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/if.h>
#include <stdio.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/own.h"

enum { READY_MS = 500 }; /* all links of a run together */

static void host_name(uint32_t index, char out[16])
{
	snprintf(out, 16, "wp%u", index);
}

static void print_alias(const struct link_value *v, uint64_t cookie, char out[256])
{
	char v4[ADDR_TEXT], v6[ADDR_TEXT];

	addr_print(&v->v4, v4);
	addr_print(&v->v6, v6);
	snprintf(out, 256, "weft1 %s %s %s %02x:%02x:%02x:%02x:%02x:%02x %" PRIu64, v->uid, v4, v6, v->mac[0],
		 v->mac[1], v->mac[2], v->mac[3], v->mac[4], v->mac[5], cookie);
}

static int parse_alias(const char *alias, struct link_value *v, uint64_t *cookie)
{
	char uid[UID_SIZE], v4[ADDR_TEXT], v6[ADDR_TEXT];
	unsigned m[6];

	*cookie = 0; /* those of an older build have none */
	if (sscanf(alias, "weft1 %39s %45s %45s %2x:%2x:%2x:%2x:%2x:%2x %" SCNu64, uid, v4, v6, &m[0], &m[1],
		   &m[2], &m[3], &m[4], &m[5], cookie) < 9)
		return -EINVAL;
	memcpy(v->uid, uid, strlen(uid));
	for (unsigned i = 0; i < 6; i++)
		v->mac[i] = (uint8_t)m[i];
	return addr_parse(str_of(v4), &v->v4) || addr_parse(str_of(v6), &v->v6) ? -EINVAL : 0;
}

struct pod_link *pod_link_get(const struct applier *a, uint32_t index)
{
	return hash_get(&a->links, KEY_OF(index));
}

static int remember(struct applier *a, uint32_t index, const struct link_value *v, uint64_t cookie)
{
	struct pod_link *l = pod_link_get(a, index);
	int err;

	if (l) {
		if (l->cookie != cookie)
			namespace_unmap(a, l->cookie, index);
		l->cookie = cookie;
		l->value = *v;
		return 0;
	}
	l = calloc(1, sizeof(*l));
	if (!l)
		return -ENOMEM;
	*l = (struct pod_link){.index = index, .cookie = cookie, .value = *v};
	err = hash_set(&a->links, KEY_OF(index), l, NULL);
	if (err)
		free(l);
	return err;
}

static void forget(struct applier *a, uint32_t index)
{
	struct pod_link *l = hash_del(&a->links, KEY_OF(index));

	if (!l)
		return;
	gone_link(a, &l->value);
	namespace_unmap(a, l->cookie, index);
	namespace_drop(a, l->value.uid);
	namespace_forget(a, l->cookie);
	fault_forget(a, index);
	free(l);
}

void pod_links_fini(struct applier *a)
{
	HASH_EACH (&a->links, s)
		free(s->value);
	hash_fini(&a->links);
}

static void put_filters(struct applier *a, struct nl_batch *b, uint32_t index, int *result)
{
	tc_clsact(b, index, result);
	tc_filter(b, index, false, a->kernel.program[PROG_FROM_POD], program_table[PROG_FROM_POD].name,
		  result);
	tc_filter(b, index, true, a->kernel.program[PROG_TO_POD], program_table[PROG_TO_POD].name, result);
}

static void put_host_end(struct applier *a, struct nl_batch *b, uint32_t index, const struct link_value *v,
			 int *result)
{
	link_no_autoconf(b, index, result);
	put_filters(a, b, index, result);
	link_up(b, index, v->mtu, false, result);
	if (!addr_is_zero(&v->v4))
		neigh_set(b, index, &v->v4, v->mac, result);
	if (!addr_is_zero(&v->v6))
		neigh_set(b, index, &v->v6, v->mac, result);
}

static void put_pod_family(struct nl_batch *b, uint32_t index, const struct addr *own,
			   const struct addr *gateway, const uint8_t mac[6], int *result)
{
	struct route_want w = {.index = index, .via = gateway, .onlink = true, .protocol = RTPROT_STATIC};

	if (addr_is_zero(own))
		return;
	if (addr_is4(own))
		w.to = (struct prefix){.addr = addr_from4(0), .len = 96};
	addr_set(b, index, own, result);
	neigh_set(b, index, gateway, mac, result);
	route_set(b, &w, true, result);
}

static void put_pod_end(struct nl_batch *b, uint32_t index, const struct link_value *v, int *result)
{
	struct addr gateway4 = addr_from4(0xa9fe0101), gateway6 = {.b = {0xfe, 0x80, [15] = 1}};

	link_no_autoconf(b, index, result);
	link_up(b, index, v->mtu, false, result);
	put_pod_family(b, index, &v->v4, &gateway4, v->gateway_mac, result);
	put_pod_family(b, index, &v->v6, &gateway6, v->gateway_mac, result);
}

struct job { /* one row of a run */
	uint32_t index;
	struct link_value v;
	struct pod_ns *ns;
	uint64_t cookie;
	bool had;
	bool replaces; /* another pod's pair went: the routes that the plan still has went with it */
	int result;
};

static void make_veths(struct applier *a, struct job *jobs, size_t n)
{
	struct nl_batch *b = a->batch;
	char name[16];

	nl_batch_init(b, a->route_fd);
	for (size_t i = 0; i < n; i++) {
		struct job *j = &jobs[i];

		if (j->had || j->result)
			continue;
		if (!j->ns || j->ns->netns < 0) {
			j->result = -ENOENT;
			continue;
		}
		host_name(j->index, name);
		link_add_veth(b, j->index, name, &j->v, j->ns->netns, &j->result);
	}
	nl_send(b);
}

static void put_route(struct nl_batch *b, const struct job *j, const struct addr *own)
{
	struct route_want w = {.to = {.addr = *own, .len = 128},
			       .index = j->index,
			       .mtu = j->v.mtu,
			       .protocol = WEFT_ROUTE_PROTOCOL};

	if (!addr_is_zero(own))
		route_set(b, &w, false, NULL);
}

/* Until then the first packets to a pod would find nobody, and its programs could not bind. */
static void await_addresses(struct job *jobs, size_t n)
{
	const struct timespec pause = {.tv_nsec = 200 * 1000};
	uint64_t end = clock_ms() + READY_MS;

	for (size_t i = 0; i < n; i++) {
		const struct job *j = &jobs[i];

		if (j->result || !j->ns || addr_is_zero(&j->v.v6))
			continue;
		while (route_is_local(j->ns->route, &j->v.v6) == 0 && clock_ms() < end)
			nanosleep(&pause, NULL);
	}
}

/* After the pairs exist: hosts' ends together, each pod's end by its own socket, then the aliases. */
static void configure(struct applier *a, struct job *jobs, size_t n)
{
	struct nl_batch *b = a->batch;
	char alias[256];

	nl_batch_init(b, a->route_fd);
	for (size_t i = 0; i < n; i++) {
		if (jobs[i].result)
			continue;
		put_host_end(a, b, jobs[i].index, &jobs[i].v, &jobs[i].result);
		if (jobs[i].replaces) {
			put_route(b, &jobs[i], &jobs[i].v.v4);
			put_route(b, &jobs[i], &jobs[i].v.v6);
		}
	}
	nl_send(b);
	if (b->text[0])
		log_warn("link of a pod, host end: %s", b->text);
	for (size_t i = 0; i < n; i++) {
		if (jobs[i].result || !jobs[i].ns)
			continue;
		nl_batch_init(b, jobs[i].ns->route);
		put_pod_end(b, jobs[i].index, &jobs[i].v, &jobs[i].result);
		nl_send(b);
		if (b->text[0])
			log_warn("link %u, pod end: %s", jobs[i].index, b->text);
	}
	await_addresses(jobs, n);
	nl_batch_init(b, a->route_fd);
	for (size_t i = 0; i < n; i++) {
		if (jobs[i].result)
			continue;
		print_alias(&jobs[i].v, jobs[i].cookie, alias);
		link_alias(b, jobs[i].index, alias, &jobs[i].result);
	}
	nl_send(b);
}

static void finish(struct applier *a, struct job *jobs, size_t n)
{
	struct nl_batch *b = a->batch;

	nl_batch_init(b, a->route_fd);
	for (size_t i = 0; i < n; i++) {
		struct job *j = &jobs[i];

		if (!j->result)
			j->result = namespace_map(a, j->cookie, j->index);
		if (!j->result)
			j->result = remember(a, j->index, &j->v, j->cookie);
		if (!j->result && j->ns)
			own_fd(&j->ns->netns);
		/* What we made and could not finish goes again; what exists under that index is not ours to
		 * remove. */
		if (j->result && !j->had && j->result != -EEXIST && j->result != -ENOENT)
			link_del(b, j->index, NULL);
	}
	nl_send(b);
}

static void delete_links(struct applier *a, const uint32_t *index, size_t n, int *results)
{
	enum { GROUP_DYING = WEFT_LINK_GROUP + 1 };
	struct nl_batch *b = a->batch;
	int gone = 0;

	nl_batch_init(b, a->route_fd);
	for (size_t i = 0; i < n; i++) {
		if (n < 3)
			link_del(b, index[i], &results[i]);
		else
			link_group(b, index[i], GROUP_DYING, &results[i]);
	}
	/* One request for all: the kernel then waits once, not once a link. */
	if (n >= 3)
		link_del_group(b, GROUP_DYING, &gone);
	nl_send(b);
	for (size_t i = 0; i < n; i++) {
		if (gone && !results[i])
			results[i] = gone;
		if (!results[i])
			forget(a, index[i]);
	}
}

static bool same_link(const struct link_value *x, const struct link_value *y)
{
	return !strncmp(x->uid, y->uid, UID_SIZE) && addr_eq(&x->v4, &y->v4) && addr_eq(&x->v6, &y->v6) &&
	       !memcmp(x->mac, y->mac, 6) && !memcmp(x->gateway_mac, y->gateway_mac, 6);
}

static void inherit_nothing(struct applier *a, struct job *jobs, size_t n)
{
	AUTO_MEM const struct link_value **fresh = calloc(n, sizeof(*fresh));
	size_t k = 0;
	int err = -ENOMEM;

	for (size_t i = 0; fresh && i < n; i++)
		if (!jobs[i].had && !jobs[i].result)
			fresh[k++] = &jobs[i].v;
	if (fresh)
		err = gone_before_links(a, fresh, k);
	for (size_t i = 0; err && i < n; i++)
		if (!jobs[i].had && !jobs[i].result)
			jobs[i].result = err;
}

static void add_links(struct applier *a, const struct change *c, size_t n, int32_t *results)
{
	AUTO_MEM struct job *jobs = calloc(n, sizeof(*jobs));

	for (size_t i = 0; !jobs && i < n; i++)
		results[i] = -ENOMEM;
	if (!jobs)
		return;
	for (size_t i = 0; i < n; i++) {
		struct job *j = &jobs[i];
		const struct pod_link *old;

		memcpy(&j->index, c[i].row.key, sizeof(j->index));
		memcpy(&j->v, c[i].row.value, sizeof(j->v));
		old = pod_link_get(a, j->index);
		if (old && !same_link(&old->value, &j->v)) {
			uint32_t index = j->index;

			/* Another pod, or another address, has the index now: the old pair goes with all it
			 * had. */
			if (strncmp(old->value.uid, j->v.uid, UID_SIZE) || !namespace_get(a, j->v.uid))
				delete_links(a, &index, 1, &j->result);
			j->replaces = c[i].op == CHANGE_SET;
			old = NULL;
		}
		j->had = old && pod_link_check(a, old, NULL) != -ENODEV;
		j->ns = namespace_get(a, j->v.uid);
		j->cookie = j->ns ? j->ns->cookie : old ? old->cookie : 0;
	}
	inherit_nothing(a, jobs, n);
	make_veths(a, jobs, n);
	configure(a, jobs, n);
	finish(a, jobs, n);
	for (size_t i = 0; i < n; i++)
		results[i] = jobs[i].result;
}

void pod_links_apply(struct applier *a, const struct change *c, size_t n, int32_t *results)
{
	AUTO_MEM uint32_t *index = NULL;

	if (c->op != CHANGE_DEL) {
		add_links(a, c, n, results);
		return;
	}
	index = calloc(n, sizeof(*index));
	for (size_t i = 0; i < n; i++) {
		results[i] = index ? 0 : -ENOMEM;
		if (index)
			memcpy(&index[i], c[i].row.key, sizeof(*index));
	}
	if (index)
		delete_links(a, index, n, results);
}

int pod_link_check(const struct applier *a, const struct pod_link *l, struct buf *out)
{
	struct link_info i;
	char in[32], eg[32], name[16];
	int err = link_get(a->route_fd, l->index, NULL, &i);

	host_name(l->index, name);
	if (err || strcmp(i.name, name)) {
		if (out)
			buf_printf(out, "interface %s is missing\n", name);
		return err ? err : -ENODEV;
	}
	if (!(i.flags & IFF_UP) || i.mtu != l->value.mtu || memcmp(i.mac, l->value.gateway_mac, 6)) {
		if (out)
			buf_printf(out, "interface %s is down, or its mtu or MAC was changed\n", name);
		return -EBADE;
	}
	err = tc_filter_get(a->route_fd, l->index, false, in);
	if (!err)
		err = tc_filter_get(a->route_fd, l->index, true, eg);
	if (err || strcmp(in, program_table[PROG_FROM_POD].name) ||
	    strcmp(eg, program_table[PROG_TO_POD].name)) {
		if (out)
			buf_printf(out, "interface %s has lost a filter\n", name);
		return -EBADE;
	}
	return 0;
}

struct adopt {
	struct applier *a;
	VEC(uint32_t) halves;
	int err;
};

static int adopt_one(const struct link_info *i, void *ctx)
{
	struct adopt *ad = ctx;
	struct link_value v = {.mtu = i->mtu};
	uint64_t cookie;
	char name[16];

	host_name(i->index, name);
	if (i->group != WEFT_LINK_GROUP || strcmp(i->kind, "veth") || strcmp(i->name, name))
		return 0;
	memcpy(v.gateway_mac, i->mac, 6);
	if (parse_alias(i->alias, &v, &cookie))
		return vec_push(&ad->halves, i->index);
	return remember(ad->a, i->index, &v, cookie);
}

int pod_links_adopt(struct applier *a)
{
	struct adopt ad = {.a = a};
	struct nl_batch *b = a->batch;
	int err = link_dump(a->route_fd, adopt_one, &ad), result = 0;

	nl_batch_init(b, a->route_fd);
	VEC_EACH (&ad.halves, index)
		link_del(b, *index, NULL);
	HASH_EACH (&a->links, s)
		put_filters(a, b, ((struct pod_link *)s->value)->index, &result);
	nl_send(b);
	vec_free(&ad.halves);
	if (!err)
		err = namespaces_learn(a);
	return err ? err : result;
}
