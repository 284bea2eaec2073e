/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weft-copier: copies of packets to tools. Gets what the node's taps have cloned from a packet ring, judges
 * it again by the planner's maps, and hands it through each tool port's chain to its output. Nobody, without
 * capabilities; what it needs comes over its control socket, with which it ends.
 */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>

#include "agent/fdpass.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/own.h"
#include "copier/config.h"
#include "copier/copier.h"
#include "copier/http.h"
#include "copier/reader.h"

enum { END_MS = 2000 };

struct peer {
	uv_poll_t poll;
	int fd;
	/* Answered once the packet ring is there. */
	uint32_t waits;
	bool waiting;
};

static uint64_t wall(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int send_frame(void *ctx, uint32_t outlet, const uint8_t *frame, uint32_t n)
{
	struct copier *c = ctx;

	int r = c->packets ? packets_send(c->packets, outlet, frame, n) : -ENOTCONN;

	c->frames += !r && !(outlet & OUTLET_CANARY);
	return r;
}

static void on_batch(void *ctx)
{
	sinks_flush(ctx);
}

/* weft-agent starts it again, with a packet socket at the new interface. */
static void on_failed(void *ctx, int error)
{
	struct copier *c = ctx;

	log_warn("the packet socket: %s: starting anew", strerror(-error));
	uv_stop(&c->loop);
}

/* --- planner ---------------------------------------------------------------------------------------- */

static void reply(struct peer *p, uint32_t epoch, const char *error)
{
	AUTO_BUF text = {0};

	buf_printf(&text, "{\"epoch\":%u,\"ok\":%s", epoch, error ? "false" : "true");
	if (error) {
		buf_addz(&text, ",\"error\":");
		buf_json(&text, str_of(error));
	}
	buf_addc(&text, '}');
	if (send(p->fd, text.p, text.n, MSG_NOSIGNAL) < 0)
		log_warn("the planner's socket: %s", strerror(errno));
}

static void peer_ready(struct copier *c)
{
	if (!c->peer || !c->peer->waiting || !c->packets)
		return;
	c->peer->waiting = false;
	reply(c->peer, c->peer->waits, NULL);
}

static int read_all(int fd, struct buf *out)
{
	struct stat st;
	off_t at = 0;

	if (fstat(fd, &st) || st.st_size < 0 || st.st_size > CONFIG_BYTES_MAX)
		return -EMSGSIZE;
	while (at < st.st_size) {
		char piece[65536];
		ssize_t n = pread(fd, piece, sizeof(piece), at);

		if (n <= 0)
			return n ? -errno : -EIO;
		buf_add(out, piece, (size_t)n);
		at += n;
		if (at > CONFIG_BYTES_MAX)
			return -EMSGSIZE;
	}
	return out->failed ? -ENOMEM : 0;
}

static uint32_t epoch_of(struct str message)
{
	AUTO(json_decrefp) json_t *m = json_loadb(message.p, message.n, 0, NULL);

	return (uint32_t)json_integer_value(json_object_get(m, "epoch"));
}

static void take_config(struct copier *c, struct str message, int fd)
{
	uint32_t epoch = epoch_of(message);
	AUTO_BUF json = {0};
	AUTO_BUF why = {0};
	int r = fd < 0 ? -EBADF : read_all(fd, &json);

	if (!r)
		r = config_apply(c, buf_str(&json), &why);
	if (r) {
		if (!why.n)
			buf_addz(&why, strerror(-r));
		log_warn("epoch %u is refused: %s", epoch, why.p);
		reply(c->peer, epoch, why.p);
		return;
	}
	c->peer->waiting = true;
	c->peer->waits = epoch;
	peer_ready(c);
}

static void free_peer(uv_handle_t *h)
{
	struct peer *p = h->data;

	close(p->fd);
	free(p);
}

static void peer_end(struct copier *c)
{
	struct peer *p = TAKE(c->peer);

	if (!p)
		return;
	uv_poll_stop(&p->poll);
	uv_close((uv_handle_t *)&p->poll, free_peer);
}

static void on_peer(uv_poll_t *poll, int status, int events)
{
	struct copier *c = ((struct peer *)poll->data)->poll.loop->data;
	char message[512];
	int fds[1] = {-1};
	unsigned n = 0;
	ssize_t got = fdpass_recv(c->peer->fd, message, sizeof(message), fds, &n, 1);

	(void)status;
	(void)events;
	if (got == -EAGAIN)
		return;
	if (got <= 0) {
		peer_end(c);
		return;
	}
	take_config(c, (struct str){message, (size_t)got}, n ? fds[0] : -1);
	if (n)
		close(fds[0]);
}

static int take_peer(struct copier *c, int fd)
{
	struct peer *p = calloc(1, sizeof(*p));

	peer_end(c);
	if (!p || uv_poll_init(&c->loop, &p->poll, fd)) {
		free(p);
		return -ENOMEM;
	}
	p->fd = fd;
	p->poll.data = p;
	c->peer = p;
	uv_poll_start(&p->poll, UV_READABLE, on_peer);
	return 0;
}

/* --- weft-agent ------------------------------------------------------------------------------------- */

static int take_packets(struct copier *c, int fd)
{
	const struct packets_options o = {
	    .loop = &c->loop, .seen = feed_packet, .batch = on_batch, .failed = on_failed, .ctx = c};
	struct packets *fresh = NULL;
	int r = packets_new(&fresh, fd, &o);

	if (r) {
		log_error("the packet socket is of no use: %s", strerror(-r));
		return r;
	}
	if (c->packets)
		c->lost_before += packets_lost(c->packets);
	packets_free(&c->packets);
	c->packets = fresh;
	peer_ready(c);
	return 0;
}

static void answer(void *ctx, struct str path, struct str query, struct http_reply *out);

static void handle_control(struct copier *c, const struct control_message *m, int fd)
{
	int r = -EINVAL;

	if (fd < 0)
		return;
	switch (m->type) {
	case CONTROL_PEER:
		r = take_peer(c, fd);
		break;
	case CONTROL_PACKETS:
		r = take_packets(c, fd);
		break;
	case CONTROL_LISTEN:
		r = c->http ? -EALREADY : http_new(&c->http, &c->loop, fd, answer, c);
		break;
	case CONTROL_OBSERVE:
		outlets_free(&c->outlets);
		r = outlets_new(&c->outlets, &c->loop, fd);
		break;
	case CONTROL_ARRIVALS:
		arrivals_free(&c->arrivals);
		r = arrivals_new(&c->arrivals, c, fd);
		break;
	case CONTROL_FILES:
		r = copier_files(fd);
		if (r)
			log_error("the folder of files: %s", strerror(-r));
		c->host.files = !r;
		close(fd);
		return;
	default:
		break;
	}
	if (r)
		close(fd);
}

static void on_control(uv_poll_t *handle, int status, int events)
{
	struct copier *c = handle->data;
	struct control_message m;
	int fd;

	(void)events;
	/* All that is there: a CONFIG that comes behind it finds its folder. */
	do {
		if (status < 0 || control_recv(CONTROL_FD, &m, &fd) <= 0) {
			uv_stop(&c->loop);
			return;
		}
		handle_control(c, &m, fd);
	} while (poll(&(struct pollfd){.fd = CONTROL_FD, .events = POLLIN}, 1, 0) > 0);
}

/* --- copier.sock ------------------------------------------------------------------------------------ */

static void answer_capture(struct copier *c, struct str name, struct http_reply *out)
{
	struct str rest = name;
	const struct sink *s;

	name = str_cut(&rest, '/');
	s = str_eqz(rest, "stream") ? sink_find(c, BROKER_TO_STREAM, STR("capture"), name) : NULL;
	if (!s)
		return;
	out->stream = stream_read(s->output);
	out->status = out->stream ? 200 : 503;
	out->type = "application/x-pcapng";
}

static void answer_ring(struct copier *c, struct str name, struct str query, struct http_reply *out)
{
	struct str rest = name, port = http_query(query, "port"), last = http_query(query, "last");
	int64_t seconds = 0;
	const struct sink *s;
	uint64_t now = wall();

	name = str_cut(&rest, '/');
	s = str_eqz(rest, "stream") ? sink_find(c, BROKER_TO_RING, name, port.n ? port : STR("default"))
				    : NULL;
	if (!s)
		return;
	if (last.n && str_to_i64(last, 0, INT32_MAX, &seconds)) {
		out->status = 400;
		return;
	}
	c->host.now = now;
	out->stream = ring_read(s->output, last.n ? now - (uint64_t)seconds * 1000000000u : 0);
	out->status = out->stream ? 200 : 503;
	out->type = "application/x-pcapng";
}

static void answer(void *ctx, struct str path, struct str query, struct http_reply *out)
{
	static const struct str captures = {"/captures/", 10}, rings = {"/rings/", 7};
	struct copier *c = ctx;

	if (str_eqz(path, "/account")) {
		account_print(c, &out->body);
		out->status = 200;
	} else if (str_eqz(path, "/metrics")) {
		metrics_print(c, &out->body);
		out->status = 200;
		out->type = "text/plain; version=0.0.4";
	} else if (str_eqz(path, "/time")) {
		buf_printf(&out->body, "{\"time\":%llu}\n", (unsigned long long)wall());
		out->status = 200;
	} else if (str_starts(path, captures)) {
		answer_capture(c, (struct str){path.p + captures.n, path.n - captures.n}, out);
	} else if (str_starts(path, rings)) {
		answer_ring(c, (struct str){path.p + rings.n, path.n - rings.n}, query, out);
	}
}

/* --- the program ------------------------------------------------------------------------------------ */

static void on_tick(uv_timer_t *t)
{
	struct copier *c = t->data;
	uint64_t ms = clock_ms();

	c->host.now = wall();
	if (c->packets)
		c->host.ring_lost = copier_lost(c);
	if (!c->packets || packets_idle(c->packets))
		c->host.drained = c->host.now - PACKETS_RETIRE_MS * 1000000ull;
	sinks_tick(c, ms);
	if (c->arrivals)
		arrivals_tick(c->arrivals, ms);
	epochs_tick(c, ms);
	epochs_health(c);
}

static int setup(struct copier *c)
{
	int r = uv_loop_init(&c->loop);

	if (r)
		return r;
	c->loop.data = c;
	c->host.loop = &c->loop;
	c->host.send = send_frame;
	c->host.ctx = c;
	c->began = c->host.now = wall();
	if (getrandom(&c->seed, sizeof(c->seed), 0) != sizeof(c->seed))
		return -errno;
	r = uv_poll_init(&c->loop, &c->control, CONTROL_FD);
	if (!r)
		r = uv_timer_init(&c->loop, &c->tick);
	c->control.data = c->tick.data = c;
	if (!r)
		r = uv_poll_start(&c->control, UV_READABLE, on_control);
	return r ? r : uv_timer_start(&c->tick, on_tick, TICK_MS, TICK_MS);
}

int main(int argc, char **argv)
{
	static struct copier c;
	int r;

	if (argc > 1 && !strcmp(argv[1], "--help")) {
		puts("weft-copier: hands copies of packets to tools; started by weft-agent");
		return 0;
	}
	for (int i = 1; i < argc; i++)
		c.again |= !strcmp(argv[i], "--again");
	log_open("copier");
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	r = copier_seal();
	if (!r)
		r = setup(&c);
	if (r) {
		log_error("cannot start: %s", strerror(-r));
		return 1;
	}
	uv_run(&c.loop, UV_RUN_DEFAULT);
	if (c.packets)
		packets_drain(c.packets, PACKETS_RETIRE_MS);
	copier_fini(&c, END_MS);
	return 0;
}
