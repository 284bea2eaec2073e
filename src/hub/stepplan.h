/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Step plan: what a step would do, before it does anything: which files would hold what, which objects of the
 * hub would be written, and what stands in the way. Made from edits (stepmake.c) or from a step that is to be
 * undone (stepundo.c), put into force by stepapply.c, told by stepapi.c. Private to the program.
 */
#ifndef WEFT_HUB_STEPPLAN_H
#define WEFT_HUB_STEPPLAN_H

#include "hub/hub.h"
#include "hub/step.h"

enum { STEP_EDITS_MAX = 500 };

/* As a client sends it; texts are borrowed from the request. */
struct step_edit {
	bool put;
	const struct kind_desc *kind;
	struct str ns, name, yaml, version,
	    file; /* version: resourceVersion that was seen; file: of a new one */
};

struct plan_file {
	char *path, *was; /* owned; was NULL: it is not there */
	size_t was_len;
	struct buf now;
	bool is;     /* it is there afterwards */
	bool secret; /* a Secret of it is edited */
	size_t edits;
};
struct plan_write {
	enum api_verb verb;
	struct object *object;	  /* owned, unprepared; NULL for DELETE */
	const struct object *old; /* a reference, or NULL */
	size_t edit;
};
struct plan_object { /* what comes of an edit */
	enum kind kind;
	char *ns, *name;	 /* owned */
	struct object *was, *is; /* references; is: with what the server fills in */
	bool in_file;
	char *want; /* undo: what users shall say of it then, as JSON; NULL: not known, or it goes */
	bool gone;
	size_t edit;
};
struct plan_conflict {
	size_t edit;
	enum kind kind;
	char *ns, *name, *why; /* owned */
};
struct plan_remark {
	size_t edit;
	struct remark remark; /* owned */
};

struct step_plan {
	struct hub *hub;
	const char *user, *name, *reason; /* borrowed */
	const struct who *who;		  /* what he may, borrowed */
	uint64_t undoes;
	VEC(struct plan_file) files;
	VEC(struct plan_write) writes;
	VEC(struct plan_object) objects;
	VEC(struct plan_conflict) conflicts;
	VEC(struct plan_remark) remarks;
	size_t errors;
};
void step_plan_fini(struct step_plan *p);

/* What stands in the way is in the plan; -ENOMEM. */
int step_make(struct step_plan *p, const struct step_edit *edits, size_t n);
/* The way back of a step; -ENOENT: there is none of that number. */
int step_undo(struct step_plan *p, uint64_t id);
/* All of it or nothing. 0 and the step's number (0: there was nothing to do), or -EINVAL with e. */
int step_apply(struct step_plan *p, uint64_t *id, struct api_error *e);
/* At the start, before files are read: what a killed hub had begun to write is taken back. */
void step_recover(struct hub *h);

/* For the parts of it. */
int plan_conflict(struct step_plan *p, size_t edit, const struct kind_desc *k, struct str ns, struct str name,
		  const char *fmt, ...) __attribute__((format(printf, 6, 7)));
int plan_error(struct step_plan *p, size_t edit, const char *hint, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
int plan_take_remarks(struct step_plan *p, size_t edit, struct remarks *rs);
/* Refusals of one write as remarks or as a conflict, by their status. */
int plan_refused(struct step_plan *p, size_t edit, const struct kind_desc *k, struct str ns, struct str name,
		 struct api_error *e);
/* The file as it will be, read when it is asked for first. NULL: e says why. */
struct plan_file *plan_file(struct step_plan *p, const char *path, const char **why);
int plan_object(struct step_plan *p, size_t edit, const struct object *was, const struct object *is,
		bool in_file, const struct object *key);
/* An edit of an object that is in a file, or that lives in the hub. `asked` NULL: it goes. */
int plan_change(struct step_plan *p, size_t edit, const struct object *old, struct object *asked);
/* A new object; file NULL: it lives in the hub. yaml: what goes into the file. */
int plan_create(struct step_plan *p, size_t edit, struct object *asked, const char *file, struct str yaml);

/* Whether the step brings that Namespace, takes that object away. plan may be NULL. */
bool plan_brings(const struct step_plan *p, struct str ns);
bool plan_removes(const struct step_plan *p, const struct object *o);

#endif
