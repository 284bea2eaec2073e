// SPDX-License-Identifier: Apache-2.0
// What a change would do, as the hub's answers say: flows that open and close (`weft diff -o json`), tools that get more or
// less (`weft plan --traffic -o json`). Pure.
import { placeOf } from "./why.ts";

export interface Effect {
	from: string;
	to: string;
	ports: string;
	was: string;
	now: "allowed" | "refused";
	cause: string;
}

interface DiffAnswer {
	changes?: {
		from: string[];
		to: string[];
		ports: { protocol: string; from?: number; to?: number }[];
		was: string;
		now: "allowed" | "refused";
		causes?: { what: string; object: string; file?: string; line?: number; column?: number }[];
	}[];
}

export function portWords(ports: { protocol: string; from?: number; to?: number }[]): string {
	const every = ports.every((p) => p.from === undefined || (p.from === 0 && p.to === 65535));
	if (every && ports.length > 2) return "everything";
	return ports.map((p) => (p.from === undefined || (p.from === 0 && p.to === 65535) ? p.protocol : p.from === p.to ? `${p.protocol}/${p.from}` : `${p.protocol}/${p.from}–${p.to}`)).join(", ");
}

export function readEffects(answer: unknown): Effect[] {
	return ((answer as DiffAnswer).changes ?? []).map((c) => ({
		from: c.from.join(", "),
		to: c.to.join(", "),
		ports: portWords(c.ports),
		was: c.was,
		now: c.now,
		cause: (c.causes ?? []).map((x) => [x.what, x.object, x.file === "input" ? "in the draft" : placeOf(x)].filter(Boolean).join(" ")).join("; "),
	}));
}

export interface ToolForecast {
	name: string;
	packets: number;
	/** Bytes a second, by the maps as they would be; before: null where it is the same. */
	bytes: number;
	wasBytes: number | null;
	warnings: string[];
	overlaps: string[];
}

export interface ForecastTool {
	tool: string;
	port: string;
	bitsNow: number;
	packets: number;
	bits: number;
	peakBits: number;
	capacity?: number;
	/** Its busiest interval would take more than 80 % of its capacity. */
	full?: boolean;
	/** Some of its maps cannot be foretold: it gets at least so much. */
	least?: boolean;
}
export interface ForecastAnswer {
	/** Of the recorded traffic that it is held against. */
	seconds?: number;
	tools?: ForecastTool[];
	overlaps?: string[];
	unknown?: string[];
	/** Packets that would be too large for a tool. */
	remarks?: { level: string; tool: string; port: string; text: string; hint?: string }[];
}

/** Tools that get something, or get less than before. */
export function readForecast(answer: unknown): ToolForecast[] {
	const a = answer as ForecastAnswer;
	return (a.tools ?? [])
		.filter((t) => t.bits > 0 || t.bitsNow > 0 || a.remarks?.some((r) => r.tool === t.tool && r.port === t.port))
		.map((t) => {
			const name = t.port && t.port !== "default" ? `${t.tool}/${t.port}` : t.tool;
			const share = t.capacity ? Math.round((100 * t.peakBits) / t.capacity) : 0;
			return {
				name,
				packets: t.packets,
				bytes: t.bits / 8,
				wasBytes: Math.abs(t.bits - t.bitsNow) > 1 ? t.bitsNow / 8 : null,
				warnings: [
					...(t.full || share > 80 ? [`its busiest interval takes ${share} % of its capacity`] : []),
					...(a.remarks ?? []).filter((r) => r.tool === t.tool && r.port === t.port).map((r) => r.text),
					...(t.least ? ["at least: some of its maps cannot be foretold"] : []),
				],
				overlaps: (a.overlaps ?? []).filter((o) => o.includes(t.tool)),
			};
		});
}
