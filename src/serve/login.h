/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Login links and sessions: random words of which only the hash is kept, each with an end. Knows no HTTP and
 * no passwords; the time is given to it. Called by the page's handlers.
 */
#ifndef WEFT_SERVE_LOGIN_H
#define WEFT_SERVE_LOGIN_H

#include "serve/access.h"

enum {
	LOGIN_WORD = 65, /* 32 random bytes in hex, and NUL */
	LOGIN_HASH = 32,
	LOGIN_LINK_S = 600,	  /* a link is good for so long, once */
	LOGIN_IDLE_S = 12 * 3600, /* a session that nobody uses ends */
	LOGIN_SESSION_S = 7 * 86400,
	LOGIN_LINKS = 32,     /* at a time; a further one takes the oldest's place */
	LOGIN_SESSIONS = 256, /* the same */
};

struct login {
	unsigned char hash[LOGIN_HASH]; /* of its word, which only the browser has */
	char csrf[LOGIN_WORD];
	const struct who *who; /* a reference */
	uint64_t begun_s, used_s;
};

/* A random word; what is kept and compared of one. 0 or -errno. */
int login_word(char word[LOGIN_WORD]);
int login_hash(struct str word, unsigned char hash[LOGIN_HASH]);

struct logins;
int logins_new(struct logins **out);
void logins_free(struct logins **l);

/* A link for this user. 0 or -errno. */
int logins_link(struct logins *l, const char *user, uint64_t now_s, char word[LOGIN_WORD]);
/* Uses it up. False: there is none, or it is over. */
bool logins_redeem(struct logins *l, struct str word, uint64_t now_s, char user[ACCESS_USER]);

/* A new session, with a word that nobody had before. Keeps a reference. 0 or -errno. */
int logins_begin(struct logins *l, const struct who *who, uint64_t now_s, char word[LOGIN_WORD]);
/* The session of that word, which is now in use; NULL: none, or over. Borrowed until the next call. */
struct login *logins_find(struct logins *l, struct str word, uint64_t now_s);
/* Its streams end. */
void logins_end(struct logins *l, struct login *s);
/* Sessions of users that fn knows no longer end; those whose rights changed get the new ones, and what they
 * began under the old ends. fn returns a reference, NULL for nobody. */
void logins_renew(struct logins *l, const struct who *(*fn)(void *ctx, const char *user), void *ctx);
/* For who keeps them: each; how often one began or ended; one of an earlier life, dropped where it is over
 * (the copy takes a reference of its own). Times are of a clock that went on meanwhile. */
void logins_each(const struct logins *l, void (*fn)(void *ctx, const struct login *s), void *ctx);
uint64_t logins_changes(const struct logins *l);
int logins_restore(struct logins *l, const struct login *s, uint64_t now_s);
size_t logins_count(const struct logins *l);

#endif
