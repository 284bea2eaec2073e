/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A record as history keeps it: packed, with what records share (ends with their identities, DNS names, names
 * of nodes) by number, each counted and let go with the last record that refers to it. Called by history.c
 * and history_ask.c.
 */
#include "observe/history_state.h"

#include <errno.h>
#include <stdlib.h>

#include "base/own.h"

enum { NODES_MAX = 65535 };

/* --- what records share ---------------------------------------------------------------------------- */

struct end_key {
	struct addr addr;
	const struct identity *who;
};

static struct str key_of(const struct end_key *k)
{
	return (struct str){(const char *)k, sizeof(*k)};
}

static uint32_t end_get(struct history *h, const struct addr *a, const struct identity *who)
{
	struct end_key key = {.addr = *a, .who = who};
	void *found = hash_get(&h->by_end, key_of(&key));
	uint32_t n = found ? (uint32_t)(uintptr_t)found - 1 : 0;

	if (!found) {
		if (h->free_ends.len) {
			n = h->free_ends.items[h->free_ends.len - 1];
		} else {
			n = (uint32_t)h->ends.len;
			if (vec_reserve(&h->free_ends, h->ends.len + 1) || vec_push(&h->ends, (struct end){}))
				return NOBODY;
			h->free_ends.items[h->free_ends.len++] = n;
		}
		if (hash_set(&h->by_end, key_of(&key), as_value(n), NULL))
			return NOBODY;
		h->free_ends.len--;
		h->ends.items[n] = (struct end){.addr = *a, .who = identity_ref(who)};
	}
	h->ends.items[n].refs++;
	return n;
}

static void end_unref(struct history *h, uint32_t n)
{
	struct end *e = &h->ends.items[n];

	if (!n || --e->refs)
		return;
	struct end_key key = {.addr = e->addr, .who = e->who};

	hash_del(&h->by_end, key_of(&key));
	identity_unref(h->ids, &e->who);
	h->free_ends.items[h->free_ends.len++] = n; /* room was made with the end */
}

static uint32_t text_get(struct history *h, struct str s)
{
	void *found = hash_get(&h->by_text, s);
	uint32_t n = found ? (uint32_t)(uintptr_t)found - 1 : 0;

	if (!s.n)
		return 0;
	if (!found) {
		char *p = malloc(s.n);

		if (!p)
			return 0;
		memcpy(p, s.p, s.n);
		if (!h->free_texts.len) {
			if (vec_reserve(&h->free_texts, h->texts.len + 1) ||
			    vec_push(&h->texts, (struct text){})) {
				free(p);
				return 0;
			}
			h->free_texts.items[h->free_texts.len++] = (uint32_t)h->texts.len - 1;
		}
		n = h->free_texts.items[h->free_texts.len - 1];
		if (hash_set(&h->by_text, s, as_value(n), NULL)) {
			free(p);
			return 0;
		}
		h->free_texts.len--;
		h->texts.items[n] = (struct text){.p = p, .n = (uint32_t)s.n};
		h->text_bytes += s.n;
	}
	h->texts.items[n].refs++;
	return n;
}

static void text_unref(struct history *h, uint32_t n)
{
	struct text *t = &h->texts.items[n];

	if (!n || --t->refs)
		return;
	hash_del(&h->by_text, (struct str){t->p, t->n});
	h->text_bytes -= t->n;
	free(TAKE(t->p));
	h->free_texts.items[h->free_texts.len++] = n;
}

int history_node(struct history *h, const char *name, uint16_t *out)
{
	for (size_t i = 0; i < h->nodes.len; i++)
		if (!strcmp(h->nodes.items[i], name)) {
			*out = (uint16_t)i;
			return 0;
		}
	char *copy = h->nodes.len < NODES_MAX ? strdup(name) : NULL;

	if (!copy || vec_reserve(&h->sums, h->nodes.len + 1) || vec_push(&h->nodes, copy)) {
		free(copy);
		return -ENOMEM;
	}
	h->sums.items[h->sums.len++] = (struct node_sums){};
	*out = (uint16_t)(h->nodes.len - 1);
	return 0;
}

void kept_let_go(struct history *h, const struct kept *k)
{
	end_unref(h, k->from);
	end_unref(h, k->to);
	end_unref(h, k->via);
	text_unref(h, k->dns);
}

/* --- packed and unpacked --------------------------------------------------------------------------- */

static const struct identity *named(const struct history *h, const struct identity *who, const struct addr *a,
				    int64_t at)
{
	return who ? who : identities_at(h->ids, a, at);
}

int kept_pack(struct history *h, const struct record *r, struct kept *k)
{
	*k = (struct kept){.id = r->id,
			   .bytes = {r->bytes[0], r->bytes[1]},
			   .packets = {r->packets[0], r->packets[1]},
			   .first = r->first,
			   .last = r->last,
			   .cause = r->cause,
			   .rule_egress = r->rule_egress,
			   .rule_ingress = r->rule_ingress,
			   .epoch = r->epoch,
			   .handshake_us = r->handshake_us,
			   .rtt_us = {r->rtt_us[0], r->rtt_us[1]},
			   .retransmits = {r->retransmits[0], r->retransmits[1]},
			   .from_port = r->from.port,
			   .to_port = r->to.port,
			   .via_port = r->via_port,
			   .reason = r->reason,
			   .resets = r->resets,
			   .zero_windows = {r->zero_windows[0], r->zero_windows[1]},
			   .reset_by = r->reset_by,
			   .tcp_seen = r->tcp_seen,
			   .dns_type = r->dns_type,
			   .proto = r->proto,
			   .verdict = r->verdict,
			   .state = r->state,
			   .dns_code = r->dns_code,
			   .kind = (uint8_t)r->kind,
			   .ended = r->ended,
			   .again = r->again,
			   .number = r->number};
	if (history_node(h, r->node, &k->node))
		return -ENOMEM;
	k->from = end_get(h, &r->from.addr, named(h, r->from.who, &r->from.addr, r->first));
	k->to = end_get(h, &r->to.addr, named(h, r->to.who, &r->to.addr, r->first));
	if (!addr_is_zero(&r->via) || r->service)
		k->via = end_get(h, &r->via, named(h, r->service, &r->via, r->first));
	k->dns = text_get(h, r->dns);
	if (k->from && k->to)
		return 0;
	kept_let_go(h, k);
	return -ENOMEM;
}

void kept_unpack(const struct history *h, const struct kept *k, struct record *r)
{
	const struct end *from = &h->ends.items[k->from], *to = &h->ends.items[k->to],
			 *via = &h->ends.items[k->via];
	const struct text *dns = &h->texts.items[k->dns];

	*r = (struct record){.kind = k->kind,
			     .from = {from->addr, k->from_port, from->who},
			     .to = {to->addr, k->to_port, to->who},
			     .via = via->addr,
			     .via_port = k->via_port,
			     .service = via->who,
			     .node = h->nodes.items[k->node],
			     .proto = k->proto,
			     .verdict = k->verdict,
			     .state = k->state,
			     .ended = k->ended,
			     .again = k->again,
			     .reason = k->reason,
			     .cause = k->cause,
			     .rule_egress = k->rule_egress,
			     .rule_ingress = k->rule_ingress,
			     .bytes = {k->bytes[0], k->bytes[1]},
			     .packets = {k->packets[0], k->packets[1]},
			     .first = k->first,
			     .last = k->last,
			     .id = k->id,
			     .number = k->number,
			     .epoch = k->epoch,
			     .handshake_us = k->handshake_us,
			     .rtt_us = {k->rtt_us[0], k->rtt_us[1]},
			     .retransmits = {k->retransmits[0], k->retransmits[1]},
			     .resets = k->resets,
			     .zero_windows = {k->zero_windows[0], k->zero_windows[1]},
			     .reset_by = k->reset_by,
			     .tcp_seen = k->tcp_seen,
			     .dns = {dns->p, dns->n},
			     .dns_type = k->dns_type,
			     .dns_code = k->dns_code};
}
