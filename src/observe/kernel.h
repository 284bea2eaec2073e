/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the kernel side counts, read through descriptors that were handed over: drops, counters, connections,
 * and the event rings. Reads only; knows numbers, not names of pods (the caller joins). A table that cannot
 * be read is an error, never 0.
 */
#ifndef WEFT_OBSERVE_KERNEL_H
#define WEFT_OBSERVE_KERNEL_H

#include "base/addr.h"
#include "base/vec.h"
#include "seam/asked.h"
#include "seam/conn.h"
#include "seam/name.h"
#include "seam/tap.h"

enum { OBSERVE_RINGS_MAX = 66, OBSERVE_EVENTS = 1024, OBSERVE_COUNTERS_MAX = 64 };

struct observed; /* zero or more tables and rings */
/* fds in the order in which the applier hands them over: drop, counter, conn4, conn6, half4, half6, staged,
 * learned, nat, kernel_drop, watching, tapped, outlet_count, tapped_slot, then the rings: asked, ended, and
 * events of each CPU. Takes them over on success. 0, -EINVAL (too few), -errno. */
int observed_new(struct observed **out, const int *fds, unsigned n);
void observed_free(struct observed **o);

struct drop_count {
	uint32_t ifindex; /* 0: no pod */
	uint32_t cause;	  /* as in drop_key of seam/event.h: the policy set, the rule, or 0 */
	uint16_t reason;
	bool to_pod;
	uint64_t packets, bytes; /* over all CPUs */
};
struct drop_counts {
	VEC(struct drop_count) list; /* sorted by interface, reason, direction, cause */
};
int observed_drops(const struct observed *o, struct drop_counts *out);
/* Connections that staged policies judge otherwise, in the same form; reason 0: they would be allowed, by
 * rule `cause`. */
int observed_staged(const struct observed *o, struct drop_counts *out);
/* What the kernel's own stack dropped of pods' packets, in the same form; `reason` is its own number.
 * -ENODATA: it is not watched, so unknown. */
int observed_kernel_drops(const struct observed *o, struct drop_counts *out);
/* Calls fn for each place and each of its takes (enum tap_take) that saw packets; over all CPUs. */
int observed_tapped(const struct observed *o,
		    void (*fn)(void *ctx, const struct tapped_key *k, const struct tapped_value *v),
		    void *ctx);
/* Calls fn for each outlet that was given copies, and for number 0 (see seam/tap.h). */
int observed_outlets(const struct observed *o,
		     void (*fn)(void *ctx, uint32_t number, const struct outlet_count *n), void *ctx);
/* Calls fn for each address that DNS answers gave for names in force; some slots may be over. */
int observed_learned(const struct observed *o,
		     int (*fn)(void *ctx, const struct addr *a, const struct learned_value *v), void *ctx);
/* Number of counters, or -errno. */
int observed_counters(const struct observed *o, uint64_t out[OBSERVE_COUNTERS_MAX]);
/* Another one whenever the counters began anew (not 0), or -errno. It outlives agents, as the counters do. */
int64_t observed_epoch(const struct observed *o);

struct conn {
	struct addr from, to;	     /* the initiator, the other end */
	uint16_t from_port, to_port; /* host order */
	uint8_t proto;
	struct conn_value value;
};
/* Calls fn for each connection; answered: of conn4 and conn6, else of half4 and half6. Stops when fn returns
 * non-0. */
int observed_conns(const struct observed *o, bool answered, int (*fn)(void *ctx, const struct conn *c),
		   void *ctx);

/* What is called from observed_poll() for each connection that ended, with its last counts. */
typedef void observed_end(void *ctx, const struct conn *c, uint64_t at, uint32_t why);
void observed_on_end(struct observed *o, observed_end *fn, void *ctx);

/* What is called from observed_poll() for each DNS message of a pod, of which `n` bytes are there. */
typedef void observed_message(void *ctx, const struct asked *a, size_t n);
void observed_on_asked(struct observed *o, observed_message *fn, void *ctx);

struct translation {		  /* of the source: NodePort, masquerade */
	struct addr from, as, to; /* who sends, which address of this node it has on the wire, to whom */
	uint16_t from_port, as_port, to_port; /* host order */
	uint8_t proto;
};
/* Calls fn for each that is remembered; some may be of connections that ended. Stops when fn returns non-0.
 */
int observed_translations(const struct observed *o, int (*fn)(void *ctx, const struct translation *t),
			  void *ctx);

/* Takes what lies in the rings; the newest OBSERVE_EVENTS are kept. Called on a timer: the programs never
 * wake us. */
int observed_poll(struct observed *o);
struct seen {	     /* one event of the kernel side */
	uint64_t at; /* monotonic ns */
	uint32_t ifindex, len;
	uint32_t cause; /* as in drop_count */
	struct addr src, dst;
	uint16_t sport, dport; /* host order */
	uint16_t reason;
	uint8_t proto;
	bool to_pod;
	bool by_kernel; /* dropped by the kernel's stack; reason: its own number */
	bool staged;	/* it went on: staged policies would have judged otherwise (reason 0: allowed) */
};
/* What is called from observed_poll() for each event that is taken. */
typedef void observed_told(void *ctx, const struct seen *s);
void observed_on_drop(struct observed *o, observed_told *fn, void *ctx);
/* i = 0 is the newest; false behind the oldest kept. */
bool observed_event(const struct observed *o, unsigned i, struct seen *out);
uint64_t observed_events(const struct observed *o); /* taken since the start */

const char *drop_name(uint32_t reason);	  /* "policy-ingress", or "unknown" */
const char *drop_advice(uint32_t reason); /* what to do, or "" */
const char *counter_name(uint32_t c);	  /* "POD_IN" */

#endif
