/* SPDX-License-Identifier: Apache-2.0 */
/* Interfaces and the pods behind them: see observer_join.h. */
#include "agent/observer_join.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "apply/netlink_object.h"

static int join_one(const struct link_info *l, void *ctx)
{
	struct join *j = ctx;
	struct str alias = str_of(l->alias), uid;
	void *old = NULL;
	char *copy;

	if (!str_starts(alias, STR("weft1 ")))
		return 0;
	str_cut(&alias, ' ');
	uid = str_cut(&alias, ' ');
	copy = strndup(uid.p, uid.n);
	if (!copy)
		return -ENOMEM;
	if (hash_set(&j->by_index, (struct str){.p = (const char *)&l->index, .n = sizeof(l->index)}, copy,
		     &old))
		free(copy);
	free(old);
	return 0;
}

void join_begin(struct join *j, const struct observer *ob)
{
	int fd = nl_open();

	*j = (struct join){.ob = ob};
	if (fd < 0)
		return;
	link_dump(fd, join_one, j);
	close(fd);
}

void join_end(struct join *j)
{
	HASH_EACH (&j->by_index, s)
		free(s->value);
	hash_fini(&j->by_index);
}

struct str join_pod(const struct join *j, uint32_t ifindex)
{
	const char *uid =
	    hash_get(&j->by_index, (struct str){.p = (const char *)&ifindex, .n = sizeof(ifindex)});
	struct object_refs pods = {0};
	struct str found = {0};

	if (!uid || store_list(j->ob->store, KIND_pod, (struct str){0}, &pods))
		return found;
	VEC_EACH (&pods.list, o)
		if (str_eqz((*o)->meta.uid, uid))
			found = object_key(*o);
	vec_free(&pods.list);
	return found;
}
