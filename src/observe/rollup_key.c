/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys of roll-ups: what records are added up under. Makes one of a record's names of its time, folds
 * networks, domains and ports together in a flood, shares equal ones and bounds how many stay. Called by
 * rollup.c and rollup_file.c.
 */
#include "observe/rollup_state.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/own.h"
#include "filter/reason.h"

static void pack_text(struct buf *b, struct str s)
{
	uint32_t n = (uint32_t)s.n;

	buf_add(b, &n, sizeof(n));
	buf_adds(b, s);
}

static void pack(struct buf *b, const struct rollup_key *k)
{
	const struct str texts[] = {k->from.ns, k->from.what_kind, k->from.what, k->to.ns, k->to.what_kind,
				    k->to.what, k->service_ns,	   k->service,	 k->node};
	const uint32_t numbers[] = {k->from.kind, k->to.kind,	  k->port,	  k->service_port,
				    k->reason,	  k->proto,	  k->verdict,	  k->kind,
				    k->cause,	  k->rule_egress, k->rule_ingress};

	buf_add(b, numbers, sizeof(numbers));
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		pack_text(b, texts[i]);
}

static void take_text(char **at, struct str *s)
{
	if (s->n)
		memcpy(*at, s->p, s->n);
	s->p = *at;
	*at += s->n;
}

/* It stays: who talked in this second talks in the next one, too. forget_keys() bounds how many. */
void rollup_key_unref(struct rollup *r, struct rollup_key *k)
{
	(void)r;
	if (k)
		k->refs--;
}

static void forget_keys(struct rollup *r)
{
	VEC(struct rollup_key *) gone = {};

	if (r->keys.len < r->keys_max)
		return;
	HASH_EACH (&r->keys, s)
		if (!((struct rollup_key *)s->value)->refs && vec_push(&gone, s->value))
			break;
	VEC_EACH (&gone, k) {
		AUTO_BUF packed = {};

		pack(&packed, *k);
		if (!packed.failed && hash_del(&r->keys, buf_str(&packed)))
			free(*k);
	}
	vec_free(&gone);
	r->keys_max = 2 * r->keys.len > KEYS_MAX ? 2 * r->keys.len : KEYS_MAX;
}

struct rollup_key *rollup_key_get(struct rollup *r, const struct rollup_key *like)
{
	AUTO_BUF packed = {};
	struct rollup_key *k;
	char *at;

	pack(&packed, like);
	if (packed.failed)
		return NULL;
	k = hash_get(&r->keys, buf_str(&packed));
	if (k) {
		k->refs++;
		return k;
	}
	forget_keys(r);
	k = calloc(1, sizeof(*k) + packed.n);
	if (!k)
		return NULL;
	*k = *like;
	k->refs = 1;
	k->file_id = k->file_hour = 0;
	at = k->text;
	struct str *texts[] = {&k->from.ns, &k->from.what_kind, &k->from.what, &k->to.ns, &k->to.what_kind,
			       &k->to.what, &k->service_ns,	&k->service,   &k->node};

	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		take_text(&at, texts[i]);
	if (hash_set(&r->keys, buf_str(&packed), k, NULL)) {
		free(k);
		return NULL;
	}
	return k;
}

/* The network that an address of nobody's is told by. */
static struct str prefix_of(const struct addr *a, char out[ROLLUP_NETWORK_TEXT])
{
	char text[ADDR_TEXT];
	struct addr masked = *a;
	unsigned keep = addr_is4(a) ? 15 : 6;

	memset(masked.b + keep, 0, sizeof(masked.b) - keep);
	addr_print(&masked, text);
	snprintf(out, ROLLUP_NETWORK_TEXT, "%s/%d", text, addr_is4(a) ? 24 : 48);
	return str_of(out);
}

void rollup_end_of(const struct record_end *e, char network[ROLLUP_NETWORK_TEXT], struct rollup_end *out)
{
	const struct identity *w = e->who;

	*out = (struct rollup_end){.kind = w ? w->kind : IDENTITY_UNKNOWN};
	if (w)
		out->ns = w->ns;
	if (w && w->workload.n) {
		out->what_kind = w->workload_kind;
		out->what = w->workload;
	} else if (w && w->name.n) {
		out->what_kind = w->kind == IDENTITY_POD    ? STR("Pod")
				 : w->kind == IDENTITY_NODE ? STR("Node")
							    : STR("Service");
		out->what = w->name;
	} else if (w && w->domain.n) {
		out->what_kind = STR("Domain");
		out->what = w->domain;
	} else {
		out->what_kind = STR("Prefix");
		out->what = prefix_of(&e->addr, network);
	}
}

/* Of these there may be any number. */
static bool is_network(const struct rollup_end *e)
{
	return str_eqz(e->what_kind, "Prefix") || str_eqz(e->what_kind, "Domain");
}

static void fold_end(struct rollup_end *e)
{
	if (!is_network(e))
		return;
	e->what_kind = STR("Prefix");
	e->what = (struct str){};
}

static void fold(struct rollup *r, struct rollup_key *k)
{
	r->n.folded++;
	k->port = 0;
	fold_end(&k->from);
	fold_end(&k->to);
}

/* In a flood networks, domains and ports are not told apart, so that it costs no history of what was before.
 */
static struct rollup_key *folded_key(struct rollup *r, struct rollup_key *k, int64_t at)
{
	bool network = is_network(&k->from) || is_network(&k->to);
	size_t before;
	struct rollup_key *key;

	if (at / NS / 3600 != r->network_hour) {
		r->network_hour = at / NS / 3600;
		r->networks = 0;
	}
	if (r->fresh >= r->limits.fresh || (network && r->networks >= r->limits.networks))
		fold(r, k);
	if (r->fresh >= 2 * r->limits.fresh)
		k->from = k->to = (struct rollup_end){.what_kind = STR("Other")};
	before = r->keys.len;
	key = rollup_key_get(r, k);
	r->networks += network && r->keys.len > before;
	return key;
}

struct rollup_key *rollup_key_of(struct rollup *r, const struct rollup_node *node, const struct record *rec)
{
	char from[ROLLUP_NETWORK_TEXT], to[ROLLUP_NETWORK_TEXT];
	struct rollup_key k = {.node = str_of(node->name),
			       .port = rec->to.port,
			       .service_port = rec->via_port,
			       .reason = rec->reason > REASON_KERNEL ? REASON_KERNEL : rec->reason,
			       .proto = rec->proto,
			       .verdict = rec->verdict,
			       .kind = (uint8_t)rec->kind,
			       .cause = rec->cause,
			       .rule_egress = rec->rule_egress,
			       .rule_ingress = rec->rule_ingress};

	rollup_end_of(&rec->from, from, &k.from);
	rollup_end_of(&rec->to, to, &k.to);
	if (rec->service) {
		k.service_ns = rec->service->ns;
		k.service = rec->service->name;
	}
	return folded_key(r, &k, rec->last);
}
