/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A scene's reach table: read from its text, and held against a grid of answers. Sends nothing.
 *
 *   from       web:80   db:5432      "from" may be left out, or be any word without a colon
 *   client     yes      no
 *   outside    yes      -            "-": not stated
 *   from       store:1               further targets
 *   client     no
 */
#include "cli/scene.h"

#include "base/own.h"

#include <netinet/in.h>
#include <stdlib.h>

/* The next word of a line, or an empty one at its end. */
static struct str next_word(struct str *line)
{
	struct str word;

	while (line->n && (*line->p == ' ' || *line->p == '\t')) {
		line->p++;
		line->n--;
	}
	word = (struct str){line->p, 0};
	while (line->n && *line->p != ' ' && *line->p != '\t') {
		word.n++;
		line->p++;
		line->n--;
	}
	return word;
}

struct column {
	struct str name;
	uint16_t port;
	uint8_t proto;
};
struct columns {
	VEC(struct column) list;
};

/* "web:80", "shop/web:53/udp", "svc/web:80", "host/api.example.org:443". */
static int read_column(const struct scene_page *page, const json_t *at, struct str word, struct columns *out)
{
	struct column c = {.proto = IPPROTO_TCP};
	const char *colon = word.n ? memrchr(word.p, ':', word.n) : NULL;
	int64_t port = 0;

	if (!colon)
		return scene_tell(page, at, "web:80, db:53/udp, svc/web:80", "\"" STR_FMT "\" is no target",
				  STR_ARG(word));
	c.name = (struct str){word.p, (size_t)(colon - word.p)};
	struct str proto = {colon + 1, (size_t)(word.p + word.n - colon) - 1};
	struct str number = str_cut(&proto, '/');
	if (str_eqz(proto, "udp"))
		c.proto = IPPROTO_UDP;
	if (str_to_i64(number, 1, 65535, &port) ||
	    (proto.n && !str_eqz(proto, "udp") && !str_eqz(proto, "tcp")))
		return scene_tell(page, at, "web:80, db:53/udp", "\"" STR_FMT "\" has no port",
				  STR_ARG(word));
	c.port = (uint16_t)port;
	return vec_push(&out->list, c);
}

static bool is_answer(struct str w)
{
	static const char *const words[] = {"yes", "no", "rst", "4", "6", "-"};

	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (str_eqz(w, words[i]))
			return true;
	return false;
}

static int read_row(struct expect_table *out, const struct scene_page *page, const json_t *at,
		    unsigned number, struct str row, const struct columns *columns)
{
	struct str line = row, from = next_word(&line);

	VEC_EACH (&columns->list, c) {
		struct str w = next_word(&line);
		if (!is_answer(w))
			return scene_tell(page, at, "yes, no, rst, 4, 6, or - where nothing is stated",
					  "the row of " STR_FMT " has \"" STR_FMT "\" for " STR_FMT ":%u",
					  STR_ARG(from), STR_ARG(w), STR_ARG(c->name), c->port);
		if (str_eqz(w, "-"))
			continue;
		struct expect_cell cell = {.from = strndup(from.p, from.n),
					   .to = strndup(c->name.p, c->name.n),
					   .port = c->port,
					   .proto = c->proto,
					   .at =
					       scene_place_in(page, at, number, row, (size_t)(w.p - row.p))};
		memcpy(cell.word, w.p, w.n);
		if (!cell.from || !cell.to || vec_push(&out->cells, cell)) {
			free(cell.from);
			free(cell.to);
			return -1;
		}
	}
	struct str more = next_word(&line);
	if (more.n)
		return scene_tell(page, at, NULL,
				  "the row of " STR_FMT " has more words than there are targets",
				  STR_ARG(from));
	return 0;
}

int expect_table_read(struct expect_table *out, const struct scene_page *page, const json_t *text)
{
	struct str rest = str_of(json_string_value(text));
	struct columns columns = {0};
	unsigned number = 0;
	int r = 0;

	if (!rest.p)
		return scene_tell(page, text, "reach: | and a table", "reach is the text of a table");
	while (rest.n && !r) {
		struct str line = str_cut(&rest, '\n');
		struct str look = line;
		number++;
		if (!next_word(&look).n)
			continue;
		look = line;
		struct str first = next_word(&look);
		if (columns.list.len && !str_eqz(first, "from")) {
			r = read_row(out, page, text, number, line, &columns);
			continue;
		}
		columns.list.len = 0;
		if (!memchr(first.p, ':', first.n))
			line = look;
		for (struct str w; !r && (w = next_word(&line)).n;)
			r = read_column(page, text, w, &columns);
	}
	if (!r && !out->cells.len)
		r = scene_tell(page, text, "a line of targets, then a line for each caller",
			       "the table states nothing");
	vec_free(&columns.list);
	return r;
}

void expect_table_fini(struct expect_table *t)
{
	VEC_EACH (&t->cells, c) {
		free(c->from);
		free(c->to);
	}
	vec_free(&t->cells);
}

/* What a caller resolves: "svc/web", "svc/shop/web", "host/api.example.org". */
static void name_to_resolve(struct buf *host, const char *to)
{
	const char *name = strchr(to, '/') + 1, *slash = strchr(name, '/');

	if (*to == 'h')
		buf_addz(host, name);
	else
		buf_printf(host, "%s.%.*s.svc.cluster.local", slash ? slash + 1 : name,
			   slash ? (int)(slash - name) : 7, slash ? name : "default");
}

int expect_add_names(struct reach *r, const struct expect_table *t)
{
	VEC_EACH (&t->cells, c) {
		bool there = strncmp(c->to, "svc/", 4) && strncmp(c->to, "host/", 5);
		VEC_EACH (&r->targets, have)
			there |= have->host && !strcmp(have->name, c->to) && have->port == c->port &&
				 have->proto == c->proto;
		if (there)
			continue;
		AUTO_BUF host = {0};
		name_to_resolve(&host, c->to);
		if (host.failed || reach_add_host(r, c->to, host.p, c->proto, c->port))
			return -1;
	}
	return 0;
}

/* A pod or workload, with or without its namespace. */
static bool is_called(const char *said, const char *name, const char *group)
{
	const char *n = strchr(name, '/'), *g = strchr(group, '/');

	if (!strcmp(said, name) || !strcmp(said, group))
		return true;
	return !strchr(said, '/') && ((n && !strncmp(name, "default/", 8) && !strcmp(said, n + 1)) ||
				      (g && !strncmp(group, "default/", 8) && !strcmp(said, g + 1)));
}

static size_t compare_cell(struct buf *out, const struct reach *r, const struct expect_cell *e, bool packets,
			   size_t *open)
{
	size_t found = 0, bad = 0;

	for (size_t i = 0; i < r->callers.len; i++) {
		const struct reach_caller *from = &r->callers.items[i];
		if (!is_called(e->from, from->name, from->group))
			continue;
		for (size_t j = 0; j < r->targets.len; j++) {
			const struct reach_target *to = &r->targets.items[j];
			if (to->port != e->port || to->proto != e->proto ||
			    !is_called(e->to, to->name, to->group))
				continue;
			found++;
			if (to->host && !packets)
				continue;
			const struct reach_cell *c = reach_at(r, i, j);
			const char *word = reach_word(packets ? c->seen : c->model);
			if (!strcmp(word, e->word))
				continue;
			scene_why_add(out, e->at, "%s → %s:%u%s: expected %s, %s %s", from->name, to->name,
				      to->port, to->proto == IPPROTO_UDP ? "/udp" : "", e->word,
				      packets ? "the packets say" : "the model says", word);
			*open += strcmp(word, "no") && strcmp(word, "err") && strcmp(e->word, "yes");
			bad++;
		}
	}
	if (!found) {
		scene_why_add(out, e->at, "%s → %s:%u: there is no such caller or target", e->from, e->to,
			      e->port);
		bad++;
	}
	return bad;
}

size_t expect_compare(struct buf *out, const struct reach *r, const struct expect_table *t, bool packets,
		      size_t *open)
{
	size_t bad = 0;

	VEC_EACH (&t->cells, c)
		bad += compare_cell(out, r, c, packets, open);
	for (size_t i = 0; packets && i < r->callers.len; i++)
		for (size_t j = 0; j < r->targets.len; j++) {
			const struct reach_cell *c = reach_at(r, i, j);
			if (reach_cell_agrees(c))
				continue;
			scene_why_add(out, t->cells.len ? t->cells.items[0].at : (struct scene_place){0},
				      "%s → %s:%u%s: the packets say %s, the model %s",
				      r->callers.items[i].name, r->targets.items[j].name,
				      r->targets.items[j].port,
				      r->targets.items[j].proto == IPPROTO_UDP ? "/udp" : "",
				      reach_word(c->seen), reach_word(c->model));
			for (int f = 0; f < REACH_FAMILIES; f++)
				*open += c->model[f] == REACH_NO &&
					 (c->seen[f] == REACH_YES || c->seen[f] == REACH_REFUSED);
			bad++;
		}
	return bad;
}
