/* SPDX-License-Identifier: Apache-2.0 */
/* Status conditions of any kind. See condition.h. */
#include "hub/condition.h"

#include <errno.h>

const struct condition *condition_find(const struct condition_list *l, const char *type)
{
	for (size_t i = 0; i < l->len; i++)
		if (str_eqz(l->items[i].type, type))
			return &l->items[i];
	return NULL;
}

int condition_set(struct arena *a, struct condition_list *l, const char *type, bool holds, const char *reason,
		  const char *message, const char *now)
{
	return condition_say(a, l, type, holds ? "True" : "False", reason, message, now);
}

int condition_say(struct arena *a, struct condition_list *l, const char *type, const char *says,
		  const char *reason, const char *message, const char *now)
{
	struct condition *c = (struct condition *)(uintptr_t)condition_find(l, type);
	struct str status = str_of(says);
	if (!c) {
		struct condition *items = arena_array(a, struct condition, l->len + 1);
		if (!items)
			return -ENOMEM;
		if (l->len)
			memcpy(items, l->items, l->len * sizeof(*items));
		*l = (struct condition_list){.items = items, .len = l->len + 1, .set = true};
		c = &items[l->len - 1];
		c->type = arena_str(a, str_of(type));
	}
	if (!str_eq(c->status, status) && *now)
		c->last_transition_time = arena_str(a, str_of(now));
	c->status = arena_str(a, status);
	c->reason = reason ? arena_str(a, str_of(reason)) : (struct str){0};
	c->message = message ? arena_str(a, str_of(message)) : (struct str){0};
	return c->type.p && c->status.p ? 0 : -ENOMEM;
}
