/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a client may do, and who it is: the SelfSubject reviews, which kubectl auth asks. Of the page's users
 * their rights count; all others may do everything that the hub can do. Keeps nothing.
 */
#include <jansson.h>

#include "base/own.h"
#include "object/decode.h"
#include "serve/api_state.h"

#define ACCESS "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
#define RULES  "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews"
#define WHOAMI "/apis/authentication.k8s.io/v1/selfsubjectreviews"

bool review_is(const char *path)
{
	return !strcmp(path, ACCESS) || !strcmp(path, RULES) || !strcmp(path, WHOAMI);
}

static const char *text_at(const json_t *map, const char *key)
{
	const char *v = json_string_value(json_object_get(map, key));
	return v ? v : "";
}

/* Why he may not; NULL: he may. */
static const char *no_right(const struct who *w, const json_t *at, bool reads)
{
	const char *group = text_at(at, "group"), *resource = text_at(at, "resource"),
		   *sub = text_at(at, "subresource");
	struct str ns = str_of(text_at(at, "namespace"));
	enum access_verb verb = ACCESS_WRITE;

	if (w == &access_everything)
		return NULL;
	if (!strcmp(sub, "stream"))
		verb = ACCESS_PACKETS;
	else if (reads && (!*sub || !strcmp(sub, "log") || !strcmp(sub, "status") || !strcmp(sub, "scale")))
		verb = ACCESS_READ;
	for (enum kind k = 0; k < KIND_COUNT; k++)
		if (!strcmp(kind_table[k].plural, resource) && !strcmp(kind_table[k].group, group))
			return access_may(w, verb, k, kind_table[k].namespaced ? ns : STR(""))
				   ? NULL
				   : "no Role gives the right to it";
	return access_level(w, ns) >= ACCESS_VIEW && verb == ACCESS_READ ? NULL
									 : "no Role gives the right to it";
}

/* Why it cannot be; NULL: it can. */
static const char *why_not(const struct who *w, const json_t *at)
{
	const char *verb = text_at(at, "verb"), *resource = text_at(at, "resource");
	bool reads = !strcmp(verb, "get") || !strcmp(verb, "list") || !strcmp(verb, "watch");
	bool made = !strcmp(resource, "events") || !strcmp(resource, "leases");
	return made && !reads ? "it can only be read: the hub makes it" : no_right(w, at, reads);
}

static void put_text(json_t *map, const char *key, struct str s)
{
	if (s.n)
		json_object_set_new(map, key, json_stringn(s.p, s.n));
}

/* The same from protobuf, which typed clients send: field numbers of authorization.k8s.io/v1. */
static json_t *read_proto(struct str body)
{
	static const char *const names[] = {"namespace", "verb",	"group", "version",
					    "resource",	 "subresource", "name"};
	struct str magic = {"k8s\0", 4};
	if (!str_starts(body, magic))
		return NULL;
	struct str spec = proto_field(proto_field((struct str){body.p + 4, body.n - 4}, 2), 2);
	struct str of = proto_field(spec, 1), url = proto_field(spec, 2);
	json_t *attributes = json_object();
	for (uint32_t i = 0; of.n && i < ARRAY_LEN(names); i++)
		put_text(attributes, names[i], proto_field(of, i + 1));
	if (!of.n) {
		put_text(attributes, "path", proto_field(url, 1));
		put_text(attributes, "verb", proto_field(url, 2));
	}
	return json_pack("{s:{s:o}}", "spec", of.n ? "resourceAttributes" : "nonResourceAttributes",
			 attributes);
}

static void answer_access(const struct who *w, const json_t *body, struct buf *b)
{
	json_t *spec = json_object_get(body, "spec");
	const json_t *at = json_object_get(spec, "resourceAttributes");
	const char *why = at ? why_not(w, at) : NULL;
	char *text = spec ? json_dumps(spec, JSON_COMPACT) : NULL;
	buf_printf(
	    b,
	    "{\"kind\":\"SelfSubjectAccessReview\",\"apiVersion\":\"authorization.k8s.io/v1\",\"metadata\":"
	    "{\"creationTimestamp\":null},\"spec\":%s,\"status\":{\"allowed\":%s%s%s%s}}\n",
	    text ? text : "{}", why ? "false" : "true", why ? ",\"reason\":\"" : "", why ? why : "",
	    why ? "\"" : "");
	free(text);
}

/* The verbs that he has on a kind in that namespace. */
static const char *verbs(const struct who *w, enum kind k, const char *ns)
{
	struct str at = kind_table[k].namespaced ? str_of(ns) : STR("");

	if (w == &access_everything || access_may(w, ACCESS_WRITE, k, at))
		return "\"create\",\"delete\",\"deletecollection\",\"get\",\"list\",\"patch\",\"update\","
		       "\"watch\"";
	return access_may(w, ACCESS_READ, k, at) ? "\"get\",\"list\",\"watch\"" : "";
}

static void answer_rules(const struct who *w, const char *ns, struct buf *b)
{
	buf_addz(
	    b, "{\"kind\":\"SelfSubjectRulesReview\",\"apiVersion\":\"authorization.k8s.io/v1\",\"metadata\":"
	       "{\"creationTimestamp\":null},\"spec\":{},\"status\":{\"resourceRules\":[");
	for (size_t i = 0; i < KIND_COUNT; i++) {
		const char *has = verbs(w, (enum kind)i, ns);
		if (!*has)
			continue;
		buf_printf(b, "{\"verbs\":[%s],\"apiGroups\":[\"%s\"],\"resources\":[\"%s\"]},", has,
			   kind_table[i].group, kind_table[i].plural);
	}
	buf_addz(
	    b,
	    "{\"verbs\":[\"get\",\"list\",\"watch\"],\"apiGroups\":[\"\"],\"resources\":[\"events\"]},"
	    "{\"verbs\":[\"get\",\"list\",\"watch\"],\"apiGroups\":[\"coordination.k8s.io\"],\"resources\":"
	    "[\"leases\"]}],\"nonResourceRules\":[{\"verbs\":[\"get\"],\"nonResourceURLs\":[\"*\"]}],"
	    "\"incomplete\":false}}\n");
}

static void answer_who(const struct http_request *rq, struct buf *b)
{
	const char *name = rq->door == HTTP_PAGE ? who_of(rq)->user : rq->local ? "weft:local" : "weft:admin";
	bool admin = access_level(who_of(rq), STR("*")) >= ACCESS_ADMIN;

	buf_printf(
	    b,
	    "{\"kind\":\"SelfSubjectReview\",\"apiVersion\":\"authentication.k8s.io/v1\",\"metadata\":{"
	    "\"creationTimestamp\":null},\"status\":{\"userInfo\":{\"username\":\"%s\",\"groups\":"
	    "[\"system:authenticated\"%s]}}}\n",
	    name, admin ? ",\"weft:admins\"" : "");
}

void review_handle(const struct http_request *rq, struct http_reply *rp, struct api_error *e)
{
	bool proto = !strncmp(rq->content_type, "application/vnd.kubernetes.protobuf", 35);
	json_t *body =
	    proto ? read_proto(rq->body)
		  : json_loadb(rq->body.p ? rq->body.p : "", rq->body.n, JSON_REJECT_DUPLICATES, NULL);
	bool access = !strcmp(rq->path, ACCESS);
	const json_t *spec = json_object_get(body, "spec");
	if (strcmp(rq->method, "POST"))
		api_fail(e, 405, "MethodNotAllowed", "a review is asked with POST");
	else if (!json_is_object(body))
		api_fail(e, 400, "BadRequest", "the body is not one JSON object");
	else if (access && !json_is_object(json_object_get(spec, "resourceAttributes")) &&
		 !json_is_object(json_object_get(spec, "nonResourceAttributes")))
		api_fail(e, 422, "Invalid",
			 "spec: exactly one of nonResourceAttributes or resourceAttributes is needed");
	else if (access)
		answer_access(who_of(rq), body, &rp->body);
	else if (!strcmp(rq->path, RULES))
		answer_rules(who_of(rq), text_at(spec, "namespace"), &rp->body);
	else
		answer_who(rq, &rp->body);
	if (!e->code)
		rp->status = 201;
	json_decref(body);
}
