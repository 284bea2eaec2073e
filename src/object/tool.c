/* SPDX-License-Identifier: Apache-2.0 */
/* Tools: one destination, with numbers in range; a tool without ports has one, "default". */
#include <errno.h>

#include "object/check.h"
#include "object/tool.h"

enum {
	VNI_MAX = 0xffffff,
	SESSION_MAX = 1023,
	MTU_MIN = 68,
	MTU_MAX = 65535,
	PORTS_MAX = 64,
	RANGES_MAX = 64,
	BYTES_MAX = 65535,
	WINDOW_MAX = 60 * 1000 * 1000,
	ENTRIES_MAX = 1 << 24,
	RING_MIN = 64 << 10,
	DSCP_MAX = 63,
	SECONDS_MAX = 86400,
};

int collector_parse(struct str text, struct addr *a, uint16_t *port)
{
	size_t i = text.n;
	struct str host;
	int64_t n;

	while (i && text.p[i - 1] != ':')
		i--;
	if (!i || str_to_i64((struct str){.p = text.p + i, .n = text.n - i}, 1, UINT16_MAX, &n))
		return -EINVAL;
	host = (struct str){.p = text.p, .n = i - 1};
	if (host.n > 2 && host.p[0] == '[' && host.p[host.n - 1] == ']')
		host = (struct str){.p = host.p + 1, .n = host.n - 2};
	else if (memchr(host.p, ':', host.n))
		return -EINVAL;
	*port = (uint16_t)n;
	return addr_parse(host, a);
}

/* The destinations as members of the struct, for messages about two of them. */
struct destinations {
	const void *at[10];
	const char *names[10];
	unsigned n;
};

static void note(struct destinations *d, const void *member, bool set, const char *name)
{
	if (!set)
		return;
	d->at[d->n] = member;
	d->names[d->n++] = name;
}

static void check_destination(struct check *c, const struct tool_spec *s)
{
	struct destinations d = {0};

	note(&d, &s->interface, s->interface, "interface");
	note(&d, &s->pod, s->pod, "pod");
	note(&d, &s->vxlan, s->vxlan, "vxlan");
	note(&d, &s->gre, s->gre, "gre");
	note(&d, &s->erspan, s->erspan, "erspan");
	note(&d, &s->file, s->file, "file");
	note(&d, &s->ring, s->ring, "ring");
	note(&d, &s->ipfix, s->ipfix, "ipfix");
	note(&d, &s->discard, s->discard.set && s->discard.v, "discard");
	if (!d.n)
		check_fail(c, &c->o->tool->spec,
			   "one of interface, pod, vxlan, gre, erspan, file, ring, ipfix, discard: true",
			   "says nowhere where the copies go");
	for (unsigned i = 1; i < d.n; i++)
		check_fail(c, d.at[i], "make it a Tool of its own", "cannot stand beside %s", d.names[0]);
}

static void check_mask(struct check *c, const struct port_mask *m)
{
	if (!m->fields.len && !m->ranges.len)
		check_fail_whole(c, m, "name fields or ranges", "masks nothing");
	if (m->ranges.len > RANGES_MAX)
		check_fail(c, &m->ranges, NULL, "%zu ranges are more than %d", m->ranges.len,
			   (int)RANGES_MAX);
	check_range(c, &m->fill, 0, UINT8_MAX);
	for (size_t i = 0; i < m->ranges.len && i < RANGES_MAX; i++) {
		check_range(c, &m->ranges.items[i].offset, 0, BYTES_MAX);
		check_range(c, &m->ranges.items[i].length, 1, BYTES_MAX);
	}
}

static void check_chain(struct check *c, const struct port_chain *p)
{
	if (p->sample)
		check_range(c, &p->sample->one_in, 1, UINT32_MAX);
	if (p->dedup) {
		check_range(c, &p->dedup->window, 1, WINDOW_MAX);
		check_range(c, &p->dedup->entries, 1, ENTRIES_MAX);
	}
	if (p->mask)
		check_mask(c, p->mask);
	if (p->slice)
		check_range(c, &p->slice->bytes, 0, BYTES_MAX);
	if (!p->stamp)
		return;
	check_range(c, &p->stamp->vlan, 1, 4094);
	check_range(c, &p->stamp->device, 0, UINT16_MAX);
	check_range(c, &p->stamp->port, 0, UINT8_MAX);
	if (!p->stamp->vlan.set && !p->stamp->trailer.v)
		check_fail_whole(c, p->stamp, "name vlan, or trailer: true", "adds nothing");
}

static void check_ports(struct check *c, const struct tool_port_list *ports)
{
	if (ports->len > PORTS_MAX)
		check_fail(c, ports, "make another tool", "%zu ports are more than %d", ports->len,
			   (int)PORTS_MAX);
	for (size_t i = 0; i < ports->len && i < PORTS_MAX; i++)
		for (size_t k = 0; k < i; k++)
			if (str_eq(ports->items[i].name, ports->items[k].name)) {
				check_fail(c, &ports->items[i].name, "give each port a name of its own",
					   "the tool has a port \"" STR_FMT "\" before",
					   STR_ARG(ports->items[i].name));
				break;
			}
	for (size_t i = 0; i < ports->len; i++)
		if (ports->items[i].chain)
			check_chain(c, ports->items[i].chain);
}

/* Files lie below a folder of the node's agent. */
static void check_path(struct check *c, const struct tool_file *f)
{
	struct str left = f->path, part;

	if (!f->path.n)
		return; /* the field table says that it is required */
	do {
		part = str_cut(&left, '/');
		if (str_eqz(part, "..")) {
			check_fail(c, &f->path, "name a file below the folder of files",
				   "\"..\" leads out of the folder");
			return;
		}
	} while (left.n);
	if (f->path.p[f->path.n - 1] == '/')
		check_fail(c, &f->path, "for example web.pcapng", "names a folder, no file");
}

static void check_size(struct check *c, const struct str *size, uint64_t least)
{
	uint64_t n;

	if (!size->n || quantity_number(*size, &n))
		return; /* the field table says what a quantity is */
	if (n < least)
		check_fail(c, size, NULL, STR_FMT " is less than %llu bytes", STR_ARG(*size),
			   (unsigned long long)least);
}

static void check_tunnel(struct check *c, const struct tool_spec *s)
{
	bool tunnel = s->vxlan || s->gre || s->erspan;

	check_range(c, &s->dscp, 0, DSCP_MAX);
	if (tunnel)
		return;
	if (s->dscp.set)
		check_fail(c, &s->dscp, "leave it out", "only tunnels have an outer header");
	if (s->df.set)
		check_fail(c, &s->df, "leave it out", "only tunnels have an outer header");
	if (s->too_big.n)
		check_fail(c, &s->too_big, "leave it out", "only tunnels have an outer header");
}

static void check_ipfix(struct check *c, const struct tool_ipfix *f)
{
	uint16_t port;
	struct addr a;

	if (f->collector.n && collector_parse(f->collector, &a, &port))
		check_fail(c, &f->collector, "for example 10.0.0.9:4739 or [fd00::9]:4739",
			   "\"" STR_FMT "\" is no address and port", STR_ARG(f->collector));
	check_range(c, &f->active, 1, SECONDS_MAX);
	check_range(c, &f->idle, 1, SECONDS_MAX);
}

static void check(struct check *c)
{
	const struct tool_spec *s = c->o->tool->spec;

	if (str_eqz(c->o->meta.name, "capture"))
		check_fail(c, &c->o->meta.name, "give it another name",
			   "\"capture\" stands for the captures of weft capture");
	if (!s)
		return; /* the field table says that it is required */
	check_destination(c, s);
	check_tunnel(c, s);
	if (s->file)
		check_path(c, s->file);
	if (s->file && s->file->rotate)
		check_size(c, &s->file->rotate->size, 1);
	if (s->ring)
		check_size(c, &s->ring->size, RING_MIN);
	if (s->ipfix)
		check_ipfix(c, s->ipfix);
	if (s->health) {
		check_range(c, &s->health->within, 1, SECONDS_MAX);
		if (s->health->answers.v && (s->file || s->ring || s->discard.v))
			check_remark(
			    c, REMARK_WARNING, &s->health->answers, "leave it out",
			    "nobody answers there: only interfaces, pods, tunnels and collectors can");
	}
	if (s->vxlan)
		check_range(c, &s->vxlan->vni, 0, VNI_MAX);
	if (s->gre)
		check_range(c, &s->gre->key, 0, UINT32_MAX);
	if (s->erspan)
		check_range(c, &s->erspan->session, 0, SESSION_MAX);
	if (s->file && s->file->rotate) {
		check_range(c, &s->file->rotate->seconds, 1, INT32_MAX);
		check_range(c, &s->file->rotate->count, 1, INT32_MAX);
	}
	check_range(c, &s->mtu, MTU_MIN, MTU_MAX);
	check_ports(c, &s->ports);
}

static int defaults(struct object *o)
{
	struct tool_spec *s = o->tool->spec;

	if (!s)
		return 0;
	if (s->vxlan)
		default_int(&s->vxlan->port, 4789);
	if (s->ports.len)
		return 0;
	struct tool_port *port = arena_new(&o->arena, struct tool_port);
	if (!port)
		return -ENOMEM;
	port->name = STR("default");
	s->ports = (struct tool_port_list){.items = port, .len = 1, .set = true};
	return 0;
}

const struct kind_rules tool_rules = {.check = check, .defaults = defaults};
