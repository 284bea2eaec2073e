/* SPDX-License-Identifier: Apache-2.0 */
/*
 * IPFIX (RFC 7011) messages: records of connections, each way by itself or both in one (RFC 5103), by one
 * template for IPv4 and one for IPv6. Names have no standard elements: they go under an enterprise number
 * that the caller has, or not at all. Writes bytes; sends nothing. A domain is a node, and numbers its own
 * records; domain 0 is the exporter, with its statistics and the domains' names.
 */
#ifndef WEFT_OBSERVE_IPFIX_H
#define WEFT_OBSERVE_IPFIX_H

#include "base/addr.h"
#include "base/str.h"

enum {
	IPFIX_MESSAGE_MAX = 1400, /* bytes: a datagram that hardly any way has to cut */
	IPFIX_MESSAGE_MIN = 464,  /* room for the templates */
	IPFIX_NAME_MAX = 48,	  /* bytes of a name in a small message; else IPFIX_NAME_MAX * 2 */
};

/* Elements of the enterprise number, in this order from 1. */
enum ipfix_name {
	IPFIX_FROM, /* "namespace/name" of the pod, or name of the node, or domain */
	IPFIX_TO,
	IPFIX_SERVICE,
	IPFIX_FROM_WORKLOAD, /* "Deployment/web" */
	IPFIX_TO_WORKLOAD,
	IPFIX_REASON, /* of a drop */
	IPFIX_NAMES
};

struct ipfix_record {
	struct addr from, to;
	uint16_t from_port, to_port; /* host order */
	uint8_t proto;
	uint8_t end_reason; /* flowEndReason of RFC 5102: 1 idle, 3 end detected, 4 forced; 0: a drop */
	bool dropped;
	uint8_t status;		       /* forwardingStatus (RFC 7270, 4.12); 0: what `dropped` says */
	uint64_t bytes[2], packets[2]; /* from the initiator, back to it */
	uint64_t first, last;	       /* ms since 1970 */
	uint64_t id;
	struct str names[IPFIX_NAMES];
	/* where there is a place */
	bool out;	    /* flowDirection: egress, as the place sees it */
	uint16_t vlan;	    /* vlanId of the outer tag; 0: none */
	uint32_t interface; /* ingressInterface or egressInterface, the other is 0 */
	struct str place;   /* interfaceName: where the packets were seen */
};

struct ipfix {
	/* set by the caller */
	uint32_t domain;   /* who exports */
	uint32_t sequence; /* data records of the domain in messages before this one */
	uint32_t pen;	   /* enterprise number for names; 0: none */
	bool both_ways;	   /* one record for both, else the fields of the first way only */
	bool place;	   /* records say where their packets were seen */
	size_t room;	   /* bytes: IPFIX_MESSAGE_MIN to _MAX */
	/* of this message */
	uint32_t records;
	size_t n, set_at; /* where the set begins that is being filled; 0: none */
	uint8_t bytes[IPFIX_MESSAGE_MAX];
};
/* Begins a message; `now` in seconds since 1970. */
void ipfix_begin(struct ipfix *m, uint32_t now);
/* false: no room: end this message first. */
bool ipfix_add(struct ipfix *m, const struct ipfix_record *r);
/* The templates of the two families. Into an empty message, which has room for them. */
void ipfix_add_templates(struct ipfix *m);
/* Sets the lengths: m->bytes, m->n may be sent. */
void ipfix_end(struct ipfix *m);
/* What was begun later, but is sent now. */
void ipfix_set_time(uint8_t *message, uint32_t now);

struct ipfix_statistics { /* since the exporter began */
	uint64_t bytes, messages, records, not_sent;
};
/* In a message of domain 0: templates of options, and the exporter's numbers. */
void ipfix_add_statistics(struct ipfix *m, const struct ipfix_statistics *s);
/* The name of a domain; after ipfix_add_statistics(). false: no room. */
bool ipfix_add_domain(struct ipfix *m, uint32_t domain, struct str name);

#endif
