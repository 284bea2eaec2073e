/* SPDX-License-Identifier: Apache-2.0 */
/* What an Alert says, as numbers. See alert.c. */
#ifndef WEFT_OBJECT_ALERT_H
#define WEFT_OBJECT_ALERT_H

#include "object/object.h"

/* X(id, "name"): as in tables/fields.def. */
#define ALERT_MEASURES(X)                                                                                    \
	X(RECORDS, "records")                                                                                \
	X(BYTES, "bytes")                                                                                    \
	X(PACKETS, "packets")                                                                                \
	X(RETRANSMITS, "retransmits")                                                                        \
	X(SOURCES, "sources")                                                                                \
	X(DESTINATIONS, "destinations")                                                                      \
	X(PORTS, "ports")                                                                                    \
	X(HANDSHAKE, "tcp.handshake")                                                                        \
	X(RTT, "tcp.rtt")                                                                                    \
	X(DURATION, "duration")
#define ALERT_STATISTICS(X)                                                                                  \
	X(P50, "p50") X(P90, "p90") X(P95, "p95") X(P99, "p99") X(MAX, "max") X(MEAN, "mean")
#define ALERT_WATCHES(X)                                                                                     \
	X(NODE_UNKNOWN, "NodeUnknown") X(RECORDS_LOST, "RecordsLost") X(SUMS_DIFFER, "SumsDiffer")
#define ALERT_BYS(X)                                                                                         \
	X(SRC_POD, "src.pod")                                                                                \
	X(DST_POD, "dst.pod")                                                                                \
	X(SRC_WORKLOAD, "src.workload")                                                                      \
	X(DST_WORKLOAD, "dst.workload")                                                                      \
	X(SRC_NS, "src.ns")                                                                                  \
	X(DST_NS, "dst.ns")                                                                                  \
	X(SRC_NODE, "src.node")                                                                              \
	X(DST_NODE, "dst.node")                                                                              \
	X(SRC_IP, "src.ip")                                                                                  \
	X(DST_IP, "dst.ip")                                                                                  \
	X(SERVICE, "service")                                                                                \
	X(SEEN_NODE, "seen.node")                                                                            \
	X(REASON, "reason")                                                                                  \
	X(DST_PORT, "dst.port")

#define X(id, name) ALERT_##id,
enum alert_measure { ALERT_MEASURES(X) ALERT_MEASURE_COUNT };
enum alert_statistic { ALERT_STATISTICS(X) ALERT_STATISTIC_COUNT };
enum alert_watch { ALERT_NO_WATCH, ALERT_WATCHES(X) ALERT_WATCH_COUNT };
enum alert_by { ALERT_BYS(X) ALERT_BY_COUNT };
#undef X

static inline bool alert_is_sum(enum alert_measure m)
{
	return m < ALERT_SOURCES;
}
static inline bool alert_is_time(enum alert_measure m)
{
	return m >= ALERT_HANDSHAKE;
}

struct alert_terms {
	enum alert_watch watch;
	enum alert_measure measure;
	enum alert_statistic statistic;
	uint64_t above, resolve; /* times: ns */
	uint64_t window_ms, wait_ms, keep_ms;
	uint32_t min_records, max_groups;
	enum alert_by by[ALERT_BY_COUNT];
	uint32_t n_by;
};
/* Of a validated spec. */
void alert_terms(const struct alert_spec *s, struct alert_terms *out);
/* A value as people read it: "12", "1.5M", "22.4ms". */
void alert_value_print(struct buf *b, const struct alert_terms *t, uint64_t value);
/* The label of a group: "src.pod" is "src_pod", as Prometheus takes it. */
const char *alert_by_label(enum alert_by by);
const char *alert_by_name(enum alert_by by);

#endif
