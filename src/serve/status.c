/* SPDX-License-Identifier: Apache-2.0 */
/* Failures as Status objects in the shape that kubectl prints. Called for every refused request. */
#include <errno.h>

#include "serve/api_state.h"

void api_error_fini(struct api_error *e)
{
	buf_fini(&e->message);
	buf_fini(&e->more);
	remarks_fini(&e->causes);
	e->code = 0;
}

int api_fail(struct api_error *e, int code, const char *reason, const char *fmt, ...)
{
	if (e->code)
		return -EINVAL;
	e->code = code;
	e->reason = reason;
	va_list ap;
	va_start(ap, fmt);
	buf_vprintf(&e->message, fmt, ap);
	va_end(ap);
	return -EINVAL;
}

/* "spec.ports[0].port: what is wrong" begins with the path of the field. */
static struct str field_of(const char *text)
{
	const char *end = strstr(text, ": "), *space = strchr(text, ' ');
	bool path = end && end > text && space == end + 1 && !strchr("\"'", *text);
	return path ? (struct str){text, (size_t)(end - text)} : (struct str){0};
}

static void print_cause(struct buf *b, const struct remark *r)
{
	struct str field = field_of(r->text);
	AUTO_BUF text = {0};
	buf_addz(b, "{\"reason\":\"FieldValueInvalid\",\"message\":");
	buf_addz(&text, r->text + (field.n ? field.n + 2 : 0));
	if (r->hint)
		buf_printf(&text, " (%s)", r->hint);
	buf_json(b, buf_str(&text));
	if (field.n) {
		buf_addz(b, ",\"field\":");
		buf_json(b, field);
	}
	buf_addc(b, '}');
}

static void print_causes(struct buf *b, const struct api_error *e)
{
	bool first = true;
	buf_addz(b, ",\"causes\":[");
	VEC_EACH (&e->causes.list, r) {
		if (r->level != REMARK_ERROR)
			continue;
		if (!first)
			buf_addc(b, ',');
		first = false;
		print_cause(b, r);
	}
	if (e->more.n && !first)
		buf_addc(b, ',');
	buf_adds(b, buf_str(&e->more));
	buf_addc(b, ']');
}

/* Where the object is wrong it is named by its kind, else by its resource. */
static const char *kind_of(const struct api_error *e, const struct target *t)
{
	if (!t->kind)
		return t->events ? "events" : "leases";
	return e->code == 422 ? t->kind->name : t->kind->plural;
}

void status_print(struct buf *b, const struct api_error *e, const struct target *t)
{
	buf_addz(
	    b,
	    "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":\"Failure\",\"message\":");
	buf_json(b, buf_str(&e->message));
	buf_printf(b, ",\"reason\":\"%s\"", e->reason);
	if (t && (t->kind || t->events || t->leases)) {
		buf_addz(b, ",\"details\":{");
		if (*t->name || *e->name) {
			buf_addz(b, "\"name\":");
			buf_json(b, str_of(*t->name ? t->name : e->name));
			buf_addc(b, ',');
		}
		if (t->kind && *t->kind->group)
			buf_printf(b, "\"group\":\"%s\",", t->kind->group);
		buf_printf(b, "\"kind\":\"%s\"", kind_of(e, t));
		if (e->causes.errors || e->more.n)
			print_causes(b, e);
		buf_addc(b, '}');
	}
	buf_printf(b, ",\"code\":%d}\n", e->code);
}

void api_refuse(struct http_reply *rp, const struct api_error *e)
{
	buf_clear(&rp->body);
	rp->status = e->code;
	rp->content_type = NULL;
	rp->retry = e->retry;
	status_print(&rp->body, e, NULL);
}
