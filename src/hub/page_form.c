/* SPDX-License-Identifier: Apache-2.0 */
/* The page that needs no script: logging in by name, or how to get a link. See page.h. */
#include "hub/page_state.h"

static const char style[] =
    ":root{color-scheme:light dark;font:1rem/1.5 system-ui,sans-serif}"
    "body{margin:0;min-height:100vh;display:grid;place-items:center}"
    "main{box-sizing:border-box;width:min(24rem,100vw);padding:1.5rem}"
    "label{display:block;margin-top:1rem}"
    "input{box-sizing:border-box;width:100%;font:inherit;padding:.5rem;margin-top:.25rem}"
    "button{font:inherit;padding:.5rem 1rem;margin-top:1.5rem}"
    "[role=alert]{border-left:.25rem solid;padding-left:.75rem}";

void page_login_style(struct http_reply *rp)
{
	rp->content_type = "text/css; charset=utf-8";
	rp->fixed = STR(style);
}

void page_login_form(const struct page *p, struct http_reply *rp, int status, const char *trouble)
{
	struct buf *b = &rp->body;

	rp->status = status;
	rp->content_type = "text/html; charset=utf-8";
	buf_addz(b, "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">"
		    "<meta name=\"viewport\" content=\"width=device-width\"><title>Weft: log in</title>"
		    "<link rel=\"stylesheet\" href=\"/login.css\"></head><body><main><h1>Weft</h1>");
	if (trouble)
		buf_printf(b, "<p role=\"alert\">%s</p>", trouble);
	if (!p->loopback)
		buf_addz(b, "<form method=\"post\" action=\"/login\"><label>Name<input name=\"user\" "
			    "autocomplete=\"username\" required autofocus></label><label>Password<input "
			    "name=\"password\" type=\"password\" autocomplete=\"current-password\" required>"
			    "</label><button>Log in</button></form>");
	buf_addz(b,
		 "<p>On the machine that runs the cluster, <code>weft ui</code> opens the page and prints a "
		 "link that logs in once.</p></main></body></html>\n");
}
