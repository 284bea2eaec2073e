/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls: see calls.h. Holds the grammar of what counts as a place; must never look anything up. Called by the
 * sandbox for each value of a container's environment and arguments.
 */
#include <ctype.h>
#include <strings.h>

#include "standin/calls.h"

struct scheme {
	const char *name;
	uint16_t port;
	bool udp;
};

/* Ports that a URL leaves out, as registered for these schemes. */
static const struct scheme schemes[] = {
    {"http", 80, false},	 {"https", 443, false},	      {"ws", 80, false},
    {"wss", 443, false},	 {"redis", 6379, false},      {"rediss", 6379, false},
    {"postgres", 5432, false},	 {"postgresql", 5432, false}, {"mysql", 3306, false},
    {"mongodb", 27017, false},	 {"amqp", 5672, false},	      {"amqps", 5671, false},
    {"nats", 4222, false},	 {"ldap", 389, false},	      {"smtp", 25, false},
    {"ftp", 21, false},		 {"mqtt", 1883, false},	      {"kafka", 9092, false},
    {"memcached", 11211, false}, {"dns", 53, true},	      {"syslog", 514, true},
    {"grpc", 0, false},		 {"tcp", 0, false},	      {"udp", 0, true},
};

static const struct scheme *scheme_find(struct str name)
{
	for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++)
		if (strlen(schemes[i].name) == name.n && !strncasecmp(schemes[i].name, name.p, name.n))
			return &schemes[i];
	return NULL;
}

/* DNS name: labels of letters, digits, "-" and "_", at least one letter in the last one. */
static bool is_name(struct str s)
{
	bool letter = false;
	size_t label = 0;

	if (!s.n || s.n > 253)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c == '.') {
			if (!label || (i + 1 == s.n && !letter))
				return false;
			if (i + 1 < s.n)
				letter = false;
			label = 0;
			continue;
		}
		if (!isalnum(c) && c != '-' && c != '_')
			return false;
		if ((c == '-' && !label) || ++label > 63)
			return false;
		letter |= isalpha(c) != 0;
	}
	return letter && s.p[s.n - 1] != '-';
}

static struct str cut_at(struct str s, const char *stops)
{
	for (size_t i = 0; i < s.n; i++)
		if (strchr(stops, s.p[i]))
			return (struct str){.p = s.p, .n = i};
	return s;
}

/* One token without separators: true when it is a place. */
static bool token_place(struct str t, struct call_place *out)
{
	const struct scheme *scheme = NULL;
	struct str host, rest;
	int64_t port = 0;
	bool url = false;

	for (size_t i = 0; i + 2 < t.n; i++) {
		if (t.p[i] != ':' || t.p[i + 1] != '/' || t.p[i + 2] != '/')
			continue;
		scheme = scheme_find((struct str){.p = t.p, .n = i});
		t = (struct str){.p = t.p + i + 3, .n = t.n - i - 3};
		url = true;
		break;
	}
	t = cut_at(t, url ? "/?#" : "/");
	for (size_t i = t.n; url && i > 0; i--)
		if (t.p[i - 1] == '@') {
			t = (struct str){.p = t.p + i, .n = t.n - i};
			break;
		}
	rest = t;
	host = str_cut(&rest, ':');
	if (!is_name(host))
		return false;
	if (host.n < t.n) {
		if (str_to_i64(rest, 1, 65535, &port))
			return false;
	} else if (scheme) {
		port = scheme->port;
	}
	if (!port)
		return false;
	*out = (struct call_place){.host = host, .port = (uint16_t)port, .udp = scheme && scheme->udp};
	return true;
}

size_t calls_find(struct str text, struct call_place *out, size_t max)
{
	static const char separators[] = ", \t\r\n;=\"'()[]{}<>|\\`";
	static const char separators_of_urls[] = ", \t\r\n\"'<>|\\`";
	size_t n = 0;

	while (text.n) {
		struct str token = cut_at(text, separators);
		struct call_place place;

		if (memmem(token.p, token.n, "://", 3))
			token = cut_at(text, separators_of_urls);
		if (token.n && token_place(token, &place)) {
			if (n < max)
				out[n] = place;
			n++;
		}
		if (token.n == text.n)
			break;
		text.p += token.n + 1;
		text.n -= token.n + 1;
	}
	return n;
}

/* "ns", "ns.svc" or "ns.svc.DOMAIN" behind a Service's name: is this a full name of the cluster's shape? */
static bool rest_is_namespace(struct str rest, struct str *ns)
{
	struct str svc;

	*ns = str_cut(&rest, '.');
	if (!ns->n)
		return false;
	svc = str_cut(&rest, '.');
	return !svc.n || (str_eqz(svc, "svc") && (!rest.n || str_eqz(rest, "cluster.local")));
}

bool calls_service(struct str host, struct str ns, calls_exists *exists, void *ctx, struct str *in,
		   struct str *svc)
{
	if (host.n && host.p[host.n - 1] == '.')
		host.n--;
	for (int skip = 0; skip < 2; skip++) {
		struct str rest = host, first = str_cut(&rest, '.'), where = ns;

		if (!first.n)
			return false;
		if ((!rest.n || rest_is_namespace(rest, &where)) && exists(ctx, where, first)) {
			*in = where;
			*svc = first;
			return true;
		}
		host = rest;
	}
	return false;
}
