/* SPDX-License-Identifier: Apache-2.0 */
/* Alerts together: see alertset.h. Which of them a record may concern, the filters' choice says. */
#include "observe/alertset.h"

#include <errno.h>
#include <stdlib.h>

#include "base/own.h"
#include "filter/choice.h"

struct alert_set {
	struct alert_rule **rules; /* with a filter */
	uint32_t n;
	uint32_t *which; /* room for n numbers */
	struct filter_choice *choice;
};

int alert_set_new(struct alert_set **out, struct alert_rule *const *rules, size_t n)
{
	struct alert_set *s = calloc(1, sizeof(*s));
	AUTO_MEM const struct filter **filters = calloc(n + 1, sizeof(const struct filter *));

	if (s) {
		s->rules = calloc(n + 1, sizeof(struct alert_rule *));
		s->which = calloc(n + 1, sizeof(*s->which));
	}
	if (!s || !filters || !s->rules || !s->which) {
		alert_set_free(&s);
		return -ENOMEM;
	}
	for (size_t i = 0; i < n; i++)
		if (rules[i]->filter) {
			filters[s->n] = rules[i]->filter;
			s->rules[s->n++] = rules[i];
		}
	if (filter_choice_new(&s->choice, filters, s->n)) {
		alert_set_free(&s);
		return -ENOMEM;
	}
	*out = s;
	return 0;
}

void alert_set_free(struct alert_set **ps)
{
	struct alert_set *s = *ps;

	if (!s)
		return;
	filter_choice_free(&s->choice);
	free(s->rules);
	free(s->which);
	free(TAKE(*ps));
}

bool alert_set_wants(const struct alert_set *s)
{
	return s->n;
}

void alert_set_take(struct alert_set *s, const struct sight *sight)
{
	uint32_t n = sight->now->again ? 0 : filter_choice_find(s->choice, sight->now, s->which);

	for (uint32_t i = 0; i < n; i++)
		alert_rule_take(s->rules[s->which[i]], sight);
}
