/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pod: one pod on one of our nodes, from its namespace to its end. pod.c moves it through its life,
 * container.c runs its containers, status.c tells the hub.
 */
#ifndef WEFT_SANDBOX_POD_H
#define WEFT_SANDBOX_POD_H

#include "sandbox/cluster.h"

/* Longer names are cut and made distinct by a hash; paths and namespaces have bounds. */
enum { POD_LABEL = 96 };

enum pod_step {
	POD_WIRING,  /* namespace made, the agent was asked */
	POD_INIT,    /* wired; init containers run in order */
	POD_RUNNING, /* containers were started */
	POD_ENDING,  /* told to end */
	POD_LEAVING, /* no process left; the agent and the hub are being told */
};

enum run_state { RUN_WAITING, RUN_ALIVE, RUN_ENDED };

struct run_end {
	bool is; /* there was one */
	int code, signal;
	int64_t started, finished; /* wall clock, s */
	char *why;		   /* it was told to end; or NULL. Owned */
	char *message;		   /* a program's own last word; or NULL. Owned */
};

struct hook;
struct ear;
struct program_in;
struct container {
	struct pod *pod;
	const json_t *spec; /* borrowed from pod->object's first version, kept in pod->spec */
	const char *name;
	bool init, sidecar; /* sidecar: an init container that keeps running */
	struct child child;
	enum run_state state;
	int exit_code, exit_signal;
	unsigned restarts, unknown; /* unknown: values that name no Service, as of now */
	int64_t started;	    /* wall clock, s */
	uint64_t started_ms;
	struct run_end end;		   /* of the last instance that ended */
	uint64_t back_off_ms, deadline_ms; /* wait before the next restart but one; when SIGKILL comes */
	uint64_t back_off;		   /* ms that it waits to be started again; 0: it does not */
	bool ending;			   /* was told to end */
	struct hook *hook;		   /* preStop under way */
	bool program, killed;		   /* this instance is an own program; weft-box was told to kill */
	bool afresh;			   /* what it plays changed: it starts again, whatever its policy */
	struct program_in *in;		   /* a program's stdin */
	json_t *box;			   /* what weft-box was told of this instance, less its files */
	char *lacks, *lacked;  /* why a program cannot start; what was told of it. Owned, or NULL */
	struct output *output; /* what it prints; NULL until its first start */
	struct ear *ear;       /* while its stand-in does not listen yet */
	uv_timer_t timer;      /* while it ends: the grace; when it has ended: the back-off */
};

/* What `weft fault` asked of a pod. */
struct pod_fault {
	bool not_ready, refuse;
	unsigned slow_ms, loss; /* loss: millionths, of the agent's making */
};

struct pod {
	uv_timer_t timer; /* first, it is freed with the pod: asking again; end of the grace */
	struct sandbox *sandbox;
	struct node *node;
	char key[400], ns[64], name[256], uid[64];
	char label[POD_LABEL];	/* the name as files, cgroups and namespaces bear it */
	json_t *spec;		/* the object as it was at the start; containers borrow from it */
	bool host_network, dns; /* dns: played by unbound */
	enum pod_step step;
	struct netns netns;
	char dir[PATH_LEN], cgroup[2 * PATH_LEN];
	struct container *containers;
	size_t containers_len, inits;		/* init containers come first */
	bool status_wanted, status_asked, hard; /* hard: the hub has forgotten it already */
	int64_t started;
	uint64_t deadline_ms; /* end of the grace */
	struct pod_fault fault;
	unsigned question; /* to the agent; 0: none */
	bool told_failure;
	char *error; /* why it is not wired yet */
};

/* Makes the pod of that object and starts it. Returns NULL when out of memory (told). */
struct pod *pod_new(struct sandbox *s, struct node *n, const json_t *object);
/* Ends it gracefully; hard: the hub knows it no more. When it is gone kubelet_gone() is called. */
void pod_end(struct pod *p, bool hard);
/* Frees without telling anybody, at teardown. */
void pod_free(struct pod *p);
bool pod_wired(const struct pod *p);
/* Why it does not do its work yet, as text in `why`; "" when it does. */
void pod_trouble(const struct pod *p, char *why, size_t cap);
/* Where a process of this pod runs. */
int pod_netns(const struct pod *p);
/* The pod's containers moved on: next init container, or restart, or end. Called by container.c. */
void pod_advance(struct pod *p);

/* container.c */
int containers_new(struct pod *p);
int container_start(struct container *c);
/* What it is to play has changed: ends it, and starts it again at once. */
void container_afresh(struct container *c);
void containers_free(struct pod *p);
/* Services have come: values that named none may now. */
void containers_look_again(struct pod *p);
/* A container whose main purpose is to end (of a Job, without ports). */
bool container_is_task(const struct container *c);

/* Their processes are gone with the node's power; nothing follows until it is back. */
void containers_lost(struct pod *p);
/* Faults have changed: the stand-ins read their specs again. */
void containers_tell(struct pod *p);

/* life.c: how containers end and come again */
/* preStop, SIGTERM, after the grace SIGKILL; then the restart policy decides. grace_s < 0: the pod's. why:
 * for the status; NULL: none. No effect where nothing runs or it is ending already. */
int container_kill(struct container *c, int64_t grace_s, const char *why);
/* It has ended: forgets hook and grace. */
void container_buried(struct container *c);
/* How long it waits until it is started again; doubles the next one. */
uint64_t container_back_off(struct container *c);
int64_t pod_grace(const struct pod *p);
bool pod_has_object(const struct pod *p, const json_t **now); /* as the hub knows it now */

/* hook.c: preStop */
typedef void hook_done(struct container *c);
/* NULL when there is nothing to wait for. Calls back once, unless it is dropped before. */
struct hook *hook_start(struct container *c, const json_t *handler, uint64_t timeout_ms, hook_done *done);
void hook_drop(struct hook **h);

/* ear.c: until the stand-in listens */
/* The descriptor to hand to the stand-in as its stdin, owned by the caller; -errno. */
int ear_open(struct container *c);
void ear_drop(struct container *c);
/* Whether it does what it is there for: its process runs, and has its ports. */
static inline bool container_serves(const struct container *c)
{
	return c->state == RUN_ALIVE && !c->ear;
}

/* spec.c: writes the file that tells the stand-in what to play; remarks values that name no Service. */
int container_write_spec(struct container *c, const char *path);
/* By number or by name; 0 when there is none. */
json_int_t container_port(const struct container *c, const json_t *port);

/* status.c */
void pod_status_changed(struct pod *p);
void pod_status_flush(struct pod *p); /* sends what could not be sent before */

/* kubelet.c */
int kubelet_start(struct sandbox *s);
void kubelet_gone(struct pod *p);      /* the pod is freed by it */
void kubelet_check(struct sandbox *s); /* something moved: is all up? */
/* The node runs again after it was down: its pods start anew. */
void kubelet_node_back(struct node *n);
void kubelet_later(struct sandbox *s); /* tries again shortly what the hub could not take */
void kubelet_stop(struct sandbox *s);

#endif
