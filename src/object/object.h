/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Objects: one Kubernetes-shaped object as a typed C struct, generated from tables/kinds.def and
 * tables/fields.def. An object is immutable once published (shared by reference count between store, compile
 * and readers); who wants to change one clones it, changes the clone and publishes that.
 * All memory of an object is in its arena. Each decoded value keeps its position (object_pos()).
 */
#ifndef WEFT_OBJECT_OBJECT_H
#define WEFT_OBJECT_OBJECT_H

#include "base/arena.h"
#include "base/pos.h"
#include "base/remark.h"
#include "base/str.h"

struct opt_int {
	int64_t v;
	bool set;
};
struct opt_bool {
	bool v, set;
};
enum intstr_type { INTSTR_UNSET, INTSTR_INT, INTSTR_STR };
struct intstr {
	enum intstr_type type;
	int64_t i;
	struct str s;
};
struct strpair {
	struct str key, value;
};
struct strmap { /* sorted by key, bytewise */
	struct strpair *items;
	size_t len;
	bool set;
};
struct strlist {
	struct str *items;
	size_t len;
	bool set;
};

enum field_flag { /* of a FIELD row; the rows name them without FIELD_ */
		  FIELD_REQ = 1,
		  FIELD_KEY = 2,
		  FIELD_ADDR = 4,
		  FIELD_CIDR = 8,
		  FIELD_PORT = 16,
		  FIELD_LABEL = 32,
		  FIELD_SUBDOMAIN = 64,
		  FIELD_PORTNAME = 128,
		  FIELD_QUANTITY = 256,
		  FIELD_ENUM = 512,
		  FIELD_KEY2 = 1024,
		  FIELD_ATOMIC = 2048,
		  FIELD_SET = 4096,
		  FIELD_LIST = 8192,
};

/* The structs of tables/fields.def. A MANY field of type T has the C type struct T_list. */
#define FIELD_C_STR(type, m)	struct str m;
#define FIELD_C_TIME(type, m)	struct str m;
#define FIELD_C_OPAQUE(type, m) struct str m;
#define FIELD_C_INT(type, m)	struct opt_int m;
#define FIELD_C_BOOL(type, m)	struct opt_bool m;
#define FIELD_C_INTSTR(type, m) struct intstr m;
#define FIELD_C_MAP(type, m)	struct strmap m;
#define FIELD_C_STRS(type, m)	struct strlist m;
#define FIELD_C_ONE(type, m)	struct type *m;
#define FIELD_C_MANY(type, m)	struct type##_list m;

#define STRUCT_BEGIN(id)				  struct id {
#define FIELD(shape, type, member, json, flags, sentence) FIELD_C_##shape(type, member)
#define STRUCT_END(id)                                                                                       \
	}                                                                                                    \
	;                                                                                                    \
	struct id##_list {                                                                                   \
		struct id *items;                                                                            \
		size_t len;                                                                                  \
		bool set;                                                                                    \
	};
#include "tables/fields.def"
#undef STRUCT_BEGIN
#undef FIELD
#undef STRUCT_END

enum kind {
#define KIND(id, Kind, ...) KIND_##id,
#include "tables/kinds.def"
#undef KIND
	KIND_COUNT
};

/* Descriptors, for code that walks objects without knowing them (decode, print, API, completion, schema). */
enum shape {
	SHAPE_STR,
	SHAPE_TIME,
	SHAPE_OPAQUE,
	SHAPE_INT,
	SHAPE_BOOL,
	SHAPE_INTSTR,
	SHAPE_MAP,
	SHAPE_STRS,
	SHAPE_ONE,
	SHAPE_MANY
};

struct struct_desc;
struct field_desc {
	const char *json;
	enum shape shape;
	uint32_t offset; /* of the member in the C struct */
	uint32_t flags;
	const struct struct_desc *type; /* for ONE and MANY */
	const char *values;		/* for ENUM: "a|b|c" */
	const char *sentence;
};
struct struct_desc {
	const char *name;
	uint32_t size;	    /* of the C struct */
	uint32_t list_size; /* of the C list struct */
	uint32_t n;
	const struct field_desc *fields;
};
struct kind_desc {
	enum kind kind;
	const char *name;  /* "Pod" */
	const char *group; /* "" is core */
	const char *version;
	const char *plural, *singular, *shorts, *categories; /* shorts: comma-separated */
	bool namespaced, opaque;
	const struct struct_desc *body;	   /* NULL for OPAQUE kinds */
	const struct struct_desc *members; /* what it may have, of OPAQUE kinds too */
	const char *sentence;
};
extern const struct kind_desc kind_table[KIND_COUNT];
extern const struct struct_desc metadata_desc;

/* NULL when we do not know it. apiVersion is "v1" or "group/version". */
const struct kind_desc *kind_by_api(struct str api_version, struct str kind);
/* By plural, singular, short or Kind name in any case, optionally "plural.group"; NULL. */
const struct kind_desc *kind_by_name(struct str name);
/* "v1" or "apps/v1", static. */
const char *kind_api_version(const struct kind_desc *k);

struct object_origin { /* where the whole object came from; file may be NULL (born in the API) */
	struct pos pos;
};

struct object {
	unsigned refs;
	const struct kind_desc *desc;
	struct metadata meta;
	uint64_t version; /* resourceVersion as number; 0: not stored yet */
	struct pos pos;	  /* start of the document; pos.file is owned by the object */
	union {		  /* the body, by kind; the pointers lead into the arena; NULL for opaque kinds */
		void *body;
#define BODY_TYPED(id) struct id *id;
#define BODY_OPAQUE(id)
#define KIND(id, Kind, group, version, plural, singular, shorts, scope, categories, role, sentence)          \
	BODY_##role(id)
#include "tables/kinds.def"
#undef KIND
#undef BODY_TYPED
#undef BODY_OPAQUE
	};
	struct str opaque; /* opaque kinds: all members but apiVersion, kind, metadata, as one JSON object */
	struct str key;	   /* what object_key() last made */
	struct arena arena;
	struct object_positions *positions;
};

/* A new empty, unpublished object of that kind with refs 1; ns may be empty. 0 or -ENOMEM. */
int object_new(struct object **out, const struct kind_desc *k, struct str ns, struct str name);
struct object *object_ref(const struct object *o); /* NULL passes */
void object_unref(struct object **o);
/* Deep copy, positions included, refs 1, free to be changed. */
int object_clone(struct object **out, const struct object *o);
size_t object_memory(const struct object *o); /* bytes that it takes, without its positions */

/* Position of a member inside the object's structs, by its address: object_pos(o, &rule->ports). Falls back
 * to the nearest enclosing value known, at last o->pos. Items of strlists and strmaps have positions too. */
struct pos object_pos(const struct object *o, const void *member);
/* Records a position for a member (used by decoders and by the agent's feeder). */
int object_set_pos(struct object *o, const void *member, struct pos p);

/* Appends the path of a member, found by its address: "spec.ingress[0].ports"; "" when it is not inside o. */
void object_path(struct buf *b, const struct object *o, const void *member);

/* "shop/frontend", or "frontend" for cluster-scoped kinds; lives in o. */
struct str object_key(const struct object *o);

/* Prints the object as compact JSON. */
enum object_print {
	PRINT_PLAIN = 0,
	PRINT_POSITIONS =
	    1, /* adds a member "weftPositions" {"file":F,"at":{"":[line,col,len],"spec.ingress[0]":…}} */
	PRINT_REDACT = 2,    /* a Secret's data and stringData and a User's password become "<redacted>" */
	PRINT_UNMANAGED = 4, /* without metadata.managedFields; JSON only */
};
void object_print_json(struct buf *b, const struct object *o, unsigned flags);
/* YAML, block style, as kubectl -o yaml shows it. */
void object_print_yaml(struct buf *b, const struct object *o, unsigned flags);

/* Checks everything that the field tables and the kind's own rules say (validate.c and one file per kind);
 * errors go to rs with positions and hints. Returns false when there was an error. Does not set defaults. */
bool object_validate(const struct object *o, struct remarks *rs);
/* Sets what Kubernetes defaults (protocol TCP, policyTypes, type ClusterIP, targetPort, replicas 1, probe
 * numbers, namespace "default", metadata.labels kubernetes.io/metadata.name of Namespaces…). Only on
 * unpublished objects. */
int object_default(struct object *o);

/* The first peer or rule of a ClusterNetworkPolicy that fails closed, since it has a member that is not known
 * or a peer has none; as an address for object_path(). NULL: there is none. */
const void *clusternetworkpolicy_closed(const struct object *o);

/* A quantity as a whole number, rounded down: "1.5G", "64Mi", "2e3". 0; -EINVAL: none, or negative; -ERANGE.
 */
int quantity_number(struct str s, uint64_t *out);

/* Label selectors. NULL selects nothing; an empty one selects everything. */
bool selector_matches(const struct label_selector *s, const struct strmap *labels);
bool strmap_contains(const struct strmap *all, const struct strmap *want); /* every pair of want is in all */
const struct str *strmap_get(const struct strmap *m, struct str key);	   /* NULL when missing */
int strmap_set(struct arena *a, struct strmap *m, struct str key, struct str value); /* keeps the order */
/* Text form "app=web,tier in (a,b)" of kubectl's -l, parsed in a: 0 or -EINVAL with *why (static or in a). */
int selector_parse(struct arena *a, struct str text, struct label_selector **out, const char **why);
void selector_print(struct buf *b, const struct label_selector *s);

#endif
