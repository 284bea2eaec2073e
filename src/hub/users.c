/* SPDX-License-Identifier: Apache-2.0 */
/* Who a name is, and what it may: from the Users and Roles in the store. See page.h. */
#include "hub/page_state.h"

/* Who came over the Unix socket; no User can have such a name. */
static bool is_local(const char *user)
{
	return !strncmp(user, "uid ", 4);
}

const struct who *users_who(const struct store *s, const char *user)
{
	struct who *w = NULL;

	(void)s;
	if (!is_local(user) || who_new(&w, user))
		return NULL;
	if (who_grant(w, STR("*"), ACCESS_ADMIN)) {
		const struct who *none = w;
		who_unref(&none);
		return NULL;
	}
	return w;
}
