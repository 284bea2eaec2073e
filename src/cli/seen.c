/* SPDX-License-Identifier: Apache-2.0 */
/* Asks each node's observer for /seen and joins the answers, see seen.h. */
#include "cli/seen.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "cli/cluster.h"
#include "cli/command.h"
#include "cli/output.h"

static int by_flow(const void *pa, const void *pb)
{
	const struct seen_row *a = pa, *b = pb;
	int d = memcmp(&a->from, &b->from, sizeof(a->from));

	d = d ? d : memcmp(&a->to, &b->to, sizeof(a->to));
	d = d ? d : (int)a->proto - b->proto;
	return d ? d : (int)a->port - b->port;
}

static uint64_t number(const json_t *o, const char *key)
{
	return (uint64_t)json_integer_value(json_object_get(o, key));
}

static int take_flow(struct seen_all *out, const json_t *f)
{
	struct seen_row r = {.proto = (uint8_t)number(f, "protocol"),
			     .port = (uint16_t)number(f, "port"),
			     .answered = json_is_true(json_object_get(f, "answered")),
			     .live = (uint32_t)number(f, "live"),
			     .first_ms = number(f, "firstMs"),
			     .last_ms = number(f, "lastMs")};

	if (addr_parse(str_of(json_string_value(json_object_get(f, "from"))), &r.from) ||
	    addr_parse(str_of(json_string_value(json_object_get(f, "to"))), &r.to))
		return 0;
	return vec_push(&out->list, r);
}

static int take_node(struct seen_all *out, const char *cluster, const char *node)
{
	char path[CLUSTER_PATH];
	AUTO_BUF file = {0};
	json_t *f;
	size_t i;
	int r = 0;

	buf_printf(&file, "%s/observer.sock", node);
	cluster_path(path, cluster, file.p ? file.p : "");
	AUTO_JSON v = http_get_json(path, "/seen", NULL);
	if (!v)
		return -1;
	json_array_foreach (json_object_get(v, "flows"), i, f)
		r = r ? r : take_flow(out, f);
	if (r)
		cli_error(NULL, "out of memory");
	out->lost += number(v, "lost");
	if (!out->nodes++ || number(v, "sinceMs") < out->since_ms)
		out->since_ms = number(v, "sinceMs");
	return r;
}

/* Of one flow on two nodes: the earliest start, the latest packet, the larger count of what is open. */
static void join(struct seen_all *s)
{
	size_t n = 0;

	if (s->list.len > 1)
		qsort(s->list.items, s->list.len, sizeof(*s->list.items), by_flow);
	for (size_t i = 0; i < s->list.len; i++) {
		struct seen_row *last = n ? &s->list.items[n - 1] : NULL, *r = &s->list.items[i];
		if (!last || by_flow(last, r)) {
			s->list.items[n++] = *r;
			continue;
		}
		last->answered |= r->answered;
		last->live = r->live > last->live ? r->live : last->live;
		last->first_ms = r->first_ms > last->first_ms ? r->first_ms : last->first_ms;
		last->last_ms = r->last_ms < last->last_ms ? r->last_ms : last->last_ms;
	}
	s->list.len = n;
}

static int has_observer(const struct dirent *e)
{
	return e->d_type == DT_DIR && e->d_name[0] != '.';
}

int seen_collect(struct seen_all *out, const char *cluster)
{
	struct dirent **names = NULL;
	char run[CLUSTER_PATH];
	int r = 0;

	*out = (struct seen_all){0};
	cluster_path(run, cluster, "");
	int n = scandir(run, &names, has_observer, alphasort);
	for (int i = 0; i < n; i++) {
		AUTO_BUF socket = {0};
		buf_printf(&socket, "%s%s/observer.sock", run, names[i]->d_name);
		if (!r && socket.p && !access(socket.p, F_OK))
			r = take_node(out, cluster, names[i]->d_name);
		free(names[i]);
	}
	free(names);
	if (!r && !out->nodes) {
		cli_error("is it running? `weft doctor` helps", "no node of cluster \"%s\" answers", cluster);
		r = -1;
	}
	join(out);
	if (r)
		seen_fini(out);
	return r;
}

void seen_fini(struct seen_all *s)
{
	vec_free(&s->list);
}
