/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stream: what goes between the hub, which speaks kubectl's protocols, and whoever runs the containers (the
 * sandbox), over one Unix socket, one connection for each session. The hub is unprivileged and parses what
 * clients send; the runtime gets only a request that was checked, and frames.
 *
 * First a line of JSON from the hub:
 *   {"do":"exec",   "namespace":s, "pod":s, "container":s, "command":[s…], "stdin":b, "stdout":b, "stderr":b,
 * "tty":b}
 *   {"do":"attach", "namespace":s, "pod":s, "container":s, "stdin":b, "stdout":b, "stderr":b, "tty":b}
 *   {"do":"logs",   "namespace":s, "pod":s, "container":s, "follow":b, "previous":b, "timestamps":b,
 *                   "tail":n or -1, "since":nanoseconds since 1970 or 0, "limit":bytes or -1}
 *   {"do":"forward","namespace":s, "pod":s, "port":n}
 * "container" may be "" (then the pod's first, or the one that kubectl.kubernetes.io/default-container
 * names). Then a line of JSON from the runtime: {} or {"code":n,"reason":s,"message":s} as in a Kubernetes
 * Status, and the end. After {} frames go both ways: struct stream_frame, then len bytes. A side that reads
 * slowly makes the other wait; nothing is dropped. End of file from the hub: the client went away (exec: the
 * program gets SIGHUP; forward: the connection is closed both ways).
 */
#ifndef WEFT_SERVE_STREAM_H
#define WEFT_SERVE_STREAM_H

#include <stdint.h>

enum stream_channel {
	STREAM_IN = 0,	   /* to the program, or into the forwarded connection */
	STREAM_OUT = 1,	   /* from the program, the log, or the forwarded connection */
	STREAM_ERR = 2,	   /* its standard error; never with a tty */
	STREAM_STATUS = 3, /* once, last: JSON of a Kubernetes Status (exit code as causes[ExitCode]) */
	STREAM_RESIZE = 4, /* JSON {"Width":n,"Height":n}, to the program */
	STREAM_CLOSE = 255 /* one byte: the channel on which no more will come */
};

enum { STREAM_FRAME_MAX = 32768, STREAM_REQUEST_MAX = 1 << 20 };

struct stream_frame {
	uint8_t channel; /* enum stream_channel */
	uint8_t zero;
	uint16_t len; /* big endian, at most STREAM_FRAME_MAX */
};
_Static_assert(sizeof(struct stream_frame) == 4, "frame");

#endif
