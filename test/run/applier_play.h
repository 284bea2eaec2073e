/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A scripted planner for the real weft-applier: a node's namespace with an uplink, pods' namespaces, rows by
 * hand, datagrams between the pods, the kernel read back. Needs root. Each check prints a line of TAP.
 */
#ifndef WEFT_TEST_RUN_APPLIER_PLAY_H
#define WEFT_TEST_RUN_APPLIER_PLAY_H

#include <sys/types.h>

#include "apply/apply.h"
#include "base/own.h"
#include "seam/addr.h"

enum { PODS = 2, PORT = 4242 };
/* The node's uplink, and on its other end a namespace that plays another node and a pod there. */
#define NODE4	  "172.31.0.1"
#define NODE6	  "fd57:e7f7:0:1::1"
#define FAR_NODE4 "172.31.0.2"
#define FAR_NODE6 "fd57:e7f7:0:1::2"
#define FAR_POD4  "10.244.9.2"
#define FAR_POD6  "fd57:e7f7:0:244:9::2"

struct pod {
	int netns, route, diag;
	struct link_key key;
	struct link_value link;
};
extern struct pod pods[PODS];
extern int node_ns, home_ns, far_ns, checks, failures;

void check(bool ok, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
#define CHECK(cond, ...) check((cond), __VA_ARGS__)
void die(const char *what) __attribute__((noreturn));

/* Skips (false) without root; else makes the node, the pods and a bpffs of its own. */
bool play_begin(int argc, char **argv, const char *name);
int play_end(void); /* exit status */
const char *play_pins(void);
int play_map(const char *name); /* descriptor of a pinned BPF map */

struct child { /* the applier */
	pid_t pid;
	int control, planner;
	uint32_t txn;
};
/* Makes a cgroup, which appliers get from then on, and enters it: sockets made from now on are translated. */
void play_cgroup(const char *name);
/* entries: "MAP=N,…" or NULL. */
struct child start_applier(const char *entries, const char *mode);
void stop_applier(struct child *c, int sig);
void clean_applier(struct child *c); /* it removes all that it made, and ends */

struct answer {
	struct wire_done done;
	char text[512];
	VEC(int32_t) results;
};
/* Receives until `until`; rows go to fn. */
bool hear(struct child *c, enum wire_type until, struct answer *a, void (*fn)(const struct row *r, void *ctx),
	  void *ctx);

struct script { /* rows of a transaction */
	VEC(struct change) list;
	struct arena arena;
};
void put(struct script *s, enum change_op op, uint8_t type, uint16_t table, const void *key, size_t key_len,
	 const void *value, size_t value_len);
#define MAP(s, op, map, k, v) put(s, op, ROW_MAP, PLAN_MAP_##map, &(k), sizeof(k), &(v), sizeof(v))
void script_fini(struct script *s);
bool commit(struct child *c, const struct script *s, struct answer *a);
struct wire_welcome hello(struct child *c);
/* Asks the kernel: the result, asks filled. */
int ask_kernel(struct child *c, struct ask *asks, size_t n);
void hand_over(struct child *c, const struct pod *p);
struct addr16 addr16_of(const struct addr *a);
/* Everything that the pods need without policies. */
void plan_rows(struct script *s, const struct wire_welcome *w);
/* Two checks: the kernel's rows are these, and nothing else is missing. */
void check_readback(struct child *c, const struct script *want, const char *when);

void enter(int ns);
int new_ns(void);
/* A pod in a namespace of its own: number 0 or 1 gives it its interface, MAC and addresses. */
void make_pod(struct pod *p, unsigned number, const char *uid);
/* A UDP socket in a namespace, bound to that address and PORT. */
int udp_at(int ns, const struct addr *own);
/* One datagram to PORT of `to`, which the socket `at` waits for. */
bool passes(int from, const struct addr *to, int at, int wait_ms);
/* Sends n datagrams from pod 0 to pod 1, one every `pause_us`; answers how many came. */
unsigned stream(bool v6, unsigned n, unsigned pause_us);
/* The same in a child process while the caller does something else; it ends with 0 when all came. */
pid_t stream_begin(unsigned n, unsigned pause_us);

#endif
