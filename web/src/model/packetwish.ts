// SPDX-License-Identifier: Apache-2.0
// From what the map and the flows show to a capture of just that: packets have addresses and ports, and no names. Pure.
import type { TrafficSource } from "../api/kinds.gen.ts";
import type { ApiObject, Edge } from "../api/wire.ts";
import { type CaptureWish, emptyWish } from "./captureform.ts";

/** More addresses or ports than these make no filter that a person reads: then what is left says enough. */
const ADDRESSES_MOST = 40, PORTS_MOST = 12;

/** Addresses of pods and of the Services that lead to them: at the caller a packet goes to the Service. */
export function addressesOf(pods: readonly ApiObject[], services: readonly ApiObject[]): string[] {
	const out = new Set<string>();
	for (const p of pods) for (const a of (p.status as { podIPs?: { ip: string }[] } | undefined)?.podIPs ?? []) out.add(a.ip);
	for (const s of services) for (const a of (s.spec as { clusterIPs?: string[] } | undefined)?.clusterIPs ?? []) if (a !== "None") out.add(a);
	return [...out];
}

const oneOf = (field: string, values: readonly string[]): string => (values.length === 1 ? `${field} == ${values[0]}` : `${field} in {${values.join(", ")}}`);

/** The terms for protocols and ports of some edges; "" where they say nothing. `ports` are those of the Services before them, too. */
export function portTerms(edges: readonly Pick<Edge, "protocol" | "port">[], more: readonly number[] = []): string {
	const by = new Map<string, Set<number>>();
	for (const e of edges) (by.get(e.protocol) ?? by.set(e.protocol, new Set()).get(e.protocol))?.add(e.port);
	const terms: string[] = [];
	for (const [protocol, ports] of by) {
		if (protocol !== "tcp" && protocol !== "udp" && protocol !== "sctp") return "";
		const all = ports.has(0) ? [] : [...new Set([...ports, ...more])];
		terms.push(all.length && all.length <= PORTS_MOST ? `${protocol} && ${oneOf("port", all.map(String))}` : protocol);
	}
	return terms.length > 1 ? terms.map((t) => (t.includes("&&") ? `(${t})` : t)).join(" || ") : (terms[0] ?? "");
}

/** What passes at `source` between it and those addresses; none: with anybody. */
export function wishFor(source: TrafficSource, ports: string, peers: readonly string[]): CaptureWish {
	const who = peers.length && peers.length <= ADDRESSES_MOST ? oneOf("ip", peers) : "";
	return { ...emptyWish(), from: [source], filter: [ports.includes("||") && who ? `(${ports})` : ports, who].filter(Boolean).join(" && ") };
}

/** The two commands that need no hub: at a shell of the cluster's machine, and as an interface of Wireshark. */
export function extcapCommand(w: CaptureWish, cluster: string, quote: (text: string) => string): string {
	return `wireshark -k -i weft-${cluster}${w.filter.trim() ? ` -f ${quote(w.filter.trim())}` : ""}`;
}
