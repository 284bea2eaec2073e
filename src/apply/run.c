/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The programs that no packet runs: weft_gc, which goes through the connections, weft_ask, which answers how
 * this node would judge, and weft_announce, which sends a frame. Each is run once and waited for; none
 * changes what the plan wrote.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>

#include "apply/load.h"
#include "seam/conn.h"

int kernel_gc(const struct kernel *k, uint32_t flags, uint32_t *removed)
{
	struct gc_order order = {.flags = flags};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = &order, .ctx_size_in = sizeof(order));

	if (bpf_prog_test_run_opts(k->program[PROG_GC], &opts))
		return -errno;
	if (removed)
		*removed = order.removed;
	return 0;
}

int kernel_ask(const struct kernel *k, struct ask *a)
{
	enum { FRAME = 14 }; /* an Ethernet header, which weft_ask does not read */
	uint8_t in[FRAME + sizeof(*a)] = {0}, out[FRAME + sizeof(*a)];
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = in, .data_size_in = sizeof(in), .data_out = out,
		    .data_size_out = sizeof(out));

	memcpy(in + FRAME, a, sizeof(*a));
	if (bpf_prog_test_run_opts(k->program[PROG_ASK], &opts))
		return -errno;
	if (opts.data_size_out != sizeof(out))
		return -EBADMSG;
	memcpy(a, out + FRAME, sizeof(*a));
	return 0;
}

int kernel_announce(const struct kernel *k, const void *frame, size_t n)
{
	uint8_t out[ANNOUNCE_MAX];
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = (uint32_t)n, .data_out = out,
		    .data_size_out = sizeof(out));

	if (bpf_prog_test_run_opts(k->program[PROG_ANNOUNCE], &opts))
		return -errno;
	return (int32_t)opts.retval;
}
