/* SPDX-License-Identifier: Apache-2.0 */
/* Services with one endpoint each, so that it is known where a packet to one is judged (NP40, NP41, NP85,
 * NP87). */
#include "generate.h"

#include <stdio.h>

void generate_service(struct generator *g, struct batch *out, uint32_t i)
{
	static const char *const protocols[] = {"TCP", "TCP", "UDP", "SCTP"};
	const char *protocol = DICE_PICK(&g->dice, protocols);
	uint16_t target = generate_port(g);
	/* the checksum of SCTP (RFC 9260, 6.8) lets no port be rewritten */
	unsigned port = protocol[0] == 'S' ? target : 80;
	uint32_t pod = dice_throw(&g->dice, PODS);
	bool v4 = g->pods[pod].v4;
	char name[16], endpoint[64];
	AUTO_BUF b = {0};
	snprintf(name, sizeof(name), "s%u", i);
	buf_printf(&b,
		   "{\"apiVersion\":\"v1\",\"kind\":\"Service\",\"metadata\":{\"name\":\"%s\",\"namespace\":"
		   "\"%s\"},\"spec\":{",
		   name, space_name(i));
	if (v4)
		buf_printf(&b, "\"clusterIP\":\"10.96.0.%u\",\"clusterIPs\":[\"10.96.0.%u\"]", 10 + i,
			   10 + i);
	else
		buf_printf(&b, "\"clusterIP\":\"fd57:2::%x\",\"clusterIPs\":[\"fd57:2::%x\"]", 16 + i,
			   16 + i);
	buf_printf(&b, ",\"ports\":[{\"name\":\"a\",\"port\":%u,\"protocol\":\"%s\"}]}}", port, protocol);
	batch_put(out, KIND_service, space_name(i), name, b.p);
	buf_clear(&b);
	snprintf(endpoint, sizeof(endpoint), v4 ? "10.244.%u.%u" : "fd57:0:0:%u::%x", g->pods[pod].node,
		 SLOT_FIRST + g->pods[pod].slot);
	buf_printf(
	    &b,
	    "{\"apiVersion\":\"discovery.k8s.io/"
	    "v1\",\"kind\":\"EndpointSlice\",\"metadata\":{\"name\":\"%s\","
	    "\"namespace\":\"%s\",\"labels\":{\"kubernetes.io/service-name\":\"%s\"}},\"addressType\":\"%s\","
	    "\"ports\":[{\"name\":\"a\",\"port\":%u,\"protocol\":\"%s\"}],\"endpoints\":[{\"addresses\":[\"%"
	    "s\"]}]}",
	    name, space_name(i), name, v4 ? "IPv4" : "IPv6", target, protocol, endpoint);
	batch_put(out, KIND_endpointslice, space_name(i), name, b.p);
}
