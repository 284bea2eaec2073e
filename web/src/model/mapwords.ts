// SPDX-License-Identifier: Apache-2.0
// How ends of the graph are said elsewhere: as a filter, and as `weft why` names them. Pure.
import type { ApiObject, Edge } from "../api/wire.ts";
import { quoted } from "./flow.ts";
import type { MapItem } from "./mapitems.ts";

/** The filter that takes flows of an end; side is "src", "dst", or "" for either. "" where there is none. */
export function filterOf(i: MapItem, side: "src" | "dst" | "" = ""): string {
	const p = side ? `${side}.` : "";
	if (i.kind === "workload") return `${p}workload == ${quoted(`${i.namespace}/${i.title}`)}`;
	if (i.kind === "service") return `service == ${quoted(`${i.namespace}/${i.title}`)}`;
	if (i.kind === "node") return `${p}node == ${quoted(i.title)} && ${p}kind == node`;
	if (i.kind === "outside") {
		const name = i.id.split("/").slice(1).join("/");
		if (!name) return `${p}kind == outside`;
		return /^[0-9a-fA-F.:]+\/\d+$/.test(name) ? `${p}ip == ${name}` : `${p}domain == ${quoted(name)}`;
	}
	return i.kind === "unknown" ? `${p}kind == unknown` : "";
}

export interface WhyQuestion {
	from: string;
	to: string;
}
export interface WhyObjects {
	/** Pods of an item. */
	podsOf: (id: string) => readonly ApiObject[];
	service: (key: string) => ApiObject<{ ports?: { port: number; targetPort?: number | string }[] }> | undefined;
}

/** What `weft why` is asked about an edge; null where it has no words for an end. */
export function whyOf(e: Edge, from: MapItem, to: MapItem, o: WhyObjects): WhyQuestion | null {
	const name = (i: MapItem): string | null => {
		if (i.kind === "node") return `node:${i.title}`;
		if (i.kind === "outside") return "outside";
		const pod = o.podsOf(i.id)[0];
		return pod ? `${i.namespace}/${pod.metadata.name}` : i.kind === "service" ? `svc/${i.namespace}/${i.title}` : null;
	};
	const caller = name(from);
	let called = name(to);
	if (!caller || !called) return null;
	if (e.service) {
		const ports = o.service(e.service)?.spec?.ports ?? [];
		const p = ports.find((x) => x.targetPort === e.port) ?? (ports.length === 1 ? ports[0] : undefined) ?? ports.find((x) => x.port === e.port);
		if (p) return { from: caller, to: `${e.service}:${p.port}` };
	}
	if (e.port && to.kind !== "outside") called += `:${e.port}`;
	return { from: caller, to: called };
}
