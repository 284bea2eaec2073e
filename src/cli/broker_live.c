/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `weft broker` between interfaces: starts, follows files and interfaces, and ends with the accounts. What a
 * file says wrongly leaves what is in force as it is.
 */
#include "cli/broker_live.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/own.h"
#include "cli/broker_door.h"
#include "cli/output.h"

enum { RATE_MS = 1000, SETTLE_MS = 100, RING_MS = 300, DRAIN_MS = 15000 };

/* --- epochs ----------------------------------------------------------------------------------------- */

/* As tcpdump does: packets that are for others are seen too. Ends with the socket. */
static void look_at_all(struct live *l)
{
	own_fd(&l->promisc);
	l->promisc = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	VEC_EACH (&l->places, p) {
		struct packet_mreq m = {.mr_ifindex = (int)if_nametoindex(p->name),
					.mr_type = PACKET_MR_PROMISC};

		if (m.mr_ifindex)
			setsockopt(l->promisc, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &m, sizeof(m));
	}
}

static void tell_missing(struct str said)
{
	while (said.n) {
		struct str line = str_cut(&said, '\n');

		if (line.n)
			cli_error(NULL, STR_FMT, STR_ARG(line));
	}
}

/* How each feed is served; said when it is another way than before. */
static void tell_feeds(struct live *l)
{
	static const char *const words[] = {[TAP_FEED_NONE] = "is no feed any more",
					    [TAP_FEED_HOST] = "is tapped, but is no feed",
					    [TAP_FEED_BY_TC] = "is a feed, served by tc",
					    [TAP_FEED_BY_XDP] = "is a feed, served by XDP"};

	VEC_EACH (&l->places, p) {
		const char *why;
		enum tap_feed_way way = tapper_feed(l->tapper, p->name, &why);

		if (way != p->feed || why != p->why)
			fprintf(stderr, "%s %s%s%s\n", p->name, words[way], why ? ": " : "", why ? why : "");
		p->feed = way;
		p->why = why;
	}
}

/* CONFIG tells its epoch first: what comes behind it is what it means. */
static struct str meaning(const struct buf *config)
{
	struct str rest = buf_str(config);

	str_cut(&rest, ',');
	return rest;
}

/* Puts the broker into force, and takes it over then. 0, or -1 after telling; then all is as before. */
static int put_into_force(struct live *l, struct broker **b)
{
	AUTO(live_epoch_fini) struct live_epoch e;
	AUTO_BUF said = {0};
	uint32_t epoch = l->epoch + 1;

	if (live_epoch_make(l, *b, epoch, &e))
		return -1;
	if (l->b && str_eq(meaning(&e.config), buf_str(&l->objects)))
		return 0; /* BR11 */
	if (live_copier_config(l, epoch, buf_str(&e.config)))
		return -1;
	l->epoch = epoch;
	if (tapper_apply(l->tapper, &e.taps, &said)) {
		cli_error(NULL, STR_FMT, STR_ARG(buf_str(&said)));
		return -1;
	}
	tell_missing(buf_str(&said));
	broker_free(&l->b);
	l->b = *b;
	*b = NULL;
	buf_clear(&l->objects);
	buf_adds(&l->objects, meaning(&e.config));
	buf_clear(&l->config);
	buf_adds(&l->config, buf_str(&e.config));
	look_at_all(l);
	live_note_indexes(l);
	tell_feeds(l);
	return 0;
}

static enum tap_xdp_mode xdp_mode(const char *word)
{
	if (!word)
		return TAP_XDP_AUTO;
	if (!strcmp(word, "off"))
		return TAP_XDP_OFF;
	return strcmp(word, "native") ? TAP_XDP_AUTO : TAP_XDP_NATIVE;
}

/* The same of objects, with the Captures that run. They are taken over then. */
static int take_objects(struct live *l, struct store **s)
{
	struct broker *b = NULL;
	int r = door_captures(l->door, *s) || broker_make(&b, *s) || put_into_force(l, &b) ? -1 : 0;

	broker_free(&b);
	if (!r) {
		store_free(&l->store);
		l->store = TAKE(*s);
	}
	return r;
}

int live_again(struct live *l, struct buf *why)
{
	AUTO(remarks_fini) struct remarks rs = {0};
	struct broker *b = NULL;
	int r = door_captures(l->door, l->store);

	l->quiet = true;
	if (!r)
		r = broker_compile(&b, l->store, &rs);
	if (!r)
		r = put_into_force(l, &b);
	l->quiet = false;
	VEC_EACH (&rs.list, it)
		if (why && !why->n && it->level == REMARK_ERROR)
			buf_addz(why, it->text);
	broker_free(&b);
	return r ? -1 : 0;
}

bool live_has_capture(const struct live *l, const char *name)
{
	for (uint32_t i = 0; l->b && i < l->b->maps_n; i++) {
		struct str rest = l->b->maps[i].name;

		if (l->b->maps[i].aside && str_eqz(str_cut(&rest, '/'), "capture") && str_eqz(rest, name))
			return true;
	}
	return false;
}

static int begin(struct live *l, struct store **s)
{
	struct taps none = {.epoch = 0};
	AUTO_BUF why = {0};
	int r = tap_plain_open(&l->plain, xdp_mode(l->o->xdp), &why);

	if (!r)
		r = tapper_new(&l->tapper, &l->plain.kernel, &why);
	if (!r)
		r = tapper_apply(l->tapper, &none, &why);
	if (r) {
		cli_error(r == -EADDRINUSE ? "end it first, or give this one a network namespace of its own"
					   : NULL,
			  "%s", why.n ? why.p : strerror(-r));
		return -1;
	}
	if (live_copier_prepare(l) || live_copier_start(l))
		return -1;
	if (take_objects(l, s))
		return -1;
	if (door_open(&l->door, l))
		l->door = NULL;
	return live_page_begin(l);
}

/* --- while it runs ---------------------------------------------------------------------------------- */

static int watch_files(const struct options_broker *o)
{
	const uint32_t what = IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE;
	int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);

	for (int i = 0; fd >= 0 && i < o->n_args; i++) {
		struct stat st;
		AUTO_MEM char *folder = strdup(o->args[i]);
		char *slash = folder ? strrchr(folder, '/') : NULL;
		bool is_folder = !stat(o->args[i], &st) && S_ISDIR(st.st_mode);

		/* Editors put a new file in place of the old one: it is the folder that tells. */
		if (!is_folder && slash)
			slash[slash == folder] = '\0';
		if (folder && inotify_add_watch(fd, is_folder || slash ? folder : ".", what) < 0)
			cli_error("end weft broker and start it again after a change",
				  "%s: changes cannot be followed: %s", o->args[i], strerror(errno));
	}
	return fd;
}

static void drain(int fd)
{
	char bytes[4096];

	while (read(fd, bytes, sizeof(bytes)) > 0)
		;
}

static void reload(struct live *l)
{
	struct store *s = NULL;
	uint32_t before = l->epoch;

	l->page.stale = broker_load(&s, l->o) || take_objects(l, &s);
	if (l->page.stale)
		cli_error(NULL, "what was in force before stays in force");
	else if (l->epoch != before && !l->o->output)
		fprintf(stderr, "epoch %u is in force\n", l->epoch);
	store_free(&s);
}

/* weft-copier is started anew as often as it ends; the epoch in force is told to it again. */
static void look_at_child(struct live *l)
{
	int status;
	pid_t got = l->copier.pid ? waitpid(l->copier.pid, &status, WNOHANG) : 0;

	if (got > 0) {
		child_ended(&l->copier, status);
		live_account_anew(l);
	}
	if (!l->copier.pid && clock_ms() >= l->copier.next)
		live_copier_start(l);
}

struct rates {
	json_t *before;
	uint64_t at;
};

static void tell_rates(struct live *l, struct rates *r)
{
	struct live_sums sums;
	uint64_t now = clock_ms();
	json_t *account;
	AUTO_BUF line = {0};

	if (!l->o->output && !l->o->page && !isatty(STDERR_FILENO))
		return;
	account = live_account(l, &sums);
	if (!account)
		return;
	live_page_tell(l, account);
	live_rates(&line, r->before, account, now - r->at);
	if (!l->o->output && line.n && isatty(STDERR_FILENO))
		fprintf(stderr, "\r\033[K" STR_FMT, STR_ARG(buf_str(&line)));
	if (l->o->output) {
		json_object_set_new(account, "rates", json_stringn(line.p ? line.p : "", line.n));
		output_value(account, l->o->output);
		fflush(stdout);
	}
	json_decref(r->before);
	r->before = account;
	r->at = now;
}

static void loop(struct live *l, int signals, int files)
{
	struct rates rates = {.at = clock_ms()};
	uint64_t reload_at = UINT64_MAX, rate_at = clock_ms() + RATE_MS;
	bool end = false;

	while (!end) {
		struct pollfd p[] = {{.fd = signals, .events = POLLIN},
				     {.fd = files, .events = POLLIN},
				     {.fd = tapper_fd(l->tapper), .events = POLLIN},
				     {.fd = door_fd(l->door), .events = POLLIN},
				     {.events = POLLOUT}};
		uint64_t now = clock_ms(), next = rate_at < reload_at ? rate_at : reload_at;
		struct signalfd_siginfo s;

		p[4].fd = live_page_waits(l) ? l->page.hub.control : -1;
		poll(p, ARRAY_LEN(p), next > now ? (int)(next - now) : 0);
		while (read(signals, &s, sizeof(s)) == sizeof(s))
			end |= s.ssi_signo != SIGCHLD;
		if (p[1].revents) {
			drain(files);
			reload_at = clock_ms() + SETTLE_MS;
		}
		if (p[2].revents && tapper_look(l->tapper)) {
			live_note_indexes(l);
			look_at_all(l);
			tell_feeds(l);
		}
		look_at_child(l);
		door_turn(l->door);
		live_page_look(l);
		if (clock_ms() >= reload_at) {
			reload_at = UINT64_MAX;
			reload(l);
		}
		if (clock_ms() >= rate_at) {
			rate_at = clock_ms() + RATE_MS;
			tapper_rest(l->tapper);
			tell_rates(l, &rates);
		}
	}
	json_decref(rates.before);
	if (!l->o->output && isatty(STDERR_FILENO))
		fprintf(stderr, "\r\033[K");
}

/* --- the end ---------------------------------------------------------------------------------------- */

/* Nothing is copied any more; what was is judged, then every tool is closed and what was in flight arrives.
 */
static json_t *settle(struct live *l, struct live_sums *sums)
{
	uint64_t limit = clock_ms() + DRAIN_MS, still = clock_ms(), arrived = UINT64_MAX;
	AUTO_BUF config = {0};
	json_t *account = NULL;
	bool closed = false;

	live_note_indexes(l);
	tapper_quiet(l->tapper);
	while (clock_ms() < limit) {
		json_decref(account);
		account = live_account(l, sums);
		if (!account)
			return NULL;
		if (sums->arrived != arrived) {
			arrived = sums->arrived;
			still = clock_ms();
		}
		if (closed && !sums->in_flight)
			return account;
		if (!closed && (sums->arrived >= sums->copied || clock_ms() - still > RING_MS)) {
			live_epoch_nothing(l, ++l->epoch, &config);
			closed = true;
			if (live_copier_config(l, l->epoch, buf_str(&config)))
				return account;
		}
		poll(NULL, 0, 10);
	}
	return account;
}

static int report(struct live *l)
{
	struct live_sums sums;
	AUTO_JSON account = settle(l, &sums);
	bool good = account && sums.match && !sums.in_flight;

	if (!account) {
		cli_error(NULL, "weft-copier does not answer: there are no accounts");
		return EXIT_FAILED;
	}
	/* What was copied and never came: the ring told some of it, the rest was lost on the way there. */
	if (sums.copied > sums.arrived)
		json_object_set_new(json_object_get(account, "ring"), "lostOnTheWay",
				    json_integer((json_int_t)(sums.copied - sums.arrived)));
	json_object_set_new(account, "complete", json_boolean(good));
	if (l->o->output) {
		output_value(account, l->o->output);
	} else {
		live_account_print(account);
		if (good)
			printf(
			    "\nall sums match: seen = classified + unparsable, due + added = sent + lost\n");
	}
	if (!good)
		cli_error("this is a fault of the broker: please report it",
			  "sums do not match: %" PRIu64 " copies are still in flight", sums.in_flight);
	return fflush(stdout) || !good ? EXIT_FAILED : EXIT_OK;
}

static void end(struct live *l)
{
	live_page_end(l);
	live_copier_end(l);
	door_close(&l->door);
	own_fd(&l->promisc);
	if (l->tapper)
		tapper_clean(l->tapper);
	tapper_free(&l->tapper);
	tap_plain_close(&l->plain);
	VEC_EACH (&l->points.list, k)
		free(k->key);
	VEC_EACH (&l->outlets.list, k)
		free(k->key);
	VEC_EACH (&l->ways, w) {
		free(w->tool);
		free(w->port);
	}
	VEC_EACH (&l->places, p)
		vec_free(&p->indexes);
	vec_free(&l->points.list);
	vec_free(&l->outlets.list);
	vec_free(&l->ways);
	vec_free(&l->places);
	buf_fini(&l->objects);
	buf_fini(&l->config);
	store_free(&l->store);
	broker_free(&l->b);
}

int live_run(const struct options_broker *o, struct store **s)
{
	static char host[HOST_NAME_MAX + 1];
	struct live l = {.o = o,
			 .node = o->node ? o->node : host,
			 .points = {.next = 1, .end = TAP_POINTS_MAX},
			 .outlets = {.next = 1, .end = OUTLETS_MAX + 1},
			 .copier = {.control = -1},
			 .peer = -1,
			 .listen = -1,
			 .files = -1,
			 .dial = -1,
			 .promisc = -1,
			 .page = {.lock = -1, .hub = {.control = -1}}};
	AUTO_FD int signals = -1, files = -1;
	sigset_t set;
	int r = EXIT_FAILED;

	if (geteuid()) {
		cli_error("say: sudo weft broker …, or give captures (--pcap) and a folder (--out)",
			  "the broker between interfaces puts programs into the kernel: it needs root");
		return EXIT_FAILED;
	}
	gethostname(host, sizeof(host) - 1);
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGCHLD);
	/* Ignored too, which weft-copier inherits: it ends when it is told so, with all that it holds. */
	signal(SIGINT, SIG_IGN);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	files = watch_files(o);
	if (!begin(&l, s)) {
		if (!o->output)
			fprintf(stderr, "epoch %u is in force; end with Ctrl-C\n", l.epoch);
		loop(&l, signals, files);
		r = report(&l);
	}
	end(&l);
	return r;
}
