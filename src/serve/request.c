/* SPDX-License-Identifier: Apache-2.0 */
/* Decodes request targets strictly. See request.h. */
#include "serve/request.h"

#include <errno.h>
#include <stdlib.h>

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* In place; '+' means a blank in queries only. An escaped '/' in a path would make another path: refused. */
static int decode(char *s, bool query)
{
	char *w = s;
	for (char *r = s; *r; r++) {
		if (query && *r == '+') {
			*w++ = ' ';
			continue;
		}
		if (*r != '%') {
			*w++ = *r;
			continue;
		}
		int a = hex(r[1]), b = a < 0 ? -1 : hex(r[2]);
		char c = (char)(a * 16 + b);
		if (b < 0 || !c || (!query && c == '/'))
			return -EINVAL;
		*w++ = c;
		r += 2;
	}
	*w = 0;
	return 0;
}

static int parse_query(struct request_parts *p, char *at)
{
	while (at && *at) {
		char *next = strchr(at, '&');
		if (next)
			*next++ = 0;
		char *value = strchr(at, '=');
		if (value)
			*value++ = 0;
		else
			value = at + strlen(at);
		if (p->query_len == QUERY_MAX || decode(at, true) || decode(value, true))
			return -EINVAL;
		if (*at)
			p->query[p->query_len++] = (struct http_param){.key = at, .value = value};
		at = next;
	}
	return 0;
}

int request_parse(struct request_parts *p, const char *uri)
{
	p->text = strdup(uri);
	if (!p->text)
		return -ENOMEM;
	p->path = p->text;
	char *query = strchr(p->text, '?');
	if (query)
		*query++ = 0;
	if (p->path[0] != '/' || strstr(p->path, "//") || decode(p->path, false))
		return -EINVAL;
	return parse_query(p, query);
}

void request_fini(struct request_parts *p)
{
	free(p->text);
	*p = (struct request_parts){0};
}

const char *http_query(const struct http_request *rq, const char *key)
{
	for (size_t i = 0; i < rq->query_len; i++)
		if (!strcmp(rq->query[i].key, key))
			return rq->query[i].value;
	return NULL;
}
