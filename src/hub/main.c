/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weft-hub: reads options, opens what needs root (sockets, database, certificates' folder, kubeconfig), gives
 * root up and runs the hub.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <malloc.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/log.h"
#include "base/own.h"
#include "hub/page.h"
#include "hub/page_ask.h"
#include "hub/pen.h"
#include "hub/privilege.h"
#include "hub/run.h"
#include "hub/steplog.h"

static const char usage[] =
    "usage: weft-hub --name NAME --dir RUNDIR [--mode vxlan|routes] [--sandbox] "
    "[--no-tls] [--port PORT]\n"
    "                [--nodes N] [--runtime SOCKET] [--max-file MIB] [--node-lost S] [--node-evict S]\n"
    "                [--fast-probes N] [--history MIB] [--flow-records N] [--writable]\n"
    "                [--page ADDRESS:PORT|off] [--host NODE]\n"
    "                [PATH...]\n"
    "\n"
    "Serves the cluster's API on RUNDIR/hub.sock and on loopback TLS "
    "(RUNDIR/kubeconfig), with the objects of the\n"
    "manifests in PATH... and those made through the API. Started by `weft up`.\n";

/* A number of `what` from lo to hi into *out; 2: told. */
static int parse_number(const char *option, const char *text, int lo, int hi, const char *what, unsigned *out)
{
	int64_t n;
	if (str_to_i64(str_of(text), lo, hi, &n)) {
		fprintf(stderr, "weft-hub: --%s %s: %d to %d%s\n", option, text, lo, hi, what);
		return 2;
	}
	*out = (unsigned)n;
	return 0;
}

static int parse_history(const char *text, struct hub_options *opt)
{
	int64_t n;
	if (str_to_i64(str_of(text), 0, 1 << 20, &n) || (n && n < 4)) {
		fprintf(stderr, "weft-hub: --history %s: 4 to 1048576 MiB, or 0 for none\n", text);
		return -EINVAL;
	}
	opt->history = (unsigned)n;
	return 0;
}

static int parse_rest(int argc, char **argv, struct hub_options *opt)
{
	if (!opt->dir) {
		fprintf(stderr, "weft-hub: --dir is missing\n%s", usage);
		return 2;
	}
	opt->paths = (const char *const *)argv + optind;
	opt->paths_len = (size_t)(argc - optind);
	return 0;
}

enum { HOST = 256 }; /* an option without a letter */

static int parse(int argc, char **argv, struct hub_options *opt)
{
	static const struct option options[] = {
	    {"name", required_argument, NULL, 'n'},
	    {"dir", required_argument, NULL, 'd'},
	    {"mode", required_argument, NULL, 'm'},
	    {"sandbox", no_argument, NULL, 's'},
	    {"no-tls", no_argument, NULL, 't'},
	    {"port", required_argument, NULL, 'p'},
	    {"nodes", required_argument, NULL, 'N'},
	    {"version", no_argument, NULL, 'v'},
	    {"help", no_argument, NULL, 'h'},
	    {"node-lost", required_argument, NULL, 'l'},
	    {"node-evict", required_argument, NULL, 'e'},
	    {"fast-probes", required_argument, NULL, 'F'},
	    {"runtime", required_argument, NULL, 'r'},
	    {"max-file", required_argument, NULL, 'f'},
	    {"history", required_argument, NULL, 'H'},
	    {"flow-records", required_argument, NULL, 'R'},
	    {"writable", no_argument, NULL, 'w'},
	    {"page", required_argument, NULL, 'P'},
	    {"host", required_argument, NULL, HOST},
	    {NULL, 0, NULL, 0},
	};
	int64_t n;
	*opt = (struct hub_options){
	    .name = "default", .mode = "vxlan", .tls = true, .history = 256, .flow_records = FLOW_RECORDS};
	for (int c; (c = getopt_long(argc, argv, "", options, NULL)) >= 0;) {
		switch (c) {
		case 'n':
			opt->name = optarg;
			break;
		case 'd':
			opt->dir = optarg;
			break;
		case 'm':
			opt->mode = optarg;
			break;
		case 's':
		case 'w':
			*(c == 's' ? &opt->sandbox : &opt->writable) = true;
			break;
		case 't':
			opt->tls = false;
			break;
		case 'p':
			if (str_to_i64(str_of(optarg), 1, 65535, &n)) {
				fprintf(stderr, "weft-hub: --port %s: a port is a number from 1 to 65535\n",
					optarg);
				return 2;
			}
			opt->port = (unsigned)n;
			break;
		case 'N':
			if (str_to_i64(str_of(optarg), 1, 1000, &n)) {
				fprintf(stderr, "weft-hub: --nodes %s: there can be 1 to 1000\n", optarg);
				return 2;
			}
			opt->nodes = (unsigned)n;
			break;
		case 'F':
			if (parse_number("fast-probes", optarg, 1, 1000, "", &opt->faster))
				return 2;
			break;
		case 'l':
		case 'e':
			if (parse_number(c == 'l' ? "node-lost" : "node-evict", optarg, 1, 86400, " seconds",
					 c == 'l' ? &opt->node_lost : &opt->node_evict))
				return 2;
			break;
		case 'f':
			if (parse_number("max-file", optarg, 1, 1024, " MiB", &opt->max_file))
				return 2;
			break;
		case 'H':
			if (parse_history(optarg, opt))
				return 2;
			break;
		case 'R':
			if (parse_number("flow-records", optarg, FLOW_RECORDS_LEAST, FLOW_RECORDS_MOST, "",
					 &opt->flow_records))
				return 2;
			break;
		case 'r':
		case 'P':
		case HOST:
			*(c == 'r' ? &opt->runtime : c == 'P' ? &opt->page : &opt->host) = optarg;
			break;
		case 'v':
			puts("weft-hub " WEFT_VERSION);
			exit(0);
		case 'h':
			fputs(usage, stdout);
			exit(0);
		default:
			fputs(usage, stderr);
			return 2;
		}
	}
	return parse_rest(argc, argv, opt);
}

/* A hub that was just killed may still be on its way out: asks for half a second. */
static bool is_served(const struct sockaddr_un *at)
{
	for (int i = 0; i < 10; i++) {
		AUTO_FD int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (probe < 0 || connect(probe, (const struct sockaddr *)at, sizeof(*at)))
			return false;
		usleep(50000);
	}
	return true;
}

/* A socket file that nobody listens on is left from a killed hub. */
static int listen_unix(const char *dir)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	int n = snprintf(at.sun_path, sizeof(at.sun_path), "%s/hub.sock", dir);
	if (n < 0 || (size_t)n >= sizeof(at.sun_path)) {
		log_error("%s: the path is too long for a socket (%zu bytes at most)", dir,
			  sizeof(at.sun_path) - 10);
		return -ENAMETOOLONG;
	}
	AUTO_FD int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (is_served(&at)) {
		log_error("%s: a hub already serves there", at.sun_path);
		return -EADDRINUSE;
	}
	unlink(at.sun_path);
	mode_t mask = umask(0177);
	int r = bind(fd, (struct sockaddr *)&at, sizeof(at)) || listen(fd, 256) ? -errno : 0;
	umask(mask);
	/* The agents run under the hub's uid; workloads have another one and stay out. */
	if (!r && geteuid() == 0 && chown(at.sun_path, NOBODY_ID, NOBODY_ID))
		r = -errno;
	if (r) {
		log_error("%s: %s", at.sun_path, strerror(-r));
		return r;
	}
	return TAKE_FD(fd);
}

static int try_port(unsigned port, unsigned *got)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	socklen_t len = sizeof(at);
	int one = 1;
	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	AUTO_FD int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) ||
	    bind(fd, (struct sockaddr *)&at, sizeof(at)) || listen(fd, 128) ||
	    getsockname(fd, (struct sockaddr *)&at, &len))
		return -errno;
	*got = ntohs(at.sin_port);
	return TAKE_FD(fd);
}

/* The port of the last run, so that kubeconfigs go on working; another when it is taken. */
static int open_tls(struct hub *h)
{
	struct stat st;
	char path[512];
	unsigned last = h->opt.port ? h->opt.port : (unsigned)persist_get(h->persist, "port");
	h->tls_fd = try_port(last, &h->tls_port);
	if (h->tls_fd < 0 && last && !h->opt.port)
		h->tls_fd = try_port(0, &h->tls_port);
	if (h->tls_fd < 0) {
		int r = h->tls_fd;
		log_error("127.0.0.1:%u: %s", last, strerror(-r));
		return r;
	}
	persist_set(h->persist, "port", h->tls_port);
	snprintf(path, sizeof(path), "%s/tls", h->opt.dir);
	if (mkdir(path, 0700) && errno != EEXIST)
		return -errno;
	h->tls_dir_fd = open(path, O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (h->tls_dir_fd < 0 || fstat(h->tls_dir_fd, &st))
		return -errno;
	snprintf(path, sizeof(path), "%s/kubeconfig", h->opt.dir);
	h->kubeconfig_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (h->kubeconfig_fd < 0)
		return -errno;
	if (geteuid() == 0 && st.st_uid != NOBODY_ID && fchown(h->tls_dir_fd, NOBODY_ID, NOBODY_ID))
		return -errno;
	return 0;
}

static int open_page(struct hub *h)
{
	bool off = h->opt.page && !strcmp(h->opt.page, "off");
	int r = off ? 0 : page_open(&h->page, h, h->opt.page);
	/* A host's API is for its own page; certificates are for that page's other addresses. */
	if (!r && h->opt.host)
		h->opt.tls = h->page && !page_is_loopback(h->page);
	if (!r && h->page && !page_is_loopback(h->page) && !h->opt.tls) {
		log_error("--page %s: other addresses than loopback need TLS", h->opt.page);
		return -EINVAL;
	}
	return r;
}

static int open_database(struct hub *h)
{
	char path[512];
	static const char *const suffixes[] = {"", "-wal"};
	snprintf(path, sizeof(path), "%s/hub.db", h->opt.dir);
	mode_t mask = umask(0077);
	int r = persist_open(&h->persist, path);
	/* A first write makes the log file while its folder can still be written to. */
	if (!r)
		r = persist_set(h->persist, "format", 1);
	if (!r)
		r = steplog_open(&h->steplog, h->persist);
	if (r)
		log_error("%s: %s", path, h->persist ? persist_error(h->persist) : strerror(-r));
	umask(mask);
	for (size_t i = 0; i < 2 && !r && geteuid() == 0; i++) {
		snprintf(path, sizeof(path), "%s/hub.db%s", h->opt.dir, suffixes[i]);
		if (chown(path, NOBODY_ID, NOBODY_ID) && errno != ENOENT)
			r = -errno;
	}
	return r;
}

/* A folder of its own: there the file can be put aside and begun anew without root. */
static int open_history(struct hub *h)
{
	char path[512];
	snprintf(path, sizeof(path), "%s/history", h->opt.dir);
	if (!h->opt.history || !mkdir(path, 0700) || errno == EEXIST)
		return h->opt.history && geteuid() == 0 && chown(path, NOBODY_ID, NOBODY_ID) ? -errno : 0;
	log_error("%s: %s", path, strerror(errno));
	return -errno;
}

static int open_files(struct hub *h)
{
	struct remarks rs = {0};
	if (!h->opt.paths_len)
		return 0;
	const struct decode_limits limits = decode_limits_sized(h->opt.max_file);
	int r = source_dir_new(&h->source, h->opt.paths, h->opt.paths_len, &limits, &rs);
	remarks_print(stderr, &rs, false);
	if (r && !rs.list.len)
		log_error("%s: %s", h->opt.paths[0], strerror(-r));
	remarks_fini(&rs);
	return r;
}

static int drop(const struct hub *h)
{
	bool readable = true;
	for (size_t i = 0; i < h->opt.paths_len; i++)
		readable &= privilege_nobody_reads(h->opt.paths[i]);
	if (!readable)
		log_info("the manifests are not readable for everyone: keeping the capability to read them");
	int r = privilege_drop(!readable);
	if (r)
		log_error("privileges cannot be given up: %s", strerror(-r));
	return r;
}

/* Each client is a descriptor, and many may come. */
static void raise_limit(void)
{
	struct rlimit l;
	if (!getrlimit(RLIMIT_NOFILE, &l) && l.rlim_cur < l.rlim_max) {
		l.rlim_cur = l.rlim_max < 65536 ? l.rlim_max : 65536;
		setrlimit(RLIMIT_NOFILE, &l);
	}
}

/* Work on the loop's threads (a question of history, a batch that is written) takes many small pieces and
 * gives them all back. With a heap for each thread, and limits that glibc raises as it goes, each keeps the
 * largest that it ever was: 48 MiB after a minute of questions, of which 22 were in use. One heap, whose end
 * goes back, keeps 20. */
static void settle_heap(void)
{
	mallopt(M_ARENA_MAX, 1);
	mallopt(M_MMAP_THRESHOLD, 256 << 10);
	mallopt(M_TRIM_THRESHOLD, 1 << 20);
}

int main(int argc, char **argv)
{
	struct hub h = {.tls_fd = -1, .tls_dir_fd = -1, .kubeconfig_fd = -1, .program = -1};
	int status = parse(argc, argv, &h.opt);
	if (status)
		return status;
	settle_heap();
	log_open("hub");
	raise_limit();
	signal(SIGPIPE, SIG_IGN);
	if (mkdir(h.opt.dir, 0755) && errno != EEXIST) {
		log_error("%s: %s", h.opt.dir, strerror(errno));
		return 1;
	}
	/* Before anything is open that it would inherit. */
	status = h.opt.writable && h.opt.paths_len
		     ? pen_start(&h.pen, h.opt.dir, h.opt.paths, h.opt.paths_len)
		     : 0;
	if (status) {
		log_error("--writable: %s", strerror(-status));
		return 1;
	}
	h.program = page_ask_program();
	int fd = listen_unix(h.opt.dir);
	if (fd < 0)
		return 1;
	if (open_database(&h) || open_page(&h) || (h.opt.tls && open_tls(&h)) || open_history(&h) ||
	    audit_open(&h.audit, h.opt.dir, NOBODY_ID) || drop(&h) || open_files(&h)) {
		steplog_close(&h.steplog);
		persist_close(&h.persist);
		audit_close(&h.audit);
		page_free(&h.page);
		return 1;
	}
	return hub_run(&h, fd) ? 1 : 0;
}
