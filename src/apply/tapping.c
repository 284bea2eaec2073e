/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The planner's taps: taken out of the descriptor that it handed over into memory of our own, checked, and
 * put into force by the tapper. What is wrong with them is the planner's to hear; it costs nothing that is in
 * force.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "apply/state.h"
#include "apply/tap.h"
#include "base/log.h"
#include "base/own.h"

static int make_tapper(struct applier *a, struct buf *why)
{
	const struct kernel *k = &a->kernel;
	const struct tap_kernel t = {.tap = k->map[PLAN_MAP_tap],
				     .judge = k->map[PLAN_MAP_judge],
				     .outlet = k->map[PLAN_MAP_outlet],
				     .edits = k->map[PLAN_MAP_edit],
				     .tapped = k->map[PLAN_MAP_tapped],
				     .tapped_slot = k->map[PLAN_MAP_tapped_slot],
				     .outlet_count = k->map[PLAN_MAP_outlet_count],
				     .outlet_rest = k->map[PLAN_MAP_outlet_rest],
				     .counter = k->map[PLAN_MAP_counter],
				     .taps = k->entries[PLAN_MAP_tap],
				     .judges = k->entries[PLAN_MAP_judge],
				     .outlets = k->entries[PLAN_MAP_outlet],
				     .in = k->program[PROG_TAP_IN],
				     .out = k->program[PROG_TAP_OUT],
				     .copy_out = k->program[PROG_COPY_OUT],
				     .copy_back = k->program[PROG_COPY_BACK],
				     .copy_stop = k->program[PROG_COPY_STOP],
				     .edit = k->program[PROG_EDIT],
				     .pods_first = LINK_INDEX_FIRST,
				     .pods_last = LINK_INDEX_LAST};

	return a->tapper ? 0 : tapper_new(&a->tapper, &t, why);
}

void tapping_adopt(struct applier *a)
{
	struct link_info l;
	AUTO_BUF why = {0};

	if (!link_get(a->route_fd, 0, COPY_OUT_NAME, &l) && make_tapper(a, &why))
		log_warn("taps cannot be taken over: " STR_FMT, STR_ARG(buf_str(&why)));
}

/* A file in memory only: reading any other could wait for somebody. */
static int take_bytes(int fd, struct buf *out, struct buf *why)
{
	struct stat st;
	int err = 0;

	if (fstat(fd, &st) || fcntl(fd, F_GET_SEALS) < 0)
		err = -EPROTO;
	else if (st.st_size > TAPS_BYTES_MAX)
		err = -EFBIG;
	while (!err) {
		char piece[16384];
		ssize_t n = pread(fd, piece, sizeof(piece), (off_t)out->n);

		if (!n)
			break;
		if (n > 0)
			buf_add(out, piece, (size_t)n);
		err = n < 0 ? -errno : out->failed ? -ENOMEM : out->n > TAPS_BYTES_MAX ? -EFBIG : 0;
	}
	if (err)
		buf_printf(why, "the taps cannot be read: %s", strerror(-err));
	return err;
}

static int take(struct applier *a, const int *fds, unsigned nfds, struct buf *why)
{
	AUTO_BUF bytes = {0};
	struct taps taps = {0};
	int err = nfds == 1 ? take_bytes(fds[0], &bytes, why) : -EPROTO;

	if (!err)
		err = taps_decode(&taps, bytes.p, bytes.n, why);
	if (!err)
		err = make_tapper(a, why);
	if (!err)
		err = tapper_apply(a->tapper, &taps, why);
	taps_fini(&taps);
	return err;
}

int tapping_take(struct applier *a, uint32_t txn, const int *fds, unsigned nfds, applier_send *send,
		 void *ctx)
{
	AUTO_BUF b = {0}, why = {0};
	int32_t result = take(a, fds, nfds, &why);

	if (result)
		log_warn("taps are not in force: " STR_FMT, STR_ARG(buf_str(&why)));
	if (why.n > WIRE_MESSAGE_MAX / 2)
		why.n = WIRE_MESSAGE_MAX / 2;
	wire_start(&b, WIRE_TAPPED, txn);
	wire_put_result(&b, result);
	buf_adds(&b, buf_str(&why));
	return b.failed ? -ENOMEM : send(ctx, b.p, b.n);
}

void tapping_tick(struct applier *a)
{
	if (a->tapper)
		tapper_rest(a->tapper);
}

void tapping_clean(struct applier *a)
{
	if (a->tapper)
		tapper_clean(a->tapper);
}

int applier_watch(const struct applier *a)
{
	return a->tapper ? tapper_fd(a->tapper) : -1;
}

void applier_look(struct applier *a)
{
	if (a->tapper)
		tapper_look(a->tapper);
}
