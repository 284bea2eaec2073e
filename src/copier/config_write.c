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

/* As text: JSON's numbers have no 56 bits everywhere. */
static void write_key(struct buf *out, uint64_t key)
{
	buf_printf(out, ",\"key\":\"%014llx\"", (unsigned long long)key);
}

static void write_relay(struct buf *out, const struct config_relay *r)
{
	buf_printf(out, "{\"number\":%u,\"mtu\":%u", r->number, r->mtu);
	member(out, "tool", r->tool);
	member(out, "port", r->port);
	member(out, "at", r->at);
	buf_addz(out, ",\"source\":");
	write_addr(out, &r->source);
	buf_addz(out, ",\"far\":");
	write_addr(out, &r->far);
	write_key(out, r->key);
	buf_addc(out, '}');
}

static void write_arrivals(struct buf *out, const struct config *c)
{
	buf_printf(out, "],\n\"arrivals\":{\"outlet\":%u,\"own\":[", c->answers);
	if (!addr_is_zero(&c->own4))
		write_addr(out, &c->own4);
	if (!addr_is_zero(&c->own6)) {
		buf_addz(out, addr_is_zero(&c->own4) ? "" : ",");
		write_addr(out, &c->own6);
	}
	buf_addz(out, "],\"nodes\":[");
	for (size_t i = 0; i < c->nodes_n; i++) {
		buf_addz(out, i ? "," : "");
		write_addr(out, &c->nodes[i]);
	}
	buf_addz(out, "],\"tools\":[");
	for (size_t i = 0; i < c->arrivals_n; i++) {
		buf_addz(out, i ? ",{\"tool\":" : "{\"tool\":");
		buf_json(out, c->arrivals[i].tool);
		member(out, "port", c->arrivals[i].port);
		write_key(out, c->arrivals[i].key);
		buf_addc(out, '}');
	}
	buf_addz(out, "]},\n\"names\":[");
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
	if (c->answers) {
		buf_addz(out, "],\n\"relays\":[");
		for (size_t i = 0; i < c->relays_n; i++) {
			buf_addz(out, i ? "," : "");
			write_relay(out, &c->relays[i]);
		}
		write_arrivals(out, c);
	} else {
		buf_addz(out, "],\n\"names\":[");
	}
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
