/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The page's own files, from inside this program: index.html for each path that is a view, and what stands in
 * /assets, whose names change with their bytes. Nothing is read from a disk. See page.h.
 */
#include <zlib.h>

#include "hub/bundle.h"
#include "hub/page_state.h"

static const char missing[] =
    "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
    "content=\"width=device-width\"><title>Weft</title><link rel=\"stylesheet\" href=\"/login.css\"></head>"
    "<body><main><h1>Weft</h1><p>This weft-hub was built without the page: its build found no npm, or no "
    "packages. Install Node.js 18 or later and npm, build again, and start the cluster anew.</p>"
    "<p>All else works: the API, kubectl and the command line.</p></main></body></html>\n";

bool page_is_view(const char *path)
{
	static const char *const views[] = {"map",	"broker", "policies", "objects",
					    "captures", "flows",  "changes",  "health"};
	size_t n = *path ? strcspn(path + 1, "/") : 0;

	if (!strcmp(path, "/") || !strcmp(path, "/index.html"))
		return true;
	for (size_t i = 0; i < sizeof(views) / sizeof(views[0]); i++)
		if (strlen(views[i]) == n && !strncmp(path + 1, views[i], n))
			return true;
	return false;
}

static const struct asset *find(const char *path)
{
	for (size_t i = 0; i < bundle_len; i++)
		if (!strcmp(bundle[i].path, path))
			return &bundle[i];
	return NULL;
}

/* For who does not take gzip: browsers do. */
static void unpack(const struct asset *a, struct http_reply *rp)
{
	z_stream z = {.next_in = (Bytef *)(uintptr_t)a->gzip, .avail_in = (uInt)a->gzip_len};
	unsigned char part[16384];
	int r = inflateInit2(&z, 15 + 16) == Z_OK ? Z_OK : Z_STREAM_ERROR;

	while (r == Z_OK) {
		z.next_out = part;
		z.avail_out = sizeof(part);
		r = inflate(&z, Z_NO_FLUSH);
		buf_add(&rp->body, part, sizeof(part) - z.avail_out);
	}
	inflateEnd(&z);
	rp->body.failed |= r != Z_STREAM_END;
}

bool page_static(const struct http_request *rq, struct http_reply *rp)
{
	bool view = page_is_view(rq->path);
	const struct asset *a = find(view ? "/index.html" : rq->path);

	if (!door_reads(rq->method) || (!a && !view))
		return false;
	if (!a) {
		rp->content_type = "text/html; charset=utf-8";
		rp->fixed = STR(missing);
		return true;
	}
	rp->content_type = a->type;
	http_reply_header(rp, "ETag", "%s", a->etag);
	http_reply_header(rp, "Vary", "Accept-Encoding");
	http_reply_header(rp, "Cache-Control", "%s",
			  strncmp(a->path, "/assets/", 8) ? "no-cache"
							  : "public, max-age=31536000, immutable");
	if (http_header_has(rq, "If-None-Match", a->etag)) {
		rp->status = 304;
	} else if (http_header_has(rq, "Accept-Encoding", "gzip")) {
		http_reply_header(rp, "Content-Encoding", "gzip");
		rp->fixed = (struct str){(const char *)a->gzip, a->gzip_len};
	} else {
		unpack(a, rp);
	}
	return true;
}
