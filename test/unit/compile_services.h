/* SPDX-License-Identifier: Apache-2.0 */
/* Random Services, slices and address pools for compile_world.h, which includes it; never alone. */
#ifndef WEFT_TEST_COMPILE_SERVICES_H
#define WEFT_TEST_COMPILE_SERVICES_H

static inline void world_policies_of(struct world *w, struct buf *b, bool outside)
{
	static const char *const inside[] = {"Cluster", "Cluster", "Local"}, *const stay[] = {"None",
											      "ClientIP"};
	buf_printf(b, ",\"internalTrafficPolicy\":\"%s\",\"sessionAffinity\":\"%s\"", PICK(w, inside),
		   PICK(w, stay));
	if (outside)
		buf_printf(b, ",\"externalTrafficPolicy\":\"%s\"", PICK(w, inside));
	if (!world_random(w, 4))
		buf_addz(b, ",\"externalIPs\":[\"192.0.2.9\",\"172.31.0.11\",\"2001:db8::9\"]");
}

static inline void world_put_service(struct world *w, uint32_t i)
{
	static const char *const types[] = {"ClusterIP", "NodePort", "LoadBalancer"};
	static const char *const marks[] = {
	    "", "", ",\"annotations\":{\"weft.network/load-balancing\":\"maglev\"}",
	    ",\"labels\":{\"service.kubernetes.io/service-proxy-name\":\"other\"}"};
	AUTO_BUF b = {0};
	bool headless = !world_random(w, 5), six = !headless && !world_random(w, 3);
	uint32_t host = 10 + i / 2 * 2; /* two Services want one address */
	const char *type = headless ? types[0] : PICK(w, types);
	bool balancer = type == types[2], outside = type != types[0];
	buf_printf(&b,
		   "{\"apiVersion\":\"v1\",\"kind\":\"Service\",\"metadata\":{\"name\":\"s%u\",\"namespace\":"
		   "\"ns%u\"%s},\"spec\":{\"type\":\"%s\"",
		   i, i % WORLD_NS, PICK(w, marks), type);
	if (headless) {
		buf_addz(&b, ",\"clusterIP\":\"None\",\"clusterIPs\":[\"None\"]");
	} else {
		buf_printf(&b, ",\"clusterIP\":\"10.96.0.%u\",\"clusterIPs\":[\"10.96.0.%u\"", host, host);
		if (six)
			buf_printf(&b, ",\"fd57:0:0:96::%x\"", host);
		buf_addz(&b, "]");
		buf_addz(&b,
			 six ? ",\"ipFamilies\":[\"IPv4\",\"IPv6\"],\"ipFamilyPolicy\":\"RequireDualStack\""
			     : "");
		world_policies_of(w, &b, outside);
	}
	if (balancer && world_random(w, 2))
		buf_addz(&b, ",\"loadBalancerSourceRanges\":[\"203.0.113.0/24\",\"2001:db8:113::/64\"]");
	buf_addz(&b, ",\"ports\":[{\"name\":\"a\",\"port\":80");
	if (outside)
		buf_printf(&b, ",\"nodePort\":%u", 30080 + i / 2);
	buf_addz(&b, "}]}");
	if (balancer)
		buf_printf(&b,
			   ",\"status\":{\"loadBalancer\":{\"ingress\":[{\"ip\":\"198.51.100.%u\",\"ipMode\":"
			   "\"%s\"},{\"ip\":\"2001:db8:51::%x\"}]}}",
			   i, world_random(w, 3) ? "VIP" : "Proxy", i);
	buf_addc(&b, '}');
	world_put(w, &b);
}

static inline void world_put_slice(struct world *w, uint32_t i)
{
	static const char *const states[] = {"\"ready\":true", "\"ready\":true", "\"ready\":false",
					     "\"ready\":false,\"serving\":true,\"terminating\":true"};
	static const char *const hints[] = {
	    "", ",\"hints\":{\"forZones\":[{\"name\":\"a\"}]}",
	    ",\"hints\":{\"forZones\":[{\"name\":\"b\"}]}",
	    ",\"hints\":{\"forZones\":[{\"name\":\"a\"}],\"forNodes\":[{\"name\":"
	    "\"node-1\"}]}"};
	AUTO_BUF b = {0};
	uint32_t n = world_random(w, 4), hint = world_random(w, 3);
	bool six = !world_random(w, 4);
	buf_printf(&b,
		   "{\"apiVersion\":\"discovery.k8s.io/"
		   "v1\",\"kind\":\"EndpointSlice\",\"metadata\":{\"name\":\"e%u\","
		   "\"namespace\":\"ns%u\",\"labels\":{\"kubernetes.io/"
		   "service-name\":\"s%u\"}},\"addressType\":\"%s\","
		   "\"ports\":[{\"name\":\"a\",\"port\":8080}],\"endpoints\":[",
		   i, i % WORLD_NS, i % WORLD_SERVICES, six ? "IPv6" : "IPv4");
	for (uint32_t e = 0; e < n; e++) {
		uint32_t node = world_random(w, WORLD_NODES), host = 4 + world_random(w, 6);
		buf_printf(&b,
			   six ? "%s{\"addresses\":[\"fd57:0:0:%u::%x\"]"
			       : "%s{\"addresses\":[\"10.244.%u.%u\"]",
			   e ? "," : "", node, host);
		buf_printf(&b, ",\"nodeName\":\"node-%u\",\"conditions\":{%s}%s}", node + 1, PICK(w, states),
			   hints[hint == 1 ? 1 + world_random(w, 3)
				 : hint	   ? world_random(w, 4)
					   : 0]);
	}
	buf_addz(&b, "]}");
	world_put(w, &b);
}

static inline void world_put_pool(struct world *w, bool gone)
{
	static const char *const spans[] = {"\"198.51.100.0/24\",\"2001:db8:51::/64\"",
					    "\"198.51.100.1-198.51.100.2\""};
	AUTO_BUF b = {0};
	if (gone) {
		store_delete(w->store, KIND_addresspool, STR(""), STR("p"));
		return;
	}
	buf_printf(
	    &b,
	    "{\"apiVersion\":\"weft.network/v1alpha1\",\"kind\":\"AddressPool\",\"metadata\":{\"name\":"
	    "\"p\"},\"spec\":{\"addresses\":[%s]}}",
	    PICK(w, spans));
	world_put(w, &b);
}

#endif
