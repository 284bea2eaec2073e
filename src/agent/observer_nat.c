/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /nat: who is behind an address and port of this node, or, with users=1, who has most of them. What leaves
 * under the node's own address, because it leaves the cluster or came for a Service, is led back to who sent
 * it, and to the pod where it is one of this node. Called by observer_answer.c.
 */
#include <errno.h>
#include <stdlib.h>

#include "agent/observer.h"
#include "observe/kernel.h"

enum { SHOWN_MAX = 1000, USERS_SHOWN = 20, USERS_MAX = 10000 };

struct nat_user { /* all that one sender has towards one end */
	struct addr from, as, to;
	uint16_t to_port;
	uint8_t proto;
	size_t n;
};

struct nat_list {
	const struct observer *ob;
	struct buf *out;
	struct addr as; /* zero: any */
	uint16_t port;	/* 0: any */
	size_t n;
	bool by_user;
	struct hash users; /* from, as, to, port, protocol → struct nat_user */
	size_t unsorted;   /* translations of users past USERS_MAX */
};

static bool has_address(const struct object *pod, const struct addr *a)
{
	const struct pod_status *st = pod->pod->status;
	struct addr own;

	if (pod->pod->spec && pod->pod->spec->host_network.v)
		return false;
	for (size_t i = 0; st && i < st->pod_ips.len; i++)
		if (!addr_parse(st->pod_ips.items[i].ip, &own) && addr_eq(&own, a))
			return true;
	return false;
}

static void add_pod(const struct nat_list *l, const struct addr *from)
{
	struct object_refs pods = {0};

	if (!store_list(l->ob->store, KIND_pod, (struct str){0}, &pods))
		VEC_EACH (&pods.list, o)
			if (has_address(*o, from)) {
				buf_addz(l->out, ",\"pod\":");
				buf_json(l->out, object_key(*o));
				break;
			}
	vec_free(&pods.list);
}

static void add_end(struct buf *b, const char *name, const struct addr *a, uint16_t port)
{
	char text[ADDR_TEXT];

	addr_print(a, text);
	buf_printf(b, ",\"%s\":\"%s\",\"%sPort\":%u", name, text, name, port);
}

static void count_user(struct nat_list *l, const struct translation *t)
{
	struct nat_user fresh = {
	    .from = t->from, .as = t->as, .to = t->to, .to_port = t->to_port, .proto = t->proto};
	struct {
		struct addr from, as, to;
		uint16_t port, proto;
	} id = {t->from, t->as, t->to, t->to_port, t->proto};
	struct str key = {.p = (const char *)&id, .n = sizeof(id)};
	struct nat_user *u = hash_get(&l->users, key);

	if (!u && l->users.len < USERS_MAX && (u = malloc(sizeof(*u)))) {
		*u = fresh;
		if (hash_set(&l->users, key, u, NULL)) {
			free(u);
			u = NULL;
		}
	}
	if (u)
		u->n++;
	else
		l->unsorted++;
}

static int more_first(const void *x, const void *y)
{
	const struct nat_user *const *a = x, *const *b = y;

	return (*a)->n < (*b)->n ? 1 : (*a)->n > (*b)->n ? -1 : memcmp(*a, *b, offsetof(struct nat_user, n));
}

/* The largest first; frees them. */
static void print_users(struct nat_list *l)
{
	struct nat_user **all = calloc(l->users.len + 1, sizeof(struct nat_user *));
	size_t n = 0;

	HASH_EACH (&l->users, s)
		if (all)
			all[n++] = s->value;
	if (n)
		qsort(all, n, sizeof(*all), more_first);
	for (size_t i = 0; i < n && i < USERS_SHOWN; i++) {
		buf_printf(l->out, "%s{\"protocol\":%u,\"connections\":%zu", i ? "," : "", all[i]->proto,
			   all[i]->n);
		add_end(l->out, "from", &all[i]->from, 0);
		add_end(l->out, "as", &all[i]->as, 0);
		add_end(l->out, "to", &all[i]->to, all[i]->to_port);
		add_pod(l, &all[i]->from);
		buf_addc(l->out, '}');
	}
	free(all);
}

static void users_free(struct nat_list *l)
{
	HASH_EACH (&l->users, s)
		free(s->value);
	hash_fini(&l->users);
}

static int add_one(void *ctx, const struct translation *t)
{
	struct nat_list *l = ctx;

	if ((l->port && l->port != t->as_port) || (!addr_is_zero(&l->as) && !addr_eq(&l->as, &t->as)))
		return 0;
	l->n++;
	if (l->by_user) {
		count_user(l, t);
		return 0;
	}
	if (l->n > SHOWN_MAX)
		return 0;
	buf_printf(l->out, "%s{\"protocol\":%u", l->n > 1 ? "," : "", t->proto);
	add_end(l->out, "from", &t->from, t->from_port);
	add_end(l->out, "as", &t->as, t->as_port);
	add_end(l->out, "to", &t->to, t->to_port);
	add_pod(l, &t->from);
	buf_addc(l->out, '}');
	return 0;
}

int observer_nat(struct observer *ob, struct str query, struct buf *out)
{
	struct nat_list l = {.ob = ob, .out = out};

	while (query.n) {
		struct str value = str_cut(&query, '&'), key = str_cut(&value, '=');
		int64_t port = 0;

		if (str_eqz(key, "port") && !str_to_i64(value, 0, 65535, &port))
			l.port = (uint16_t)port;
		else if (str_eqz(key, "users"))
			l.by_user = true;
		else if (!str_eqz(key, "address") || addr_parse(value, &l.as))
			return 400;
	}
	buf_addz(out, "{\"node\":");
	buf_json(out, str_of(ob->o.node));
	buf_printf(out, ",\"%s\":[", l.by_user ? "users" : "translations");
	if (observed_translations(ob->observed, add_one, &l)) {
		users_free(&l);
		buf_clear(out);
		return 503;
	}
	print_users(&l);
	users_free(&l);
	buf_printf(out, "],\"matching\":%zu}\n", l.n);
	return 200;
}
