// SPDX-License-Identifier: Apache-2.0
// The hub's forecast in the words that stand beside what is carried: how much a tool would get, what it has free, what reaches
// it already, what is too large for it. Pure.
import type { ToolgroupSpec, TrafficmapSpec } from "../api/kinds.gen.ts";
import type { Board } from "./board.ts";
import { portTitle } from "./board.ts";
import type { ForecastAnswer, ForecastTool } from "./effect.ts";
import { bitsPerSecond, packetsPerSecond } from "./units.ts";
import type { Step } from "./wiring.ts";

export interface Foretold {
	lines: { level: "plain" | "warn"; text: string }[];
	/** What the tools of the step would get more than now, bits a second. */
	bits: number;
}

/** Tool ports, as TOOL/PORT, that the maps of a step lead to; of groups, all members. */
export function portsTouched(b: Board, s: Step): Set<string> {
	const out = new Set<string>();
	const groups = new Map(b.groups.map((g) => [g.name, g.object.spec]));
	for (const p of s.puts) if (p.kind === "ToolGroup") groups.set(p.object.metadata.name, p.object.spec as ToolgroupSpec);
	for (const p of s.puts) {
		if (p.kind !== "TrafficMap") continue;
		for (const t of (p.object.spec as TrafficmapSpec).to) {
			if (t.tool) out.add(`${t.tool}/${t.port ?? "default"}`);
			for (const m of (t.group && groups.get(t.group)?.members) || []) out.add(`${m.tool}/${m.port ?? "default"}`);
		}
	}
	return out;
}

const OVERLAP = /^(\S+ %) of what map (\S+) takes for (\S+) already reaches it through map (\S+); it gets one copy$/;

/** "12 % of this already reaches ids-1 through map web; it will get one copy", of maps of the step; "" of others. */
export function overlapWords(line: string, maps: ReadonlySet<string>, ports: ReadonlySet<string>): string {
	const m = OVERLAP.exec(line);
	const [, share, map, port, other] = m ?? [];
	if (!share || !map || !port || !other || !maps.has(map) || !ports.has(port)) return "";
	const at = port.lastIndexOf("/");
	return `${share} of this already reaches ${portTitle(port.slice(0, at), port.slice(at + 1))} through map ${other}; it will get one copy`;
}

const percent = (part: number, whole: number): string => {
	const p = (100 * part) / whole;
	return `${p >= 9.5 || p === 0 ? Math.round(p) : p.toFixed(1)} %`;
};

function toolLines(t: ForecastTool, out: Foretold): void {
	const name = portTitle(t.tool, t.port), least = t.least ? "at least " : "";
	const more = t.bits - t.bitsNow;
	const was = t.bitsNow > 0 && Math.abs(more) > 1 ? `, now ${bitsPerSecond(t.bitsNow / 8)}` : "";
	out.bits += Math.max(0, more);
	out.lines.push({ level: "plain", text: `${name} would get ${least}${bitsPerSecond(t.bits / 8)}, ${packetsPerSecond(t.packets)}${was}` });
	if (!t.capacity) return;
	const all = bitsPerSecond(t.capacity / 8);
	if (t.full) out.lines.push({ level: "warn", text: `${name} would be too small: its busiest moment takes ${percent(t.peakBits, t.capacity)} of its ${all}` });
	else out.lines.push({ level: "plain", text: `${bitsPerSecond(Math.max(0, t.capacity - t.peakBits) / 8)} of its ${all} stay free at the busiest moment` });
}

export function foretell(b: Board, s: Step, a: ForecastAnswer): Foretold {
	const out: Foretold = { lines: [], bits: 0 };
	const ports = portsTouched(b, s);
	const maps = new Set(s.puts.filter((p) => p.kind === "TrafficMap").map((p) => p.object.metadata.name));
	for (const t of a.tools ?? []) if (ports.has(`${t.tool}/${t.port}`)) toolLines(t, out);
	for (const r of a.remarks ?? []) if (ports.has(`${r.tool}/${r.port}`)) out.lines.push({ level: "warn", text: r.hint ? `${r.text} (${r.hint})` : r.text });
	for (const o of a.overlaps ?? []) {
		const text = overlapWords(o, maps, ports);
		if (text) out.lines.push({ level: "plain", text });
	}
	for (const u of a.unknown ?? []) if ([...maps].some((m) => u.startsWith(`map ${m} `))) out.lines.push({ level: "plain", text: u });
	return out;
}
