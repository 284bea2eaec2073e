/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `weft export`: records of connections and drops to who keeps them: a collector of IPFIX, a file, a socket.
 * Once, what the hub has; or following, each ended record once. Counts what was handed on and what was lost,
 * and tells the hub, for its metrics: nothing is left out in silence.
 */
#include "cli/export.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/own.h"
#include "cli/account_socket.h"
#include "cli/cluster.h"
#include "cli/output.h"

enum { ONCE_LIMIT = 99999, BATCH = 4096, IDLE_MS = 250, STAND_MS = 20, TELL_MS = 1000, GIVE_UP_MS = 3000 };

struct exporter {
	const struct options_export *o;
	const char *cluster;
	struct export_target to;
	struct export_form form;
	struct export_state *s;
	struct export_batch b;
	struct sink sink;
	uint64_t told_at; /* monotonic ms: the hub was told */
	bool away;	  /* the hub does not answer */
	bool stood;	  /* the sink took nothing for a while, since the last batch */
	bool stood_disk;
};

static volatile sig_atomic_t stopping;

static void on_signal(int number)
{
	(void)number;
	stopping = 1;
}

/* A reader of standard output that ends, ends this too, as other programs do. */
static void ignore_pipe(const struct exporter *x)
{
	if (x->to.kind != EXPORT_STDOUT)
		signal(SIGPIPE, SIG_IGN);
}

static void pause_ms(unsigned ms)
{
	nanosleep(&(struct timespec){.tv_nsec = (long)ms * 1000000}, NULL);
}

/* --- the hub --------------------------------------------------------------------------------------- */

static json_t *place_json(const struct history_place *p)
{
	return json_pack("[I,I,I]", (json_int_t)p->at[0], (json_int_t)p->at[1], (json_int_t)p->at[2]);
}

static void place_read(const json_t *j, struct history_place *p)
{
	for (size_t i = 0; i < ARRAY_LEN(p->at); i++)
		p->at[i] = (uint64_t)json_integer_value(json_array_get(j, i));
}

static long put_hub(const struct exporter *x, const char *method, const char *what, const json_t *body,
		    struct buf *out)
{
	AUTO_MEM char *text = json_dumps(body, JSON_COMPACT);
	char path[CLUSTER_PATH], url[64];

	if (!text)
		return -1;
	cluster_path(path, x->cluster, "hub.sock");
	snprintf(url, sizeof(url), "/apis/weft.network/internal/%s", what);
	return http_try(path, method, url, str_of(text), out);
}

/* NULL: the hub is away (told once), or refuses (told; *refused). */
static json_t *ask(struct exporter *x, const struct history_place *to, int limit, bool *refused)
{
	const struct export_state *s = x->s;
	AUTO_JSON q = json_pack("{s:i,s:b,s:I}", "limit", limit, "again", x->o->every_node, "began",
				(json_int_t)s->began);
	AUTO_BUF out = {};
	long code;

	if (x->o->n_args)
		json_object_set_new(q, "filter", json_string(x->o->args[0]));
	if (s->began)
		json_object_set_new(q, "at", place_json(&s->at));
	if (to)
		json_object_set_new(q, "to", place_json(to));
	code = put_hub(x, "POST", "follow", q, &out);
	*refused = code >= 400 && code < 500;
	if (*refused)
		http_tell_hint("try the filter with weft flows", code, buf_str(&out));
	if (code != 200 && !x->away && !*refused)
		cli_error(NULL, "the hub does not answer; waiting");
	if (code == 200 && x->away)
		cli_error(NULL, "the hub answers again");
	x->away = code != 200;
	return code == 200 ? json_loadb(out.p, out.n, 0, NULL) : NULL;
}

static uint64_t waiting(const struct export_state *s)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < ARRAY_LEN(s->at.at); i++)
		n += s->newest.at[i] - s->at.at[i];
	return n > s->done ? n - s->done : 0;
}

static void tell_hub(struct exporter *x)
{
	const struct export_state *s = x->s;
	AUTO_JSON lost = json_object();
	AUTO_BUF out = {};

	for (unsigned i = 0; i < LOSSES; i++)
		json_object_set_new(lost, export_loss_name(i), json_integer((json_int_t)s->lost[i]));
	AUTO_JSON v = json_pack("{s:s,s:I,s:I,s:I,s:I,s:b,s:O}", "to", x->o->to ? x->o->to : "-", "records",
				(json_int_t)s->records, "messages", (json_int_t)s->messages, "bytes",
				(json_int_t)s->bytes, "waiting", (json_int_t)waiting(s), "standing",
				x->sink.trouble[0] != 0, "lost", lost);

	if (x->o->n_args)
		json_object_set_new(v, "filter", json_string(x->o->args[0]));
	put_hub(x, "PUT", "exporter", v, &out);
	x->told_at = clock_ms();
}

/* --- its place ------------------------------------------------------------------------------------- */

static void lose(struct exporter *x, enum export_loss why, uint64_t n, const char *text)
{
	if (!n)
		return;
	x->s->lost[why] += n;
	cli_error(x->o->n_args ? "the filter was not asked of them" : NULL,
		  "%llu records were not exported: %s", (unsigned long long)n, text);
}

/* What the hub before had, and we had not taken, is gone. What its nodes told nobody since is known when the
 * new one hears of them. */
static void note_new_hub(struct exporter *x, int64_t began)
{
	struct export_state *s = x->s;

	lose(x, LOSS_RESTART, waiting(s), "the hub was started again");
	for (uint32_t i = 0; i < s->nodes_len; i++) {
		struct export_node *n = &s->nodes[i];

		n->old_epoch = n->epoch;
		n->old_next = n->next;
		n->pending = 1;
	}
	s->done = 0;
	s->at = s->newest = (struct history_place){};
	s->began = began;
}

/* Half of all 32-bit numbers are ahead of one, half behind it. */
static bool is_before(uint32_t a, uint32_t b)
{
	return a != b && b - a < 1u << 31;
}

static void take_nodes(struct exporter *x, const json_t *answer)
{
	struct export_state *s = x->s;
	json_t *one;
	size_t i;

	for (uint32_t k = 0; k < s->nodes_len; k++)
		s->nodes[k].present = 0;
	json_array_foreach (json_object_get(answer, "nodes"), i, one) {
		const char *name = json_string_value(json_object_get(one, "name")) ?: "";
		struct export_node *n = export_state_node(s, name, true);
		uint32_t first = (uint32_t)json_integer_value(json_object_get(one, "toldFirst"));

		if (!n)
			continue;
		if (n->pending && is_before(n->told, first))
			lose(x, LOSS_RESTART, first - n->told, "they went with a hub that ended");
		n->pending = 0;
		n->present = 1;
		n->epoch = (uint32_t)json_integer_value(json_object_get(one, "epoch"));
		n->next = (uint32_t)json_integer_value(json_object_get(one, "next"));
		n->told = (uint32_t)json_integer_value(json_object_get(one, "told"));
	}
	place_read(json_object_get(answer, "newest"), &s->newest);
}

/* A record that the hub before had taken: a node tells again what it is not sure of. */
static bool is_repeated(struct export_state *s, const json_t *flow, const json_t *mark)
{
	const char *node = json_string_value(json_object_get(flow, "seenBy")) ?: "";
	const struct export_node *n = export_state_node(s, node, false);

	return n && n->old_epoch && n->old_epoch == (uint32_t)json_integer_value(json_array_get(mark, 0)) &&
	       is_before((uint32_t)json_integer_value(json_array_get(mark, 1)), n->old_next);
}

/* --- a batch --------------------------------------------------------------------------------------- */

static int add_all(struct exporter *x, const json_t *answer)
{
	const json_t *marks = json_object_get(answer, "marks");
	json_t *flow;
	size_t i;
	int r = 0;

	export_batch_clear(&x->b);
	for (uint32_t k = 0; k < x->s->nodes_len; k++)
		x->s->nodes[k].sequence_to = x->s->nodes[k].sequence;
	json_array_foreach (json_object_get(answer, "flows"), i, flow) {
		if (marks && is_repeated(x->s, flow, json_array_get(marks, i)))
			continue;
		r = export_batch_add(&x->b, x->s, &x->form, flow);
		if (r == -ENOMEM)
			return r;
	}
	return export_batch_end(&x->b);
}

static void note_behind(struct exporter *x, const json_t *answer, uint64_t known)
{
	uint64_t n = (uint64_t)json_integer_value(json_object_get(answer, "lost"));

	n = n > known ? n - known : 0;
	if (x->stood && x->stood_disk)
		lose(x, LOSS_DISK, n, "the hub had no more room while the file could not be written");
	else
		lose(x, LOSS_BEHIND, n, "they made room in the hub before they could be taken");
	x->stood = x->stood_disk = false;
}

static void end_sequences(struct export_state *s)
{
	for (uint32_t i = 0; i < s->nodes_len; i++)
		s->nodes[i].sequence = s->nodes[i].sequence_to;
	s->written = s->in_write = 0;
}

static void commit(struct export_state *s)
{
	s->phase = PHASE_SENT;
	s->at = s->to;
	s->done = 0;
	end_sequences(s);
	s->phase = PHASE_IDLE;
}

/* One within which a run before was killed, and that cannot be made again as it was: the rest of it is lost.
 * What a new hub does not have is counted when the next batch is asked for. */
static void give_up_batch(struct exporter *x, const json_t *answer, int64_t began)
{
	struct export_state *s = x->s;

	if (began == s->began) {
		place_read(json_object_get(answer, "at"), &s->to);
		note_behind(x, answer, s->done);
		commit(s);
		return;
	}
	end_sequences(s);
	s->phase = PHASE_IDLE;
}

/* The next batch, or that within which a run before was killed. 0; 1: nothing is there; -errno. */
static int fetch(struct exporter *x)
{
	struct export_state *s = x->s;
	bool again = s->phase == PHASE_SENDING, refused;
	AUTO_JSON answer = ask(x, again ? &s->to : NULL, BATCH, &refused);
	json_int_t began = json_integer_value(json_object_get(answer, "began"));
	int r;

	if (!answer)
		return refused ? -EINVAL : 1;
	if (again && (began != s->began || json_integer_value(json_object_get(answer, "lost")))) {
		give_up_batch(x, answer, began);
		return 0;
	}
	if (!s->began) {
		s->began = began;
		if (x->o->fresh) {
			place_read(json_object_get(answer, "newest"), &s->at);
			take_nodes(x, answer);
			return 1;
		}
		place_read(json_object_get(answer, "first"), &s->at);
	} else if (began != s->began) {
		note_new_hub(x, began);
		place_read(json_object_get(answer, "first"), &s->at);
	}
	take_nodes(x, answer);
	if (!again) {
		note_behind(x, answer, 0);
		place_read(json_object_get(answer, "at"), &s->to);
		s->room = x->form.room = sink_room(&x->sink);
	}
	x->form.room = s->room;
	r = add_all(x, answer);
	if (r)
		return r;
	if (!again) {
		s->written = s->in_write = 0;
		s->done = 0;
		s->phase = PHASE_SENDING;
	}
	return 0;
}

/* Sent again it might be there twice: a loss that has a number is better than a record that never was. */
static void skip_unsure(struct exporter *x)
{
	struct export_state *s = x->s;

	if (x->to.kind == EXPORT_FILE || s->in_write != s->written + 1 || s->written >= x->b.chunks.len)
		return;
	lose(x, LOSS_UNSURE, x->b.chunks.items[s->written].records,
	     "they were on their way when the exporter was killed");
	sink_commit(&x->sink, NULL);
}

/* While a batch stands: how much waits behind it. */
static void look(struct exporter *x)
{
	bool refused;
	AUTO_JSON answer = ask(x, NULL, 1, &refused);

	if (answer && json_integer_value(json_object_get(answer, "began")) == x->s->began)
		take_nodes(x, answer);
}

static void breathe(struct exporter *x, bool stands)
{
	if (clock_ms() - x->told_at < TELL_MS)
		return;
	if (stands)
		look(x);
	tell_hub(x);
}

/* Hands the batch on. SINK_STANDS: it was told to stop. */
static enum sink_result send_batch(struct exporter *x)
{
	struct export_state *s = x->s;
	uint64_t since = clock_ms();
	uint32_t before = s->written;

	for (;;) {
		enum sink_result r =
		    s->written < x->b.chunks.len ? sink_put(&x->sink, &x->b) : sink_settle(&x->sink, &x->b);

		if (r == SINK_TAKEN && s->written >= x->b.chunks.len) {
			/* the last chunk was just put: what is on its way is waited for */
			if (sink_settle(&x->sink, &x->b) == SINK_TAKEN)
				return SINK_TAKEN;
			r = SINK_STANDS;
		}
		if (r == SINK_ENDED)
			return r;
		if (s->written != before)
			since = clock_ms();
		before = s->written;
		if (r == SINK_STANDS) {
			x->stood |= x->sink.trouble[0] != 0;
			x->stood_disk |= x->sink.disk;
			if (stopping || (!x->o->follow && clock_ms() - since > GIVE_UP_MS))
				return r;
			pause_ms(STAND_MS);
		}
		if (x->o->follow)
			breathe(x, r == SINK_STANDS);
	}
}

/* Tells what goes on, between two batches of what ended. Nothing of it is the hub's: what is not handed on is
 * told later. */
static int tell_active(struct exporter *x)
{
	AUTO_JSON q = export_active_due(x->b.active) ? export_active_question(x->b.active) : NULL;
	int r;

	if (!q)
		return 0;
	json_object_set_new(q, "again", json_boolean(x->o->every_node));
	if (x->o->n_args)
		json_object_set_new(q, "filter", json_string(x->o->args[0]));
	AUTO_JSON answer = account_ask_flows(x->cluster, q);

	if (!answer)
		return 0; /* told when it is asked for what ended */
	x->form.room = sink_room(&x->sink);
	x->s->written = x->s->in_write = 0;
	r = add_all(x, answer);
	if (!r && x->b.chunks.len && send_batch(x) == SINK_ENDED)
		r = -EPIPE;
	end_sequences(x->s);
	if (!waiting(x->s) && !json_is_true(json_object_get(answer, "more")))
		export_active_forget(x->b.active);
	return r;
}

/* --- follow ---------------------------------------------------------------------------------------- */

static int step(struct exporter *x)
{
	int r = fetch(x);

	if (r < 0)
		return r;
	if (!r && x->s->phase == PHASE_SENDING) {
		enum sink_result sent;

		skip_unsure(x);
		sent = send_batch(x);
		if (sent == SINK_ENDED)
			return -EPIPE;
		if (sent == SINK_STANDS)
			return 0;
		r = !x->b.chunks.len;
		commit(x->s);
	}
	if (x->s->phase == PHASE_IDLE) {
		int told = tell_active(x);

		if (told)
			return told;
	}
	sink_tick(&x->sink);
	breathe(x, false);
	if (r > 0)
		pause_ms(IDLE_MS);
	return 0;
}

static int follow(struct exporter *x)
{
	struct sigaction sa = {.sa_handler = on_signal};
	int r = 0;

	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	ignore_pipe(x);
	if (x->s->phase == PHASE_SENT)
		commit(x->s);
	while (!r && !stopping && cluster_is_up(x->cluster))
		r = step(x);
	tell_hub(x);
	fprintf(stderr, "%llu records in %llu messages were handed on, %llu lost; %llu wait in the hub.\n",
		(unsigned long long)x->s->records, (unsigned long long)x->s->messages,
		(unsigned long long)export_lost(x->s), (unsigned long long)waiting(x->s));
	return r && r != -EPIPE ? EXIT_FAILED : EXIT_OK;
}

/* --- once ------------------------------------------------------------------------------------------ */

static void turn(json_t *flows)
{
	for (size_t i = 0, n = json_array_size(flows); i < n / 2; i++) {
		json_t *a = json_incref(json_array_get(flows, i)),
		       *b = json_incref(json_array_get(flows, n - 1 - i));

		json_array_set_new(flows, i, b);
		json_array_set_new(flows, n - 1 - i, a);
	}
}

static uint64_t unsent(const struct exporter *x)
{
	uint64_t n = 0;

	for (size_t i = x->s->written; i < x->b.chunks.len; i++)
		n += x->b.chunks.items[i].records;
	return n;
}

static int once(struct exporter *x)
{
	AUTO_JSON q = json_pack("{s:i,s:b}", "limit", ONCE_LIMIT, "again", x->o->every_node);
	uint64_t rest;

	if (x->o->n_args)
		json_object_set_new(q, "filter", json_string(x->o->args[0]));
	AUTO_JSON answer = account_ask_flows(x->cluster, q);

	if (!answer) {
		cli_error("try the filter with weft flows", "the hub does not answer this question");
		return EXIT_FAILED;
	}
	turn(json_object_get(answer, "flows"));
	x->form.room = sink_room(&x->sink);
	if (add_all(x, answer)) {
		cli_error(NULL, "out of memory");
		return EXIT_FAILED;
	}
	ignore_pipe(x);
	send_batch(x);
	sink_tick(&x->sink);
	rest = unsent(x) + export_lost(x->s);
	fprintf(x->to.kind == EXPORT_STDOUT ? stderr : stdout,
		"%llu records of %zu connections and drops went to %s in %llu messages.\n",
		(unsigned long long)x->s->records, json_array_size(json_object_get(answer, "flows")),
		x->o->to ? x->o->to : "standard output", (unsigned long long)x->s->messages);
	if (rest)
		cli_error("is the collector there?", "%llu records were lost%s%s", (unsigned long long)rest,
			  x->sink.trouble[0] ? ": " : "", x->sink.trouble);
	return rest ? EXIT_FAILED : EXIT_OK;
}

/* --- options --------------------------------------------------------------------------------------- */

static bool read_form(const struct options_export *o, const struct export_target *to, struct export_form *f)
{
	bool ipfix = to->kind == EXPORT_UDP || to->kind == EXPORT_TCP;

	if (o->as)
		ipfix = !strcmp(o->as, "ipfix");
	*f = (struct export_form){.json = !ipfix, .both_ways = o->biflow, .pen = (uint32_t)o->names_pen};
	if (ipfix && (to->kind == EXPORT_FILE || to->kind == EXPORT_STDOUT)) {
		cli_error("IPFIX goes to udp:// and tcp://",
			  "--as ipfix: files and standard output take lines "
			  "of JSON");
		return false;
	}
	if (!ipfix && to->kind == EXPORT_UDP) {
		cli_error("JSON goes to tcp://, unix:, file: and -", "--as json: datagrams carry IPFIX");
		return false;
	}
	if (o->active && (!ipfix || !o->follow || o->state)) {
		cli_error(NULL, "--active-timeout is for IPFIX with --follow, without --state");
		return false;
	}
	if (!o->follow && (o->state || o->fresh)) {
		cli_error(NULL, "--state and --new are for --follow");
		return false;
	}
	return true;
}

static uint64_t what_of(const struct exporter *x)
{
	AUTO_BUF b = {};

	buf_printf(&b, "%s\n%s\n%d %d %u %d", x->o->to ? x->o->to : "-", x->o->n_args ? x->o->args[0] : "",
		   x->form.json, x->form.both_ways, x->form.pen, x->o->every_node);
	return hash_bytes(b.p, b.n, 1);
}

int cmd_export(const struct options_export *o)
{
	struct exporter x = {.o = o, .cluster = cluster_name(o->name)};
	int r = EXIT_FAILED;

	if (!x.cluster || !export_target_parse(&x.to, o->to ? o->to : "-") || !read_form(o, &x.to, &x.form) ||
	    (o->n_args && !export_filter_check(o->args[0])))
		return EXIT_USAGE;
	if (!cluster_need(x.cluster))
		return EXIT_FAILED;
	x.s = export_state_open(o->state, what_of(&x));
	if (!x.s)
		return EXIT_FAILED;
	if (o->active && export_active_new(&x.b.active, (unsigned)o->active)) {
		cli_error(NULL, "out of memory");
		export_state_close(&x.s);
		return EXIT_FAILED;
	}
	x.sink = (struct sink){.to = &x.to, .o = o, .form = &x.form, .s = x.s};
	if (!sink_open(&x.sink))
		r = o->follow ? follow(&x) : once(&x);
	sink_close(&x.sink);
	export_batch_clear(&x.b);
	export_active_free(&x.b.active);
	buf_fini(&x.b.bytes);
	vec_free(&x.b.chunks);
	export_state_close(&x.s);
	return r;
}
