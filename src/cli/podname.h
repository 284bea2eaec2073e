/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which pod somebody means by POD, deployment/NAME or svc/NAME, with a namespace in front or by -n. Asks the
 * hub; tells what it does not find.
 */
#ifndef WEFT_CLI_PODNAME_H
#define WEFT_CLI_PODNAME_H

#include <jansson.h>

#include "base/str.h"

struct podname {
	char ns[64], pod[254];
	json_t *object;	 /* the pod, owned */
	json_t *service; /* owned, or NULL: it was named */
};
/* 0, or -1 (told). */
int podname_find(struct podname *out, const char *cluster, const char *socket_path, const char *word,
		 const char *ns);
void podname_fini(struct podname *p);
/* "/api/v1/namespaces/NS/pods/POD/SUB?". */
void podname_url(struct buf *b, const char *ns, const char *pod, const char *sub);

#endif
