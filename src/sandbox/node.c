/* SPDX-License-Identifier: Apache-2.0 */
/* Nodes: see node.h. Must never put an agent into its own node's cgroup: pods' rules are not for it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>

#include "base/clock.h"
#include "base/log.h"
#include "sandbox/cgroup.h"
#include "sandbox/fabric.h"
#include "sandbox/files.h"
#include "sandbox/node.h"
#include "sandbox/runtime.h"

/* What the hub gives Services addresses of (doc/internals.md). */
#define SERVICES4 "10.96.0.0/16"
#define SERVICES6 "fd57:e7f7:0:96::/112"

enum { REGISTER_AGAIN_MS = 3, BEAT_MS = 2000 };

static int make_places(struct sandbox *s, struct node *n)
{
	char path[PATH_LEN + 32];
	int r;

	snprintf(path, sizeof(path), "%s/%s", s->dir, n->name);
	r = file_make_dir(path, 0755);
	snprintf(path, sizeof(path), "%s/bpf/%s", s->dir, n->name);
	r = r ? r : file_make_dir(path, 0755);
	snprintf(path, sizeof(path), "%s/%s", s->cgroup, n->name);
	r = r ? r : cgroup_make(path);
	snprintf(path, sizeof(path), "%s/%s/host", s->cgroup, n->name);
	r = r ? r : cgroup_make(path);
	if (r)
		log_error("%s: %s", path, strerror(-r));
	return r;
}

static int start_agent(struct sandbox *s, struct node *n)
{
	struct daemon *d = &n->daemon;
	char text[64], log[48], socket[108];
	int r;

	snprintf(text, sizeof(text), "weft-agent of %s", n->name);
	snprintf(log, sizeof(log), "agent-%s.log", n->name);
	r = daemon_open(d, s, text, "weft-agent", log);
	if (r)
		return r;
	d->netns = n->netns.fd;
	daemon_arg(d, "--name");
	daemon_arg(d, "%s", s->opt->name);
	daemon_arg(d, "--node");
	daemon_arg(d, "%s", n->name);
	daemon_arg(d, "--hub");
	daemon_arg(d, "%s/hub.sock", s->dir);
	daemon_arg(d, "--run");
	daemon_arg(d, "%s/%s", s->dir, n->name);
	daemon_arg(d, "--bpf");
	daemon_arg(d, "%s/bpf/%s", s->dir, n->name);
	daemon_arg(d, "--cgroup");
	daemon_arg(d, "%s/%s", s->cgroup, n->name);
	daemon_arg(d, "--mode");
	daemon_arg(d, "%s", s->opt->mode == SANDBOX_ROUTES ? "routes" : "vxlan");
	daemon_arg(d, "--uplink");
	daemon_arg(d, "uplink0");
	daemon_arg(d, "--libexec");
	daemon_arg(d, "%s", s->opt->libexec);
	daemon_arg(d, "--services4");
	daemon_arg(d, SERVICES4);
	daemon_arg(d, "--services6");
	daemon_arg(d, SERVICES6);
	if (s->opt->strict)
		daemon_arg(d, "--strict");
	if (s->opt->no_external_ips)
		daemon_arg(d, "--no-external-ips");
	if (s->opt->fast_probes > 1) {
		daemon_arg(d, "--fast-probes");
		daemon_arg(d, "%u", s->opt->fast_probes);
	}
	if (s->opt->entries) {
		daemon_arg(d, "--entries");
		daemon_arg(d, "%s", s->opt->entries);
	}
	snprintf(socket, sizeof(socket), "%s/%s/agent.sock", s->dir, n->name);
	agent_open(&n->agent, &s->loop, socket);
	return daemon_start(d);
}

int nodes_make(struct sandbox *s)
{
	int r = 0;

	s->nodes = calloc(s->opt->nodes, sizeof(*s->nodes));
	if (!s->nodes)
		return -ENOMEM;
	for (unsigned i = 0; !r && i < s->opt->nodes; i++) {
		struct node *n = &s->nodes[i];
		char name[NETNS_NAME];

		n->sandbox = s;
		n->index = i;
		n->netns = NETNS_NONE;
		snprintf(n->name, sizeof(n->name), "node-%u", i + 1);
		snprintf(name, sizeof(name), "weft-%s-%s", s->opt->name, n->name);
		s->nodes_len++;
		r = netns_make(&n->netns, name, NETNS_ROUTER);
		r = r ? r : fabric_add_node(s, n);
		r = r ? r : make_places(s, n);
		r = r ? r : runtime_start(n);
		r = r ? r : start_agent(s, n);
	}
	return r;
}

static json_t *addresses(const struct node *n)
{
	char v4[ADDRESS_TEXT], v6[ADDRESS_TEXT];

	fabric_node4(n->index, v4);
	fabric_node6(n->index, v6);
	return json_pack("[{ssss}{ssss}{ssss}]", "type", "InternalIP", "address", v4, "type", "InternalIP",
			 "address", v6, "type", "Hostname", "address", n->name);
}

static json_t *status_of(const struct node *n)
{
	struct sysinfo info = {0};
	struct utsname u = {0};
	char now[21], memory[32], cpus[16];
	json_t *capacity;

	sysinfo(&info);
	uname(&u);
	clock_rfc3339(clock_wall(), now);
	snprintf(memory, sizeof(memory), "%lluKi", (unsigned long long)info.totalram * info.mem_unit / 1024);
	snprintf(cpus, sizeof(cpus), "%d", get_nprocs());
	capacity = json_pack("{ssssss}", "cpu", cpus, "memory", memory, "pods", "250");
	return json_pack("{sosOsos[{ssssssssssss}]s{ssssssssss}}", "addresses", addresses(n), "capacity",
			 capacity, "allocatable", capacity, "conditions", "type", "Ready", "status", "True",
			 "reason", "SandboxReady", "message", "its namespace is there", "lastTransitionTime",
			 now, "lastHeartbeatTime", now, "nodeInfo", "kernelVersion", u.release, "osImage",
			 "Weft sandbox", "operatingSystem", "linux", "architecture", u.machine,
			 "kubeletVersion", "weft-" WEFT_VERSION);
}

static json_t *object_of(const struct node *n)
{
	char v4[ADDRESS_TEXT], v6[ADDRESS_TEXT];

	fabric_pods4(n->index, v4);
	fabric_pods6(n->index, v6);
	return json_pack("{sssss{sss{ssssss}}s{sss[ss]}so}", "apiVersion", "v1", "kind", "Node", "metadata",
			 "name", n->name, "labels", "kubernetes.io/hostname", n->name, "kubernetes.io/os",
			 "linux", "kubernetes.io/arch", "amd64", "spec", "podCIDR", v4, "podCIDRs", v4, v6,
			 "status", status_of(n));
}

static void node_register(struct node *n);

static void again(uv_timer_t *t)
{
	struct node *n = t->data;

	node_register(n);
	uv_close((uv_handle_t *)t, (uv_close_cb)free);
}

static void later(struct node *n, uint64_t ms)
{
	uv_timer_t *t = calloc(1, sizeof(*t));

	if (!t || n->sandbox->stopping) {
		free(t);
		return;
	}
	uv_timer_init(&n->sandbox->loop, t);
	t->data = n;
	uv_timer_start(t, again, ms, 0);
}

static void status_done(void *ctx, int status, const json_t *reply)
{
	struct node *n = ctx;

	if (status < 0)
		later(n, REGISTER_AGAIN_MS);
	else if (status == 200)
		node_beat(n); /* who never gave a word is not missed */
	else
		log_error("%s: the hub refused its status: %d %s", n->name, status,
			  json_text(json_object_get(reply, "message")));
}

static void created(void *ctx, int status, const json_t *reply)
{
	struct node *n = ctx;
	char path[64];
	json_t *body;

	if (status < 0 || status == 503) {
		later(n, REGISTER_AGAIN_MS);
		return;
	}
	if (status != 201 && status != 200 && status != 409) {
		log_error("%s: the hub refused the node: %d %s", n->name, status,
			  json_text(json_object_get(reply, "message")));
		return;
	}
	if (json_array_size(json_at(reply, "status", "addresses", NULL))) {
		node_beat(n); /* as in status_done() */
		return;
	}
	body = json_pack("{so}", "status", status_of(n));
	snprintf(path, sizeof(path), "/api/v1/nodes/%s/status", n->name);
	api_request(&n->sandbox->api, "PATCH", path, "application/merge-patch+json", body, status_done, n);
	json_decref(body);
}

static void node_register(struct node *n)
{
	json_t *body = object_of(n);

	api_request(&n->sandbox->api, "POST", "/api/v1/nodes", NULL, body, created, n);
	json_decref(body);
}

void node_beat(struct node *n)
{
	json_t *body;

	if (n->down || n->cut || n->sandbox->stopping)
		return;
	body = json_pack("{ss}", "node", n->name);
	api_request(&n->sandbox->api, "PUT", "/apis/weft.network/internal/heartbeat", NULL, body, NULL, n);
	json_decref(body);
}

static void beat(uv_timer_t *t)
{
	struct sandbox *s = t->data;

	for (unsigned i = 0; i < s->nodes_len; i++)
		node_beat(&s->nodes[i]);
	child_reap();
}

void nodes_register(struct sandbox *s)
{
	uv_timer_init(&s->loop, &s->beat);
	s->beat.data = s;
	uv_timer_start(&s->beat, beat, BEAT_MS, BEAT_MS);
	for (unsigned i = 0; i < s->nodes_len; i++)
		node_register(&s->nodes[i]);
}

void nodes_close(struct sandbox *s)
{
	for (unsigned i = 0; i < s->nodes_len; i++) {
		runtime_stop(&s->nodes[i]);
		daemon_close(&s->nodes[i].daemon);
		agent_close(&s->nodes[i].agent);
		netns_drop(&s->nodes[i].netns);
	}
}
