/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `weft capture`: makes a Capture, reads its packets from every node until it is enough, and takes it away
 * again. With
 * --last what a Tool's ring has kept in place of what comes. Holds no packets but those that wait to be
 * merged.
 */
#include "cli/capture.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/own.h"
#include "cli/broker_door.h"
#include "cli/cluster.h"
#include "cli/command.h"
#include "cli/output.h"
#include "cli/when.h"

#define API "/apis/weft.network/v1alpha1"
enum { DELAY_MS = 300, BEGIN_MS = 3000, END_MS = 2000, TURN_MS = 50, NODES_MAX = 1024 };

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
	(void)number;
	interrupted = 1;
}

/* The first asks to end, and the second ends. */
static void catch_signals(void)
{
	struct sigaction end = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};
	struct sigaction ignore = {.sa_handler = SIG_IGN};

	sigaction(SIGINT, &end, NULL);
	sigaction(SIGTERM, &end, NULL);
	sigaction(SIGHUP, &end, NULL);
	sigaction(SIGPIPE, &ignore, NULL);
}

struct capture {
	const struct options_capture *o;
	const char *cluster;
	char socket_path[CLUSTER_PATH];
	bool of_host; /* it is that of this host's broker */
	struct filter *filter;
	char name[254]; /* of the Capture; "": none was made */
	char path[320];
	char query[64];
	int64_t last_ns;
	struct capture_show show;
	struct capture_streams streams;
	VEC(const char *) nodes;
	json_t *node_list; /* owns their names */
};

/* --- what is asked for -----------------------------------------------------------------------------------
 */

static int read_filter(struct capture *c)
{
	AUTO(remarks_fini) struct remarks remarks = {0};
	const char *text = c->o->n_args ? c->o->args[0] : NULL;
	AUTO_BUF why = {0};

	if (!text)
		return 0;
	int r = filter_parse(&c->filter, str_of(text), (struct pos){0}, &remarks);

	if (r) {
		remarks_print(stderr, &remarks, isatty(STDERR_FILENO));
		if (r != -EINVAL)
			cli_error(NULL, "the filter: %s", strerror(-r));
		return -1;
	}
	if (filter_uses(c->filter, FILTER_BYTES, &why)) {
		cli_error("a packet has addresses, ports and headers; say by --from whose packets are to be "
			  "seen: --from "
			  "pods/app=web, svc/shop/cart, node/node-1",
			  "the filter: %s", why.p ? why.p : "it cannot be asked of packets");
		return -1;
	}
	return 0;
}

static int bad_from(const char *text)
{
	cli_error(
	    "pods/app=web,tier=front, pods/*, ns/shop, svc/shop/cart, node/node-1, node/*, or node-1:eth1; "
	    "--interface eth1 is that of every node",
	    "--from says where packets are seen, not \"%s\"", text);
	return -1;
}

/* "app=web,tier=front,new" as a label selector. NULL: it is none. */
static json_t *selector(struct str text)
{
	json_t *labels = json_object(), *more = json_array();

	while (text.n) {
		struct str value = str_cut(&text, ','), key = str_trim(str_cut(&value, '='));
		bool has = value.p && value.p > key.p + key.n;

		if (!key.n || (value.n && *value.p == '=')) {
			json_decref(labels);
			json_decref(more);
			return NULL;
		}
		AUTO_BUF k = {0};

		buf_adds(&k, key);
		if (has && value.n)
			json_object_set_new(labels, k.p, json_stringn(value.p, value.n));
		else
			json_array_append_new(more, json_pack("{s:s,s:s}", "key", k.p, "operator", "Exists"));
	}
	json_t *v = json_pack("{s:o}", "matchLabels", labels);

	if (json_array_size(more))
		json_object_set(v, "matchExpressions", more);
	json_decref(more);
	return v;
}

static json_t *label_is(const char *key, struct str value)
{
	return json_pack("{s:{s:s%}}", "matchLabels", key, value.p, value.n);
}

/* One --from as a source of a TrafficMap. NULL (told). */
static json_t *source(const char *text)
{
	struct str rest = str_of(text), kind = str_cut(&rest, '/');
	bool all = str_eqz(rest, "*");
	json_t *inner = NULL;

	if (!strchr(text, '/')) {
		struct str iface = str_of(text), node = str_cut(&iface, ':');

		if (node.n && iface.n)
			return json_pack("{s:{s:s%,s:s%}}", "interface", "node", node.p, node.n, "name",
					 iface.p, iface.n);
	} else if (rest.n && (str_eqz(kind, "pods") || str_eqz(kind, "pod"))) {
		inner = all ? json_object() : selector(rest);
		if (inner)
			return all ? json_pack("{s:o}", "pods", inner)
				   : json_pack("{s:{s:o}}", "pods", "podSelector", inner);
	} else if (rest.n && str_eqz(kind, "ns")) {
		return json_pack("{s:{s:o}}", "pods", "namespaceSelector",
				 label_is("kubernetes.io/metadata.name", rest));
	} else if (rest.n && str_eqz(kind, "svc")) {
		struct str name = rest, ns = str_cut(&name, '/');

		if (!name.n) {
			name = ns;
			ns = STR("default");
		}
		return json_pack("{s:{s:s%,s:s%}}", "service", "namespace", ns.p, ns.n, "name", name.p,
				 name.n);
	} else if (rest.n && str_eqz(kind, "node")) {
		return all ? json_pack("{s:{}}", "uplink")
			   : json_pack("{s:{s:o}}", "uplink", "nodeSelector",
				       label_is("kubernetes.io/hostname", rest));
	}
	bad_from(text);
	return NULL;
}

static json_t *manifest(const struct capture *c)
{
	const struct options_capture *o = c->o;
	json_t *spec = json_object(), *from = json_array();

	for (size_t i = 0; i < o->from.n; i++) {
		json_t *one = source(o->from.items[i]);

		if (!one) {
			json_decref(spec);
			json_decref(from);
			return NULL;
		}
		json_array_append_new(from, one);
	}
	for (size_t i = 0; i < o->interfaces.n; i++)
		json_array_append_new(from,
				      json_pack("{s:{s:s}}", "interface", "name", o->interfaces.items[i]));
	if (json_array_size(from))
		json_object_set(spec, "from", from);
	json_decref(from);
	if (o->direction && strcmp(o->direction, "both"))
		json_object_set_new(spec, "direction",
				    json_string(!strcmp(o->direction, "in") ? "In" : "Out"));
	if (o->dropped || o->forwarded)
		json_object_set_new(spec, "packets", json_string(o->dropped ? "Dropped" : "Forwarded"));
	if (o->n_args)
		json_object_set_new(spec, "filter", json_string(o->args[0]));
	if (o->snap)
		json_object_set_new(spec, "snapBytes", json_integer(o->snap));
	/* It ends by itself should this program die: a little later than it would have been ended. */
	if (o->seconds)
		json_object_set_new(spec, "seconds", json_integer(o->seconds + 30));
	return json_pack("{s:s,s:s,s:{s:s},s:o}", "apiVersion", "weft.network/v1alpha1", "kind", "Capture",
			 "metadata", "generateName", "capture-", "spec", spec);
}

static int check_options(const struct options_capture *o)
{
	const char *both = NULL;

	if (o->dropped && o->forwarded)
		both =
		    "--dropped cannot be used together with --forwarded: leave both out to see all packets";
	else if (o->ring && !o->last)
		both = "--ring needs --last: what it has kept of the last 60s, 5m, 1h";
	else if (o->broker && o->name)
		both = "--name is of a cluster, --broker of this host: leave one out";
	else if (o->last &&
		 (o->from.n || o->interfaces.n || o->dropped || o->forwarded || o->snap || o->seconds))
		both = "--last shows what a ring has kept: --from, --interface, --dropped, --forwarded, "
		       "--snap and --seconds are of packets that come";
	else if (o->rotate && (!o->write || !strcmp(o->write, "-")))
		both = "--rotate needs -w FILE: a row of files";
	else if (o->keep && !o->rotate)
		both = "--keep needs --rotate: the newest of a row of files";
	else if (o->write && o->output && strcmp(o->output, "pcapng"))
		both = "-w writes pcapng: it cannot be used together with -o lines or json";
	if (both)
		cli_error(NULL, "%s", both);
	return both ? -1 : 0;
}

static void choose_form(struct capture *c)
{
	const struct options_capture *o = c->o;
	const char *form = o->output ? o->output : o->write || !isatty(STDOUT_FILENO) ? "pcapng" : "lines";

	c->show.form = !strcmp(form, "json")	? CAPTURE_JSON
		       : !strcmp(form, "lines") ? CAPTURE_LINES
						: CAPTURE_PCAPNG;
	c->show.path = o->write ? o->write : "-";
	c->show.limit = (uint64_t)o->count;
}

/* --- the cluster -----------------------------------------------------------------------------------------
 */

static int find_nodes(struct capture *c)
{
	size_t i;
	json_t *item;

	c->node_list = http_get_json(c->socket_path, "/api/v1/nodes", NULL);
	if (!c->node_list)
		return -1;
	json_array_foreach (json_object_get(c->node_list, "items"), i, item) {
		const char *name =
		    json_string_value(json_object_get(json_object_get(item, "metadata"), "name"));
		bool wanted = !c->o->nodes.n;

		for (size_t k = 0; name && k < c->o->nodes.n; k++)
			wanted |= !strcmp(name, c->o->nodes.items[k]);
		if (name && wanted && c->nodes.len < NODES_MAX && vec_push(&c->nodes, name))
			return -1;
	}
	for (size_t k = 0; k < c->o->nodes.n; k++) {
		bool found = false;

		VEC_EACH (&c->nodes, n)
			found |= !strcmp(*n, c->o->nodes.items[k]);
		if (!found) {
			cli_error("weft get nodes lists them", "there is no node %s", c->o->nodes.items[k]);
			return -1;
		}
	}
	if (!c->nodes.len)
		cli_error(NULL, "the cluster has no nodes");
	return c->nodes.len ? 0 : -1;
}

static int create(struct capture *c)
{
	AUTO_JSON v = manifest(c);
	AUTO_MEM char *body = v ? json_dumps(v, JSON_COMPACT) : NULL;
	AUTO_BUF answer = {0};

	if (!body)
		return -1;
	long code = http_request(c->socket_path, "POST", API "/captures", NULL, str_of(body), &answer);

	if (code != 201) {
		if (code >= 0)
			http_tell(code, buf_str(&answer));
		return -1;
	}
	AUTO_JSON made = json_loadb(answer.p, answer.n, 0, NULL);
	const char *name = json_string_value(json_object_get(json_object_get(made, "metadata"), "name"));

	snprintf(c->name, sizeof(c->name), "%s", name ?: "");
	snprintf(c->path, sizeof(c->path), API "/captures/%s", c->name);
	return *c->name ? 0 : -1;
}

static void delete_capture(struct capture *c)
{
	AUTO_BUF answer = {0};

	if (*c->name)
		http_try(c->socket_path, "DELETE", c->path, (struct str){0}, &answer);
	*c->name = 0;
}

/* The tool that --last means: the only one that keeps packets, or the one that is named. */
static int find_ring(struct capture *c)
{
	AUTO_JSON v = http_get_json(c->socket_path, API "/tools", NULL);
	AUTO_BUF names = {0};
	const char *found = NULL;
	unsigned n = 0;
	size_t i;
	json_t *item;

	if (!v)
		return -1;
	json_array_foreach (json_object_get(v, "items"), i, item) {
		const char *name =
		    json_string_value(json_object_get(json_object_get(item, "metadata"), "name"));

		if (!name || !json_object_get(json_object_get(item, "spec"), "ring"))
			continue;
		buf_printf(&names, "%s%s", names.n ? ", " : "", name);
		if (c->o->ring ? !strcmp(name, c->o->ring) : !n++)
			found = name;
	}
	if (c->o->ring ? !found : n != 1) {
		if (!names.n)
			cli_error(
			    "a Tool with ring: {…}, and a TrafficMap that leads to it; see doc/broker.md",
			    "no tool keeps packets in memory");
		else
			cli_error("say which by --ring", "%s: %s",
				  c->o->ring ? "no tool of that name keeps packets"
					     : "several tools keep packets",
				  names.p);
		return -1;
	}
	snprintf(c->path, sizeof(c->path), API "/tools/%s", found);
	snprintf(c->query, sizeof(c->query), "&last=%" PRId64, (c->last_ns + 999999999) / 1000000000);
	return 0;
}

/* --- packets ---------------------------------------------------------------------------------------------
 */

static void progress(const struct capture *c, bool end)
{
	static uint64_t told;
	uint64_t slow, room;

	if (!isatty(STDERR_FILENO) || (c->show.form != CAPTURE_PCAPNG) || (!end && clock_ms() - told < 500))
		return;
	told = clock_ms();
	capture_show_lost(&c->show, NULL, &slow, &room);
	fprintf(stderr, "\r%" PRIu64 " packets, %" PRIu64 " lost%s", c->show.packets, slow + room,
		end ? "\n" : "");
}

static int open_show(struct capture *c)
{
	AUTO_BUF clocks = {0};

	capture_streams_clocks(&c->streams, &clocks);
	struct pcapng_section section = {.application = STR("weft " WEFT_VERSION),
					 .comment = buf_str(&clocks)};

	return capture_show_open(&c->show, &section);
}

static int drain(struct capture *c)
{
	struct pcapng_block b;
	unsigned from = 0;
	int r;

	while ((r = pcapng_merge_next(c->streams.merge, clock_us() * 1000, &b, &from, NULL)) > 0) {
		AUTO_BUF clock = {0};

		if (b.kind == PCAPNG_INTERFACE)
			capture_stream_clock(&c->streams, from, &clock);
		if (capture_show_block(&c->show, &b, buf_str(&clock)))
			return -1;
	}
	return r || capture_show_flush(&c->show) ? -1 : 0;
}

/* Until something says that it is enough; then what the nodes still have to say of it. */
static int read_packets(struct capture *c)
{
	uint64_t began = clock_ms(), end = 0, bytes = 0, seconds = (uint64_t)c->o->seconds;
	bool open = false;

	while (!end || clock_ms() < end) {
		capture_streams_run(&c->streams, TURN_MS);
		bool enough = interrupted || c->show.full || c->streams.failed ||
			      (seconds && clock_ms() - began >= seconds * 1000);

		if (!open &&
		    (enough || capture_streams_begun(&c->streams) || clock_ms() - began > BEGIN_MS)) {
			if (open_show(c))
				return -1;
			open = true;
		}
		if (open && drain(c))
			return -1;
		progress(c, false);
		if (enough && !end) {
			end = clock_ms() + END_MS;
			capture_streams_last(&c->streams);
			delete_capture(c);
		}
		/* What is on its way is read, however long that takes. */
		if (end && c->streams.bytes != bytes && !c->show.full)
			end = clock_ms() + END_MS;
		bytes = c->streams.bytes;
		if (!capture_streams_live(&c->streams))
			break;
	}
	for (unsigned i = 0; i < c->streams.n; i++)
		pcapng_merge_end(c->streams.merge, i);
	return (!open && open_show(c)) || drain(c) ? -1 : 0;
}

static void tell(const struct capture *c, uint64_t ms)
{
	struct pcapng_merge_totals t;

	progress(c, true);
	pcapng_merge_totals(c->streams.merge, &t);
	fprintf(stderr, "%" PRIu64 " packets, %" PRIu64 " bytes from %u node%s in %.1f s\n", c->show.packets,
		c->show.bytes, c->streams.n, c->streams.n == 1 ? "" : "s", (double)ms / 1000);
	if (t.late)
		fprintf(stderr,
			"%" PRIu64 " packets came later than %d ms after their time: they are out of order\n",
			t.late, DELAY_MS);
	capture_streams_tell(&c->streams, &c->show);
}

static int run(struct capture *c)
{
	uint64_t began = clock_ms();

	if (find_nodes(c) || (c->o->last ? find_ring(c) : create(c)))
		return EXIT_FAILED;
	c->streams = (struct capture_streams){.socket_path = c->socket_path,
					      .path = c->path,
					      .query = c->query,
					      .again = !c->o->last,
					      .while_there = c->of_host};
	/* What a ring has kept comes sorted, and all of it. */
	int r = capture_streams_open(&c->streams, c->nodes.items, (unsigned)c->nodes.len,
				     c->o->last ? UINT64_MAX : DELAY_MS * 1000000ull);

	if (!r)
		r = read_packets(c);
	delete_capture(c);
	if (c->streams.merge)
		tell(c, clock_ms() - began);
	if (capture_show_close(&c->show) || (r && !c->show.gone))
		return EXIT_FAILED;
	return capture_streams_any(&c->streams) ? EXIT_OK : EXIT_FAILED;
}

/* Of the cluster, or of the broker of this host: that which --broker asks for, or which alone is there. */
static bool find_socket(struct capture *c)
{
	struct stat st;

	door_path(c->socket_path);
	c->of_host =
	    c->o->broker || (!c->o->name && !cluster_is_up(c->cluster) && !access(c->socket_path, R_OK));
	if (!c->of_host) {
		cluster_path(c->socket_path, c->cluster, "hub.sock");
		return cluster_need(c->cluster);
	}
	if (*c->socket_path && !stat(c->socket_path, &st))
		return true;
	if (errno == EACCES)
		cli_error("say: sudo weft capture …", "packets of this host are root's to see");
	else
		cli_error(
		    "start it: sudo weft broker FILE; in another network namespace go there: ip netns exec "
		    "NAME weft capture --broker",
		    "no weft broker runs between the interfaces of this network namespace");
	return false;
}

int cmd_capture(const struct options_capture *o)
{
	struct capture c = {.o = o, .cluster = cluster_name(o->name)};

	if (!c.cluster || check_options(o))
		return EXIT_USAGE;
	if (o->last && when_span(o->last, &c.last_ns)) {
		cli_error("as 60s, 5m, 1h", "--last is a time back from now, not \"%s\"", o->last);
		return EXIT_USAGE;
	}
	if ((o->rotate && capture_show_row(&c.show, o->rotate, o->keep)) || read_filter(&c)) {
		filter_unref(&c.filter);
		return EXIT_USAGE;
	}
	choose_form(&c);
	if (c.show.form == CAPTURE_PCAPNG && !strcmp(c.show.path, "-") && isatty(STDOUT_FILENO)) {
		cli_error("-w FILE, or a pipe: weft capture | wireshark -k -i -",
			  "a terminal cannot show pcapng");
		filter_unref(&c.filter);
		return EXIT_USAGE;
	}
	int r = EXIT_FAILED;

	if (find_socket(&c)) {
		/* A ring knows no filter. */
		c.show.filter = o->last ? c.filter : NULL;
		c.show.rules = c.of_host ? NULL : capture_rules_new(c.cluster);
		catch_signals();
		r = run(&c);
	}
	capture_streams_fini(&c.streams);
	capture_show_fini(&c.show);
	capture_rules_free(&c.show.rules);
	vec_free(&c.nodes);
	json_decref(c.node_list);
	filter_unref(&c.filter);
	return r;
}
