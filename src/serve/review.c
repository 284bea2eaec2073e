/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a client may do, and who it is: the SelfSubject reviews, which kubectl auth asks. There is one user,
 * who may do everything that the hub can do. Keeps nothing.
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

/* Why the hub cannot do it, whoever asks; NULL: it can. */
static const char *why_not(const json_t *at)
{
	const char *verb = text_at(at, "verb"), *resource = text_at(at, "resource");
	bool reads = !strcmp(verb, "get") || !strcmp(verb, "list") || !strcmp(verb, "watch");
	bool made = !strcmp(resource, "events") || !strcmp(resource, "leases");
	return made && !reads ? "it can only be read: the hub makes it" : NULL;
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

static void answer_access(const json_t *body, struct buf *b)
{
	json_t *spec = json_object_get(body, "spec");
	const char *why = why_not(json_object_get(spec, "resourceAttributes"));
	char *text = spec ? json_dumps(spec, JSON_COMPACT) : NULL;
	buf_printf(
	    b,
	    "{\"kind\":\"SelfSubjectAccessReview\",\"apiVersion\":\"authorization.k8s.io/v1\",\"metadata\":"
	    "{\"creationTimestamp\":null},\"spec\":%s,\"status\":{\"allowed\":%s%s%s%s}}\n",
	    text ? text : "{}", why ? "false" : "true", why ? ",\"reason\":\"" : "", why ? why : "",
	    why ? "\"" : "");
	free(text);
}

static void answer_rules(struct buf *b)
{
	buf_addz(
	    b, "{\"kind\":\"SelfSubjectRulesReview\",\"apiVersion\":\"authorization.k8s.io/v1\",\"metadata\":"
	       "{\"creationTimestamp\":null},\"spec\":{},\"status\":{\"resourceRules\":[");
	for (size_t i = 0; i < KIND_COUNT; i++)
		buf_printf(
		    b,
		    "{\"verbs\":[\"create\",\"delete\",\"deletecollection\",\"get\",\"list\",\"patch\","
		    "\"update\",\"watch\"],\"apiGroups\":[\"%s\"],\"resources\":[\"%s\"]},",
		    kind_table[i].group, kind_table[i].plural);
	buf_addz(
	    b,
	    "{\"verbs\":[\"get\",\"list\",\"watch\"],\"apiGroups\":[\"\"],\"resources\":[\"events\"]},"
	    "{\"verbs\":[\"get\",\"list\",\"watch\"],\"apiGroups\":[\"coordination.k8s.io\"],\"resources\":"
	    "[\"leases\"]}],\"nonResourceRules\":[{\"verbs\":[\"get\"],\"nonResourceURLs\":[\"*\"]}],"
	    "\"incomplete\":false}}\n");
}

static void answer_who(const struct http_request *rq, struct buf *b)
{
	buf_printf(
	    b,
	    "{\"kind\":\"SelfSubjectReview\",\"apiVersion\":\"authentication.k8s.io/v1\",\"metadata\":{"
	    "\"creationTimestamp\":null},\"status\":{\"userInfo\":{\"username\":\"%s\",\"groups\":"
	    "[\"system:authenticated\",\"weft:admins\"]}}}\n",
	    rq->local ? "weft:local" : "weft:admin");
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
		answer_access(body, &rp->body);
	else if (!strcmp(rq->path, RULES))
		answer_rules(&rp->body);
	else
		answer_who(rq, &rp->body);
	if (!e->code)
		rp->status = 201;
	json_decref(body);
}
