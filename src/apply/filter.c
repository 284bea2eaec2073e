/* SPDX-License-Identifier: Apache-2.0 */
/* Filter programs, put together and loaded: see filter.h. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "apply/filter_code.h"
#include "base/own.h"
#include "filter.skel.h"
#include "filter_socket.skel.h"
#include "filter_xdp.skel.h"
#include "seam/tap.h"

enum { LOG_SIZE = 64 << 10, HEAD_MAX = 4096 };

int filter_check(const struct filter_form *f, struct buf *why)
{
	if (!f->steps == !f->classic) {
		buf_addz(why, "a filter is either steps or classic BPF");
		return -EINVAL;
	}
	return f->steps ? steps_check(f->steps, f->n, why) : classic_check(f->classic, f->n, why);
}

/* --- the head -------------------------------------------------------------------------------------- */

enum { HEAD_TC, HEAD_XDP, HEAD_SOCKET, HEADS };

static struct head {
	pthread_mutex_t lock;
	struct bpf_insn insns[HEAD_MAX];
	uint32_t n, exit; /* where it leaves */
} heads[HEADS] = {[0 ... HEADS - 1] = {.lock = PTHREAD_MUTEX_INITIALIZER}};

static bool is_mark(const struct bpf_insn *i)
{
	return i[0].code == (BPF_ALU64 | BPF_MOV | BPF_K) && i[0].imm == FILTER_MARK &&
	       i[1].code == (BPF_JMP | BPF_EXIT);
}

/* Takes the head's instructions out of its object, which has neither BPF maps nor functions. */
static int take_head(struct head *h, const struct bpf_program *p)
{
	const struct bpf_insn *from = bpf_program__insns(p);
	size_t n = bpf_program__insn_cnt(p);
	unsigned marks = 0;

	if (!from || n > HEAD_MAX || n < 2)
		return -ENOEXEC;
	for (size_t i = 0; i < n; i++) {
		if (i + 1 < n && is_mark(&from[i])) {
			h->exit = (uint32_t)i + 1;
			marks++;
		} else if (from[i].code == (BPF_JMP | BPF_CALL) && from[i].src_reg) {
			return -ENOEXEC;
		}
	}
	if (marks != 1)
		return -ENOEXEC;
	memcpy(h->insns, from, n * sizeof(*from));
	h->n = (uint32_t)n;
	return 0;
}

static int read_plain(struct head *h)
{
	struct filter_head *skeleton = filter_head__open();
	int r = skeleton ? take_head(h, skeleton->progs.weft_filter) : -errno;

	filter_head__destroy(skeleton);
	return r;
}

static int read_xdp(struct head *h)
{
	struct filter_xdp_head *skeleton = filter_xdp_head__open();
	int r = skeleton ? take_head(h, skeleton->progs.weft_filter) : -errno;

	filter_xdp_head__destroy(skeleton);
	return r;
}

static int read_socket(struct head *h)
{
	struct filter_socket_head *skeleton = filter_socket_head__open();
	int r = skeleton ? take_head(h, skeleton->progs.weft_filter) : -errno;

	filter_socket_head__destroy(skeleton);
	return r;
}

static int read_head(int which, struct buf *why)
{
	struct head *h = &heads[which];
	int r = 0;

	pthread_mutex_lock(&h->lock);
	if (!h->n)
		r = which == HEAD_XDP ? read_xdp(h) : which == HEAD_SOCKET ? read_socket(h) : read_plain(h);
	pthread_mutex_unlock(&h->lock);
	if (r)
		buf_printf(why, "the head of filter programs cannot be read: %s", strerror(-r));
	return r;
}

/* r1 = 0, which the verifier cannot know: no packet has 2 GiB, no interface such a number. What is made of it
 * is a plain unknown number to it; numbers that it follows multiply the states that it walks through: a set
 * of filters would not load.
 */
static void emit_unknown_zero(struct emitter *e)
{
	emit(e, BPF_LDX | BPF_MEM | BPF_W, BPF_REG_1, BPF_REG_6,
	     e->xdp ? offsetof(struct xdp_md, ingress_ifindex) : offsetof(struct __sk_buff, len), 0);
	emit(e, BPF_ALU | BPF_RSH | BPF_K, BPF_REG_1, 0, 0, 31);
}

static void emit_forget_key(struct emitter *e)
{
	for (short at = 0; at < (short)sizeof(struct filter_key); at = (short)(at + 4)) {
		emit(e, BPF_LDX | BPF_MEM | BPF_W, BPF_REG_2, BPF_REG_8, at, 0);
		emit(e, BPF_ALU | BPF_OR | BPF_X, BPF_REG_2, BPF_REG_1, 0, 0);
		emit(e, BPF_STX | BPF_MEM | BPF_W, BPF_REG_8, BPF_REG_2, at, 0);
	}
}

/* r8 the frame, r6 the packet. Steps need the headers; classic BPF alone needs the frame only. */
static int emit_begin(struct emitter *e, bool steps, bool classic, struct buf *why)
{
	const struct head *head = &heads[e->head];
	int r = steps ? read_head(e->head, why) : 0;
	short frame = -(short)sizeof(struct filter_frame);

	if (r)
		return r;
	if (steps) {
		for (uint32_t i = 0; i < head->n; i++)
			emit(e, head->insns[i].code, head->insns[i].dst_reg, head->insns[i].src_reg,
			     head->insns[i].off, head->insns[i].imm);
		if (!e->error)
			e->code->insns.items[head->exit] = (struct bpf_insn){
			    .code = BPF_JMP | BPF_JA, .off = (short)(head->n - head->exit - 1)};
		emit(e, BPF_LDX | BPF_MEM | BPF_DW, BPF_REG_6, BPF_REG_8, FRAME(ctx), 0);
	} else {
		emit(e, BPF_ALU64 | BPF_MOV | BPF_X, BPF_REG_6, BPF_REG_1, 0, 0);
		emit(e, BPF_ALU64 | BPF_MOV | BPF_X, BPF_REG_8, BPF_REG_10, 0, 0);
		emit(e, BPF_ALU64 | BPF_ADD | BPF_K, BPF_REG_8, 0, 0, frame);
	}
	emit_unknown_zero(e);
	emit(e, BPF_STX | BPF_MEM | BPF_W, BPF_REG_8, BPF_REG_1, FRAME(matched), 0);
	emit(e, BPF_STX | BPF_MEM | BPF_W, BPF_REG_8, BPF_REG_1, FRAME(head_len), 0);
	emit(e, BPF_STX | BPF_MEM | BPF_W, BPF_REG_8, BPF_REG_1, FRAME(shift), 0);
	if (steps)
		emit_forget_key(e);
	if (classic)
		classic_begin(e);
	return 0;
}

/* r0: what matched, and of a judge's own bits those that are so. */
static void emit_answer(struct emitter *e, bool judge)
{
	emit(e, BPF_LDX | BPF_MEM | BPF_W, BPF_REG_0, BPF_REG_8, FRAME(matched), 0);
	if (judge) {
		emit(e, BPF_ALU | BPF_OR | BPF_K, BPF_REG_0, 0, 0, (int32_t)TAP_ALWAYS);
		emit(e, BPF_LDX | BPF_MEM | BPF_W, BPF_REG_1, BPF_REG_8, FRAME(key.has), 0);
		emit(e, BPF_ALU | BPF_AND | BPF_K, BPF_REG_1, 0, 0, HAS_WHOLE);
		emit(e, BPF_JMP | BPF_JNE | BPF_K, BPF_REG_1, 0, 1, 0);
		emit(e, BPF_ALU | BPF_OR | BPF_K, BPF_REG_0, 0, 0, (int32_t)TAP_UNPARSABLE);
	}
	emit(e, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
}

enum { FOR_FILTERS, FOR_JUDGE, FOR_FEED, FOR_SOCKET };

static int translate(struct filter_code *out, const struct filter_form *set, unsigned n, int what,
		     struct buf *why)
{
	struct filter_code code = {};
	struct emitter e = {.code = &code,
			    .xdp = what == FOR_FEED,
			    .head = what == FOR_FEED	 ? HEAD_XDP
				    : what == FOR_SOCKET ? HEAD_SOCKET
							 : HEAD_TC};
	bool judge = what == FOR_JUDGE || what == FOR_FEED, steps = judge, classic = false;
	int r = 0;

	for (unsigned i = 0; i < n && !r; i++) {
		r = filter_check(&set[i], why);
		steps = steps || set[i].steps;
		classic = classic || set[i].classic;
	}
	if (!r)
		r = emit_begin(&e, steps, classic, why);
	for (unsigned i = 0; i < n && !r; i++) {
		if (set[i].steps)
			steps_emit(&e, set[i].steps, set[i].n);
		else
			classic_emit(&e, set[i].classic, set[i].n);
		emit_end(&e, i);
		r = e.error;
	}
	emit_answer(&e, judge);
	r = r ? r : e.error;
	if (r == -E2BIG)
		buf_addz(why, "it is too large for one program");
	vec_free(&e.jumps);
	vec_free(&e.places);
	if (r)
		filter_code_fini(&code);
	else
		*out = code;
	return r;
}

static int translate_set(struct filter_code *out, const struct filter_form *set, unsigned n, int what,
			 struct buf *why)
{
	if (!n || n > FILTER_SET_MAX) {
		buf_printf(why, "a set of %u filters; 1 to %u are taken", n, FILTER_SET_MAX);
		return -EINVAL;
	}
	return translate(out, set, n, what, why);
}

int filter_translate(struct filter_code *out, const struct filter_form *set, unsigned n, struct buf *why)
{
	return translate_set(out, set, n, FOR_FILTERS, why);
}

int filter_translate_socket(struct filter_code *out, const struct filter_form *set, unsigned n,
			    struct buf *why)
{
	return translate_set(out, set, n, FOR_SOCKET, why);
}

int filter_translate_judge(struct filter_code *out, const struct filter_form *set, unsigned n,
			   struct buf *why)
{
	if (n > TAP_FILTERS_MAX) {
		buf_printf(why, "a judge of %u filters; up to %u are taken", n, TAP_FILTERS_MAX);
		return -EINVAL;
	}
	return translate(out, set, n, FOR_JUDGE, why);
}

int filter_translate_feed(struct filter_code *out, const struct filter_form *set, unsigned n, struct buf *why)
{
	if (n > TAP_FILTERS_MAX) {
		buf_printf(why, "a judge of %u filters; up to %u are taken", n, TAP_FILTERS_MAX);
		return -EINVAL;
	}
	return translate(out, set, n, FOR_FEED, why);
}

void filter_code_fini(struct filter_code *c)
{
	vec_free(&c->insns);
}

/* --- the kernel ------------------------------------------------------------------------------------ */

/* The verifier's last line but its sums is the reason. */
static void tell_refusal(struct buf *why, char *log, int err)
{
	char *line = NULL, *save = NULL;

	for (char *l = strtok_r(log, "\n", &save); l; l = strtok_r(NULL, "\n", &save))
		if (strncmp(l, "processed ", 10) && strncmp(l, "verification time", 17) &&
		    strncmp(l, "stack depth", 11) && (!line || strncmp(l, "max_", 4)))
			line = l;
	buf_printf(why, "the kernel refuses the program: %s%s%s", strerror(-err), line ? ": " : "",
		   line ? line : "");
}

int filter_load(const struct filter_code *c, uint32_t type, uint32_t *walked, struct buf *why)
{
	LIBBPF_OPTS(bpf_prog_load_opts, opts);
	struct bpf_prog_info info = {};
	uint32_t len = sizeof(info);
	char *log;
	int fd;

	if (type == BPF_PROG_TYPE_XDP) {
		opts.expected_attach_type = BPF_XDP;
		opts.prog_flags = BPF_F_XDP_HAS_FRAGS;
	}
	fd = bpf_prog_load((enum bpf_prog_type)type, "weft_filter", "Dual BSD/GPL", c->insns.items,
			   c->insns.len, &opts);

	if (fd >= 0) {
		if (walked)
			*walked = bpf_obj_get_info_by_fd(fd, &info, &len) ? 0 : info.verified_insns;
		return fd;
	}
	fd = -errno;
	if (fd == -EPERM) {
		buf_addz(why, "loading a program needs CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON");
		return fd;
	}
	log = calloc(1, LOG_SIZE);
	if (!log)
		return -ENOMEM;
	opts.log_buf = log;
	opts.log_size = LOG_SIZE;
	opts.log_level = 1;
	int again = bpf_prog_load((enum bpf_prog_type)type, "weft_filter", "Dual BSD/GPL", c->insns.items,
				  c->insns.len, &opts);

	if (again >= 0) { /* memory was short the first time */
		free(log);
		return again;
	}
	tell_refusal(why, log, fd);
	free(log);
	return fd;
}

int filter_judge(int fd, const void *frame, uint32_t n, uint32_t *matched)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = n);

	if (n < 14)
		return -ERANGE;
	if (bpf_prog_test_run_opts(fd, &opts))
		return errno == EINVAL || errno == EMSGSIZE ? -ERANGE : -errno;
	*matched = opts.retval;
	return 0;
}
