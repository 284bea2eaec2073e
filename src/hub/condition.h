/* SPDX-License-Identifier: Apache-2.0 */
/* Status conditions: finding one, and setting one so that its time moves only when its status does. */
#ifndef WEFT_HUB_CONDITION_H
#define WEFT_HUB_CONDITION_H

#include "object/object.h"

const struct condition *condition_find(const struct condition_list *l, const char *type);
static inline bool condition_true(const struct condition_list *l, const char *type)
{
	const struct condition *c = condition_find(l, type);
	return c && str_eqz(c->status, "True");
}
/* reason and message may be NULL; now is RFC 3339. All texts are copied into `a`. 0 or -ENOMEM. */
int condition_set(struct arena *a, struct condition_list *l, const char *type, bool holds, const char *reason,
		  const char *message, const char *now);
/* The same for one that may be "Unknown" as well as "True" and "False". */
int condition_say(struct arena *a, struct condition_list *l, const char *type, const char *says,
		  const char *reason, const char *message, const char *now);

#endif
