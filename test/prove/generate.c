/* SPDX-License-Identifier: Apache-2.0 */
/* Nodes, namespaces, pods, and which of all things changes next. */
#include "generate.h"

#include <stdio.h>

enum { OUTSIDE = 13 }; /* addresses that are not the cluster's, the last of those known */

const char *const port_names[4] = {"http", "dns", "metrics", "none"};

const char *space_name(uint32_t i)
{
	static const char *const names[SPACES] = {"ns0", "ns1", "ns2", "kube-system"};
	return names[i % SPACES];
}

static void know(struct generator *g, const char *text)
{
	struct addr a;
	if (addr_parse(str_of(text), &a) || vec_push(&g->known, a))
		must_have(NULL);
}

static void know_port(struct generator *g, uint16_t port)
{
	if (vec_push(&g->ports, port))
		must_have(NULL);
}

void generator_init(struct generator *g, uint64_t seed)
{
	static const char *const outside[OUTSIDE] = {
	    "203.0.113.10",  "203.0.113.127",	"203.0.113.128", "203.0.113.200", "8.8.8.8",
	    "200.1.1.1",     "200.1.33.1",	"198.51.100.7",	 "2001:db8::1",	  "2001:db8:1::1",
	    "2001:db8:2::9", "2001:db8:ffff::", "2a00::1"};
	static const uint16_t ports[] = {1, 53, 80, 443, 8080, 9090, 65535};
	*g = (struct generator){.dice = {seed * 0x2545f4914f6cdd1dULL + 1}};
	char text[64];
	for (uint32_t n = 0; n < NODES; n++) {
		snprintf(text, sizeof(text), "172.31.0.%u", 10 + n);
		know(g, text);
		snprintf(text, sizeof(text), "fd57:1::%x", 16 + n);
		know(g, text);
		for (uint32_t s = 0; s < SLOTS; s++) {
			snprintf(text, sizeof(text), "10.244.%u.%u", n, SLOT_FIRST + s);
			know(g, text);
			snprintf(text, sizeof(text), "fd57:0:0:%u::%x", n, SLOT_FIRST + s);
			know(g, text);
		}
	}
	know(g, "198.51.100.50"); /* ExternalIP of node-1 */
	for (size_t i = 0; i < OUTSIDE; i++)
		know(g, outside[i]);
	for (size_t i = 0; i < sizeof(ports) / sizeof(ports[0]); i++)
		know_port(g, ports[i]);
	for (int i = 0; i < 5; i++)
		know_port(g, (uint16_t)(1 + dice_throw(&g->dice, 65535)));
	g->closeness = 10 + dice_throw(&g->dice, 60);
}

void generator_fini(struct generator *g)
{
	vec_free(&g->ports);
	vec_free(&g->known);
}

static void put_space(struct generator *g, struct batch *out, uint32_t i)
{
	AUTO_BUF b = {0};
	buf_printf(&b,
		   "{\"apiVersion\":\"v1\",\"kind\":\"Namespace\",\"metadata\":{\"name\":\"%s\",\"labels\":",
		   space_name(i));
	generate_labels(g, &b, true, false);
	buf_addz(&b, "}}");
	batch_put(out, KIND_namespace, "", space_name(i), b.p);
}

static void put_node(struct generator *g, struct batch *out, uint32_t i)
{
	static const char *const zones[] = {"a", "b"};
	char name[16];
	AUTO_BUF b = {0};
	snprintf(name, sizeof(name), "node-%u", i + 1);
	buf_printf(
	    &b,
	    "{\"apiVersion\":\"v1\",\"kind\":\"Node\",\"metadata\":{\"name\":\"%s\",\"labels\":{\"zone\":"
	    "\"%s\"%s}},\"spec\":{\"podCIDRs\":[\"10.244.%u.0/24\",\"fd57:0:0:%u::/80\"]},\"status\":{"
	    "\"addresses\":[{\"type\":\"InternalIP\",\"address\":\"172.31.0.%u\"},{\"type\":\"InternalIP\","
	    "\"address\":\"fd57:1::%x\"}%s]}}",
	    name, DICE_PICK(&g->dice, zones), dice_in(&g->dice, 40) ? ",\"edge\":\"yes\"" : "", i, i, 10 + i,
	    16 + i, i ? "" : ",{\"type\":\"ExternalIP\",\"address\":\"198.51.100.50\"}");
	batch_put(out, KIND_node, "", name, b.p);
}

/* Another place for the pod, one that no live pod has. */
static void place(struct generator *g, uint32_t i)
{
	for (;;) {
		uint32_t node = dice_throw(&g->dice, NODES), slot = dice_throw(&g->dice, SLOTS);
		bool taken = false;
		for (uint32_t p = 0; p < PODS; p++)
			taken |=
			    p != i && g->pods[p].live && g->pods[p].node == node && g->pods[p].slot == slot;
		if (taken)
			continue;
		g->pods[i].node = node;
		g->pods[i].slot = slot;
		return;
	}
}

static void container_ports(struct generator *g, struct buf *b)
{
	static const char *const protocols[] = {"TCP", "TCP", "UDP", "SCTP"};
	uint32_t names = dice_throw(&g->dice, 8), n = 0;
	for (uint32_t i = 0; i < 3; i++) {
		if (!(names & 1u << i))
			continue;
		buf_printf(b, "%s{\"name\":\"%s\",\"containerPort\":%u,\"protocol\":\"%s\"}", n++ ? "," : "",
			   port_names[i], generate_port(g), i == 1 ? "UDP" : DICE_PICK(&g->dice, protocols));
	}
}

static void containers(struct generator *g, struct buf *b, bool host)
{
	if (host) { /* its ports would be the node's, each once */
		buf_addz(b, "\"containers\":[{\"name\":\"c\",\"image\":\"i\"}]");
		return;
	}
	buf_addz(b, "\"containers\":[{\"name\":\"c\",\"image\":\"i\",\"ports\":[");
	container_ports(g, b);
	buf_addz(b, "]}");
	if (dice_in(&g->dice, 20)) {
		buf_addz(b, ",{\"name\":\"d\",\"image\":\"i\",\"ports\":[");
		container_ports(g, b);
		buf_addz(b, "]}");
	}
	buf_addc(b, ']');
	if (dice_in(&g->dice, 20)) {
		buf_printf(b, ",\"initContainers\":[{\"name\":\"e\",\"image\":\"i\",%s\"ports\":[",
			   dice_in(&g->dice, 60) ? "\"restartPolicy\":\"Always\"," : "");
		container_ports(g, b);
		buf_addz(b, "]}]");
	}
}

static void pod_addresses(struct generator *g, struct buf *b, uint32_t i, bool host)
{
	bool v4 = dice_in(&g->dice, 88), v6 = !v4 || dice_in(&g->dice, 65);
	uint32_t node = g->pods[i].node, at = SLOT_FIRST + g->pods[i].slot;
	if (host) {
		buf_printf(b, "{\"ip\":\"172.31.0.%u\"}", 10 + node);
		return;
	}
	g->pods[i].v4 = v4;
	if (v4)
		buf_printf(b, "{\"ip\":\"10.244.%u.%u\"}%s", node, at, v6 ? "," : "");
	if (v6)
		buf_printf(b, "{\"ip\":\"fd57:0:0:%u::%x\"}", node, at);
}

static void put_pod(struct generator *g, struct batch *out, uint32_t i, bool stays)
{
	static const char *const over[] = {"Succeeded", "Failed"};
	bool host = dice_in(&g->dice, 6), finished = dice_in(&g->dice, 7);
	char name[16];
	AUTO_BUF b = {0};
	snprintf(name, sizeof(name), "p%u", i);
	if (!stays || !g->pods[i].live) {
		g->pods[i].live = false;
		place(g, i);
		g->lives++;
	}
	g->pods[i].live = !host && !finished;
	buf_printf(&b,
		   "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"%s\",\"namespace\":\"%"
		   "s\",\"uid\":"
		   "\"uid-%u-%u\",\"labels\":",
		   name, space_name(i), i, g->lives);
	generate_labels(g, &b, false, i % SPACES == 3 && dice_in(&g->dice, 60));
	buf_printf(&b, "},\"spec\":{\"nodeName\":\"node-%u\",\"hostNetwork\":%s,", g->pods[i].node + 1,
		   host ? "true" : "false");
	containers(g, &b, host);
	buf_printf(&b, "},\"status\":{\"phase\":\"%s\",\"podIPs\":[",
		   finished ? DICE_PICK(&g->dice, over) : "Running");
	pod_addresses(g, &b, i, host);
	buf_addz(&b, "]}}");
	batch_put(out, KIND_pod, space_name(i), name, b.p);
}

static void take(struct batch *out, enum kind kind, const char *letter, uint32_t i)
{
	char name[16];
	snprintf(name, sizeof(name), "%s%u", letter, i);
	batch_put(out, kind, space_name(i), name, NULL);
}

/* Answers for outside addresses, and now and then for one of the cluster, which must teach nothing. */
void generate_answers(struct generator *g, struct batch *b)
{
	static const char *const names[] = {
	    "www.example.org", "WWW.Example.org", "a.example.org", "example.org", "x.sub.example.org",
	    "sub.example.org", "api.test.net",	  "b.test.net",	   "test.net",	  "else.where"};
	uint32_t n = g->cluster_policies ? dice_throw(&g->dice, 12) : 0;
	for (uint32_t i = 0; i < n; i++) {
		uint32_t known = (uint32_t)g->known.len;
		uint32_t at = dice_in(&g->dice, 90) ? known - 1 - dice_throw(&g->dice, OUTSIDE)
						    : dice_throw(&g->dice, known);
		batch_answer(b, DICE_PICK(&g->dice, names), &g->known.items[at]);
	}
}

void generate_cluster(struct generator *g, struct batch *b)
{
	uint32_t pods = 3 + dice_throw(&g->dice, PODS - 2), policies = dice_throw(&g->dice, POLICIES + 1),
		 cluster = dice_throw(&g->dice, CLUSTER_POLICIES + 1);
	for (uint32_t i = 0; i < NODES; i++)
		put_node(g, b, i);
	for (uint32_t i = 0; i < SPACES; i++)
		put_space(g, b, i);
	for (uint32_t i = 0; i < pods; i++)
		put_pod(g, b, i, false);
	for (uint32_t i = 0; i < policies; i++)
		generate_policy(g, b, i);
	for (uint32_t i = 0; g->cluster_policies && i < cluster; i++)
		generate_cluster_policy(g, b, i);
	for (uint32_t i = 0; i < SERVICES; i++)
		generate_service(g, b, i);
	generate_answers(g, b);
}

void generate_change(struct generator *g, struct batch *b)
{
	uint32_t what = dice_throw(&g->dice, 100), i;
	bool goes = dice_in(&g->dice, 22);
	if (what < 8) {
		i = dice_throw(&g->dice, SPACES);
		dice_in(&g->dice, 8) ? batch_put(b, KIND_namespace, "", space_name(i), NULL)
				     : put_space(g, b, i);
	} else if (what < 16) {
		generate_service(g, b, dice_throw(&g->dice, SERVICES));
	} else if (what < 19) {
		put_node(g, b, dice_throw(&g->dice, NODES));
	} else if (what < 50) {
		i = dice_throw(&g->dice, PODS);
		if (goes) {
			g->pods[i].live = false;
			take(b, KIND_pod, "p", i);
		} else {
			put_pod(g, b, i, dice_in(&g->dice, 60));
		}
	} else if (what < 77 || !g->cluster_policies) {
		i = dice_throw(&g->dice, POLICIES);
		goes ? take(b, KIND_networkpolicy, "n", i) : generate_policy(g, b, i);
	} else {
		i = dice_throw(&g->dice, CLUSTER_POLICIES);
		goes ? batch_put(b, KIND_clusternetworkpolicy, "", cluster_policy_names[i], NULL)
		     : generate_cluster_policy(g, b, i);
	}
}
