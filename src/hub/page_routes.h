/* SPDX-License-Identifier: Apache-2.0 */
/* The handlers of the page's routes, each in the file that it is named after; page.c has the table. */
#ifndef WEFT_HUB_PAGE_ROUTES_H
#define WEFT_HUB_PAGE_ROUTES_H

#include "hub/page.h"

/* page_flows.c: as flows_ask() and rollups_ask(). */
page_handler page_flows, page_history;
/* stepapi.c: changes, and all objects as YAML. */
page_handler page_changes, page_export;
/* page_captures.c: who captured and downloaded what, of late. */
page_handler page_captures;

/* page_complete.c: GET /page/complete */
page_handler page_complete;

#endif
