/* SPDX-License-Identifier: Apache-2.0 */
/* Failures as Status objects in the shape that kubectl prints. Called for every refused request. */
#include <errno.h>

#include "serve/api_state.h"

void api_error_fini(struct api_error *e)
{
	buf_fini(&e->message);
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

static void print_causes(struct buf *b, const struct remarks *rs)
{
	bool first = true;
	buf_addz(b, ",\"causes\":[");
	VEC_EACH (&rs->list, r) {
		if (r->level != REMARK_ERROR)
			continue;
		if (!first)
			buf_addc(b, ',');
		first = false;
		buf_addz(b, "{\"reason\":\"FieldValueInvalid\",\"message\":");
		AUTO_BUF text = {0};
		buf_addz(&text, r->text);
		if (r->hint)
			buf_printf(&text, " (%s)", r->hint);
		buf_json(b, buf_str(&text));
		buf_addc(b, '}');
	}
	buf_addc(b, ']');
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
		if (*t->name) {
			buf_addz(b, "\"name\":");
			buf_json(b, str_of(t->name));
			buf_addc(b, ',');
		}
		if (t->kind && *t->kind->group)
			buf_printf(b, "\"group\":\"%s\",", t->kind->group);
		buf_printf(b, "\"kind\":\"%s\"", t->kind ? t->kind->plural : t->events ? "events" : "leases");
		if (e->causes.list.len)
			print_causes(b, &e->causes);
		buf_addc(b, '}');
	}
	buf_printf(b, ",\"code\":%d}\n", e->code);
}
