/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The alerts that look at records, together: each record goes to those that it may concern, found by what it
 * is (a namespace, a Service, a reason…), so that a hundred alerts cost a record little more than one. Used
 * by one thread.
 */
#ifndef WEFT_OBSERVE_ALERTSET_H
#define WEFT_OBSERVE_ALERTSET_H

#include "observe/alert.h"

struct alert_set;
/* Of rules (borrowed; watches are left out) that live until the set is freed. 0 or -ENOMEM. */
int alert_set_new(struct alert_set **out, struct alert_rule *const *rules, size_t n);
void alert_set_free(struct alert_set **s);
/* Whether any looks at records. */
bool alert_set_wants(const struct alert_set *s);
/* alert_rule_take() of each that would take it. */
void alert_set_take(struct alert_set *s, const struct sight *sight);

#endif
