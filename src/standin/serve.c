/* SPDX-License-Identifier: Apache-2.0 */
/* `serve`: a running container. Holds nothing but the order of the start. Called by main.c. */
#include <string.h>

#include "base/log.h"
#include "standin/programs.h"

int standin_serve(const struct spec *spec)
{
	struct server s = {.spec = spec};
	int r = loop_init(&s.loop);

	if (r) {
		log_error("no event loop: %s", strerror(-r));
		return 1;
	}
	resolver_init(&s.resolver, &s.loop, "/etc/resolv.conf");
	if (server_listen(&s))
		return 1;
	if (caller_start(&s)) {
		log_error("out of memory");
		return 1;
	}
	r = loop_run(&s.loop);
	log_error("event loop: %s", strerror(-r));
	loop_fini(&s.loop);
	return 1;
}
