/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Canaries: numbered datagrams from a pod, or from the host outside, to a pod, counted where they arrive;
 * what the hub's records say of the same datagrams must be the same numbers: sent = received + drops with a
 * name, and packets of the record at the receiver's node = received. Opens sockets within the pods'
 * namespaces and leaves nothing there.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/own.h"
#include "cli/account.h"
#include "cli/account_socket.h"
#include "cli/cluster.h"
#include "cli/command.h"
#include "cli/output.h"

enum { CANARIES = 100, SETTLE_MS = 6000, QUIET_MS = 300, SEND_MS = 3000, PAYLOAD = 64, PAIRS_MAX = 64 };

struct end {
	const char *pod; /* "ns/name"; NULL: the host outside */
	const char *node;
	json_t *ips; /* borrowed */
};

/* One canary's numbers; -1: not known. */
struct flight {
	long long sent, received, twice, dropped, recorded;
};

int account_socket(const char *name, const char *pod, int family, int type, int protocol)
{
	AUTO_BUF path = {};
	int own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC), there, fd = -1;
	struct str ns = str_of(pod ?: ""), of = pod ? str_cut(&ns, '/') : (struct str){0};

	if (pod)
		buf_printf(&path, "/run/netns/weft-%s-" STR_FMT "." STR_FMT, name, STR_ARG(of), STR_ARG(ns));
	else
		buf_printf(&path, "/run/netns/weft-%s-outside", name);
	there = path.p ? open(path.p, O_RDONLY | O_CLOEXEC) : -1;
	if (own >= 0 && there >= 0 && !setns(there, CLONE_NEWNET)) {
		fd = socket(family, type | SOCK_CLOEXEC, protocol);
		if (setns(own, CLONE_NEWNET)) { /* never: we came from there */
			cli_error(NULL, "cannot come back from %s: %s", path.p, strerror(errno));
			_exit(EXIT_TROUBLE);
		}
	}
	if (there >= 0)
		close(there);
	if (own >= 0)
		close(own);
	return fd;
}

static socklen_t address_of(const char *ip, struct sockaddr_storage *out)
{
	struct sockaddr_in *in4 = (struct sockaddr_in *)out;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)out;

	*out = (struct sockaddr_storage){0};
	if (inet_pton(AF_INET, ip, &in4->sin_addr) == 1) {
		in4->sin_family = AF_INET;
		return sizeof(*in4);
	}
	if (inet_pton(AF_INET6, ip, &in6->sin6_addr) == 1) {
		in6->sin6_family = AF_INET6;
		return sizeof(*in6);
	}
	return 0;
}

static unsigned port_of(int fd)
{
	struct sockaddr_storage a;
	socklen_t n = sizeof(a);

	if (getsockname(fd, (struct sockaddr *)&a, &n))
		return 0;
	return ntohs(a.ss_family == AF_INET ? ((struct sockaddr_in *)&a)->sin_port
					    : ((struct sockaddr_in6 *)&a)->sin6_port);
}

/* Takes what came; waits until all did, or nothing comes any more. */
static void receive(int fd, struct flight *f)
{
	bool seen[CANARIES] = {0};
	uint32_t word[PAYLOAD / 4];
	struct pollfd p = {.fd = fd, .events = POLLIN};

	while (f->received < f->sent && poll(&p, 1, QUIET_MS) > 0) {
		if (recv(fd, word, sizeof(word), MSG_DONTWAIT) != sizeof(word) || word[0] >= CANARIES)
			continue;
		if (seen[word[0]])
			f->twice++;
		else
			f->received++;
		seen[word[0]] = true;
	}
}

/* What the hub has recorded of the datagrams between both ports. false: it does not answer. */
static bool look_up(const char *name, const char *ip, unsigned from, unsigned to, const char *receiver,
		    struct flight *f)
{
	AUTO_JSON q = json_object();
	AUTO_BUF filter = {};
	json_t *r;
	size_t i;

	buf_printf(&filter, "udp && src.port == %u && dst.port == %u && dst.ip == %s", from, to, ip);
	json_object_set_new(q, "filter", json_string(filter.p));
	json_object_set_new(q, "again", json_true());
	AUTO_JSON answer = account_ask_flows(name, q);

	if (!answer)
		return false;
	f->dropped = f->recorded = 0;
	json_array_foreach (json_object_get(answer, "flows"), i, r) {
		json_int_t there =
		    json_integer_value(json_object_get(json_object_get(r, "packets"), "there"));

		if (!strcmp(json_string_value(json_object_get(r, "record")) ?: "", "drop"))
			f->dropped += there;
		else if (!strcmp(json_string_value(json_object_get(r, "seenBy")) ?: "", receiver))
			f->recorded = there > f->recorded ? there : f->recorded;
	}
	return true;
}

static bool is_settled(const struct flight *f)
{
	return f->recorded >= f->received && f->sent == f->received + f->dropped;
}

static int fly(const char *name, const struct end *from, const struct end *to, const char *ip,
	       struct flight *f)
{
	struct sockaddr_storage a;
	socklen_t n = address_of(ip, &a);
	int out = n ? account_socket(name, from->pod, a.ss_family, SOCK_DGRAM, 0) : -1;
	int in = n ? account_socket(name, to->pod, a.ss_family, SOCK_DGRAM, 0) : -1;
	uint32_t word[PAYLOAD / 4] = {0};
	uint64_t end = clock_ms() + SETTLE_MS;
	int err = -ENOENT;

	if (out < 0 || in < 0 || bind(in, (struct sockaddr *)&a, n))
		goto out;
	((struct sockaddr_in *)&a)->sin_port = htons((uint16_t)port_of(in)); /* lies where IPv6 has it */
	if (connect(out, (struct sockaddr *)&a, n))
		goto out;
	for (word[0] = 0; word[0] < CANARIES; word[0]++)
		f->sent += send(out, word, sizeof(word), 0) == sizeof(word);
	receive(in, f);
	do {
		err = look_up(name, ip, port_of(out), port_of(in), to->node, f) ? 0 : -EIO;
		if (err || is_settled(f))
			break;
		nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
	} while (clock_ms() < end);
out:
	if (out >= 0)
		close(out);
	if (in >= 0)
		close(in);
	return err;
}

static const char *end_name(const struct end *e)
{
	return e->pod ?: "outside";
}

static bool add_flight(const char *name, const struct end *from, const struct end *to, json_t *list)
{
	json_t *v;
	size_t i;
	bool ok = true;

	json_array_foreach (to->ips, i, v) {
		const char *ip = json_string_value(json_object_get(v, "ip"));
		struct flight f = {0};
		int err = ip ? fly(name, from, to, ip, &f) : 0;
		bool same = !err && is_settled(&f) && f.recorded == f.received && !f.twice;

		if (!ip)
			continue;
		ok &= same;
		json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:s}", "from",
						      end_name(from), "to", to->pod, "address", ip, "sent",
						      f.sent, "received", f.received, "twice", f.twice,
						      "dropped", f.dropped, "recorded", f.recorded, "says",
						      err    ? "unknown"
						      : same ? "matches"
							     : "wrong"));
	}
	return ok;
}

/* Pods that have a network of their own and run. */
static size_t find_ends(const json_t *pods, struct end *out, size_t max)
{
	size_t n = 0, i;
	json_t *p;

	json_array_foreach (json_object_get(pods, "items"), i, p) {
		json_t *meta = json_object_get(p, "metadata"), *spec = json_object_get(p, "spec"),
		       *status = json_object_get(p, "status");
		const char *phase = json_string_value(json_object_get(status, "phase")) ?: "";
		char key[600];

		if (n == max || strcmp(phase, "Running") != 0 ||
		    json_is_true(json_object_get(spec, "hostNetwork")))
			continue;
		snprintf(key, sizeof(key), "%s/%s",
			 json_string_value(json_object_get(meta, "namespace")) ?: "",
			 json_string_value(json_object_get(meta, "name")) ?: "");
		json_object_set_new(p, "key", json_string(key));
		out[n++] = (struct end){.pod = json_string_value(json_object_get(p, "key")),
					.node = json_string_value(json_object_get(spec, "nodeName")) ?: "",
					.ips = json_object_get(status, "podIPs")};
	}
	return n;
}

/* The first pod to the next one of its node and to one of another, and from outside to it; each node once. */
static bool fly_all(const char *name, const struct end *ends, size_t n, json_t *list)
{
	static const struct end outside = {.node = ""};
	bool ok = true;

	for (size_t i = 0; i < n; i++) {
		bool first = true, near = false, far = false;

		for (size_t k = 0; k < i; k++)
			first &= strcmp(ends[k].node, ends[i].node) != 0;
		for (size_t k = 0; k < n && first; k++) {
			bool same = !strcmp(ends[k].node, ends[i].node);

			if (k == i || (same ? near : far) || json_array_size(list) >= PAIRS_MAX)
				continue;
			*(same ? &near : &far) = true;
			ok &= add_flight(name, &ends[i], &ends[k], list);
		}
		if (first)
			ok &= add_flight(name, &outside, &ends[i], list);
	}
	return ok;
}

int account_canary(const char *name, json_t *out)
{
	static struct end ends[4096];
	json_t *canaries = json_array(), *sockets = json_array();
	const char *keys[ARRAY_LEN(ends)];
	char path[CLUSTER_PATH];
	size_t n;
	bool ok;

	json_object_set_new(out, "canaries", canaries);
	json_object_set_new(out, "sockets", sockets);
	if (geteuid()) {
		cli_error("sudo weft account --canary", "to enter the pods' namespaces needs root");
		return EXIT_TROUBLE;
	}
	cluster_path(path, name, "hub.sock");
	AUTO_JSON pods = http_get_json(path, "/api/v1/pods", NULL);

	if (!pods)
		return EXIT_TROUBLE;
	n = find_ends(pods, ends, ARRAY_LEN(ends));
	ok = fly_all(name, ends, n, canaries);
	for (size_t i = 0; i < n; i++)
		keys[i] = ends[i].pod;
	ok &= account_sockets(name, keys, n, sockets);
	return ok ? EXIT_OK : EXIT_FAILED;
}

static void show_sockets(const json_t *list)
{
	static const char *const headings[] = {"POD",  "SOCKET",   "TO",      "SEQUENCE",
					       "SENT", "RECORDED", "VERDICT", NULL};
	AUTO_TABLE t = {0};
	json_t *s;
	size_t i;

	table_init(&t, headings);
	json_array_foreach ((json_t *)(uintptr_t)list, i, s) {
		const char *says = json_string_value(json_object_get(s, "says"));

		table_cell(&t, json_string_value(json_object_get(s, "pod")));
		table_cell(&t, json_string_value(json_object_get(s, "local")));
		table_cell(&t, json_string_value(json_object_get(s, "remote")));
		table_cellf(&t, "%lld", json_integer_value(json_object_get(s, "acked")));
		table_cellf(&t, "%lld", json_integer_value(json_object_get(s, "sent")));
		table_cellf(&t, "%lld", json_integer_value(json_object_get(s, "recorded")));
		table_cell_styled(&t, strcmp(says, "matches") != 0 ? STYLE_RED : STYLE_PLAIN, says);
	}
	printf("\nTCP sockets of pods; bytes:\n");
	table_print(&t);
}

void account_canary_show(const json_t *outside)
{
	static const char *const headings[] = {"FROM",	  "TO",	      "ADDRESS", "SENT", "RECEIVED",
					       "DROPPED", "RECORDED", "VERDICT", NULL};
	AUTO_TABLE t = {0};
	json_t *c;
	size_t i;

	table_init(&t, headings);
	json_array_foreach (json_object_get(outside, "canaries"), i, c) {
		const char *says = json_string_value(json_object_get(c, "says"));

		table_cell(&t, json_string_value(json_object_get(c, "from")));
		table_cell(&t, json_string_value(json_object_get(c, "to")));
		table_cell(&t, json_string_value(json_object_get(c, "address")));
		table_cellf(&t, "%lld", json_integer_value(json_object_get(c, "sent")));
		table_cellf(&t, "%lld", json_integer_value(json_object_get(c, "received")));
		table_cellf(&t, "%lld", json_integer_value(json_object_get(c, "dropped")));
		table_cellf(&t, "%lld", json_integer_value(json_object_get(c, "recorded")));
		table_cell_styled(&t, strcmp(says, "matches") != 0 ? STYLE_RED : STYLE_PLAIN, says);
	}
	table_print(&t);
	if (json_array_size(json_object_get(outside, "sockets")))
		show_sockets(json_object_get(outside, "sockets"));
}
