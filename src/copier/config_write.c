/* SPDX-License-Identifier: Apache-2.0 */
/* CONFIG as JSON: see config.h. */
#include "copier/config.h"

static void member(struct buf *out, const char *key, struct str value)
{
	buf_printf(out, ",\"%s\":", key);
	buf_json(out, value);
}

static void write_addr(struct buf *out, const struct addr *a)
{
	char text[ADDR_TEXT];

	addr_print(a, text);
	buf_json(out, str_of(text));
}

static void write_place(struct buf *out, const struct config_place *p)
{
	buf_printf(out, "{\"point\":%u,\"ifindex\":%u", p->point, p->ifindex);
	member(out, "name", p->name);
	member(out, "kind", p->kind);
	buf_addz(out, ",\"sources\":[");
	for (size_t i = 0; i < p->sources_n; i++) {
		buf_addz(out, i ? "," : "");
		buf_json(out, p->sources[i]);
	}
	buf_addz(out, "]}");
}

static void write_outlet(struct buf *out, const struct config_outlet *o)
{
	buf_printf(out, "{\"number\":%u", o->number);
	member(out, "tool", o->tool);
	member(out, "port", o->port);
	if (!addr_is_zero(&o->address)) {
		buf_addz(out, ",\"address\":");
		write_addr(out, &o->address);
	}
	buf_addz(out, ",\"direct\":[");
	for (size_t i = 0; i < o->direct_n; i++)
		buf_printf(out, "%s%u", i ? "," : "", o->direct[i]);
	buf_addz(out, "]}");
}

static void write_tunnel(struct buf *out, const struct config_tunnel *t)
{
	buf_printf(out, "{\"number\":%u,\"mtu\":%u", t->number, t->mtu);
	member(out, "tool", t->tool);
	buf_addz(out, ",\"source\":");
	write_addr(out, &t->source);
	buf_addc(out, '}');
}

void config_write(struct buf *out, const struct config *c)
{
	buf_printf(out, "{\"epoch\":%u", c->epoch);
	member(out, "node", c->node);
	buf_addz(out, ",\"objects\":[");
	for (size_t i = 0; i < c->objects_n; i++) {
		buf_addz(out, i ? ",\n" : "\n");
		object_print_json(out, c->objects[i], 0);
	}
	buf_addz(out, "],\n\"places\":[");
	for (size_t i = 0; i < c->places_n; i++) {
		buf_addz(out, i ? "," : "");
		write_place(out, &c->places[i]);
	}
	buf_addz(out, "],\n\"outlets\":[");
	for (size_t i = 0; i < c->outlets_n; i++) {
		buf_addz(out, i ? "," : "");
		write_outlet(out, &c->outlets[i]);
	}
	buf_addz(out, "],\n\"tunnels\":[");
	for (size_t i = 0; i < c->tunnels_n; i++) {
		buf_addz(out, i ? "," : "");
		write_tunnel(out, &c->tunnels[i]);
	}
	buf_addz(out, "],\n\"names\":[");
	for (size_t i = 0; i < c->names_n; i++) {
		buf_addz(out, i ? ",[" : "[");
		write_addr(out, &c->names[i].addr);
		buf_addc(out, ',');
		buf_json(out, c->names[i].name);
		buf_addc(out, ']');
	}
	buf_addc(out, ']');
	member(out, "files", c->files);
	buf_addz(out, "}\n");
}
