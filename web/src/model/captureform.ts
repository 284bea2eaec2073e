// SPDX-License-Identifier: Apache-2.0
// What a capture is asked for, as a Capture and as the command that does the same at a shell. Pure.
import type { CaptureSpec, TrafficSource } from "../api/kinds.gen.ts";
import { NAMESPACE_LABEL, NODE_LABEL } from "./source.ts";

export interface CaptureWish {
	from: TrafficSource[];
	filter: string;
	packets: "All" | "Forwarded" | "Dropped";
	direction: "Both" | "In" | "Out";
	snapBytes: string;
	seconds: string;
}
export const emptyWish = (): CaptureWish => ({ from: [], filter: "", packets: "All", direction: "Both", snapBytes: "", seconds: "" });

export function captureSpec(w: CaptureWish): CaptureSpec {
	return {
		...(w.from.length ? { from: w.from } : {}),
		...(w.direction !== "Both" ? { direction: w.direction } : {}),
		...(w.packets !== "All" ? { packets: w.packets } : {}),
		...(w.filter.trim() ? { filter: w.filter.trim() } : {}),
		...(w.snapBytes ? { snapBytes: Number(w.snapBytes) } : {}),
		...(w.seconds ? { seconds: Number(w.seconds) } : {}),
	};
}

/** In single quotes where a shell would see more than a word. */
export function shellWord(text: string): string {
	return /^[A-Za-z0-9_./:=,@%+*-]+$/.test(text) && !text.includes("*") ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

/** A source as --from takes it; null: the command has no word for it. */
export function fromWord(s: TrafficSource): string | null {
	if (s.service) return `svc/${s.service.namespace ?? "default"}/${s.service.name}`;
	if (s.interface) return s.interface.node ? `${s.interface.node}:${s.interface.name}` : null;
	const labels = (l: Record<string, string> | undefined): string => Object.entries(l ?? {}).map(([k, v]) => `${k}=${v}`).join(",");
	if (s.uplink) {
		const sel = s.uplink.nodeSelector;
		const host = sel?.matchLabels?.[NODE_LABEL];
		return !sel || !Object.keys(sel).length ? "node/*" : host && !sel.matchExpressions?.length ? `node/${host}` : null;
	}
	const ns = s.pods?.namespaceSelector, pods = s.pods?.podSelector;
	if (ns?.matchExpressions?.length || pods?.matchExpressions?.length) return null;
	const name = ns?.matchLabels?.[NAMESPACE_LABEL], by = labels(pods?.matchLabels);
	// pods of one namespace by their labels: the command knows labels of every namespace, or all of one
	if (name && by) return null;
	return name ? `ns/${name}` : by ? `pods/${by}` : "pods/*";
}

/** `weft capture … | wireshark -k -i -`, and what it cannot say. */
export function captureCommand(w: CaptureWish, cluster: string): { command: string; wider: boolean } {
	const words = ["weft capture"];
	let wider = false;
	if (cluster && cluster !== "default") words.push("--name", shellWord(cluster));
	for (const s of w.from) {
		let word = fromWord(s);
		if (word === null) {
			wider = true;
			const ns = s.pods?.namespaceSelector?.matchLabels?.[NAMESPACE_LABEL];
			word = ns ? `ns/${ns}` : s.interface ? null : s.uplink ? "node/*" : "pods/*";
		}
		if (word) words.push("--from", shellWord(word));
	}
	if (w.packets !== "All") words.push(w.packets === "Dropped" ? "--dropped" : "--forwarded");
	if (w.direction !== "Both") words.push("--direction", w.direction.toLowerCase());
	if (w.snapBytes) words.push("--snap", w.snapBytes);
	if (w.seconds) words.push("--seconds", w.seconds);
	if (w.filter.trim()) words.push(shellWord(w.filter.trim()));
	return { command: `${words.join(" ")} | wireshark -k -i -`, wider };
}

/** What a Capture takes, in words. */
export function captureWords(s: CaptureSpec | undefined): string {
	const parts = [s?.packets === "Dropped" ? "dropped packets" : s?.packets === "Forwarded" ? "forwarded packets" : "all packets"];
	if (s?.filter) parts.push(s.filter);
	if (s?.direction && s.direction !== "Both") parts.push(`only ${s.direction.toLowerCase()}`);
	if (s?.snapBytes) parts.push(`first ${s.snapBytes} bytes`);
	return parts.join(", ");
}
