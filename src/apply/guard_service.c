/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a planner may ask for of Services: rows of service, backend and source_range, and addresses that the
 * uplink shall answer for. Must never change anything. Called by guard.c.
 */
#include <errno.h>
#include <netinet/in.h>

#include "apply/state.h"
#include "seam/service.h"

#define SERVICE_FLAGS                                                                                        \
	(SERVICE_OUTSIDE_TOO | SERVICE_DROP | SERVICE_DROP_OUT | SERVICE_RANGES | SERVICE_INSIDE_NOT |       \
	 SERVICE_MAGLEV | SERVICE_DIRECT)

enum { BACKENDS_MAX = 65536, AFFINITY_MAX = 86400, SOURCE_BITS = 32 };

static int no(struct buf *why, const char *text)
{
	buf_addz(why, text);
	return -EPERM;
}

static int guard_service(const struct change *c, struct buf *why)
{
	static const struct service_value none, outside = {.flags = SERVICE_OUTSIDE_TOO};
	struct service_key k;
	struct service_value v;

	memcpy(&k, c->row.key, sizeof(k));
	if (c->op == CHANGE_DEL)
		return 0;
	memcpy(&v, c->row.value, sizeof(v));
	/* An address that some Service has, whatever the port (SV44). */
	if (!k.proto && !k.port && !k.pad &&
	    (!memcmp(&v, &none, sizeof(v)) || !memcmp(&v, &outside, sizeof(v))))
		return 0;
	if ((k.proto != IPPROTO_TCP && k.proto != IPPROTO_UDP && k.proto != IPPROTO_SCTP) || k.pad || !k.port)
		return no(why, "service: protocol or port is out of range");
	if (v.count > BACKENDS_MAX || v.out_count > BACKENDS_MAX || v.flags & ~SERVICE_FLAGS ||
	    (v.count && !v.list) || (v.out_count && !v.out_list))
		return no(why, "service: count, list or flags are out of range");
	if (!(v.flags & SERVICE_OUTSIDE_TOO) && (v.out_list || v.out_count))
		return no(why, "service: a list for outside that is not taken from outside");
	if (!v.service || v.affinity > AFFINITY_MAX)
		return no(why, "service: its id is missing, or the time of affinity is out of range");
	return 0;
}

static int guard_source(const struct change *c, struct buf *why)
{
	struct source_key k;
	struct source_value v;
	struct addr a, masked;

	memcpy(&k, c->row.key, sizeof(k));
	if (k.prefixlen < SOURCE_BITS || k.prefixlen > SOURCE_BITS + 128 || !k.service)
		return no(why, "source_range: length or Service is out of range");
	memcpy(&a, &k.addr, sizeof(a));
	masked = a;
	prefix_mask(&masked, k.prefixlen - SOURCE_BITS);
	if (!addr_eq(&a, &masked))
		return no(why, "source_range: the prefix has bits beyond its length");
	if (c->op == CHANGE_DEL)
		return 0;
	memcpy(&v, c->row.value, sizeof(v));
	return v.allow == 1 ? 0 : no(why, "source_range: it lets in, or is not there");
}

static int guard_backend(const struct change *c, struct buf *why)
{
	struct backend_key k;
	struct backend_value v;

	if (c->op == CHANGE_DEL)
		return 0;
	memcpy(&k, c->row.key, sizeof(k));
	memcpy(&v, c->row.value, sizeof(v));
	if (k.slot >= BACKENDS_MAX || !k.list || !v.port || v.pad)
		return no(why, "backend: slot, list or port is out of range");
	return 0;
}

int guard_service_map(const struct change *c, struct buf *why)
{
	if (c->row.table == PLAN_MAP_service)
		return guard_service(c, why);
	return c->row.table == PLAN_MAP_source_range ? guard_source(c, why) : guard_backend(c, why);
}

/* An address that one machine may have and others ask for. */
static bool unicast(const struct addr *a)
{
	uint32_t v4 = addr_to4(a);

	if (addr_is4(a))
		return v4 >> 24 && v4 >> 24 != 127 && v4 >> 28 < 14 && v4 >> 16 != 0xa9fe;
	return (a->b[0] & 0xe0) == 0x20 || (a->b[0] & 0xfe) == 0xfc;
}

int guard_address(const struct applier *a, const struct change *c, struct buf *why)
{
	struct address_key k;

	memcpy(&k, c->row.key, sizeof(k));
	if (c->op == CHANGE_SET)
		return no(why, "address: it is there or not");
	if (!a->uplink || !unicast(&k.addr))
		return no(why, "address: there is no uplink, or it is not one that others ask for");
	return 0;
}
