/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `weft extcap`: what Wireshark asks of a program that captures for it (extcap(4)), and `weft capture` into
 * the pipe that it names. Each running cluster is an interface, and each node's part of a Tool's ring.
 * Captures nothing itself; what it prints on stdout is read by Wireshark, what it has to tell goes to stderr.
 */
#include <dirent.h>
#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/own.h"
#include "base/remark.h"
#include "base/vec.h"
#include "cli/cluster.h"
#include "cli/command.h"
#include "cli/output.h"
#include "filter/filter.h"

#define API    "/apis/weft.network/v1alpha1"
#define PREFIX "weft-"
#define LINK   "weft-extcap"

/* One interface; its name is PREFIX CLUSTER, or PREFIX CLUSTER.TOOL.NODE of a ring. */
struct place {
	char cluster[CLUSTER_NAME_MAX + 1];
	char *tool, *node; /* of a ring; owned */
};
typedef VEC(struct place) place_list;

static void places_fini(place_list *all)
{
	VEC_EACH (all, p) {
		free(p->tool);
		free(p->node);
	}
	vec_free(all);
}

static void place_print(struct buf *out, const struct place *p)
{
	buf_printf(out, PREFIX "%s", p->cluster);
	if (p->tool)
		buf_printf(out, ".%s.%s", p->tool, p->node);
}

/* --- which there are -------------------------------------------------------------------------------------
 */

/* A list of the hub, or NULL: an interface that cannot be listed is none, and Wireshark would show errors. */
static json_t *list(const char *cluster, const char *url)
{
	char socket_path[CLUSTER_PATH];
	AUTO_BUF answer = {0};

	cluster_path(socket_path, cluster, "hub.sock");
	if (http_ask(socket_path, url, NULL, &answer) != 200)
		return NULL;
	return json_loadb(answer.p ? answer.p : "", answer.n, 0, NULL);
}

static const char *name_of(const json_t *item)
{
	return json_string_value(json_object_get(json_object_get(item, "metadata"), "name"));
}

static int add(place_list *all, const char *cluster, const char *tool, const char *node)
{
	struct place p = {.tool = tool ? strdup(tool) : NULL, .node = node ? strdup(node) : NULL};

	snprintf(p.cluster, sizeof(p.cluster), "%s", cluster);
	if ((tool && (!p.tool || !p.node)) || vec_push(all, p)) {
		free(p.tool);
		free(p.node);
		return -ENOMEM;
	}
	return 0;
}

/* Each node has its part of a Tool's ring. */
static int add_rings(place_list *all, const char *cluster)
{
	AUTO_JSON tools = list(cluster, API "/tools");
	AUTO_JSON nodes = list(cluster, "/api/v1/nodes");
	size_t i, k;
	json_t *tool, *node;

	json_array_foreach (json_object_get(tools, "items"), i, tool) {
		if (!name_of(tool) || !json_object_get(json_object_get(tool, "spec"), "ring"))
			continue;
		json_array_foreach (json_object_get(nodes, "items"), k, node)
			if (name_of(node) && add(all, cluster, name_of(tool), name_of(node)))
				return -ENOMEM;
	}
	return 0;
}

static int is_folder(const struct dirent *e)
{
	return e->d_name[0] != '.' && e->d_type == DT_DIR && strlen(e->d_name) <= CLUSTER_NAME_MAX;
}

static int find_places(place_list *all)
{
	struct dirent **found;
	int n = scandir(CLUSTER_RUN, &found, is_folder, alphasort), r = 0;

	for (int i = 0; i < n; i++) {
		if (!r && cluster_is_up(found[i]->d_name)) {
			r = add(all, found[i]->d_name, NULL, NULL);
			if (!r)
				r = add_rings(all, found[i]->d_name);
		}
		free(found[i]);
	}
	if (n >= 0)
		free(found);
	return r;
}

static int unknown_place(const char *name)
{
	cli_error("weft extcap --extcap-interfaces lists them", "there is no interface \"%s\"", name);
	return -1;
}

/* The place of that name; all holds its texts. A cluster that does not run is found, too. 0 or -1 (told). */
static int find_place(place_list *all, const char *name, struct place *out)
{
	struct str rest = str_of(name), cluster;

	if (!str_starts(rest, STR(PREFIX)))
		return unknown_place(name);
	rest.p += sizeof(PREFIX) - 1;
	rest.n -= sizeof(PREFIX) - 1;
	cluster = str_cut(&rest, '.');
	if (!cluster.n || cluster.n > CLUSTER_NAME_MAX)
		return unknown_place(name);
	*out = (struct place){0};
	memcpy(out->cluster, cluster.p, cluster.n);
	if (!cluster_name(out->cluster))
		return -1;
	if (!strchr(name, '.'))
		return 0;
	if (add_rings(all, out->cluster)) {
		cli_error(NULL, "out of memory");
		return -1;
	}
	VEC_EACH (all, p) {
		AUTO_BUF is = {0};

		place_print(&is, p);
		if (str_eqz(buf_str(&is), name)) {
			*out = *p;
			return 0;
		}
	}
	return unknown_place(name);
}

static int print_interfaces(void)
{
	AUTO(places_fini) place_list all = {0};

	if (find_places(&all)) {
		cli_error(NULL, "out of memory");
		return EXIT_FAILED;
	}
	printf("extcap {version=" WEFT_VERSION "}{display=Weft}\n");
	VEC_EACH (&all, p) {
		AUTO_BUF name = {0};

		place_print(&name, p);
		printf("interface {value=%s}{display=Weft cluster %s", name.p, p->cluster);
		if (p->tool)
			printf(": what Tool %s has kept on %s", p->tool, p->node);
		printf("}\n");
	}
	return EXIT_OK;
}

/* --- what may be asked of one ----------------------------------------------------------------------------
 */

/* Of packets that come. In texts no '{', '}': they end a value. */
static const char live_config[] =
    "arg {number=0}{call=--filter}{display=Filter}{type=string}{tooltip=What a packet has, as in "
    "doc/filters.md: tcp "
    "&& port == 7070; or a pcap expression}\n"
    "arg {number=1}{call=--from}{display=Where}{type=string}{tooltip=Where packets are seen: pods/app=web, "
    "ns/shop, "
    "svc/shop/cart, node/node-1, node-1:eth1; several with blanks between; empty: all pods}\n"
    "arg {number=2}{call=--direction}{display=Direction}{type=selector}{tooltip=As the place sees it}\n"
    "value {arg=2}{value=both}{display=In and out}{default=true}\n"
    "value {arg=2}{value=in}{display=In}{default=false}\n"
    "value {arg=2}{value=out}{display=Out}{default=false}\n"
    "arg {number=3}{call=--packets}{display=Packets}{type=selector}{tooltip=By what became of them}\n"
    "value {arg=3}{value=all}{display=All}{default=true}\n"
    "value {arg=3}{value=forwarded}{display=Forwarded}{default=false}\n"
    "value {arg=3}{value=dropped}{display=Dropped}{default=false}\n"
    "arg {number=4}{call=--snap}{display=Bytes of each "
    "packet}{type=integer}{range=0,65535}{default=0}{tooltip=At "
    "least 14; 0: all}\n"
    "arg {number=5}{call=--seconds}{display=Seconds}{type=integer}{range=0,86000}{default=0}{tooltip=Ends "
    "after so "
    "many; 0: after an hour}\n";
static const char ring_config[] = "arg {number=0}{call=--filter}{display=Filter}{type=string}{tooltip=What a "
				  "packet has, as in doc/filters.md: tcp "
				  "&& port == 7070; or a pcap expression}\n"
				  "arg {number=1}{call=--last}{display=Time "
				  "back}{type=string}{default=60s}{tooltip=How much of what was kept: 60s, "
				  "5m, 1h}\n";

/* Wireshark takes what stands on stdout for what is wrong with the filter. */
static int check_filter(const char *text)
{
	AUTO(remarks_fini) struct remarks remarks = {0};
	struct filter *f = NULL;
	AUTO_BUF why = {0};
	int r = filter_parse(&f, str_of(text), (struct pos){0}, &remarks);

	if (r == -EINVAL && remarks.list.len)
		printf("%s\n", remarks.list.items[0].text);
	else if (r)
		printf("%s\n", strerror(-r));
	else if (filter_uses(f, FILTER_BYTES, &why))
		printf("%s\n", why.p ? why.p : "it cannot be asked of packets");
	filter_unref(&f);
	return EXIT_OK;
}

/* --- capture ---------------------------------------------------------------------------------------------
 */

static bool is_given(const char *text)
{
	return text && *text;
}

/* Appends it in the native syntax, in which two can be one. 0 or -1 (told). */
static int add_native(struct buf *out, const char *text)
{
	AUTO(remarks_fini) struct remarks remarks = {0};
	AUTO(filter_unref) struct filter *f = NULL;
	AUTO_BUF why = {0};

	if (filter_parse(&f, str_of(text), (struct pos){0}, &remarks)) {
		remarks_print(stderr, &remarks, false);
		return -1;
	}
	buf_addz(out, out->n ? " && (" : "(");
	if (!filter_is_pcap(f))
		filter_print(f, out);
	else if (filter_print_other(f, out, &why)) {
		cli_error("leave one of the two filters out, or write it as doc/filters.md says", "%s: %s",
			  text, why.p ? why.p : "it has no native form");
		return -1;
	}
	buf_addz(out, ")");
	return 0;
}

/* The filter of the interface's options and that of Wireshark's own field: both hold. 0 or -1 (told). */
static int make_filter(struct buf *out, const char *one, const char *two)
{
	if (is_given(one) && is_given(two))
		return add_native(out, one) || add_native(out, two) ? -1 : 0;
	buf_addz(out, is_given(one) ? one : two ?: "");
	return 0;
}

static int add_from(struct option_list *from, char *text)
{
	for (char *at = NULL, *one = strtok_r(text, " \t", &at); one; one = strtok_r(NULL, " \t", &at)) {
		if (from->n == ARRAY_LEN(from->items)) {
			cli_error(NULL, "--from names %zu places at most", from->n);
			return -1;
		}
		from->items[from->n++] = one;
	}
	return 0;
}

static int capture(const struct options_extcap *o)
{
	AUTO(places_fini) place_list all = {0};
	AUTO_MEM char *from = strdup(is_given(o->from) ? o->from : "");
	AUTO_BUF filter = {0};
	struct place p;

	if (!is_given(o->fifo)) {
		cli_error("weft capture does it without Wireshark", "--capture needs --fifo PATH");
		return EXIT_USAGE;
	}
	if (find_place(&all, o->interface, &p))
		return EXIT_FAILED;
	if (make_filter(&filter, o->filter, o->capture_filter))
		return EXIT_USAGE;
	const char *args[] = {filter.p};
	struct options_capture c = {
	    .write = o->fifo,
	    .name = p.cluster,
	    .seconds = o->seconds,
	    .snap = o->snap,
	    .direction = is_given(o->direction) ? o->direction : NULL,
	    .dropped = o->packets && !strcmp(o->packets, "dropped"),
	    .forwarded = o->packets && !strcmp(o->packets, "forwarded"),
	    .args = args,
	    .n_args = filter.n != 0,
	};

	if (!from || filter.failed) {
		cli_error(NULL, "out of memory");
		return EXIT_FAILED;
	}
	if (add_from(&c.from, from))
		return EXIT_USAGE;
	if (p.tool) {
		c.last = is_given(o->last) ? o->last : "60s";
		c.ring = p.tool;
		c.nodes = (struct option_list){.items = {p.node}, .n = 1};
	}
	return cmd_capture(&c);
}

/* --- where Wireshark looks -------------------------------------------------------------------------------
 */

static int install_into(const char *folder)
{
	char program[4096];
	ssize_t n = readlink("/proc/self/exe", program, sizeof(program) - 1);
	AUTO_BUF link = {0};
	struct stat st;

	if (n < 0) {
		cli_error(NULL, "/proc/self/exe: %s", strerror(errno));
		return EXIT_FAILED;
	}
	program[n] = 0;
	buf_printf(&link, "%s/" LINK, folder);
	if (link.failed)
		return EXIT_FAILED;
	if (!lstat(link.p, &st) && !S_ISLNK(st.st_mode)) {
		cli_error("take it away, or name another folder", "%s is there, and no symbolic link",
			  link.p);
		return EXIT_FAILED;
	}
	if ((unlink(link.p) && errno != ENOENT) || symlink(program, link.p)) {
		cli_error(errno == EACCES   ? "run it with sudo"
			  : errno == ENOENT ? "make the folder first"
					    : NULL,
			  "%s: %s", link.p, strerror(errno));
		return EXIT_FAILED;
	}
	printf("%s -> %s\n", link.p, program);
	return EXIT_OK;
}

static int install(const char *folder)
{
	glob_t found = {0};
	int r = EXIT_FAILED;

	if (*folder)
		return install_into(folder);
	if (!glob("/usr/lib/*/wireshark/extcap", GLOB_ONLYDIR, NULL, &found) && found.gl_pathc == 1)
		r = install_into(found.gl_pathv[0]);
	else
		cli_error("say where: weft extcap --install=DIR; `tshark -G folders` has it as Extcap path",
			  "found no folder /usr/lib/*/wireshark/extcap");
	globfree(&found);
	return r;
}

int cmd_extcap(const struct options_extcap *o)
{
	AUTO(places_fini) place_list all = {0};
	struct place p;

	if (o->install)
		return install(o->install);
	if (o->interfaces)
		return print_interfaces();
	if (!o->interface && o->version && !o->dlts && !o->config && !o->capture) {
		printf("extcap {version=" WEFT_VERSION "}{display=Weft}\n");
		return EXIT_OK;
	}
	if (!o->interface) {
		cli_error(
		    "Wireshark calls this; `weft extcap --install` tells it where it is",
		    "extcap needs --extcap-interfaces, or --extcap-interface NAME and what is asked of it");
		return EXIT_USAGE;
	}
	if (o->capture)
		return capture(o);
	if (find_place(&all, o->interface, &p))
		return EXIT_FAILED;
	if (o->dlts)
		printf("dlt {number=1}{name=EN10MB}{display=Ethernet}\n");
	else if (o->config)
		fputs(p.tool ? ring_config : live_config, stdout);
	else if (o->capture_filter)
		return check_filter(o->capture_filter);
	else {
		cli_error(NULL, "extcap needs one of --extcap-dlts, --extcap-config, --capture, "
				"--extcap-capture-filter");
		return EXIT_USAGE;
	}
	return EXIT_OK;
}
