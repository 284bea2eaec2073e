/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `weft export`: the records that the hub has, as IPFIX to a collector. Each way of a connection is a record
 * of its own, a drop one. Counts what was sent and what could not be: nothing is left out in silence.
 */
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/own.h"
#include "cli/account_socket.h"
#include "cli/cluster.h"
#include "cli/command.h"
#include "cli/output.h"
#include "observe/ipfix.h"

enum { LIMIT = 99999, DOMAIN = 0x57656674, PAUSE_EACH = 16, PAUSE_NS = 1000000 };

struct exporter {
	int fd;
	struct ipfix m[2]; /* IPv4, IPv6: one domain each, since each numbers its own records */
	uint64_t records, lost, messages;
	int error; /* the last one that lost records */
};

static void flush(struct exporter *x, struct ipfix *m)
{
	if (!m->records)
		return;
	ipfix_end(m);
	if (send(x->fd, m->bytes, m->n, 0) == (ssize_t)m->n) {
		x->records += m->records;
	} else {
		x->error = errno;
		x->lost += m->records;
	}
	/* so that a collector on this machine keeps up: datagrams that it has no room for are told by nobody
	 */
	if (++x->messages % PAUSE_EACH == 0)
		nanosleep(&(struct timespec){.tv_nsec = PAUSE_NS}, NULL);
}

static void add(struct exporter *x, const struct ipfix_record *r)
{
	bool is6 = !addr_is4(&r->from);
	struct ipfix *m = &x->m[is6];

	if (m->n && ipfix_add(m, r))
		return;
	flush(x, m);
	ipfix_begin(m, is6, (uint32_t)clock_wall());
	ipfix_add(m, r);
}

static uint64_t ms_of(const char *text)
{
	int64_t seconds = 0;
	const char *dot = strchr(text, '.');

	if (clock_parse(text, &seconds) || seconds < 0)
		return 0;
	return (uint64_t)seconds * 1000 + (dot ? strtoul((char[]){dot[1], dot[2], dot[3], 0}, NULL, 10) : 0);
}

static uint8_t protocol_of(const char *name)
{
	static const struct {
		const char *name;
		uint8_t number;
	} all[] = {{"ICMP", 1}, {"TCP", 6}, {"UDP", 17}, {"ICMPv6", 58}, {"SCTP", 132}};

	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		if (!strcmp(name, all[i].name))
			return all[i].number;
	return (uint8_t)strtoul(name, NULL, 10);
}

static const char *text_of(const json_t *o, const char *key)
{
	return json_string_value(json_object_get(o, key)) ?: "";
}

static bool end_of(const json_t *end, struct addr *a, uint16_t *port)
{
	*port = (uint16_t)json_integer_value(json_object_get(end, "port"));
	return !addr_parse(str_of(text_of(end, "address")), a);
}

static uint64_t way(const json_t *flow, const char *what, const char *which)
{
	return (uint64_t)json_integer_value(json_object_get(json_object_get(flow, what), which));
}

static void add_flow(struct exporter *x, const json_t *f)
{
	struct ipfix_record r = {.proto = protocol_of(text_of(f, "protocol")),
				 .dropped = !strcmp(text_of(f, "verdict"), "dropped"),
				 .bytes = way(f, "bytes", "there"),
				 .packets = way(f, "packets", "there"),
				 .first = ms_of(text_of(f, "first")),
				 .last = ms_of(text_of(f, "last"))};
	struct ipfix_record back = r;

	if (!end_of(json_object_get(f, "from"), &r.from, &r.from_port) ||
	    !end_of(json_object_get(f, "to"), &r.to, &r.to_port)) {
		x->lost++;
		return;
	}
	add(x, &r);
	back.from = r.to;
	back.to = r.from;
	back.from_port = r.to_port;
	back.to_port = r.from_port;
	back.bytes = way(f, "bytes", "back");
	back.packets = way(f, "packets", "back");
	if (back.packets)
		add(x, &back);
}

/* "HOST:PORT", "[ADDR]:PORT": a connected datagram socket, or -1 (told). */
static int dial(const char *to)
{
	const char *colon = strrchr(to, ':');
	AUTO_MEM char *host = colon ? strndup(to, (size_t)(colon - to)) : NULL;
	struct addrinfo hints = {.ai_socktype = SOCK_DGRAM}, *found = NULL;
	size_t n = host ? strlen(host) : 0;
	int fd = -1, err;

	if (n > 1 && host[0] == '[' && host[n - 1] == ']') {
		memmove(host, host + 1, n - 2);
		host[n - 2] = 0;
	}
	if (!n || !colon[1]) {
		cli_error("like 127.0.0.1:4739, [::1]:4739, collector.example:4739",
			  "\"%s\" is no address with a port", to);
		return -1;
	}
	err = getaddrinfo(host, colon + 1, &hints, &found);
	if (err) {
		cli_error(NULL, "%s: %s", to, gai_strerror(err));
		return -1;
	}
	fd = socket(found->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, found->ai_addr, found->ai_addrlen)) {
		close(fd);
		fd = -1;
	}
	if (fd < 0)
		cli_error(NULL, "%s: %s", to, strerror(errno));
	freeaddrinfo(found);
	return fd;
}

static json_t *ask(const struct options_export *o, const char *name)
{
	AUTO_JSON q = json_pack("{s:i, s:b}", "limit", LIMIT, "again", o->every_node);
	json_t *answer;

	if (o->n_args > 1)
		json_object_set_new(q, "filter", json_string(o->args[1]));
	answer = account_ask_flows(name, q);
	if (!answer)
		cli_error("try the filter with weft flows", "the hub does not answer this question");
	return answer;
}

int cmd_export(const struct options_export *o)
{
	const char *name = cluster_name(o->name);
	struct exporter x = {.m = {{.domain = DOMAIN}, {.domain = DOMAIN + 1}}};
	json_t *f;
	size_t i;

	if (!name)
		return EXIT_USAGE;
	if (!cluster_need(name))
		return EXIT_FAILED;
	x.fd = dial(o->args[0]);
	if (x.fd < 0)
		return EXIT_USAGE;
	AUTO_JSON answer = ask(o, name);

	json_array_foreach (json_object_get(answer, "flows"), i, f)
		add_flow(&x, f);
	for (unsigned m = 0; m < ARRAY_LEN(x.m); m++)
		flush(&x, &x.m[m]);
	close(x.fd);
	if (!answer)
		return EXIT_FAILED;
	printf("%llu records of %zu connections and drops went to %s in %llu messages.\n",
	       (unsigned long long)x.records, json_array_size(json_object_get(answer, "flows")), o->args[0],
	       (unsigned long long)x.messages);
	if (x.lost)
		cli_error("is the collector there?", "%llu records were lost: %s", (unsigned long long)x.lost,
			  strerror(x.error));
	return x.lost ? EXIT_FAILED : EXIT_OK;
}
