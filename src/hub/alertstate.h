/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of alerts share. Private to alert.c, alertstatus.c and alertnotice.c. */
#ifndef WEFT_HUB_ALERTSTATE_H
#define WEFT_HUB_ALERTSTATE_H

#include "hub/alert.h"
#include "hub/webhook.h"

struct alert_live;

struct alert_sent { /* in the post that runs */
	uint64_t fingerprint;
	int64_t starts_at;
	enum alert_state state;
};

struct alert_hook { /* a receiver of one alert */
	struct alert_live *of;
	unsigned number;
	struct webhook *hook;
	VEC(struct alert_sent) sent;
	uint64_t sent_ms;	      /* when the last post was taken; 0: none was */
	uint64_t taken, failed, lost; /* lost: of earlier runs */
	char *why;		      /* owned: the last failure, or NULL */
};

struct alert_lost_base {
	char *node; /* owned */
	uint64_t lost;
};

struct alert_live { /* an Alert in force */
	struct alerts *all;
	const struct object *o; /* a reference: as its spec was when the rule was made */
	struct alert_rule *rule;
	struct alert_hook hooks[ALERT_RECEIVERS_MAX];
	unsigned n_hooks;
	enum alert_state state;
	char since[21];
	bool dirty;			  /* the status is to be written now */
	uint64_t written_ms;		  /* when it was written last */
	VEC(struct alert_lost_base) lost; /* of watch: RecordsLost */
	bool seen;
};

/* alertstatus.c: writes the object's status, if it differs. 0 or -ENOMEM. */
int alert_status_write(struct alert_live *l, struct store *s);
/* Takes up what the object's status says. */
void alert_status_restore(struct alert_live *l, uint64_t now_ms, int64_t wall);
/* The name of a group's label number i. */
const char *alert_label(const struct alert_terms *t, uint32_t i);

/* alertnotice.c: tells the receiver what it does not know yet, if it may be asked now. */
void alert_notice(struct alert_hook *h, struct store *s, uint64_t now_ms);
/* webhook's done; ctx is the alert_hook. */
void alert_noticed(void *ctx, const char *why);
/* {alertname="…",…} of a group, for people and for metrics. */
void alert_group_text(struct buf *b, const struct alert_live *l, const struct alert_group *g,
		      const char *state);

#endif
