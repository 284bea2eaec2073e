/* SPDX-License-Identifier: Apache-2.0 */
/* Answers that come later, and connections that change their protocol. See http.h. */
#include <stdio.h>
#include <sys/socket.h>

#include "serve/http_state.h"

struct header_search {
	const char *name, *word;
	bool found;
};

const char *http_header(const struct http_request *rq, const char *name)
{
	const char *v = MHD_lookup_connection_value(rq->connection, MHD_HEADER_KIND, name);
	return v ? v : "";
}

static enum MHD_Result look(void *cls, enum MHD_ValueKind kind, const char *key, const char *value)
{
	struct header_search *s = cls;
	struct str rest = str_of(value);
	(void)kind;
	if (strcasecmp(key, s->name))
		return MHD_YES;
	while (rest.n) {
		struct str word = str_trim(str_cut(&rest, ','));
		s->found |= word.n == strlen(s->word) && !strncasecmp(word.p, s->word, word.n);
	}
	return MHD_YES;
}

bool http_header_has(const struct http_request *rq, const char *name, const char *word)
{
	struct header_search s = {.name = name, .word = word};
	MHD_get_connection_values(rq->connection, MHD_HEADER_KIND, look, &s);
	return s.found;
}

uint64_t client_of(const struct listener *l, struct MHD_Connection *mc)
{
	const union MHD_ConnectionInfo *info =
	    MHD_get_connection_info(mc, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	const struct http_conn *hc = info ? info->socket_context : NULL;
	struct ucred who = {0};
	socklen_t len = sizeof(who);
	if (!hc)
		return 0;
	if (l->door != HTTP_SOCKET)
		return hc->address;
	return getsockopt(hc->fd, SOL_SOCKET, SO_PEERCRED, &who, &len) ? 0 : 1ULL << 32 | who.uid;
}

void later_begin(struct listener *l, struct MHD_Connection *mc, struct exchange *x, struct http_later *later)
{
	x->later = later;
	later->connection = mc;
	later->listener = l;
	later->asleep = true;
	later->next = l->server->laters;
	if (later->next)
		later->next->prev = &later->next;
	later->prev = &l->server->laters;
	l->server->laters = later;
	MHD_suspend_connection(mc);
}

void http_later_wake(struct http_later *later)
{
	if (!later->asleep)
		return;
	later->asleep = false;
	MHD_resume_connection(later->connection);
	listener_soon(later->listener);
}

static void later_unlink(struct exchange *x)
{
	struct http_later *later = x->later;
	x->later = NULL;
	*later->prev = later->next;
	if (later->next)
		later->next->prev = later->prev;
}

bool later_answer(struct exchange *x, struct http_reply *rp)
{
	struct http_later *later = x->later;
	struct listener *l = later->listener;
	if (l->server->closing)
		return false;
	later_unlink(x);
	later->answer(later, rp);
	x->upgrade = rp->upgrade;
	return true;
}

void exchange_gone(struct exchange *x)
{
	struct http_later *later = x->later;
	struct http_upgrade *u = x->upgrade;
	x->upgrade = NULL;
	if (later) {
		later_unlink(x);
		later->gone(later);
	}
	if (u)
		u->gone(u);
}

static void on_upgrade(void *cls, struct MHD_Connection *mc, void *ctx, const char *extra, size_t extra_n,
		       MHD_socket fd, struct MHD_UpgradeResponseHandle *handle)
{
	struct http_upgrade *u = cls;
	struct exchange *x = ctx;
	struct listener *l = u->listener;
	(void)mc;
	x->upgrade = NULL;
	u->handle = handle;
	u->next = l->server->upgrades;
	if (u->next)
		u->next->prev = &u->next;
	u->prev = &l->server->upgrades;
	l->server->upgrades = u;
	u->opened(u, fd, (struct str){extra, extra_n});
}

void http_upgrade_header(struct http_upgrade *u, const char *name, const char *value)
{
	u->headers[u->headers_len].name = name;
	snprintf(u->headers[u->headers_len].value, sizeof(u->headers[0].value), "%s", value);
	u->headers_len++;
}

enum MHD_Result upgrade_answer(struct listener *l, struct MHD_Connection *mc, struct http_upgrade *u)
{
	struct MHD_Response *r = MHD_create_response_for_upgrade(on_upgrade, u);
	u->listener = l;
	if (!r)
		return MHD_NO;
	for (size_t i = 0; i < u->headers_len; i++)
		MHD_add_response_header(r, u->headers[i].name, u->headers[i].value);
	enum MHD_Result ok = MHD_queue_response(mc, MHD_HTTP_SWITCHING_PROTOCOLS, r);
	MHD_destroy_response(r);
	return ok;
}

void http_upgrade_close(struct http_upgrade *u)
{
	if (!u->handle)
		return;
	*u->prev = u->next;
	if (u->next)
		u->next->prev = u->prev;
	MHD_upgrade_action(u->handle, MHD_UPGRADE_ACTION_CLOSE);
	u->handle = NULL;
	listener_soon(u->listener);
}

void http_state_end(struct http_server *s)
{
	for (struct http_later *l = s->laters, *next; l; l = next) {
		next = l->next;
		http_later_wake(l);
	}
	while (s->upgrades)
		s->upgrades->stop(s->upgrades);
}
