/* SPDX-License-Identifier: Apache-2.0 */
/* Steps as values: made, freed, named. See step.h. */
#include "hub/step.h"

#include <errno.h>
#include <gnutls/crypto.h>
#include <stdlib.h>

#include "base/own.h"

static char *text_of(struct str s)
{
	return strndup(s.p ? s.p : "", s.n);
}

int step_new(struct step **out, enum step_origin origin, struct str user, struct str name, struct str reason)
{
	struct step *s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->origin = origin;
	s->user = text_of(user);
	s->name = text_of(name);
	s->reason = text_of(reason);
	if (!s->user || !s->name || !s->reason) {
		step_free(&s);
		return -ENOMEM;
	}
	*out = s;
	return 0;
}

void step_object_fini(struct step_object *o)
{
	free(o->ns);
	free(o->name);
	free(o->before);
	free(o->after);
	free(o->file);
	*o = (struct step_object){0};
}

void step_file_fini(struct step_file *f)
{
	free(f->path);
	free(f->diff);
	*f = (struct step_file){0};
}

void step_free(struct step **sp)
{
	struct step *s = TAKE(*sp);
	if (!s)
		return;
	VEC_EACH (&s->objects, o)
		step_object_fini(o);
	vec_free(&s->objects);
	VEC_EACH (&s->files, f)
		step_file_fini(f);
	vec_free(&s->files);
	free(s->user);
	free(s->name);
	free(s->reason);
	free(s);
}

const char *step_origin_name(enum step_origin o)
{
	static const char *const names[] = {[STEP_PAGE] = "page", [STEP_API] = "api", [STEP_FILES] = "files"};
	return names[o];
}

const char *step_verb(const struct step_object *o)
{
	return o->made ? "created" : o->gone ? "removed" : "changed";
}

void step_sum(unsigned char out[STEP_SUM], struct str text)
{
	gnutls_hash_fast(GNUTLS_DIG_SHA256, text.p ? text.p : "", text.n, out);
}

static bool is_letter(char c)
{
	return (c | 32) >= 'a' && (c | 32) <= 'z';
}

/* Not as a part of another word. */
static bool has_word(struct str text, const char *word)
{
	size_t n = strlen(word);
	const char *p = text.p, *end = text.p ? text.p + text.n : NULL;
	while (p && (p = memmem(p, (size_t)(end - p), word, n))) {
		const char *next = p + n;
		if (!(p > text.p && is_letter(p[-1])) && !(next < end && is_letter(*next)))
			return true;
		p = next;
	}
	return false;
}

bool step_kind_hides(enum kind k)
{
	return k == KIND_secret || k == KIND_user;
}

bool step_hides(struct str text)
{
	/* A User has the hash of a password. */
	static const char *const words[] = {"Secret", "kind: User", "\"kind\": \"User\"",
					    "\"kind\":\"User\""};
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (has_word(text, words[i]))
			return true;
	/* Another encoding hides words. */
	return text.n && memchr(text.p, 0, text.n);
}
