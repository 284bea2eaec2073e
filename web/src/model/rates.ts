// SPDX-License-Identifier: Apache-2.0
// The broker's live numbers by what is drawn: of a map, of a tool port over all nodes, of a source over all its places. Pure.
import type { ApiObject, BrokerEvent, ToolRate } from "../api/wire.ts";
import type { Source } from "./source.ts";

export interface Rate {
	packets: number;
	bytes: number;
}
export interface PortRate {
	due: number;
	sent: number;
	bytes: number;
	lost: number;
	losses: Record<string, number>;
	inFlight: number;
	/** Nodes whose tool takes nothing. */
	stuck: string[];
	nodes: number;
	totals: { due: number; added: number; sent: number; lost: number; losses: Record<string, number> };
}
export interface PlaceRate {
	/** null: not known of all of it. */
	seen: number | null;
	copied: number;
}

/** What one event tells, by name: it is asked once for each thing that is drawn. */
interface Index {
	maps: Map<string, BrokerEvent["maps"][number]>;
	pods: Map<string, BrokerEvent["places"]>;
}
const indexes = new WeakMap<BrokerEvent, Index>();

function indexOf(e: BrokerEvent): Index {
	const known = indexes.get(e);
	if (known) return known;
	const index: Index = { maps: new Map(e.maps.map((m) => [m.name, m])), pods: new Map() };
	for (const p of e.places) {
		if (p.kind !== "pod") continue;
		const all = index.pods.get(p.name);
		if (all) all.push(p);
		else index.pods.set(p.name, [p]);
	}
	indexes.set(e, index);
	return index;
}

/** null: not known, also where only a part of it is counted. */
export function mapRate(e: BrokerEvent | null, map: string): Rate | null {
	const m = e ? indexOf(e).maps.get(map) : undefined;
	return m && !m.part ? m : null;
}
/** What a map takes from one of its sources: known where that is its only one. */
export function sourceShare(e: BrokerEvent | null, map: string, sources: number): Rate | null {
	return sources === 1 ? mapRate(e, map) : null;
}

function addAll(to: Record<string, number>, from: Record<string, number>): number {
	let sum = 0;
	for (const [k, v] of Object.entries(from)) {
		to[k] = (to[k] ?? 0) + v;
		sum += v;
	}
	return sum;
}

export function portRate(e: BrokerEvent | null, tool: string, port: string): PortRate | null {
	const all: ToolRate[] = e?.tools.filter((t) => t.tool === tool && t.port === port) ?? [];
	if (!all.length) return null;
	const out: PortRate = { due: 0, sent: 0, bytes: 0, lost: 0, losses: {}, inFlight: 0, stuck: [], nodes: all.length, totals: { due: 0, added: 0, sent: 0, lost: 0, losses: {} } };
	for (const t of all) {
		out.due += t.due;
		out.sent += t.sent;
		out.bytes += t.bytes;
		out.inFlight += t.inFlight;
		out.lost += addAll(out.losses, t.losses);
		out.totals.due += t.totals.due;
		out.totals.added += t.totals.added;
		out.totals.sent += t.totals.sent;
		out.totals.lost += addAll(out.totals.losses, t.totals.losses);
		if (!t.taking) out.stuck.push(t.node);
	}
	return out;
}

/** `pods` are those that the source finds now. */
export function sourceRate(e: BrokerEvent | null, s: Source, pods: readonly ApiObject[]): PlaceRate | null {
	if (!e) return null;
	const host = s.spec.uplink?.nodeSelector?.matchLabels?.["kubernetes.io/hostname"];
	let ours: BrokerEvent["places"];
	if (s.kind === "interface") ours = e.places.filter((p) => p.kind === "interface" && p.name === s.title && (!s.spec.interface?.node || s.spec.interface.node === p.node));
	else if (s.kind === "uplink") ours = e.places.filter((p) => p.kind === "uplink" && (!host || host === p.node));
	else ours = pods.flatMap((p) => indexOf(e).pods.get(`${p.metadata.namespace ?? "default"}/${p.metadata.name}`) ?? []);
	if (!ours.length) return null;
	return ours.reduce<PlaceRate>((a, p) => ({ seen: a.seen === null || p.seen === null ? null : a.seen + p.seen, copied: a.copied + p.copied }), { seen: 0, copied: 0 });
}

/** Losses by name, the largest first: "queue 12/s, disk 3/s". */
export function lossWords(losses: Record<string, number>, unit: (n: number) => string): string {
	return Object.entries(losses)
		.filter(([, n]) => n > 0)
		.sort((a, b) => b[1] - a[1])
		.map(([k, n]) => `${k} ${unit(n)}`)
		.join(", ");
}

/** A capacity as tools state it ("10G", "500M", "1.5k") in bits a second; null where it is none. */
export function capacityBits(text: string | undefined): number | null {
	const m = /^([0-9]+(?:\.[0-9]+)?)(k|M|G|T|Ki|Mi|Gi|Ti)?$/.exec(text ?? "");
	if (!m) return null;
	const unit: Record<string, number> = { k: 1e3, M: 1e6, G: 1e9, T: 1e12, Ki: 2 ** 10, Mi: 2 ** 20, Gi: 2 ** 30, Ti: 2 ** 40 };
	return Number(m[1]) * (unit[m[2] ?? ""] ?? 1);
}
