/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Backends in this node's own namespace (pods with hostNetwork), for clients from outside (SV49). TCP is not
 * translated: the packet is given to the socket that listens for the backend, and the connection that comes
 * of it has the address and port that the client asked for. Datagram sockets and SCTP answer from their own
 * port, so those are translated, and what the node's sockets send is looked through from then on; see
 * reply.h. Called by service.h and inbound.h.
 */
#ifndef WEFT_BPF_OWN_H
#define WEFT_BPF_OWN_H

#include "bpf/lib/nat.h"

#define TCP_LISTENS 10 /* BPF_TCP_LISTEN */

/* The socket of this node's namespace that p->t.src would reach at (dst, dport); to be released. */
ALWAYS_INLINE struct bpf_sock *own_socket(struct __sk_buff *skb, const struct packet *p,
					  const struct addr16 *dst, __u16 dport)
{
	struct bpf_sock_tuple t = {};

	if (p->v6) {
		__builtin_memcpy(t.ipv6.saddr, p->t.src.w, sizeof(t.ipv6.saddr));
		__builtin_memcpy(t.ipv6.daddr, dst->w, sizeof(t.ipv6.daddr));
		t.ipv6.sport = p->t.sport;
		t.ipv6.dport = dport;
		return bpf_skc_lookup_tcp(skb, &t, sizeof(t.ipv6), (__u64)BPF_F_CURRENT_NETNS, 0);
	}
	t.ipv4.saddr = p->t.src.w[3];
	t.ipv4.daddr = dst->w[3];
	t.ipv4.sport = p->t.sport;
	t.ipv4.dport = dport;
	return bpf_skc_lookup_tcp(skb, &t, sizeof(t.ipv4), (__u64)BPF_F_CURRENT_NETNS, 0);
}

/* Does p->t, from the middle of a connection, belong to a socket as it is? */
__attribute__((noinline)) int own_is_open(struct __sk_buff *skb)
{
	struct packet *p = packet_get();
	struct bpf_sock *sk;
	int open;

	if (!p)
		return 0;
	sk = own_socket(skb, p, &p->t.dst, p->t.dport);
	if (!sk)
		return 0;
	open = sk->state != TCP_LISTENS;
	bpf_sk_release(sk);
	return open;
}

/* Would the stack take what comes for p->t.dst? */
ALWAYS_INLINE int own_is_local(struct __sk_buff *skb, const struct packet *p)
{
	struct bpf_fib_lookup f = {.family = p->v6 ? AF_INET6 : AF_INET4, .ifindex = skb->ifindex};

	if (p->v6) {
		__builtin_memcpy(f.ipv6_src, p->t.src.w, sizeof(f.ipv6_src));
		__builtin_memcpy(f.ipv6_dst, p->t.dst.w, sizeof(f.ipv6_dst));
	} else {
		f.ipv4_src = p->t.src.w[3];
		f.ipv4_dst = p->t.dst.w[3];
	}
	return bpf_fib_lookup(skb, &f, sizeof(f), 0) == BPF_FIB_LKUP_RET_NOT_FWDED;
}

/* Gives the packet to the socket behind p->chosen: STEP_STACK, or a drop reason. STEP_NEXT: the kernel cannot
 * (before 6.6 not to a socket with SO_REUSEPORT), so it is to be translated. */
__attribute__((noinline)) int own_take(struct __sk_buff *skb)
{
	struct packet *p = packet_get();
	struct bpf_sock *sk;
	int err;

	if (!p || !own_is_local(skb, p))
		return DROP_NO_BACKEND;
	sk = own_socket(skb, p, &p->chosen.addr, p->chosen.port);
	if (!sk) {
		p->refuse = 1; /* nobody listens: the stack says so */
		return DROP_NO_BACKEND;
	}
	err = sk->state == TCP_LISTENS ? (int)bpf_sk_assign(skb, sk, 0) : -EINVAL;
	bpf_sk_release(sk);
	if (err == -ESOCKTNOSUPPORT)
		return STEP_NEXT;
	return err ? DROP_NO_BACKEND : STEP_STACK;
}

/* From now on answers of the node's own sockets are looked for. */
ALWAYS_INLINE void own_begin(void)
{
	__u32 zero = 0, *on = bpf_map_lookup_elem(&serving, &zero);

	if (on && !*on)
		*on = 1;
}

ALWAYS_INLINE int own_has_begun(void)
{
	__u32 zero = 0;
	const __u32 *on = bpf_map_lookup_elem(&serving, &zero);

	return on && *on;
}

/* Is the chosen backend in this node's own namespace? */
ALWAYS_INLINE int own_is_chosen(const struct packet *p)
{
	const struct address_value *a = bpf_map_lookup_elem(&address, &p->chosen.addr);

	return a && a->flags & ADDRESS_SELF;
}

#endif
