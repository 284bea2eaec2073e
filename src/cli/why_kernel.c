/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a node's kernel has of a Service, read from its pinned BPF maps, for `weft why` where the node's agent
 * is away or its plan is refused: then objects and kernel may differ, and nobody else can tell. Reads only;
 * says nothing where it may not read.
 */
#include "base/own.h"
#include "cli/cluster.h"
#include "cli/output.h"
#include "cli/why.h"
#include "seam/service.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <dirent.h>
#include <stdio.h>
#include <sys/stat.h>

enum { BACKENDS_MAX = 65536 };

struct pinned {
	int service, backend;
};

static int is_shown(const struct dirent *e)
{
	return e->d_name[0] != '.';
}

static int open_in(const char *folder, const char *map)
{
	AUTO_BUF path = {0};

	buf_printf(&path, "%s/%s", folder, map);
	return path.failed ? -1 : bpf_obj_get(path.p);
}

/* The newest folder of pins: an upgrade may have left another beside it. */
static bool open_pins(const char *cluster, const char *node, struct pinned *out)
{
	char path[CLUSTER_PATH];
	struct dirent **found = NULL;
	AUTO_BUF best = {0};
	int64_t newest = -1;
	struct stat st;

	cluster_path(path, cluster, "bpf");
	AUTO_BUF base = {0};
	buf_printf(&base, "%s/%s", path, node);
	int n = base.failed ? -1 : scandir(base.p, &found, is_shown, alphasort);
	for (int i = 0; i < n; i++) {
		AUTO_BUF folder = {0};
		buf_printf(&folder, "%s/%s", base.p, found[i]->d_name);
		if (!folder.failed && !stat(folder.p, &st) && S_ISDIR(st.st_mode) && st.st_mtime > newest) {
			newest = st.st_mtime;
			buf_clear(&best);
			buf_adds(&best, buf_str(&folder));
		}
		free(found[i]);
	}
	free(found);
	if (!best.n || best.failed)
		return false;
	out->service = open_in(best.p, "service");
	out->backend = open_in(best.p, "backend");
	return out->service >= 0 && out->backend >= 0;
}

static void end_text(struct buf *b, const struct backend_value *v)
{
	char text[ADDR_TEXT];
	struct addr a;

	memcpy(&a, &v->addr, sizeof(a));
	addr_print(&a, text);
	buf_printf(b, strchr(text, ':') ? "[%s]:%u" : "%s:%u", text, ntohs(v->port));
}

static void read_list(const struct pinned *p, uint32_t list, uint32_t count, json_t *out)
{
	for (uint32_t i = 0; i < count && i < BACKENDS_MAX; i++) {
		struct backend_key k = {.list = list, .slot = i};
		struct backend_value v;
		AUTO_BUF b = {0};

		if (bpf_map_lookup_elem(p->backend, &k, &v))
			continue;
		end_text(&b, &v);
		/* A Maglev table has each backend many times. */
		json_object_set_new(out, b.p ? b.p : "", json_true());
	}
}

/* The backends as members of an object; NULL: it cannot be read. */
static json_t *backends(const char *cluster, const char *node, const struct why_question *q, bool *known)
{
	struct service_key k = {.port = htons(q->port), .proto = q->proto};
	struct pinned p = {-1, -1};
	struct service_value v;
	json_t *out = NULL;

	memcpy(&k.addr, &q->dst, sizeof(k.addr));
	if (open_pins(cluster, node, &p)) {
		out = json_object();
		*known = !bpf_map_lookup_elem(p.service, &k, &v);
		if (*known)
			read_list(&p, q->outside ? v.out_list : v.list, q->outside ? v.out_count : v.count,
				  out);
	}
	if (p.service >= 0)
		close(p.service);
	if (p.backend >= 0)
		close(p.backend);
	return out;
}

bool why_kernel_add(json_t *answer, const char *cluster, const struct why_question *q)
{
	const char *node = json_string_value(json_object_get(answer, "node")), *key;
	json_t *flow, *v;
	bool known = false;
	size_t i;

	if (!node || !json_object_get(answer, "translation"))
		return false;
	AUTO_JSON has = backends(cluster, node, q, &known);
	if (!has)
		return false;
	AUTO_JSON missing = json_array();
	AUTO_JSON stale = json_array();
	json_array_foreach (json_object_get(answer, "flows"), i, flow) {
		const char *a = json_string_value(json_object_get(flow, "address")) ?: "";
		AUTO_BUF b = {0};

		buf_printf(&b, strchr(a, ':') ? "[%s]:%lld" : "%s:%lld", a,
			   (long long)json_integer_value(json_object_get(flow, "port")));
		if (json_object_get(has, b.p ? b.p : ""))
			json_object_del(has, b.p);
		else
			json_array_append_new(missing, json_string(b.p ? b.p : ""));
	}
	json_object_foreach (has, key, v)
		json_array_append_new(stale, json_string(key));
	bool differs = !known || json_array_size(missing) || json_array_size(stale);
	json_object_set_new(
	    answer, "kernel",
	    json_pack("{s:s,s:b,s:O,s:O}", "node", node, "known", known, "missing", missing, "stale", stale));
	return differs;
}
