/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Run: the order in which a cluster is built and ends. The hub starts first and reads its manifests while
 * namespaces are made; agents start as their nodes appear. Called by `weft up` and `weft down`.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/own.h"
#include "sandbox/cgroup.h"
#include "sandbox/control.h"
#include "sandbox/dns.h"
#include "sandbox/exporter.h"
#include "sandbox/fabric.h"
#include "sandbox/files.h"
#include "sandbox/manifests.h"
#include "sandbox/node.h"
#include "sandbox/outside.h"
#include "sandbox/pod.h"
#include "sandbox/run_word.h"
#include "sandbox/streams.h"
#include "sandbox/teardown.h"

enum { REMARKS_MAX = 1000, DOWN_TRIES = 250 };

void sandbox_stop(struct sandbox *s, int status)
{
	if (!s->stopping)
		s->status = status;
	s->stopping = true;
	uv_stop(&s->loop);
}

void sandbox_remark(struct sandbox *s, const char *fmt, ...)
{
	char *text = NULL;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (n < 0)
		return;
	VEC_EACH (&s->remarks, r)
		if (!strcmp(*r, text)) {
			free(text);
			return;
		}
	if (s->opt->remark)
		s->opt->remark(s->opt->ctx, text);
	else
		log_warn("%s", text);
	if (s->remarks.len >= REMARKS_MAX || vec_push(&s->remarks, text))
		free(text);
}

bool sandbox_program(const struct sandbox *s, const char *program, char out[PATH_LEN])
{
	/* Installed, all lie in one folder; in a build tree, each in its room's. */
	static const char *const places[] = {"%s/%s", "%s/../hub/%s", "%s/../agent/%s", "%s/../standin/%s",
					     "%s/../box/%s"};

	if (program[0] == '/') {
		snprintf(out, PATH_LEN, "%s", program);
		return true;
	}
	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		int n = snprintf(out, PATH_LEN, places[i], s->opt->libexec, program);
#pragma GCC diagnostic pop

		if (n > 0 && n < PATH_LEN && !access(out, X_OK))
			return true;
	}
	log_error("%s: not found in %s; reinstall, or set WEFT_LIBEXEC to the folder that holds it", program,
		  s->opt->libexec);
	return false;
}

struct node *sandbox_node(struct sandbox *s, const char *name)
{
	for (unsigned i = 0; i < s->nodes_len; i++)
		if (!strcmp(s->nodes[i].name, name))
			return &s->nodes[i];
	return NULL;
}

static int step(struct sandbox *s, const char *what, int (*fn)(struct sandbox *s))
{
	uint64_t from = clock_us();
	int r;

	if (s->opt->step)
		s->opt->step(s->opt->ctx, what, 0, false);
	r = fn(s);
	if (!r && s->opt->step)
		s->opt->step(s->opt->ctx, what, clock_us() - from, true);
	return r;
}

static int make_places(struct sandbox *s)
{
	static const char *const below[] = {"log", "pods", "bpf"};
	static const char *const groups[] = {"", "/control", "/outside"};
	char path[PATH_LEN + 16];
	bool made = false;
	int r = netns_prepare(&made);

	/* Before it is written down that the link is this cluster's to remove. */
	if (!r && s->opt->attach && !fabric_can_attach())
		r = -EEXIST;
	r = r ? r : cgroup_path(s->opt->name, s->cgroup, sizeof(s->cgroup));
	if (r == -ENODEV)
		log_error("no cgroup2 is mounted; mount one: mount -t cgroup2 none /sys/fs/cgroup");
	r = r ? r : state_write(s->opt->name, s->cgroup, s->opt->nodes, s->opt->attach, s->opt->strict, made);
	for (size_t i = 0; !r && i < ARRAY_LEN(below); i++) {
		snprintf(path, sizeof(path), "%s/%s", s->dir, below[i]);
		r = file_make_dir(path, 0755);
	}
	for (size_t i = 0; !r && i < ARRAY_LEN(groups); i++) {
		snprintf(path, sizeof(path), "%s%s", s->cgroup, groups[i]);
		r = cgroup_make(path);
		if (r)
			log_error("%s: %s", path, strerror(-r));
	}
	/* Before anything of this cluster is mounted: what it holds, its pods would keep alive. */
	r = r ? r : mount_template_make(&s->mounts);
	snprintf(path, sizeof(path), "%s/bpf", s->dir);
	if (!r && mount("weft", path, "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0755")) {
		r = -errno;
		log_error("%s: no BPF file system can be mounted: %s", path, strerror(errno));
	}
	return r;
}

static int start_hub(struct sandbox *s)
{
	struct daemon *d = &s->hub;
	int r = daemon_open(d, s, "weft-hub", "weft-hub", "hub.log");

	if (r)
		return r;
	d->needed = true;
	daemon_arg(d, "--name");
	daemon_arg(d, "%s", s->opt->name);
	daemon_arg(d, "--dir");
	daemon_arg(d, "%s", s->dir);
	daemon_arg(d, "--mode");
	daemon_arg(d, "%s", s->opt->mode == SANDBOX_ROUTES ? "routes" : "vxlan");
	daemon_arg(d, "--sandbox");
	daemon_arg(d, "--nodes");
	daemon_arg(d, "%u", s->opt->nodes);
	daemon_arg(d, "--runtime");
	daemon_arg(d, "%s/streams.sock", s->dir);
	if (s->opt->max_file) {
		daemon_arg(d, "--max-file");
		daemon_arg(d, "%u", s->opt->max_file);
	}
	if (s->opt->flow_records) {
		daemon_arg(d, "--flow-records");
		daemon_arg(d, "%u", s->opt->flow_records);
	}
	daemon_arg(d, "--history");
	daemon_arg(d, "%u", s->opt->history);
	if (s->opt->writable)
		daemon_arg(d, "--writable");
	if (s->opt->page) {
		daemon_arg(d, "--page");
		daemon_arg(d, "%s", s->opt->page);
	}
	if (s->opt->fast_probes > 1) {
		daemon_arg(d, "--fast-probes");
		daemon_arg(d, "%u", s->opt->fast_probes);
	}
	for (size_t i = 0; i < s->opt->paths_len; i++) {
		AUTO_MEM char *path = realpath(s->opt->paths[i], NULL);

		daemon_arg(d, "%s", path ? path : s->opt->paths[i]);
	}
	return daemon_start(d);
}

static int make_nodes(struct sandbox *s)
{
	int r = fabric_make(s);

	r = r ? r : nodes_make(s);
	if (!r && s->opt->attach)
		r = fabric_attach(s);
	return r;
}

static int start_pods(struct sandbox *s)
{
	char socket[108];
	int r;

	snprintf(socket, sizeof(socket), "%s/hub.sock", s->dir);
	api_init(&s->api, &s->loop, socket);
	nodes_register(s);
	r = dns_start(s);
	r = r ? r : kubelet_start(s);
	r = r ? r : streams_start(s);
	r = r ? r : control_start(s);
	r = r ? r : exporters_start(s);
	if (!r && s->opt->paths_len && manifests_start(s))
		log_warn("errors in manifests that change are not shown here; they stand in %s/log/hub.log",
			 s->dir);
	return r;
}

static void on_signal(uv_signal_t *sig, int number)
{
	(void)number;
	sandbox_stop(sig->data, 0);
}

static int build(struct sandbox *s)
{
	int r = step(s, "places", make_places);

	r = r ? r : step(s, "hub", start_hub);
	r = r ? r : step(s, "nodes", make_nodes);
	if (!r && s->opt->step)
		s->opt->step(s->opt->ctx, "pods", 0, false);
	return r ? r : start_pods(s);
}

static void close_handle(uv_handle_t *h, void *ctx)
{
	(void)ctx;
	if (!uv_is_closing(h))
		uv_close(h, NULL);
}

static void close_all(struct sandbox *s)
{
	s->stopping = true;
	api_fini(&s->api);
	manifests_stop(s);
	outside_stop(s);
	kubelet_stop(s);
	run_words_free(s);
	streams_stop(s);
	dns_stop(s);
	nodes_close(s);
	exporters_stop(s);
	daemon_close(&s->hub);
	netns_drop(&s->fabric);
	netns_drop(&s->outside);
	mount_template_drop(&s->mounts);
}

static void free_all(struct sandbox *s)
{
	uv_run(&s->loop, UV_RUN_NOWAIT); /* the last words of the control socket */
	uv_walk(&s->loop, close_handle, NULL);
	uv_run(&s->loop, UV_RUN_DEFAULT);
	uv_loop_close(&s->loop);
	free(s->control);
	free(s->manifests);
	free(s->nodes);
	free(s->exporters);
	VEC_EACH (&s->remarks, r)
		free(*r);
	vec_free(&s->remarks);
}

static int take_place(struct sandbox *s)
{
	char path[PATH_LEN];
	int pid = 0;

	s->lock = lock_take(s->opt->name, true, &pid);
	if (s->lock == -EBUSY)
		log_error("a cluster \"%s\" is up already (process %d); end it with `weft down --name %s`, "
			  "or choose another "
			  "--name",
			  s->opt->name, pid, s->opt->name);
	else if (s->lock < 0)
		log_error(RUN_DIR "/%s: %s", s->opt->name, strerror(-s->lock));
	if (s->lock < 0)
		return s->lock;
	snprintf(path, sizeof(path), "%s/state.json", s->dir);
	if (!access(path, F_OK)) {
		log_info("removing what a killed cluster \"%s\" left", s->opt->name);
		teardown(s->opt->name);
		close(s->lock);
		s->lock = lock_take(s->opt->name, true, &pid);
	}
	return s->lock < 0 ? s->lock : 0;
}

/* Each pod holds some descriptors open, here and in its agent; the usual soft limit ends at about 150 pods.
 */
static void raise_file_limit(void)
{
	struct rlimit l;

	if (!getrlimit(RLIMIT_NOFILE, &l) && l.rlim_cur < l.rlim_max) {
		l.rlim_cur = l.rlim_max;
		setrlimit(RLIMIT_NOFILE, &l);
	}
}

int sandbox_run(const struct sandbox_options *o)
{
	struct sandbox s = {.opt = o,
			    .lock = -1,
			    .fabric = NETNS_NONE,
			    .outside = NETNS_NONE,
			    .mounts.fd = -1,
			    .start_us = clock_us()};
	uv_signal_t hup;
	int r, removed;

	if (geteuid()) {
		log_error("root is needed to make namespaces and load eBPF; use sudo");
		return -EPERM;
	}
	if (!o->nodes || o->nodes > NODES_MAX)
		return -EINVAL;
	snprintf(s.dir, sizeof(s.dir), RUN_DIR "/%s", o->name);
	for (size_t i = 0; i < o->runs_len; i++) {
		const char *error;

		if (run_word_add(&s, o->runs[i], &error)) {
			log_error("--run \"%s\": %s", o->runs[i], error);
			run_words_free(&s);
			return -EINVAL;
		}
	}
	r = take_place(&s);
	if (r)
		return r;
	signal(SIGPIPE, SIG_IGN);
	signal(SIGCHLD, SIG_DFL);
	raise_file_limit();
	uv_loop_init(&s.loop);
	uv_signal_init(&s.loop, &s.sigint);
	uv_signal_init(&s.loop, &s.sigterm);
	uv_signal_init(&s.loop, &hup);
	s.sigint.data = s.sigterm.data = hup.data = &s;
	uv_signal_start(&s.sigint, on_signal, SIGINT);
	uv_signal_start(&s.sigterm, on_signal, SIGTERM);
	uv_signal_start(&hup, on_signal, SIGHUP);
	r = build(&s);
	if (!r && !s.stopping)
		uv_run(&s.loop, UV_RUN_DEFAULT);
	r = r ? r : s.status;
	close_all(&s);
	removed = teardown(o->name);
	r = removed ? removed : r;
	/* All of the cluster's processes are dead by now, and every child of this process was one of them. */
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
	control_stop(&s, r);
	free_all(&s);
	close(s.lock);
	return r;
}

static int ask_down(const char *name)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	AUTO_FD int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char answer[256] = "";

	snprintf(to.sun_path, sizeof(to.sun_path), RUN_DIR "/%s/sandbox.sock", name);
	if (fd < 0 || connect(fd, (const struct sockaddr *)&to, sizeof(to)))
		return -errno;
	if (send(fd, "{\"op\":\"down\"}\n", 14, MSG_NOSIGNAL) != 14)
		return -errno;
	if (recv(fd, answer, sizeof(answer) - 1, 0) < 0)
		return -errno;
	if (!*answer) /* it was ending for somebody else's sake */
		return -ECONNREFUSED;
	return strstr(answer, "\"ok\":true") ? 0 : -EIO;
}

/* The process that holds the lock may be at its start or its end, without a socket: wait for one or the
 * other. Returns the lock, -EALREADY when it ended at our word, or -errno. */
static int lock_or_ask(const char *name)
{
	const struct timespec nap = {.tv_nsec = 20000000};
	int pid = 0;

	for (int tries = 0;; tries++) {
		int lock = lock_take(name, false, &pid), r;

		if (lock != -EBUSY)
			return lock;
		r = ask_down(name);
		if (!r)
			return -EALREADY;
		if ((r != -ENOENT && r != -ECONNREFUSED && r != -ECONNRESET && r != -EPIPE) ||
		    tries >= DOWN_TRIES) {
			log_error("the cluster's process %d did not end it: %s", pid, strerror(-r));
			return r;
		}
		nanosleep(&nap, NULL);
	}
}

int sandbox_down(const char *name)
{
	char dir[96];
	int lock, r;

	snprintf(dir, sizeof(dir), RUN_DIR "/%s", name);
	if (access(dir, F_OK))
		return -ENOENT;
	lock = lock_or_ask(name);
	if (lock == -EALREADY)
		return 0;
	if (lock == -ENOENT) /* a folder without a lock: whoever made it never got to its first step */
		return access(dir, F_OK) ? 0 : teardown(name);
	if (lock < 0) {
		log_error("%s: %s", dir, strerror(-lock));
		return lock;
	}
	r = teardown(name);
	close(lock);
	return r;
}

int sandbox_sweep(const char *name)
{
	int pid, lock = lock_take(name, false, &pid);

	if (lock < 0)
		return lock;
	int r = teardown(name);
	close(lock);
	return r;
}
