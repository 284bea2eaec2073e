/* SPDX-License-Identifier: Apache-2.0 */
/* Questions of the page and the children that answer them: see page_ask.h. */
#include "hub/page_ask.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/log.h"
#include "base/own.h"

enum {
	AT_ONCE = 2,
	WAITING = 16,
	ANSWER_MS = 20000,
	ANSWER_MAX = 8 << 20, /* bytes */
	TROUBLE_MAX = 4 << 10,
	MEMORY_MAX = 1 << 30,
	PROGRAM_FD = 64, /* or above it */
	NICE = 10,	 /* packets and the page come first */
};

struct ask {
	struct http_later later;
	struct page_asks *all;
	struct ask *next; /* that waits */
	struct ask_words words;
	uv_process_t process;
	uv_pipe_t out, err;
	uv_timer_t timer;
	struct buf answer, trouble;
	int over; /* descriptor of the changes; -1: none */
	int64_t status;
	int signal;
	unsigned handles; /* that are not closed */
	bool exited, late, much, left, done;
};

struct page_asks {
	struct hub *hub;
	int program;
	unsigned running, waiting;
	struct ask *first, **last;
	struct ask *all[AT_ONCE]; /* those that run */
	char piece[64 << 10];
};

/* --- the program ----------------------------------------------------------------------------------- */

int page_ask_program(void)
{
	/* libexec/weft/weft-hub and bin/weft; build/src/hub/weft-hub and build/src/cli/weft */
	static const char *const places[] = {"../../bin/weft", "../cli/weft"};
	char own[512], path[600];
	ssize_t n = readlink("/proc/self/exe", own, sizeof(own) - 1);
	int fd = -1;

	own[n > 0 ? n : 0] = 0;
	char *slash = strrchr(own, '/');

	if (slash)
		*slash = 0;
	for (size_t i = 0; slash && fd < 0 && i < ARRAY_LEN(places); i++) {
		snprintf(path, sizeof(path), "%s/%s", own, places[i]);
		fd = open(path, O_PATH | O_CLOEXEC);
	}
	/* out of the way of what a child gets as its first descriptors */
	int high = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, PROGRAM_FD);

	if (fd >= 0)
		close(fd);
	fd = high;
	if (fd < 0)
		log_warn("the program weft is not beside %s: the page's questions have no answer", own);
	return fd;
}

/* --- ends ------------------------------------------------------------------------------------------ */

static void start_next(struct page_asks *a);

static void ask_free(struct ask *k)
{
	ask_words_fini(&k->words);
	buf_fini(&k->answer);
	buf_fini(&k->trouble);
	own_fd(&k->over);
	free(k);
}

/* All of the child is gone; the answer may still wait for its client. */
static void on_closed(uv_handle_t *h)
{
	struct ask *k = h->data;
	struct page_asks *all = k->all;

	if (--k->handles)
		return;
	for (unsigned i = 0; i < AT_ONCE; i++)
		if (all->all[i] == k)
			all->all[i] = NULL;
	all->running--;
	k->done = true;
	if (k->left)
		ask_free(k);
	else
		http_later_wake(&k->later);
	start_next(all);
}

static void close_one(uv_handle_t *h)
{
	if (!uv_is_closing(h))
		uv_close(h, on_closed);
}

static void end(struct ask *k)
{
	if (!k->exited || uv_is_active((uv_handle_t *)&k->out) || uv_is_active((uv_handle_t *)&k->err))
		return;
	close_one((uv_handle_t *)&k->process);
	close_one((uv_handle_t *)&k->out);
	close_one((uv_handle_t *)&k->err);
	close_one((uv_handle_t *)&k->timer);
}

static void on_exit_of(uv_process_t *p, int64_t status, int signal)
{
	struct ask *k = p->data;

	k->exited = true;
	k->status = status;
	k->signal = signal;
	end(k);
}

static void stop(struct ask *k)
{
	if (!k->exited)
		uv_process_kill(&k->process, SIGKILL);
}

static void on_late(uv_timer_t *t)
{
	struct ask *k = t->data;

	k->late = true;
	stop(k);
}

static void on_room(uv_handle_t *h, size_t wanted, uv_buf_t *b)
{
	struct ask *k = h->data;

	(void)wanted;
	*b = uv_buf_init(k->all->piece, sizeof(k->all->piece));
}

static void on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *b)
{
	struct ask *k = s->data;
	bool trouble = s == (uv_stream_t *)&k->err;
	struct buf *to = trouble ? &k->trouble : &k->answer;

	if (n < 0) {
		uv_read_stop(s);
		end(k);
		return;
	}
	if (trouble && to->n + (size_t)n > TROUBLE_MAX)
		return; /* the first of it says what is wrong */
	k->much |= !trouble && to->n + (size_t)n > ANSWER_MAX;
	if (k->much)
		stop(k);
	else
		buf_add(to, b->base, (size_t)n);
}

/* --- begins ---------------------------------------------------------------------------------------- */

/* The child reads them from its standard input. */
static int write_over(struct ask *k)
{
	const struct buf *b = &k->words.over;

	if (!b->n)
		return 0;
	k->over = memfd_create("changes", MFD_CLOEXEC);
	for (size_t at = 0; k->over >= 0 && at < b->n;) {
		ssize_t n = write(k->over, b->p + at, b->n - at);

		if (n < 0)
			return -errno;
		at += (size_t)n;
	}
	return k->over < 0 || lseek(k->over, 0, SEEK_SET) ? -errno : 0;
}

static void bound(pid_t pid)
{
	const struct rlimit memory = {MEMORY_MAX, MEMORY_MAX}, seconds = {ANSWER_MS / 1000, ANSWER_MS / 1000};

	prlimit(pid, RLIMIT_AS, &memory, NULL);
	prlimit(pid, RLIMIT_CPU, &seconds, NULL);
	setpriority(PRIO_PROCESS, (id_t)pid, NICE);
}

static int spawn(struct ask *k)
{
	static char *env[] = {(char *)(uintptr_t) "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
			      (char *)(uintptr_t) "NO_COLOR=1", (char *)(uintptr_t) "LC_ALL=C.UTF-8", NULL};
	char program[48];
	uv_stdio_container_t stdio[3] = {
	    {.flags = k->over >= 0 ? UV_INHERIT_FD : UV_IGNORE, .data.fd = k->over},
	    {.flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE, .data.stream = (uv_stream_t *)&k->out},
	    {.flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE, .data.stream = (uv_stream_t *)&k->err}};
	uv_process_options_t o = {.exit_cb = on_exit_of,
				  .file = program,
				  .args = k->words.list.items,
				  .env = env,
				  .cwd = "/",
				  .stdio_count = 3,
				  .stdio = stdio};

	snprintf(program, sizeof(program), "/proc/self/fd/%d", k->all->program);
	return uv_spawn(&k->all->hub->loop, &k->process, &o);
}

static void start(struct ask *k)
{
	uv_loop_t *loop = &k->all->hub->loop;
	uv_handle_t *handles[] = {(uv_handle_t *)&k->process, (uv_handle_t *)&k->out, (uv_handle_t *)&k->err,
				  (uv_handle_t *)&k->timer};
	int r = write_over(k);

	uv_pipe_init(loop, &k->out, 0);
	uv_pipe_init(loop, &k->err, 0);
	uv_timer_init(loop, &k->timer);
	/* its own handle is one only after that */
	bool tried = !r;
	size_t from = tried ? 0 : 1;

	if (tried)
		r = spawn(k);
	for (size_t i = from; i < ARRAY_LEN(handles); i++)
		handles[i]->data = k;
	k->handles = (unsigned)(ARRAY_LEN(handles) - from);
	k->all->running++;
	for (unsigned i = 0; i < AT_ONCE; i++)
		if (!k->all->all[i]) {
			k->all->all[i] = k;
			break;
		}
	if (r) {
		log_error("a question of the page: weft does not start: %s", uv_strerror(r));
		buf_printf(&k->trouble, "weft does not start: %s", uv_strerror(r));
		k->exited = true;
		for (size_t i = from; i < ARRAY_LEN(handles); i++)
			close_one(handles[i]);
		return;
	}
	bound(k->process.pid);
	uv_timer_start(&k->timer, on_late, ANSWER_MS, 0);
	uv_read_start((uv_stream_t *)&k->out, on_room, on_read);
	uv_read_start((uv_stream_t *)&k->err, on_room, on_read);
}

static void start_next(struct page_asks *a)
{
	while (a->first && a->running < AT_ONCE) {
		struct ask *k = a->first;

		a->first = k->next;
		if (!a->first)
			a->last = &a->first;
		a->waiting--;
		start(k);
	}
}

/* --- answers --------------------------------------------------------------------------------------- */

static void refuse(struct http_reply *rp, const struct ask *k)
{
	struct api_error e = {0};

	if (k->much)
		api_fail(&e, 413, "RequestEntityTooLarge", "the answer is larger than %d MiB",
			 ANSWER_MAX >> 20);
	else if (k->late || k->signal)
		api_fail(&e, 504, "Timeout", "there was no answer within %d s", ANSWER_MS / 1000);
	else
		api_fail(&e, 422, "Invalid", STR_FMT, STR_ARG(str_trim(buf_str(&k->trouble))));
	api_refuse(rp, &e);
	api_error_fini(&e);
}

static void on_answer(struct http_later *l, struct http_reply *rp)
{
	struct ask *k = CONTAINER_OF(l, struct ask, later);
	bool json = k->answer.n && (k->answer.p[0] == '{' || k->answer.p[0] == '[');

	if (json && !k->late && !k->much && !k->signal && !k->answer.failed)
		buf_adds(&rp->body, buf_str(&k->answer));
	else
		refuse(rp, k);
	ask_free(k);
}

/* Who asked is gone: nobody needs the answer. */
static void on_gone(struct http_later *l)
{
	struct ask *k = CONTAINER_OF(l, struct ask, later);
	struct page_asks *a = k->all;

	for (struct ask **at = &a->first; *at; at = &(*at)->next)
		if (*at == k) {
			*at = k->next;
			if (!*at)
				a->last = at;
			a->waiting--;
			ask_free(k);
			return;
		}
	if (k->done) {
		ask_free(k);
		return;
	}
	k->left = true;
	stop(k);
}

static void enqueue(struct page_asks *a, struct ask *k)
{
	*a->last = k;
	a->last = &k->next;
	a->waiting++;
	start_next(a);
}

void page_ask(struct hub *h, const struct who *who, const struct http_request *rq, struct http_reply *rp,
	      struct api_error *e)
{
	struct page_asks *a = h->asks;
	json_t *q = json_loadb(rq->body.p ? rq->body.p : "", rq->body.n, JSON_ALLOW_NUL, NULL);
	struct ask *k = NULL;

	if (!json_is_object(q) && rq->body.n)
		api_fail(e, 400, "BadRequest", "the body is one JSON object");
	else if (a->program < 0)
		api_fail(e, 503, "ServiceUnavailable", "the program weft is not beside weft-hub");
	else if (a->waiting >= WAITING) {
		e->retry = true;
		api_fail(e, 503, "ServiceUnavailable", "too many questions are being answered; try again");
	} else if (!(k = calloc(1, sizeof(*k))))
		api_fail(e, 500, "InternalError", "out of memory");
	if (k) {
		k->all = a;
		k->over = -1;
		k->later.answer = on_answer;
		k->later.gone = on_gone;
		if (ask_words(&k->words, rq->path + strlen("/page/ask/"), q, who, &h->opt, e)) {
			ask_free(k);
		} else {
			rp->later = &k->later;
			enqueue(a, k);
		}
	}
	json_decref(q);
}

/* --- life ------------------------------------------------------------------------------------------ */

int page_asks_new(struct page_asks **out, struct hub *h, int program)
{
	struct page_asks *a = calloc(1, sizeof(*a));

	if (!a)
		return -ENOMEM;
	a->hub = h;
	a->program = program;
	a->last = &a->first;
	*out = a;
	return 0;
}

void page_asks_stop(struct page_asks *a)
{
	for (unsigned i = 0; a && i < AT_ONCE; i++) {
		struct ask *k = a->all[i];

		if (!k)
			continue;
		stop(k);
		k->exited = true;
		uv_read_stop((uv_stream_t *)&k->out);
		uv_read_stop((uv_stream_t *)&k->err);
		end(k);
	}
}

void page_asks_free(struct page_asks **pa)
{
	struct page_asks *a = *pa;

	if (!a)
		return;
	own_fd(&a->program);
	free(TAKE(*pa));
}
