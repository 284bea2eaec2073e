/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a broker's configuration and the places of one node to what the kernel shall copy there. The kernel
 * takes what is due, and more only where a filter cannot run there or a place has more filters than a judge
 * has bits: weft-copier judges again. What goes straight to a tool is exactly what is due to it. Pure.
 */
#ifndef WEFT_BROKER_TAPS_H
#define WEFT_BROKER_TAPS_H

#include "broker/broker.h"
#include "tap/tap.h"

struct broker_place {
	enum tap_where where;
	uint32_t ifindex;	 /* TAP_AT_POD: of the pod's host-side interface */
	struct str name;	 /* TAP_AT_INTERFACE: of the interface, shorter than TAP_NAME */
	uint32_t point;		 /* of this place alone, < TAP_POINTS_MAX */
	const uint32_t *sources; /* of the broker's, sorted */
	uint32_t sources_n;
};

struct broker_outlet {
	uint32_t port; /* of the broker's */
	struct tap_outlet at;
};

/* Whether the chain of a tool port is one that the kernel can run on copies; what it does, then. */
bool broker_edit(const struct broker_port *p, struct edit_value *out);
/* `own` is a filter of what else is copies of ours under way at interfaces; empty: nothing.
 * Places to which no map leads are left out. What cannot be judged in the kernel is a warning, once for each
 * filter. 0; -ENOMEM. taps_fini(out) either way. */
int broker_taps(struct taps *out, const struct broker *b, uint32_t epoch, const struct broker_place *places,
		uint32_t places_n, const struct broker_outlet *outlets, uint32_t outlets_n, struct str own,
		struct remarks *remarks);
/* Whether copies for that outlet go straight there from that point. */
bool taps_direct(const struct taps *t, uint32_t point, uint32_t outlet);

#endif
