/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is wrong in the clusters that run here, as doc/when-things-go-wrong.md has it: agents that are away,
 * plans that are not in force, translations that found no port. Asks their sockets, changes nothing, and
 * never says that this machine cannot run a cluster.
 */
#include "cli/doctor.h"

#include "base/own.h"
#include "cli/agent_socket.h"
#include "cli/cluster.h"
#include "cli/output.h"
#include "cli/why.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { COPIER_US = 1000000 };

static int is_folder(const struct dirent *e)
{
	return e->d_name[0] != '.' && e->d_type == DT_DIR;
}

static void say(struct buf *found, unsigned *n, const char *cluster, const char *node, struct str text)
{
	buf_printf(found, "%scluster %s, %s: " STR_FMT, (*n)++ ? "; " : "", cluster, node, STR_ARG(text));
}

/* Packets that found no port to be translated to, ever since the node began. */
static json_int_t without_port(const char *cluster, const char *node)
{
	char path[CLUSTER_PATH], file[CLUSTER_PATH / 2];
	AUTO_BUF text = {0};
	json_int_t n = 0;
	const json_t *d;
	size_t i;

	if (snprintf(file, sizeof(file), "%s/observer.sock", node) >= (int)sizeof(file))
		return 0;
	cluster_path(path, cluster, file);
	if (http_ask(path, "/drops", NULL, &text) != 200)
		return 0;
	AUTO_JSON all = json_loadb(text.p ? text.p : "", text.n, 0, NULL);
	json_array_foreach (json_object_get(all, "drops"), i, d)
		if (!strcmp(json_string_value(json_object_get(d, "reason")) ?: "", "snat-ports"))
			n += json_integer_value(json_object_get(d, "packets"));
	return n;
}

/* The agent's word on the packet broker (owned), or NULL: no map was ever in force there. */
static json_t *ask_broker(const char *cluster, const char *node)
{
	AUTO_JSON status = agent_status(cluster, node);

	return json_incref(json_object_get(status, "taps"));
}

/* Maps and tools that are not in force as their objects say. */
static void say_broker(struct buf *found, unsigned *n, const char *cluster, const char *node)
{
	AUTO_JSON taps = ask_broker(cluster, node);

	if (json_is_false(json_object_get(taps, "copier"))) { /* it may be that maps change just now */
		usleep(COPIER_US);
		json_decref(taps);
		taps = ask_broker(cluster, node);
	}
	struct str wrong = str_of(json_string_value(json_object_get(taps, "wrong"))),
		   missing = str_of(json_string_value(json_object_get(taps, "missing")));
	AUTO_BUF b = {0};

	missing = str_cut(&missing, '\n');
	if (wrong.n)
		buf_printf(&b, "packet broker: " STR_FMT " (weft check; weft get trafficmaps)",
			   STR_ARG(wrong));
	else if (missing.n)
		buf_printf(&b, "packet broker: " STR_FMT, STR_ARG(missing));
	else if (json_is_false(json_object_get(taps, "copier")))
		buf_addz(&b, "packet broker: weft-copier has not taken the newest maps");
	if (b.n && !b.failed)
		say(found, n, cluster, node, buf_str(&b));
}

static void ask_node(struct buf *found, unsigned *n, const char *cluster, const char *node)
{
	AUTO_JSON trouble = why_trouble(cluster, node);
	const char *text = json_string_value(json_object_get(trouble, "text")), *end;
	json_int_t packets = without_port(cluster, node);
	AUTO_BUF b = {0};

	if (text) {
		end = strstr(text, ". ");
		say(found, n, cluster, node, (struct str){text, end ? (size_t)(end - text) : strlen(text)});
	}
	say_broker(found, n, cluster, node);
	buf_printf(&b, "%lld packets found no port to be translated to (weft drops)", (long long)packets);
	if (packets && !b.failed)
		say(found, n, cluster, node, buf_str(&b));
}

static void ask_nodes(struct buf *found, unsigned *n, const char *cluster)
{
	char path[CLUSTER_PATH], file[CLUSTER_PATH / 2];
	struct dirent **list;

	cluster_path(path, cluster, "");
	int len = scandir(path, &list, is_folder, alphasort);
	for (int i = 0; i < len; i++) {
		int size = snprintf(file, sizeof(file), "%s/agent.sock", list[i]->d_name);
		cluster_path(path, cluster, file);
		if (size < (int)sizeof(file) && !access(path, F_OK))
			ask_node(found, n, cluster, list[i]->d_name);
		free(list[i]);
	}
	if (len >= 0)
		free(list);
}

enum finding doctor_clusters(struct buf *found)
{
	struct dirent **list;
	unsigned troubles = 0, running = 0;
	int len = scandir(CLUSTER_RUN, &list, is_folder, alphasort);

	for (int i = 0; i < len; i++) {
		if (cluster_name(list[i]->d_name) && cluster_is_up(list[i]->d_name)) {
			running++;
			if (!geteuid())
				ask_nodes(found, &troubles, list[i]->d_name);
		}
		free(list[i]);
	}
	if (len >= 0)
		free(list);
	if (troubles)
		return FOUND_TROUBLE;
	if (running)
		buf_printf(found, "%u running%s", running,
			   geteuid() ? "; without root they are not asked" : ", no trouble seen");
	else
		buf_addz(found, "none runs");
	return running && geteuid() ? FOUND_UNKNOWN : FOUND_OK;
}
