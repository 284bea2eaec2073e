/* SPDX-License-Identifier: Apache-2.0 */
/* Datagrams from anywhere: any bytes are no message, or one whose parts lie within them and make a whole. */
#include <stdlib.h>

#include "copier/relay.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct relay_way w = {.from = addr_from4(1), .to = addr_from4(2), .mtu = 65535};
	struct relay_message m, again;
	static uint8_t frame[14 + 65535 + 65535];
	uint32_t n, offset, len;

	if (!relay_read(&m, data, size))
		return 0;
	if (!m.key || m.n > size || (m.n && (m.bytes < data || m.bytes + m.n > data + size)))
		abort();
	if (m.kind == RELAY_PART) {
		relay_part(m.total, m.parts, m.part, &offset, &len);
		if (len != m.n || offset + len > m.total || m.total > RELAY_COPY_MAX)
			abort();
	}
	if (size > 65000)
		return 0;
	n = relay_frame(&w, &m, 0, 0, frame);
	if (!relay_read(&again, frame + 42, n - 42) || again.kind != m.kind || again.key != m.key ||
	    again.n != m.n)
		abort();
	return 0;
}
