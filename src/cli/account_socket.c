/* SPDX-License-Identifier: Apache-2.0 */
/* What TCP sockets of pods say, against records: see account_socket.h. Asks by sock_diag, within each pod. */
#include "cli/account_socket.h"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <linux/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/own.h"
#include "base/str.h"
#include "base/vec.h"
#include "cli/cluster.h"
#include "cli/output.h"

enum { LOOK_MS = 100, PATIENCE_MS = 6000, HEADERS_MAX = 14 + 60 + 60, ESTABLISHED = 1, ENDS = 128 };

struct seen_socket {
	const char *pod;
	char local[ENDS], remote[ENDS]; /* "address port" */
	uint64_t acked, sent_most; /* payload bytes acknowledged; bytes ever sent, with headers at most */
	json_int_t recorded;	   /* -1: there is no record */
	bool gone;		   /* when it was looked at the second time */
};
struct sockets {
	VEC(struct seen_socket) list;
};

static void end_of(char out[ENDS], int family, const void *address, uint16_t port)
{
	char text[INET6_ADDRSTRLEN] = "?";

	/* a socket of both families speaks IPv4 by mapped addresses */
	if (family == AF_INET6 && IN6_IS_ADDR_V4MAPPED((const struct in6_addr *)address)) {
		family = AF_INET;
		address = (const char *)address + 12;
	}
	inet_ntop(family, address, text, sizeof(text));
	snprintf(out, ENDS, "%s %u", text, ntohs(port));
}

static bool is_own(const struct seen_socket *s)
{
	size_t n = strcspn(s->local, " ");

	return (!strncmp(s->local, s->remote, n) && s->remote[n] == ' ') || !strncmp(s->local, "127.", 4) ||
	       !strncmp(s->local, "::1 ", 4);
}

static void take_socket(const char *pod, const struct nlmsghdr *h, struct sockets *out)
{
	const struct inet_diag_msg *m = NLMSG_DATA(h);
	struct seen_socket s = {.pod = pod, .recorded = -1};
	const struct nlattr *a;

	for (a = mnl_nlmsg_get_payload_offset(h, sizeof(*m));
	     mnl_attr_ok(a, (int)((char *)mnl_nlmsg_get_payload_tail(h) - (char *)a)); a = mnl_attr_next(a)) {
		struct tcp_info info = {0};
		size_t n = mnl_attr_get_payload_len(a);

		if (mnl_attr_get_type(a) != INET_DIAG_INFO)
			continue;
		memcpy(&info, mnl_attr_get_payload(a), n < sizeof(info) ? n : sizeof(info));
		s.acked = info.tcpi_bytes_acked;
		s.sent_most = info.tcpi_bytes_sent + (uint64_t)(info.tcpi_segs_out + 1) * HEADERS_MAX;
	}
	end_of(s.local, m->idiag_family, m->id.idiag_src, m->id.idiag_sport);
	end_of(s.remote, m->idiag_family, m->id.idiag_dst, m->id.idiag_dport);
	if (!is_own(&s))
		(void)vec_push(&out->list, s); /* without memory it is not looked at */
}

static void dump(const char *pod, int fd, int family, struct sockets *out)
{
	struct {
		struct nlmsghdr h;
		struct inet_diag_req_v2 q;
	} ask = {.h = {.nlmsg_len = sizeof(ask),
		       .nlmsg_type = SOCK_DIAG_BY_FAMILY,
		       .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
		 .q = {.sdiag_family = (uint8_t)family,
		       .sdiag_protocol = IPPROTO_TCP,
		       .idiag_ext = 1 << (INET_DIAG_INFO - 1),
		       .idiag_states = 1 << ESTABLISHED}};
	static char answer[65536] __attribute__((aligned(8)));
	const struct nlmsghdr *h;
	ssize_t n;

	if (send(fd, &ask, sizeof(ask), 0) != sizeof(ask))
		return;
	while ((n = recv(fd, answer, sizeof(answer), 0)) > 0) {
		int left = (int)n;

		for (h = (struct nlmsghdr *)answer; mnl_nlmsg_ok(h, left); h = mnl_nlmsg_next(h, &left)) {
			if (h->nlmsg_type == NLMSG_DONE || h->nlmsg_type == NLMSG_ERROR)
				return;
			take_socket(pod, h, out);
		}
	}
}

static void look(const char *name, const char *const *pods, size_t n, struct sockets *out)
{
	for (size_t i = 0; i < n; i++) {
		int fd = account_socket(name, pods[i], AF_NETLINK, SOCK_DGRAM, NETLINK_SOCK_DIAG);

		if (fd < 0)
			continue;
		dump(pods[i], fd, AF_INET, out);
		dump(pods[i], fd, AF_INET6, out);
		close(fd);
	}
}

json_t *account_ask_flows(const char *name, const json_t *question)
{
	AUTO_BUF out = {};
	char path[CLUSTER_PATH];
	char *text = json_dumps(question, JSON_COMPACT);
	long code = -1;

	cluster_path(path, name, "hub.sock");
	if (text)
		code =
		    http_request(path, "POST", "/apis/weft.network/internal/flows", NULL, str_of(text), &out);
	free(text);
	return code == 200 ? json_loadb(out.p ? out.p : "", out.n, 0, NULL) : NULL;
}

static void end_text(char out[ENDS], const json_t *end)
{
	snprintf(out, ENDS, "%s %lld", json_string_value(json_object_get(end, "address")) ?: "?",
		 (long long)json_integer_value(json_object_get(end, "port")));
}

/* The most that any node saw: each saw all of it, some of them a moment ago. */
static void note_record(struct sockets *sockets, const json_t *r)
{
	const json_t *bytes = json_object_get(r, "bytes");
	char from[ENDS], to[ENDS];

	end_text(from, json_object_get(r, "from"));
	end_text(to, json_object_get(r, "to"));
	VEC_EACH (&sockets->list, s) {
		bool there = !strcmp(s->local, from) && !strcmp(s->remote, to);
		json_int_t n = json_integer_value(json_object_get(bytes, there ? "there" : "back"));

		if ((there || (!strcmp(s->local, to) && !strcmp(s->remote, from))) && n > s->recorded)
			s->recorded = n;
	}
}

/* Whether each has a record that is at least as far as it was. */
static bool compare(const char *name, struct sockets *sockets)
{
	AUTO_JSON q =
	    json_pack("{s:s, s:b, s:b, s:i}", "filter", "tcp", "open", true, "again", true, "limit", 99999);
	AUTO_JSON answer = account_ask_flows(name, q);
	bool all = true;
	json_t *r;
	size_t i;

	json_array_foreach (json_object_get(answer, "flows"), i, r)
		note_record(sockets, r);
	VEC_EACH (&sockets->list, s)
		all &= s->recorded >= 0 && (uint64_t)s->recorded >= s->acked;
	return all;
}

/* What they have sent at most by now; one that is gone is not judged. */
static void look_again(const char *name, const char *const *pods, size_t n, struct sockets *sockets)
{
	struct sockets later = {0};

	look(name, pods, n, &later);
	VEC_EACH (&sockets->list, s) {
		s->gone = true;
		VEC_EACH (&later.list, l)
			if (!strcmp(l->pod, s->pod) && !strcmp(l->local, s->local) &&
			    !strcmp(l->remote, s->remote)) {
				s->gone = false;
				s->sent_most = l->sent_most;
			}
	}
	vec_free(&later.list);
}

bool account_sockets(const char *name, const char *const *pods, size_t n, json_t *list)
{
	struct sockets sockets = {0};
	uint64_t end = clock_ms() + PATIENCE_MS;
	bool ok = true;

	look(name, pods, n, &sockets);
	while (!compare(name, &sockets) && clock_ms() < end)
		nanosleep(&(struct timespec){.tv_nsec = LOOK_MS * 1000000L}, NULL);
	look_again(name, pods, n, &sockets);
	VEC_EACH (&sockets.list, s) {
		const char *says = "matches";

		if (s->gone)
			continue;
		if (s->recorded < 0)
			says = "no record";
		else if ((uint64_t)s->recorded < s->acked)
			says = "bytes passed that nobody counted";
		else if ((uint64_t)s->recorded > s->sent_most)
			says = "more was counted than was sent";
		ok &= !strcmp(says, "matches");
		json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:s}", "pod", s->pod,
						      "local", s->local, "remote", s->remote, "acked",
						      (json_int_t)s->acked, "sent", (json_int_t)s->sent_most,
						      "recorded", s->recorded, "says", says));
	}
	vec_free(&sockets.list);
	return ok;
}
