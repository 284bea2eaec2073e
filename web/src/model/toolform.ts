// SPDX-License-Identifier: Apache-2.0
// A Tool as its form holds it, and back: the kinds of destination, their defaults, what is left out because it is the default.
// Pure.
import type { PortChain, ToolPort, ToolSpec } from "../api/kinds.gen.ts";
import { DEFAULT_PORT, portsOf, toolKind } from "./board.ts";

export const TOOL_KINDS = ["interface", "pod", "vxlan", "gre", "erspan", "file", "ring", "ipfix", "discard"] as const;
export type ToolKind = (typeof TOOL_KINDS)[number];
export const TOOL_WORDS: Readonly<Record<ToolKind, string>> = {
	interface: "An interface of the node", pod: "A pod of the same node", vxlan: "A VXLAN tunnel", gre: "A GRE tunnel", erspan: "An ERSPAN tunnel", file: "Capture files", ring: "A ring in memory", ipfix: "An IPFIX collector", discard: "Counted, then gone",
};
export const STRIPS = ["VLAN", "VLANs", "MPLS", "VXLAN", "Geneve", "GRE", "ERSPAN", "IPIP", "Padding"] as const;
export const MASKED = ["SourceMAC", "DestinationMAC", "SourceIP", "DestinationIP", "SourcePort", "DestinationPort"] as const;
export const IGNORED = ["MAC", "VLAN", "Outer", "VNI", "TTL", "DSCP", "IPID"] as const;
export const isTunnel = (k: ToolKind): boolean => k === "vxlan" || k === "gre" || k === "erspan";

export interface ToolDraft {
	kind: ToolKind;
	interface: { name: string; node: string };
	pod: { namespace: string; labels: string };
	remote: string;
	vni: number;
	udpPort: number;
	key: string;
	session: number;
	path: string;
	rotateSize: string;
	rotateSeconds: string;
	rotateCount: string;
	ringSize: string;
	collector: string;
	protocol: "UDP" | "TCP";
	capacity: string;
	mtu: string;
	tooBig: "" | "Fragment" | "Refuse" | "Slice";
	withinSeconds: string;
	ports: ToolPort[];
	/** What the form does not show and keeps. */
	more: ToolSpec;
}

const text = (n: number | undefined): string => (n === undefined ? "" : String(n));
const labelWords = (l: Record<string, string> | undefined): string => Object.entries(l ?? {}).map(([k, v]) => `${k}=${v}`).join(", ");
/** "app=ids, tier=x" as labels; null: it is none. */
export function labelsOf(words: string): Record<string, string> | null {
	const out: Record<string, string> = {};
	for (const w of words.split(",").map((x) => x.trim()).filter(Boolean)) {
		const i = w.indexOf("=");
		if (i < 1) return null;
		out[w.slice(0, i).trim()] = w.slice(i + 1).trim();
	}
	return Object.keys(out).length ? out : null;
}

export function toolDraft(s: ToolSpec = {}): ToolDraft {
	const kind = toolKind(s);
	const { dscp, dontFragment, health, ipfix } = s;
	const tunnel = s.vxlan ?? s.gre ?? s.erspan;
	return {
		kind: (TOOL_KINDS as readonly string[]).includes(kind) ? (kind as ToolKind) : "interface",
		interface: { name: s.interface?.name ?? "", node: s.interface?.node ?? "" },
		pod: { namespace: s.pod?.namespace ?? "", labels: labelWords(s.pod?.podSelector.matchLabels) },
		remote: tunnel?.remote ?? "", vni: s.vxlan?.vni ?? 1, udpPort: s.vxlan?.port ?? 4789, key: text(s.gre?.key), session: s.erspan?.session ?? 1,
		path: s.file?.path ?? "", rotateSize: s.file?.rotate?.size ?? "", rotateSeconds: text(s.file?.rotate?.seconds), rotateCount: text(s.file?.rotate?.count),
		ringSize: s.ring?.size ?? "64Mi", collector: ipfix?.collector ?? "", protocol: ipfix?.protocol ?? "UDP",
		capacity: s.capacity ?? "", mtu: text(s.mtu), tooBig: s.tooBig ?? "", withinSeconds: text(health?.withinSeconds),
		ports: JSON.parse(JSON.stringify(portsOf(s))) as ToolPort[],
		more: { ...(dscp !== undefined ? { dscp } : {}), ...(dontFragment !== undefined ? { dontFragment } : {}), ...(health ? { health } : {}), ...(ipfix ? { ipfix } : {}), ...(s.pod ? { pod: s.pod } : {}) },
	};
}

function destination(d: ToolDraft): ToolSpec {
	switch (d.kind) {
		case "interface": return { interface: { name: d.interface.name.trim(), ...(d.interface.node ? { node: d.interface.node } : {}) } };
		case "pod": {
			const was = d.more.pod?.podSelector;
			const same = was && labelWords(was.matchLabels) === d.pod.labels.trim();
			return { pod: { namespace: d.pod.namespace, podSelector: same ? was : { matchLabels: labelsOf(d.pod.labels) ?? {} } } };
		}
		case "vxlan": return { vxlan: { remote: d.remote.trim(), vni: d.vni, ...(d.udpPort !== 4789 ? { port: d.udpPort } : {}) } };
		case "gre": return { gre: { remote: d.remote.trim(), ...(d.key !== "" ? { key: Number(d.key) } : {}) } };
		case "erspan": return { erspan: { remote: d.remote.trim(), session: d.session } };
		case "file": {
			const rotate = { ...(d.rotateSize ? { size: d.rotateSize } : {}), ...(d.rotateSeconds ? { seconds: Number(d.rotateSeconds) } : {}), ...(d.rotateCount ? { count: Number(d.rotateCount) } : {}) };
			return { file: { path: d.path.trim(), ...(Object.keys(rotate).length ? { rotate } : {}) } };
		}
		case "ring": return { ring: d.ringSize && d.ringSize !== "64Mi" ? { size: d.ringSize } : {} };
		case "ipfix": {
			const { collector: _, protocol: __, ...rest } = d.more.ipfix ?? { collector: "" };
			return { ipfix: { collector: d.collector.trim(), ...(d.protocol !== "UDP" ? { protocol: d.protocol } : {}), ...rest } };
		}
		case "discard": return { discard: true };
	}
}

/** The parts of a chain that are on, in their order. */
export function chainOf(c: PortChain | undefined): PortChain | undefined {
	if (!c) return undefined;
	const out: PortChain = {
		...(c.sample ? { sample: c.sample } : {}),
		...(c.dedup ? { dedup: c.dedup } : {}),
		...(c.strip?.length ? { strip: c.strip } : {}),
		...(c.mask && (c.mask.fields?.length || c.mask.ranges?.length) ? { mask: c.mask } : {}),
		...(c.slice ? { slice: c.slice } : {}),
		...(c.stamp && (c.stamp.vlan || c.stamp.trailer) ? { stamp: c.stamp } : {}),
	};
	return Object.keys(out).length ? out : undefined;
}

export function toolSpec(d: ToolDraft): ToolSpec {
	const ports = d.ports.map((p): ToolPort => {
		const chain = chainOf(p.chain);
		return { name: p.name.trim(), ...(chain ? { chain } : {}), ...(p.merged ? { merged: p.merged } : {}) };
	});
	const plain = ports.length === 1 && JSON.stringify(ports[0]) === JSON.stringify(DEFAULT_PORT);
	const tunnel = isTunnel(d.kind);
	const health = { ...d.more.health, ...(d.withinSeconds ? { withinSeconds: Number(d.withinSeconds) } : {}) };
	if (!d.withinSeconds) delete health.withinSeconds;
	return {
		...destination(d),
		...(Object.keys(health).length ? { health } : {}),
		...(d.capacity.trim() ? { capacity: d.capacity.trim() } : {}),
		...(d.mtu ? { mtu: Number(d.mtu) } : {}),
		...(tunnel && d.tooBig ? { tooBig: d.tooBig } : {}),
		...(tunnel && d.more.dscp !== undefined ? { dscp: d.more.dscp } : {}),
		...(tunnel && d.more.dontFragment !== undefined ? { dontFragment: d.more.dontFragment } : {}),
		...(plain ? {} : { ports }),
	};
}
