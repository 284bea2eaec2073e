/* SPDX-License-Identifier: Apache-2.0 */
/* Captures in, captures out: see broker.h. libpcap reads what is foreign, after the process is sealed. */
#include "cli/broker.h"

#include <errno.h>
#include <inttypes.h>
#include <pcap/pcap.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/own.h"
#include "broker/comment.h"
#include "cli/command.h"

static volatile sig_atomic_t stopped;

static void stop(int number)
{
	(void)number;
	stopped = 1;
}

static int open_inputs(struct broker_run *run)
{
	for (uint32_t i = 0; i < run->inputs_n; i++) {
		struct broker_input *in = &run->inputs[i];
		struct stat st;

		in->file = !strcmp(in->path, "-") ? stdin : fopen(in->path, "rbe");
		if (!in->file) {
			cli_error(NULL, "%s: %s", in->path, strerror(errno));
			return -1;
		}
		if (!fstat(fileno(in->file), &st) && S_ISREG(st.st_mode))
			in->size = (uint64_t)st.st_size;
	}
	return 0;
}

static bool is_tunnel(const struct broker_port *p)
{
	return p->to.encap.kind != CHAIN_ENCAP_NONE;
}

/* A tunnel's headers are those that a node would write, but for what only a node knows: its own address and
 * the way's MTU. */
static void tunnel_chain(struct chain_config *out, const struct broker_run *run, const struct broker_port *p)
{
	bool is4 = addr_is4(&p->to.encap.dst);

	*out = p->chain;
	if (!is_tunnel(p))
		return;
	out->encap = p->to.encap;
	out->encap.mtu = p->mtu;
	out->encap.src = run->tunnel_source;
	if (addr_is_zero(&out->encap.src) || addr_is4(&out->encap.src) != is4)
		addr_parse(is4 ? STR("192.0.2.1") : STR("2001:db8::1"), &out->encap.src);
	memcpy(out->encap.src_mac, (const uint8_t[]){2, 0, 0, 0, 0, 1}, 6);
	memcpy(out->encap.dst_mac, (const uint8_t[]){2, 0, 0, 0, 0, 2}, 6);
}

static int open_tool(struct broker_run *run, uint32_t port, const char *folder, size_t buffer)
{
	const struct broker_port *p = &run->b->ports[port];
	struct broker_tool *t = &run->tools[port];
	struct pcapng_file_options file = {.buffer = buffer};
	struct chain_config config;
	AUTO_BUF about = {0};
	AUTO_BUF why = {0};
	int r;

	t->used = true;
	t->due_of = calloc((size_t)run->inputs_n + 1, sizeof(*t->due_of));
	t->sent_of = calloc((size_t)run->inputs_n + 1, sizeof(*t->sent_of));
	t->ring.size = p->discard ? 0 : p->to.ring_bytes;
	tunnel_chain(&config, run, p);
	r = t->due_of && t->sent_of ? chain_new(&t->chain, &config, &why) : -ENOMEM;
	if (r || p->discard)
		goto out;
	t->path = broker_file_name(p, folder, 0);
	if (!t->path)
		return -ENOMEM;
	/* A folder with last time's files may be given again; an input is never written over. */
	if (!broker_is_row(p) && broker_is_input(run, t->path)) {
		cli_error("give another folder with --out", "%s is one of the captures that are read",
			  t->path);
		return -EEXIST;
	}
	buf_printf(&about, "tool " STR_FMT ", port " STR_FMT, STR_ARG(p->tool), STR_ARG(p->port));
	if (broker_is_row(p)) {
		t->row = (struct broker_row){run->opener, port, folder};
		file.max_bytes = p->to.rotate_bytes;
		file.max_time = p->to.rotate_seconds * 1000000000ull;
		file.open = broker_row_next;
		file.ctx = &t->row;
	}
	r = pcapng_file_open(&t->file, t->path,
			     &(struct pcapng_section){.application = STR("weft " WEFT_VERSION),
						      .clock = STR("of the captures that were read"),
						      .comment = buf_str(&about)},
			     &file);
out:
	if (r && t->path)
		cli_error(NULL, "%s: %s", t->path, strerror(-r));
	else if (r)
		cli_error(NULL, "tool " STR_FMT "/" STR_FMT ": %s", STR_ARG(p->tool), STR_ARG(p->port),
			  why.n ? why.p : strerror(-r));
	return r;
}

static int open_tools(struct broker_run *run, const char *folder)
{
	enum { BUFFERS = 32 << 20, BUFFER_MIN = 4096, BUFFER_MAX = 256 << 10 };
	struct rlimit files;
	uint32_t used = 0;
	size_t buffer;

	if (mkdir(folder, 0777) && errno != EEXIST) {
		cli_error(NULL, "%s: %s", folder, strerror(errno));
		return -1;
	}
	if (!getrlimit(RLIMIT_NOFILE, &files)) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	for (uint32_t p = 0; p < run->b->ports_n; p++)
		for (uint32_t i = 0; i < run->inputs_n; i++)
			if (point_reaches(run->inputs[i].point, p)) {
				used += !run->tools[p].used;
				run->tools[p].used = true;
			}
	buffer = BUFFERS / (used ? used : 1);
	buffer = buffer < BUFFER_MIN ? BUFFER_MIN : buffer > BUFFER_MAX ? BUFFER_MAX : buffer;
	for (uint32_t p = 0; p < run->b->ports_n; p++)
		if (run->tools[p].used && open_tool(run, p, folder, buffer))
			return -1;
	return 0;
}

static void broken(struct broker_input *in, const char *why)
{
	long at = in->file ? ftell(in->file) : -1;

	in->broken_at = at < 0 ? (int64_t)in->bytes : at;
	snprintf(in->error, sizeof(in->error), "%s", why);
	in->more = false;
}

static void start_input(struct broker_input *in)
{
	char error[PCAP_ERRBUF_SIZE] = "";

	in->pcap = pcap_fopen_offline_with_tstamp_precision(in->file, PCAP_TSTAMP_PRECISION_NANO, error);
	if (!in->pcap) {
		broken(in, error);
		return;
	}
	in->file = pcap_file(in->pcap); /* pcap_close() closes it */
	in->link = (uint32_t)pcap_datalink(in->pcap);
	in->more = true;
}

static void next_packet(struct broker_input *in, uint32_t number)
{
	struct pcap_pkthdr *h;
	const uint8_t *bytes;
	int got = pcap_next_ex(in->pcap, &h, &bytes);

	in->more = got == 1;
	if (got == PCAP_ERROR)
		broken(in, pcap_geterr(in->pcap));
	if (!in->more)
		return;
	in->head =
	    (struct chain_packet){.p = bytes,
				  .caplen = h->caplen,
				  .len = h->len < h->caplen ? h->caplen : h->len,
				  .link = in->link,
				  .source = number,
				  .time = (uint64_t)h->ts.tv_sec * 1000000000u + (uint64_t)h->ts.tv_usec};
	in->bytes += h->caplen + 16u;
}

/* Number of the interface block of that source and link type; a strip can change the type. */
static int link_number(struct broker_run *run, struct broker_tool *t, uint32_t input, uint32_t link,
		       uint32_t *number)
{
	const struct broker_input *in = &run->inputs[input];
	struct broker_link new = {.input = input, .link = link};
	int r;

	VEC_EACH (&t->links, l)
		if (l->input == input && l->link == link) {
			*number = l->number;
			return 0;
		}
	r = pcapng_file_interface(t->file,
				  &(struct pcapng_interface){.link = link,
							     .name = in->name.n ? in->name : STR("all"),
							     .description = str_of(in->path)},
				  &new.number);
	if (!r)
		r = vec_push(&t->links, new);
	*number = new.number;
	return r;
}

/* An interface block for each source that leads to the tool, also where no packet does (BR79). */
static void name_sources(struct broker_run *run)
{
	for (uint32_t p = 0; p < run->b->ports_n; p++)
		for (uint32_t i = 0; run->tools[p].file && i < run->inputs_n; i++) {
			uint32_t number;

			if (run->inputs[i].pcap && point_reaches(run->inputs[i].point, p) &&
			    !run->tools[p].error)
				run->tools[p].error =
				    link_number(run, &run->tools[p], i, run->inputs[i].link, &number);
		}
}

struct hand {
	struct broker_run *run;
	struct broker_tool *tool;
	const struct broker_port *port;
};

/* Bytes that the tool's link carries behind its own header. */
static uint32_t carried(const struct chain_packet *p)
{
	uint32_t n = p->flags & PACKET_SLICED ? p->caplen : p->len, head = 14;

	if (p->link != CHAIN_LINK_ETHERNET)
		return n;
	while (p->caplen >= head && head < 22 && p->p[head - 2] == 0x81 && !p->p[head - 1])
		head += 4;
	return n > head ? n - head : 0;
}

static void count_rate(struct broker_tool *t, const struct chain_packet *p)
{
	uint64_t second = p->time / 1000000000u;
	uint64_t bits = 8ull * (p->flags & PACKET_SLICED ? p->caplen : p->len);

	t->bits = second == t->second ? t->bits + bits : bits;
	t->second = second;
	if (t->bits > t->peak)
		t->peak = t->bits;
}

static void hand_over(void *ctx, const struct chain_packet *p)
{
	struct hand *h = ctx;
	struct broker_tool *t = h->tool;
	AUTO_BUF comment = {0};
	struct pcapng_packet out = {
	    .time = p->time, .p = p->p, .caplen = p->caplen, .len = p->len, .comments = &(struct str){0}};

	/* A tunnel's own limit is its chain's business: the outer packet's. */
	if (h->port->mtu && !is_tunnel(h->port) && carried(p) > h->port->mtu) {
		t->mtu++;
		return;
	}
	count_rate(t, p);
	if (t->file) {
		struct str text;

		if (p->flags & ~(uint32_t)(PACKET_VLAN_BESIDE | PACKET_SLICED) || p->outers)
			broker_comment(&comment, p);
		text = buf_str(&comment);
		out.comments = &text;
		out.comments_n = comment.n > 0;
		int r = link_number(h->run, t, p->source, p->link, &out.interface);
		if (!r && t->ring.size)
			r = broker_ring_add(&t->ring, &out);
		if (r || t->ring.size)
			t->refused += r != 0;
		else
			r = pcapng_file_packet(t->file, &out);
		if (r) {
			t->error = r;
			return;
		}
	}
	t->handed++;
	t->handed_bytes += p->caplen;
	t->sent_of[p->source]++;
}

static int judge_next(struct broker_run *run, struct broker_input *in)
{
	const struct chain_packet *p = &in->head;
	struct judged said;

	judge_packet(run->judge, in->point, p, BROKER_DIRECTION_IN | BROKER_DIRECTION_OUT, BROKER_FORWARDED,
		     &said);
	in->seen++;
	*(said.whole ? &in->classified : &in->unparsable) += 1;
	in->taken += said.maps_n > 0;
	run->down += said.down;
	for (uint32_t i = 0; i < said.maps_n; i++) {
		run->map_packets[said.maps[i]]++;
		run->map_bytes[said.maps[i]] += p->len;
	}
	for (uint32_t i = 0; i < said.ports_n; i++) {
		struct broker_tool *t = &run->tools[said.ports[i]];
		struct hand h = {run, t, &run->b->ports[said.ports[i]]};
		int r;

		t->due++;
		t->due_bytes += p->len;
		t->due_of[p->source]++;
		r = chain_run(t->chain, p, hand_over, &h);
		if (r)
			return r;
	}
	return 0;
}

static void show_progress(const struct broker_run *run, bool end)
{
	uint64_t size = 0, bytes = 0;

	for (uint32_t i = 0; i < run->inputs_n; i++) {
		size += run->inputs[i].size;
		bytes += run->inputs[i].bytes;
	}
	if (end)
		fprintf(stderr, "\r\033[K");
	else if (size)
		fprintf(stderr, "\r\033[K%" PRIu64 " packets, %" PRIu64 " %%", run->packets,
			bytes >= size ? 100 : bytes * 100 / size);
	else
		fprintf(stderr, "\r\033[K%" PRIu64 " packets", run->packets);
}

static struct broker_input *earliest(struct broker_run *run)
{
	struct broker_input *first = NULL;

	for (uint32_t i = 0; i < run->inputs_n; i++)
		if (run->inputs[i].more && (!first || run->inputs[i].head.time < first->head.time))
			first = &run->inputs[i];
	return first;
}

static int read_all(struct broker_run *run)
{
	enum { LOOK = 4096, EVERY_MS = 200 };
	uint64_t told = clock_ms();
	struct broker_input *in;
	int r = 0;

	for (uint32_t i = 0; i < run->inputs_n; i++) {
		start_input(&run->inputs[i]);
		if (run->inputs[i].more)
			next_packet(&run->inputs[i], i);
	}
	name_sources(run);
	while (!r && !stopped && (in = earliest(run))) {
		r = judge_next(run, in);
		next_packet(in, (uint32_t)(in - run->inputs));
		if (++run->packets % LOOK || !run->progress || clock_ms() - told < EVERY_MS)
			continue;
		told = clock_ms();
		show_progress(run, false);
	}
	run->interrupted = stopped;
	if (run->progress)
		show_progress(run, true);
	return r;
}

uint64_t broker_chain_sum(const struct chain *c, enum chain_counter_kind kind)
{
	const uint64_t *counts = chain_counts(c);
	uint64_t sum = 0;

	for (int i = 0; i < CHAIN_COUNTERS; i++)
		sum += chain_counter_kind((enum chain_counter)i) == kind ? counts[i] : 0;
	return sum;
}

/* The counts of each source at the end of the file (BR79). */
static void close_tool(struct broker_run *run, struct broker_tool *t)
{
	int r = broker_ring_write(&t->ring, t->file);

	if (!t->error)
		t->error = r;
	VEC_EACH (&t->links, l) {
		const struct broker_input *in = &run->inputs[l->input];
		uint64_t due = t->due_of[l->input], sent = t->sent_of[l->input];

		pcapng_file_statistics(t->file,
				       &(struct pcapng_statistics){.interface = l->number,
								   .has_received = true,
								   .received = in->seen,
								   .has_accepted = true,
								   .accepted = due,
								   .has_os_dropped = true,
								   .os_dropped = due > sent ? due - sent : 0,
								   .has_delivered = true,
								   .delivered = sent});
	}
	r = pcapng_file_close(&t->file, &t->totals);
	if (!t->error)
		t->error = r;
}

int broker_run(struct broker_run *run, const char *folder)
{
	const struct broker *b = run->b;
	struct sigaction act = {.sa_handler = stop};
	int r;

	run->tools = calloc((size_t)b->ports_n + 1, sizeof(*run->tools));
	run->map_packets = calloc((size_t)b->maps_n + 1, sizeof(*run->map_packets));
	run->map_bytes = calloc((size_t)b->maps_n + 1, sizeof(*run->map_bytes));
	if (!run->tools || !run->map_packets || !run->map_bytes || judge_new(&run->judge, b)) {
		cli_error(NULL, "out of memory");
		return -1;
	}
	if (open_inputs(run) || open_tools(run, folder))
		return -1;
	sigaction(SIGINT, &act, NULL);
	sigaction(SIGTERM, &act, NULL);
	signal(SIGXFSZ, SIG_IGN);
	r = broker_seal();
	if (r) {
		cli_error(NULL, "this process cannot be sealed before it reads captures: %s", strerror(-r));
		return -1;
	}
	r = read_all(run);
	if (r)
		cli_error(NULL, "%s", strerror(-r));
	for (uint32_t i = 0; i < b->ports_n; i++)
		if (run->tools[i].file)
			close_tool(run, &run->tools[i]);
	return r ? -1 : 0;
}

void broker_run_fini(struct broker_run *run)
{
	for (uint32_t i = 0; run->tools && i < run->b->ports_n; i++) {
		struct broker_tool *t = &run->tools[i];

		chain_free(&t->chain);
		broker_ring_fini(&t->ring);
		if (t->file)
			pcapng_file_close(&t->file, NULL);
		vec_free(&t->links);
		free(t->due_of);
		free(t->sent_of);
		free(t->path);
	}
	for (uint32_t i = 0; i < run->inputs_n; i++) {
		point_free(&run->inputs[i].point);
		if (run->inputs[i].pcap)
			pcap_close(run->inputs[i].pcap);
		else if (run->inputs[i].file && run->inputs[i].file != stdin)
			fclose(run->inputs[i].file);
	}
	judge_free(&run->judge);
	free(run->tools);
	free(run->map_packets);
	free(run->map_bytes);
	free(run->inputs);
}
