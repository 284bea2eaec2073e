/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of Services share: a Service with its slices, lists of backends with their holders, and the
 * choice of endpoints. Private to service*.c, pod.c (hostPort), names.c and why_service.c.
 */
#ifndef WEFT_COMPILE_SERVICE_H
#define WEFT_COMPILE_SERVICE_H

#include "compile/state.h"
#include "seam/service.h"

struct backend_list {
	uint32_t id;
	unsigned refs;
	uint64_t at;	/* in the table of lists */
	struct str key; /* its backend_values, slot by slot */
	uint32_t count;
};

struct cservice {
	const struct object *o; /* NULL while only slices are known */
	struct src src;
	struct owner owner;
	VEC(const struct object *) slices;
	VEC(struct backend_list *) lists; /* with a reference for each */
	VEC(uint32_t) ids;		  /* that it holds: of ports with affinity or source ranges */
	bool dirty;
	bool hinted;   /* its endpoints have hints: this node's zone counts */
	bool balanced; /* it has addresses that some node announces */
};

/* service_list.c */
struct picked { /* endpoints of one port in one family; a list is NULL when it is empty or not asked for */
	struct backend_list *all, *local; /* of the cluster, by hints; of this node */
	bool any;			  /* some node has one */
};
enum { PICK_ALL = 1, PICK_LOCAL = 2 };
/* References to the lists go to s->lists, rows of their backends to s->owner. */
struct picked endpoints_pick(struct compiler *c, struct cservice *s, const struct service_port *sp, bool four,
			     unsigned which);
struct backends {
	VEC(struct backend_value) list;
};
struct backend_list *list_take(struct compiler *c, const struct backends *b);
void list_unref(struct compiler *c, struct backend_list *l);
void list_rows(struct compiler *c, struct owner *ow, const struct backend_list *l, const struct src *src,
	       const void *member);
bool endpoint_ready(const struct endpoint *e);	/* SV02 */
bool endpoint_ending(const struct endpoint *e); /* ends and still serves (SV04) */

/* service_maglev.c: b becomes a Maglev table of its backends. */
#define MAGLEV_ANNOTATION "weft.network/load-balancing"
bool maglev_wanted(const struct object *service);
void maglev_table(struct compiler *c, struct backends *b);

/* service_direct.c: backends of other nodes answer clients from outside by themselves. */
#define DIRECT_ANNOTATION "weft.network/forwarding"
bool direct_wanted(const struct object *service);
bool direct_is_on(const struct compiler *c, const struct cservice *s);
void advise_direct(struct compiler *c, const struct cservice *s);

/* service_announce.c: the node that answers for an address; NULL: none of ours does. */
const struct cnode *announcer(const struct compiler *c, const struct cservice *s, const struct addr *a);
/* true: the address lies in a pool, so that some node announces it. */
bool announce_rows(struct compiler *c, struct cservice *s, const struct addr *a);
void pools_read(struct compiler *c);

/* service.c */
bool service_served(const struct cservice *s);	   /* has rows */
bool service_is_outside(const struct cservice *s); /* some address of it is taken from outside */
bool service_has_family(const struct cservice *s, bool four);
bool service_is_proxied(const struct balancer_ingress *in);		     /* ipMode Proxy */
bool service_address(struct str text, struct addr *out);		     /* false: no address */
bool service_takes_external(const struct compiler *c, const struct addr *a); /* an external IP is served */

/* service_advice.c */
void advise_service(struct compiler *c, const struct cservice *s);
void advise_host_ports(struct compiler *c, const struct cpod *p);

/* service_host.c */
typedef void host_port_fn(struct compiler *c, const struct cpod *p, const struct container_port *port,
			  void *ctx);
void each_host_port(struct compiler *c, const struct cpod *p, host_port_fn *fn, void *ctx);
/* Whether the port is taken on this address of this node. */
bool host_port_takes(const struct container_port *port, const struct addr *node);

#endif
