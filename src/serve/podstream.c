/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests for a pod's streams: checks pod, container and parameters, agrees on a protocol, asks the runtime,
 * and leaves the rest to the session. What is wrong is a Status before anything changes its protocol.
 */
#include "serve/podstream.h"

#include <errno.h>
#include <jansson.h>

#include "base/clock.h"
#include "base/own.h"
#include "serve/session.h"

#define DEFAULT_CONTAINER "kubectl.kubernetes.io/default-container"

static const struct {
	const char *name;
	enum session_kind session;
} subs[] = {
    {"attach", SESSION_EXEC},
    {"exec", SESSION_EXEC},
    {"log", SESSION_LOG},
    {"portforward", SESSION_FORWARD},
};

bool podstream_is(const struct target *t)
{
	for (size_t i = 0; i < ARRAY_LEN(subs); i++)
		if (t->kind && t->kind->kind == KIND_pod && t->named && !strcmp(t->sub, subs[i].name))
			return true;
	return false;
}

/* Containers */

static bool name_is(const struct container_list *list, struct str name)
{
	for (size_t i = 0; i < list->len; i++)
		if (str_eq(list->items[i].name, name))
			return true;
	return false;
}

static int pick_container(char out[64], const struct object *pod, const char *want, struct api_error *e)
{
	const struct container_list *all = &pod->pod->spec->containers;
	const struct str *preset = strmap_get(&pod->meta.annotations, STR(DEFAULT_CONTAINER));
	struct str name = str_of(want);
	if (name.n &&
	    (name.n > 63 || !(name_is(all, name) || name_is(&pod->pod->spec->init_containers, name))))
		return api_fail(e, 400, "BadRequest", "container %s is not valid for pod " STR_FMT, want,
				STR_ARG(pod->meta.name));
	if (!name.n && preset && name_is(all, *preset))
		name = *preset;
	if (!name.n && all->len == 1)
		name = all->items[0].name;
	if (!name.n) {
		struct buf names = {0};
		for (size_t i = 0; i < all->len; i++)
			buf_printf(&names, "%s" STR_FMT, i ? " " : "", STR_ARG(all->items[i].name));
		api_fail(e, 400, "BadRequest",
			 "a container name must be specified for pod " STR_FMT ", choose one of: [%s]",
			 STR_ARG(pod->meta.name), names.p ? names.p : "");
		buf_fini(&names);
		return -EINVAL;
	}
	memcpy(out, name.p, name.n);
	out[name.n] = 0;
	return 0;
}

/* Parameters */

static int number(const struct http_request *rq, const char *key, int64_t min, int64_t *out,
		  struct api_error *e)
{
	const char *text = http_query(rq, key);
	if (text && *text && str_to_i64(str_of(text), min, INT64_MAX, out))
		return api_fail(e, 400, "BadRequest", "%s \"%s\" is not a whole number from %lld", key, text,
				(long long)min);
	return 0;
}

static int log_since(const struct http_request *rq, int64_t *ns, struct api_error *e)
{
	const char *time = http_query(rq, "sinceTime");
	int64_t seconds = 0, at = 0;
	*ns = 0;
	if (number(rq, "sinceSeconds", 1, &seconds, e))
		return -EINVAL;
	if (seconds && time && *time)
		return api_fail(e, 400, "BadRequest", "sinceSeconds and sinceTime cannot be used together");
	if (time && *time && clock_parse(time, &at))
		return api_fail(e, 400, "BadRequest",
				"sinceTime \"%s\" is not a time as 2026-01-02T03:04:05Z", time);
	if (seconds)
		at = clock_wall() - seconds;
	if (at > INT64_MAX / 1000000000)
		at = INT64_MAX / 1000000000;
	*ns = at > 0 ? at * 1000000000 : 0;
	return 0;
}

static json_t *log_request(const struct http_request *rq, struct api_error *e)
{
	int64_t tail = -1, limit = -1, since = 0;
	if (number(rq, "tailLines", 0, &tail, e) || number(rq, "limitBytes", 1, &limit, e) ||
	    log_since(rq, &since, e))
		return NULL;
	return json_pack("{s:s,s:b,s:b,s:b,s:I,s:I,s:I}", "do", "logs", "follow", query_true(rq, "follow"),
			 "previous", query_true(rq, "previous"), "timestamps", query_true(rq, "timestamps"),
			 "tail", (json_int_t)tail, "since", (json_int_t)since, "limit", (json_int_t)limit);
}

static json_t *exec_request(struct session *s, const struct http_request *rq, struct api_error *e)
{
	bool exec = !strcmp(s->target.sub, "exec");
	json_t *command = json_array(), *r;
	s->in = query_true(rq, "stdin");
	s->out = query_true(rq, "stdout");
	s->tty = query_true(rq, "tty");
	s->err = query_true(rq, "stderr") && !s->tty;
	for (size_t i = 0; i < rq->query_len && exec; i++)
		if (!strcmp(rq->query[i].key, "command"))
			json_array_append_new(command, json_string(rq->query[i].value));
	if (exec && !json_array_size(command))
		api_fail(e, 400, "BadRequest",
			 "you must specify a command: command=… in the query, once for each word");
	else if (!s->in && !s->out && !s->err)
		api_fail(e, 400, "BadRequest", "you must specify at least one of stdin, stdout, stderr");
	r = json_pack("{s:s,s:b,s:b,s:b,s:b}", "do", s->target.sub, "stdin", s->in, "stdout", s->out,
		      "stderr", s->err, "tty", s->tty);
	if (exec)
		json_object_set(r, "command", command);
	json_decref(command);
	return r;
}

/* "ports=80,443" and repeated; for WebSocket channels only. */
static int read_ports(struct session *s, const struct http_request *rq, struct api_error *e)
{
	for (size_t i = 0; i < rq->query_len; i++) {
		struct str rest = str_of(!strcmp(rq->query[i].key, "ports") ? rq->query[i].value : "");
		while (rest.n) {
			struct str one = str_cut(&rest, ',');
			int64_t port = 0;
			if (str_to_i64(one, 1, 65535, &port))
				return api_fail(e, 400, "BadRequest", "ports: \"" STR_FMT "\" is no port",
						STR_ARG(one));
			if (s->n_ports == SESSION_PORTS)
				return api_fail(e, 400, "BadRequest", "ports: at most %d in one session",
						SESSION_PORTS);
			s->ports[s->n_ports++] = (unsigned)port;
		}
	}
	if (!s->n_ports)
		return api_fail(e, 400, "BadRequest", "you must specify at least one port: ports=…");
	return 0;
}

/* Protocols */

/* A page of another origin must not use the certificate of whoever looks at it. */
static bool origin_is_ours(const struct http_request *rq)
{
	const char *origin = http_header(rq, "Origin"), *host = strstr(origin, "://");
	return !*origin || (host && !strcasecmp(host + 3, http_header(rq, "Host")));
}

static int agree_ws(struct session *s, const struct http_request *rq, struct api_error *e)
{
	static const char *const exec[] = {"v5.channel.k8s.io", "v4.channel.k8s.io", NULL};
	static const char *const forward[] = {"SPDY/3.1+portforward.k8s.io", "v5.channel.k8s.io",
					      "v4.channel.k8s.io", NULL};
	const char *const *names = s->kind == SESSION_EXEC ? exec : forward;
	const char *key = http_header(rq, "Sec-WebSocket-Key");
	char accept[WS_ACCEPT_SIZE];
	if (strcmp(rq->method, "GET") || !http_header_has(rq, "Sec-WebSocket-Version", "13") ||
	    ws_accept(key, accept))
		return api_fail(
		    e, 400, "BadRequest",
		    "a WebSocket begins with GET, Sec-WebSocket-Version: 13 and a Sec-WebSocket-Key");
	if (!origin_is_ours(rq))
		return api_fail(e, 403, "Forbidden", "a WebSocket from another origin, %s",
				http_header(rq, "Origin"));
	while (*names && !http_header_has(rq, "Sec-WebSocket-Protocol", *names))
		names++;
	if (!*names)
		return api_fail(
		    e, 400, "BadRequest",
		    "no subprotocol in common; this server has v5.channel.k8s.io and v4.channel.k8s.io%s",
		    s->kind == SESSION_FORWARD ? ", and SPDY/3.1+portforward.k8s.io" : "");
	s->ws = true;
	s->v5 = **names == 'v' && (*names)[1] == '5';
	s->protocol = **names == 'S'		   ? &session_spdy_forward
		      : s->kind == SESSION_FORWARD ? &session_ws_forward
						   : &session_ws_exec;
	http_upgrade_header(&s->upgrade, "Upgrade", "websocket");
	http_upgrade_header(&s->upgrade, "Sec-WebSocket-Accept", accept);
	http_upgrade_header(&s->upgrade, "Sec-WebSocket-Protocol", *names);
	return s->protocol == &session_ws_forward ? read_ports(s, rq, e) : 0;
}

static int agree_spdy(struct session *s, const struct http_request *rq, struct api_error *e)
{
	const char *name = s->kind == SESSION_EXEC ? "v4.channel.k8s.io" : "portforward.k8s.io";
	if (!http_header_has(rq, "X-Stream-Protocol-Version", name))
		return api_fail(e, 403, "Forbidden",
				"no X-Stream-Protocol-Version in common; this server has %s", name);
	s->protocol = s->kind == SESSION_EXEC ? &session_spdy_exec : &session_spdy_forward;
	http_upgrade_header(&s->upgrade, "Upgrade", "SPDY/3.1");
	http_upgrade_header(&s->upgrade, "X-Stream-Protocol-Version", name);
	return 0;
}

static int agree(struct session *s, const struct http_request *rq, struct api_error *e)
{
	if (s->kind == SESSION_LOG)
		return strcmp(rq->method, "GET")
			   ? api_fail(e, 405, "MethodNotAllowed", "a log can only be read: GET")
			   : 0;
	if (strcmp(rq->method, "GET") && strcmp(rq->method, "POST"))
		return api_fail(e, 405, "MethodNotAllowed", "%s is not possible on %s", rq->method, rq->path);
	if (rq->body.n)
		return api_fail(e, 400, "BadRequest", "this request has no body");
	if (http_header_has(rq, "Upgrade", "websocket"))
		return agree_ws(s, rq, e);
	if (http_header_has(rq, "Upgrade", "SPDY/3.1"))
		return agree_spdy(s, rq, e);
	return api_fail(e, 400, "BadRequest", "Upgrade request required: to a WebSocket, or to SPDY/3.1");
}

/* Sends the request of a log, an exec or an attach; the answer comes when the runtime's does. */
static int ask(struct session *s, const struct object *pod, const struct http_request *rq,
	       struct api_error *e)
{
	const char *container = http_query(rq, "container");
	if (pick_container(s->container, pod, container ? container : "", e))
		return -EINVAL;
	json_t *request = s->kind == SESSION_LOG ? log_request(rq, e) : exec_request(s, rq, e);
	char *text = NULL;
	if (request && !e->code) {
		json_object_set_new(request, "namespace", json_string(s->target.ns));
		json_object_set_new(request, "pod", json_string(s->target.name));
		json_object_set_new(request, "container", json_string(s->container));
		text = json_dumps(request, JSON_COMPACT);
	}
	json_decref(request);
	struct lane *l = text && strlen(text) < STREAM_REQUEST_MAX ? session_lane(s) : NULL;
	if (!e->code && !text)
		api_fail(e, 400, "BadRequest", "a parameter is not valid UTF-8");
	else if (!e->code && !l)
		api_fail(e, 429, "TooManyRequests",
			 "the request is too long, or there are too many sessions");
	else if (!e->code && session_ask(s, l, str_of(text)))
		api_fail(e, 503, "ServiceUnavailable",
			 "the runtime that runs the containers does not answer");
	free(text);
	return e->code ? -EINVAL : 0;
}

static void start(struct api *a, const struct target *t, const struct object *pod,
		  const struct http_request *rq, struct http_reply *rp, struct api_error *e)
{
	struct session *s = NULL;
	if (session_new(&s, a->sessions, t, rq, e)) {
		api_fail(e, 500, "InternalError", "out of memory");
		return;
	}
	for (size_t i = 0; i < ARRAY_LEN(subs); i++)
		if (!strcmp(t->sub, subs[i].name))
			s->kind = subs[i].session;
	if (agree(s, rq, e) || (s->kind != SESSION_FORWARD && ask(s, pod, rq, e))) {
		session_free(s);
		return;
	}
	if (s->kind == SESSION_FORWARD)
		rp->upgrade = &s->upgrade;
	else
		rp->later = &s->later;
}

void podstream_handle(struct api *a, const struct target *t, const struct http_request *rq,
		      struct http_reply *rp, struct api_error *e)
{
	const struct object *pod = api_find(a, t, e);
	if (!pod)
		return;
	if (!a->sessions)
		api_fail(e, 503, "ServiceUnavailable",
			 "no runtime is connected to this hub: exec, attach, logs and port-forward work "
			 "where Weft itself "
			 "runs the pods, in `weft up`");
	else if (!pod->pod->spec || !pod->pod->spec->node_name.n)
		api_fail(e, 400, "BadRequest", "pod %s does not have a host assigned", t->name);
	else
		start(a, t, pod, rq, rp, e);
}

int api_set_runtime(struct api *a, uv_loop_t *loop, const char *path)
{
	return sessions_new(&a->sessions, loop, path);
}

/* Discovery */

static void print_parameter(struct buf *b, const char *name, const char *in, const char *type, bool first)
{
	buf_printf(b, "%s{\"name\":\"%s\",\"in\":\"%s\",\"schema\":{\"type\":\"%s\"}%s}", first ? "" : ",",
		   name, in, type, *in == 'p' ? ",\"required\":true" : "");
}

void podstream_openapi(struct buf *b)
{
	static const struct {
		const char *sub, *name, *type;
	} all[] = {{"attach exec log", "container", "string"},
		   {"exec", "command", "string"},
		   {"attach exec", "stdin", "boolean"},
		   {"attach exec", "stdout", "boolean"},
		   {"attach exec", "stderr", "boolean"},
		   {"attach exec", "tty", "boolean"},
		   {"log", "follow", "boolean"},
		   {"log", "previous", "boolean"},
		   {"log", "timestamps", "boolean"},
		   {"log", "tailLines", "integer"},
		   {"log", "sinceSeconds", "integer"},
		   {"log", "sinceTime", "string"},
		   {"log", "limitBytes", "integer"},
		   {"portforward", "ports", "integer"}};
	for (size_t i = 0; i < ARRAY_LEN(subs); i++) {
		buf_printf(b, "%s\"/api/v1/namespaces/{namespace}/pods/{name}/%s\":{\"parameters\":[",
			   i ? "," : "", subs[i].name);
		print_parameter(b, "namespace", "path", "string", true);
		print_parameter(b, "name", "path", "string", false);
		for (size_t j = 0; j < ARRAY_LEN(all); j++)
			if (strstr(all[j].sub, subs[i].name))
				print_parameter(b, all[j].name, "query", all[j].type, false);
		buf_addz(b, "],\"get\":{\"responses\":{\"200\":{\"description\":\"OK\"}}}");
		if (subs[i].session != SESSION_LOG)
			buf_addz(b, ",\"post\":{\"responses\":{\"200\":{\"description\":\"OK\"}}}");
		buf_addc(b, '}');
	}
}
