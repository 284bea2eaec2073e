/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The page's listener: who may come in, what a browser gets, and the routes below /page. What a route does is
 * its own file's matter; it is called on the loop and must not block.
 */
#ifndef WEFT_HUB_PAGE_H
#define WEFT_HUB_PAGE_H

#include "hub/hub.h"
#include "serve/access.h"

/* Fills the reply, or e. `who` is borrowed: what outlives the call takes a reference, and ends when
 * who->ended says so. Rights per namespace are the handler's to ask for (access_may, access_level). */
typedef void page_handler(struct hub *h, const struct who *who, const struct http_request *rq,
			  struct http_reply *rp, struct api_error *e);

struct page_route {
	const char *method;
	const char *path;	 /* with a '/' at its end: all that begins with it; rq->path has the rest */
	enum access_level level; /* that he needs in some namespace */
	page_handler *fn;
};

struct page;
/* Before privileges go: opens the listening socket. `where` is ADDRESS:PORT, ADDRESS, or NULL for loopback
 * and the port of the last run. 0, or -errno (told). */
int page_open(struct page **out, struct hub *h, const char *where);
/* Serves. Other addresses than loopback need the cluster's certificates, and their folder for the page's own.
 * 0 or -errno. */
struct tls_files;
int page_listen(struct page *p, const struct tls_files *files, int dir_fd);
bool page_is_loopback(const struct page *p);
/* After the server ended and the loop ran to its end. */
void page_free(struct page **p);
/* Once a second: rights that changed come into force. */
void page_tick(struct page *p);
/* A link that logs in as this user, or (NULL) as who asks over the Unix socket: {"url":…} into b. */
int page_link(struct page *p, const char *asks, const char *user, struct buf *b, struct api_error *e);

#endif
