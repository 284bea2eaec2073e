/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Record: what a filter over records looks at, and what flows, drops, history, exporters and the command line
 * pass on: one connection or one drop, with the names that its ends had then. Plain values; names are shared
 * and counted, so that a record costs no allocation.
 */
#ifndef WEFT_FILTER_RECORD_H
#define WEFT_FILTER_RECORD_H

#include "base/addr.h"

/* Who an address was at a time. Immutable once shared; equal ones are one (observe/ interns them). */
struct identity {
	unsigned refs;
	enum identity_kind {
		IDENTITY_UNKNOWN, /* an address of the cluster's ranges that nobody has */
		IDENTITY_POD,
		IDENTITY_NODE,
		IDENTITY_SERVICE,
		IDENTITY_OUTSIDE, /* beyond the cluster */
	} kind;
	struct str ns, name;		    /* of the pod, node or Service; or "" */
	struct str workload_kind, workload; /* "Deployment", "web"; or "" */
	struct str node;		    /* that the pod runs on; or "" */
	struct str domain;		    /* by which the caller learned the address (outside); or "" */
	struct str *labels;		    /* key, value, key, value…, sorted by key */
	unsigned labels_len;		    /* pairs */
};

struct record_end {
	struct addr addr;
	uint16_t port;		    /* host order; 0 for protocols without */
	const struct identity *who; /* NULL: not known */
};

enum { SEEN_INITIATOR = 1, SEEN_RESPONDER = 2, SEEN_BOTH = 3 };
enum record_kind {
	RECORD_FLOW,
	RECORD_DROP,
	RECORD_STAGED,
	RECORD_DNS /* a question of a pod: part of a flow, whose bytes and packets count it as well */
};
enum record_verdict { VERDICT_FORWARDED, VERDICT_DROPPED, VERDICT_STAGED };
enum record_state {
	STATE_UNANSWERED, /* so far, or to its end */
	STATE_OPEN,
	STATE_CLOSED, /* by FINs, or a datagram flow that fell silent */
	STATE_RESET,
	STATE_CUT, /* by a policy in strict mode */
};

enum { DNS_NO_ANSWER = 255 }; /* in place of an answer's code */

struct record {
	enum record_kind kind;
	struct record_end from, to; /* the initiator, the responder: after translation */
	struct addr via;	    /* the Service address that was called; zero: none */
	uint16_t via_port;
	const struct identity *service; /* behind via; NULL: none */
	const char *node;		/* that saw it; borrowed, lives as long as the history */
	uint8_t proto;			/* IP protocol */
	uint8_t verdict;		/* enum record_verdict */
	uint8_t state;			/* enum record_state; flows only */
	bool ended;			/* nothing will be added */
	bool again;	 /* the caller's node, another one, has a record of the same connection */
	uint16_t reason; /* enum drop_reason; 0: none */
	uint32_t cause;	 /* drops: as in seam/event.h */
	uint32_t rule_egress, rule_ingress; /* that let it in; 0: none */
	uint64_t bytes[2], packets[2];	    /* from the initiator, back to it */
	int64_t first, last;		    /* ns since 1970: first packet, last packet so far */
	uint64_t id;			    /* of the connection on its node: the same in each record of it */
	uint32_t number; /* of the record on its node, in its epoch (the low half); set by who takes it */
	uint32_t epoch;	 /* of the node's counters: other after a restart that lost them */
	/* TCP. Pairs: the initiator's, the responder's */
	uint32_t handshake_us;	 /* 0: not known; DNS: until the answer */
	uint32_t rtt_us[2];	 /* from the node to the responder and back, to the initiator; 0: not known */
	uint32_t retransmits[2]; /* of each end that was seen, as the next ones */
	uint16_t zero_windows[2]; /* times that its window closed */
	uint16_t resets;	  /* of both */
	uint8_t reset_by;	  /* SEEN_…: who sent them */
	uint8_t tcp_seen;	  /* SEEN_…: whose segments the node looked at; of others all is unknown */
	struct str dns;		  /* DNS: the name asked for; or "" */
	uint16_t dns_type;	  /* DNS: the type asked for; 0: none */
	uint8_t dns_code;	  /* DNS: the answer's code, or DNS_NO_ANSWER */
};

/* From the initiator to the responder and back; 0: not known. */
static inline uint64_t record_rtt(const struct record *r)
{
	return r->rtt_us[0] && r->rtt_us[1] ? (uint64_t)r->rtt_us[0] + r->rtt_us[1] : 0;
}

#endif
