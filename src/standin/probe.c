/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `probe`: one try of each target given as a JSON line, all in parallel up to a bound, one JSON line of
 * result each, in the order in which they end. This is what `weft reach` runs inside a pod. Called by main.c.
 *   in:  {"id":1,"proto":"tcp"|"udp","host":"frontend","port":80,"family":4,"timeout_ms":500}   ("addr" =
 * "host") out:
 * {"id":1,"result":"ok","ms":0.412,"addr":"10.96.0.7","answered":true,"peer":{…}|null,"detail":"…"}
 */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/own.h"
#include "standin/dial.h"
#include "standin/programs.h"

enum { PROBES_AT_ONCE = 512, LINE_MAX_BYTES = 4096 };

struct probes;
struct probe {
	struct probes *all;
	struct dial dial;
	struct dial_place place;
	char *host, *id; /* id: as JSON text */
};

struct probes {
	struct loop loop;
	struct resolver resolver;
	VEC(struct probe *) list;
	size_t next, running;
	bool starting;
};

static void probes_fill(struct probes *ps);

static const char *dns_text(enum resolve_result r)
{
	static const char *const texts[] = {"", "no such name, or none of that family",
					    "the DNS server failed", "no DNS server answered"};

	return texts[r];
}

static void probe_done(struct dial *d, enum dial_result r)
{
	struct probe *p = CONTAINER_OF(d, struct probe, dial);
	struct probes *ps = p->all;
	struct str who = dial_identity(d);
	json_t *peer = who.n ? json_loadb(who.p, who.n, 0, NULL) : NULL;
	char *text = peer ? json_dumps(peer, JSON_COMPACT) : NULL, addr[ADDR_TEXT] = "";

	if (!addr_is_zero(&d->addr))
		addr_print(&d->addr, addr);
	printf("{\"id\":%s,\"result\":\"%s\",\"ms\":%.3f,\"addr\":\"%s\",\"answered\":%s,\"peer\":%s,"
	       "\"detail\":\"%s\"}\n",
	       p->id, dial_result_name(r), (double)d->took_us / 1000, addr, d->answer_len ? "true" : "false",
	       text ? text : "null", r == DIAL_DNS ? dns_text(d->dns) : "");
	free(text);
	json_decref(peer);
	free(p->host);
	free(p->id);
	free(p);
	ps->running--;
	if (!ps->starting)
		probes_fill(ps);
}

static void probes_fill(struct probes *ps)
{
	ps->starting = true;
	while (ps->running < PROBES_AT_ONCE && ps->next < ps->list.len) {
		struct probe *p = ps->list.items[ps->next++];

		ps->running++;
		dial_start(&p->dial, &ps->resolver, &p->place, probe_done);
	}
	ps->starting = false;
	ps->loop.stop = !ps->running;
	fflush(stdout);
}

static int probe_read(struct probes *ps, const json_t *o)
{
	const char *host = json_string_value(json_object_get(o, "host"));
	const char *proto = json_string_value(json_object_get(o, "proto"));
	json_int_t port = json_integer_value(json_object_get(o, "port"));
	json_int_t wait = json_integer_value(json_object_get(o, "timeout_ms"));
	json_int_t family = json_integer_value(json_object_get(o, "family"));
	struct probe *p = calloc(1, sizeof(*p));

	if (!host || !*host)
		host = json_string_value(json_object_get(o, "addr"));
	if (!p || !host || port < 1 || port > 65535) {
		free(p);
		return p ? -EINVAL : -ENOMEM;
	}
	p->all = ps;
	p->host = strdup(host);
	p->id = json_dumps(json_object_get(o, "id"), JSON_COMPACT | JSON_ENCODE_ANY);
	if (!p->id)
		p->id = strdup("null");
	p->place = (struct dial_place){.host = p->host,
				       .port = (uint16_t)port,
				       .udp = proto && !strcmp(proto, "udp"),
				       .family = family == 4   ? 4
						 : family == 6 ? 6
							       : 0,
				       .timeout_ms = wait < 1	    ? 1000
						     : wait > 60000 ? 60000
								    : (uint32_t)wait};
	return vec_push(&ps->list, p);
}

int standin_probe(const char *path)
{
	AUTO_MEM char *line = malloc(LINE_MAX_BYTES);
	struct probes ps = {0};
	FILE *f = strcmp(path, "-") ? fopen(path, "re") : stdin;
	unsigned n = 0;

	if (!f || !line || loop_init(&ps.loop)) {
		fprintf(stderr, "weft-standin: %s: %s\n", path, strerror(errno));
		return 1;
	}
	resolver_init(&ps.resolver, &ps.loop);
	while (fgets(line, LINE_MAX_BYTES, f)) {
		json_error_t err;
		json_t *o = json_loads(line, 0, &err);
		int r = json_is_object(o) ? probe_read(&ps, o) : -EINVAL;

		n++;
		json_decref(o);
		if (r) {
			fprintf(stderr, "weft-standin: %s:%u: %s\n", path, n,
				o ? "a target needs host or addr and a port from 1 to 65535" : err.text);
			return EXIT_USAGE;
		}
	}
	probes_fill(&ps);
	if (!ps.loop.stop)
		loop_run(&ps.loop);
	loop_fini(&ps.loop);
	vec_free(&ps.list);
	return 0;
}
