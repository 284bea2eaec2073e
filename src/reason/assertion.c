/* SPDX-License-Identifier: Apache-2.0 */
/* Parses assertions, see assertion.h. Looks nothing up: whether anybody has such a label is prove.c's matter.
 */
#include "reason/assertion.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>

#include "base/own.h"

struct parser {
	struct arena *arena;
	struct str text;
	size_t at;
	struct str word; /* at hand; empty at the end */
	size_t word_at;
	const char *why;
};

static bool is_space(char c)
{
	return c == ' ' || c == '\t';
}

static void advance(struct parser *p)
{
	while (p->at < p->text.n && is_space(p->text.p[p->at]))
		p->at++;
	p->word_at = p->at;
	if (p->at < p->text.n && p->text.p[p->at] == ',') {
		p->at++;
	} else {
		while (p->at < p->text.n && !is_space(p->text.p[p->at]) && p->text.p[p->at] != ',')
			p->at++;
	}
	p->word = (struct str){p->text.p + p->word_at, p->at - p->word_at};
}

static int fail(struct parser *p, struct str why)
{
	p->why = why.p;
	return why.p ? -EINVAL : -ENOMEM;
}

static bool is(const struct parser *p, const char *word)
{
	return str_eqz(p->word, word);
}

static bool is_keyword(const struct parser *p)
{
	return is(p, "can") || is(p, "cannot") || is(p, "reach") || is(p, "on") || is(p, "except") ||
	       is(p, "and") || is(p, ",") || !p->word.n;
}

static bool bare_term(struct parser *p, struct term *t)
{
	static const struct {
		const char *word;
		enum term_kind kind;
	} words[] = {{"any", TERM_ANY},	    {"anybody", TERM_ANY}, {"everybody", TERM_ANY},
		     {"pods", TERM_PODS},   {"pod", TERM_PODS},	   {"outside", TERM_OUTSIDE},
		     {"nodes", TERM_NODES}, {"node", TERM_NODES}};

	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (is(p, words[i].word)) {
			t->kind = words[i].kind;
			return true;
		}
	return false;
}

/* "10.0.0.0/8", "2001:db8::1". */
static int cidr_term(struct parser *p, struct term *t, bool *hit)
{
	struct addr a;
	int r = prefix_parse(p->word, &t->cidr);

	*hit = true;
	t->kind = TERM_CIDR;
	if (r == -EDOM)
		return fail(p, arena_printf(p->arena, "\"" STR_FMT "\" has bits beyond its length",
					    STR_ARG(p->word)));
	if (!r)
		return 0;
	if (!addr_parse(p->word, &a)) {
		t->cidr = (struct prefix){.addr = a, .len = 128};
		return 0;
	}
	*hit = false;
	return 0;
}

static int named_term(struct parser *p, struct term *t, struct str key, struct str value)
{
	static const struct {
		const char *key;
		enum term_kind kind;
		bool in_namespace;
	} keys[] = {{"ns", TERM_NS, false},  {"namespace", TERM_NS, false}, {"pod", TERM_POD, true},
		    {"svc", TERM_SVC, true}, {"service", TERM_SVC, true},   {"node", TERM_NODE, false}};

	t->key = key;
	t->value = value;
	t->kind = TERM_LABEL;
	if (str_starts(key, STR("ns:"))) {
		t->kind = TERM_NS_LABEL;
		t->key = (struct str){key.p + 3, key.n - 3};
		return 0;
	}
	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		if (!str_eqz(key, keys[i].key))
			continue;
		t->kind = keys[i].kind;
		if (!value.n)
			return fail(p, arena_printf(p->arena, "%s= needs a name", keys[i].key));
		if (!keys[i].in_namespace)
			return 0;
		t->key = str_cut(&value, '/');
		t->value = value;
		if (!value.n)
			return fail(p, arena_printf(p->arena, "write %s=NAMESPACE/NAME", keys[i].key));
	}
	return 0;
}

static int term(struct parser *p, struct term *t)
{
	bool hit = false;
	int r = 0;

	if (is_keyword(p))
		return fail(p,
			    STR("here must stand who is meant: ns=NAME, app=LABEL, pod=NS/NAME, svc=NS/NAME, "
				"node=NAME, 10.0.0.0/8, outside, nodes, pods or any"));
	if (bare_term(p, t))
		return 0;
	r = cidr_term(p, t, &hit);
	if (r || hit)
		return r;
	struct str value = p->word, key = str_cut(&value, '=');
	if (key.n == p->word.n)
		return fail(p,
			    arena_printf(p->arena,
					 "\"" STR_FMT "\" is no selector: ns=NAME, KEY=VALUE, pod=NS/NAME, "
					 "svc=NS/NAME, node=NAME, 10.0.0.0/8, outside, nodes, pods or any",
					 STR_ARG(p->word)));
	if (key.n && key.p[key.n - 1] == '!') {
		t->negated = true;
		key.n--;
	}
	if (!key.n)
		return fail(p, STR("there is no key before \"=\""));
	return named_term(p, t, key, value);
}

static int selection(struct parser *p, struct selection *s)
{
	size_t from = p->word_at, end;

	for (;;) {
		struct term t = {0};
		int r = term(p, &t);
		if (!r)
			r = vec_push(&s->terms, t);
		if (r)
			return r;
		end = p->at;
		advance(p);
		if (!is(p, "and") && !is(p, ","))
			break;
		advance(p);
	}
	s->text = (struct str){p->text.p + from, end - from};
	return 0;
}

struct spans {
	VEC(struct port_span) list;
};

static int span(struct parser *p, struct spans *out)
{
	static const struct {
		const char *name;
		uint8_t proto;
	} protos[] = {{"tcp", IPPROTO_TCP}, {"udp", IPPROTO_UDP}, {"sctp", IPPROTO_SCTP}, {"icmp", 0}};
	struct str rest = p->word, name = str_cut(&rest, '/'), high;
	int64_t low, last;

	if (is(p, "any")) {
		int r = 0;
		for (int i = 0; i < PORT_PROTOS && !r; i++)
			r = vec_push(&out->list,
				     (struct port_span){port_protos[i], 0, port_protos[i] ? 65535 : 0});
		return r;
	}
	struct port_span s = {.proto = IPPROTO_TCP};
	bool known = false, slash = name.n != p->word.n;
	for (size_t i = 0; i < ARRAY_LEN(protos); i++)
		if (str_eqz(name, protos[i].name)) {
			s.proto = protos[i].proto;
			known = true;
		}
	if (known && !slash) {
		s.high = s.proto ? 65535 : 0;
		return vec_push(&out->list, s);
	}
	high = slash ? rest : name;
	struct str lowest = str_cut(&high, '-');
	if ((slash && (!known || !s.proto)) || str_to_i64(lowest, 0, 65535, &low) ||
	    (high.n && str_to_i64(high, low, 65535, &last)))
		return fail(p,
			    arena_printf(p->arena,
					 "\"" STR_FMT "\" is no port: tcp/80, udp/53, tcp/8000-8100, sctp, "
					 "icmp or any",
					 STR_ARG(p->word)));
	s.low = (uint16_t)low;
	s.high = (uint16_t)(high.n ? last : low);
	return vec_push(&out->list, s);
}

static int spans(struct parser *p, struct spans *out)
{
	for (;;) {
		int r = p->word.n && !is_keyword(p)
			    ? span(p, out)
			    : fail(p, STR("here must stand ports, as tcp/80 or udp/53"));
		if (r)
			return r;
		advance(p);
		if (!is(p, ",") && !is(p, "and"))
			return 0;
		advance(p);
	}
}

static void mark(uint8_t *set, const struct spans *s, uint8_t proto, uint8_t value)
{
	VEC_EACH (&s->list, x)
		if (x->proto == proto)
			memset(set + x->low, value, (size_t)(x->high - x->low) + 1);
}

/* `on` without `except`, in order. */
static int subtract(struct assertion *out, const struct spans *on, const struct spans *except)
{
	AUTO_MEM uint8_t *set = malloc(65536);

	for (int i = 0; i < PORT_PROTOS && set; i++) {
		uint8_t proto = port_protos[i];
		uint32_t last = proto ? 65535 : 0;
		bool open = false;
		memset(set, 0, 65536);
		mark(set, on, proto, 1);
		mark(set, except, proto, 0);
		for (uint32_t port = 0; port <= last; port++) {
			struct port_span *s = out->ports.len ? &out->ports.items[out->ports.len - 1] : NULL;
			if (set[port] && open)
				s->high = (uint16_t)port;
			else if (set[port] && vec_push(&out->ports, (struct port_span){proto, (uint16_t)port,
										       (uint16_t)port}))
				return -ENOMEM;
			open = set[port];
		}
	}
	return set ? 0 : -ENOMEM;
}

static int verb(struct parser *p, struct assertion *out)
{
	out->can = is(p, "can");
	if (!out->can && !is(p, "cannot"))
		return fail(p, STR("here must stand \"can reach\" or \"cannot reach\""));
	advance(p);
	if (out->can && is(p, "not")) {
		out->can = false;
		advance(p);
	}
	if (!is(p, "reach"))
		return fail(p, STR("here must stand \"reach\""));
	advance(p);
	return 0;
}

static int parse(struct parser *p, struct assertion *out, struct spans *on, struct spans *except)
{
	int r;

	advance(p);
	r = selection(p, &out->from);
	if (!r)
		r = verb(p, out);
	if (!r)
		r = selection(p, &out->to);
	if (!r && is(p, "on")) {
		advance(p);
		r = spans(p, on);
	} else if (!r) {
		for (int i = 0; i < PORT_PROTOS && !r; i++)
			r = vec_push(&on->list,
				     (struct port_span){port_protos[i], 0, port_protos[i] ? 65535 : 0});
	}
	if (!r && is(p, "except")) {
		advance(p);
		r = spans(p, except);
	}
	if (!r && p->word.n)
		r = fail(p,
			 arena_printf(p->arena,
				      "\"" STR_FMT "\" does not belong here: \"on PORTS\", \"except PORTS\" "
				      "or the end",
				      STR_ARG(p->word)));
	return r ? r : subtract(out, on, except);
}

int assertion_parse(struct assertion *out, struct arena *a, struct str text, size_t *column, const char **why)
{
	struct parser p = {.arena = a, .text = arena_str(a, text)};
	struct assertion got = {.text = p.text};
	struct spans on = {0}, except = {0};
	int r = p.text.p ? parse(&p, &got, &on, &except) : -ENOMEM;

	if (!r && !got.ports.len) {
		p.word_at = 0;
		r = fail(&p, STR("no port is left to speak of"));
	}
	vec_free(&on.list);
	vec_free(&except.list);
	if (r) {
		assertion_fini(&got);
		*column = p.word_at + 1;
		*why = p.why;
		return r;
	}
	*out = got;
	return 0;
}

void assertion_fini(struct assertion *a)
{
	vec_free(&a->from.terms);
	vec_free(&a->to.terms);
	vec_free(&a->ports);
}
