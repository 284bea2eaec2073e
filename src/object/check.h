/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of validation share: a remark on a member, by its address, with its path and position; and
 * the rules of each kind as a table row. Private to object/.
 */
#ifndef WEFT_OBJECT_CHECK_H
#define WEFT_OBJECT_CHECK_H

#include "filter/filter.h"
#include "object/object.h"
#include "object/syntax.h"

struct check {
	const struct object *o;
	struct remarks *rs;
	bool bad;
	unsigned told; /* remarks so far */
};
enum { CHECK_TOLD_MAX = 100 }; /* of one object; finding a member's path costs what the object is large */
enum { NODE_PORT_MIN = 30000, NODE_PORT_MAX = 32767 };

/* An error about a member: "spec.ports[0].port: …". hint may be NULL. */
void check_fail(struct check *c, const void *member, const char *hint, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* The same at a place inside the member's text. */
void check_fail_at(struct check *c, const void *member, struct pos at, const char *hint, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));
/* An error about a whole struct, which is named by the address of its first member. */
void check_fail_whole(struct check *c, const void *first, const char *hint, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* The same as a warning or a hint; the object stays good. */
void check_remark(struct check *c, enum remark_level level, const void *member, const char *hint,
		  const char *fmt, ...) __attribute__((format(printf, 5, 6)));
void check_remark_whole(struct check *c, enum remark_level level, const void *first, const char *hint,
			const char *fmt, ...) __attribute__((format(printf, 5, 6)));
/* Fails with `rule` as hint when it is not NULL: check_rule(c, &p->name, p->name, syntax_port_name(p->name),
 * "port name"). */
void check_rule(struct check *c, const void *member, struct str value, const char *rule, const char *what);
/* A port by number or name. */
void check_port(struct check *c, const struct intstr *port);
void check_range(struct check *c, const struct opt_int *v, int64_t min, int64_t max);
void check_labels(struct check *c, const struct strmap *labels);
/* A filter that can run there; an error stands at its column inside the value. */
void check_filter(struct check *c, const struct str *member, enum filter_use use);
/* A source of a TrafficMap or Capture names one thing. */
void check_traffic_source(struct check *c, const struct traffic_source *s);
/* Fails when the list has an item twice. */
void check_distinct(struct check *c, const struct strlist *l);
/* At most one address or prefix of each family; text that is none was refused before. */
void check_families(struct check *c, const struct strlist *l);

/* The annotations of both kinds of policies: weft.network/staged and weft.network/strict. */
void check_policy_annotations(struct check *c);
/* Remarks on what a pod's or template's annotations ask for that Weft does not protect. */
void check_interfaces(struct check *c, const struct metadata *m);

void pod_spec_check(struct check *c, const struct pod_spec *s);
void pod_spec_default(struct pod_spec *s);

/* The kinds' own rules; NULL: none. Defaults return 0 or -ENOMEM. */
struct kind_rules {
	void (*check)(struct check *c);
	int (*defaults)(struct object *o);
};
extern const struct kind_rules namespace_rules, node_rules, networkpolicy_rules, clusternetworkpolicy_rules,
    service_rules, addresspool_rules, endpointslice_rules, deployment_rules, replicaset_rules,
    statefulset_rules, daemonset_rules, job_rules, pod_rules, tool_rules, toolgroup_rules, trafficmap_rules,
    trafficfilter_rules, capture_rules, alert_rules, user_rules, role_rules, draft_rules;

/* Sets a number or truth value that was left out. */
static inline void default_int(struct opt_int *v, int64_t to)
{
	if (!v->set)
		*v = (struct opt_int){.v = to, .set = true};
}
static inline void default_bool(struct opt_bool *v, bool to)
{
	if (!v->set)
		*v = (struct opt_bool){.v = to, .set = true};
}
/* `to` must be a literal: it is not copied. */
static inline void default_str(struct str *v, const char *to)
{
	if (!v->n)
		*v = str_of(to);
}

#endif
