/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ends sockets whose backend is gone, which would otherwise go on asking nobody: connected UDP sockets that
 * came through a Service whose list no longer has their backend (SV55), and TCP sockets to a pod that is no
 * more (not to one that is merely not ready: SV54). A thread of its own asks each namespace that was handed
 * over, by its sock_diag socket, and only when BPF map socket_origin has such a socket. Called by rows.c and
 * namespace.c.
 */
#include "apply/reaper.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/own.h"
#include "base/vec.h"
#include "seam/service.h"

enum { NOTED_MAX = 16384, BATCH = 512, REST_MAX_MS = 200, REST_TIMES = 4 };

struct noted {		      /* what changed since the last look */
	struct hash services; /* struct service_key whose list is another, or none */
	struct hash gone;     /* struct addr16 of pods that are no more */
	bool all; /* more than can be noted: any Service may have changed; sockets of TCP then end by
		     themselves */
};

struct watched {
	uint64_t cookie;
	int diag;
};

struct reaper {
	const struct kernel *kernel;
	pthread_t thread;
	pthread_mutex_t lock; /* of what follows */
	pthread_cond_t wake;
	bool running, end, wanted;
	struct noted noted;
	VEC(struct watched) watched;
	/* the thread's own */
	struct noted work;
	struct hash hits; /* struct socket_key of sockets to end */
	bool warned;
	uint64_t ended;
};

#define KEY(x) ((struct str){.p = (const char *)&(x), .n = sizeof(x)})

static void noted_fini(struct noted *n)
{
	hash_fini(&n->services);
	hash_fini(&n->gone);
	*n = (struct noted){0};
}

/* --- which sockets --- */

static bool in_list(const struct kernel *k, uint32_t list, uint32_t count, const struct socket_key *s)
{
	struct backend_value b;

	for (uint32_t i = 0; i < count; i++) {
		struct backend_key key = {.list = list, .slot = i};

		if (!bpf_map_lookup_elem(k->map[PLAN_MAP_backend], &key, &b) && b.port == s->port &&
		    !memcmp(&b.addr, &s->addr, sizeof(b.addr)))
			return true;
	}
	return false;
}

static bool udp_is_lost(struct reaper *r, const struct socket_key *s, const struct socket_value *v)
{
	struct service_key key = {.port = v->port, .proto = s->proto};
	struct service_value now;

	key.addr = v->addr;
	if (!r->work.all && !hash_get(&r->work.services, KEY(key)))
		return false;
	/* A list that was exchanged meanwhile is looked at again: its change was noted. */
	return bpf_map_lookup_elem(r->kernel->map[PLAN_MAP_service], &key, &now) ||
	       !in_list(r->kernel, now.list, now.count, s);
}

static bool tcp_is_lost(struct reaper *r, const struct socket_key *s)
{
	uint8_t value[MAP_VALUE_MAX];

	return hash_get(&r->work.gone, KEY(s->addr)) &&
	       bpf_map_lookup_elem(r->kernel->map[PLAN_MAP_address], &s->addr, value) && errno == ENOENT;
}

static int judge(void *ctx, const void *key, const void *value)
{
	static char there;
	struct reaper *r = ctx;
	struct socket_value v;
	struct socket_key s;

	memcpy(&s, key, sizeof(s));
	memcpy(&v, value, sizeof(v));
	if (s.proto == IPPROTO_UDP ? !udp_is_lost(r, &s, &v) : s.proto != IPPROTO_TCP || !tcp_is_lost(r, &s))
		return 0;
	return hash_set(&r->hits, KEY(s), &there, NULL);
}

/* --- ending them --- */

static void say_once(struct reaper *r, int err)
{
	if (r->warned)
		return;
	r->warned = true;
	log_warn("sockets to backends that are gone cannot be ended: %s%s", strerror(-err),
		 err == -EOPNOTSUPP ? " (the kernel lacks CONFIG_INET_DIAG_DESTROY)" : "");
}

static int request(int fd, uint16_t type, uint16_t flags, const struct inet_diag_req_v2 *req)
{
	static uint32_t seq;
	struct sockaddr_nl to = {.nl_family = AF_NETLINK};
	char buf[256] __attribute__((aligned(8)));
	struct nlmsghdr *nh = mnl_nlmsg_put_header(buf);

	nh->nlmsg_type = type;
	nh->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
	nh->nlmsg_seq = ++seq;
	memcpy(mnl_nlmsg_put_extra_header(nh, sizeof(*req)), req, sizeof(*req));
	return sendto(fd, nh, nh->nlmsg_len, 0, (struct sockaddr *)&to, sizeof(to)) < 0 ? -errno : (int)seq;
}

typedef VEC(struct inet_diag_req_v2) requests;

static int destroy(int fd, const struct inet_diag_req_v2 *req)
{
	char in[4096] __attribute__((aligned(8)));
	int seq = request(fd, SOCK_DESTROY, NLM_F_ACK, req);

	while (seq > 0) {
		ssize_t n = recv(fd, in, sizeof(in), 0);
		const struct nlmsghdr *nh = (const struct nlmsghdr *)(const void *)in;
		int left = (int)n;

		if (n < 0 && errno != EINTR)
			return -errno;
		for (; n > 0 && mnl_nlmsg_ok(nh, left); nh = mnl_nlmsg_next(nh, &left))
			if (nh->nlmsg_seq == (uint32_t)seq && nh->nlmsg_type == NLMSG_ERROR)
				return ((const struct nlmsgerr *)mnl_nlmsg_get_payload(nh))->error;
	}
	return seq;
}

static struct addr16 remote(const struct inet_diag_msg *m)
{
	struct addr16 a = {0};

	if (m->idiag_family == AF_INET) {
		memset(a.b + 10, 0xff, 2);
		memcpy(a.b + 12, m->id.idiag_dst, 4);
	} else {
		memcpy(&a, m->id.idiag_dst, 16);
	}
	return a;
}

static int note_socket(const struct reaper *r, const struct nlmsghdr *nh, uint8_t proto, requests *out)
{
	const struct inet_diag_msg *m = mnl_nlmsg_get_payload(nh);
	struct socket_key s = {.port = m->id.idiag_dport, .proto = proto};
	struct inet_diag_req_v2 req = {.sdiag_family = m->idiag_family, .sdiag_protocol = proto, .id = m->id};

	s.cookie = (uint64_t)m->id.idiag_cookie[1] << 32 | m->id.idiag_cookie[0];
	s.addr = remote(m);
	return hash_get(&r->hits, KEY(s)) ? vec_push(out, req) : 0;
}

/* The sockets of one namespace, family and protocol that are to end. */
static int find(const struct reaper *r, int fd, uint8_t family, uint8_t proto, requests *out)
{
	static char in[32768] __attribute__((aligned(8)));
	struct inet_diag_req_v2 req = {.sdiag_family = family, .sdiag_protocol = proto};
	int seq, err = 0;

	/* A socket whose peer has closed may still have data to read; so it is for UDP that is not connected.
	 */
	req.idiag_states = 1U << TCP_ESTABLISHED | (proto == IPPROTO_TCP ? 1U << TCP_SYN_SENT : 0);
	seq = request(fd, SOCK_DIAG_BY_FAMILY, NLM_F_DUMP, &req);
	while (seq > 0) {
		ssize_t n = recv(fd, in, sizeof(in), 0);
		const struct nlmsghdr *nh = (const struct nlmsghdr *)(const void *)in;
		int left = (int)n;

		if (n < 0 && errno != EINTR)
			return -errno;
		for (; n > 0 && mnl_nlmsg_ok(nh, left); nh = mnl_nlmsg_next(nh, &left)) {
			if (nh->nlmsg_seq != (uint32_t)seq)
				continue;
			if (nh->nlmsg_type == NLMSG_DONE)
				return err;
			if (nh->nlmsg_type == NLMSG_ERROR)
				return ((const struct nlmsgerr *)mnl_nlmsg_get_payload(nh))->error;
			if (!err && nh->nlmsg_len >= NLMSG_LENGTH(sizeof(struct inet_diag_msg)))
				err = note_socket(r, nh, proto, out);
		}
	}
	return seq;
}

static void end_sockets(struct reaper *r, int fd)
{
	static const uint8_t families[] = {AF_INET, AF_INET6}, protos[] = {IPPROTO_UDP, IPPROTO_TCP};

	for (unsigned i = 0; i < 4; i++) {
		requests list = {0};
		int err = find(r, fd, families[i / 2], protos[i % 2], &list);

		VEC_EACH (&list, req) {
			int bad = err ? err : destroy(fd, req);

			r->ended += bad ? 0 : 1;
			/* It may have ended by itself. */
			err = bad == -ENOENT ? 0 : bad;
		}
		vec_free(&list);
		if (err && err != -ENOENT)
			say_once(r, err);
	}
}

/* The next namespace behind `cookie`, in order; -1: none. The descriptor is the caller's. */
static int next_namespace(struct reaper *r, uint64_t *cookie)
{
	const struct watched *best = NULL;
	int fd = -1;

	pthread_mutex_lock(&r->lock);
	VEC_EACH (&r->watched, w)
		if (w->cookie >= *cookie && (!best || w->cookie < best->cookie))
			best = w;
	if (best) {
		fd = dup(best->diag);
		*cookie = best->cookie + 1;
	}
	pthread_mutex_unlock(&r->lock);
	return fd;
}

static void look(struct reaper *r)
{
	uint64_t cookie = 0, was = r->ended;
	int fd, err = map_each(r->kernel, PLAN_MAP_socket_origin, judge, r);

	if (err)
		say_once(r, err);
	while (r->hits.len && (fd = next_namespace(r, &cookie)) >= 0) {
		end_sockets(r, fd);
		close(fd);
	}
	if (r->ended != was)
		log_info("%llu sockets to backends that are gone were ended",
			 (unsigned long long)(r->ended - was));
	hash_fini(&r->hits);
	r->hits = (struct hash){0};
}

static void *run(void *ctx)
{
	struct reaper *r = ctx;

	pthread_mutex_lock(&r->lock);
	while (!r->end) {
		uint64_t start = clock_ms(), rest;

		if (!r->wanted) {
			pthread_cond_wait(&r->wake, &r->lock);
			continue;
		}
		r->wanted = false;
		r->work = r->noted;
		r->noted = (struct noted){0};
		pthread_mutex_unlock(&r->lock);
		look(r);
		noted_fini(&r->work);
		/* However often lists change, this takes a small part of a processor. */
		rest = (clock_ms() - start) * REST_TIMES;
		rest = rest < REST_MAX_MS ? rest : REST_MAX_MS;
		if (rest)
			nanosleep(&(struct timespec){.tv_nsec = (long)rest * 1000000}, NULL);
		pthread_mutex_lock(&r->lock);
	}
	pthread_mutex_unlock(&r->lock);
	return NULL;
}

/* --- for others --- */

int reaper_new(struct reaper **out, const struct kernel *k)
{
	AUTO_FD int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
	struct reaper *r = calloc(1, sizeof(*r));
	int err;

	if (!r)
		return -ENOMEM;
	r->kernel = k;
	pthread_mutex_init(&r->lock, NULL);
	pthread_cond_init(&r->wake, NULL);
	/* The node's own sockets, and those of pods in its namespace. */
	err = fd < 0 ? -errno : reaper_watch(r, 0, TAKE_FD(fd));
	if (err) {
		reaper_free(&r);
		return err;
	}
	*out = r;
	return 0;
}

void reaper_free(struct reaper **pr)
{
	struct reaper *r = *pr;

	*pr = NULL;
	if (!r)
		return;
	pthread_mutex_lock(&r->lock);
	r->end = true;
	pthread_cond_signal(&r->wake);
	pthread_mutex_unlock(&r->lock);
	if (r->running)
		pthread_join(r->thread, NULL);
	VEC_EACH (&r->watched, w)
		close(w->diag);
	vec_free(&r->watched);
	noted_fini(&r->noted);
	free(r);
}

int reaper_watch(struct reaper *r, uint64_t cookie, int diag)
{
	struct timeval limit = {.tv_sec = 1};
	int err;

	setsockopt(diag, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(diag, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	reaper_forget(r, cookie);
	pthread_mutex_lock(&r->lock);
	err = vec_push(&r->watched, ((struct watched){cookie, diag}));
	pthread_mutex_unlock(&r->lock);
	if (err)
		close(diag);
	return err;
}

void reaper_forget(struct reaper *r, uint64_t cookie)
{
	pthread_mutex_lock(&r->lock);
	for (size_t i = 0; i < r->watched.len; i++)
		if (r->watched.items[i].cookie == cookie) {
			close(r->watched.items[i].diag);
			r->watched.items[i] = r->watched.items[--r->watched.len];
			break;
		}
	pthread_mutex_unlock(&r->lock);
}

static void note(struct reaper *r, struct hash *t, struct str key)
{
	static char there;

	if (t->len >= NOTED_MAX || hash_set(t, key, &there, NULL))
		r->noted.all = true;
}

void reaper_note(struct reaper *r, const struct change *c, size_t n)
{
	bool service = c->row.table == PLAN_MAP_service, address = c->row.table == PLAN_MAP_address;

	if (c->row.type != ROW_MAP || c->op == CHANGE_ADD || !(service || (address && c->op == CHANGE_DEL)))
		return;
	pthread_mutex_lock(&r->lock);
	for (size_t i = 0; i < n; i++)
		note(r, service ? &r->noted.services : &r->noted.gone,
		     (struct str){.p = (const char *)c[i].row.key, .n = c[i].row.key_len});
	pthread_mutex_unlock(&r->lock);
}

void reaper_kick(struct reaper *r)
{
	pthread_mutex_lock(&r->lock);
	if (r->noted.services.len || r->noted.gone.len || r->noted.all) {
		r->wanted = true;
		if (!r->running)
			r->running = !pthread_create(&r->thread, NULL, run, r);
		pthread_cond_signal(&r->wake);
	}
	pthread_mutex_unlock(&r->lock);
}
