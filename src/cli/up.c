/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `weft up` and `weft down`: check the manifests, then become the sandbox; or stop one. Shows progress and
 * the summary. What a cluster is made of is the sandbox's matter.
 */
#include "base/own.h"
#include "cli/cluster.h"
#include "cli/command.h"
#include "cli/doctor.h"
#include "cli/export.h"
#include "cli/hosts.h"
#include "cli/libexec.h"
#include "cli/output.h"
#include "cli/ui.h"
#include "cli/world.h"
#include "sandbox/sandbox.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/wait.h>

enum { FAST_PROBES = 10 };

struct showing {
	const struct options_up *o;
	bool json, terminal;
	unsigned fast_probes;
	struct buf page;   /* a link to it that logs in once */
	size_t unfinished; /* columns of the step line that waits for its end */
	int parent;	   /* pipe to who waits for a detached cluster, or -1 */
};

/* Whether a line can be written over: colours have nothing to do with it. */
static bool can_redraw(void)
{
	const char *term = getenv("TERM");

	return output_is_terminal() && term && strcmp(term, "dumb") != 0;
}

static void show_step(void *ctx, const char *what, uint64_t us, bool done)
{
	struct showing *s = ctx;

	if (s->json)
		return;
	if (!done) {
		if (s->terminal) {
			printf("\r\033[K%s  … %s%s", output_style(STYLE_DIM), what,
			       output_style(STYLE_PLAIN));
			s->unfinished = 1;
			fflush(stdout);
		}
		return;
	}
	if (s->unfinished)
		printf("\r\033[K");
	s->unfinished = 0;
	printf("  %-44s %7.1f ms\n", what, (double)us / 1000);
	fflush(stdout);
}

static void show_remark(void *ctx, const char *text)
{
	struct showing *s = ctx;

	if (s->unfinished)
		printf("\r\033[K");
	s->unfinished = 0;
	fflush(stdout);
	fprintf(stderr, "  %s\n", text);
}

static void print_summary(const struct showing *s, const struct sandbox_ready *r)
{
	const char *option = strcmp(r->name, "default") ? " --name " : "";
	const char *name = *option ? r->name : "", *page = s->page.p ? s->page.p : "off";

	printf("\n%sCluster \"%s\": %u node%s, %u pod%s, ", output_style(STYLE_BOLD), r->name, r->nodes,
	       r->nodes == 1 ? "" : "s", r->pods, r->pods == 1 ? "" : "s");
	if (r->failed)
		printf("and others that do not run.%s\n", output_style(STYLE_PLAIN));
	else
		printf("wired, enforced and serving after %.2f s.%s\n", (double)r->wired_us / 1e6,
		       output_style(STYLE_PLAIN));
	if (r->failed)
		printf("%sNot everything came up: %s%s\n", output_style(STYLE_YELLOW), r->failed,
		       output_style(STYLE_PLAIN));
	if (s->fast_probes > 1)
		printf("Probes' delays and periods, minReadySeconds and back-offs are %u times shorter than "
		       "the manifests say.\n",
		       s->fast_probes);
	printf("  who reaches whom   weft reach%s%s\n"
	       "  objects            weft get pods -A%s%s\n"
	       "  page               %s\n"
	       "  kubectl            export KUBECONFIG=%s/kubeconfig\n"
	       "  API                %s/hub.sock\n"
	       "  logs               %s/log/\n"
	       "  end                %s%s%s\n",
	       option, name, option, name, page, r->dir, r->dir, r->dir,
	       s->o->detach ? "weft down" : "Ctrl-C", s->o->detach ? option : "", s->o->detach ? name : "");
}

/* Gives the terminal back: from here on the cluster writes to its log. */
static void let_go(const char *dir)
{
	AUTO_BUF path = {0};
	AUTO_FD int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	buf_printf(&path, "%s/log/weft.log", dir);
	AUTO_FD int log = path.failed ? -1 : open(path.p, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	fflush(NULL);
	if (null >= 0)
		dup2(null, STDIN_FILENO);
	if (log < 0)
		log = open("/dev/null", O_WRONLY | O_CLOEXEC);
	if (log >= 0) {
		dup2(log, STDOUT_FILENO);
		dup2(log, STDERR_FILENO);
	}
}

static void show_ready(void *ctx, const struct sandbox_ready *r)
{
	struct showing *s = ctx;

	if (s->unfinished)
		printf("\r\033[K");
	s->unfinished = 0;
	if (!s->o->page || strcmp(s->o->page, "off") != 0)
		ui_link(r->name, NULL, &s->page);
	if (s->json) {
		AUTO_JSON v =
		    json_pack("{s:s,s:s,s:i,s:i,s:f,s:i,s:s?,s:s?}", "name", r->name, "dir", r->dir, "nodes",
			      (int)r->nodes, "pods", (int)r->pods, "wiredSeconds", (double)r->wired_us / 1e6,
			      "fastProbes", (int)s->fast_probes, "failed", r->failed, "page", s->page.p);
		output_value(v, "json");
	} else {
		print_summary(s, r);
	}
	buf_fini(&s->page);
	fflush(stdout);
	if (s->parent < 0)
		return;
	const char status = r->failed ? EXIT_FAILED : EXIT_OK;
	let_go(r->dir);
	if (write(s->parent, &status, 1) != 1)
		fprintf(stderr, "nobody waits for this cluster any more\n");
	close(s->parent);
	s->parent = -1;
}

static int run(const struct options_up *o, const struct sandbox_options *base, int parent)
{
	struct sandbox_options so = *base;
	struct showing s = {.o = o,
			    .json = o->output != NULL,
			    .fast_probes = base->fast_probes,
			    .terminal = can_redraw(),
			    .parent = parent};

	so.ctx = &s;
	so.step = show_step;
	so.remark = show_remark;
	so.ready = show_ready;
	int r = sandbox_run(&so);
	if (parent < 0 && !r && !s.json)
		printf("\nCluster \"%s\" is gone.\n", so.name);
	return r ? EXIT_FAILED : EXIT_OK;
}

/* The child becomes the cluster; this process waits until it runs, or has failed. */
static int run_detached(const struct options_up *o, const struct sandbox_options *so)
{
	int ends[2], status = 0;
	char word = EXIT_FAILED;

	fflush(NULL);
	if (pipe2(ends, O_CLOEXEC))
		return EXIT_FAILED;
	pid_t pid = fork();
	if (pid < 0) {
		cli_error(NULL, "cannot start a process: %s", strerror(errno));
		return EXIT_FAILED;
	}
	if (!pid) {
		close(ends[0]);
		setsid();
		int r = run(o, so, ends[1]);
		fflush(NULL);
		_exit(r);
	}
	close(ends[1]);
	ssize_t n;
	do
		n = read(ends[0], &word, 1);
	while (n < 0 && errno == EINTR);
	close(ends[0]);
	if (n == 1)
		return word;
	/* It ended before it was ready; it has told why. */
	waitpid(pid, &status, 0);
	return EXIT_FAILED;
}

/* With what follows from them: two Services that want one address are refused before anything starts. */
static int check_manifests(const struct options_up *o)
{
	const struct world_files files = {.paths = o->args,
					  .n = (size_t)o->n_args,
					  .nodes = (unsigned)o->nodes,
					  .max_file = (size_t)o->max_file};
	struct store *s = NULL;

	if (!o->n_args)
		return EXIT_OK;
	if (world_from_files(&s, &files))
		return EXIT_FAILED;
	store_free(&s);
	return EXIT_OK;
}

static int read_hosts(const struct options_up *o, struct hosts *out)
{
	for (size_t i = 0; i < o->hosts.n; i++)
		if (hosts_add(out, o->hosts.items[i]))
			return -1;
	return 0;
}

/* A word that is none is told now, and not by a log. */
static int read_exports(const struct options_up *o, char weft[PATH_MAX])
{
	ssize_t n = readlink("/proc/self/exe", weft, PATH_MAX - 1);

	if (n < 0) {
		cli_error(NULL, "/proc/self/exe: %s", strerror(errno));
		return -1;
	}
	weft[n] = 0;
	for (size_t i = 0; i < o->exports.n; i++) {
		const char *text = o->exports.items[i], *space = strchr(text, ' ');
		AUTO_MEM char *to = strndup(text, space ? (size_t)(space - text) : strlen(text));
		struct export_target t;

		if (!to || !export_target_parse(&t, to))
			return -1;
		if (t.kind == EXPORT_STDOUT) {
			cli_error(NULL, "--export: a cluster in the background has no standard output");
			return -1;
		}
		if (space && !export_filter_check(space + 1))
			return -1;
	}
	return 0;
}

/* "--fast-probes" alone: FAST_PROBES. */
static int read_fast_probes(const struct options_up *o, unsigned *factor)
{
	int64_t v = FAST_PROBES;

	if (o->fast_probes && *o->fast_probes && str_to_i64(str_of(o->fast_probes), 1, 1000, &v)) {
		cli_error(NULL, "--fast-probes of `weft up` is a number from 1 to 1000, not \"%s\"",
			  o->fast_probes);
		return -1;
	}
	*factor = o->fast_probes ? (unsigned)v : 1;
	return 0;
}

int cmd_up(const struct options_up *o)
{
	__attribute__((cleanup(hosts_fini))) struct hosts hosts = {0};
	struct sandbox_options so = {.name = cluster_name(o->name),
				     .paths_len = (size_t)o->n_args,
				     .nodes = (unsigned)o->nodes,
				     .mode = o->mode && !strcmp(o->mode, "routes") ? SANDBOX_ROUTES
										   : SANDBOX_VXLAN,
				     .max_file = (unsigned)o->max_file,
				     .flow_records = (unsigned)o->flow_records,
				     .history = (unsigned)o->history,
				     .attach = o->attach,
				     .strict = o->strict,
				     .writable = o->writable,
				     .page = o->page,
				     .no_external_ips = o->no_external_ips,
				     .runs = (const char *const *)o->runs.items,
				     .runs_len = o->runs.n,
				     .exports = (const char *const *)o->exports.items,
				     .exports_len = o->exports.n,
				     .entries = o->entries};
	char exe[PATH_MAX];

	AUTO_MEM char **paths = calloc((size_t)o->n_args + 1, sizeof(*paths));
	AUTO_BUF libexec = {0}, lacks = {0};
	int r = EXIT_OK;

	if (!so.name || !paths || read_hosts(o, &hosts) || read_fast_probes(o, &so.fast_probes) ||
	    read_exports(o, exe))
		return EXIT_USAGE;
	so.weft = exe;
	so.hosts = hosts.list.items;
	so.hosts_len = hosts.list.len;
	if (check_manifests(o))
		return EXIT_FAILED;
	if (geteuid()) {
		cli_error(
		    "run it with sudo. Without root these work: weft plan, weft reach --offline, weft get -f",
		    "up needs root: it makes network namespaces and loads eBPF programs");
		return EXIT_FAILED;
	}
	if (!doctor_can_run(&lacks)) {
		cli_error(
		    "weft doctor says what to do. These work all the same: weft plan, weft reach --offline, "
		    "weft get -f",
		    "this machine cannot run a cluster: %s", lacks.p ? lacks.p : "out of memory");
		return EXIT_FAILED;
	}
	if (!libexec_find(&libexec)) {
		cli_error("build or install all of Weft, or set WEFT_LIBEXEC",
			  "the private programs are not in %s", libexec.p ? libexec.p : "?");
		return EXIT_FAILED;
	}
	for (int i = 0; i < o->n_args && !r; i++)
		if (!(paths[i] = realpath(o->args[i], NULL))) {
			cli_error(NULL, "%s: %s", o->args[i], strerror(errno));
			r = EXIT_FAILED;
		}
	so.paths = (const char *const *)paths;
	so.libexec = libexec.p;
	if (!r)
		r = o->detach ? run_detached(o, &so) : run(o, &so, -1);
	for (int i = 0; i < o->n_args; i++)
		free(paths[i]);
	return r;
}

static int down_one(const char *name, bool tell_nothing)
{
	int r = sandbox_down(name);

	if (r == -ENOENT) {
		if (tell_nothing)
			printf("No cluster \"%s\" was there.\n", name);
		return EXIT_OK;
	}
	if (!r)
		printf("Cluster \"%s\" is gone.\n", name);
	return r ? EXIT_FAILED : EXIT_OK;
}

int cmd_down(const struct options_down *o)
{
	const char *name = cluster_name(o->name);
	int r = EXIT_OK;
	size_t n = 0;

	if (!name)
		return EXIT_USAGE;
	if (geteuid()) {
		cli_error("run it with sudo", "down needs root");
		return EXIT_FAILED;
	}
	if (!o->all)
		return down_one(name, true);
	DIR *d = opendir(CLUSTER_RUN);
	for (struct dirent *e; d && (e = readdir(d));) {
		if (e->d_name[0] == '.' || e->d_type != DT_DIR)
			continue;
		r |= down_one(e->d_name, false);
		n++;
	}
	if (d)
		closedir(d);
	if (!n)
		printf("No cluster was there.\n");
	return r;
}
