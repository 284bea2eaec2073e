// SPDX-License-Identifier: Apache-2.0
// The interfaces of a broker host as ports: how each one fares, in words and shares, and what it means to bring one to another.
// Pure.
import type { TrafficmapSpec, TrafficSource } from "../api/kinds.gen.ts";
import type { ApiObject, PortEvent } from "../api/wire.ts";
import type { Board, BoardMap, BoardTool } from "./board.ts";
import { type Source, sourceKey } from "./source.ts";
import { bitsPerSecond, packetsPerSecond, perSecond } from "./units.ts";

/** eth2 before eth10. */
const collator = new Intl.Collator("en", { numeric: true });
export const byPort = (a: { name: string }, b: { name: string }): number => collator.compare(a.name, b.name);

export interface LinkState {
	/** Its shape: never told by colour alone. */
	mark: string;
	word: string;
	level: "ok" | "warn" | "bad" | "dim";
}
export function linkState(p: PortEvent): LinkState {
	if (p.link === "up") return { mark: "●", word: "link up", level: "ok" };
	if (p.link === "no-carrier") return { mark: "▲", word: "no carrier", level: "warn" };
	if (p.link === "absent") return { mark: "✕", word: "not there", level: "bad" };
	return { mark: "○", word: "down", level: "dim" };
}

export const ROLES: Readonly<Record<PortEvent["role"], { label: string; words: string }>> = {
	in: { label: "in", words: "maps see what goes by here" },
	feed: { label: "feed", words: "what comes in here is for tools alone" },
	tool: { label: "tool", words: "copies leave here" },
	both: { label: "in + tool", words: "maps see what goes by here, and copies leave here" },
	none: { label: "–", words: "in no map" },
};

export const speedWords = (p: PortEvent): string => (p.speed ? bitsPerSecond(p.speed / 8) : "speed not known");
/** How much of the link's speed a way takes, 0 to 1; null: the speed is not known. */
export const loadOf = (p: PortEvent, way: "in" | "out"): number | null => (p.speed ? Math.min(1, (8 * p[way].bytes) / p.speed) : null);
export const rateWords = (p: PortEvent, way: "in" | "out"): string => `${packetsPerSecond(p[way].packets)}, ${bitsPerSecond(p[way].bytes)}`;

/** What is wrong there now: "" where nothing is. */
export function trouble(p: PortEvent): string {
	const now = p.in.errors + p.out.errors, dropped = p.in.drops + p.out.drops;
	return [...(now > 0 ? [`${perSecond(now)} errors`] : []), ...(dropped > 0 ? [`${perSecond(dropped)} drops`] : [])].join(", ");
}
export const errorsOf = (p: PortEvent): number => p.in.errorsAll + p.out.errorsAll;
export const dropsOf = (p: PortEvent): number => p.in.dropsAll + p.out.dropsAll;

/** Read aloud, and as the name of the button. */
export function portWords(p: PortEvent): string {
	const bad = trouble(p);
	return `Port ${p.name}, ${linkState(p).word}, ${speedWords(p)}, ${ROLES[p.role].label === "–" ? "in no map" : ROLES[p.role].label}, in ${rateWords(p, "in")}, out ${rateWords(p, "out")}${bad ? `, ${bad}` : ""}`;
}

const here = (node: string | undefined, host: string | null): boolean => !node || node === host;

/** The port as a source: in the words of a map that names it already, else in plain ones. */
export function portSource(b: Board, name: string): TrafficSource {
	const named = b.used.find((s) => s.spec.interface?.name === name && here(s.spec.interface.node, b.host));
	return { interface: named?.spec.interface ?? { name } };
}
export const portKey = (b: Board, name: string): string => sourceKey(portSource(b, name));
export const isPort = (s: Source, name: string, host: string | null): boolean => s.spec.interface?.name === name && here(s.spec.interface.node, host);

/** Tools whose copies leave by that interface. */
export const toolsAt = (b: Board, name: string): BoardTool[] =>
	b.tools.filter((t) => t.state !== "removed" && t.object.spec?.interface?.name === name && here(t.object.spec.interface.node, b.host));
/** Maps that see what goes by that interface. */
export const mapsOf = (b: Board, name: string): BoardMap[] =>
	b.maps.filter((m) => m.state !== "removed" && m.from.some((s) => isPort(s, name, b.host)));
export const isFeed = (b: Board, name: string): boolean =>
	mapsOf(b, name).some((m) => m.object.spec?.from.some((s) => s.feed && s.interface?.name === name));

/** The maps that must change for the port to be a feed, or to be none any more, with what they become. */
export function withFeed(b: Board, name: string, on: boolean): { map: BoardMap; object: ApiObject<TrafficmapSpec> }[] {
	const all = mapsOf(b, name);
	return (on ? all.slice(0, 1) : all.filter((m) => m.object.spec?.from.some((s) => s.feed && s.interface?.name === name))).map((map) => {
		const spec = map.object.spec ?? { from: [], to: [] };
		const from = spec.from.map((s): TrafficSource => {
			if (s.interface?.name !== name || !here(s.interface.node, b.host)) return s;
			const { feed: _, ...rest } = s;
			return on ? { ...rest, feed: true } : rest;
		});
		return { map, object: { ...map.object, spec: { ...spec, from } } };
	});
}
