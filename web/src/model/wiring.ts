// SPDX-License-Identifier: Apache-2.0
// What it means to bring one thing of the broker to another, and to take one away: the objects that this leaves, as one step
// of the draft, or why it cannot be. Pure; mouse, keyboard and forms ask here.
import type { ToolgroupSpec, TrafficmapSpec, TrafficTarget } from "../api/kinds.gen.ts";
import type { ApiObject } from "../api/wire.ts";
import { type Board, type BoardGroup, type BoardMap, type Clause, type MapObject, portTitle, targetKey, targetTitle } from "./board.ts";
import { mapsOf, portSource, toolsAt } from "./ports.ts";
import { type Source, sourceKey } from "./source.ts";

export type Item =
	| { type: "source"; key: string }
	| { type: "filter"; name: string }
	| { type: "clause"; map: string; index: number }
	| { type: "rest" }
	| { type: "map"; name: string }
	| { type: "tool"; tool: string; port: string }
	| { type: "group"; name: string }
	| { type: "port"; name: string };
export type Place = Item | { type: "wire"; id: string; map: string };

export interface Put {
	kind: string;
	object: ApiObject;
}
export interface Step {
	title: string;
	puts: Put[];
	deletes: { kind: string; name: string }[];
}
export interface Refusal {
	why: string;
}
export type Meaning = Step | Refusal;
export const isStep = (m: Meaning | null): m is Step => m !== null && "title" in m;

export function idOf(i: Place): string {
	switch (i.type) {
		case "source": return `source ${i.key}`;
		case "clause": return `clause ${i.index} ${i.map}`;
		case "rest": return "rest";
		case "tool": return `tool:${i.tool}/${i.port}`;
		case "group": return `group:${i.name}`;
		case "wire": return `wire ${i.id}`;
		default: return `${i.type} ${i.name}`;
	}
}

const API = "weft.network/v1alpha1";
const mapObject = (name: string, spec: TrafficmapSpec): MapObject => ({ apiVersion: API, kind: "TrafficMap", metadata: { name }, spec });
const putMap = (m: BoardMap, spec: TrafficmapSpec): Put => ({ kind: "TrafficMap", object: { ...m.object, spec } });
const putGroup = (g: BoardGroup, spec: ToolgroupSpec): Put => ({ kind: "ToolGroup", object: { ...g.object, spec } });
const specOf = (m: BoardMap): TrafficmapSpec => m.object.spec ?? { from: [], to: [] };
const step = (title: string, ...puts: Put[]): Step => ({ title, puts, deletes: [] });

/** A name that the API takes and no other object of these has. */
export function freeName(words: string, taken: readonly { name: string }[]): string {
	const base = words.toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-+|-+$/g, "").slice(0, 50).replace(/-+$/, "") || "map";
	const has = new Set(taken.map((t) => t.name));
	if (!has.has(base)) return base;
	for (let i = 2; ; i++) if (!has.has(`${base}-${i}`)) return `${base}-${i}`;
}

// --- filters -----------------------------------------------------------------------------------------------

const isPcap = (text: string): boolean => /^\s*pcap:/.test(text);
/** A filter that stands beside && or ! without changing what it means. */
function bracketed(text: string): string {
	return /\|\||&&/.test(text) ? `(${text})` : text;
}
export function both(a: string, b: string): string | Refusal {
	if (isPcap(a) || isPcap(b)) return { why: "a pcap expression stands alone: it can be one of several filters, but not be combined by AND" };
	return `${/\|\|/.test(a) ? `(${a})` : a} && ${/\|\|/.test(b) ? `(${b})` : b}`;
}
export function either(a: string, b: string): string | Refusal {
	if (isPcap(a) || isPcap(b)) return { why: "a pcap expression stands alone: give it a name, and a map can have it beside other filters" };
	return `${bracketed(a)} || ${bracketed(b)}`;
}

function without(spec: TrafficmapSpec, ...keys: (keyof TrafficmapSpec)[]): TrafficmapSpec {
	return Object.fromEntries(Object.entries(spec).filter(([k]) => !keys.includes(k as keyof TrafficmapSpec))) as unknown as TrafficmapSpec;
}
/** The spec with these filters; those that are empty are left out. */
export function withFilters(spec: TrafficmapSpec, filter: string | undefined, refs: readonly string[]): TrafficmapSpec {
	const s = without(spec, "filter", "filterRefs");
	const { to, ...head } = s;
	return { ...head, ...(filter ? { filter } : {}), ...(refs.length ? { filterRefs: [...refs] } : {}), to };
}

function orFilter(m: BoardMap, c: Clause): Meaning {
	const spec = specOf(m);
	if (c.name !== null) {
		if (spec.filterRefs?.includes(c.name)) return { why: `${m.name} takes ${c.name} already` };
		return step(`${m.name} takes ${c.name}${m.clauses.length ? " too" : " only"}`, putMap(m, withFilters(spec, spec.filter, [...(spec.filterRefs ?? []), c.name])));
	}
	const text = spec.filter ? either(spec.filter, c.text) : c.text;
	if (typeof text !== "string") return text;
	return step(`${m.name} takes ${c.text}${m.clauses.length ? " too" : " only"}`, putMap(m, withFilters(spec, text, spec.filterRefs ?? [])));
}

/** Narrows one of a map's filters: a named one becomes part of the map's own, since others use it as it is. */
function andFilter(m: BoardMap, index: number, c: Clause): Meaning {
	const spec = specOf(m), at = m.clauses[index];
	if (!at) return { why: "that filter is gone" };
	if (at.text === c.text) return { why: "that is the same filter" };
	if (!at.known || !c.known) return { why: "a filter of that name is not there" };
	const joined = both(at.text, c.text);
	if (typeof joined !== "string") return joined;
	const refs = (spec.filterRefs ?? []).filter((r) => r !== at.name);
	const text = at.name === null || !spec.filter ? joined : either(spec.filter, joined);
	if (typeof text !== "string") return text;
	return step(`${m.name} takes ${at.name ?? at.text} only where ${c.name ?? c.text}`, putMap(m, withFilters(spec, text, refs)));
}

export function dropClause(m: BoardMap, index: number): Meaning {
	const spec = specOf(m), c = m.clauses[index];
	if (!c) return { why: "that filter is gone" };
	const what = m.clauses.length === 1 ? (spec.rest ? ": it takes all of the rest" : ": it takes everything") : "";
	return step(`${m.name} without ${c.name ?? c.text}${what}`, putMap(m, withFilters(spec, c.name === null ? undefined : spec.filter, (spec.filterRefs ?? []).filter((r) => r !== c.name))));
}

// --- wires -------------------------------------------------------------------------------------------------

function targetOf(i: Item): TrafficTarget | null {
	if (i.type === "group") return { group: i.name };
	if (i.type === "tool") return i.port === "default" ? { tool: i.tool } : { tool: i.tool, port: i.port };
	return null;
}
export function newMap(b: Board, from: readonly Source[], t: TrafficTarget, rest = false): Step {
	const what = rest ? "rest" : from.length === 1 && from[0] ? from[0].title : "map";
	const name = freeName(`${what} to ${t.group ?? portTitle(t.tool ?? "", t.port)}`, b.maps);
	const title = rest ? `what no map took to ${targetTitle(t)}` : `${from.map((s) => s.title).join(", ")} to ${targetTitle(t)}`;
	return step(title, { kind: "TrafficMap", object: mapObject(name, { from: from.map((s) => s.spec), ...(rest ? { rest: true } : {}), to: [t] }) });
}
function addSource(m: BoardMap, s: Source): Meaning {
	const spec = specOf(m);
	if (spec.from.some((x) => sourceKey(x) === s.key)) return { why: `${s.title} is a source of ${m.name} already` };
	return step(`${m.name} sees ${s.title} too`, putMap(m, { ...spec, from: [...spec.from, s.spec] }));
}
function addTarget(m: BoardMap, t: TrafficTarget): Meaning {
	const spec = specOf(m);
	if (spec.to.some((x) => targetKey(x) === targetKey(t))) return { why: `${m.name} leads to ${targetTitle(t)} already` };
	return step(`${m.name} to ${targetTitle(t)}`, putMap(m, { ...spec, to: [...spec.to, t] }));
}
function setRest(m: BoardMap): Meaning {
	const spec = specOf(m);
	if (spec.rest) return { why: `${m.name} takes the rest already` };
	if (spec.except?.length) return { why: `${m.name} has exceptions; take them away first` };
	const { to, ...head } = spec;
	return step(`${m.name} takes what no other map took`, putMap(m, { ...head, rest: true, to }));
}
/** `b` takes only what `a` did not. */
function except(a: BoardMap, b: BoardMap): Meaning {
	const spec = specOf(b);
	if (a.name === b.name) return { why: "a map is no exception of itself" };
	if (specOf(a).rest) return { why: `${a.name} takes the rest: it is no exception` };
	if (spec.except?.includes(a.name)) return { why: `${b.name} leaves out what ${a.name} took already` };
	const { to, ...head } = spec;
	return step(`${b.name} takes only what ${a.name} did not`, putMap(b, { ...head, except: [...(spec.except ?? []), a.name], to }));
}

// --- groups ------------------------------------------------------------------------------------------------

type ToolItem = Extract<Item, { type: "tool" }>;
const member = (i: ToolItem): { tool: string; port?: string } => (i.port === "default" ? { tool: i.tool } : { tool: i.tool, port: i.port });

/** Both share what goes to `onto`: maps that lead there lead to the group. */
function makeGroup(b: Board, one: ToolItem, onto: ToolItem): Meaning {
	if (one.tool === onto.tool) return { why: "a group is of different tools" };
	const name = freeName(`${onto.tool} and ${one.tool}`, b.groups);
	const key = targetKey(member(onto));
	const moved = b.maps.filter((m) => m.state !== "removed" && m.to.some((t) => t.key === key));
	const group: Put = { kind: "ToolGroup", object: { apiVersion: API, kind: "ToolGroup", metadata: { name }, spec: { members: [member(onto), member(one)] } } };
	const title = `${portTitle(onto.tool, onto.port)} and ${portTitle(one.tool, one.port)} share the load`;
	return step(
		title, group,
		...moved.map((m) => putMap(m, { ...specOf(m), to: specOf(m).to.filter((t) => targetKey(t) !== targetKey({ group: name })).map((t) => (targetKey(t) === key ? { group: name } : t)) })),
	);
}
function addMember(g: BoardGroup, t: ToolItem): Meaning {
	const spec = g.object.spec ?? { members: [] };
	if (spec.members.some((m) => targetKey(m) === targetKey(member(t)))) return { why: `${portTitle(t.tool, t.port)} is in ${g.name} already` };
	return step(`${g.name} with ${portTitle(t.tool, t.port)}`, putGroup(g, { ...spec, members: [...spec.members, member(t)] }));
}

// --- ports of a host ----------------------------------------------------------------------------------------

const sourceOfPort = (b: Board, name: string): Source => {
	const spec = portSource(b, name), key = sourceKey(spec);
	return b.used.find((s) => s.key === key) ?? { key, spec, kind: "interface", title: name, detail: "interface", pods: null };
};

/** What is seen at one port leaves by the other: a map to the Tool of that interface, which is made where none is. */
function portToPort(b: Board, from: string, to: string): Meaning {
	const source = sourceOfPort(b, from);
	const there = toolsAt(b, to)[0];
	if (there) {
		const port = there.ports[0]?.name ?? "default";
		const target: TrafficTarget = port === "default" ? { tool: there.name } : { tool: there.name, port };
		const same = mapsOf(b, from).find((m) => !m.clauses.length && !m.object.spec?.rest && m.to.some((t) => t.key === targetKey(target)));
		if (same) return { why: `everything of ${from} leads to ${to} already, by map ${same.name}` };
		const made = newMap(b, [source], target);
		return { ...made, title: `${from} to ${to}` };
	}
	const name = freeName(to, b.tools);
	const object: ApiObject = { apiVersion: API, kind: "Tool", metadata: { name }, spec: { interface: { name: to } } };
	const map = newMap(b, [source], { tool: name });
	return { title: `${from} to ${to}`, puts: [{ kind: "Tool", object }, ...map.puts], deletes: [] };
}

// --- one brought to the other -------------------------------------------------------------------------------

function clauseOf(b: Board, i: Item): Clause | null {
	if (i.type === "filter") {
		const f = b.filters.find((x) => x.name === i.name && x.state !== "removed");
		return f ? { name: i.name, text: f.object.spec?.filter ?? "", known: true } : null;
	}
	if (i.type === "clause") return b.maps.find((m) => m.name === i.map)?.clauses[i.index] ?? null;
	return null;
}
const live = (b: Board, name: string): BoardMap | undefined => b.maps.find((m) => m.name === name && m.state !== "removed");
const aliveTool = (b: Board, i: ToolItem): boolean => b.tools.some((t) => t.name === i.tool && t.state !== "removed");

/** null: these two have nothing to do with each other. The order does not matter, but for maps, filters and tools among themselves. */
export function meaning(b: Board, item: Item, place: Place): Meaning | null {
	if (idOf(item) === idOf(place)) return null;
	const at: Item = place.type === "wire" ? { type: "map", name: place.map } : place;
	return towards(b, item, at) ?? (place.type === "wire" ? null : towards(b, at, item));
}

function towards(b: Board, a: Item, at: Item): Meaning | null {
	if ((a.type === "tool" && !aliveTool(b, a)) || (at.type === "tool" && !aliveTool(b, at))) return null;
	const target = targetOf(at);
	if (a.type === "port") {
		if (at.type === "port") return portToPort(b, a.name, at.name);
		const s = sourceOfPort(b, a.name);
		if (target) return newMap(b, [s], target);
		const m = at.type === "map" ? live(b, at.name) : undefined;
		return m ? addSource(m, s) : null;
	}
	if (a.type === "source") {
		const s = b.sources.find((x) => x.key === a.key) ?? b.used.find((x) => x.key === a.key);
		if (!s) return null;
		if (target) return newMap(b, [s], target);
		const m = at.type === "map" ? live(b, at.name) : undefined;
		return m ? addSource(m, s) : null;
	}
	if (a.type === "rest") {
		if (target) return b.used.length ? newMap(b, b.used, target, true) : { why: "the rest is of the sources that maps have: there is none yet" };
		const m = at.type === "map" ? live(b, at.name) : undefined;
		return m ? setRest(m) : null;
	}
	if (a.type === "filter" || a.type === "clause") {
		const c = clauseOf(b, a);
		if (!c) return null;
		if (at.type === "clause") {
			const m = live(b, at.map);
			return m ? andFilter(m, at.index, c) : null;
		}
		const m = at.type === "map" ? live(b, at.name) : undefined;
		return m && !(a.type === "clause" && a.map === m.name) ? orFilter(m, c) : null;
	}
	if (a.type === "map") {
		const m = live(b, a.name);
		if (!m) return null;
		if (target) return addTarget(m, target);
		const other = at.type === "map" ? live(b, at.name) : undefined;
		return other ? except(m, other) : null;
	}
	if (a.type === "tool" && at.type === "tool") return makeGroup(b, a, at);
	if (a.type === "tool" && at.type === "group") {
		const g = b.groups.find((x) => x.name === at.name && x.state !== "removed");
		return g ? addMember(g, a) : null;
	}
	return null;
}

/** Everything that `item` can be brought to, with what that means; what is refused is left out. */
export function placesFor(b: Board, item: Item, places: readonly Place[]): Map<string, Step> {
	const out = new Map<string, Step>();
	for (const p of places) {
		const m = meaning(b, item, p);
		if (isStep(m)) out.set(idOf(p), m);
	}
	return out;
}
