/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the page listens: reads the option, opens the socket while that needs no more than the hub still may,
 * and knows by which names browsers may come. See page.h.
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>

#include "base/log.h"
#include "base/own.h"
#include "hub/page_state.h"
#include "hub/page_ticket.h"

struct place {
	char host[200]; /* as it was said, without brackets */
	unsigned port;	/* 0: the one of the last run, or any */
};

/* "ADDRESS", "ADDRESS:PORT", ":PORT", "[V6]:PORT"; NULL is 127.0.0.1. */
static int parse_place(const char *text, struct place *out)
{
	const char *begin = text ? text : "", *end = begin + strlen(begin), *port = NULL;
	int64_t n = 0;

	if (*begin == '[') {
		end = strchr(++begin, ']');
		if (!end || (end[1] && end[1] != ':'))
			return -EINVAL;
		port = end[1] ? end + 2 : NULL;
	} else if (strchr(begin, ':') && strchr(begin, ':') == strrchr(begin, ':')) {
		end = strchr(begin, ':');
		port = end + 1;
	}
	if ((size_t)(end - begin) >= sizeof(out->host) || (port && str_to_i64(str_of(port), 1, 65535, &n)))
		return -EINVAL;
	snprintf(out->host, sizeof(out->host), "%.*s", (int)(end - begin), begin);
	if (!*out->host)
		snprintf(out->host, sizeof(out->host), "127.0.0.1");
	out->port = (unsigned)n;
	return 0;
}

static int bind_to(const struct addrinfo *a, unsigned port, unsigned *got)
{
	struct sockaddr_storage at = {0};
	socklen_t len = a->ai_addrlen;
	int one = 1;

	memcpy(&at, a->ai_addr, a->ai_addrlen);
	/* Both families have the port at one place. */
	((struct sockaddr_in *)&at)->sin_port = htons((uint16_t)port);
	AUTO_FD int fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) ||
	    bind(fd, (struct sockaddr *)&at, len) || listen(fd, 128) ||
	    getsockname(fd, (struct sockaddr *)&at, &len))
		return -errno;
	*got = ntohs(((struct sockaddr_in *)&at)->sin_port);
	return TAKE_FD(fd);
}

static bool is_loopback(const struct addrinfo *a)
{
	if (a->ai_family == AF_INET)
		return ntohl(((const struct sockaddr_in *)a->ai_addr)->sin_addr.s_addr) >> 24 == 127;
	return IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)a->ai_addr)->sin6_addr);
}

static bool is_any(const struct addrinfo *a)
{
	if (a->ai_family == AF_INET)
		return !((const struct sockaddr_in *)a->ai_addr)->sin_addr.s_addr;
	return IN6_IS_ADDR_UNSPECIFIED(&((const struct sockaddr_in6 *)a->ai_addr)->sin6_addr);
}

static int add_name(struct page *p, const char *name)
{
	char *copy = strdup(name);

	for (char *c = copy; c && *c; c++)
		*c = (char)tolower((unsigned char)*c);
	if (copy && !vec_push(&p->door.names, copy))
		return 0;
	free(copy);
	return -ENOMEM;
}

/* Loopback has names that no name server can give to somebody else; elsewhere the addresses, the name that
 * was given, and this machine's own. */
static int add_names(struct page *p, const struct place *at, const struct addrinfo *a)
{
	char own[200] = "";
	int r = 0;

	snprintf(p->host, sizeof(p->host), strchr(at->host, ':') ? "[%s]" : "%s", at->host);
	p->loopback = is_loopback(a);
	p->door.tls = p->door.addresses = !p->loopback;
	if (!gethostname(own, sizeof(own) - 1) && *own && !p->loopback)
		r = add_name(p, own);
	if (*own && is_any(a))
		snprintf(p->host, sizeof(p->host), "%s", own);
	r = r ? r : add_name(p, p->host);
	r = r ? r : add_name(p, "localhost");
	r = r ? r : add_name(p, "127.0.0.1");
	return r ? r : add_name(p, "[::1]");
}

static int open_at(struct page *p, const struct place *at, const struct addrinfo *a)
{
	unsigned last = at->port ? at->port : (unsigned)persist_get(p->hub->persist, "page-port");

	p->fd = bind_to(a, last, &p->port);
	if (p->fd < 0 && last && !at->port)
		p->fd = bind_to(a, 0, &p->port);
	if (p->fd < 0) {
		log_error("the page cannot listen on %s port %u: %s", at->host, last, strerror(-p->fd));
		return p->fd;
	}
	persist_set(p->hub->persist, "page-port", p->port);
	snprintf(p->cookie, sizeof(p->cookie), "weft-session-%u", p->port);
	return add_names(p, at, a);
}

int page_open(struct page **out, struct hub *h, const char *where)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
	struct addrinfo *found = NULL;
	struct place at = {0};
	struct page *p = calloc(1, sizeof(*p));

	if (!p)
		return -ENOMEM;
	p->hub = h;
	p->fd = -1;
	int r = logins_new(&p->logins);
	r = r ? r : (p->tickets = tickets_new()) ? 0 : -ENOMEM;
	if (!r && parse_place(where, &at)) {
		log_error("--page %s: say ADDRESS:PORT, or off", where);
		r = -EINVAL;
	}
	int unknown = r ? 0 : getaddrinfo(at.host, NULL, &hints, &found);
	if (unknown) {
		log_error("--page %s: %s", at.host, gai_strerror(unknown));
		r = -EADDRNOTAVAIL;
	}
	r = r ? r : open_at(p, &at, found);
	if (found)
		freeaddrinfo(found);
	if (r)
		page_free(&p);
	else
		*out = p;
	return r;
}

static const struct who *ask_user(void *ctx, const char *user)
{
	return users_who(ctx, user);
}

void page_tick(struct page *p)
{
	logins_renew(p->logins, ask_user, p->hub->store);
	tickets_tick(p->tickets, p->hub->store);
	page_keep(p);
}

bool page_is_loopback(const struct page *p)
{
	return p->loopback;
}

void page_free(struct page **pp)
{
	struct page *p = *pp;

	*pp = NULL;
	if (!p)
		return;
	if (p->fd >= 0)
		close(p->fd);
	VEC_EACH (&p->door.names, name)
		free(*name);
	vec_free(&p->door.names);
	logins_free(&p->logins);
	tickets_free(&p->tickets);
	passwords_free(&p->passwords);
	free(p);
}
