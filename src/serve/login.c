/* SPDX-License-Identifier: Apache-2.0 */
/* Links and sessions: see login.h. */
#include "serve/login.h"

#include <errno.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

struct link {
	unsigned char hash[LOGIN_HASH];
	char user[ACCESS_USER];
	uint64_t end_s; /* 0: none */
};

struct logins {
	struct link links[LOGIN_LINKS];
	VEC(struct login *) sessions;
	uint64_t changes;
};

int logins_new(struct logins **out)
{
	*out = calloc(1, sizeof(**out));
	return *out ? 0 : -ENOMEM;
}

static void login_free(struct login *s)
{
	who_unref(&s->who);
	explicit_bzero(s, sizeof(*s));
	free(s);
}

void logins_free(struct logins **pl)
{
	struct logins *l = *pl;

	*pl = NULL;
	if (!l)
		return;
	VEC_EACH (&l->sessions, s)
		login_free(*s);
	vec_free(&l->sessions);
	free(l);
}

int login_word(char word[LOGIN_WORD])
{
	unsigned char bytes[(LOGIN_WORD - 1) / 2];

	if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
		return errno ? -errno : -EIO;
	for (size_t i = 0; i < sizeof(bytes); i++)
		snprintf(word + 2 * i, 3, "%02x", bytes[i]);
	return 0;
}

/* What is compared is a hash of a secret: how long that takes tells nothing of it. */
int login_hash(struct str word, unsigned char hash[LOGIN_HASH])
{
	return gnutls_hash_fast(GNUTLS_DIG_SHA256, word.n ? word.p : "", word.n, hash) ? -EIO : 0;
}

int logins_link(struct logins *l, const char *user, uint64_t now_s, char word[LOGIN_WORD])
{
	struct link *at = &l->links[0];
	int r = login_word(word);

	for (size_t i = 0; i < LOGIN_LINKS; i++)
		if (l->links[i].end_s < at->end_s)
			at = &l->links[i];
	r = r ? r : login_hash(str_of(word), at->hash);
	if (r)
		return r;
	snprintf(at->user, sizeof(at->user), "%s", user);
	at->end_s = now_s + LOGIN_LINK_S;
	return 0;
}

bool logins_redeem(struct logins *l, struct str word, uint64_t now_s, char user[ACCESS_USER])
{
	unsigned char hash[LOGIN_HASH];

	if (word.n != LOGIN_WORD - 1 || login_hash(word, hash))
		return false;
	for (size_t i = 0; i < LOGIN_LINKS; i++) {
		struct link *at = &l->links[i];
		bool good = at->end_s > now_s;

		if (!at->end_s || memcmp(at->hash, hash, LOGIN_HASH))
			continue;
		memcpy(user, at->user, ACCESS_USER);
		explicit_bzero(at, sizeof(*at));
		return good;
	}
	return false;
}

static void end_at(struct logins *l, size_t i)
{
	struct login *s = l->sessions.items[i];
	struct who *w = (struct who *)(uintptr_t)s->who;

	w->ended = true;
	l->changes++;
	vec_remove(&l->sessions, i);
	login_free(s);
}

static bool is_over(const struct login *s, uint64_t now_s)
{
	return now_s - s->begun_s >= LOGIN_SESSION_S || now_s - s->used_s >= LOGIN_IDLE_S;
}

static void make_room(struct logins *l, uint64_t now_s)
{
	size_t oldest = 0;

	for (size_t i = l->sessions.len; i-- > 0;)
		if (is_over(l->sessions.items[i], now_s))
			end_at(l, i);
	if (l->sessions.len < LOGIN_SESSIONS)
		return;
	for (size_t i = 1; i < l->sessions.len; i++)
		if (l->sessions.items[i]->used_s < l->sessions.items[oldest]->used_s)
			oldest = i;
	end_at(l, oldest);
}

int logins_begin(struct logins *l, const struct who *who, uint64_t now_s, char word[LOGIN_WORD])
{
	struct login *s = calloc(1, sizeof(*s));
	int r = s ? login_word(word) : -ENOMEM;

	make_room(l, now_s);
	r = r ? r : login_word(s->csrf);
	r = r ? r : login_hash(str_of(word), s->hash);
	r = r ? r : vec_push(&l->sessions, s);
	if (r) {
		free(s);
		return r;
	}
	l->changes++;
	s->who = who_ref(who);
	s->begun_s = s->used_s = now_s;
	return 0;
}

struct login *logins_find(struct logins *l, struct str word, uint64_t now_s)
{
	unsigned char hash[LOGIN_HASH];

	if (word.n != LOGIN_WORD - 1 || login_hash(word, hash))
		return NULL;
	for (size_t i = 0; i < l->sessions.len; i++) {
		struct login *s = l->sessions.items[i];

		if (memcmp(s->hash, hash, LOGIN_HASH))
			continue;
		if (is_over(s, now_s)) {
			end_at(l, i);
			return NULL;
		}
		s->used_s = now_s;
		return s;
	}
	return NULL;
}

void logins_end(struct logins *l, struct login *s)
{
	for (size_t i = 0; i < l->sessions.len; i++)
		if (l->sessions.items[i] == s) {
			end_at(l, i);
			return;
		}
}

void logins_renew(struct logins *l, const struct who *(*fn)(void *ctx, const char *user), void *ctx)
{
	for (size_t i = l->sessions.len; i-- > 0;) {
		struct login *s = l->sessions.items[i];
		struct who *old = (struct who *)(uintptr_t)s->who;
		const struct who *now = fn(ctx, old->user);

		if (!now) {
			end_at(l, i);
		} else if (who_same_rights(old, now)) {
			who_unref(&now);
		} else {
			old->ended = true;
			who_unref(&s->who);
			s->who = now;
		}
	}
}

void logins_each(const struct logins *l, void (*fn)(void *ctx, const struct login *s), void *ctx)
{
	VEC_EACH (&l->sessions, s)
		fn(ctx, *s);
}

uint64_t logins_changes(const struct logins *l)
{
	return l->changes;
}

int logins_restore(struct logins *l, const struct login *s, uint64_t now_s)
{
	struct login *copy;

	if (s->begun_s > now_s || s->used_s > now_s || is_over(s, now_s) || l->sessions.len >= LOGIN_SESSIONS)
		return 0;
	copy = malloc(sizeof(*copy));
	if (!copy || vec_push(&l->sessions, copy)) {
		free(copy);
		return -ENOMEM;
	}
	*copy = *s;
	copy->who = who_ref(s->who);
	return 0;
}

size_t logins_count(const struct logins *l)
{
	return l->sessions.len;
}
