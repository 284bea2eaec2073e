/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who came over the Unix socket, by name: as /etc/passwd has it, which is read without the name service,
 * since that may ask the network and the loop must not wait. See api.h.
 */
#include <pwd.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "serve/api_state.h"

enum { KEPT = 8, KEPT_MS = 60000, NAME_MAX_ = 32 };

static struct known {
	unsigned uid;
	char name[NAME_MAX_];
	uint64_t until_ms; /* 0: nothing */
} known[KEPT];
static unsigned next;

static void look_up(struct known *k)
{
	FILE *f = fopen("/etc/passwd", "re");
	struct passwd one, *found = NULL;
	char text[1024];

	*k->name = 0;
	while (f && !fgetpwent_r(f, &one, text, sizeof(text), &found))
		if (one.pw_uid == k->uid && strlen(one.pw_name) < sizeof(k->name)) {
			snprintf(k->name, sizeof(k->name), "%s", one.pw_name);
			break;
		}
	if (f)
		fclose(f);
}

void person_name(char out[API_USER], unsigned uid)
{
	struct known *k = NULL;

	for (unsigned i = 0; i < KEPT; i++)
		if (known[i].uid == uid && known[i].until_ms > clock_ms())
			k = &known[i];
	if (!k) {
		k = &known[next++ % KEPT];
		k->uid = uid;
		look_up(k);
		k->until_ms = clock_ms() + KEPT_MS;
	}
	if (*k->name)
		snprintf(out, API_USER, "%s (uid %u)", k->name, uid);
	else
		snprintf(out, API_USER, "uid %u", uid);
}

bool person_is_local(const char *user)
{
	size_t n = strlen(user);

	return !strncmp(user, "uid ", 4) || (strstr(user, " (uid ") && user[n - 1] == ')');
}
