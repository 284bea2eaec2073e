/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The random cluster's administrators: cluster policies of both tiers over all that their rules can say,
 * marks for staged policies, labels of nodes, and the names of a few outside addresses. Included by
 * compile_world.h only.
 */
#ifndef WEFT_TEST_COMPILE_TIERS_H
#define WEFT_TEST_COMPILE_TIERS_H

static const struct {
	const char *addr, *name;
} world_names[] = {{"203.0.113.10", "api.example.org"}, {"203.0.113.200", "deep.api.example.org"},
		   {"8.8.8.8", "example.org"},		{"2001:db8::1", "api.example.org"},
		   {"200.1.1.1", "www.example.net"},	{"10.244.0.99", "api.example.org"}};
enum { WORLD_NAMES = sizeof(world_names) / sizeof(world_names[0]) };

/* The name that DNS gave for an address, or an empty one. */
static inline struct str world_name(const struct addr *a)
{
	for (int i = 0; i < WORLD_NAMES; i++) {
		struct addr x;
		assert_int_equal(addr_parse(str_of(world_names[i].addr), &x), 0);
		if (addr_eq(&x, a))
			return str_of(world_names[i].name);
	}
	return (struct str){0};
}

/* What stands in metadata.annotations. */
static inline void world_marks(struct world *w, struct buf *b)
{
	buf_printf(b, ",\"annotations\":{\"weft.network/staged\":\"%s\",\"weft.network/strict\":\"%s\"}",
		   w->tiers && !world_random(w, 5) ? "true" : "false",
		   w->tiers && !world_random(w, 5) ? "true" : "false");
}

static inline void world_namespaces(struct world *w, struct buf *b)
{
	static const char *const spaces[] = {"{}", "{\"matchLabels\":{\"team\":\"red\"}}",
					     "{\"matchLabels\":{\"team\":\"blue\"}}",
					     "{\"matchLabels\":{\"kubernetes.io/metadata.name\":\"ns1\"}}"};
	buf_addz(b, PICK(w, spaces));
}

static inline void world_cluster_pods(struct world *w, struct buf *b)
{
	if (!world_random(w, 3)) {
		buf_addz(b, "{\"namespaces\":");
		world_namespaces(w, b);
		buf_addc(b, '}');
		return;
	}
	buf_addz(b, "{\"pods\":{\"namespaceSelector\":");
	world_namespaces(w, b);
	buf_addz(b, ",\"podSelector\":");
	world_selector(w, b);
	buf_addz(b, "}}");
}

static inline void world_cluster_peer(struct world *w, struct buf *b, bool egress, bool accept, bool *pods)
{
	static const char *const nodes[] = {"{}", "{\"matchLabels\":{\"zone\":\"a\"}}"};
	static const char *const nets[] = {"\"10.244.0.0/24\"",	     "\"10.244.0.6/32\"",
					   "\"0.0.0.0/0\",\"::/0\"", "\"203.0.113.0/24\",\"172.31.0.0/24\"",
					   "\"fd57::/64\"",	     "\"200.0.0.0/5\",\"10.244.1.0/25\""};
	static const char *const names[] = {"\"*.example.org\"", "\"api.example.org\"",
					    "\"example.org\",\"*.example.net\"",
					    "\"*.api.example.org\",\"API.example.org.\""};
	uint32_t kind = egress ? world_random(w, 6) : 0;
	*pods &= kind < 3;
	if (!world_random(w, 20))
		buf_addz(b, "{\"weftUnknown\":[\"planets\"]}");
	else if (kind < 3)
		world_cluster_pods(w, b);
	else if (kind == 3)
		buf_printf(b, "{\"nodes\":%s}", PICK(w, nodes));
	else if (kind == 4 || !accept)
		buf_printf(b, "{\"networks\":[%s]}", PICK(w, nets));
	else
		buf_printf(b, "{\"domainNames\":[%s]}", PICK(w, names));
}

static inline void world_cluster_protocols(struct world *w, struct buf *b, bool pods)
{
	static const char *const all[] = {
	    "{\"tcp\":{\"destinationPort\":{\"number\":80}}}",
	    "{\"udp\":{\"destinationPort\":{\"number\":53}}}",
	    "{\"tcp\":{\"destinationPort\":{\"range\":{\"start\":79,\"end\":8080}}}}",
	    "{\"tcp\":{\"destinationPort\":{\"range\":{\"start\":1,\"end\":443}}}}",
	    "{\"sctp\":{\"destinationPort\":{\"number\":80}}}",
	    "{\"destinationNamedPort\":\"http\"}",
	    "{\"destinationNamedPort\":\"dns\"}"};
	uint32_t n = w->dense ? 0 : world_random(w, 3);
	for (uint32_t i = 0; i < n; i++)
		buf_printf(b, "%s%s", i ? "," : ",\"protocols\":[", all[world_random(w, pods ? 7 : 5)]);
	if (n)
		buf_addc(b, ']');
}

static inline void world_cluster_rules(struct world *w, struct buf *b, bool egress)
{
	static const char *const actions[] = {"Accept", "Deny", "Pass", "Accept"};
	uint32_t rules = 1 + world_random(w, 3);
	for (uint32_t r = 0; r < rules; r++) {
		uint32_t action = world_random(w, 4), n = 1 + world_random(w, 2);
		bool pods = true;
		buf_printf(b, "%s{\"action\":\"%s\",\"%s\":[", r ? "," : "", actions[action],
			   egress ? "to" : "from");
		for (uint32_t i = 0; i < n; i++) {
			buf_addz(b, i ? "," : "");
			world_cluster_peer(w, b, egress, action % 3 == 0, &pods);
		}
		buf_addc(b, ']');
		world_cluster_protocols(w, b, pods);
		buf_addc(b, '}');
	}
}

static inline void world_put_cluster(struct world *w, uint32_t i)
{
	AUTO_BUF b = {0};
	buf_printf(&b,
		   "{\"apiVersion\":\"policy.networking.k8s.io/v1alpha2\",\"kind\":\"ClusterNetworkPolicy\","
		   "\"metadata\":{\"name\":\"c%u\"",
		   i);
	world_marks(w, &b);
	buf_printf(&b, "},\"spec\":{\"tier\":\"%s\",\"priority\":%u,\"subject\":",
		   world_random(w, 2) ? "Admin" : "Baseline", world_random(w, 4) * 10);
	world_cluster_pods(w, &b);
	if (world_random(w, 4)) {
		buf_addz(&b, ",\"ingress\":[");
		world_cluster_rules(w, &b, false);
		buf_addc(&b, ']');
	}
	if (world_random(w, 4)) {
		buf_addz(&b, ",\"egress\":[");
		world_cluster_rules(w, &b, true);
		buf_addc(&b, ']');
	}
	buf_addz(&b, "}}");
	world_put(w, &b);
}

#endif
