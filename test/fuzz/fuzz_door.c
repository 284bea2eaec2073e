/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a browser says of itself: any Host, Origin, cookies and site. Whoever is let in named a host of ours,
 * and a write carried the word; a cookie's value stands in the header. The parts are lines.
 */
#include <stdlib.h>
#include <strings.h>

#include "serve/door.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *names[] = {(char *)"localhost", (char *)"[::1]"};
	struct door d = {.names = {.items = names, .len = 2}};
	char *text = malloc(size + 1), *line[7];
	struct str rest = {text, size};

	if (!text)
		abort();
	memcpy(text, size ? (const char *)data : "", size);
	text[size] = 0;
	for (size_t i = 0; i < 7; i++) {
		struct str one = str_cut(&rest, '\n');
		line[i] = strndup(one.p ? one.p : "", one.n);
		if (!line[i])
			abort();
	}
	struct door_knock k = {.method = line[0],
			       .host = line[1],
			       .origin = line[2],
			       .site = line[3],
			       .mode = line[4],
			       .csrf = line[5],
			       .token = "word",
			       .entrance = size & 1};
	d.addresses = size & 2;
	enum door_verdict v = door_check(&d, &k);
	bool named = !strncasecmp(k.host, "localhost", 9) || !strncmp(k.host, "[::1]", 5);
	if (v == DOOR_OPEN && !d.addresses && !named)
		abort();
	if (v == DOOR_OPEN && !door_reads(k.method) && strcmp(k.csrf, "word") != 0)
		abort();
	if (v == DOOR_OPEN && *k.origin && strncasecmp(k.origin, "http://", 7) != 0)
		abort();
	struct str cookie = cookie_get(str_of(line[6]), "weft");
	if (cookie.n && (cookie.p < line[6] || cookie.p + cookie.n > line[6] + strlen(line[6])))
		abort();
	for (size_t i = 0; i < 7; i++)
		free(line[i]);
	free(text);
	return 0;
}
