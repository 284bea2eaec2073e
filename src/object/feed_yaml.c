/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One YAML document as a feed: libyaml's events, its marks turned into byte positions. libyaml counts
 * characters, and knows more line ends than an editor does; lines here end with "\n" only. Called by the
 * decoder.
 */
#include <errno.h>
#include <stdlib.h>
#include <yaml.h>

#include "base/own.h"
#include "object/feed.h"
#include "object/scalar.h"

/* Where libyaml's (line, column) is in bytes. Marks mostly grow, so each byte is stepped over once. */
struct cursor {
	size_t line, col, at; /* libyaml's line and column, and the byte they are at */
};

struct yaml_feed {
	struct feed feed;
	yaml_parser_t parser;
	yaml_event_t event;
	bool have_event;
	struct str text;
	uint32_t first_line;
	struct file *file;
	struct remarks *rs;
	struct cursor mark;
	size_t seen, seen_start; /* byte up to which "\n" were counted, and the start of its line */
	uint32_t seen_line;
};

/* Length of the line end at `at`, or 0. YAML 1.1, production b-generic. */
static size_t line_end(struct str s, size_t at)
{
	const unsigned char *p = (const unsigned char *)s.p + at;
	size_t left = s.n - at;
	if (p[0] == '\n')
		return 1;
	if (p[0] == '\r')
		return left > 1 && p[1] == '\n' ? 2 : 1;
	if (left > 1 && p[0] == 0xc2 && p[1] == 0x85)
		return 2;
	if (left > 2 && p[0] == 0xe2 && p[1] == 0x80 && (p[2] == 0xa8 || p[2] == 0xa9))
		return 3;
	return 0;
}

static size_t offset_of(struct yaml_feed *f, const yaml_mark_t *m)
{
	struct cursor *c = &f->mark;
	if (m->line < c->line || (m->line == c->line && m->column < c->col))
		*c = (struct cursor){0};
	while (c->at < f->text.n && (c->line < m->line || c->col < m->column)) {
		size_t end = line_end(f->text, c->at);
		if (end && c->line == m->line)
			break;
		if (end) {
			c->line++;
			c->col = 0;
			c->at += end;
			continue;
		}
		size_t n = str_utf8(f->text.p + c->at, f->text.n - c->at);
		c->at += n ? n : 1;
		c->col++;
	}
	return c->at;
}

static struct pos pos_of(struct yaml_feed *f, size_t at, size_t end)
{
	if (at < f->seen) {
		f->seen = f->seen_start = 0;
		f->seen_line = f->first_line;
	}
	for (const char *nl; f->seen < at && (nl = memchr(f->text.p + f->seen, '\n', at - f->seen));) {
		f->seen = f->seen_start = (size_t)(nl - f->text.p) + 1;
		f->seen_line++;
	}
	f->seen = at;
	const char *nl = end > at ? memchr(f->text.p + at, '\n', end - at) : NULL;
	size_t len = nl ? (size_t)(nl - f->text.p) - at : end - at;
	return (struct pos){.file = f->file,
			    .line = f->seen_line,
			    .col = (uint32_t)(at - f->seen_start + 1),
			    .len = len ? (uint32_t)len : 1};
}

static const char *advice(const struct yaml_feed *f, size_t at)
{
	const char *problem = f->parser.problem ? f->parser.problem : "";
	if (f->parser.error == YAML_READER_ERROR)
		return "save the file as UTF-8 without control characters";
	if (at < f->text.n && f->text.p[at] == '\t')
		return "indent with spaces, not with tabs";
	if (strstr(problem, "could not find expected ':'"))
		return "a key is followed by \":\" and a space; text over several lines needs quotes or "
		       "\"|\"";
	if (strstr(problem, "mapping values are not allowed"))
		return "check the indentation, or put the text that holds \": \" in quotes";
	if (strstr(problem, "did not find expected key") || strstr(problem, "did not find expected '-'"))
		return "check the indentation of this line and the one before";
	return NULL;
}

static int syntax_error(struct yaml_feed *f)
{
	yaml_parser_t *p = &f->parser;
	if (p->error == YAML_MEMORY_ERROR)
		return -ENOMEM;
	size_t at = p->error == YAML_READER_ERROR ? p->problem_offset : offset_of(f, &p->problem_mark);
	if (at > f->text.n)
		at = f->text.n;
	AUTO_BUF what = {0};
	buf_addz(&what, p->problem ? p->problem : "cannot be read");
	if (p->context && p->error != YAML_READER_ERROR && p->context_mark.line != p->problem_mark.line) {
		struct pos began = pos_of(f, offset_of(f, &p->context_mark), 0);
		buf_printf(&what, " %s that began on line %u", p->context, began.line);
	}
	remark_add(f->rs, REMARK_ERROR, pos_of(f, at, at + 1 <= f->text.n ? at + 1 : at), advice(f, at),
		   "not valid YAML: %s", what.p ? what.p : "");
	return -EINVAL;
}

static struct str text_of(const yaml_char_t *p, size_t n)
{
	return (struct str){.p = (const char *)p, .n = n};
}

static struct str name_of(const yaml_char_t *p)
{
	return str_of((const char *)p);
}

static void scalar_event(struct yaml_feed *f, struct feed_event *ev)
{
	const char *tag = (const char *)f->event.data.scalar.tag;
	ev->type = FEED_SCALAR;
	ev->text = text_of(f->event.data.scalar.value, f->event.data.scalar.length);
	ev->anchor = name_of(f->event.data.scalar.anchor);
	ev->plain = f->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	ev->tagged = tag != NULL;
	switch (f->event.data.scalar.style) {
	case YAML_SINGLE_QUOTED_SCALAR_STYLE:
		ev->style = '\'';
		break;
	case YAML_DOUBLE_QUOTED_SCALAR_STYLE:
		ev->style = '"';
		break;
	case YAML_LITERAL_SCALAR_STYLE:
		ev->style = '|';
		break;
	case YAML_FOLDED_SCALAR_STYLE:
		ev->style = '>';
		break;
	default:
		break;
	}
	if (tag)
		ev->plain = !strcmp(tag, YAML_INT_TAG) || !strcmp(tag, YAML_FLOAT_TAG) ||
			    !strcmp(tag, YAML_BOOL_TAG) || !strcmp(tag, YAML_NULL_TAG);
}

/* False for events that only frame the document. */
static bool translate(struct yaml_feed *f, struct feed_event *ev)
{
	switch (f->event.type) {
	case YAML_SCALAR_EVENT:
		scalar_event(f, ev);
		return true;
	case YAML_ALIAS_EVENT:
		ev->type = FEED_ALIAS;
		ev->text = name_of(f->event.data.alias.anchor);
		return true;
	case YAML_MAPPING_START_EVENT:
		ev->type = FEED_MAP;
		ev->anchor = name_of(f->event.data.mapping_start.anchor);
		ev->flow = f->event.data.mapping_start.style == YAML_FLOW_MAPPING_STYLE;
		ev->tagged = f->event.data.mapping_start.tag != NULL;
		return true;
	case YAML_SEQUENCE_START_EVENT:
		ev->type = FEED_SEQ;
		ev->anchor = name_of(f->event.data.sequence_start.anchor);
		ev->flow = f->event.data.sequence_start.style == YAML_FLOW_SEQUENCE_STYLE;
		ev->tagged = f->event.data.sequence_start.tag != NULL;
		return true;
	case YAML_MAPPING_END_EVENT:
	case YAML_SEQUENCE_END_EVENT:
		ev->type = FEED_END;
		return true;
	case YAML_STREAM_END_EVENT:
		ev->type = FEED_EOF;
		return true;
	default:
		return false;
	}
}

static int yaml_next(struct feed *feed, struct feed_event *ev)
{
	struct yaml_feed *f = (struct yaml_feed *)feed;
	*ev = (struct feed_event){.type = FEED_EOF};
	do {
		if (f->have_event)
			yaml_event_delete(&f->event);
		f->have_event = yaml_parser_parse(&f->parser, &f->event);
		if (!f->have_event)
			return syntax_error(f);
	} while (!translate(f, ev));
	if (ev->type == FEED_EOF)
		return 0;
	if (ev->type == FEED_END) {
		ev->end = offset_of(f, &f->event.end_mark);
		return 0;
	}
	ev->offset = offset_of(f, &f->event.start_mark);
	size_t end = ev->offset;
	if (ev->type == FEED_SCALAR || ev->type == FEED_ALIAS)
		end = ev->end = offset_of(f, &f->event.end_mark);
	else if (ev->flow)
		end++;
	struct pos p = pos_of(f, ev->offset, end);
	ev->line = p.line;
	ev->col = p.col;
	ev->len = p.len;
	return 0;
}

int yaml_feed_new(struct yaml_feed **out, struct str slice, uint32_t line, struct file *file,
		  struct remarks *rs)
{
	struct yaml_feed *f = calloc(1, sizeof(*f));
	if (!f)
		return -ENOMEM;
	f->feed.next = yaml_next;
	f->text = slice;
	f->first_line = f->seen_line = line;
	f->file = file;
	f->rs = rs;
	if (!yaml_parser_initialize(&f->parser)) {
		free(f);
		return -ENOMEM;
	}
	yaml_parser_set_encoding(&f->parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&f->parser, (const unsigned char *)slice.p, slice.n);
	*out = f;
	return 0;
}

void yaml_feed_free(struct yaml_feed **fp)
{
	struct yaml_feed *f = TAKE(*fp);
	if (!f)
		return;
	if (f->have_event)
		yaml_event_delete(&f->event);
	yaml_parser_delete(&f->parser);
	free(f);
}

struct feed *yaml_feed(struct yaml_feed *f)
{
	return &f->feed;
}
