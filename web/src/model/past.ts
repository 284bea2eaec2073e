// SPDX-License-Identifier: Apache-2.0
// The graph as it was: sums of the hub's history (POST /page/history, by from,to,service,port,protocol,verdict,reason) as ends
// and edges with the names that the live graph gives them. Pure.
import type { Edge, End } from "../api/wire.ts";
import { emptyGraph, type Graph } from "./graph.ts";

interface PastEnd {
	kind: string;
	is?: string;
	name?: string;
	namespace?: string;
	workloadKind?: string;
	workload?: string;
}
export interface PastRow {
	at: string;
	from?: PastEnd;
	to?: PastEnd;
	service?: { namespace: string; name: string; port?: number };
	port?: number;
	protocol?: string;
	verdict?: string;
	reason?: string;
	begun?: number;
	events?: number;
	bytesThere?: number;
	bytesBack?: number;
	packetsThere?: number;
	packetsBack?: number;
	unanswered?: number;
	retransmits?: number;
	handshakes?: number;
	handshakeMicroseconds?: number;
	handshakeMaxMicroseconds?: number;
}
export interface PastAnswer {
	rows: PastRow[];
	unknown?: { node: string; from: string; to: string }[];
	began?: number;
	/** Buckets of a second (a minute) that are older than this time in seconds made room for those of a minute (an hour). */
	keptSeconds?: number;
	keptMinutes?: number;
}

function endOf(e: PastEnd | undefined): End {
	if (!e) return { id: "unknown", kind: "unknown" };
	if (e.kind === "pod" && e.workload)
		return { id: `${e.namespace}/${e.workloadKind}/${e.workload}`, kind: "workload", namespace: e.namespace ?? "", name: e.workload, workloadKind: e.workloadKind ?? "" };
	if (e.kind === "service" && e.name) return { id: `${e.namespace}/${e.is ?? "Service"}/${e.name}`, kind: "service", namespace: e.namespace ?? "", name: e.name };
	if (e.kind === "node" && e.name) return { id: `node/${e.name}`, kind: "node", name: e.name };
	const kind = e.kind === "outside" || e.kind === "hidden" ? e.kind : "unknown";
	return { id: e.name ? `${kind}/${e.name}` : kind, kind, ...(e.name ? { name: e.name } : {}) };
}

export interface PastWindow {
	since: number;
	until: number;
	/** Of a bucket, where one is wider than a second. */
	step?: number;
}

/** What to ask for when the `seconds` that ended at `until` are wanted: of a time of which only minutes or hours are kept, the whole
    one in which it lies, since sums of a part of it are not known. */
export function windowOf(until: number, seconds: number, kept: Pick<PastAnswer, "keptSeconds" | "keptMinutes">): PastWindow {
	const since = until - seconds;
	if (since >= (kept.keptSeconds ?? 0)) return { since, until };
	const step = since >= (kept.keptMinutes ?? 0) ? 60 : 3600, from = Math.floor((until - 1) / step) * step;
	return { since: from, until: from + step, step };
}

/** What was in `seconds` that ended at `at` (ms), as rates. */
export function pastGraph(a: PastAnswer, at: number, seconds: number): Graph {
	const g = emptyGraph();
	g.at = at;
	g.seconds = seconds;
	const times = new Map<string, { sum: number; n: number; most: number }>();
	for (const r of a.rows) {
		const from = endOf(r.from), to = endOf(r.to);
		const service = r.service ? `${r.service.namespace}/${r.service.name}` : null;
		const protocol = (r.protocol ?? "").toLowerCase();
		const id = `${from.id}|${to.id}|${service ?? ""}|${protocol}|${r.port ?? 0}`;
		g.ends.set(from.id, from);
		g.ends.set(to.id, to);
		let e: Edge | undefined = g.edges.get(id);
		if (!e) g.edges.set(id, (e = { id, from: from.id, to: to.id, service, protocol, port: r.port ?? 0, packets: [0, 0], bytes: [0, 0], begun: 0, open: 0, drops: {}, lost: 0, latencyMs: null, last: at }));
		if (r.verdict === "dropped") {
			const why = r.reason ?? "other";
			e.drops[why] = (e.drops[why] ?? 0) + (r.events ?? 0) / seconds;
			continue;
		}
		if (r.verdict === "staged") continue;
		e.packets[0] += (r.packetsThere ?? 0) / seconds;
		e.packets[1] += (r.packetsBack ?? 0) / seconds;
		e.bytes[0] += (r.bytesThere ?? 0) / seconds;
		e.bytes[1] += (r.bytesBack ?? 0) / seconds;
		e.begun += (r.begun ?? 0) / seconds;
		e.lost = (e.lost ?? 0) + (r.retransmits ?? 0) / seconds;
		if (r.handshakes) {
			const t = times.get(id) ?? { sum: 0, n: 0, most: 0 };
			t.sum += r.handshakeMicroseconds ?? 0;
			t.n += r.handshakes;
			t.most = Math.max(t.most, r.handshakeMaxMicroseconds ?? 0);
			times.set(id, t);
			// means and largest in place of middle and 95 %: sums know no more
			e.latencyMs = [t.sum / t.n / 1000, t.most / 1000];
		}
	}
	return g;
}
