/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Validation: what the field tables say (required, allowed values, syntax of names, labels, ports, addresses)
 * for every struct, then the kind's own rules. Refuses what the Kubernetes API server refuses in the fields
 * that we read; never changes the object.
 */
#include <errno.h>
#include <strings.h>

#include "base/addr.h"
#include "base/clock.h"
#include "base/hash.h"
#include "object/check.h"
#include "object/layout.h"

static void add(struct check *c, enum remark_level level, const void *member, bool whole, struct pos at,
		const char *hint, const char *fmt, va_list ap)
{
	c->bad |= level == REMARK_ERROR;
	if (c->told++ >= CHECK_TOLD_MAX) {
		c->rs->errors += level == REMARK_ERROR;
		c->rs->dropped++;
		return;
	}
	AUTO_BUF text = {0};
	object_path(&text, c->o, member);
	while (whole && text.n && text.p[--text.n] != '.')
		;
	if (text.n)
		buf_addz(&text, ": ");
	buf_vprintf(&text, fmt, ap);
	remark_add(c->rs, level, at, hint, "%s", text.p ? text.p : "invalid");
}

void check_fail(struct check *c, const void *member, const char *hint, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	add(c, REMARK_ERROR, member, false, object_pos(c->o, member), hint, fmt, ap);
	va_end(ap);
}

void check_fail_at(struct check *c, const void *member, struct pos at, const char *hint, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	add(c, REMARK_ERROR, member, false, at, hint, fmt, ap);
	va_end(ap);
}

void check_fail_whole(struct check *c, const void *first, const char *hint, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	add(c, REMARK_ERROR, first, true, object_pos(c->o, first), hint, fmt, ap);
	va_end(ap);
}

void check_remark(struct check *c, enum remark_level level, const void *member, const char *hint,
		  const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	add(c, level, member, false, object_pos(c->o, member), hint, fmt, ap);
	va_end(ap);
}

void check_remark_whole(struct check *c, enum remark_level level, const void *first, const char *hint,
			const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	add(c, level, first, true, object_pos(c->o, first), hint, fmt, ap);
	va_end(ap);
}

void check_rule(struct check *c, const void *member, struct str value, const char *rule, const char *what)
{
	if (rule)
		check_fail(c, member, rule, "\"" STR_FMT "\" is not a valid %s", STR_ARG(value), what);
}

void check_range(struct check *c, const struct opt_int *v, int64_t min, int64_t max)
{
	if (!v->set || (v->v >= min && v->v <= max))
		return;
	if (v->v < min && max >= INT32_MAX)
		check_fail(c, v, NULL, "%lld is less than %lld", (long long)v->v, (long long)min);
	else
		check_fail(c, v, NULL, "%lld is not from %lld to %lld", (long long)v->v, (long long)min,
			   (long long)max);
}

void check_port(struct check *c, const struct intstr *port)
{
	int64_t number;
	if (port->type == INTSTR_INT && (port->i < 1 || port->i > 65535)) {
		check_fail(c, port, NULL, "%lld is not a port: use 1 to 65535", (long long)port->i);
	} else if (port->type == INTSTR_STR && syntax_port_name(port->s)) {
		bool digits = !str_to_i64(port->s, 1, 65535, &number);
		check_fail(c, port, digits ? "leave the quotes out" : syntax_port_name(port->s),
			   "\"" STR_FMT "\" is not a valid port name", STR_ARG(port->s));
	}
}

void check_labels(struct check *c, const struct strmap *labels)
{
	for (size_t i = 0; i < labels->len; i++) {
		const struct strpair *p = &labels->items[i];
		check_rule(c, &p->key, p->key, syntax_label_key(p->key), "label key");
		check_rule(c, &p->value, p->value, syntax_label_value(p->value), "label value");
	}
}

void check_distinct(struct check *c, const struct strlist *l)
{
	struct hash seen = {0};
	for (size_t i = 0; i < l->len; i++) {
		if (hash_get(&seen, l->items[i]))
			check_fail(c, &l->items[i], "remove one of them", "\"" STR_FMT "\" is given twice",
				   STR_ARG(l->items[i]));
		else if (hash_set(&seen, l->items[i], &l->items[i], NULL))
			break;
	}
	hash_fini(&seen);
}

void check_families(struct check *c, const struct strlist *l)
{
	unsigned count[2] = {0};
	for (size_t i = 0; i < l->len; i++) {
		struct prefix p;
		struct addr a;
		if (prefix_parse(l->items[i], &p) != -EINVAL)
			a = p.addr;
		else if (addr_parse(l->items[i], &a))
			continue;
		if (++count[addr_is4(&a)] == 2)
			check_fail(c, &l->items[i], "give at most one IPv4 and one IPv6",
				   "a second one of the same family");
	}
}

static void check_addr(struct check *c, const struct str *s)
{
	struct addr a;
	if (addr_parse(*s, &a))
		check_fail(c, s, "for example 10.0.0.1 or fd00::1", "\"" STR_FMT "\" is not an IP address",
			   STR_ARG(*s));
}

static void check_cidr(struct check *c, const struct str *s)
{
	struct prefix p;
	struct addr a;
	char text[PREFIX_TEXT];
	AUTO_BUF hint = {0};
	int r = prefix_parse(*s, &p);
	if (r != -EINVAL && addr_is4(&p.addr) && memchr(s->p, ':', s->n)) {
		/* IPv4 to the sender of a packet, IPv6 to the reader of the rule. */
		prefix_print(&p, text);
		buf_printf(&hint, "write %s", text);
		check_fail(c, s, hint.p, "\"" STR_FMT "\" is IPv4 written as IPv6", STR_ARG(*s));
	} else if (r == -EDOM) {
		prefix_print(&p, text);
		buf_printf(&hint, "write %s", text);
		check_remark(c, REMARK_WARNING, s, hint.p,
			     STR_FMT " has bits set after its prefix; they are ignored", STR_ARG(*s));
	} else if (r) {
		bool bare = !addr_parse(*s, &a);
		if (bare)
			buf_printf(&hint, "write " STR_FMT "/%d for this one address", STR_ARG(*s),
				   addr_is4(&a) ? 32 : 128);
		else
			buf_addz(&hint, "for example 10.0.0.0/8 or fd00::/48");
		check_fail(c, s, hint.p, "\"" STR_FMT "\" is not an address range", STR_ARG(*s));
	}
}

static void check_enum(struct check *c, const struct str *s, const char *values)
{
	AUTO_BUF hint = {0};
	struct str best = {0};
	unsigned nearest = 3;
	for (struct str rest = str_of(values); rest.n;) {
		struct str v = str_cut(&rest, '|');
		if (str_eq(v, *s))
			return;
		buf_printf(&hint, "%s" STR_FMT, hint.n ? ", " : "use one of ", STR_ARG(v));
		unsigned d = v.n == s->n && !strncasecmp(v.p, s->p, v.n) ? 0 : str_distance(v, *s);
		if (d < nearest) {
			nearest = d;
			best = v;
		}
	}
	if (best.n) {
		buf_clear(&hint);
		buf_printf(&hint, "did you mean " STR_FMT "?", STR_ARG(best));
	}
	check_fail(c, s, hint.p, "\"" STR_FMT "\" is not known", STR_ARG(*s));
}

/* The flags of a text; s is not empty. */
static void check_text(struct check *c, const struct field_desc *f, const struct str *s)
{
	int64_t seconds;
	if (f->flags & FIELD_ENUM && f->values)
		check_enum(c, s, f->values);
	if (f->flags & FIELD_ADDR)
		check_addr(c, s);
	if (f->flags & FIELD_CIDR)
		check_cidr(c, s);
	if (f->flags & FIELD_LABEL)
		check_rule(c, s, *s, syntax_dns_label(*s), "name");
	if (f->flags & FIELD_SUBDOMAIN)
		check_rule(c, s, *s, syntax_dns_subdomain(*s), "name");
	if (f->flags & FIELD_PORTNAME)
		check_rule(c, s, *s, syntax_port_name(*s), "port name");
	if (f->flags & FIELD_QUANTITY)
		check_rule(c, s, *s, syntax_quantity(*s), "quantity");
	if (f->shape == SHAPE_TIME && clock_parse(s->p, &seconds))
		check_fail(c, s, "for example 2026-01-02T03:04:05Z", "\"" STR_FMT "\" is not a time",
			   STR_ARG(*s));
}

static void check_requirement(struct check *c, const struct selector_requirement *r)
{
	bool listed = str_eqz(r->op, "In") || str_eqz(r->op, "NotIn");
	bool bare = str_eqz(r->op, "Exists") || str_eqz(r->op, "DoesNotExist");
	if (r->key.n)
		check_rule(c, &r->key, r->key, syntax_label_key(r->key), "label key");
	if (listed && !r->values.len)
		check_fail(c, &r->values, "list at least one value", "operator " STR_FMT " needs values",
			   STR_ARG(r->op));
	if (bare && r->values.len)
		check_fail(c, &r->values, "remove the values, or use In or NotIn",
			   "operator " STR_FMT " takes no values", STR_ARG(r->op));
	for (size_t i = 0; i < r->values.len; i++)
		check_rule(c, &r->values.items[i], r->values.items[i], syntax_label_value(r->values.items[i]),
			   "label value");
}

static void check_selector(struct check *c, const struct label_selector *s)
{
	check_labels(c, &s->match_labels);
	for (size_t i = 0; i < s->match_expressions.len; i++)
		check_requirement(c, &s->match_expressions.items[i]);
}

static void check_missing(struct check *c, const struct field_desc *f, const void *m)
{
	const struct str *s = f->shape == SHAPE_STR ? m : NULL;
	/* Text that is only required may be "", e.g. the value of a header; a key or a name may not. */
	if (s && s->p && (s->n || f->flags == FIELD_REQ))
		return;
	if (s && s->p) {
		check_fail(c, m, NULL, "must not be empty");
		return;
	}
	AUTO_BUF hint = {0};
	buf_printf(&hint, "add %s: %s", f->json, f->sentence);
	check_fail(c, m, hint.p, "required, but missing");
}

static void check_struct(struct check *c, const struct struct_desc *d, const void *base);

static void check_member(struct check *c, const struct field_desc *f, const void *m)
{
	const struct any_list *many = m;
	const struct strlist *strs = m;
	const struct strmap *map = m;
	switch (f->shape) {
	case SHAPE_STR:
	case SHAPE_TIME:
		if (((const struct str *)m)->n)
			check_text(c, f, m);
		break;
	case SHAPE_INT:
		if (f->flags & FIELD_PORT)
			check_range(c, m, f->flags & FIELD_REQ ? 1 : 0, 65535); /* 0 is "left out" */
		break;
	case SHAPE_STRS:
		for (size_t i = 0; i < strs->len; i++)
			check_text(c, f, &strs->items[i]);
		break;
	case SHAPE_MAP:
		for (size_t i = 0; f->flags && i < map->len; i++)
			check_text(c, f, &map->items[i].value);
		break;
	case SHAPE_ONE:
		check_struct(c, f->type, *(const void *const *)m);
		break;
	case SHAPE_MANY:
		for (size_t i = 0; i < many->len; i++)
			check_struct(c, f->type, item_at(many, f, i));
		break;
	case SHAPE_OPAQUE:
	case SHAPE_BOOL:
	case SHAPE_INTSTR:
		break;
	}
}

static void check_metadata(struct check *c, const struct metadata *m);

static void check_struct(struct check *c, const struct struct_desc *d, const void *base)
{
	for (uint32_t i = 0; i < d->n; i++) {
		const struct field_desc *f = &d->fields[i];
		const void *m = member_at(base, f);
		bool empty_str = f->shape == SHAPE_STR && !((const struct str *)m)->n;
		if (f->flags & FIELD_REQ && (!member_is_set(base, f) || empty_str))
			check_missing(c, f, m);
		if (member_is_set(base, f))
			check_member(c, f, m);
	}
	if (!strcmp(d->name, "label_selector"))
		check_selector(c, base);
	else if (d == &metadata_desc)
		check_metadata(c, base);
}

enum { ANNOTATIONS_MAX = 256 * 1024 };

/* Also the metadata of templates. */
static void check_metadata(struct check *c, const struct metadata *m)
{
	size_t bytes = 0;
	check_labels(c, &m->labels);
	for (size_t i = 0; i < m->annotations.len; i++) {
		const struct strpair *p = &m->annotations.items[i];
		char lower[320] = {0}; /* the rule for keys looks at lower case only */
		size_t n = p->key.n < sizeof(lower) ? p->key.n : sizeof(lower) - 1;
		for (size_t k = 0; k < n; k++)
			lower[k] = p->key.p[k] >= 'A' && p->key.p[k] <= 'Z' ? (char)(p->key.p[k] | 0x20)
									    : p->key.p[k];
		check_rule(c, &p->key, p->key, syntax_label_key((struct str){.p = lower, .n = n}),
			   "annotation key");
		bytes += p->key.n + p->value.n;
	}
	if (bytes > ANNOTATIONS_MAX)
		check_fail(c, &m->annotations, NULL, "%zu bytes are more than the limit of %d", bytes,
			   (int)ANNOTATIONS_MAX);
	for (size_t i = 0; i < m->owner_references.len; i++) {
		const struct owner_reference *r = &m->owner_references.items[i];
		if (!r->api_version.n || !r->kind.n || !r->name.n)
			check_fail(c, &r->name, NULL, "an owner needs apiVersion, kind and name");
	}
}

/* How the names of a kind are formed. */
static const char *name_rule(enum kind k, struct str name)
{
	if (k == KIND_service)
		return syntax_dns_label_1035(name);
	if (k == KIND_namespace)
		return syntax_dns_label(name);
	return syntax_dns_subdomain(name);
}

static void check_name(struct check *c)
{
	const struct metadata *m = &c->o->meta;
	if (!m->name.n && !m->generate_name.n)
		check_fail(c, &m->name, "each object needs a name", "required, but missing");
	else if (m->name.n)
		check_rule(c, &m->name, m->name, name_rule(c->o->desc->kind, m->name), "name");
	if (m->generate_name.n && !m->name.n) {
		AUTO_BUF made = {0};
		buf_printf(&made, STR_FMT "x", STR_ARG(m->generate_name));
		check_rule(c, &m->generate_name, m->generate_name,
			   name_rule(c->o->desc->kind, buf_str(&made)), "start of a name");
	}
	if (!c->o->desc->namespaced && m->ns.n)
		check_fail(c, &m->ns, "remove it", "a %s belongs to no namespace", c->o->desc->name);
}

static const struct kind_rules *rules_of(enum kind k)
{
	static const struct kind_rules *const rules[KIND_COUNT] = {
	    [KIND_namespace] = &namespace_rules,
	    [KIND_node] = &node_rules,
	    [KIND_networkpolicy] = &networkpolicy_rules,
	    [KIND_clusternetworkpolicy] = &clusternetworkpolicy_rules,
	    [KIND_service] = &service_rules,
	    [KIND_addresspool] = &addresspool_rules,
	    [KIND_endpointslice] = &endpointslice_rules,
	    [KIND_deployment] = &deployment_rules,
	    [KIND_replicaset] = &replicaset_rules,
	    [KIND_statefulset] = &statefulset_rules,
	    [KIND_daemonset] = &daemonset_rules,
	    [KIND_job] = &job_rules,
	    [KIND_pod] = &pod_rules,
	    [KIND_tool] = &tool_rules,
	    [KIND_toolgroup] = &toolgroup_rules,
	    [KIND_trafficfilter] = &trafficfilter_rules,
	    [KIND_trafficmap] = &trafficmap_rules,
	    [KIND_capture] = &capture_rules,
	    [KIND_alert] = &alert_rules,
	    [KIND_user] = &user_rules,
	    [KIND_role] = &role_rules,
	    [KIND_draft] = &draft_rules,
	};
	return rules[k];
}

bool object_validate(const struct object *o, struct remarks *rs)
{
	struct check c = {.o = o, .rs = rs};
	check_name(&c);
	check_struct(&c, &metadata_desc, &o->meta);
	if (o->desc->body && o->body)
		check_struct(&c, o->desc->body, o->body);
	const struct kind_rules *rules = rules_of(o->desc->kind);
	if (rules && rules->check)
		rules->check(&c);
	return !c.bad;
}

int object_default(struct object *o)
{
	if (o->desc->namespaced)
		default_str(&o->meta.ns, "default");
	const struct kind_rules *rules = rules_of(o->desc->kind);
	return rules && rules->defaults ? rules->defaults(o) : 0;
}
