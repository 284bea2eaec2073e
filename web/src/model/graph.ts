// SPDX-License-Identifier: Apache-2.0
// Who talks to whom: the ends and edges of the newest frames. Pure; an edge that is gone is left out at once, and an end with its
// last edge, as at the hub: a page that is open for days holds what the newest frame of a new one would.
import type { Edge, End, GraphEvent } from "../api/wire.ts";

export interface Graph {
	at: number;
	seconds: number;
	ends: Map<string, End>;
	edges: Map<string, Edge>;
}

export function emptyGraph(): Graph {
	return { at: 0, seconds: 5, ends: new Map(), edges: new Map() };
}

/** Takes a frame in place. True: which ends there are may be others now. */
export function takeGraph(g: Graph, e: GraphEvent): boolean {
	const others = e.full || e.ends.some((x) => !g.ends.has(x.id));
	if (e.full) {
		g.ends.clear();
		g.edges.clear();
	}
	g.at = e.at;
	g.seconds = e.seconds;
	for (const x of e.ends) g.ends.set(x.id, x);
	for (const x of e.edges) g.edges.set(x.id, x);
	const left = new Set<string>();
	for (const id of e.gone) {
		const x = g.edges.get(id);
		if (x && g.edges.delete(id)) left.add(x.from).add(x.to);
	}
	if (!left.size) return others;
	for (const x of g.edges.values()) {
		left.delete(x.from);
		left.delete(x.to);
	}
	for (const id of left) g.ends.delete(id);
	return others || left.size > 0;
}

export function dropRate(e: Edge): number {
	let sum = 0;
	for (const k in e.drops) sum += e.drops[k] ?? 0;
	return sum;
}
export function byteRate(e: Edge): number {
	return e.bytes[0] + e.bytes[1];
}

/** All edges between two ends as one: what the map draws. */
export interface Link {
	id: string;
	from: string;
	to: string;
	edges: Edge[];
	bytes: number;
	packets: number;
	drops: number;
	lost: number;
	/** The largest median of handshake or answer times, ms. */
	latency: number | null;
}

export function linksOf(edges: Iterable<Edge>, endOf: (id: string) => string = (id) => id): Map<string, Link> {
	const links = new Map<string, Link>();
	for (const e of edges) {
		const from = endOf(e.from), to = endOf(e.to);
		if (from === to) continue;
		const id = `${from}→${to}`;
		let l = links.get(id);
		if (!l) links.set(id, (l = { id, from, to, edges: [], bytes: 0, packets: 0, drops: 0, lost: 0, latency: null }));
		l.edges.push(e);
		l.bytes += byteRate(e);
		l.packets += e.packets[0] + e.packets[1];
		l.drops += dropRate(e);
		l.lost += e.lost ?? 0;
		if (e.latencyMs) l.latency = Math.max(l.latency ?? 0, e.latencyMs[0]);
	}
	return links;
}
