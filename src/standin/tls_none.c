/* SPDX-License-Identifier: Apache-2.0 */
/* The plain stand-in speaks no TLS. */
#include "standin/server.h"

const struct tls_part *tls_part(void)
{
	return NULL;
}
