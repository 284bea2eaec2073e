/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which of many filters a record may match, without asking each: a filter that can only match where a field
 * has one of a few values (a namespace, a Service, a reason) is found by the record's own value; others are
 * always named. Never leaves out one that matches; what is named is to be asked. For alerts, of which there
 * may be hundreds.
 */
#ifndef WEFT_FILTER_CHOICE_H
#define WEFT_FILTER_CHOICE_H

#include "filter/filter.h"

struct filter_choice;
/* Of filters that live as long; number i is all[i]. 0 or -ENOMEM. */
int filter_choice_new(struct filter_choice **out, const struct filter *const *all, uint32_t n);
void filter_choice_free(struct filter_choice **c);
/* Writes the numbers, each once, to `which`, which has room for all; returns how many. */
uint32_t filter_choice_find(struct filter_choice *c, const struct record *r, uint32_t *which);

#endif
