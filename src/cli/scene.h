/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scenes: one page of YAML that describes a small cluster and what must hold in it (doc/scenes.md). scene.c
 * reads and checks the page, scene_cast.c makes manifests of its short forms, scene_hosts.c reads its names
 * outside the cluster, scene_expect.c compares, scene_play.c plays it, scene_why.c keeps what did not hold.
 */
#ifndef WEFT_CLI_SCENE_H
#define WEFT_CLI_SCENE_H

#include <jansson.h>

#include "base/hash.h"
#include "base/vec.h"
#include "cli/reach.h"

/* A YAML page as JSON in which every scalar is text; positions by value. */
struct scene_page {
	char *path; /* as the user gave it */
	json_t *root;
	struct hash at;	 /* pointer of a value → (void *)(line << 12 | column) */
	struct buf text; /* as it stands in the file */
	struct buf
	    *told; /* borrowed: what is told of the page goes there as well, as in scene_why_add; or NULL */
};
/* A place in the page; line 0: none. */
struct scene_place {
	unsigned line, column;
};
struct scene_place scene_place_of(const struct scene_page *p, const json_t *v);
/* Of what stands `offset` bytes into line `line` (from 1) of a text value; that line is `row`. */
struct scene_place scene_place_in(const struct scene_page *p, const json_t *text, unsigned line,
				  struct str row, size_t offset);

/* One thing that does not hold, or could not be done, and where the page states it. */
struct scene_fault {
	struct scene_place at;
	struct str text;
};
/* Appends one to `why` as a line. */
void scene_why_add(struct buf *why, struct scene_place at, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Takes the next line off *rest; false at its end. */
bool scene_why_next(struct str *rest, struct scene_fault *out);
/* 0 or -1 (told with file:line:column, in `told`, on stderr where that is NULL). */
int scene_page_read(struct scene_page *out, const char *path, struct buf *told);
void scene_page_fini(struct scene_page *p);
/* Tells "path:line:col: text" for a value of the page; returns -1. */
int scene_tell(const struct scene_page *p, const json_t *at, const char *hint, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* Tells of a key that is not among the known ones (NULL-terminated). 0 or -1. */
int scene_check_keys(const struct scene_page *p, const json_t *map, const char *const *known,
		     const char *where);

struct scene {
	struct scene_page page;
	const char *title; /* borrowed from page, as all below */
	VEC(unsigned) nodes;
	VEC(const char *) modes;				  /* "vxlan", "routes" */
	json_t *cast, *manifests, *yaml, *hosts, *expect, *steps; /* NULL where left out */
	bool needs_cluster; /* a step or expectation that the model cannot play */
};
/* Reads and checks. 0, -1 (told as by scene_page_read()). */
int scene_read(struct scene *out, const char *path, struct buf *told);
void scene_fini(struct scene *s);

/* Appends the manifests that the cast's short forms stand for. 0 or -1 (told). */
int scene_cast_print(struct buf *b, const struct scene_page *page, const json_t *cast);
/* Merges the cast of a step into the cast so far: null removes a name, anything else replaces or adds to it.
 */
int scene_cast_merge(json_t *cast, const json_t *change);

/* What `weft up --host` is to be given for the scene's hosts, each text owned. 0 or -1 (told). */
struct scene_args {
	VEC(char *) list;
};
int scene_hosts_args(struct scene_args *out, const struct scene_page *page, const json_t *hosts);
void scene_args_fini(struct scene_args *a);

/* A reach table as a scene states it. */
struct expect_cell {
	char *from, *to; /* owned; `to` without port; "svc/…" for a Service by name, "host/…" for any name */
	uint16_t port;
	uint8_t proto;
	char word[8]; /* yes no rst 4 6 */
	struct scene_place at;
};
struct expect_table {
	VEC(struct expect_cell) cells;
};
int expect_table_read(struct expect_table *out, const struct scene_page *page, const json_t *text);
void expect_table_fini(struct expect_table *t);
/* Targets that the table gives by name are added to r; before judging and trying. */
int expect_add_names(struct reach *r, const struct expect_table *t);
/* Appends a line for each cell that differs, and for each place where model and packets differ. `packets`:
 * compare what was tried, else the model. Returns the number of lines; *open counts those where more gets
 * through than may. */
size_t expect_compare(struct buf *out, const struct reach *r, const struct expect_table *t, bool packets,
		      size_t *open);

/* The further surfaces of a running cluster: `drops` ("shop/web policy-ingress": at least one such drop was
 * counted) and `get` ("pods shop/web status.phase Running"). Appends a line for each that does not hold;
 * returns their number. */
size_t expect_drops(struct buf *out, const struct scene_page *page, const char *cluster, const json_t *list);
size_t expect_objects(struct buf *out, const struct scene_page *page, const char *cluster,
		      const json_t *list);

/* Where a scene plays. */
struct scene_stage {
	const struct scene *scene;
	unsigned nodes;
	const char *mode;
	bool packets;	    /* a running cluster; else the model alone */
	bool keep;	    /* leave a failed one running */
	int64_t timeout_ms; /* of one try */
	char name[40];	    /* of the cluster */
	char folder[64];    /* manifests in force */
	json_t *cast;	    /* as it is now; owned */
};
/* Plays it; what went wrong is appended to `why`. 0 passed, 1 failed, -1 could not be played (told in why).
 */
int scene_play(struct scene_stage *st, struct buf *why);

/* "${WEFT_INPUTS}/x" and paths relative to the scene's folder into a path; false where the variable is not
 * set. */
bool scene_path(struct buf *out, const struct scene_page *page, const char *said);

#endif
