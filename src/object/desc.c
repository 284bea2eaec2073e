/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The descriptors of structs and kinds, made from tables/fields.def and tables/kinds.def, and how a kind is
 * found by what users and clients call it. Constant data: nothing here changes at run time.
 */
#include <strings.h>

#include "base/own.h"
#include "object/object.h"

enum { /* the words of the FIELD rows */
       REQ = FIELD_REQ,
       KEY = FIELD_KEY,
       ADDR = FIELD_ADDR,
       CIDR = FIELD_CIDR,
       PORT = FIELD_PORT,
       LABEL = FIELD_LABEL,
       SUBDOMAIN = FIELD_SUBDOMAIN,
       PORTNAME = FIELD_PORTNAME,
       QUANTITY = FIELD_QUANTITY,
       ENUM = FIELD_ENUM,
       KEY2 = FIELD_KEY2,
       ATOMIC = FIELD_ATOMIC,
       SET = FIELD_SET,
       LIST = FIELD_LIST,
};

#define _		 NULL
#define TYPE_STR(t)	 NULL
#define TYPE_TIME(t)	 NULL
#define TYPE_OPAQUE(t)	 NULL
#define TYPE_INT(t)	 NULL
#define TYPE_BOOL(t)	 NULL
#define TYPE_INTSTR(t)	 NULL
#define TYPE_MAP(t)	 NULL
#define TYPE_STRS(t)	 NULL
#define TYPE_ONE(t)	 &t##_desc
#define TYPE_MANY(t)	 &t##_desc
#define VALUES_STR(t)	 t
#define VALUES_TIME(t)	 t
#define VALUES_OPAQUE(t) t
#define VALUES_INT(t)	 t
#define VALUES_BOOL(t)	 t
#define VALUES_INTSTR(t) t
#define VALUES_MAP(t)	 t
#define VALUES_STRS(t)	 t
#define VALUES_ONE(t)	 NULL
#define VALUES_MANY(t)	 NULL

#define STRUCT_BEGIN(id) static const struct field_desc id##_fields[] = {
#define FIELD_IN(id, shape_, type_, member, json_, flags_, sentence_)                                        \
	{.json = (json_),                                                                                    \
	 .shape = SHAPE_##shape_,                                                                            \
	 .offset = offsetof(struct id, member),                                                              \
	 .flags = (flags_),                                                                                  \
	 .type = TYPE_##shape_(type_),                                                                       \
	 .values = VALUES_##shape_(type_),                                                                   \
	 .sentence = (sentence_)},
#define STRUCT_END(id)                                                                                       \
	}                                                                                                    \
	;                                                                                                    \
	const struct struct_desc id##_desc = {                                                               \
	    .name = #id,                                                                                     \
	    .size = sizeof(struct id),                                                                       \
	    .list_size = sizeof(struct id##_list),                                                           \
	    .n = ARRAY_LEN(id##_fields),                                                                     \
	    .fields = id##_fields,                                                                           \
	};
#include "fields.inc"
#undef STRUCT_BEGIN
#undef STRUCT_END
#undef _

#define BODY_TYPED(id)	&id##_desc
#define BODY_OPAQUE(id) NULL
#define IS_TYPED	false
#define IS_OPAQUE	true
#define IS_NAMESPACED	true
#define IS_CLUSTER	false
const struct kind_desc kind_table[KIND_COUNT] = {
#define KIND(id, Kind, group_, version_, plural_, singular_, shorts_, scope, categories_, role, sentence_)   \
	[KIND_##id] = {.kind = KIND_##id,                                                                    \
		       .name = #Kind,                                                                        \
		       .group = (group_),                                                                    \
		       .version = (version_),                                                                \
		       .plural = (plural_),                                                                  \
		       .singular = (singular_),                                                              \
		       .shorts = (shorts_),                                                                  \
		       .categories = (categories_),                                                          \
		       .namespaced = IS_##scope,                                                             \
		       .opaque = IS_##role,                                                                  \
		       .body = BODY_##role(id),                                                              \
		       .members = &id##_desc,                                                                \
		       .sentence = (sentence_)},
#include "tables/kinds.def"
#undef KIND
};

static const char *const api_versions[KIND_COUNT] = {
#define KIND(id, Kind, group, version, ...) [KIND_##id] = group "/" version,
#include "tables/kinds.def"
#undef KIND
};

const char *kind_api_version(const struct kind_desc *k)
{
	const char *v = api_versions[k->kind];
	return v[0] == '/' ? v + 1 : v;
}

const struct kind_desc *kind_by_api(struct str api_version, struct str kind)
{
	for (size_t i = 0; i < KIND_COUNT; i++)
		if (str_eqz(kind, kind_table[i].name) &&
		    str_eqz(api_version, kind_api_version(&kind_table[i])))
			return &kind_table[i];
	return NULL;
}

static bool same_word(struct str a, struct str b)
{
	return a.n && a.n == b.n && !strncasecmp(a.p, b.p, a.n);
}

static bool one_of(struct str word, const char *comma_separated)
{
	for (struct str rest = str_of(comma_separated); rest.n;)
		if (same_word(word, str_cut(&rest, ',')))
			return true;
	return false;
}

const struct kind_desc *kind_by_name(struct str name)
{
	struct str group = name, word = str_cut(&group, '.');
	for (size_t i = 0; i < KIND_COUNT; i++) {
		const struct kind_desc *k = &kind_table[i];
		if (group.n && !same_word(group, str_of(k->group)))
			continue;
		if (same_word(word, str_of(k->plural)) || same_word(word, str_of(k->singular)) ||
		    same_word(word, str_of(k->name)) || one_of(word, k->shorts))
			return k;
	}
	return NULL;
}
