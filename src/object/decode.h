/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decoding: a stream of events with positions (from libyaml or our JSON scanner) into typed objects by the
 * field tables. Never holds a list as a tree: each object is delivered as soon as it is complete.
 */
#ifndef WEFT_OBJECT_DECODE_H
#define WEFT_OBJECT_DECODE_H

#include "object/object.h"

struct decode_limits {
	size_t bytes;	/* of one file; default 64 MiB */
	unsigned depth; /* default 64 */
	size_t nodes;	/* default 5,000,000 */
	size_t aliases; /* expanded alias nodes; default 100,000 */
	/* NULL, or drops from a decoded, unpublished object the members that the caller never reads: sets
	 * them to what absent members are. Their memory is not kept. */
	void (*narrow)(struct object *o);
};
extern const struct decode_limits decode_limits_default;
/* The defaults for files of up to `mib` MiB; 0: the default size. A larger file may hold more values. */
struct decode_limits decode_limits_sized(size_t mib);

/* Called once per complete, decodable object; takes over the reference. Non-zero stops the run with that
 * value. */
typedef int decode_sink(void *ctx, struct object *o);

struct decoder_options {
	const struct decode_limits *limits; /* NULL: default */
	decode_sink *sink;
	void *ctx;
	struct remarks *remarks; /* errors, unknown fields (warnings with "did you mean") */
	/* Kinds we do not know, counted by "apiVersion kind"; NULL: one hint each. Caller summarises. Values
	 * are (void *)(uintptr_t)count. */
	struct hash *skipped;
};

/* Multi-document YAML (also JSON, which is YAML): List kinds are flattened. `file` gives name and text.
 * 0, or what the sink returned, or -EINVAL when remarks got errors (good objects were still delivered). */
int decode_yaml(struct file *file, const struct decoder_options *opt);
/* One JSON text that holds an object or a List; strict (RFC 8259). file->text is the input. */
int decode_json(struct file *file, const struct decoder_options *opt);
/* One object from JSON bytes (an API body, a watch line's object); remarks without file name when file is
 * NULL. Honours a member "weftPositions" as object_print_json writes it. */
int decode_json_object(struct str json, struct file *file, const struct decode_limits *limits,
		       struct object **out, struct remarks *rs);
/* An object in Kubernetes' protobuf form as JSON; of the kinds of tables/proto.def. 0, -ENOMEM, or -EINVAL
 * with the reason in `why`. */
int decode_proto_json(struct str body, struct buf *out, struct buf *why);
/* The bytes of a message's field, the last of that number; empty when there is none. */
struct str proto_field(struct str message, uint32_t number);

/* The first document of a YAML text, a map, as compact JSON; nothing is known of its members. 0, -EINVAL with
 * remarks, -ENOMEM. */
int decode_yaml_json(struct str yaml, struct buf *out, struct remarks *rs);

#endif
