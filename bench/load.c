/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Real traffic with a count of its own: a server (until SIGTERM, then one JSON line), a client that begins so
 * many flows a second (then one JSON line), and a flood of TCP SYNs from random sources. A flow is a TCP
 * connection (connect, request, answer, close: the server closes first) or one UDP datagram there and back
 * between a pair of ports that this run never uses again. Also counts what its namespace's eth0 sent and got
 * meanwhile. Called by bench/run and test/run/load.sh inside namespaces of pods.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/if_ether.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
	REQUEST = 64,
	ANSWER = 256,
	UDP_PORTS = 64,	 /* a server listens on so many, from its own port on */
	SOURCE = 10000,	 /* lowest port of a UDP client */
	SOURCES = 50000, /* so many */
	PAIRS = SOURCES * UDP_PORTS,
	SLOTS = 8192, /* flows under way */
	TARGETS = 8,
	EVENTS = 256,
	BATCH = 64,
	LIMIT_MS = 30000,  /* a flow that takes longer failed */
	CALLS_MS = 100000, /* that many calls take no longer */
	QUIET_MS = 300,	   /* the last segments of the last connections */
};

static volatile sig_atomic_t over;

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t now_us(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000u;
}

static struct sockaddr_in6 address(const char *host, int port)
{
	struct sockaddr_in6 sa = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
	char mapped[64];

	if (inet_pton(AF_INET6, host, &sa.sin6_addr) == 1)
		return sa;
	snprintf(mapped, sizeof(mapped), "::ffff:%s", host);
	if (inet_pton(AF_INET6, mapped, &sa.sin6_addr) != 1) {
		fprintf(stderr, "load: %s is no address\n", host);
		exit(2);
	}
	return sa;
}

static int open_socket(int type)
{
	int fd = socket(AF_INET6, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;

	if (fd >= 0)
		(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	return fd;
}

static void watch(int poll, int fd, uint32_t events, uint64_t data)
{
	struct epoll_event e = {.events = events, .data.u64 = data};

	if (epoll_ctl(poll, EPOLL_CTL_ADD, fd, &e) < 0)
		die("epoll_ctl");
}

static void on_signal(int number)
{
	(void)number;
	over = 1;
}

/* --- the server ------------------------------------------------------------------------------------ */

enum { LISTENER, DATAGRAMS, CONNECTION }; /* in the upper half of the event's data */

struct served {
	uint64_t accepted, answered, datagrams;
};

static void accept_all(int poll, int fd, struct served *n)
{
	int c;

	while ((c = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		n->accepted++;
		watch(poll, c, EPOLLIN | EPOLLET, (uint64_t)CONNECTION << 32 | (uint32_t)c);
	}
}

static void answer_one(int fd, struct served *n)
{
	static char buf[ANSWER];
	ssize_t got = recv(fd, buf, sizeof(buf), 0);

	if (got < 0 && errno == EAGAIN)
		return;
	if (got > 0 && send(fd, buf, ANSWER, MSG_NOSIGNAL) == ANSWER)
		n->answered++;
	close(fd);
}

static void echo_all(int fd, struct served *n)
{
	struct sockaddr_in6 from;
	socklen_t len = sizeof(from);
	char buf[ANSWER];
	ssize_t got;

	while ((got = recvfrom(fd, buf, sizeof(buf), 0, (struct sockaddr *)&from, &len)) > 0) {
		n->datagrams++;
		(void)sendto(fd, buf, ANSWER, 0, (struct sockaddr *)&from, len);
		len = sizeof(from);
	}
}

static int bound(int type, int port)
{
	struct sockaddr_in6 sa = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
	int fd = open_socket(type), room = 8 << 20;

	if (fd < 0 || bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0)
		die("bind");
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room));
	return fd;
}

static int serve(int port)
{
	struct served n = {0};
	struct epoll_event e[EVENTS];
	int poll = epoll_create1(EPOLL_CLOEXEC), fd = bound(SOCK_STREAM, port);

	if (poll < 0 || listen(fd, 8192) < 0)
		die("listen");
	watch(poll, fd, EPOLLIN, (uint64_t)LISTENER << 32 | (uint32_t)fd);
	for (int i = 0; i < UDP_PORTS; i++) {
		fd = bound(SOCK_DGRAM, port + i);
		watch(poll, fd, EPOLLIN, (uint64_t)DATAGRAMS << 32 | (uint32_t)fd);
	}
	puts("ready");
	fflush(stdout);
	while (!over) {
		int got = epoll_wait(poll, e, EVENTS, -1);

		for (int i = 0; i < got; i++) {
			fd = (int)(uint32_t)e[i].data.u64;
			if (e[i].data.u64 >> 32 == LISTENER)
				accept_all(poll, fd, &n);
			else if (e[i].data.u64 >> 32 == DATAGRAMS)
				echo_all(fd, &n);
			else
				answer_one(fd, &n);
		}
	}
	printf("{\"accepted\":%" PRIu64 ",\"answered\":%" PRIu64 ",\"datagrams\":%" PRIu64
	       ",\"cpu_us\":%" PRIu64 "}\n",
	       n.accepted, n.answered, n.datagrams, now_us(CLOCK_PROCESS_CPUTIME_ID));
	return 0;
}

/* --- the client ------------------------------------------------------------------------------------ */

struct target {
	struct sockaddr_in6 sa;
	bool udp;
	unsigned share;
	uint64_t begun, done, failed;
	uint64_t first_pair, datagrams; /* pairs of ports used up, from which on */
};

struct slot {
	int fd, next; /* next free; -1: none */
	struct target *to;
	uint64_t begun;
	uint32_t turn; /* events of an earlier flow in this slot are not for this one */
	uint16_t got;
	bool sent;
};

struct client {
	struct target targets[TARGETS];
	struct slot slots[SLOTS];
	unsigned n_targets, shares;
	int poll, free, why;
	uint64_t under_way, begun, refused; /* refused: not begun, for want of a port or a slot */
};

static void finish(struct client *c, struct slot *s, bool good)
{
	close(s->fd);
	if (good)
		s->to->done++;
	else
		s->to->failed++;
	s->fd = -1;
	s->turn++;
	s->next = c->free;
	c->free = (int)(s - c->slots);
	c->under_way--;
}

/* The pair of ports that comes next; false: all are used up. */
static bool next_pair(struct target *t, struct sockaddr_in6 *to, struct sockaddr_in6 *from)
{
	uint64_t n = (t->first_pair + t->datagrams) % PAIRS;

	if (t->datagrams++ == PAIRS)
		return false;
	*to = t->sa;
	to->sin6_port = htons((uint16_t)(ntohs(t->sa.sin6_port) + n / SOURCES));
	*from = (struct sockaddr_in6){.sin6_family = AF_INET6,
				      .sin6_port = htons((uint16_t)(SOURCE + n % SOURCES))};
	return true;
}

static int begin_udp(struct target *t)
{
	struct sockaddr_in6 to, from;
	char request[REQUEST] = {0};
	int fd;

	if (!next_pair(t, &to, &from))
		return -1;
	fd = open_socket(SOCK_DGRAM);
	if (fd >= 0 && !bind(fd, (struct sockaddr *)&from, sizeof(from)) &&
	    !connect(fd, (struct sockaddr *)&to, sizeof(to)) && send(fd, request, REQUEST, 0) == REQUEST)
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

static int begin_tcp(const struct target *t)
{
	int fd = open_socket(SOCK_STREAM);

	if (fd < 0 || !connect(fd, (const struct sockaddr *)&t->sa, sizeof(t->sa)) || errno == EINPROGRESS)
		return fd;
	close(fd);
	return -1;
}

static void begin(struct client *c, struct target *t)
{
	struct slot *s = c->free < 0 ? NULL : &c->slots[c->free];
	int fd = !s ? -1 : t->udp ? begin_udp(t) : begin_tcp(t);

	c->begun++;
	if (fd < 0) {
		c->refused++;
		c->why = s ? errno : ENOBUFS;
		return;
	}
	c->free = s->next;
	*s = (struct slot){
	    .fd = fd, .to = t, .begun = now_us(CLOCK_MONOTONIC), .turn = s->turn, .sent = t->udp};
	t->begun++;
	c->under_way++;
	watch(c->poll, fd, EPOLLIN | (t->udp ? 0 : EPOLLOUT) | EPOLLET,
	      (uint64_t)s->turn << 32 | (uint32_t)(s - c->slots));
}

static void on_event(struct client *c, struct slot *s)
{
	char buf[ANSWER] = {0};
	ssize_t n;

	if (!s->sent) {
		if (send(s->fd, buf, REQUEST, MSG_NOSIGNAL) != REQUEST) {
			if (errno == EAGAIN || errno == ENOTCONN)
				return;
			c->why = errno;
			finish(c, s, false);
			return;
		}
		s->sent = true;
	}
	while ((n = recv(s->fd, buf, sizeof(buf), 0)) > 0) {
		s->got = (uint16_t)(s->got + n);
		if (s->to->udp)
			break;
	}
	if (n < 0 && errno == EAGAIN)
		return;
	if (n < 0)
		c->why = errno;
	finish(c, s, s->got == ANSWER && n >= 0);
}

static void give_up(struct client *c)
{
	uint64_t now = now_us(CLOCK_MONOTONIC);

	for (int i = 0; i < SLOTS; i++)
		if (c->slots[i].fd >= 0 && now - c->slots[i].begun > LIMIT_MS * 1000u) {
			c->why = ETIMEDOUT;
			finish(c, &c->slots[i], false);
		}
}

enum { GOT, GOT_BYTES, SENT, SENT_BYTES, DEVICE };

/* A counter of IPv6 in this namespace. */
static uint64_t ip6_counter(const char *name)
{
	FILE *f = fopen("/proc/thread-self/net/snmp6", "re");
	char line[128], word[64];
	uint64_t n = 0, v;

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "%63s %" SCNu64, word, &v) == 2 && !strcmp(word, name))
			n = v;
	if (f)
		fclose(f);
	return n;
}

/* What eth0 of this namespace has got and sent, without what a host and its router tell each other about
 * themselves: that is multicast, and no flow of ours. */
static void read_device(uint64_t out[DEVICE])
{
	uint64_t heard = ip6_counter("Ip6InMcastPkts"), said = ip6_counter("Ip6OutMcastPkts");
	FILE *f = fopen("/proc/thread-self/net/dev", "re");
	char line[512], *p;

	memset(out, 0, DEVICE * sizeof(*out));
	while (f && fgets(line, sizeof(line), f)) {
		p = strstr(line, "eth0:");
		if (p && sscanf(p + 5, "%" SCNu64 " %" SCNu64 " %*u %*u %*u %*u %*u %*u %" SCNu64 " %" SCNu64,
				&out[GOT_BYTES], &out[GOT], &out[SENT_BYTES], &out[SENT]) == 4)
			break;
	}
	if (f)
		fclose(f);
	out[GOT] -= heard;
	out[GOT_BYTES] -= ip6_counter("Ip6InMcastOctets") + heard * ETH_HLEN;
	out[SENT] -= said;
	out[SENT_BYTES] -= ip6_counter("Ip6OutMcastOctets") + said * ETH_HLEN;
}

static void add_target(struct client *c, char *word)
{
	char *proto = strtok(word, ","), *host = strtok(NULL, ","), *port = strtok(NULL, ","),
	     *share = strtok(NULL, ",");
	struct target *t = &c->targets[c->n_targets];

	if (c->n_targets == TARGETS || !share) {
		fputs("load: a target is tcp|udp,ADDRESS,PORT,SHARE; at most 8 of them\n", stderr);
		exit(2);
	}
	*t = (struct target){
	    .sa = address(host, atoi(port)), .udp = !strcmp(proto, "udp"), .share = (unsigned)atoi(share)};
	t->first_pair = now_us(CLOCK_REALTIME) / 100 % PAIRS; /* runs soon after each other share none */
	c->shares += t->share;
	c->n_targets++;
}

/* In turn, each as often as its share. */
static struct target *choose(struct client *c)
{
	unsigned turn = (unsigned)(c->begun * 7919 % c->shares);

	for (unsigned i = 0; i < c->n_targets; i++) {
		if (turn < c->targets[i].share)
			return &c->targets[i];
		turn -= c->targets[i].share;
	}
	return c->targets;
}

static void run(struct client *c, uint64_t rate, uint64_t ms, uint64_t count)
{
	struct epoll_event e[EVENTS];
	uint64_t began = now_us(CLOCK_MONOTONIC), looked = began, end = began + ms * 1000, now;

	while ((now = now_us(CLOCK_MONOTONIC)) < end || c->under_way) {
		uint64_t due = now < end ? (now - began) * rate / 1000000 : 0;
		bool behind = false;

		if (c->begun >= count)
			end = now;
		due = due < count ? due : count;
		for (int i = 0; c->begun < due && !(behind = i == BATCH); i++)
			begin(c, choose(c));
		int got = epoll_wait(c->poll, e, EVENTS, behind ? 0 : 1);

		for (int i = 0; i < got; i++) {
			struct slot *s = &c->slots[(uint32_t)e[i].data.u64];

			if (s->fd >= 0 && s->turn == e[i].data.u64 >> 32)
				on_event(c, s);
		}
		if (now - looked > 500000) {
			looked = now;
			give_up(c);
		}
		if (over)
			end = now;
	}
}

static int ask(uint64_t rate, uint64_t ms, uint64_t count, char **words, int n)
{
	static struct client c = {.free = -1};
	uint64_t before[DEVICE], after[DEVICE], began, took;

	for (int i = 0; i < n; i++)
		add_target(&c, words[i]);
	c.poll = epoll_create1(EPOLL_CLOEXEC);
	if (c.poll < 0)
		die("epoll_create1");
	for (int i = SLOTS; i--;) {
		c.slots[i] = (struct slot){.fd = -1, .next = c.free};
		c.free = i;
	}
	read_device(before);
	began = now_us(CLOCK_MONOTONIC);
	run(&c, rate, ms, count);
	took = now_us(CLOCK_MONOTONIC) - began;
	usleep(QUIET_MS * 1000);
	read_device(after);
	printf("{\"targets\":[");
	for (unsigned i = 0; i < c.n_targets; i++)
		printf("%s{\"begun\":%" PRIu64 ",\"done\":%" PRIu64 ",\"failed\":%" PRIu64 "}", i ? "," : "",
		       c.targets[i].begun, c.targets[i].done, c.targets[i].failed);
	printf("],\"refused\":%" PRIu64 ",\"why\":\"%s\",\"wall_us\":%" PRIu64 ",\"cpu_us\":%" PRIu64
	       ",\"packets\":[%" PRIu64 ",%" PRIu64 "],\"bytes\":[%" PRIu64 ",%" PRIu64 "]}\n",
	       c.refused, c.why ? strerror(c.why) : "", took, now_us(CLOCK_PROCESS_CPUTIME_ID),
	       after[SENT] - before[SENT], after[GOT] - before[GOT], after[SENT_BYTES] - before[SENT_BYTES],
	       after[GOT_BYTES] - before[GOT_BYTES]);
	return 0;
}

/* --- SYNs from random sources ---------------------------------------------------------------------- */

static uint64_t random64(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

static uint32_t add_words(const void *p, size_t n, uint32_t sum)
{
	uint16_t w;

	for (size_t i = 0; i + 1 < n; i += 2) {
		memcpy(&w, (const char *)p + i, sizeof(w));
		sum += w;
	}
	return sum;
}

static uint16_t checksum(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

struct syn {
	struct iphdr ip;
	struct tcphdr tcp;
};

/* Sources: 100.64.0.0/10, which nobody here has; a new one and a new port each time. */
static void make_syn(struct syn *s, const struct sockaddr_in *to, uint64_t n)
{
	struct {
		uint32_t src, dst;
		uint8_t zero, proto;
		uint16_t len;
	} pseudo;

	*s = (struct syn){.ip = {.version = 4,
				 .ihl = 5,
				 .ttl = 64,
				 .protocol = IPPROTO_TCP,
				 .tot_len = htons(sizeof(*s)),
				 .saddr = htonl(0x64400000 | (uint32_t)(n & 0x3fffff)),
				 .daddr = to->sin_addr.s_addr},
			  .tcp = {.source = htons((uint16_t)(1024 + (n >> 22) % 60000)),
				  .dest = to->sin_port,
				  .seq = htonl((uint32_t)(n >> 32)),
				  .doff = 5,
				  .syn = 1,
				  .window = htons(1024)}};
	pseudo.src = s->ip.saddr;
	pseudo.dst = s->ip.daddr;
	pseudo.zero = 0;
	pseudo.proto = IPPROTO_TCP;
	pseudo.len = htons(sizeof(s->tcp));
	s->tcp.check = checksum(add_words(&s->tcp, sizeof(s->tcp), add_words(&pseudo, sizeof(pseudo), 0)));
}

static int syn_flood(const char *host, int port, uint64_t rate, uint64_t count)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	uint64_t began = now_us(CLOCK_MONOTONIC), sent = 0, failed = 0, seed = began | 1, due;
	uint64_t start = random64(&seed) & 0x3fffffffff;
	int fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);
	struct syn s;

	if (fd < 0 || inet_pton(AF_INET, host, &to.sin_addr) != 1)
		die("raw socket");
	while (sent + failed < count && !over) {
		due = (now_us(CLOCK_MONOTONIC) - began) * rate / 1000000;
		if (sent + failed >= due) {
			usleep(500);
			continue;
		}
		/* an odd step visits each source and port once before any comes again */
		make_syn(&s, &to, start + (sent + failed) * 2654435761u);
		if (sendto(fd, &s, sizeof(s), 0, (struct sockaddr *)&to, sizeof(to)) == sizeof(s))
			sent++;
		else
			failed++;
	}
	printf("{\"sent\":%" PRIu64 ",\"failed\":%" PRIu64 ",\"wall_us\":%" PRIu64 ",\"cpu_us\":%" PRIu64
	       "}\n",
	       sent, failed, now_us(CLOCK_MONOTONIC) - began, now_us(CLOCK_PROCESS_CPUTIME_ID));
	return 0;
}

int main(int argc, char **argv)
{
	struct sigaction end = {.sa_handler = on_signal};
	struct rlimit files = {65536, 65536};
	uint64_t rate, n;

	sigaction(SIGTERM, &end, NULL);
	(void)setrlimit(RLIMIT_NOFILE, &files);
	if (argc == 3 && !strcmp(argv[1], "serve"))
		return serve(atoi(argv[2]));
	rate = argc > 3 ? strtoull(argv[2], NULL, 10) : 0;
	n = argc > 3 ? strtoull(argv[3], NULL, 10) : 0;
	if (argc > 4 && !strcmp(argv[1], "ask"))
		return ask(rate, n, UINT64_MAX, argv + 4, argc - 4);
	if (argc > 4 && !strcmp(argv[1], "calls"))
		return ask(rate, CALLS_MS, n, argv + 4, argc - 4);
	if (argc == 6 && !strcmp(argv[1], "syn"))
		return syn_flood(argv[2], atoi(argv[3]), strtoull(argv[4], NULL, 10),
				 strtoull(argv[5], NULL, 10));
	fputs("usage: bench-load serve PORT\n"
	      "       bench-load ask RATE MILLISECONDS tcp|udp,ADDRESS,PORT,SHARE…\n"
	      "       bench-load calls RATE COUNT tcp|udp,ADDRESS,PORT,SHARE…\n"
	      "       bench-load syn ADDRESS PORT RATE COUNT\n",
	      stderr);
	return 2;
}
