/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the broker's compiler share. Private to broker/. */
#ifndef WEFT_BROKER_COMPILE_H
#define WEFT_BROKER_COMPILE_H

#include "broker/broker.h"

struct compile {
	struct broker *b;
	const struct store *store;
	struct remarks *remarks;
	struct broker_faults *faults; /* NULL: nobody asks */
	bool bad;		      /* an error was told */
	bool no_memory;
};

/* Notes that what was told since the remarks had `before` items, if anything, is an error of `o`. */
void compile_fault(struct compile *c, const struct object *o, size_t before);
/* An error about a member of an object; hint may be NULL. */
void compile_fail(struct compile *c, const struct object *o, const void *member, const char *hint,
		  const char *fmt, ...) __attribute__((format(printf, 5, 6)));
void compile_warn(struct compile *c, const struct object *o, const void *member, const char *hint,
		  const char *fmt, ...) __attribute__((format(printf, 5, 6)));
/* An error that says that there is no object of that kind and name, with the nearest one as hint. */
void compile_missing(struct compile *c, const struct object *o, const struct str *name, enum kind k);

/* Tools → ports; ToolGroups → groups. */
void compile_ports(struct compile *c, const struct object_refs *captures);
void compile_groups(struct compile *c);
/* Index of the tool port that a member of `o` names, or BROKER_NONE after an error. */
uint32_t compile_port(struct compile *c, const struct object *o, const struct str *tool,
		      const struct str *port);
uint32_t compile_group(const struct broker *b, struct str name);

/* Captures that are not over → ports, then maps aside; one that cannot be is told and left out, since
 * whoever may look must not be able to stop the maps. */
bool capture_runs(const struct object *o);
void capture_port(struct compile *c, const struct object *o);
void capture_maps(struct compile *c, const struct object_refs *captures);
/* Appends a source to the map's, which has room. */
void compile_source(struct compile *c, const struct object *o, const struct traffic_source *s,
		    struct broker_map *m);
bool compile_room(struct compile *c, struct broker_indexes *l, size_t n);
unsigned compile_directions(struct str direction);
unsigned compile_packets(struct str packets);

/* The filter's number in the array of all, as they came; BROKER_NONE after an error. `text` is a member of
 * `o`. */
uint32_t compile_filter(struct compile *c, const struct object *o, const struct str *text);

#endif
