/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Resolver of the stand-in: see resolve.h. Holds the order of candidates, servers and attempts; must never
 * block or cache. Called by dial.c.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "standin/resolve.h"

enum { TYPE_A = 1, TYPE_AAAA = 28, ATTEMPTS = 2 };

static void resolver_line(struct resolver *r, struct str line)
{
	struct str word = str_cut(&line, ' ');

	line = str_trim(line);
	if (str_eqz(word, "nameserver") && r->servers_len < RESOLVE_SERVERS) {
		if (!addr_parse(line, &r->servers[r->servers_len]))
			r->servers_len++;
		return;
	}
	if (!str_eqz(word, "search") && !str_eqz(word, "options"))
		return;
	if (str_eqz(word, "search"))
		r->search_len = 0;
	while (line.n) {
		struct str w = str_cut(&line, ' ');
		int64_t v;

		line = str_trim(line);
		if (str_eqz(word, "options")) {
			if (str_starts(w, STR("ndots:")) &&
			    !str_to_i64((struct str){.p = w.p + 6, .n = w.n - 6}, 0, 15, &v))
				r->ndots = (unsigned)v;
		} else if (r->search_len < RESOLVE_SEARCH && w.n && w.n < RESOLVE_NAME) {
			snprintf(r->search[r->search_len++], RESOLVE_NAME, STR_FMT, STR_ARG(w));
		}
	}
}

void resolver_init(struct resolver *r, struct loop *l)
{
	const char *told = getenv("WEFT_RESOLV_CONF");
	char line[1024];
	FILE *f = fopen(told && *told ? told : "/etc/resolv.conf", "re");

	*r = (struct resolver){.loop = l, .ndots = 1};
	if (!f)
		return;
	while (fgets(line, sizeof(line), f)) {
		for (char *c = line; *c; c++)
			if (*c == '\t')
				*c = ' ';
		resolver_line(r, str_trim(str_of(line)));
	}
	fclose(f);
}

static void lookup_finish(struct lookup *l, enum resolve_result result)
{
	lookup_cancel(l);
	l->done(l, result);
}

void lookup_cancel(struct lookup *l)
{
	loop_disarm(l->resolver->loop, &l->timer);
	loop_close(l->resolver->loop, &l->watch);
}

/* Names with fewer dots than ndots are tried with the search domains first, others last. */
static bool candidate_name(const struct lookup *l, unsigned i, char out[RESOLVE_NAME + 2])
{
	const struct resolver *r = l->resolver;
	unsigned dots = 0;
	int n;

	for (const char *c = l->name; *c; c++)
		dots += *c == '.';
	if (l->name[strlen(l->name) - 1] == '.') {
		if (i)
			return false;
		n = snprintf(out, RESOLVE_NAME, "%s", l->name);
	} else if (i > r->search_len) {
		return false;
	} else {
		bool bare_first = dots >= r->ndots;

		if (i == (bare_first ? 0 : r->search_len))
			n = snprintf(out, RESOLVE_NAME, "%s", l->name);
		else
			n = snprintf(out, RESOLVE_NAME, "%s.%s", l->name, r->search[bare_first ? i - 1 : i]);
	}
	return n > 0 && n < RESOLVE_NAME;
}

static void lookup_send(struct lookup *l);

static void lookup_next(struct lookup *l, enum resolve_result why)
{
	loop_disarm(l->resolver->loop, &l->timer);
	loop_close(l->resolver->loop, &l->watch);
	if (why == RESOLVE_NONE) {
		l->candidate++;
		l->attempt = 0;
	} else if (++l->attempt >= ATTEMPTS) {
		lookup_finish(l, why);
		return;
	}
	lookup_send(l);
}

static void lookup_timeout(struct timer *t)
{
	struct lookup *l = (struct lookup *)((char *)t - offsetof(struct lookup, timer));

	/* One of the two answers may have been lost: only the last attempt makes do with the other. */
	if (l->addrs_len && l->attempt + 1 >= ATTEMPTS)
		lookup_finish(l, RESOLVE_OK);
	else
		lookup_next(l, RESOLVE_SILENT);
}

static void lookup_read(struct watch *w, uint32_t events)
{
	struct lookup *l = (struct lookup *)((char *)w - offsetof(struct lookup, watch));
	uint8_t m[2048];
	ssize_t n;

	(void)events;
	while ((n = recv(w->fd, m, sizeof(m), MSG_DONTWAIT)) >= 0) {
		int r4 = l->have4 ? -1 : resolve_answer(m, (size_t)n, l->id, TYPE_A, l->addrs, &l->addrs_len);
		int r6 = r4 >= 0 || l->have6 ? -1
					     : resolve_answer(m, (size_t)n, (uint16_t)(l->id + 1), TYPE_AAAA,
							      l->addrs, &l->addrs_len);

		l->have4 |= r4 >= 0;
		l->have6 |= r6 >= 0;
		l->failed |= r4 == RESOLVE_FAILED || r6 == RESOLVE_FAILED;
		if (l->have4 && l->have6) {
			if (l->addrs_len)
				lookup_finish(l, RESOLVE_OK);
			else
				lookup_next(l, l->failed ? RESOLVE_FAILED : RESOLVE_NONE);
			return;
		}
	}
	if (errno != EAGAIN && errno != EINTR)
		lookup_next(l, RESOLVE_SILENT); /* the server's port is closed or unreachable */
}

static int lookup_socket(const struct addr *server)
{
	struct sockaddr_in6 to6 = {.sin6_family = AF_INET6, .sin6_port = htons(53)};
	struct sockaddr_in to4 = {.sin_family = AF_INET, .sin_port = htons(53)};
	bool v4 = addr_is4(server);
	int fd = socket(v4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -errno;
	to4.sin_addr.s_addr = htonl(v4 ? addr_to4(server) : 0);
	memcpy(&to6.sin6_addr, server->b, 16);
	if (connect(fd, v4 ? (const struct sockaddr *)&to4 : (const struct sockaddr *)&to6,
		    v4 ? sizeof(to4) : sizeof(to6))) {
		int err = -errno;

		close(fd);
		return err;
	}
	return fd;
}

static void lookup_send(struct lookup *l)
{
	struct resolver *r = l->resolver;
	uint8_t q[512];
	size_t n4, n6;

	if (!r->servers_len) {
		lookup_finish(l, RESOLVE_FAILED);
		return;
	}
	if (!candidate_name(l, l->candidate, l->asked)) {
		lookup_finish(l, RESOLVE_NONE);
		return;
	}
	if (getrandom(&l->id, sizeof(l->id), GRND_NONBLOCK) != sizeof(l->id))
		l->id = (uint16_t)rand();
	l->have4 = l->have6 = l->failed = false;
	l->addrs_len = 0;
	loop_arm(r->loop, &l->timer, l->wait_ms);
	l->watch.fd = lookup_socket(&r->servers[l->attempt % r->servers_len]);
	if (l->watch.fd < 0 || loop_watch(r->loop, &l->watch, EPOLLIN))
		return; /* the timer takes the next attempt */
	n4 = resolve_question(q, sizeof(q), l->asked, l->id, TYPE_A);
	if (!n4 || send(l->watch.fd, q, n4, MSG_NOSIGNAL) < 0)
		return;
	n6 = resolve_question(q, sizeof(q), l->asked, (uint16_t)(l->id + 1), TYPE_AAAA);
	if (n6 && send(l->watch.fd, q, n6, MSG_NOSIGNAL) < 0)
		return;
}

void lookup_start(struct lookup *l, struct resolver *r, const char *name, uint32_t wait_ms,
		  void (*done)(struct lookup *l, enum resolve_result r))
{
	*l = (struct lookup){.resolver = r, .done = done, .wait_ms = wait_ms};
	l->watch = (struct watch){.fd = -1, .fn = lookup_read};
	l->timer.fn = lookup_timeout;
	if (!*name || strlen(name) >= sizeof(l->name)) {
		lookup_finish(l, RESOLVE_NONE);
		return;
	}
	strncpy(l->name, name, sizeof(l->name) - 1);
	if (!addr_parse(str_of(name), &l->addrs[0])) {
		l->addrs_len = 1;
		lookup_finish(l, RESOLVE_OK);
		return;
	}
	lookup_send(l);
}
