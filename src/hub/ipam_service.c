/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Service addresses and node ports: asked-for ones are honoured or refused with the holder's position, the
 * others follow from a hash of the Service's name with probing. Writes no object but the one being admitted.
 * See ipam.h.
 */
#include <errno.h>
#include <stdio.h>

#include "hub/copy.h"
#include "hub/ipam_state.h"

enum { HEALTH_MARK = 0x68656c }; /* above all ports: stands for the health port */
enum { RESERVED = 256 };	 /* the first addresses of a range are only given when asked for */

struct fill {
	struct ipam *ip;
	const struct store *store;
	struct object *o;
	const struct object *old;
	struct remarks *rs;
	struct str key; /* "ns/name" */
};

struct str ipam_port_key(char out[24], struct str protocol, int64_t port)
{
	if (!protocol.n)
		protocol = STR("TCP");
	int n = snprintf(out, 24, STR_FMT ":%d", protocol.n > 8 ? 8 : (int)protocol.n, protocol.p, (int)port);
	return (struct str){out, (size_t)n};
}

static struct str addr_key(const struct addr *a)
{
	return (struct str){(const char *)a->b, sizeof(a->b)};
}

/* The first holder keeps it: of two that ask for the same, the later one is refused by its admission. */
static void take(struct hash *t, struct str key, struct str owner)
{
	char *copy = hash_get(t, key) ? NULL : strndup(owner.p, owner.n);
	if (copy && hash_set(t, key, copy, NULL))
		free(copy);
}

static void give_back(struct hash *t, struct str key, struct str owner)
{
	const char *held = hash_get(t, key);
	if (held && str_eqz(owner, held))
		free(hash_del(t, key));
}

/* What somebody else balances is in no pool. */
static void note_balancer(struct ipam *ip, const struct object *o, bool taken)
{
	const struct service_status *st = o->service->status;
	const struct balancer_status *b = st ? st->load_balancer : NULL;
	if (o->service->spec->load_balancer_class.n)
		return;
	for (size_t i = 0; b && i < b->ingress.len; i++) {
		struct addr a;
		if (!addr_parse(b->ingress.items[i].ip, &a))
			(taken ? take : give_back)(&ip->balancers, addr_key(&a), object_key(o));
	}
}

static void note(struct ipam *ip, const struct object *o, bool taken)
{
	const struct service_spec *spec = o->service->spec;
	struct str key = object_key(o);
	if (!spec)
		return;
	for (size_t i = 0; i < spec->cluster_ips.len; i++) {
		struct addr a;
		if (!addr_parse(spec->cluster_ips.items[i], &a))
			(taken ? take : give_back)(&ip->addrs, addr_key(&a), key);
	}
	char health[24];
	if (spec->health_check_node_port.v)
		(taken ? take : give_back)(
		    &ip->ports, ipam_port_key(health, STR("TCP"), spec->health_check_node_port.v), key);
	note_balancer(ip, o, taken);
	for (size_t i = 0; i < spec->ports.len; i++) {
		char text[24];
		if (spec->ports.items[i].node_port.set)
			(taken ? take : give_back)(&ip->ports,
						   ipam_port_key(text, spec->ports.items[i].protocol,
								 spec->ports.items[i].node_port.v),
						   key);
	}
}

void ipam_service_note(struct ipam *ip, const struct object *was, const struct object *now)
{
	if (was)
		note(ip, was, false);
	if (now)
		note(ip, now, true);
}

static void refuse_taken(const struct fill *f, const void *member, const char *what, struct str value,
			 const char *holder)
{
	struct str name = str_of(holder), ns = str_cut(&name, '/');
	const struct object *other = store_get(f->store, KIND_service, ns, name);
	AUTO_BUF at = {0};
	if (other) {
		pos_print(&at, other->pos);
		if (at.n)
			buf_addz(&at, ": ");
	}
	remark_add(f->rs, REMARK_ERROR, object_pos(f->o, member),
		   "leave it out to get a free one, or choose another",
		   "%s " STR_FMT " of Service " STR_FMT " is already that of " STR_FMT "Service %s", what,
		   STR_ARG(value), STR_ARG(f->key), STR_ARG(buf_str(&at)), holder);
}

static int ask_addr(const struct fill *f, const void *member, struct str text, const struct addr *a)
{
	const struct prefix *range = addr_is4(a) ? &f->ip->services4 : &f->ip->services6;
	const char *holder = hash_get(&f->ip->addrs, addr_key(a));
	if (!range->len || !prefix_has(range, a)) {
		char p[PREFIX_TEXT];
		prefix_print(range, p);
		remark_add(f->rs, REMARK_ERROR, object_pos(f->o, member), "leave it out to get a free one",
			   "clusterIP " STR_FMT " of Service " STR_FMT
			   " is outside the range of Services, %s",
			   STR_ARG(text), STR_ARG(f->key), p);
		return -EINVAL;
	}
	if (holder && !str_eqz(f->key, holder)) {
		refuse_taken(f, member, "clusterIP", text, holder);
		return -EINVAL;
	}
	return 0;
}

static int pick_addr(const struct fill *f, bool v6, struct addr *out)
{
	const struct prefix *range = v6 ? &f->ip->services6 : &f->ip->services4;
	unsigned bits = 128u - range->len;
	uint64_t size = !range->len ? 0 : bits >= 20 ? 1u << 20 : 1ULL << bits;
	uint64_t first = size > 2 * RESERVED ? RESERVED : 1,
		 last = size > 1 ? size - 1 : 0; /* last is not given */
	if (last <= first)
		return -ENOSPC;
	uint64_t span = last - first;
	/* Both families probe from the same place, so that the two addresses of a Service look alike. */
	uint64_t at = hash_bytes(f->key.p, f->key.n, 0x736572766963) % span;
	for (uint64_t n = 0; n < span; n++, at = (at + 1) % span) {
		*out = range->addr;
		addr_add(out, first + at);
		const char *holder = hash_get(&f->ip->addrs, addr_key(out));
		if (!holder || str_eqz(f->key, holder))
			return 0;
	}
	return -ENOSPC;
}

/* The address of one family that the Service asks for, or had. */
static bool wanted(const struct fill *f, bool v6, struct str *text, const void **member, struct addr *a)
{
	const struct service_spec *spec = f->o->service->spec;
	for (size_t i = 0; i < spec->cluster_ips.len; i++)
		if (!addr_parse(spec->cluster_ips.items[i], a) && addr_is4(a) != v6) {
			*text = spec->cluster_ips.items[i];
			*member = &spec->cluster_ips.items[i];
			return true;
		}
	if (!spec->cluster_ips.len && !addr_parse(spec->cluster_ip, a) && addr_is4(a) != v6) {
		*text = spec->cluster_ip;
		*member = &spec->cluster_ip;
		return true;
	}
	const struct service_spec *was = f->old ? f->old->service->spec : NULL;
	for (size_t i = 0; was && i < was->cluster_ips.len; i++)
		if (!addr_parse(was->cluster_ips.items[i], a) && addr_is4(a) != v6) {
			*text = was->cluster_ips.items[i];
			*member = spec;
			return true;
		}
	return false;
}

/* Which families, in which order: as asked for, by the asked-for address, else IPv4 and IPv6. */
static int fill_families(const struct fill *f)
{
	struct service_spec *spec = f->o->service->spec;
	struct arena *a = &f->o->arena;
	struct addr first;
	struct str text = spec->cluster_ips.len ? spec->cluster_ips.items[0] : spec->cluster_ip;
	if (!spec->ip_family_policy.n)
		spec->ip_family_policy =
		    spec->ip_families.len == 1 ? STR("SingleStack") : STR("PreferDualStack");
	spec->ip_family_policy = arena_str(a, spec->ip_family_policy);
	bool single = str_eqz(spec->ip_family_policy, "SingleStack");
	if (!spec->ip_families.len) {
		bool six = !addr_parse(text, &first) && !addr_is4(&first);
		if (!f->ip->services4.len)
			six = true;
		if (strlist_add(a, &spec->ip_families, six ? STR("IPv6") : STR("IPv4")))
			return -ENOMEM;
	}
	if (single || spec->ip_families.len > 1) {
		if (single && spec->ip_families.len > 1)
			spec->ip_families.len = 1;
		return 0;
	}
	bool six = str_eqz(spec->ip_families.items[0], "IPv4");
	if (!(six ? f->ip->services6.len : f->ip->services4.len)) {
		if (!str_eqz(spec->ip_family_policy, "RequireDualStack"))
			return 0;
		remark_add(
		    f->rs, REMARK_ERROR, object_pos(f->o, &spec->ip_family_policy), "use PreferDualStack",
		    "Service " STR_FMT " requires both families, the cluster has one", STR_ARG(f->key));
		return -EINVAL;
	}
	return strlist_add(a, &spec->ip_families, six ? STR("IPv6") : STR("IPv4"));
}

static int fill_addrs(const struct fill *f)
{
	struct service_spec *spec = f->o->service->spec;
	struct strlist ips = {.set = true};
	for (size_t i = 0; i < spec->ip_families.len; i++) {
		bool v6 = str_eqz(spec->ip_families.items[i], "IPv6");
		struct str text;
		const void *member;
		struct addr addr;
		int r;
		if (wanted(f, v6, &text, &member, &addr)) {
			r = ask_addr(f, member, text, &addr);
		} else {
			r = pick_addr(f, v6, &addr);
			if (r)
				remark_add(f->rs, REMARK_ERROR, f->o->pos,
					   "delete Services that are not used",
					   "no free %s address is left for Service " STR_FMT,
					   v6 ? "IPv6" : "IPv4", STR_ARG(f->key));
		}
		if (r)
			return -EINVAL;
		char out[ADDR_TEXT];
		addr_print(&addr, out);
		if (strlist_add(&f->o->arena, &ips, str_of(out)))
			return -ENOMEM;
	}
	spec->cluster_ips = ips;
	spec->cluster_ip = ips.len ? ips.items[0] : (struct str){0};
	return 0;
}

static int64_t old_node_port(const struct fill *f, const struct service_port *p)
{
	const struct service_spec *was = f->old ? f->old->service->spec : NULL;
	for (size_t i = 0; was && i < was->ports.len; i++)
		if (str_eq(was->ports.items[i].name, p->name) && was->ports.items[i].port.v == p->port.v &&
		    str_eq(was->ports.items[i].protocol, p->protocol))
			return was->ports.items[i].node_port.v;
	return 0;
}

static const char *port_holder(const struct fill *f, const struct service_port *p, int64_t number)
{
	char text[24];
	const struct service_spec *spec = f->o->service->spec;
	for (size_t i = 0; i < spec->ports.len; i++)
		if (&spec->ports.items[i] != p && spec->ports.items[i].node_port.v == number &&
		    str_eq(spec->ports.items[i].protocol, p->protocol))
			return "this one (another port of it)";
	bool health = p->port.v == HEALTH_MARK && !p->node_port.set;
	if (!health && spec->health_check_node_port.v == number && !str_eqz(p->protocol, "UDP") &&
	    !str_eqz(p->protocol, "SCTP"))
		return "this one (its healthCheckNodePort)";
	const char *holder = hash_get(&f->ip->ports, ipam_port_key(text, p->protocol, number));
	return holder && !str_eqz(f->key, holder) ? holder : NULL;
}

static int pick_port(const struct fill *f, struct service_port *p)
{
	int64_t span = NODEPORT_LAST - NODEPORT_FIRST + 1;
	uint64_t h = hash_bytes(f->key.p, f->key.n, (uint64_t)p->port.v);
	for (int64_t n = 0; n < span; n++) {
		int64_t number = NODEPORT_FIRST + (int64_t)((h + (uint64_t)n) % (uint64_t)span);
		if (!port_holder(f, p, number)) {
			p->node_port = int_of(number);
			return 0;
		}
	}
	remark_add(f->rs, REMARK_ERROR, f->o->pos, "delete Services that are not used",
		   "no free node port is left for Service " STR_FMT, STR_ARG(f->key));
	return -EINVAL;
}

/* Number of a health port, in the same range as node ports; what stands there is kept where it is free. */
static int fill_health(const struct fill *f)
{
	struct service_spec *spec = f->o->service->spec;
	const struct service_spec *was = f->old ? f->old->service->spec : NULL;
	bool needed = str_eqz(spec->type, "LoadBalancer") && str_eqz(spec->external_traffic_policy, "Local");
	struct opt_int *n = &spec->health_check_node_port;
	struct service_port as = {.protocol = STR("TCP"), .port = {.v = HEALTH_MARK, .set = true}};
	if (!needed) {
		*n = (struct opt_int){0};
		return 0;
	}
	if (n->v) {
		const char *holder = port_holder(f, &as, n->v);
		char text[24];
		if (!holder)
			return 0;
		snprintf(text, sizeof(text), "%d", (int)n->v);
		refuse_taken(f, n, "healthCheckNodePort", str_of(text), holder);
		return -EINVAL;
	}
	if (was && was->health_check_node_port.v && !port_holder(f, &as, was->health_check_node_port.v)) {
		*n = was->health_check_node_port;
		return 0;
	}
	int r = pick_port(f, &as);
	*n = as.node_port;
	return r;
}

/* `asked`: numbers that stand there count also where none is needed. */
static int fill_ports(const struct fill *f, bool needed, bool asked)
{
	struct service_spec *spec = f->o->service->spec;
	int r = 0;
	for (size_t i = 0; i < spec->ports.len; i++) {
		struct service_port *p = &spec->ports.items[i];
		if (!needed && !(asked && p->node_port.v)) {
			p->node_port = (struct opt_int){0};
			continue;
		}
		if (p->node_port.set && p->node_port.v) {
			const char *holder = port_holder(f, p, p->node_port.v);
			char text[24];
			if (holder) {
				snprintf(text, sizeof(text), "%d", (int)p->node_port.v);
				refuse_taken(f, &p->node_port, "nodePort", str_of(text), holder);
				r = -EINVAL;
			}
			continue;
		}
		int64_t was = old_node_port(f, p);
		if (was && !port_holder(f, p, was))
			p->node_port = int_of(was);
		else if (pick_port(f, p))
			r = -EINVAL;
	}
	return r;
}

int ipam_service_fill(struct ipam *ip, const struct store *s, struct object *o, const struct object *old,
		      struct remarks *rs)
{
	struct fill f = {.ip = ip, .store = s, .o = o, .old = old, .rs = rs, .key = object_key(o)};
	struct service_spec *spec = o->service->spec;
	if (!spec)
		return 0;
	if (str_eqz(spec->type, "ExternalName")) {
		spec->health_check_node_port = (struct opt_int){0};
		spec->cluster_ip = (struct str){0};
		spec->cluster_ips = (struct strlist){0};
		return fill_ports(&f, false, false);
	}
	int r = fill_families(&f);
	if (r)
		return r;
	struct str first = spec->cluster_ips.len ? spec->cluster_ips.items[0] : spec->cluster_ip;
	if (str_eqz(first, "None")) {
		spec->cluster_ip = arena_str(&o->arena, STR("None"));
		if (!spec->cluster_ips.len && strlist_add(&o->arena, &spec->cluster_ips, STR("None")))
			return -ENOMEM;
	} else {
		r = fill_addrs(&f);
	}
	bool balancer =
	    str_eqz(spec->type, "LoadBalancer") &&
	    !(spec->allocate_load_balancer_node_ports.set && !spec->allocate_load_balancer_node_ports.v);
	int p =
	    fill_ports(&f, balancer || str_eqz(spec->type, "NodePort"), str_eqz(spec->type, "LoadBalancer"));
	int health = fill_health(&f);
	return r ? r : p ? p : health;
}
