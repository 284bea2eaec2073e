/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `weft broker`: the maps of manifests over capture files, one pcapng for each tool port, and the accounts:
 * that needs no cluster and no privileges; or between interfaces of this host (broker_live.h).
 */
#include "cli/broker.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/own.h"
#include "cli/broker_live.h"
#include "cli/command.h"
#include "cli/output.h"
#include "cli/world.h"

int broker_load(struct store **out, const struct options_broker *o)
{
	const struct world_files files = {
	    .paths = o->args, .n = (size_t)o->n_args, .max_file = (size_t)o->max_file};

	return world_from_files(out, &files) ? EXIT_FAILED : EXIT_OK;
}

int broker_make(struct broker **out, const struct store *s)
{
	AUTO(remarks_fini) struct remarks rs = {0};
	int r = broker_compile(out, s, &rs);

	remarks_sort(&rs);
	remarks_print(stderr, &rs, *output_style(STYLE_BOLD) && isatty(STDERR_FILENO));
	if (r == -EINVAL)
		cli_error("mend it and try again", "%zu error%s: no map is in force", rs.errors,
			  rs.errors == 1 ? "" : "s");
	else if (r)
		cli_error(NULL, "%s", strerror(-r));
	return r ? EXIT_FAILED : EXIT_OK;
}

static int print_plan(const struct broker *b)
{
	AUTO_BUF text = {0};

	broker_print(&text, b);
	if (text.n)
		buf_addc(&text, '\n');
	broker_print_overlaps(&text, b);
	if (text.n)
		fwrite(text.p, 1, text.n, stdout);
	return text.failed ? EXIT_FAILED : EXIT_OK;
}

/* Whether the interface of a source is meant by NAME or NODE/NAME; "" means all. */
static bool meant(const struct broker_source *s, struct str name)
{
	struct str rest = name, node;

	if (s->kind != BROKER_INTERFACE)
		return false;
	if (!name.n || str_eq(name, s->name))
		return true;
	node = str_cut(&rest, '/');
	return rest.n && str_eq(rest, s->name) && (!s->node.n || str_eq(node, s->node));
}

static void tell_unknown(const struct broker *b, struct str name)
{
	AUTO_BUF known = {0};

	for (uint32_t i = 0; i < b->sources_n; i++)
		if (b->sources[i].kind == BROKER_INTERFACE)
			buf_printf(&known, "%s" STR_FMT, known.n ? ", " : "the maps name ",
				   STR_ARG(b->sources[i].name));
	cli_error(known.n ? known.p : "a map names one with \"from: [{interface: {name: eth1}}]\"",
		  "no map has an interface \"" STR_FMT "\" as a source", STR_ARG(name));
}

static int bind_input(struct broker_run *run, struct broker_input *in)
{
	const struct broker *b = run->b;
	AUTO_MEM uint32_t *sources = calloc((size_t)b->sources_n + 1, sizeof(*sources));
	uint32_t n = 0;

	for (uint32_t i = 0; sources && i < b->sources_n; i++)
		if (meant(&b->sources[i], in->name))
			sources[n++] = i;
	if (sources && !n) {
		tell_unknown(b, in->name);
		return EXIT_FAILED;
	}
	if (!sources || point_new(&in->point, b, sources, n)) {
		cli_error(NULL, "out of memory");
		return EXIT_FAILED;
	}
	return EXIT_OK;
}

static int bind_all(struct broker_run *run, const struct option_list *pcap)
{
	run->inputs = calloc(pcap->n + 1, sizeof(*run->inputs));
	if (!run->inputs)
		return EXIT_FAILED;
	for (size_t i = 0; i < pcap->n; i++) {
		struct broker_input *in = &run->inputs[run->inputs_n++];
		const char *cut = strchr(pcap->items[i], '=');

		in->broken_at = -1;
		in->path = cut ? cut + 1 : pcap->items[i];
		if (cut)
			in->name = (struct str){pcap->items[i], (size_t)(cut - pcap->items[i])};
		if (!cut && pcap->n > 1) {
			cli_error("--pcap eth1=a.pcap --pcap eth2=b.pcap",
				  "of several captures each needs its interface: %s", pcap->items[i]);
			return EXIT_USAGE;
		}
		if (bind_input(run, in))
			return EXIT_FAILED;
	}
	return EXIT_OK;
}

static bool bound(const struct broker_run *run, const struct broker_source *s)
{
	for (uint32_t i = 0; i < run->inputs_n; i++)
		if (meant(s, run->inputs[i].name))
			return true;
	return false;
}

static void say(struct remarks *rs, enum remark_level level, struct pos at, const char *hint,
		const char *what)
{
	remark_add(rs, level, at, hint, "%s", what);
}

/* What a capture file cannot tell is refused, and what it does not have is said. */
static int check_captures(const struct broker_run *run)
{
	const struct broker *b = run->b;
	AUTO(remarks_fini) struct remarks rs = {0};

	for (uint32_t i = 0; i < b->sources_n; i++) {
		const struct broker_source *s = &b->sources[i];

		if (s->kind != BROKER_INTERFACE)
			say(&rs, REMARK_WARNING, s->pos,
			    "name an interface, and give its capture with --pcap NAME=FILE",
			    "only interfaces have capture files: nothing comes from this source");
		else if (!bound(run, s))
			say(&rs, REMARK_WARNING, s->pos, "give it with --pcap NAME=FILE",
			    "no capture is given for this interface: nothing comes from it");
	}
	for (uint32_t i = 0; i < b->maps_n; i++) {
		const struct broker_map *m = &b->maps[i];

		if (m->directions != (BROKER_DIRECTION_IN | BROKER_DIRECTION_OUT))
			say(&rs, REMARK_ERROR, m->pos,
			    "leave direction out, and name addresses in the filter",
			    "a capture file does not tell which way its packets went: direction cannot be "
			    "judged");
		if (m->packets == BROKER_DROPPED)
			say(&rs, REMARK_WARNING, m->pos, NULL,
			    "a capture file has no dropped packets: this map takes nothing");
	}
	remarks_sort(&rs);
	remarks_print(stderr, &rs, *output_style(STYLE_BOLD) && isatty(STDERR_FILENO));
	return rs.errors ? EXIT_FAILED : EXIT_OK;
}

static int read_and_report(struct broker_run *run, const struct options_broker *o)
{
	int r = EXIT_FAILED;

	run->progress = !o->output && isatty(STDERR_FILENO);
	if (!broker_run(run, o->out) && broker_report(run, o->output))
		r = EXIT_OK;
	return fflush(stdout) ? EXIT_FAILED : r;
}

/* Foreign captures are read by a process of its own, which seals itself: what they could break is only it. */
static int run_sealed(struct broker_run *run, const struct options_broker *o)
{
	int status, pair[2];
	pid_t pid = socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) ? -1 : fork();

	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGTERM);
		close(pair[0]);
		run->opener = pair[1];
		_exit(read_and_report(run, o));
	}
	signal(SIGINT, SIG_IGN); /* the reader takes it, and ends its files */
	if (pid > 0) {
		close(pair[1]);
		broker_rows_serve(run, o->out, pair[0]);
		close(pair[0]);
	}
	while (pid > 0 && waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			pid = -1;
	if (pid < 0) {
		cli_error(NULL, "cannot start the reader: %s", strerror(errno));
		return EXIT_FAILED;
	}
	if (WIFEXITED(status))
		return WEXITSTATUS(status);
	cli_error("the files hold what it wrote, to the last whole packet", "the reader died: %s",
		  strsignal(WTERMSIG(status)));
	return EXIT_FAILED;
}

static int run_captures(const struct broker *b, const struct options_broker *o)
{
	AUTO(broker_run_fini) struct broker_run run = {.b = b};
	int r;

	if (o->tunnel_source && addr_parse(str_of(o->tunnel_source), &run.tunnel_source)) {
		cli_error("for example --tunnel-source 192.0.2.1", "--tunnel-source: \"%s\" is no address",
			  o->tunnel_source);
		return EXIT_USAGE;
	}
	r = bind_all(&run, &o->pcap);
	if (!r)
		r = check_captures(&run);
	return r ? r : run_sealed(&run, o);
}

int cmd_broker(const struct options_broker *o)
{
	struct store *s = NULL;
	struct broker *b = NULL;
	int r;

	if (o->dry_run && (o->pcap.n || o->out || o->output)) {
		cli_error(NULL, "--dry-run stands alone");
		return EXIT_USAGE;
	}
	if (o->pcap.n && !o->out) {
		cli_error("weft broker FILE --pcap IN.pcap --out DIR",
			  "captures (--pcap) need a folder for the tools' files (--out)");
		return EXIT_USAGE;
	}
	if (o->page && (o->pcap.n || o->dry_run || !strcmp(o->page, "off"))) {
		cli_error("say: sudo weft broker FILE --page", "--page is for a broker between interfaces");
		return EXIT_USAGE;
	}
	if ((o->writable || o->name) && !o->page) {
		cli_error("say: sudo weft broker FILE --page --writable",
			  "--writable and --name are about the page");
		return EXIT_USAGE;
	}
	if (o->tunnel_source && !o->pcap.n) {
		cli_error(NULL,
			  "--tunnel-source is for captures (--pcap): live, the route to the tool says it");
		return EXIT_USAGE;
	}
	r = broker_load(&s, o);
	if (!r && !o->dry_run && !o->pcap.n)
		r = live_run(o, &s);
	else if (!r && !(r = broker_make(&b, s)))
		r = o->dry_run ? print_plan(b) : run_captures(b, o);
	store_free(&s);
	broker_free(&b);
	return r;
}
