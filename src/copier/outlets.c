/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel's counts of outlets: see outlets.h. */
#include "copier/outlets.h"

#include <errno.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <sys/syscall.h>

#include "agent/fdpass.h"
#include "base/own.h"
#include "base/str.h"

enum { CPUS_MAX = 4096 };

struct outlets {
	uv_poll_t poll;
	int socket, map;
	unsigned cpus;
	struct outlet_count *values; /* by CPU */
};

static unsigned possible_cpus(void)
{
	FILE *f = fopen("/sys/devices/system/cpu/possible", "re");
	unsigned first = 0, last = 0;
	int n = f ? fscanf(f, "%u-%u", &first, &last) : 0;

	if (f)
		fclose(f);
	return n == 2 && last < CPUS_MAX ? last + 1 : n == 1 ? first + 1 : 1;
}

static bool is_counts(int fd)
{
	struct bpf_map_info info = {0};
	union bpf_attr attr = {
	    .info = {.bpf_fd = (uint32_t)fd, .info_len = sizeof(info), .info = (uint64_t)(uintptr_t)&info}};

	return !syscall(SYS_bpf, BPF_OBJ_GET_INFO_BY_FD, &attr, sizeof(attr)) &&
	       !strcmp(info.name, "outlet_count") && info.value_size == sizeof(struct outlet_count);
}

static void on_descriptors(uv_poll_t *poll, int status, int events)
{
	struct outlets *o = poll->data;
	int fds[FDPASS_MAX];
	unsigned n = 0;
	uint32_t count;

	(void)status;
	(void)events;
	if (fdpass_recv(o->socket, &count, sizeof(count), fds, &n, FDPASS_MAX) == -EAGAIN)
		return;
	uv_poll_stop(poll);
	while (n--)
		if (o->map < 0 && is_counts(fds[n]))
			o->map = fds[n];
		else
			close(fds[n]);
}

int outlets_new(struct outlets **out, uv_loop_t *loop, int fd)
{
	struct outlets *o = calloc(1, sizeof(*o));
	int r;

	if (!o)
		return -ENOMEM;
	o->socket = fd;
	o->map = -1;
	o->cpus = possible_cpus();
	o->values = calloc(o->cpus, sizeof(*o->values));
	r = o->values ? uv_poll_init(loop, &o->poll, fd) : -ENOMEM;
	if (r) {
		free(o->values);
		free(o);
		return r;
	}
	o->poll.data = o;
	uv_poll_start(&o->poll, UV_READABLE, on_descriptors);
	*out = o;
	return 0;
}

/* Into o->values. */
static int look_up(const struct outlets *o, uint32_t number)
{
	union bpf_attr attr = {.map_fd = o ? (uint32_t)o->map : 0,
			       .key = (uint64_t)(uintptr_t)&number,
			       .value = o ? (uint64_t)(uintptr_t)o->values : 0};

	if (!o || o->map < 0)
		return -ENODATA;
	if (syscall(SYS_bpf, BPF_MAP_LOOKUP_ELEM, &attr, sizeof(attr)))
		return -errno;
	return 0;
}

int outlets_read(struct outlets *o, uint32_t number, struct outlet_count *out)
{
	int r = look_up(o, number);

	if (r)
		return r;
	*out = (struct outlet_count){0};
	for (unsigned i = 0; i < o->cpus; i++) {
		const struct outlet_count *n = &o->values[i];

		out->direct += n->direct;
		out->direct_failed += n->direct_failed;
		out->sent += n->sent;
		out->failed += n->failed;
		out->unreachable += n->unreachable;
		out->masked += n->masked;
		out->sliced += n->sliced;
		out->shallow += n->shallow;
		out->stamped += n->stamped;
		out->canaries += n->canaries;
		out->answers += n->answers;
	}
	return 0;
}

bool outlets_cookie(const struct outlets *o, uint32_t number, const uint64_t *cookies, size_t n)
{
	if (look_up(o, number))
		return false;
	for (unsigned i = 0; i < o->cpus; i++)
		for (size_t k = 0; k < n; k++)
			if (o->values[i].cookie && o->values[i].cookie == cookies[k])
				return true;
	return false;
}

static void on_closed(uv_handle_t *h)
{
	struct outlets *o = h->data;

	own_fd(&o->socket);
	own_fd(&o->map);
	free(o->values);
	free(o);
}

void outlets_free(struct outlets **op)
{
	struct outlets *o = TAKE(*op);

	if (!o)
		return;
	uv_poll_stop(&o->poll);
	uv_close((uv_handle_t *)&o->poll, on_closed);
}
