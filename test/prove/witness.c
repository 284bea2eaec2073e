/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The packet through the real programs: from the pod on its node, over the uplink where it goes on, and its
 * answer back; the events that they tell; and weft_ask about each end. Called by judge.c.
 */
#include "witness.h"

#include <arpa/inet.h>
#include <linux/pkt_cls.h>

#include "packet.h"

enum { TOLD_DROP = 1, TOLD_STAGED = 2, FROM_POD = 0, TO_POD = 1 };
enum drop_number {
#define DROP(id, number, text, advice) DROPPED_##id = number,
#include "tables/drops.def"
#undef DROP
};
static const char *const drop_texts[] = {
    [0] = "no drop",
#define DROP(id, number, text, advice) [number] = text,
#include "tables/drops.def"
#undef DROP
};

struct place {	  /* of one end */
	int node; /* -1: no pod */
	uint32_t ifindex;
	uint8_t mac[6];
};
struct trip { /* of one packet through one or two nodes */
	struct place from, to;
	struct ran ran; /* the last one */
	struct told told[2 * TOLD_MAX];
	size_t n;
};

static struct place place_of(const struct lab *l, const struct addr *a)
{
	struct place p = {.node = -1};
	const struct object *pod = model_pod_at(&l->model, a);
	struct link_key key;
	struct link_value value;
	if (!pod)
		return p;
	int node = lab_node(pod->pod->spec->node_name);
	if (node < 0 || compiler_pod_link(l->compilers[node], pod->meta.uid, &key, &value))
		return p;
	p.node = node;
	p.ifindex = key.ifindex;
	memcpy(p.mac, value.mac, sizeof(p.mac));
	return p;
}

static bool run(struct lab *l, struct trip *t, int node, enum kernel_hook hook, uint32_t ifindex,
		struct buf *why)
{
	uint8_t frame[FRAME_MAX];
	size_t len = t->ran.len;
	memcpy(frame, t->ran.frame, len);
	int e = kernel_run(l->kernels[node], hook, ifindex, frame, len, &t->ran);
	if (e)
		buf_printf(why, "node-%d: the program did not run: %s\n", node + 1, strerror(-e));
	for (size_t i = 0; i < t->ran.n && t->n < 2 * TOLD_MAX; i++)
		t->told[t->n++] = t->ran.told[i];
	return !e;
}

static const struct told *dropped(const struct trip *t)
{
	for (size_t i = 0; i < t->n; i++)
		if (t->told[i].type == TOLD_DROP)
			return &t->told[i];
	return NULL;
}

/* From a pod of node t->from, or from elsewhere to a pod of node t->to. */
static bool travel(struct lab *l, struct trip *t, const struct model_question *q, struct buf *why)
{
	if (t->from.node >= 0) {
		if (!run(l, t, t->from.node, HOOK_FROM_POD, t->from.ifindex, why))
			return false;
		if (dropped(t) || t->to.node < 0 || t->to.node == t->from.node)
			return true;
		return run(l, t, t->to.node, HOOK_UPLINK, KERNEL_UPLINK, why);
	}
	const struct object *node = model_node_at(&l->model, &q->src);
	if (node && lab_node(node->meta.name) == t->to.node)
		return run(l, t, t->to.node, HOOK_TO_POD, t->to.ifindex, why);
	return run(l, t, t->to.node, HOOK_UPLINK, KERNEL_UPLINK, why);
}

bool frame_passes(struct lab *l, const struct addr *src, const struct addr *dst, const uint8_t *frame,
		  size_t len)
{
	AUTO_BUF why = {0};
	struct trip t = {.from = place_of(l, src), .to = place_of(l, dst)};
	struct model_question q = {.src = *src, .dst = *dst};
	if (t.from.node < 0 && t.to.node < 0)
		return false;
	memcpy(t.ran.frame, frame, len);
	t.ran.len = len;
	return travel(l, &t, &q, &why) && !dropped(&t);
}

static enum model_verdict verdict_of(const struct told *drop, bool *known)
{
	*known = true;
	switch (drop ? drop->reason : 0) {
	case 0:
		return MODEL_ALLOW;
	case DROPPED_POLICY_EGRESS:
	case DROPPED_DENY_EGRESS:
		return MODEL_DENY_EGRESS;
	case DROPPED_POLICY_INGRESS:
	case DROPPED_DENY_INGRESS:
		return MODEL_DENY_INGRESS;
	case DROPPED_NO_ENDPOINT:
		return MODEL_NOBODY;
	default:
		*known = false;
		return MODEL_NOBODY;
	}
}

static uint32_t reason_of(const struct model_half *h, bool egress)
{
	if (h->allow)
		return 0;
	if (h->stage == STAGE_ISOLATED)
		return egress ? DROPPED_POLICY_EGRESS : DROPPED_POLICY_INGRESS;
	return egress ? DROPPED_DENY_EGRESS : DROPPED_DENY_INGRESS;
}

/* The cause of an event: of a default deny the policy set, else the rule. */
static bool cause_agreed(struct lab *l, const struct model *m, const struct told *t,
			 const struct model_half *h, bool egress, int node, uint32_t set,
			 const struct model_question *q, struct buf *why)
{
	if (h->stage != STAGE_ISOLATED)
		return rule_agreed(l, m, node, t->cause, h, egress, q, "an event", why);
	if (t->cause == set && set)
		return true;
	buf_printf(why, "the cause of the %s is %08x, the pod's policy set is %08x\n", drop_texts[t->reason],
		   t->cause, set);
	return false;
}

/* weft_ask about one end. The sets go to *set and *staged_set. */
static bool ask_agreed(struct lab *l, const struct shot *s, bool egress, const struct place *at,
		       const struct model_half *h, const struct model_half *staged, uint32_t *set,
		       uint32_t *staged_set, struct buf *why)
{
	struct ask a = {
	    .dport = htons(s->q.port), .proto = s->q.proto, .direction = egress ? FROM_POD : TO_POD};
	memcpy(&a.src, &s->q.src, sizeof(a.src));
	memcpy(&a.dst, &s->q.dst, sizeof(a.dst));
	int e = kernel_ask(l->kernels[at->node], &a);
	if (e || !a.found) {
		buf_printf(why, "weft_ask: %s\n", e ? strerror(-e) : "no such pod");
		return false;
	}
	*set = a.set;
	*staged_set = a.staged_set;
	if ((a.verdict == 1) != h->allow) {
		buf_printf(why, "weft_ask says that %s is %s\n", egress ? "egress" : "ingress",
			   a.verdict ? "allowed" : "refused");
		return false;
	}
	if (!rule_agreed(l, &l->model, at->node, a.rule, h, egress, &s->q, "weft_ask", why))
		return false;
	if (!a.staged_set) {
		if (h->allow == staged->allow)
			return true;
		buf_printf(why, "no staged set at %s, though staged policies judge otherwise\n",
			   egress ? "egress" : "ingress");
		return false;
	}
	if ((a.staged_verdict == 1) == staged->allow)
		return rule_agreed(l, &l->staged, at->node, a.staged_rule, staged, egress, &s->q, "weft_ask",
				   why);
	buf_printf(why, "weft_ask says that with staged policies %s is %s\n", egress ? "egress" : "ingress",
		   a.staged_verdict ? "allowed" : "refused");
	return false;
}

static const struct told *staged_event(const struct trip *t, bool egress)
{
	for (size_t i = 0; i < t->n; i++)
		if (t->told[i].type == TOLD_STAGED && t->told[i].direction == (egress ? FROM_POD : TO_POD))
			return &t->told[i];
	return NULL;
}

/* One end that was judged: its drop, its staged event, and what weft_ask says. */
static bool end_agreed(struct lab *l, const struct shot *s, const struct trip *t, bool egress,
		       const struct model_half *h, struct buf *why)
{
	const struct place *at = egress ? &t->from : &t->to;
	struct model_half staged = model_half(&l->staged, &s->q, egress);
	const struct told *e = staged_event(t, egress), *drop = dropped(t);
	uint32_t set = 0, staged_set = 0;
	bool loop = s->q.service && addr_eq(&s->q.src, &s->q.dst);
	if (loop) { /* nobody asks that, and staged policies are not told of it */
		staged = *h;
		set = drop ? drop->cause : 0;
	} else if (!ask_agreed(l, s, egress, at, h, &staged, &set, &staged_set, why)) {
		return false;
	}
	if (!h->allow) {
		if (drop->reason != reason_of(h, egress)) {
			buf_printf(why, "the kernel's reason is %s, the reference's %s\n",
				   drop_texts[drop->reason], drop_texts[reason_of(h, egress)]);
			return false;
		}
		if (drop->ifindex != at->ifindex || drop->direction != (egress ? FROM_POD : TO_POD)) {
			buf_printf(why, "the drop is charged to interface %u, direction %u\n", drop->ifindex,
				   drop->direction);
			return false;
		}
		if (!cause_agreed(l, &l->model, drop, h, egress, at->node, set, &s->q, why))
			return false;
	}
	bool differs = h->allow != staged.allow;
	if (differs != (e != NULL) || (e && e->reason != reason_of(&staged, egress))) {
		buf_printf(why, "%s: staged policies would say \"%s\", the kernel told %s\n",
			   egress ? "egress" : "ingress", staged.allow ? "allowed" : "refused",
			   e ? drop_texts[e->reason] : "nothing");
		return false;
	}
	return !e || cause_agreed(l, &l->staged, e, &staged, egress, at->node, staged_set, &s->q, why);
}

/* The answer comes back without any rule for it (NP65). */
static bool answer_passes(struct lab *l, const struct shot *s, struct trip *t, struct buf *why)
{
	struct trip back = {.from = t->to, .to = t->from, .ran = t->ran};
	struct model_question q = {.src = s->q.dst, .dst = s->q.src};
	packet_turn(back.ran.frame);
	if (!travel(l, &back, &q, why))
		return false;
	const struct told *drop = dropped(&back);
	if (drop) {
		buf_printf(why, "the answer is dropped: %s\n", drop_texts[drop->reason]);
		return false;
	}
	if (back.to.node >= 0 && back.ran.action == TC_ACT_REDIRECT &&
	    memcmp(back.ran.frame, back.to.mac, 6)) {
		buf_printf(why, "the answer went to another interface\n");
		return false;
	}
	return true;
}

bool exchange_passes(struct lab *l, const struct addr *src, const struct addr *dst, const uint8_t *frame,
		     size_t len)
{
	AUTO_BUF why = {0};
	struct trip t = {.from = place_of(l, src), .to = place_of(l, dst)};
	struct shot s = {.q = {.src = *src, .dst = *dst}};
	if (t.from.node < 0 && t.to.node < 0)
		return false;
	memcpy(t.ran.frame, frame, len);
	t.ran.len = len;
	return travel(l, &t, &s.q, &why) && !dropped(&t) && answer_passes(l, &s, &t, &why);
}

static bool can_answer(const struct shot *s)
{
	bool multicast = addr_is4(&s->q.dst) ? s->q.dst.b[12] >= 224 : s->q.dst.b[0] == 0xff;
	return s->reply && !s->cut && !multicast && !addr_eq(&s->q.src, &s->q.dst);
}

/* The second part goes where the first one went (NP73). */
static bool rest_agreed(struct lab *l, const struct shot *s, struct packet_spec *spec, bool first_dropped,
			struct buf *why)
{
	struct trip t = {.from = place_of(l, &s->q.src), .to = place_of(l, &s->q.dst)};
	spec->part = LATER_PART;
	t.ran.len = packet_frame(spec, t.ran.frame);
	if (!travel(l, &t, &s->q, why))
		return false;
	if ((dropped(&t) != NULL) == first_dropped)
		return true;
	buf_printf(why, "of two parts of a packet one passes, the second: %s\n",
		   dropped(&t) ? drop_texts[dropped(&t)->reason] : "passed");
	return false;
}

bool kernel_agreed(struct lab *l, const struct shot *s, const struct model_answer *want, struct cover *c,
		   struct buf *why)
{
	struct trip t = {.from = place_of(l, &s->q.src), .to = place_of(l, &s->q.dst)};
	struct packet_spec spec = {.src = s->q.src,
				   .dst = s->q.service ? s->to : s->q.dst,
				   .proto = s->q.proto,
				   .dport = s->q.service ? s->to_port : s->q.port,
				   .sport = ++l->sport,
				   .part = s->cut ? FIRST_PART : WHOLE};
	bool known, portless = !packet_has_ports(s->q.proto) && s->q.proto != 1 && s->q.proto != 58;
	if (t.from.node < 0 && t.to.node < 0)
		return true;
	if (l->sport < 1024)
		l->sport = spec.sport = 1024;
	t.ran.len = packet_frame(&spec, t.ran.frame);
	if (!travel(l, &t, &s->q, why))
		return false;
	const struct told *drop = dropped(&t);
	enum model_verdict got = verdict_of(drop, &known);
	if (!known || got != want->verdict) {
		buf_printf(why, "the kernel says: %s\n", drop ? drop_texts[drop->reason] : "passed");
		return false;
	}
	if (!drop && t.ran.action != TC_ACT_REDIRECT && t.ran.action != TC_ACT_OK) {
		buf_printf(why, "the program returned %d without an event\n", t.ran.action);
		return false;
	}
	if (!drop && t.to.node >= 0 && t.ran.action == TC_ACT_REDIRECT && memcmp(t.ran.frame, t.to.mac, 6)) {
		buf_printf(why, "it went to another interface\n");
		return false;
	}
	if (t.from.node >= 0 && !end_agreed(l, s, &t, true, &want->egress, why))
		return false;
	if (t.to.node >= 0 && want->egress.allow && !end_agreed(l, s, &t, false, &want->ingress, why))
		return false;
	if (s->cut && !rest_agreed(l, s, &spec, drop != NULL, why))
		return false;
	if (!drop && can_answer(s) && !answer_passes(l, s, &t, why))
		return false;
	if (c) {
		c->in_kernel++;
		c->cross_node += t.from.node >= 0 && t.to.node >= 0 && t.from.node != t.to.node;
		c->cut += s->cut;
		c->replies += !drop && can_answer(s);
	}
	bool often = ++l->runs % 256 == 0;
	for (int n = 0; (portless || often) && n < NODES; n++)
		kernel_forget(l->kernels[n], often || s->reply);
	return true;
}
