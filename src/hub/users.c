/* SPDX-License-Identifier: Apache-2.0 */
/* Who a name is, and what it may: from the Users and Roles in the store. See page_state.h. */
#include "hub/page_state.h"

static bool names(const struct strlist *l, const char *user)
{
	for (size_t i = 0; i < l->len; i++)
		if (str_eqz(l->items[i], user))
			return true;
	return false;
}

static int add_role(struct who *w, const struct role_spec *r)
{
	enum access_level level;
	int err = 0;

	if (!r || !names(&r->users, w->user) || !access_level_parse(r->level, &level))
		return 0;
	for (size_t i = 0; i < r->namespaces.len && !err; i++)
		err = who_grant(w, r->namespaces.items[i], level);
	return err;
}

static int add_roles(struct who *w, const struct store *s)
{
	struct object_refs all = {0};
	int r = store_list(s, KIND_role, STR(""), &all);

	VEC_EACH (&all.list, o)
		r = r ? r : add_role(w, (*o)->role->spec);
	vec_free(&all.list);
	return r;
}

const struct who *users_who(const struct store *s, const char *user)
{
	const struct object *o =
	    person_is_local(user) ? NULL : store_get(s, KIND_user, STR(""), str_of(user));
	const struct user_spec *spec = o ? o->user->spec : NULL;
	struct who *w = NULL;

	if (!person_is_local(user) && (!o || (spec && spec->disabled.v)))
		return NULL;
	if (who_new(&w, user))
		return NULL;
	const struct who *made = w;
	if (person_is_local(user) ? who_grant(w, STR("*"), ACCESS_ADMIN) : add_roles(w, s))
		who_unref(&made);
	return made;
}

bool users_hash(const struct store *s, const char *user, char out[PASSWORD_HASH])
{
	const struct object *o = store_get(s, KIND_user, STR(""), str_of(user));
	const struct user_spec *spec = o ? o->user->spec : NULL;

	if (!spec || spec->disabled.v || !spec->password.n || spec->password.n >= PASSWORD_HASH)
		return false;
	memcpy(out, spec->password.p, spec->password.n);
	out[spec->password.n] = 0;
	return true;
}
