/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Domain names: the patterns that rules in force ask for, each a name class of its own, and the name sets:
 * which rules accept which of them. A name that is learned belongs to the longest pattern that fits it, and
 * with it to every wildcard above that. Called by clusternetworkpolicy.c, policy.c, fold.c and portset.c.
 */
#include <stdlib.h>

#include "compile/state.h"
#include "seam/name.h"

static void domain_free(struct domain *d)
{
	vec_free(&d->rules);
	free(d->text);
	free(d);
}

struct domain *domain_get(struct compiler *c, struct str pattern)
{
	AUTO_BUF text = {0};
	while (pattern.n && pattern.p[pattern.n - 1] == '.')
		pattern.n--;
	for (size_t i = 0; i < pattern.n; i++) {
		char ch = pattern.p[i];
		buf_addc(&text, ch >= 'A' && ch <= 'Z' ? (char)(ch - 'A' + 'a') : ch);
	}
	if (!text.n || text.n >= NAME_BYTES)
		return NULL;
	struct domain *d = text.failed ? NULL : hash_get(&c->domains, buf_str(&text));
	if (!d) {
		d = text.failed ? NULL : calloc(1, sizeof(*d));
		if (!d || hash_set(&c->domains, buf_str(&text), d, NULL)) {
			free(d);
			c->failed = true;
			return NULL;
		}
		d->text = (char *)(uintptr_t)key_copy(c, buf_str(&text)).p;
		d->id = id_take(&c->domain_ids, hash_bytes(text.p, text.n, 0), d);
		c->failed |= !d->id;
	}
	d->refs++;
	return d;
}

void domain_unref(struct compiler *c, struct domain *d)
{
	if (--d->refs || d->idle)
		return;
	d->idle = true;
	PUSH(c, &c->idle_domains, d);
}

void domain_use(struct compiler *c, struct domain *d, const struct policy_rule *r, bool use)
{
	if (use)
		PUSH(c, &d->rules, r);
	else
		CUT(&d->rules, r);
	d->refs++; /* until it is settled */
	PUSH(c, &c->flipped_domains, d);
}

bool domain_covers(const struct domain *d, const struct domain *name)
{
	return d == name || (d->text[0] == '*' && str_ends(str_of(name->text), str_of(d->text + 1)));
}

/* The first rule, by its text, is shown as the origin. */
static void name_row(struct compiler *c, const struct domain *d)
{
	struct name_key k = {0};
	struct name_value v = {.name = d->id};
	const char *text = d->text[0] == '*' ? d->text + 1 : d->text; /* "*.org": ".org" */
	size_t n = strlen(text);
	for (size_t i = 0; i < n; i++)
		k.text[i] = (uint8_t)text[n - 1 - i];
	k.prefixlen = (uint32_t)(n + (d->text[0] != '*')) * 8;
	const struct rule *by = NULL;
	VEC_EACH (&d->rules, r)
		if (!by || strcmp((*r)->rule->text, by->text) < 0)
			by = (*r)->rule;
	if (by)
		put_map(c, &c->name_owner, PLAN_MAP_name, &k, &v, &by->src, by->member);
}

static void nameset_show(struct compiler *c, struct nameset *n)
{
	owner_begin(&n->owner);
	HASH_EACH (&c->domains, s) {
		const struct domain *d = s->value;
		const struct rule *r = d->live ? nameset_rule(n, d) : NULL;
		if (!r)
			continue;
		struct name_match_key k = {.names = n->id, .name = d->id};
		struct name_match_value v = {.rule = r->id};
		put_map(c, &n->owner, PLAN_MAP_name_match, &k, &v, &r->src, r->member);
	}
	owner_end(&c->rows, &n->owner);
}

/* What patterns are in force is known: their rows, and those of the name sets that stay. */
void domains_settle(struct compiler *c)
{
	bool changed = false, had = c->names_live;
	VEC_EACH (&c->flipped_domains, it) {
		struct domain *d = *it;
		bool live = d->rules.len;
		changed |= live != d->live;
		if (live != d->live) {
			d->live = live;
			d->flipped = c->run;
			c->names_live += live ? 1 : (size_t)-1;
		}
		domain_unref(c, d);
	}
	if (!c->flipped_domains.len)
		return;
	c->flipped_domains.len = 0;
	c->settings_changed |= had != (c->names_live != 0);
	owner_begin(&c->name_owner);
	HASH_EACH (&c->domains, s) {
		const struct domain *d = s->value;
		if (d->live)
			name_row(c, d);
	}
	owner_end(&c->rows, &c->name_owner);
	HASH_EACH (&c->namesets, s) {
		struct nameset *n = s->value;
		if (changed && n->users)
			nameset_show(c, n);
	}
}

static struct nameset *intern(struct compiler *c, const struct buf *key, bool *made)
{
	*made = false;
	struct nameset *n = key->failed ? NULL : hash_get(&c->namesets, buf_str(key));
	if (n)
		return n;
	n = key->failed ? NULL : calloc(1, sizeof(*n));
	if (!n || hash_set(&c->namesets, buf_str(key), n, NULL)) {
		free(n);
		c->failed = true;
		return NULL;
	}
	n->key = key_copy(c, buf_str(key));
	n->id = id_take(&c->nameset_ids, hash_bytes(key->p, key->n, 0), n);
	n->owner.listed = true;
	c->failed |= !n->id;
	n->idle = true; /* nobody holds it yet */
	PUSH(c, &c->idle_namesets, n);
	*made = true;
	return n;
}

struct nameset *nameset_of(struct compiler *c, const struct policy_rule *const *rules, size_t count)
{
	AUTO_BUF key = {0};
	bool made;
	for (size_t i = 0; i < count; i++) {
		VEC_EACH (&rules[i]->domains, d) {
			uint32_t ids[2] = {rules[i]->rule->id, (*d)->id};
			buf_add(&key, ids, sizeof(ids));
		}
	}
	struct nameset *n = intern(c, &key, &made);
	for (size_t i = 0; made && i < count; i++) {
		VEC_EACH (&rules[i]->domains, d) {
			(*d)->refs++;
			PUSH(c, &n->list, (struct name_claim){rule_ref(rules[i]->rule), *d});
		}
	}
	return n;
}

struct nameset *nameset_both(struct compiler *c, struct nameset *a, struct nameset *b)
{
	if (a == b)
		return b;
	AUTO_BUF key = {0};
	bool made;
	uint32_t ids[3] = {0, a->id, b->id};
	buf_add(&key, ids, sizeof(ids));
	struct nameset *n = intern(c, &key, &made);
	if (made) {
		nameset_ref(a);
		nameset_ref(b);
		n->both[0] = a;
		n->both[1] = b;
	}
	return n;
}

void nameset_ref(struct nameset *n)
{
	n->refs++;
}

void nameset_unref(struct compiler *c, struct nameset *n)
{
	if (--n->refs || n->idle)
		return;
	n->idle = true;
	PUSH(c, &c->idle_namesets, n);
}

void nameset_use(struct compiler *c, struct nameset *n, bool use)
{
	n->users += use ? 1u : (unsigned)-1;
	if (use && n->users == 1)
		nameset_show(c, n);
	if (n->users || n->dying)
		return;
	n->dying = true;
	PUSH(c, &c->dying_namesets, n);
}

struct rule *nameset_rule(const struct nameset *n, const struct domain *d)
{
	struct rule *by = NULL;
	if (n->both[0])
		return nameset_rule(n->both[0], d) ? nameset_rule(n->both[1], d) : NULL;
	VEC_EACH (&n->list, it)
		if (!by && domain_covers(it->domain, d))
			by = it->rule;
	return by;
}

void namesets_settle(struct compiler *c)
{
	VEC_EACH (&c->dying_namesets, it) {
		(*it)->dying = false;
		if (!(*it)->users)
			owner_clear(&c->rows, &(*it)->owner);
	}
	c->dying_namesets.len = 0;
}

static void nameset_free(struct compiler *c, struct nameset *n)
{
	VEC_EACH (&n->list, it) {
		rule_unref(c, it->rule);
		domain_unref(c, it->domain);
	}
	for (int i = 0; i < 2; i++)
		if (n->both[i])
			nameset_unref(c, n->both[i]);
	vec_free(&n->list);
	owner_fini(&n->owner);
	free((void *)(uintptr_t)n->key.p);
	free(n);
}

void domains_bury(struct compiler *c)
{
	for (size_t i = 0; i < c->idle_namesets.len; i++) { /* it grows: pairs let go of what they hold */
		struct nameset *n = c->idle_namesets.items[i];
		n->idle = false;
		if (n->refs)
			continue;
		hash_del(&c->namesets, n->key);
		id_drop(&c->nameset_ids, n->id);
		nameset_free(c, n);
	}
	c->idle_namesets.len = 0;
	VEC_EACH (&c->idle_domains, it) {
		struct domain *d = *it;
		d->idle = false;
		if (d->refs)
			continue;
		hash_del(&c->domains, str_of(d->text));
		id_drop(&c->domain_ids, d->id);
		domain_free(d);
	}
	c->idle_domains.len = 0;
}

void namesets_fini(struct compiler *c)
{
	HASH_EACH (&c->namesets, s) {
		struct nameset *n = s->value;
		n->both[0] = n->both[1] = NULL; /* they go as well, in whatever order */
		nameset_free(c, n);
	}
	hash_fini(&c->namesets);
	ids_fini(&c->nameset_ids);
	vec_free(&c->idle_namesets);
	vec_free(&c->dying_namesets);
}

void domains_fini(struct compiler *c)
{
	HASH_EACH (&c->domains, s)
		domain_free(s->value);
	hash_fini(&c->domains);
	ids_fini(&c->domain_ids);
	vec_free(&c->flipped_domains);
	vec_free(&c->idle_domains);
	owner_fini(&c->name_owner);
	c->names_live = 0;
}
