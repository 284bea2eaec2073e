/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ends of `weft why`: from what a person typed (a pod, a workload, a Service by name or DNS name, a node,
 * an address, "outside") to an object and its addresses. Asks nobody and judges nothing.
 */
#include "cli/why.h"

#include "base/own.h"
#include "cli/world.h"
#include "reason/match.h"

#include <netinet/in.h>
#include <stdio.h>

struct wanted { /* a name taken apart */
	struct str ns, name;
	bool pod, service, workload; /* what it may be */
};

static void take_address(struct why_named *e, struct str text)
{
	struct addr a;

	if (!text.n || addr_parse(text, &a))
		return;
	int f = addr_is4(&a) ? 0 : 1;
	if (e->has[f])
		return;
	e->addr[f] = a;
	e->has[f] = true;
}

static char *copy_of(struct str s)
{
	return strndup(s.p ? s.p : "", s.n);
}

static void take_node(struct why_named *e, const struct object *o)
{
	const struct node_status *st = o->node->status;

	for (size_t i = 0; st && i < st->addresses.len; i++)
		if (str_eqz(st->addresses.items[i].type, "InternalIP"))
			take_address(e, st->addresses.items[i].address);
}

static void be_node(struct why_named *e, const struct object *o)
{
	AUTO_BUF b = {0};

	*e = (struct why_named){.kind = END_NODE, .o = o, .node = copy_of(o->meta.name)};
	buf_printf(&b, "node " STR_FMT, STR_ARG(o->meta.name));
	e->words = TAKE(b.p);
	take_node(e, o);
}

static void be_pod(struct why_named *e, const struct store *s, const struct object *o)
{
	const struct pod_spec *spec = o->pod->spec;
	const struct pod_status *st = o->pod->status;
	const struct object *node = spec ? store_get(s, KIND_node, (struct str){0}, spec->node_name) : NULL;

	*e = (struct why_named){.kind = END_POD, .o = o, .words = copy_of(object_key(o))};
	if (spec && spec->node_name.n)
		e->node = copy_of(spec->node_name);
	e->host_network = spec && spec->host_network.v;
	if (e->host_network && node)
		take_node(e, node);
	for (size_t i = 0; !e->host_network && st && i < st->pod_ips.len; i++)
		take_address(e, st->pod_ips.items[i].ip);
}

static void be_service(struct why_named *e, const struct object *o)
{
	const struct service_spec *spec = o->service->spec;
	AUTO_BUF b = {0};

	*e = (struct why_named){.kind = END_SERVICE, .o = o};
	buf_printf(&b, "Service " STR_FMT, STR_ARG(object_key(o)));
	e->words = TAKE(b.p);
	for (size_t i = 0; spec && i < spec->cluster_ips.len; i++)
		take_address(e, spec->cluster_ips.items[i]);
	if (spec)
		take_address(e, spec->cluster_ip);
}

static bool finished(const struct object *pod)
{
	const struct pod_status *st = pod->pod->status;

	return st && (str_eqz(st->phase, "Succeeded") || str_eqz(st->phase, "Failed"));
}

static bool has_address(const struct object *pod, const struct addr *a)
{
	const struct pod_status *st = pod->pod->status;
	struct addr x;

	if (finished(pod) || (pod->pod->spec && pod->pod->spec->host_network.v))
		return false;
	for (size_t i = 0; st && i < st->pod_ips.len; i++)
		if (!addr_parse(st->pod_ips.items[i].ip, &x) && addr_eq(&x, a))
			return true;
	return false;
}

/* Whoever of the cluster has the address, else it is outside. */
static void be_address(struct why_named *e, const struct store *s, const struct addr *a)
{
	const enum kind kinds[] = {KIND_pod, KIND_node, KIND_service};
	int family = addr_is4(a) ? 0 : 1;
	char text[ADDR_TEXT];
	bool found = false;

	for (int k = 0; k < 3 && !found; k++) {
		struct object_refs all = {0};
		(void)store_list(s, kinds[k], (struct str){0}, &all);
		for (size_t i = 0; i < all.list.len && !found; i++) {
			const struct object *o = all.list.items[i];
			if (kinds[k] == KIND_pod && !has_address(o, a))
				continue;
			if (kinds[k] == KIND_pod)
				be_pod(e, s, o);
			else if (kinds[k] == KIND_node)
				be_node(e, o);
			else
				be_service(e, o);
			found = e->has[family] && addr_eq(&e->addr[family], a);
			if (!found) {
				free(e->words);
				free(e->node);
			}
		}
		vec_free(&all.list);
	}
	if (!found) {
		addr_print(a, text);
		*e = (struct why_named){.kind = END_OUTSIDE, .words = strdup(text)};
		take_address(e, str_of(text));
	}
	e->has[!family] = false;
}

static bool kind_prefix(struct str word, struct wanted *w)
{
	static const char *const workloads[] = {"deploy",     "sts",	     "ds",	  "job",       "rs",
						"deployment", "statefulset", "daemonset", "replicaset"};
	const struct kind_desc *k = kind_by_name(word);

	if (!k)
		return false;
	w->pod = k->kind == KIND_pod;
	w->service = k->kind == KIND_service;
	for (size_t i = 0; i < ARRAY_LEN(workloads); i++)
		w->workload |= kind_by_name(str_of(workloads[i])) == k;
	return w->pod || w->service || w->workload;
}

/* [NS/][KIND/]NAME, NAME.NS, NAME.NS.svc…: what it may mean. */
static void take_apart(struct wanted *w, struct str text, const struct store *s, const char *ns)
{
	struct str rest = text, first;

	*w = (struct wanted){.ns = str_of(ns)};
	for (int i = 0; i < 2 && memchr(rest.p, '/', rest.n); i++) {
		first = str_cut(&rest, '/');
		if (!kind_prefix(first, w))
			w->ns = first;
	}
	w->name = rest;
	if (!w->pod && !w->service && !w->workload)
		w->pod = w->service = w->workload = true;
	if (!memchr(rest.p, '.', rest.n))
		return;
	first = str_cut(&rest, '.');
	struct str zone = rest, of = str_cut(&zone, '.');
	if (store_get(s, KIND_service, of, first) && (!zone.n || str_starts(zone, STR("svc"))))
		*w = (struct wanted){.ns = of, .name = first, .service = true};
}

struct found { /* candidates, of one namespace or of several */
	VEC(const struct object *) list;
};

static bool several_homes(const struct found *f)
{
	VEC_EACH (&f->list, o)
		if (!str_eq((*o)->meta.ns, f->list.items[0]->meta.ns))
			return true;
	return false;
}

static void find(const struct store *s, enum kind k, const struct wanted *w, bool workload, struct found *out)
{
	struct object_refs all = {0};

	(void)store_list(s, k, w->ns, &all);
	VEC_EACH (&all.list, it) {
		const struct object *o = *it;
		struct str name = workload ? pod_workload(s, o) : o->meta.name;
		if (str_eq(name, w->name) && !(k == KIND_pod && finished(o)))
			(void)vec_push(&out->list, o);
	}
	vec_free(&all.list);
}

static bool ambiguous(const struct found *f, const char *said)
{
	AUTO_BUF b = {0};

	if (!f->list.len || !several_homes(f))
		return false;
	VEC_EACH (&f->list, o)
		buf_printf(&b, "%s" STR_FMT, o == f->list.items ? "" : ", ", STR_ARG(object_key(*o)));
	cli_error("name the namespace, as NS/NAME or with -n", "\"%s\" may mean %s", said, b.p ? b.p : "");
	return true;
}

static bool runs(const struct object *pod)
{
	return pod->pod->status && pod->pod->status->pod_ips.len;
}

/* One pod of a workload: the first that has an address, another than the caller where there is one. */
static void be_pod_of(struct why_named *e, const struct store *s, const struct found *pods,
		      const struct object *caller)
{
	const struct object *pick = pods->list.items[0];
	AUTO_BUF b = {0};

	VEC_EACH (&pods->list, o)
		if (runs(*o) && *o != caller && (!runs(pick) || pick == caller))
			pick = *o;
	be_pod(e, s, pick);
	struct str name = pod_workload(s, pick);
	if (pods->list.len > 1)
		buf_printf(&b, "one of the %zu pods of " STR_FMT, pods->list.len, STR_ARG(name));
	else
		buf_printf(&b, "the pod of " STR_FMT, STR_ARG(name));
	e->note = TAKE(b.p);
}

static bool offers(const struct object *service, struct str port)
{
	const struct service_spec *spec = service->service->spec;
	int64_t n;

	if (!port.n)
		return true;
	for (size_t i = 0; spec && i < spec->ports.len; i++) {
		const struct service_port *p = &spec->ports.items[i];
		if (str_eq(p->name, port) || (!str_to_i64(port, 1, 65535, &n) && n == p->port.v))
			return true;
	}
	return false;
}

static int nobody(const struct store *s, const struct wanted *w, const char *said)
{
	const enum kind kinds[] = {KIND_pod, KIND_service};
	const struct object *near = NULL;
	unsigned best = 4;
	AUTO_BUF hint = {0};
	struct object_refs all = {0};

	for (int k = 0; k < 2; k++) {
		(void)store_list(s, kinds[k], w->ns, &all);
		VEC_EACH (&all.list, o) {
			struct str name = k ? (*o)->meta.name : pod_workload(s, *o);
			unsigned d = str_distance(name, w->name);
			if (d >= best)
				continue;
			best = d;
			near = *o;
			buf_clear(&hint);
			buf_printf(&hint, "did you mean " STR_FMT "/" STR_FMT "?", STR_ARG(near->meta.ns),
				   STR_ARG(name));
		}
		vec_free(&all.list);
	}
	if (!hint.n && memchr(w->name.p, '.', w->name.n))
		buf_addz(&hint,
			 "a name outside the cluster is judged by its addresses: ask about one of them");
	cli_error(hint.n ? hint.p
			 : "a pod, workload or Service as NS/NAME, node:NAME, an address, or \"outside\"",
		  "nobody is called \"%s\"", said);
	return EXIT_USAGE;
}

static bool declares(const struct object *pod, struct str port)
{
	static const struct container_list none;
	const struct container_list *l = pod->pod->spec ? &pod->pod->spec->containers : &none;
	int64_t n;

	for (size_t i = 0; i < l->len; i++)
		for (size_t j = 0; j < l->items[i].ports.len; j++) {
			const struct container_port *p = &l->items[i].ports.items[j];
			if (str_eq(p->name, port) ||
			    (!str_to_i64(port, 1, 65535, &n) && n == p->container_port.v))
				return true;
		}
	return false;
}

/* Of a pod and a Service of one name the Service is meant where only that has the port. */
static bool service_has(const struct found *services, const struct found *pods, struct str port)
{
	return services->list.len && port.n && !several_homes(services) &&
	       offers(services->list.items[0], port) && pods->list.len &&
	       !declares(pods->list.items[0], port);
}

/* A name in the order in which a caller would mean it: a pod, a Service with that port, a workload. */
static int by_name(struct why_named *e, const struct store *s, const char *said, struct str text,
		   struct str port, const char *ns, bool target, const struct object *caller)
{
	struct found pods = {0}, services = {0}, workloads = {0};
	struct wanted w;
	int r = EXIT_OK;

	take_apart(&w, text, s, ns);
	if (w.pod)
		find(s, KIND_pod, &w, false, &pods);
	if (w.service)
		find(s, KIND_service, &w, false, &services);
	if (w.workload)
		find(s, KIND_pod, &w, true, &workloads);
	bool service = services.list.len && (!workloads.list.len || (target && !several_homes(&services) &&
								     offers(services.list.items[0], port)));
	if (target && service_has(&services, &pods, port))
		pods.list.len = 0;
	const struct found *use = pods.list.len ? &pods : service ? &services : &workloads;
	if (ambiguous(use, said))
		r = EXIT_USAGE;
	else if (!use->list.len)
		r = nobody(s, &w, said);
	else if (use == &pods)
		be_pod(e, s, use->list.items[0]);
	else if (use == &services)
		be_service(e, use->list.items[0]);
	else
		be_pod_of(e, s, use, caller);
	vec_free(&pods.list);
	vec_free(&services.list);
	vec_free(&workloads.list);
	return r;
}

static int name_end(struct why_named *e, const struct store *s, const char *said, struct str text,
		    struct str port, const char *ns, bool target, const struct object *caller)
{
	const struct object *node = NULL;
	struct str name = text;
	struct addr a;

	if (str_eqz(text, "outside")) {
		*e = (struct why_named){.kind = END_OUTSIDE, .words = strdup("outside")};
		take_address(e, STR(OUTSIDE_V4));
		take_address(e, STR(OUTSIDE_V6));
		return EXIT_OK;
	}
	if (!addr_parse(text, &a)) {
		be_address(e, s, &a);
		return EXIT_OK;
	}
	if (str_starts(text, STR("node:")) || str_starts(text, STR("node/"))) {
		name = (struct str){text.p + 5, text.n - 5};
		node = store_get(s, KIND_node, (struct str){0}, name);
		if (node)
			be_node(e, node);
		else
			cli_error("weft get nodes", "there is no node \"" STR_FMT "\"", STR_ARG(name));
		return node ? EXIT_OK : EXIT_USAGE;
	}
	return by_name(e, s, said, text, port, ns, target, caller);
}

/* TO[:PORT]; an IPv6 address with a port stands in brackets. */
static void split_port(struct str text, struct str *end, struct str *port)
{
	struct addr a;
	size_t at = text.n;

	*end = text;
	*port = (struct str){0};
	if (!addr_parse(text, &a))
		return;
	while (at && text.p[at - 1] != ':')
		at--;
	struct str before = {text.p, at ? at - 1 : 0};
	if (at && !str_eqz(before, "node")) {
		*end = before;
		*port = (struct str){text.p + at, text.n - at};
	}
	if (end->n > 1 && end->p[0] == '[' && end->p[end->n - 1] == ']')
		*end = (struct str){end->p + 1, end->n - 2};
}

static uint8_t proto_of(const char *word)
{
	if (!word || !strcmp(word, "tcp"))
		return IPPROTO_TCP;
	if (!strcmp(word, "udp"))
		return IPPROTO_UDP;
	return !strcmp(word, "sctp") ? IPPROTO_SCTP : IPPROTO_ICMP;
}

static uint8_t declared_proto(struct str protocol)
{
	return str_eqz(protocol, "UDP")	   ? IPPROTO_UDP
	       : str_eqz(protocol, "SCTP") ? IPPROTO_SCTP
					   : IPPROTO_TCP;
}

struct offer { /* a port that the target offers */
	struct str name;
	uint16_t number;
	uint8_t proto;
	const struct service_port *service;
};
struct offer_list {
	VEC(struct offer) list;
};

static void offers_of(const struct why_named *e, struct offer_list *out)
{
	if (e->kind == END_SERVICE && e->o->service->spec) {
		const struct service_port_list *l = &e->o->service->spec->ports;
		for (size_t i = 0; i < l->len; i++)
			(void)vec_push(&out->list,
				       (struct offer){l->items[i].name, (uint16_t)l->items[i].port.v,
						      declared_proto(l->items[i].protocol), &l->items[i]});
	}
	if (e->kind != END_POD || !e->o->pod->spec)
		return;
	const struct container_list *cl = &e->o->pod->spec->containers;
	for (size_t i = 0; i < cl->len; i++)
		for (size_t j = 0; j < cl->items[i].ports.len; j++) {
			const struct container_port *p = &cl->items[i].ports.items[j];
			(void)vec_push(&out->list, (struct offer){p->name, (uint16_t)p->container_port.v,
								  declared_proto(p->protocol), NULL});
		}
}

static int port_unknown(const struct why_named *e, struct str said, const struct offer_list *l)
{
	AUTO_BUF b = {0};

	buf_addz(&b, l->list.len ? "there are " : "name a port: TO:PORT");
	VEC_EACH (&l->list, o) {
		buf_printf(&b, "%s%u", o == l->list.items ? "" : ", ", o->number);
		if (o->name.n)
			buf_printf(&b, " (" STR_FMT ")", STR_ARG(o->name));
	}
	if (said.n)
		cli_error(b.p, "%s has no port \"" STR_FMT "\"", e->words, STR_ARG(said));
	else
		cli_error(b.p, "to which port of %s?", e->words);
	return EXIT_USAGE;
}

/* The port by number, by name, or the only one there is. A number needs no offer. */
static int name_port(struct why_asked *a, struct str said, bool any_proto)
{
	const struct offer *hit = NULL;
	struct offer_list l = {0};
	int64_t n = 0;
	int r = EXIT_OK;

	if (a->proto == IPPROTO_ICMP) {
		if (said.n)
			cli_error(NULL, "ICMP has no ports");
		return said.n ? EXIT_USAGE : EXIT_OK;
	}
	offers_of(&a->to, &l);
	bool number = said.n && !str_to_i64(said, 1, 65535, &n);
	size_t hits = 0;
	VEC_EACH (&l.list, o) {
		if (!any_proto && o->proto != a->proto)
			continue;
		if (number ? o->number != n : said.n && !str_eq(o->name, said))
			continue;
		if (!hits++)
			hit = o;
	}
	if (!said.n && hits > 1)
		hit = NULL;
	if (hit) {
		a->port = hit->number;
		a->service_port = hit->service;
		if (any_proto)
			a->proto = hit->proto;
	} else if (number) {
		a->port = (uint16_t)n;
	} else {
		r = port_unknown(&a->to, said, &l);
	}
	vec_free(&l.list);
	return r;
}

/* A Service that calls is any of its pods. */
static int service_calls(struct why_named *e, const struct store *s)
{
	const struct service_spec *spec = e->o->service->spec;
	struct found pods = {0};
	struct object_refs all = {0};

	(void)store_list(s, KIND_pod, e->o->meta.ns, &all);
	VEC_EACH (&all.list, o)
		if (spec && spec->selector.len && !finished(*o) &&
		    strmap_contains(&(*o)->meta.labels, &spec->selector))
			(void)vec_push(&pods.list, *o);
	vec_free(&all.list);
	if (!pods.list.len) {
		cli_error("name the pod or workload that calls", "no pod is behind %s", e->words);
		return EXIT_USAGE;
	}
	free(e->words);
	be_pod_of(e, s, &pods, NULL);
	vec_free(&pods.list);
	return EXIT_OK;
}

static int need_address(const struct why_named *e)
{
	if (e->has[0] || e->has[1] || e->kind == END_SERVICE)
		return EXIT_OK;
	cli_error(e->kind == END_POD ? "it gets one when it is bound to a node and runs" : NULL,
		  "%s has no address", e->words);
	return EXIT_USAGE;
}

int why_name(struct why_asked *a, const struct store *s, const struct options_why *o)
{
	struct str from, to, from_port, port;

	split_port(str_of(o->args[0]), &from, &from_port);
	split_port(str_of(o->args[1]), &to, &port);
	if (from_port.n) {
		cli_error("the port belongs to the second: weft why FROM TO:PORT",
			  "the caller \"%s\" has a port", o->args[0]);
		return EXIT_USAGE;
	}
	a->proto = proto_of(o->proto);
	int r = name_end(&a->from, s, o->args[0], from, (struct str){0}, o->ns, false, NULL);
	if (!r && a->from.kind == END_SERVICE)
		r = service_calls(&a->from, s);
	if (!r)
		r = name_end(&a->to, s, o->args[1], to, port, o->ns, true, a->from.o);
	if (!r)
		r = need_address(&a->from);
	if (!r)
		r = need_address(&a->to);
	return r ? r : name_port(a, port, !o->proto);
}

static void named_fini(struct why_named *e)
{
	free(e->words);
	free(e->note);
	free(e->node);
}

void why_asked_fini(struct why_asked *a)
{
	named_fini(&a->from);
	named_fini(&a->to);
}
