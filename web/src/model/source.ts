// SPDX-License-Identifier: Apache-2.0
// Where packets can be seen: every source that a TrafficMap or a Capture may name, from the objects of the cluster, with the
// words that people use for it. Pure.
import type { InterfaceRef, LabelSelector, TrafficSource } from "../api/kinds.gen.ts";
import type { ApiObject } from "../api/wire.ts";
import { selects } from "./selector.ts";

export type SourceKind = "pods" | "service" | "uplink" | "interface";
export interface Source {
	/** The same for two sources that name the same thing in the same words. */
	key: string;
	spec: TrafficSource;
	kind: SourceKind;
	title: string;
	detail: string;
	/** Pods that it finds now; null where it is none of pods. */
	pods: number | null;
}

export interface Known {
	namespaces: readonly ApiObject[];
	pods: readonly ApiObject[];
	services: readonly ApiObject[];
	nodes: readonly ApiObject[];
	/** Deployments, StatefulSets, DaemonSets and Jobs. */
	workloads: readonly ApiObject[];
	/** Interfaces that are seen or named somewhere. */
	interfaces: readonly InterfaceRef[];
	/** A host without a cluster: its interfaces are all that can be seen. */
	host?: string | null;
}

export const NAMESPACE_LABEL = "kubernetes.io/metadata.name";
export const NODE_LABEL = "kubernetes.io/hostname";

/** With its keys sorted at every level and empty parts left out: two that mean the same in the same words are equal. */
function canonical(v: unknown): unknown {
	if (Array.isArray(v)) return v.map(canonical);
	if (typeof v !== "object" || v === null) return v;
	const out: Record<string, unknown> = {};
	for (const k of Object.keys(v).sort()) {
		const x = canonical((v as Record<string, unknown>)[k]);
		if (x === undefined || (Array.isArray(x) && x.length === 0)) continue;
		out[k] = x;
	}
	return out;
}

/** `{}` and a selector that is left out both mean everything; a Service without a namespace is of "default". */
export function sourceKey(s: TrafficSource): string {
	if (s.service) return `service:${s.service.namespace ?? "default"}/${s.service.name}`;
	if (s.interface) return `interface:${s.interface.node ?? ""}/${s.interface.name}`;
	const bare = (x: LabelSelector | undefined): unknown => {
		const c = canonical(x ?? {}) as Record<string, unknown>;
		if (JSON.stringify(c["matchLabels"]) === "{}") delete c["matchLabels"];
		return c;
	};
	if (s.uplink) return `uplink:${JSON.stringify(bare(s.uplink.nodeSelector))}`;
	return `pods:${JSON.stringify([bare(s.pods?.namespaceSelector), bare(s.pods?.podSelector)])}`;
}

function labelsOf(o: ApiObject | undefined, name: string, key: string): Record<string, string> {
	return { [key]: name, ...o?.metadata.labels };
}

/** Pods that a source of pods finds. */
export function podsOf(s: TrafficSource, known: Known): ApiObject[] {
	if (s.service) {
		const name = s.service.name, ns = s.service.namespace ?? "default";
		const svc = known.services.find((x) => x.metadata.name === name && x.metadata.namespace === ns);
		const sel = (svc?.spec as { selector?: Record<string, string> } | undefined)?.selector;
		return sel ? known.pods.filter((p) => p.metadata.namespace === ns && selects({ matchLabels: sel }, p.metadata.labels ?? {})) : [];
	}
	if (!s.pods) return [];
	const pods = s.pods;
	const spaces = new Map(known.namespaces.map((n) => [n.metadata.name, n]));
	return known.pods.filter((p) => {
		const ns = p.metadata.namespace ?? "default";
		return selects(pods.namespaceSelector, labelsOf(spaces.get(ns), ns, NAMESPACE_LABEL)) && selects(pods.podSelector, p.metadata.labels ?? {});
	});
}

export function selectorWords(sel: LabelSelector | undefined): string {
	const words = Object.entries(sel?.matchLabels ?? {}).map(([k, v]) => `${k}=${v}`);
	for (const r of sel?.matchExpressions ?? [])
		words.push(r.operator === "Exists" ? r.key : r.operator === "DoesNotExist" ? `!${r.key}` : `${r.key} ${r.operator === "In" ? "in" : "not in"} (${(r.values ?? []).join(", ")})`);
	return words.join(", ");
}

const one = (n: number, word: string): string => `${n} ${word}${n === 1 ? "" : "s"}`;

/** In words, where no workload of the cluster is meant. */
function describe(s: TrafficSource, known: Known): Source {
	const key = sourceKey(s);
	if (s.service) {
		const n = podsOf(s, known).length;
		return { key, spec: s, kind: "service", title: s.service.name, detail: `Service in ${s.service.namespace ?? "default"}, ${one(n, "pod")}`, pods: n };
	}
	if (s.interface) return { key, spec: s, kind: "interface", title: s.interface.name, detail: known.host ? (s.interface.node && s.interface.node !== known.host ? `interface of ${s.interface.node}, which is another host` : "interface") : `interface of ${s.interface.node ?? "any node"}`, pods: null };
	if (s.uplink) {
		const host = s.uplink.nodeSelector?.matchLabels?.[NODE_LABEL];
		const words = selectorWords(s.uplink.nodeSelector);
		return { key, spec: s, kind: "uplink", title: host ?? (words ? `nodes ${words}` : "every node"), detail: "uplink", pods: null };
	}
	const n = podsOf(s, known).length;
	const ns = s.pods?.namespaceSelector?.matchLabels?.[NAMESPACE_LABEL] ?? selectorWords(s.pods?.namespaceSelector);
	const who = selectorWords(s.pods?.podSelector);
	return { key, spec: s, kind: "pods", title: who || (ns ? `all of ${ns}` : "all pods"), detail: `${who && ns ? `pods in ${ns}, ` : who ? "in every namespace, " : ""}${one(n, "pod")}`, pods: n };
}

function workloadSource(o: ApiObject): TrafficSource | null {
	const spec = o.spec as { selector?: LabelSelector; template?: { metadata?: { labels?: Record<string, string> } } } | undefined;
	const labels = o.kind === "Pod" ? o.metadata.labels : spec?.template?.metadata?.labels;
	const sel: LabelSelector | undefined = spec?.selector ?? (labels && Object.keys(labels).length ? { matchLabels: labels } : undefined);
	if (!sel || !o.metadata.namespace) return null;
	return { pods: { namespaceSelector: { matchLabels: { [NAMESPACE_LABEL]: o.metadata.namespace } }, podSelector: sel } };
}

/** All that the cluster offers: pods by workload, namespaces, services, uplinks, interfaces. */
export function sourcesOf(known: Known): Source[] {
	const out = new Map<string, Source>();
	const add = (s: TrafficSource, words?: { title: string; detail: string }): void => {
		const d = describe(s, known);
		if (!out.has(d.key)) out.set(d.key, words ? { ...d, ...words } : d);
	};
	if (known.host) {
		for (const i of known.interfaces) add({ interface: i });
		return [...out.values()];
	}
	const bare = known.pods.filter((p) => !p.metadata.ownerReferences?.length);
	for (const w of [...known.workloads, ...bare]) {
		const s = workloadSource(w);
		if (!s) continue;
		const n = podsOf(s, known).length;
		add(s, { title: w.metadata.name, detail: `${w.kind} in ${w.metadata.namespace}${w.kind === "Pod" ? "" : `, ${one(n, "pod")}`}` });
	}
	const inhabited = new Set(known.pods.map((p) => p.metadata.namespace));
	for (const n of known.namespaces) if (inhabited.has(n.metadata.name)) add({ pods: { namespaceSelector: { matchLabels: { [NAMESPACE_LABEL]: n.metadata.name } } } });
	add({ pods: {} });
	for (const s of known.services) add({ service: { namespace: s.metadata.namespace ?? "default", name: s.metadata.name } });
	for (const n of known.nodes) add({ uplink: { nodeSelector: { matchLabels: { [NODE_LABEL]: n.metadata.name } } } });
	if (known.nodes.length > 1) add({ uplink: {} });
	for (const i of known.interfaces) add({ interface: i });
	return [...out.values()];
}

/** A source that some object names: one of `all` where it means the same, else in its own words. */
export function sourceFor(s: TrafficSource, all: ReadonlyMap<string, Source>, known: Known): Source {
	return all.get(sourceKey(s)) ?? describe(s, known);
}

/** The key of what a link names: an end of the graph (NS/KIND/NAME, node/NAME), or ns:NS. null: it is not there, or no source. */
export function sourceByLink(link: string, known: Known): string | null {
	const [a, kind, name] = link.split("/");
	if (link.startsWith("ns:")) return sourceKey({ pods: { namespaceSelector: { matchLabels: { [NAMESPACE_LABEL]: link.slice(3) } } } });
	if (a === "node" && kind && !name) return sourceKey({ uplink: { nodeSelector: { matchLabels: { [NODE_LABEL]: kind } } } });
	if (!a || !kind || !name) return null;
	if (kind === "Service") return sourceKey({ service: { namespace: a, name } });
	const o = [...known.workloads, ...known.pods].find((x) => x.metadata.namespace === a && x.metadata.name === name);
	const s = o ? workloadSource(o) : null;
	return s ? sourceKey(s) : null;
}
