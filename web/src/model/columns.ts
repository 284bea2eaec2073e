// SPDX-License-Identifier: Apache-2.0
// What the table of a kind shows beside the name. Pure: objects in, cells out.
import type { ApiObject } from "../api/wire.ts";
import { age } from "./units.ts";

export interface ObjectColumn {
	id: string;
	title: string;
	value: (o: ApiObject) => string | number;
	text?: (o: ApiObject) => string;
	number?: boolean;
}

/** A member by its path, or undefined. */
function at(o: unknown, path: string): unknown {
	return path.split(".").reduce<unknown>((v, k) => (typeof v === "object" && v !== null ? (v as Record<string, unknown>)[k] : undefined), o);
}
function words(v: unknown): string {
	if (v === undefined || v === null) return "";
	if (Array.isArray(v)) return v.map(words).filter(Boolean).join(", ");
	if (typeof v === "object") return Object.entries(v).map(([k, x]) => `${k}=${words(x)}`).join(", ");
	return String(v);
}
function field(title: string, path: string): ObjectColumn {
	return { id: path, title, value: (o) => words(at(o, path)) };
}
function amount(title: string, path: string): ObjectColumn {
	return { id: path, title, number: true, value: (o) => Number(at(o, path) ?? 0) };
}
export function condition(o: ApiObject, type: string): { status: string; reason: string; message: string } | undefined {
	const list = at(o, "status.conditions") as { type: string; status: string; reason?: string; message?: string }[] | undefined;
	const c = list?.find((x) => x.type === type);
	return c && { status: c.status, reason: c.reason ?? "", message: c.message ?? "" };
}
function state(title: string, type: string): ObjectColumn {
	return {
		id: type, title,
		value: (o) => {
			const c = condition(o, type);
			return c ? (c.status === "True" ? `✓ ${c.reason || "yes"}` : c.status === "False" ? `✕ ${c.reason || "no"}` : `? ${c.reason || "unknown"}`) : "";
		},
	};
}
function of(title: string, ready: string, want: string): ObjectColumn {
	return { id: title, title, value: (o) => `${Number(at(o, ready) ?? 0)}/${Number(at(o, want) ?? 0)}` };
}

const PORTS: ObjectColumn = {
	id: "ports", title: "Ports",
	value: (o) => ((at(o, "spec.ports") as { port: number; protocol?: string; nodePort?: number }[] | undefined) ?? []).map((p) => `${p.port}${p.nodePort ? `:${p.nodePort}` : ""}/${p.protocol ?? "TCP"}`).join(", "),
};
const WHERE = ["interface", "pod", "vxlan", "gre", "erspan", "file", "ring", "ipfix", "discard"];

const BY_KIND: Record<string, ObjectColumn[]> = {
	pods: [field("Phase", "status.phase"), state("Ready", "Ready"), field("Node", "spec.nodeName"), field("Addresses", "status.podIPs")],
	nodes: [state("Ready", "Ready"), field("Pod ranges", "spec.podCIDRs"), field("Addresses", "status.addresses")],
	services: [field("Type", "spec.type"), field("Addresses", "spec.clusterIPs"), PORTS, field("Selector", "spec.selector")],
	endpointslices: [field("Family", "addressType"), { id: "n", title: "Endpoints", number: true, value: (o) => ((at(o, "endpoints") as unknown[] | undefined) ?? []).length }],
	deployments: [of("Ready", "status.readyReplicas", "spec.replicas"), amount("Updated", "status.updatedReplicas")],
	replicasets: [of("Ready", "status.readyReplicas", "spec.replicas")],
	statefulsets: [of("Ready", "status.readyReplicas", "spec.replicas")],
	daemonsets: [of("Ready", "status.numberReady", "status.desiredNumberScheduled")],
	networkpolicies: [field("Selects", "spec.podSelector.matchLabels"), field("Directions", "spec.policyTypes")],
	clusternetworkpolicies: [field("Tier", "spec.tier"), amount("Priority", "spec.priority")],
	tools: [{ id: "to", title: "Destination", value: (o) => WHERE.filter((w) => at(o, `spec.${w}`) !== undefined).join(", ") }, field("Capacity", "spec.capacity"), state("Healthy", "Healthy")],
	toolgroups: [{ id: "members", title: "Members", value: (o) => ((at(o, "spec.members") as { tool: string; weight?: number }[] | undefined) ?? []).map((m) => m.tool + (m.weight ? ` ×${m.weight}` : "")).join(", ") }],
	trafficfilters: [field("Filter", "spec.filter")],
	trafficmaps: [field("Filter", "spec.filter"), { id: "to", title: "To", value: (o) => ((at(o, "spec.to") as { tool?: string; group?: string }[] | undefined) ?? []).map((t) => t.tool ?? t.group ?? "").join(", ") }, state("Accepted", "Accepted")],
	captures: [field("Filter", "spec.filter"), field("Phase", "status.phase")],
	alerts: [field("Filter", "spec.filter"), state("Firing", "Firing")],
	addresspools: [field("Ranges", "spec.addresses")],
};

export function columnsOf(plural: string): ObjectColumn[] {
	return [
		{ id: "name", title: "Name", value: (o) => (o.metadata.namespace ? `${o.metadata.namespace}/${o.metadata.name}` : o.metadata.name) },
		...(BY_KIND[plural] ?? []),
		{
			id: "age", title: "Age", number: true, value: (o) => -Date.parse(o.metadata.creationTimestamp ?? "") || 0,
			text: (o) => (o.metadata.creationTimestamp ? age(Date.now() - Date.parse(o.metadata.creationTimestamp)) : ""),
		},
	];
}
