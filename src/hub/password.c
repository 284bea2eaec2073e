/* SPDX-License-Identifier: Apache-2.0 */
/* See password.h. */
#include "hub/password.h"

#include <crypt.h>
#include <errno.h>
#include <stdlib.h>

enum { ADDRESSES = 64, WINDOW_S = 60 };

struct job {
	uv_work_t work;
	struct passwords *all;
	char password[PASSWORD_MAX], hash[PASSWORD_HASH];
	bool right, nobody;
	uint64_t address, at_s;
	password_told *told;
	void *ctx;
};

struct tries { /* of one address */
	uint64_t address, from_s;
	unsigned wrong;
};

struct passwords {
	uv_loop_t *loop;
	struct tries tries[ADDRESSES];
	unsigned waiting;
	char nobody[PASSWORD_HASH]; /* the hash of no password */
};

int passwords_new(struct passwords **out, uv_loop_t *loop)
{
	struct passwords *p = calloc(1, sizeof(*p));

	if (!p)
		return -ENOMEM;
	p->loop = loop;
	/* A name that nobody has costs as long as one that somebody has. */
	char salt[CRYPT_GENSALT_OUTPUT_SIZE];
	const char *made = crypt_gensalt_rn(NULL, 0, NULL, 0, salt, sizeof(salt));
	memcpy(p->nobody, made ? made : "$6$nobody$", made ? strlen(made) + 1 : sizeof("$6$nobody$"));
	*out = p;
	return 0;
}

void passwords_free(struct passwords **p)
{
	free(*p);
	*p = NULL;
}

/* All of it, whatever differs. */
static bool same(const char *a, const char *b)
{
	size_t n = strlen(a);
	unsigned differ = n != strlen(b);

	for (size_t i = 0; !differ && i < n; i++)
		differ |= (unsigned)(a[i] ^ b[i]);
	return !differ;
}

/* On a thread of the loop's. */
static void on_work(uv_work_t *work)
{
	struct job *j = work->data;
	struct crypt_data *d = calloc(1, sizeof(*d));
	const char *made = d ? crypt_r(j->password, j->hash, d) : NULL;

	j->right = made && *made != '*' && !j->nobody && same(made, j->hash);
	if (d)
		explicit_bzero(d, sizeof(*d));
	free(d);
}

static struct tries *tries_of(struct passwords *p, uint64_t address, uint64_t now_s)
{
	struct tries *oldest = &p->tries[0];

	for (size_t i = 0; i < ADDRESSES; i++) {
		struct tries *t = &p->tries[i];

		if (t->address == address && now_s - t->from_s < WINDOW_S)
			return t;
		if (t->from_s < oldest->from_s)
			oldest = t;
	}
	*oldest = (struct tries){.address = address, .from_s = now_s};
	return oldest;
}

static void on_done(uv_work_t *work, int status)
{
	struct job *j = work->data;
	struct passwords *p = j->all;

	p->waiting--;
	/* It was counted as wrong when it came: several at once are no way around the bound. */
	struct tries *t = tries_of(p, j->address, j->at_s);
	if (!status && j->right && t->wrong)
		t->wrong--;
	j->told(j->ctx, !status && j->right);
	explicit_bzero(j, sizeof(*j));
	free(j);
}

bool password_check(struct passwords *p, struct str password, const char *hash, uint64_t address,
		    uint64_t now_s, password_told *told, void *ctx)
{
	struct tries *t = tries_of(p, address, now_s);
	const char *with = *hash ? hash : p->nobody;

	if (p->waiting >= PASSWORD_WAITING || t->wrong >= PASSWORD_TRIES || password.n >= PASSWORD_MAX ||
	    strlen(with) >= PASSWORD_HASH)
		return false;
	struct job *j = calloc(1, sizeof(*j));
	if (!j)
		return false;
	memcpy(j->password, password.n ? password.p : "", password.n);
	memcpy(j->hash, with, strlen(with) + 1);
	j->all = p;
	j->nobody = !*hash;
	j->address = address;
	j->at_s = t->from_s;
	j->told = told;
	j->ctx = ctx;
	j->work.data = j;
	if (uv_queue_work(p->loop, &j->work, on_work, on_done)) {
		free(j);
		return false;
	}
	p->waiting++;
	t->wrong++;
	return true;
}
