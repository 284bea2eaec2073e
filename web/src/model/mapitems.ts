// SPDX-License-Identifier: Apache-2.0
// What stands on the map and in which box: workloads with the Services in front of them, Services that nothing backs, nodes,
// what is outside, tools. Read from the objects and from the ends of the graph. Pure.
import type { ApiObject, End } from "../api/wire.ts";
import { behindSets, endOfWorkload, workloadOf } from "./workload.ts";

export type ItemKind = "workload" | "service" | "node" | "outside" | "unknown" | "hidden" | "tool";
export interface MapItem {
	/** The end's name in the graph. */
	id: string;
	kind: ItemKind;
	title: string;
	/** "Deployment", "Service", …: what it is, in a word. */
	what: string;
	namespace: string;
	/** Pods of a workload. */
	pods: number;
	ready: number;
	/** Where those run. */
	nodes: string[];
	/** "namespace/name" of the Services that pods of it back. */
	services: string[];
}
export type GroupKind = "outside" | "namespace" | "node" | "tools";
export interface MapGroup {
	id: string;
	kind: GroupKind;
	title: string;
	items: MapItem[];
}
export type Layer = "namespace" | "node";
type Box = { id: string; kind: GroupKind; title: string };

export interface MapObjects {
	namespaces: readonly ApiObject[];
	nodes: readonly ApiObject[];
	pods: readonly ApiObject<{ nodeName?: string }, { phase?: string; conditions?: { type: string; status: string }[] }>[];
	replicasets: readonly ApiObject[];
	/** Deployments, StatefulSets, DaemonSets, Jobs: they are there without a pod, too. */
	workloads: readonly ApiObject<{ selector?: unknown }>[];
	services: readonly ApiObject<{ selector?: Record<string, string> }>[];
	tools: readonly ApiObject[];
}

export function isReady(pod: MapObjects["pods"][number]): boolean {
	return pod.status?.conditions?.some((c) => c.type === "Ready" && c.status === "True") ?? false;
}

function workloads(o: MapObjects, items: Map<string, MapItem>): void {
	const owner = behindSets(o.replicasets);
	const add = (namespace: string, kind: string, name: string): MapItem => {
		const id = endOfWorkload({ namespace, kind, name });
		let i = items.get(id);
		if (!i) items.set(id, (i = { id, kind: "workload", title: name, what: kind, namespace, pods: 0, ready: 0, nodes: [], services: [] }));
		return i;
	};
	for (const w of o.workloads) add(w.metadata.namespace ?? "default", w.kind, w.metadata.name);
	const byNamespace = new Map<string, MapObjects["services"][number][]>();
	for (const s of o.services) {
		if (!s.spec?.selector || !Object.keys(s.spec.selector).length) continue;
		const list = byNamespace.get(s.metadata.namespace ?? "default");
		if (list) list.push(s);
		else byNamespace.set(s.metadata.namespace ?? "default", [s]);
	}
	for (const p of o.pods) {
		if (p.status?.phase === "Succeeded" || p.status?.phase === "Failed") continue;
		const w = workloadOf(p, owner);
		const i = add(w.namespace, w.kind, w.name);
		i.pods++;
		if (isReady(p)) i.ready++;
		if (p.spec?.nodeName && !i.nodes.includes(p.spec.nodeName)) i.nodes.push(p.spec.nodeName);
		const labels = p.metadata.labels ?? {};
		for (const s of byNamespace.get(w.namespace) ?? []) {
			const key = `${w.namespace}/${s.metadata.name}`;
			if (!i.services.includes(key) && Object.entries(s.spec?.selector ?? {}).every(([k, v]) => labels[k] === v)) i.services.push(key);
		}
	}
	for (const i of items.values()) i.nodes.sort();
}

function fromEnd(e: End): MapItem {
	const base = { id: e.id, namespace: e.namespace ?? "", pods: e.pods ?? 0, ready: 0, nodes: [], services: [] };
	if (e.kind === "hidden") return { ...base, kind: "hidden", title: "Hidden", what: "not yours to view" };
	if (e.kind === "unknown") return { ...base, kind: "unknown", title: e.name || "Unknown", what: "nobody's address" };
	if (e.kind === "outside") return { ...base, kind: "outside", title: e.name || "Outside", what: "outside" };
	if (e.kind === "node") return { ...base, kind: "node", title: e.name ?? "", what: "Node" };
	return { ...base, kind: e.kind, title: e.name ?? e.id, what: e.kind === "service" ? "Service" : (e.workloadKind ?? "") };
}

/** Everything on the map by its end's name, and which item an end without one of its own is shown at. */
export function readItems(o: MapObjects, ends: Iterable<End>): { items: Map<string, MapItem>; at: Map<string, string> } {
	const items = new Map<string, MapItem>(), at = new Map<string, string>();
	workloads(o, items);
	const backed = new Map<string, string>();
	for (const i of items.values()) for (const s of i.services) if (!backed.has(s)) backed.set(s, i.id);
	for (const s of o.services) {
		const namespace = s.metadata.namespace ?? "default";
		const id = endOfWorkload({ namespace, kind: "Service", name: s.metadata.name });
		const behind = backed.get(`${namespace}/${s.metadata.name}`);
		if (behind) at.set(id, behind);
		else items.set(id, { id, kind: "service", title: s.metadata.name, what: "Service without pods", namespace, pods: 0, ready: 0, nodes: [], services: [`${namespace}/${s.metadata.name}`] });
	}
	for (const n of o.nodes) items.set(`node/${n.metadata.name}`, { id: `node/${n.metadata.name}`, kind: "node", title: n.metadata.name, what: "Node", namespace: "", pods: 0, ready: 0, nodes: [n.metadata.name], services: [] });
	for (const t of o.tools) items.set(`tool/${t.metadata.name}`, { id: `tool/${t.metadata.name}`, kind: "tool", title: t.metadata.name, what: "Tool", namespace: "", pods: 0, ready: 0, nodes: [], services: [] });
	for (const e of ends) if (!items.has(e.id) && !at.has(e.id)) items.set(e.id, fromEnd(e));
	return { items, at };
}

function byNamespace(i: MapItem): Box {
	if (i.kind === "node") return { id: "g:machines", kind: "outside", title: "Nodes" };
	if (!i.namespace) return { id: "g:outside", kind: "outside", title: "Outside" };
	return { id: `g:ns/${i.namespace}`, kind: "namespace", title: i.namespace };
}
function byNode(i: MapItem): Box {
	if (!i.nodes.length) return byNamespace(i);
	const one = i.nodes.length === 1;
	return { id: one ? `g:node/${i.nodes[0]}` : "g:nodes", kind: "node", title: one ? (i.nodes[0] ?? "") : "On several nodes" };
}

/** In which boxes things stand: one more way is one more row here. Tools stand in a box of their own in each. */
export const LAYERS: readonly { id: Layer; title: string; boxOf: (i: MapItem) => Box }[] = [
	{ id: "namespace", title: "Namespaces", boxOf: byNamespace },
	{ id: "node", title: "Nodes", boxOf: byNode },
];
/** The layer behind this one; behind the last comes the first. */
export function nextLayer(by: Layer): Layer {
	return LAYERS[(LAYERS.findIndex((l) => l.id === by) + 1) % LAYERS.length]?.id ?? by;
}

/** The boxes in their order: what is outside, then names, then tools. */
export function readGroups(items: Iterable<MapItem>, by: Layer): MapGroup[] {
	const groups = new Map<string, MapGroup>();
	const boxOf = LAYERS.find((l) => l.id === by)?.boxOf ?? byNamespace;
	for (const i of items) {
		const b: Box = i.kind === "tool" ? { id: "g:tools", kind: "tools", title: "Tools" } : boxOf(i);
		let g = groups.get(b.id);
		if (!g) groups.set(b.id, (g = { ...b, items: [] }));
		g.items.push(i);
	}
	const rank: Record<GroupKind, number> = { outside: 0, namespace: 1, node: 1, tools: 2 };
	for (const g of groups.values()) g.items.sort((a, b) => (a.title < b.title ? -1 : a.title > b.title ? 1 : 0));
	return [...groups.values()].sort((a, b) => rank[a.kind] - rank[b.kind] || (a.title < b.title ? -1 : 1));
}
