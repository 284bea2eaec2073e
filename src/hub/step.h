/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Steps: each change that somebody made to objects, as the history keeps it: who, when, why, which objects
 * before and after, which files. A step is made by record.c (what happened) or by stepmake.c (what shall
 * happen), and kept by steplog.c. Private to the program.
 */
#ifndef WEFT_HUB_STEP_H
#define WEFT_HUB_STEP_H

#include "base/vec.h"
#include "object/object.h"

enum step_origin { STEP_PAGE, STEP_API, STEP_FILES };
enum { STEP_SUM = 32 }; /* bytes of a file's SHA-256 */

struct step_object {
	enum kind kind;
	char *ns, *name;
	char *before,
	    *after;	  /* what users say of it, as JSON (userpart.h); NULL: it was not there, it is not */
	char *file;	  /* that it is or was in; NULL: it lives in the hub */
	uint64_t version; /* the store's, after the change */
	bool kept;	  /* before and after are known */
	bool made, gone;  /* it was not there before; it is not there after */
};
struct step_file {
	char *path;
	bool was, is;					 /* there before, there after */
	unsigned char before[STEP_SUM], after[STEP_SUM]; /* where it was, where it is */
	char *diff; /* unified; NULL: it is not kept, since a Secret may be in it or it is too large */
	size_t diff_len;
};
struct step {
	uint64_t id;
	int64_t at; /* ms since 1970 */
	enum step_origin origin;
	char *user, *name, *reason; /* never NULL */
	uint64_t undoes;	    /* 0: none */
	size_t more;		    /* objects that found no room */
	VEC(struct step_object) objects;
	VEC(struct step_file) files;
};

/* What one step may take in the history. */
enum { STEP_OBJECTS_MAX = 2000, STEP_BYTES_MAX = 4 << 20 };

int step_new(struct step **out, enum step_origin origin, struct str user, struct str name, struct str reason);
void step_free(struct step **s);
void step_object_fini(struct step_object *o);
void step_file_fini(struct step_file *f);

const char *step_origin_name(enum step_origin o);
/* "created", "changed" or "removed". */
const char *step_verb(const struct step_object *o);
/* A file with that text may hold a Secret, or a User's hash, of which no word is kept or shown. */
bool step_hides(struct str text);
/* Objects of which that holds. */
bool step_kind_hides(enum kind k);
/* SHA-256 of a text. */
void step_sum(unsigned char out[STEP_SUM], struct str text);

#endif
