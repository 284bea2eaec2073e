/* SPDX-License-Identifier: Apache-2.0 */
/* Protocols, and the numbers that pods declare under names. Called by the model only. */
#include <netinet/in.h>

#include "match.h"

const char *protocol_name(uint8_t proto)
{
	return proto == IPPROTO_TCP    ? "TCP"
	       : proto == IPPROTO_UDP  ? "UDP"
	       : proto == IPPROTO_SCTP ? "SCTP"
				       : "";
}

static int64_t declared_in(const struct container_list *list, bool sidecars, struct str name, uint8_t proto)
{
	for (size_t i = 0; i < list->len; i++) {
		const struct container *ct = &list->items[i];
		if (sidecars && !str_eqz(ct->restart_policy, "Always"))
			continue;
		for (size_t j = 0; j < ct->ports.len; j++) {
			const struct container_port *p = &ct->ports.items[j];
			struct str declared = p->protocol.n ? p->protocol : STR("TCP");
			/* NP52: the protocol counts as well as the name. */
			if (str_eq(p->name, name) && str_eqz(declared, protocol_name(proto)))
				return p->container_port.v;
		}
	}
	return 0;
}

/* NP55: sidecars declare ports too; the containers come first. NP53: 0 matches nothing. */
int64_t declared_port(const struct object *pod, struct str name, uint8_t proto)
{
	if (!pod || !pod->pod->spec)
		return 0;
	int64_t n = declared_in(&pod->pod->spec->containers, false, name, proto);
	return n ? n : declared_in(&pod->pod->spec->init_containers, true, name, proto);
}
