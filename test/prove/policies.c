/* SPDX-License-Identifier: Apache-2.0 */
/* NetworkPolicies and ClusterNetworkPolicies with all their fields. */
#include "generate.h"

#include <stdio.h>

const char *const domain_patterns[6] = {"www.example.org",   "*.example.org", "*.EXAMPLE.org.",
					"*.sub.example.org", "api.test.net",  "*.test.net"};

/* Names whose order is not that of the numbers in them (CN06). */
const char *const cluster_policy_names[CLUSTER_POLICIES] = {"c2", "c10", "c1", "b", "c-1", "c1-a"};

static void annotations(struct generator *g, struct buf *b)
{
	bool staged = g->staged && dice_in(&g->dice, 15), strict = dice_in(&g->dice, 8);
	if (!staged && !strict)
		return;
	buf_addz(b, ",\"annotations\":{");
	if (staged)
		buf_addz(b, "\"weft.network/staged\":\"true\"");
	if (strict)
		buf_printf(b, "%s\"weft.network/strict\":\"true\"", staged ? "," : "");
	buf_addc(b, '}');
}

static void peer(struct generator *g, struct buf *b)
{
	uint32_t kind = dice_throw(&g->dice, 100);
	buf_addc(b, '{');
	if (kind < 35) {
		buf_addz(b, "\"ipBlock\":");
		generate_block(g, b);
	} else {
		if (kind < 82) {
			buf_addz(b, "\"podSelector\":");
			generate_selector(g, b, false);
		}
		if (kind >= 60) {
			buf_printf(b, "%s\"namespaceSelector\":", kind < 82 ? "," : "");
			generate_selector(g, b, true);
		}
	}
	buf_addc(b, '}');
}

/* The upper end of a range that starts at `low`; now and then far up, or one port only. */
static uint16_t range_end(struct generator *g, uint16_t low)
{
	uint32_t how = dice_throw(&g->dice, 4);
	uint16_t other = generate_port(g);
	if (how == 0)
		return low;
	if (how == 1 && other > low)
		return other;
	uint32_t room = 65535u - low;
	return (uint16_t)(low + (room ? 1 + dice_throw(&g->dice, how == 2 && room > 20 ? 20 : room) : 0));
}

static void port(struct generator *g, struct buf *b)
{
	static const char *const protocols[] = {"TCP", "UDP", "SCTP", "TCP"};
	uint32_t kind = dice_throw(&g->dice, 100);
	uint16_t low = generate_port(g);
	bool some = dice_in(&g->dice, 70) || kind >= 90;
	buf_addc(b, '{');
	if (some)
		buf_printf(b, "\"protocol\":\"%s\"", DICE_PICK(&g->dice, protocols));
	if (kind < 90)
		buf_addz(b, some ? ",\"port\":" : "\"port\":");
	if (kind < 40)
		buf_printf(b, "%u", low);
	else if (kind < 65)
		buf_printf(b, "%u,\"endPort\":%u", low, range_end(g, low));
	else if (kind < 90)
		buf_printf(b, "\"%s\"", DICE_PICK(&g->dice, port_names));
	buf_addc(b, '}');
}

static void rules(struct generator *g, struct buf *b, const char *peers)
{
	uint32_t n = dice_throw(&g->dice, 4);
	buf_addc(b, '[');
	for (uint32_t r = 0; r < n; r++) {
		bool wide = dice_in(&g->dice, g->closeness);
		uint32_t some = dice_in(&g->dice, wide ? 30 : 8) ? 0 : 1 + dice_throw(&g->dice, 3);
		uint32_t ports = dice_in(&g->dice, wide ? 50 : 15) ? 0 : 1 + dice_throw(&g->dice, 3);
		buf_addz(b, r ? ",{" : "{");
		if (some || dice_in(&g->dice, 50)) {
			buf_printf(b, "\"%s\":[", peers);
			for (uint32_t i = 0; i < some; i++) {
				buf_addz(b, i ? "," : "");
				peer(g, b);
			}
			buf_addz(b, ports ? "]," : "]");
		}
		if (ports) {
			buf_addz(b, "\"ports\":[");
			for (uint32_t i = 0; i < ports; i++) {
				buf_addz(b, i ? "," : "");
				port(g, b);
			}
			buf_addc(b, ']');
		}
		buf_addc(b, '}');
	}
	buf_addc(b, ']');
}

void generate_policy(struct generator *g, struct batch *out, uint32_t i)
{
	static const char *const types[] = {"", "\"policyTypes\":[],", "\"policyTypes\":[\"Ingress\"],",
					    "\"policyTypes\":[\"Egress\"],",
					    "\"policyTypes\":[\"Ingress\",\"Egress\"],"};
	char name[16];
	AUTO_BUF b = {0};
	snprintf(name, sizeof(name), "n%u", i);
	buf_printf(&b,
		   "{\"apiVersion\":\"networking.k8s.io/"
		   "v1\",\"kind\":\"NetworkPolicy\",\"metadata\":{\"name\":\"%s\","
		   "\"namespace\":\"%s\"",
		   name, space_name(i));
	annotations(g, &b);
	buf_printf(&b, "},\"spec\":{%s\"podSelector\":", DICE_PICK(&g->dice, types));
	generate_selector(g, &b, false);
	if (dice_in(&g->dice, 75)) {
		buf_addz(&b, ",\"ingress\":");
		rules(g, &b, "from");
	}
	if (dice_in(&g->dice, 70)) {
		buf_addz(&b, ",\"egress\":");
		rules(g, &b, "to");
	}
	buf_addz(&b, "}}");
	batch_put(out, KIND_networkpolicy, space_name(i), name, b.p);
}

static void namespaced_pod(struct generator *g, struct buf *b)
{
	buf_addz(b, "\"pods\":{");
	if (dice_in(&g->dice, 80)) {
		buf_addz(b, "\"namespaceSelector\":");
		generate_selector(g, b, true);
		buf_addc(b, ',');
	}
	buf_addz(b, "\"podSelector\":");
	generate_selector(g, b, false);
	buf_addc(b, '}');
}

static void networks(struct generator *g, struct buf *b)
{
	struct prefix p;
	AUTO_BUF first = {0}, second = {0};
	generate_prefix(g, &first, &p);
	generate_prefix(g, &second, &p);
	buf_printf(b, "\"networks\":[%s", first.p);
	if (!str_eq(buf_str(&first), buf_str(&second)) && dice_in(&g->dice, 50))
		buf_printf(b, ",%s", second.p);
	buf_addc(b, ']');
}

/* Returns whether the peer has named ports: pods have, and what is not known. */
static bool cluster_peer(struct generator *g, struct buf *b, bool egress, bool accepts)
{
	uint32_t kind = dice_throw(&g->dice, egress ? 100 : 55);
	bool pods = kind < 55;
	buf_addc(b, '{');
	if (dice_in(&g->dice, 2)) { /* CN11 */
		if (dice_in(&g->dice, 60))
			buf_addz(b, "\"planets\":{\"name\":\"mars\"}");
		buf_addc(b, '}');
		return true;
	}
	if (kind < 25) {
		buf_addz(b, "\"namespaces\":");
		generate_selector(g, b, true);
	} else if (kind < 55) {
		namespaced_pod(g, b);
	} else if (kind < 65) {
		buf_addz(b, "\"nodes\":");
		if (dice_in(&g->dice, 40))
			buf_addz(b, "{}");
		else if (dice_in(&g->dice, 50))
			buf_printf(b, "{\"matchLabels\":{\"zone\":\"%s\"}}",
				   dice_in(&g->dice, 50) ? "a" : "b");
		else
			buf_printf(b, "{\"matchExpressions\":[{\"key\":\"edge\",\"operator\":\"%s\"}]}",
				   dice_in(&g->dice, 50) ? "Exists" : "DoesNotExist");
	} else if (kind < 75 || !accepts) {
		networks(g, b);
	} else {
		uint32_t at = dice_throw(&g->dice, 6);
		buf_printf(b, "\"domainNames\":[\"%s\"", domain_patterns[at]);
		if (dice_in(&g->dice, 40))
			buf_printf(b, ",\"%s\"", domain_patterns[(at + 1 + dice_throw(&g->dice, 5)) % 6]);
		buf_addc(b, ']');
	}
	buf_addc(b, '}');
	return pods;
}

static void protocol(struct generator *g, struct buf *b, bool named)
{
	static const char *const protocols[] = {"tcp", "udp", "sctp", "tcp"};
	uint32_t kind = dice_throw(&g->dice, named ? 100 : 75);
	uint16_t low = generate_port(g), high = range_end(g, low);
	if (kind >= 75) {
		buf_printf(b, "{\"destinationNamedPort\":\"%s\"}", DICE_PICK(&g->dice, port_names));
		return;
	}
	buf_printf(b, "{\"%s\":{\"destinationPort\":", DICE_PICK(&g->dice, protocols));
	if (kind < 40 || high <= low)
		buf_printf(b, "{\"number\":%u}}}", low);
	else
		buf_printf(b, "{\"range\":{\"start\":%u,\"end\":%u}}}}", low, high);
}

/* What rules with names are for: some are accepted, the rest is closed. */
static void names_alone(struct generator *g, struct buf *b)
{
	uint32_t at = dice_throw(&g->dice, 6);
	buf_printf(b,
		   ",\"egress\":[{\"action\":\"Accept\",\"to\":[{\"domainNames\":[\"%s\",\"%s\"]}]},{"
		   "\"action\":\"Deny\","
		   "\"to\":[{\"networks\":[\"0.0.0.0/%u\",\"::/0\"]}]}]",
		   domain_patterns[at], domain_patterns[(at + 1 + dice_throw(&g->dice, 5)) % 6],
		   dice_throw(&g->dice, 3) ? 0 : 1);
}

static void cluster_rules(struct generator *g, struct buf *b, bool egress)
{
	static const char *const actions[] = {"Accept", "Accept", "Deny", "Deny", "Pass"};
	uint32_t n = dice_throw(&g->dice, 4);
	buf_printf(b, ",\"%s\":[", egress ? "egress" : "ingress");
	for (uint32_t r = 0; r < n; r++) {
		const char *action = DICE_PICK(&g->dice, actions);
		uint32_t peers = 1 + dice_throw(&g->dice, 3),
			 ports = dice_in(&g->dice, 40) ? 0 : 1 + dice_throw(&g->dice, 3);
		bool named = true, wide = dice_in(&g->dice, 25);
		buf_printf(b, "%s{\"name\":\"r%u\",\"action\":\"%s\",\"%s\":[", r ? "," : "", r, action,
			   egress ? "to" : "from");
		for (uint32_t i = 0; i < peers; i++) {
			buf_addz(b, i ? "," : "");
			named &= cluster_peer(g, b, egress, action[0] == 'A');
		}
		buf_addc(b, ']');
		if (dice_in(&g->dice, 1))
			buf_addz(b, ",\"weather\":\"fair\"");
		if (ports && !wide) {
			buf_addz(b, ",\"protocols\":[");
			for (uint32_t i = 0; i < ports; i++) {
				buf_addz(b, i ? "," : "");
				protocol(g, b, named);
			}
			buf_addc(b, ']');
		}
		buf_addc(b, '}');
	}
	buf_addc(b, ']');
}

void generate_cluster_policy(struct generator *g, struct batch *out, uint32_t i)
{
	static const uint32_t priorities[] = {0, 5, 5, 5, 10, 100, 1000};
	const char *name = cluster_policy_names[i];
	AUTO_BUF b = {0};
	buf_printf(&b,
		   "{\"apiVersion\":\"policy.networking.k8s.io/"
		   "v1alpha2\",\"kind\":\"ClusterNetworkPolicy\",\"metadata\":"
		   "{\"name\":\"%s\"",
		   name);
	annotations(g, &b);
	buf_printf(&b, "},\"spec\":{\"tier\":\"%s\",\"priority\":%u,\"subject\":{",
		   dice_in(&g->dice, 60) ? "Admin" : "Baseline", DICE_PICK(&g->dice, priorities));
	if (dice_in(&g->dice, 50)) {
		buf_addz(&b, "\"namespaces\":");
		generate_selector(g, &b, true);
	} else {
		namespaced_pod(g, &b);
	}
	buf_addc(&b, '}');
	if (dice_in(&g->dice, 75))
		cluster_rules(g, &b, false);
	if (dice_in(&g->dice, 20))
		names_alone(g, &b);
	else if (dice_in(&g->dice, 75))
		cluster_rules(g, &b, true);
	buf_addz(&b, "}}");
	batch_put(out, KIND_clusternetworkpolicy, "", name, b.p);
}
