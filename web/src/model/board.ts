// SPDX-License-Identifier: Apache-2.0
// The broker as the page draws it: sources, maps with their filters, tools with their ports, and the wires between them; the
// objects of the cluster with the draft laid over. Pure.
import type { Condition, ToolgroupSpec, ToolPort, ToolSpec, ToolStatus, TrafficfilterSpec, TrafficmapSpec, TrafficmapStatus, TrafficTarget } from "../api/kinds.gen.ts";
import type { ApiObject, Edit } from "../api/wire.ts";
import { type Known, type Source, sourceFor, sourcesOf } from "./source.ts";

export type MapObject = ApiObject<TrafficmapSpec, TrafficmapStatus>;
export type ToolObject = ApiObject<ToolSpec, ToolStatus>;
export type GroupObject = ApiObject<ToolgroupSpec>;
export type FilterObject = ApiObject<TrafficfilterSpec>;

export type DraftState = "same" | "new" | "changed" | "removed";
export interface Drawn<T> {
	name: string;
	object: T;
	/** As it is in force; undefined where it is new. */
	seen: T | undefined;
	state: DraftState;
}

/** One of the filters that a map has: a packet that any of them takes is taken. */
export interface Clause {
	/** Of a TrafficFilter; null: the map's own. */
	name: string | null;
	text: string;
	known: boolean;
}
export interface Target {
	key: string;
	/** As people say it. */
	title: string;
	spec: TrafficTarget;
}
export interface BoardMap extends Drawn<MapObject> {
	from: Source[];
	clauses: Clause[];
	to: Target[];
	accepted: Condition | undefined;
}
export interface BoardTool extends Drawn<ToolObject> {
	kind: string;
	/** Where copies go, in words. */
	place: string;
	ports: ToolPort[];
	healthy: Condition | undefined;
}
export type BoardGroup = Drawn<GroupObject>;
export type BoardFilter = Drawn<FilterObject>;

export interface Wire {
	id: string;
	map: string;
	/** Anchors at both ends. */
	from: string;
	to: string;
	way: "in" | "out";
	source?: Source;
	target?: Target;
}
export interface Board {
	/** Of a broker host without a cluster: its name. */
	host: string | null;
	sources: Source[];
	/** Those that maps name, in the order in which they are drawn. */
	used: Source[];
	maps: BoardMap[];
	tools: BoardTool[];
	groups: BoardGroup[];
	filters: BoardFilter[];
	wires: Wire[];
	/** Objects that were edited as text: they are drawn as they are in force. */
	asText: Edit[];
}

export const PLURALS: Readonly<Record<string, string>> = { TrafficMap: "trafficmaps", Tool: "tools", ToolGroup: "toolgroups", TrafficFilter: "trafficfilters" };

export interface BoardObjects {
	maps: readonly MapObject[];
	tools: readonly ToolObject[];
	groups: readonly GroupObject[];
	filters: readonly FilterObject[];
}

/** The objects with the edits of one kind laid over; `object` gives what an edit leaves, as far as it is known. */
function overlay<T extends ApiObject>(kind: string, live: readonly T[], edits: readonly Edit[], object: (e: Edit) => ApiObject | undefined, asText: Edit[]): Drawn<T>[] {
	const out = new Map<string, Drawn<T>>(live.map((o) => [o.metadata.name, { name: o.metadata.name, object: o, seen: o, state: "same" }]));
	for (const e of edits) {
		if (e.kind !== kind) continue;
		const was = out.get(e.name);
		if (e.verb === "delete") {
			if (was) was.state = "removed";
			continue;
		}
		const o = object(e) as T | undefined;
		if (!o) asText.push(e);
		else out.set(e.name, { name: e.name, object: o, seen: was?.seen, state: was ? "changed" : "new" });
	}
	return [...out.values()];
}

/** What was there first stands first; what is new comes last: nothing that is drawn changes its place. */
function byAge(a: Drawn<ApiObject>, b: Drawn<ApiObject>): number {
	const at = (d: Drawn<ApiObject>): string => d.seen?.metadata.creationTimestamp ?? "~";
	const x = at(a), y = at(b);
	return x < y ? -1 : x > y ? 1 : a.state === "new" && b.state === "new" ? 0 : a.name < b.name ? -1 : 1;
}

export const targetKey = (t: TrafficTarget): string => (t.group ? `group:${t.group}` : `tool:${t.tool ?? ""}/${t.port ?? "default"}`);
export const targetTitle = (t: TrafficTarget): string => (t.group ? `group ${t.group}` : portTitle(t.tool ?? "", t.port));
export const portTitle = (tool: string, port: string | undefined): string => (!port || port === "default" ? tool : `${tool}/${port}`);

export function toolKind(s: ToolSpec): string {
	for (const k of ["interface", "pod", "vxlan", "gre", "erspan", "file", "ring", "ipfix", "discard"] as const) if (s[k]) return k;
	return "nothing";
}
export function toolPlace(s: ToolSpec): string {
	if (s.interface) return `interface ${s.interface.name}${s.interface.node ? ` of ${s.interface.node}` : ""}`;
	if (s.pod) return `pod in ${s.pod.namespace}`;
	if (s.vxlan) return `VXLAN ${s.vxlan.vni} to ${s.vxlan.remote}`;
	if (s.gre) return `GRE to ${s.gre.remote}`;
	if (s.erspan) return `ERSPAN ${s.erspan.session} to ${s.erspan.remote}`;
	if (s.file) return `file ${s.file.path}`;
	if (s.ring) return `ring of ${s.ring.size ?? "64Mi"}`;
	if (s.ipfix) return `IPFIX to ${s.ipfix.collector}`;
	return s.discard ? "counted, then gone" : "nowhere";
}

export function clausesOf(s: TrafficmapSpec, filters: readonly BoardFilter[]): Clause[] {
	const out: Clause[] = [];
	if (s.filter) out.push({ name: null, text: s.filter, known: true });
	for (const r of s.filterRefs ?? []) {
		const f = filters.find((x) => x.name === r && x.state !== "removed");
		out.push({ name: r, text: f?.object.spec?.filter ?? "", known: !!f });
	}
	return out;
}

const condition = (all: Condition[] | undefined, type: string): Condition | undefined => all?.find((c) => c.type === type);

/** What chains do, in the order in which they do it. */
export function chainWords(p: ToolPort, tunnel: string): string[] {
	const c = p.chain ?? {};
	const out: string[] = [];
	if (c.sample) out.push(`1 in ${c.sample.oneIn}${c.sample.by === "Session" ? " sessions" : ""}`);
	if (c.dedup) out.push(`dedup ${c.dedup.windowMicroseconds} µs`);
	if (c.strip?.length) out.push(`strip ${c.strip.join(", ")}`);
	if (c.mask) out.push(`mask ${[...(c.mask.fields ?? []), ...(c.mask.ranges ?? []).map((r) => r.from)].join(", ")}`);
	if (c.slice) out.push(`slice ${c.slice.from && c.slice.from !== "L2" ? `${c.slice.from} + ` : ""}${c.slice.bytes} B`);
	if (c.stamp) out.push(`stamp${c.stamp.vlan ? ` VLAN ${c.stamp.vlan}` : ""}${c.stamp.trailer ? " time" : ""}`);
	if (tunnel === "vxlan" || tunnel === "gre" || tunnel === "erspan") out.push(`encapsulate ${tunnel.toUpperCase()}`);
	return out;
}

export const DEFAULT_PORT: ToolPort = { name: "default" };
export const portsOf = (s: ToolSpec | undefined): ToolPort[] => (s?.ports?.length ? s.ports : [DEFAULT_PORT]);

export function boardOf(o: BoardObjects, known: Known, edits: readonly Edit[] = [], object: (e: Edit) => ApiObject | undefined = () => undefined): Board {
	const asText: Edit[] = [];
	const filters = overlay("TrafficFilter", o.filters, edits, object, asText).sort(byAge);
	const groups = overlay<GroupObject>("ToolGroup", o.groups, edits, object, asText).sort(byAge);
	const drawnMaps = overlay("TrafficMap", o.maps, edits, object, asText).sort(byAge);
	const drawnTools = overlay("Tool", o.tools, edits, object, asText).sort(byAge);
	const interfaces = new Map(known.interfaces.map((i) => [`${i.node ?? ""}/${i.name}`, i]));
	for (const m of drawnMaps) for (const s of m.object.spec?.from ?? []) if (s.interface) interfaces.set(`${s.interface.node ?? ""}/${s.interface.name}`, s.interface);
	const all = { ...known, interfaces: [...interfaces.values()] };
	const sources = sourcesOf(all);
	const byKey = new Map(sources.map((s) => [s.key, s]));
	const used = new Map<string, Source>();
	const wires: Wire[] = [];
	const maps = drawnMaps.map((d): BoardMap => {
		const spec: TrafficmapSpec = d.object.spec ?? { from: [], to: [] };
		const from = (spec.from ?? []).map((s) => sourceFor(s, byKey, all));
		const to = (spec.to ?? []).map((t): Target => ({ key: targetKey(t), title: targetTitle(t), spec: t }));
		for (const s of from) {
			used.set(s.key, s);
			wires.push({ id: `in ${d.name} ${s.key}`, map: d.name, from: `source ${s.key}`, to: `map-in ${d.name}`, way: "in", source: s });
		}
		for (const t of to) wires.push({ id: `out ${d.name} ${t.key}`, map: d.name, from: `map-out ${d.name}`, to: t.key, way: "out", target: t });
		return { ...d, from, to, clauses: clausesOf(spec, filters), accepted: condition(d.object.status?.conditions, "Accepted") };
	});
	const tools = drawnTools.map((d): BoardTool => {
		const spec = d.object.spec ?? {};
		return { ...d, kind: toolKind(spec), place: toolPlace(spec), ports: portsOf(spec), healthy: condition(d.object.status?.conditions, "Healthy") };
	});
	const first = (leads: (t: TrafficTarget) => boolean): number => {
		const i = drawnMaps.findIndex((m) => m.seen?.spec?.to.some(leads));
		return i < 0 ? drawnMaps.length : i;
	};
	// Beside the first map in force that leads there, so that wires cross seldom.
	const beside = <T extends Drawn<ApiObject>>(all: T[], leads: (d: T) => (t: TrafficTarget) => boolean): T[] =>
		all.map((d, i) => ({ d, i, at: first(leads(d)) })).sort((a, b) => a.at - b.at || a.i - b.i).map((x) => x.d);
	return {
		host: known.host ?? null, sources, used: [...used.values()], maps, filters, wires, asText,
		tools: beside(tools, (d) => (t) => t.tool === d.name),
		groups: beside(groups, (d) => (t) => t.group === d.name),
	};
}

