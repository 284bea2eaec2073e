/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rules of captured packets: which policy, in which file and line, allows or refuses what a pod sent or got.
 * The planner of the pod's node is asked for each pair of ends, protocol and port; its answer says since when
 * it holds, and is kept for packets of that time, also when policies change later. Of a packet from before or
 * between what is known it is said that the rule is not. Who began a connection must be known, from the
 * packet or from an earlier one; and where the answer is not what happened to the packet, nothing is said.
 * Never waits for an agent that failed once.
 */
#include "cli/capture.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/own.h"
#include "cli/agent_socket.h"
#include "cli/output.h"
#include "filter/dissect.h"

enum { KNOWN_MAX = 65536, ASKED_A_SECOND = 100, LOOK_MS = 100, EPHEMERAL = 32768, SYN = 2, ACK = 16 };

struct capture_rules {
	const char *cluster;
	struct hash answers; /* question → struct answer, the newest */
	struct hash nodes;   /* name → struct node */
	struct hash begun;   /* both ends and ports, smaller first → whose side began: 'a' or 'b' */
	size_t entries;
	uint64_t second, asked;
	bool away;
};

struct answer {
	struct answer *before;
	uint64_t since, until; /* of packets, ns: asked, or looked again, at `until` */
	char text[];	       /* "": nothing to say */
};

struct node {
	uint64_t changed; /* ns: of the newest change of what packets are judged by */
	uint64_t until;	  /* ns: and none after it until then */
	uint64_t looked;  /* ms */
};

struct question {
	struct addr client, server;
	uint16_t port;
	uint8_t proto;
	uint8_t dropped, to; /* to: about ingress of the server */
};

struct capture_rules *capture_rules_new(const char *cluster)
{
	struct capture_rules *r = calloc(1, sizeof(*r));

	if (r)
		r->cluster = cluster;
	return r;
}

static void answers_free(struct answer *a)
{
	while (a) {
		struct answer *before = a->before;

		free(a);
		a = before;
	}
}

void capture_rules_free(struct capture_rules **rp)
{
	struct capture_rules *r = *rp;

	*rp = NULL;
	if (!r)
		return;
	HASH_EACH (&r->answers, slot)
		answers_free(slot->value);
	HASH_EACH (&r->nodes, slot)
		free(slot->value);
	hash_fini(&r->answers);
	hash_fini(&r->nodes);
	hash_fini(&r->begun);
	free(r);
}

/* --- who began it -------------------------------------------------------------------------------------- */

/* Which of the two ends stands first in the key of both ways. */
static size_t ends(const struct dissected *d, uint8_t key[37], bool *swapped)
{
	int order = memcmp(&d->src, &d->dst, sizeof(d->src));
	size_t n = 0;

	*swapped = order > 0 || (!order && d->sport > d->dport);
	for (int i = 0; i < 2; i++) {
		bool second = *swapped != (i == 1);
		uint16_t port = second ? d->dport : d->sport;

		memcpy(key + n, second ? d->dst.b : d->src.b, 16);
		memcpy(key + n + 16, &port, 2);
		n += 18;
	}
	key[n++] = d->proto;
	return n;
}

/* 1: the sender; -1: the receiver; 0: nobody can say. */
static int initiator(struct capture_rules *r, const struct dissected *d, bool dropped)
{
	static char first, second;
	uint8_t bytes[37];
	bool swapped;
	struct str key = {(const char *)bytes, ends(d, bytes, &swapped)};
	const void *known = hash_get(&r->begun, key);
	int who = 0;

	if (dropped)
		return 1; /* an answer is not judged */
	if (!(d->has & HAS_PORTS))
		return 0;
	if (d->has & HAS_TCP && d->tcp_flags & SYN)
		who = d->tcp_flags & ACK ? -1 : 1;
	else if (known)
		return (known == &second) == swapped ? 1 : -1;
	else if ((d->sport >= EPHEMERAL) != (d->dport >= EPHEMERAL))
		return d->sport >= EPHEMERAL ? 1 : -1;
	if (who && r->begun.len < KNOWN_MAX)
		hash_set(&r->begun, key, (who > 0) == swapped ? &second : &first, NULL);
	return who;
}

/* --- what the planner says -------------------------------------------------------------------------------
 */

static void rule_text(struct buf *b, const json_t *item)
{
	const char *file = json_string_value(json_object_get(item, "file")),
		   *path = json_string_value(json_object_get(item, "path"));

	buf_addz(b, json_string_value(json_object_get(item, "policy")) ?: "a policy");
	if (path && *path)
		buf_printf(b, " %s", path);
	if (file)
		buf_printf(b, " (%s:%lld:%lld)", file,
			   (long long)json_integer_value(json_object_get(item, "line")),
			   (long long)json_integer_value(json_object_get(item, "column")));
}

/* One side of the answer; nothing where it says the opposite of what happened. */
static void side_text(struct buf *b, const json_t *side, bool dropped)
{
	const char *reason = json_string_value(json_object_get(side, "reason")) ?: "";
	const json_t *rule = json_object_get(side, "rule"), *p;
	size_t i;

	if (!side || json_is_true(json_object_get(side, "allowed")) == dropped)
		return;
	if (rule) {
		buf_addz(b, dropped ? "refused by " : "allowed by ");
		rule_text(b, rule);
	} else if (!strcmp(reason, "default-deny")) {
		buf_addz(b, "refused, since no rule allows it, by ");
		json_array_foreach (json_object_get(side, "policies"), i, p) {
			buf_addz(b, i ? ", " : "");
			rule_text(b, p);
		}
	} else if (!strcmp(reason, "not-selected") || !strcmp(reason, "open")) {
		buf_addz(b, "allowed: no policy is about it");
	}
}

static void answer_text(struct buf *b, const json_t *v, const struct question *q)
{
	const json_t *flow;
	AUTO_BUF first = {0};
	size_t i;

	if (q->to) {
		side_text(b, v, q->dropped);
		return;
	}
	/* A Service's endpoints may have different answers: then nobody knows which was chosen. */
	json_array_foreach (json_object_get(v, "flows"), i, flow) {
		AUTO_BUF one = {0};

		side_text(&one, json_object_get(flow, "egress"), q->dropped);
		if (!i)
			buf_adds(&first, buf_str(&one));
		else if (!str_eq(buf_str(&one), buf_str(&first)))
			return;
	}
	buf_adds(b, buf_str(&first));
}

static uint64_t time_of(const json_t *v, const char *member)
{
	json_int_t n = json_integer_value(json_object_get(v, member));

	return n > 0 ? (uint64_t)n : 0;
}

/* NULL: no answer, or one of a moment at which what is in force changes. */
static struct answer *ask(struct capture_rules *r, const char *node, const struct question *q)
{
	char src[ADDR_TEXT], dst[ADDR_TEXT];
	AUTO_BUF answer = {0};
	AUTO_BUF text = {0};
	int err;

	if (r->away)
		return NULL;
	if (clock_ms() / 1000 != r->second) {
		r->second = clock_ms() / 1000;
		r->asked = 0;
	}
	if (r->asked++ >= ASKED_A_SECOND)
		return NULL;
	addr_print(&q->client, src);
	addr_print(&q->server, dst);
	AUTO_JSON o = json_pack("{s:i,s:s,s:s,s:s,s:s,s:i,s:i,s:b,s:b}", "id", 1, "op", "why", "side",
				q->to ? "to" : "from", "src", src, "dst", dst, "protocol", q->proto, "port",
				q->port, "outside", 0, "self", 0);

	err = agent_try_text(r->cluster, node, o, &answer);
	r->away = err == -ECONNREFUSED || err == -EACCES || err == -ENOENT || err == -EAGAIN;
	if (err)
		return NULL;
	AUTO_JSON v = json_loadb(answer.p ? answer.p : "", answer.n, 0, NULL);

	if (!time_of(v, "since"))
		return NULL;
	answer_text(&text, v, q);
	struct answer *a = calloc(1, sizeof(*a) + text.n + 1);

	if (a) {
		a->since = time_of(v, "since");
		a->until = time_of(v, "until");
		memcpy(a->text, text.p ? text.p : "", text.n);
	}
	return a;
}

/* --- when it holds --------------------------------------------------------------------------------------
 */

/* Asks the node, now and then, when it last changed what packets are judged by. */
static const struct node *look(struct capture_rules *r, const char *name)
{
	struct node *n = hash_get(&r->nodes, str_of(name));
	uint64_t now = clock_ms();

	if (!n) {
		n = calloc(1, sizeof(*n));
		if (!n || hash_set(&r->nodes, str_of(name), n, NULL)) {
			free(n);
			return NULL;
		}
	}
	if (r->away || now < n->looked + LOOK_MS)
		return n;
	AUTO_JSON v = agent_status(r->cluster, name);
	const json_t *verdicts = json_object_get(v, "verdicts");

	n->looked = now;
	r->away = !v;
	if (time_of(verdicts, "until")) {
		n->changed = time_of(verdicts, "since");
		n->until = time_of(verdicts, "until");
	}
	return n;
}

/* What is known of it, as far as the packet's time if that can be had. */
static struct answer *known(struct capture_rules *r, const char *node, const struct question *q,
			    uint64_t time)
{
	struct str key = {(const char *)q, sizeof(*q)};
	struct answer *a = hash_get(&r->answers, key), *new;
	const struct node *n = a && time > a->until ? look(r, node) : NULL;

	if (n && n->changed <= a->until && n->until > a->until)
		a->until = n->until;
	if ((a && time <= a->until) || r->entries >= KNOWN_MAX)
		return a;
	new = ask(r, node, q);
	if (!new)
		return a;
	if (a && new->since <= a->until) { /* the same still holds */
		a->until = new->until;
		free(new);
		return a;
	}
	new->before = a;
	if (hash_set(&r->answers, key, new, NULL)) {
		free(new);
		return a;
	}
	r->entries++;
	return new;
}

static const char *answer_at(const struct answer *a, uint64_t time)
{
	static const char changed[] =
	    "by which rule is not known: what decides about it was changed after that";

	if (!a || time > a->until)
		return NULL;
	for (; a; a = a->before)
		if (time >= a->since)
			return time > a->until ? changed : *a->text ? a->text : NULL;
	return changed;
}

const char *capture_rules_of(struct capture_rules *r, const char *place, const char *source,
			     const char *destination, const struct dissected *d, bool dropped, uint64_t time)
{
	const char *slash = strchr(place, '/');
	int who;
	struct question q;
	bool client_here;

	if (!slash || !strchr(slash + 1, '/') || !(d->has & HAS_IP) || d->has & HAS_FRAGMENT)
		return NULL; /* no pod's */
	who = initiator(r, d, dropped);
	if (!who)
		return NULL;
	memset(&q, 0, sizeof(q));
	q.client = who > 0 ? d->src : d->dst;
	q.server = who > 0 ? d->dst : d->src;
	q.port = d->has & HAS_PORTS ? who > 0 ? d->dport : d->sport : 0;
	q.proto = d->proto;
	q.dropped = dropped;
	client_here = !strcmp((who > 0 ? source : destination) ?: "", slash + 1);
	q.to = !client_here;
	if (!client_here && strcmp((who > 0 ? destination : source) ?: "", slash + 1) != 0)
		return NULL; /* neither end is known to be the pod */
	AUTO_MEM char *node = strndup(place, (size_t)(slash - place));

	return node ? answer_at(known(r, node, &q, time), time) : NULL;
}
