/* SPDX-License-Identifier: Apache-2.0 */
/* labelSelector and fieldSelector of lists and watches. Borrows the request only while parsing. */
#include <errno.h>

#include "serve/api_state.h"

static int parse_field(struct select *s, const struct target *t, struct str term, struct api_error *e)
{
	const char *op = term.p ? memmem(term.p, term.n, "!=", 2) : NULL;
	size_t skip = 2;
	struct field_term f = {.not = op != NULL};
	if (!op && term.p) {
		op = memchr(term.p, '=', term.n);
		skip = op && (size_t)(op + 1 - term.p) < term.n && op[1] == '=' ? 2 : 1;
	}
	if (!op)
		return api_fail(e, 400, "BadRequest",
				"fieldSelector \"" STR_FMT "\": use key=value or key!=value", STR_ARG(term));
	struct str key = str_trim((struct str){term.p, (size_t)(op - term.p)});
	f.value =
	    arena_str(&s->arena, str_trim((struct str){op + skip, term.n - (size_t)(op - term.p) - skip}));
	if (str_eqz(key, "metadata.name"))
		f.key = FIELD_NAME;
	else if (str_eqz(key, "metadata.namespace"))
		f.key = FIELD_NS;
	else if (str_eqz(key, "spec.nodeName") && t->kind && t->kind->kind == KIND_pod)
		f.key = FIELD_NODE;
	else if (str_eqz(key, "status.phase") && t->kind &&
		 (t->kind->kind == KIND_pod || t->kind->kind == KIND_namespace))
		f.key = FIELD_PHASE;
	else if (t->events)
		f.key = FIELD_OTHER;
	else
		return api_fail(e, 400, "BadRequest",
				"field label not supported: " STR_FMT
				"; there are metadata.name, metadata.namespace, and "
				"for pods spec.nodeName and status.phase",
				STR_ARG(key));
	if (s->n == sizeof(s->fields) / sizeof(s->fields[0]))
		return api_fail(e, 400, "BadRequest", "fieldSelector has too many terms");
	s->fields[s->n++] = f;
	return 0;
}

int select_parse(struct select *s, const struct target *t, const struct http_request *rq, struct api_error *e)
{
	const char *labels = http_query(rq, "labelSelector"), *fields = http_query(rq, "fieldSelector"),
		   *why = "";
	s->ns = arena_str(&s->arena, str_of(t->ns));
	s->who = who_of(rq);
	if (t->named) /* a watch of one object by its URL */
		s->fields[s->n++] =
		    (struct field_term){.key = FIELD_NAME, .value = arena_str(&s->arena, str_of(t->name))};
	if (labels && *labels && selector_parse(&s->arena, str_of(labels), &s->labels, &why))
		return api_fail(e, 400, "BadRequest", "labelSelector \"%s\": %s", labels, why);
	struct str rest = str_of(fields);
	while (rest.n) {
		struct str term = str_trim(str_cut(&rest, ','));
		int r = term.n ? parse_field(s, t, term, e) : 0;
		if (r)
			return r;
	}
	return 0;
}

static struct str field_value(const struct object *o, enum field_key key)
{
	switch (key) {
	case FIELD_NAME:
		return o->meta.name;
	case FIELD_NS:
		return o->meta.ns;
	case FIELD_NODE:
		return o->pod->spec ? o->pod->spec->node_name : (struct str){0};
	case FIELD_PHASE:
		if (o->desc->kind == KIND_pod)
			return o->pod->status ? o->pod->status->phase : (struct str){0};
		return o->namespace->status ? o->namespace->status->phase : (struct str){0};
	case FIELD_OTHER:
		break;
	}
	return (struct str){0};
}

bool select_matches(const struct select *s, const struct object *o)
{
	if (s->ns.n && !str_eq(s->ns, o->meta.ns))
		return false;
	for (size_t i = 0; i < s->n; i++)
		if (str_eq(field_value(o, s->fields[i].key), s->fields[i].value) == s->fields[i].not )
			return false;
	return (s->who == &access_everything || access_sees(s->who, o)) &&
	       (!s->labels || selector_matches(s->labels, &o->meta.labels));
}

void select_fini(struct select *s)
{
	arena_fini(&s->arena);
}
