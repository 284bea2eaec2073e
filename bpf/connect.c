/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * weft_connect, weft_sendmsg, weft_recvmsg, weft_getpeername (4 and 6): cgroup hooks that translate Service
 * addresses in the socket calls of pods, so that no packet has to be. An IPv4 address in an IPv6 socket
 * (v4-mapped) comes to the "6" hooks and is an IPv4 service all the same. They run in process context: only
 * the stack holds their data. Which backend: lib/call_choose.h; whether a pod may reach itself:
 * lib/call_judge.h.
 */
#include "bpf/lib/call_choose.h"
#include "bpf/lib/call_judge.h"

#define CALL_GO_ON  1
#define CALL_REFUSE 0

ALWAYS_INLINE void call_addr4(struct addr16 *a, const struct bpf_sock_addr *ctx)
{
	a->w[0] = 0;
	a->w[1] = 0;
	a->w[2] = bpf_htonl(0xffff);
	a->w[3] = ctx->user_ip4;
}

ALWAYS_INLINE void call_addr6(struct addr16 *a, const struct bpf_sock_addr *ctx)
{
	a->w[0] = ctx->user_ip6[0];
	a->w[1] = ctx->user_ip6[1];
	a->w[2] = ctx->user_ip6[2];
	a->w[3] = ctx->user_ip6[3];
}

ALWAYS_INLINE void call_set6(struct bpf_sock_addr *ctx, const struct addr16 *a)
{
	ctx->user_ip6[0] = a->w[0];
	ctx->user_ip6[1] = a->w[1];
	ctx->user_ip6[2] = a->w[2];
	ctx->user_ip6[3] = a->w[3];
}

/* Remembers, under the backend, which service this socket asked for. */
ALWAYS_INLINE void call_remember(struct bpf_sock_addr *ctx, const struct backend_value *b,
				 const struct service_key *s)
{
	struct socket_key key = {.cookie = bpf_get_socket_cookie(ctx), .addr = b->addr, .port = b->port};
	struct socket_value value = {.addr = s->addr, .port = s->port};

	key.proto = s->proto;
	bpf_map_update_elem(&socket_origin, &key, &value, BPF_ANY);
}

/* key->addr is where the call goes. Returns the hook's answer; *to is set, and nonzero *found, where it is a
 * service. */
ALWAYS_INLINE int call_translate(struct bpf_sock_addr *ctx, struct service_key *key, struct backend_value *to,
				 int *found)
{
	const struct service_value *s;
	int v4 = is_v4(&key->addr), has;

	key->port = (__u16)ctx->user_port;
	key->proto = (__u8)ctx->protocol;
	key->pad = 0;
	s = call_service(key);
	if (!s)
		return CALL_GO_ON;
	has = call_backend(ctx, s, v4, to);
	if (!has) { /* a list goes after its Service was switched to another: read both again */
		s = call_service(key);
		has = s && call_backend(ctx, s, v4, to);
	}
	if (!has && s && s->flags & SERVICE_DROP)
		return CALL_GO_ON; /* SV07: its packets are dropped */
	if (!has) {
		bpf_set_retval(-ECONNREFUSED); /* SV06: no endpoint refuses at once */
		return CALL_REFUSE;
	}
	if (call_is_denied(ctx, to, key->proto)) {
		bpf_set_retval(-EPERM);
		return CALL_REFUSE;
	}
	*found = 1;
	call_remember(ctx, to, key);
	return CALL_GO_ON;
}

ALWAYS_INLINE int call_out4(struct bpf_sock_addr *ctx)
{
	struct service_key key;
	struct backend_value to;
	int found = 0, answer;

	call_addr4(&key.addr, ctx);
	answer = call_translate(ctx, &key, &to, &found);
	if (found && is_v4(&to.addr)) {
		ctx->user_ip4 = to.addr.w[3];
		ctx->user_port = to.port;
	}
	return answer;
}

ALWAYS_INLINE int call_out6(struct bpf_sock_addr *ctx)
{
	struct service_key key;
	struct backend_value to;
	int found = 0, answer;

	call_addr6(&key.addr, ctx);
	answer = call_translate(ctx, &key, &to, &found);
	if (found && is_v4(&to.addr) == is_v4(&key.addr)) {
		call_set6(ctx, &to.addr);
		ctx->user_port = to.port;
	}
	return answer;
}

/* The address that a call returns: the service where the socket asked for one. */
ALWAYS_INLINE const struct socket_value *call_origin(struct bpf_sock_addr *ctx, struct socket_key *key)
{
	key->cookie = bpf_get_socket_cookie(ctx);
	key->port = (__u16)ctx->user_port;
	key->proto = (__u8)ctx->protocol;
	__builtin_memset(key->pad, 0, sizeof(key->pad));
	return bpf_map_lookup_elem(&socket_origin, key);
}

ALWAYS_INLINE int call_back4(struct bpf_sock_addr *ctx)
{
	const struct socket_value *v;
	struct socket_key key;

	call_addr4(&key.addr, ctx);
	v = call_origin(ctx, &key);
	if (v) {
		ctx->user_ip4 = v->addr.w[3];
		ctx->user_port = v->port;
	}
	return CALL_GO_ON;
}

ALWAYS_INLINE int call_back6(struct bpf_sock_addr *ctx)
{
	const struct socket_value *v;
	struct socket_key key;

	call_addr6(&key.addr, ctx);
	v = call_origin(ctx, &key);
	if (v) {
		call_set6(ctx, &v->addr);
		ctx->user_port = v->port;
	}
	return CALL_GO_ON;
}

SEC("cgroup/connect4") int weft_connect4(struct bpf_sock_addr *ctx)
{
	return call_out4(ctx);
}

SEC("cgroup/connect6") int weft_connect6(struct bpf_sock_addr *ctx)
{
	return call_out6(ctx);
}

SEC("cgroup/sendmsg4") int weft_sendmsg4(struct bpf_sock_addr *ctx)
{
	return call_out4(ctx);
}

SEC("cgroup/sendmsg6") int weft_sendmsg6(struct bpf_sock_addr *ctx)
{
	return call_out6(ctx);
}

SEC("cgroup/recvmsg4") int weft_recvmsg4(struct bpf_sock_addr *ctx)
{
	return call_back4(ctx);
}

SEC("cgroup/recvmsg6") int weft_recvmsg6(struct bpf_sock_addr *ctx)
{
	return call_back6(ctx);
}

SEC("cgroup/getpeername4") int weft_getpeername4(struct bpf_sock_addr *ctx)
{
	return call_back4(ctx);
}

SEC("cgroup/getpeername6") int weft_getpeername6(struct bpf_sock_addr *ctx)
{
	return call_back6(ctx);
}
