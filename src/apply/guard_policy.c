/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a planner may ask for in the BPF maps of policies and of names: forms that the programs read, and no
 * other. A row that they would read differently from how it was meant is refused here. Must never change
 * anything. Called by guard.c.
 */
#include <errno.h>

#include "apply/state.h"
#include "seam/name.h"
#include "seam/policy.h"

static int no(struct buf *why, const char *text)
{
	buf_addz(why, text);
	return -EPERM;
}

static int guard_policy(const uint8_t *key, const uint8_t *value, struct buf *why)
{
	struct policy_key k;
	struct policy_value v;

	memcpy(&k, key, sizeof(k));
	memcpy(&v, value, sizeof(v));
	if (!(k.set & ~SET_OPEN))
		return no(why, "policy: set 0 isolates nothing and has no elements");
	if (v.pad || !v.portset)
		return no(why, "policy: there is no port set 0");
	switch (v.portset) {
	case PORTSET_ALL:
	case PORTSET_NONE:
		return v.lens || v.proto || v.port
			   ? no(why, "policy: all and none have no lengths and no port")
			   : 0;
	case PORTSET_ONE:
		return v.lens || !v.proto ? no(why, "policy: one port has a protocol and no lengths") : 0;
	default:
		return !v.lens || v.lens >> (PORT_LEN_MAX + 1) || v.proto || v.port
			   ? no(why, "policy: lengths of a port set are out of range")
			   : 0;
	}
}

static int guard_port(const uint8_t *key, const uint8_t *value, struct buf *why)
{
	struct port_key k;
	struct port_value v;
	uint16_t port;

	memcpy(&k, key, sizeof(k));
	memcpy(&v, value, sizeof(v));
	if (k.portset <= PORTSET_ONE)
		return no(why, "port: this port set has no elements");
	if (k.len > PORT_LEN_MAX || (k.len == PORT_LEN_ANY) != !k.proto)
		return no(why, "port: length or protocol is out of range");
	port = (uint16_t)(key[6] << 8 | key[7]);
	if (k.len == PORT_LEN_ANY ? port : port & (0xffffU >> (k.len - PORT_LEN(0))))
		return no(why, "port: bits beyond the length are set");
	if (v.verdict > VERDICT_ALLOW || (v.verdict == VERDICT_ALLOW && v.names))
		return no(why, "port: verdict is out of range, or names have nothing to allow");
	return 0;
}

static bool name_byte(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

/* From its end: labels with single dots between, then a 0 byte (the name itself) or a dot (all below). */
static bool canonical_name(const struct name_key *k)
{
	size_t n = k->prefixlen / 8;

	if (k->prefixlen % 8 || n < 2 || n > NAME_BYTES || (k->text[n - 1] && k->text[n - 1] != '.'))
		return false;
	for (size_t i = 0; i < n - 1; i++)
		if (!name_byte(k->text[i]) && (k->text[i] != '.' || !i || k->text[i - 1] == '.'))
			return false;
	for (size_t i = n; i < NAME_BYTES; i++)
		if (k->text[i])
			return false;
	return name_byte(k->text[n - 2]);
}

int guard_judging(const struct change *c, struct buf *why)
{
	struct name_match_key mk;
	struct name_value nv;
	struct name_key nk;

	switch (c->row.table) {
	case PLAN_MAP_policy:
		return guard_policy(c->row.key, c->row.value, why);
	case PLAN_MAP_port:
		return guard_port(c->row.key, c->row.value, why);
	case PLAN_MAP_name:
		memcpy(&nk, c->row.key, sizeof(nk));
		memcpy(&nv, c->row.value, sizeof(nv));
		return canonical_name(&nk) && nv.name ? 0 : no(why, "name: not a name in its one form");
	default:
		memcpy(&mk, c->row.key, sizeof(mk));
		return mk.names && mk.name ? 0 : no(why, "name_match: set and class are not 0");
	}
}
