// SPDX-License-Identifier: Apache-2.0
// Whose packets reach which tool: for each tool the ends of the map that its TrafficMaps name, with what the tool's own counters say
// it got and lost. What one source alone sends is known to the packet; of several only the sum is. Pure.
import type { ToolgroupSpec, TrafficmapSpec, TrafficSource } from "../api/kinds.gen.ts";
import type { ApiObject, BrokerEvent } from "../api/wire.ts";
import { lossWords, portRate } from "./rates.ts";
import { type Known, podsOf } from "./source.ts";
import { selects } from "./selector.ts";
import { perSecond } from "./units.ts";

export interface CopyLine {
	id: string;
	/** The end of the map that is tapped, and the tool's. */
	from: string;
	to: string;
	tool: string;
	/** TrafficMaps that lead there from here. */
	maps: string[];
	/** Packets and bytes a second that the tool got from here; null: from several sources, or not known. */
	sent: number | null;
	bytes: number | null;
	/** Packets a second that its kernel took here for any tool; null: not known. */
	taken: number | null;
}
export interface CopyTool {
	tool: string;
	to: string;
	/** Ends that lead there. */
	sources: number;
	/** Of all its ports on all nodes, a second. */
	sent: number;
	bytes: number;
	lost: number;
	/** "queue 12/s, disk 3/s". */
	losses: string;
	/** Nodes where it takes nothing. */
	stuck: string[];
}
export interface Copies {
	lines: CopyLine[];
	tools: Map<string, CopyTool>;
}
export interface CopyObjects {
	maps: readonly ApiObject<TrafficmapSpec>[];
	groups: readonly ApiObject<ToolgroupSpec>[];
	tools: readonly ApiObject[];
	known: Known;
	/** The end of the map that a pod belongs to. */
	endOf: (pod: ApiObject) => string;
}

const HOST = "kubernetes.io/hostname";

/** Ends that a source means, each with the names of the places there ("shop/page-1"; none for a node's uplink). */
function endsOf(s: TrafficSource, o: CopyObjects): Map<string, string[]> {
	const out = new Map<string, string[]>();
	if (s.uplink || s.interface) {
		for (const n of o.known.nodes) {
			const name = n.metadata.name, one = s.interface?.node;
			if (s.uplink ? selects(s.uplink.nodeSelector, { [HOST]: name, ...n.metadata.labels }) : !one || one === name) out.set(`node/${name}`, []);
		}
		return out;
	}
	for (const p of podsOf(s, o.known)) {
		const end = o.endOf(p), names = out.get(end) ?? [];
		names.push(`${p.metadata.namespace ?? "default"}/${p.metadata.name}`);
		out.set(end, names);
	}
	return out;
}

function toolsOf(m: ApiObject<TrafficmapSpec>, groups: CopyObjects["groups"]): Set<string> {
	const out = new Set<string>();
	for (const t of m.spec?.to ?? []) {
		if (t.tool) out.add(t.tool);
		const g = t.group ? groups.find((x) => x.metadata.name === t.group)?.spec : undefined;
		for (const x of g?.members ?? []) out.add(x.tool);
	}
	return out;
}

/** Tools by their ports on all nodes, as their own counters say; a tool that no weft-copier told of is left out. */
function toolRates(e: BrokerEvent | null): Map<string, CopyTool> {
	const out = new Map<string, CopyTool>();
	for (const port of new Set((e?.tools ?? []).map((t) => JSON.stringify([t.tool, t.port])))) {
		const [tool, name] = JSON.parse(port) as [string, string];
		const r = portRate(e, tool, name);
		if (!r) continue;
		const t = out.get(tool) ?? { tool, to: `tool/${tool}`, sources: 0, sent: 0, bytes: 0, lost: 0, losses: "", stuck: [] };
		t.sent += r.sent;
		t.bytes += r.bytes;
		t.lost += r.lost;
		t.losses = [t.losses, lossWords(r.losses, perSecond)].filter(Boolean).join(", ");
		for (const n of r.stuck) if (!t.stuck.includes(n)) t.stuck.push(n);
		out.set(tool, t);
	}
	return out;
}

export function copiesOf(o: CopyObjects, e: BrokerEvent | null): Copies {
	const lines = new Map<string, CopyLine>(), pods = new Map<string, Set<string>>();
	const there = new Set(o.tools.map((t) => t.metadata.name));
	for (const m of o.maps) {
		const tools = [...toolsOf(m, o.groups)].filter((t) => there.has(t));
		for (const s of m.spec?.from ?? [])
			for (const [end, names] of endsOf(s, o)) {
				for (const n of names) (pods.get(end) ?? pods.set(end, new Set()).get(end))?.add(n);
				for (const tool of tools) {
					const id = `${end}⇒tool/${tool}`;
					const l = lines.get(id) ?? { id, from: end, to: `tool/${tool}`, tool, maps: [], sent: null, bytes: null, taken: null };
					if (!l.maps.includes(m.metadata.name)) l.maps.push(m.metadata.name);
					lines.set(id, l);
				}
			}
	}
	const tools = toolRates(e);
	for (const l of lines.values()) {
		const t = tools.get(l.tool);
		if (t) t.sources++;
		const places = e?.places.filter((p) => (p.kind === "pod" ? pods.get(l.from)?.has(p.name) : l.from === `node/${p.node}`)) ?? [];
		if (places.length && places.every((p) => p.taken !== null)) l.taken = places.reduce((s, p) => s + (p.taken ?? 0), 0);
	}
	for (const l of lines.values()) {
		const t = tools.get(l.tool);
		if (t?.sources === 1) [l.sent, l.bytes] = [t.sent, t.bytes];
	}
	return { lines: [...lines.values()].sort((a, b) => (a.id < b.id ? -1 : 1)), tools };
}

/** Lines between what is shown: ends in a closed box are one. */
export function shownLines(lines: readonly CopyLine[], shownAt: (id: string) => string): CopyLine[] {
	const out = new Map<string, CopyLine>();
	for (const l of lines) {
		const from = shownAt(l.from), to = shownAt(l.to);
		if (from === to) continue;
		const id = `${from}⇒${to}`, was = out.get(id);
		if (!was) {
			out.set(id, { ...l, id, from, to });
			continue;
		}
		const sum = (a: number | null, b: number | null): number | null => (a === null || b === null ? null : a + b);
		out.set(id, { ...was, tool: was.tool === l.tool ? l.tool : "", maps: [...new Set([...was.maps, ...l.maps])], sent: sum(was.sent, l.sent), bytes: sum(was.bytes, l.bytes), taken: sum(was.taken, l.taken) });
	}
	return [...out.values()];
}
