/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `weft maps`: the BPF maps that each node has pinned: what they are, how full, how large. Reads only;
 * sentences come from tables/maps.def.
 */
#include "base/own.h"
#include "cli/agent_socket.h"
#include "cli/cluster.h"
#include "cli/command.h"
#include "cli/names.h"
#include "cli/output.h"

#include <bpf/bpf.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>

static const struct {
	const char *name, *type, *writer, *sentence;
} known[] = {
#define BPF_MAP(id, type, key, value, entries, flags, writer, sentence) {#id, #type, #writer, sentence},
#include "tables/maps.def"
#undef BPF_MAP
};

struct map_facts {
	const char *name, *type, *sentence;
	struct bpf_map_info info;
	int64_t memory; /* bytes charged by the kernel */
	int64_t used;	/* -1: an array or a ring has no count */
};

/* Bytes that the kernel charges for a BPF map; -1 when the descriptor is no map (programs and links are
 * pinned too). */
static int64_t charged_memory(int fd)
{
	char path[64], line[128];
	unsigned long long bytes = 0;
	bool is_map = false;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	FILE *f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f)) {
		is_map |= !strncmp(line, "map_type:", 9);
		(void)sscanf(line, "memlock: %llu", &bytes);
	}
	if (f)
		fclose(f);
	return is_map ? (int64_t)bytes : -1;
}

static int64_t count_keys(int fd, const struct bpf_map_info *info)
{
	bool counted = info->type == BPF_MAP_TYPE_HASH || info->type == BPF_MAP_TYPE_LRU_HASH ||
		       info->type == BPF_MAP_TYPE_PERCPU_HASH || info->type == BPF_MAP_TYPE_LRU_PERCPU_HASH ||
		       info->type == BPF_MAP_TYPE_LPM_TRIE;
	AUTO_MEM void *key = malloc(info->key_size ? info->key_size : 1);
	void *before = NULL;
	int64_t n = 0;

	if (!counted || !key)
		return -1;
	/* A table that changes meanwhile may be counted twice over; more than fits ends the walk. */
	while (n <= info->max_entries && !bpf_map_get_next_key(fd, before, key)) {
		before = key;
		n++;
	}
	return n;
}

static int read_map(const char *path, const char *name, struct map_facts *out)
{
	AUTO_FD int fd = bpf_obj_get(path);
	uint32_t len = sizeof(out->info);

	if (fd < 0 || (out->memory = charged_memory(fd)) < 0 || bpf_obj_get_info_by_fd(fd, &out->info, &len))
		return -1;
	out->name = name;
	out->type = out->info.type == BPF_MAP_TYPE_RINGBUF ? "RINGBUF" : "?";
	out->sentence = "";
	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (!strcmp(known[i].name, name)) {
			out->type = known[i].type;
			out->sentence = known[i].sentence;
		}
	out->used = count_keys(fd, &out->info);
	return 0;
}

static void show_size(struct table *t, int64_t bytes)
{
	if (bytes >= 10 << 20)
		table_cellf(t, "%llu MiB", (unsigned long long)bytes >> 20);
	else
		table_cellf(t, "%llu KiB", ((unsigned long long)bytes + 1023) >> 10);
}

static void add_row(struct table *t, bool wide, const char *node, const struct map_facts *m)
{
	table_cell(t, node);
	table_cell(t, m->name);
	table_cell(t, m->type);
	if (m->used < 0)
		table_cell(t, "–");
	else
		table_cellf(t, "%lld", (long long)m->used);
	table_cellf(t, "%u", m->info.max_entries);
	AUTO_BUF fill = {0};
	if (m->used >= 0 && m->info.max_entries)
		buf_printf(&fill, "%lld%%", (long long)(m->used * 100 / m->info.max_entries));
	table_cell_styled(t, m->used * 10 >= (int64_t)m->info.max_entries * 9 ? STYLE_RED : STYLE_PLAIN,
			  fill.p ? fill.p : "–");
	show_size(t, m->memory);
	if (wide)
		table_cell(t, m->sentence);
}

static void add_json(json_t *list, const char *node, const struct map_facts *m)
{
	json_t *v = json_pack("{s:s,s:s,s:s,s:I,s:I,s:I,s:I,s:s}", "node", node, "map", m->name, "type",
			      m->type, "capacity", (json_int_t)m->info.max_entries, "keyBytes",
			      (json_int_t)m->info.key_size, "valueBytes", (json_int_t)m->info.value_size,
			      "memoryBytes", (json_int_t)m->memory, "sentence", m->sentence);

	if (m->used >= 0)
		json_object_set_new(v, "used", json_integer(m->used));
	json_array_append_new(list, v);
}

static int is_shown(const struct dirent *e)
{
	return e->d_name[0] != '.';
}

/* The maps pinned in bpf/NODE/ and in the folders below it (one per layout), in name order. */
static size_t show_folder(const char *folder, const char *node, bool wide, struct table *t, json_t *list,
			  int depth)
{
	struct dirent **found = NULL;
	int n = scandir(folder, &found, is_shown, alphasort);
	size_t shown = 0;

	for (int i = 0; i < n; i++) {
		struct map_facts m = {0};
		AUTO_BUF path = {0};
		buf_printf(&path, "%s/%s", folder, found[i]->d_name);
		if (path.failed)
			;
		else if (found[i]->d_type == DT_DIR && depth)
			shown += show_folder(path.p, node, wide, t, list, depth - 1);
		else if (!read_map(path.p, found[i]->d_name, &m)) {
			add_row(t, wide, node, &m);
			add_json(list, node, &m);
			shown++;
		}
		free(found[i]);
	}
	free(found);
	return shown;
}

static size_t show_nodes(const struct options_maps *o, const char *name, struct table *t, json_t *list)
{
	char path[CLUSTER_PATH];
	struct dirent **found = NULL;
	size_t shown = 0;

	cluster_path(path, name, "bpf");
	int n = scandir(path, &found, is_shown, alphasort);
	for (int i = 0; i < n; i++) {
		AUTO_BUF folder = {0};
		buf_printf(&folder, "%s/%s", path, found[i]->d_name);
		if (!folder.failed && (!o->node || !strcmp(o->node, found[i]->d_name)))
			shown += show_folder(folder.p, found[i]->d_name,
					     o->output && !strcmp(o->output, "wide"), t, list, 2);
		free(found[i]);
	}
	free(found);
	return shown;
}

/* What a node refuses, because it does not fit or for another reason, stands below its numbers. */
static void show_alarms(const struct options_maps *o, const char *name)
{
	char path[CLUSTER_PATH];
	struct dirent **found = NULL;

	cluster_path(path, name, "bpf");
	int n = scandir(path, &found, is_shown, alphasort);
	for (int i = 0; i < n; i++) {
		AUTO_BUF alarm = {0};

		if (found[i]->d_type == DT_DIR && (!o->node || !strcmp(o->node, found[i]->d_name)) &&
		    !agent_alarm(name, found[i]->d_name, &alarm) && alarm.n)
			printf("\n%s%s: %.*s%s\n", output_style(STYLE_RED), found[i]->d_name, (int)alarm.n,
			       alarm.p, output_style(STYLE_PLAIN));
		free(found[i]);
	}
	free(found);
}

static void tell_none(const struct options_maps *o, const char *name)
{
	AUTO_BUF hint = {0};

	if (o->node)
		names_hint_node(&hint, name, o->node);
	cli_error(hint.p, "no BPF maps are pinned%s%s", o->node ? " by node " : "",
		  o->node ? o->node : " by this cluster");
}

int cmd_maps(const struct options_maps *o)
{
	static const char *const wide[] = {"NODE", "MAP",    "TYPE",  "USED", "CAPACITY",
					   "FILL", "MEMORY", "HOLDS", NULL};
	static const char *const narrow[] = {"NODE",	 "MAP",	 "TYPE",   "USED",
					     "CAPACITY", "FILL", "MEMORY", NULL};
	bool is_wide = o->output && !strcmp(o->output, "wide");
	const char *name = cluster_name(o->name);
	AUTO_JSON list = json_array();
	AUTO_TABLE t = {0};

	if (!name)
		return EXIT_USAGE;
	if (!cluster_need(name))
		return EXIT_FAILED;
	table_init(&t, is_wide ? wide : narrow);
	if (!show_nodes(o, name, &t, list)) {
		if (geteuid())
			cli_error("run it with sudo", "only root can read BPF maps");
		else
			tell_none(o, name);
		return EXIT_FAILED;
	}
	if (o->output && !is_wide)
		output_value(list, o->output);
	else {
		table_print(&t);
		show_alarms(o, name);
	}
	return EXIT_OK;
}
