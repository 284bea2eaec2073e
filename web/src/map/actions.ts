// SPDX-License-Identifier: Apache-2.0
// What can be done with an end, a box or a link of the map; its menu and its details show the same.
import type { CaptureWish } from "../model/captureform.ts";
import { filterOf } from "../model/mapwords.ts";
import type { MenuItem } from "../panel/menu.ts";
import { route } from "../tool/route.svelte.ts";
import { wireshark } from "../tool/wireshark.svelte.ts";
import type { Chosen, MapState } from "./mapstate.svelte.ts";

export interface ActionHost {
	map: MapState;
	choose(what: Chosen): void;
	explain(link: string): void;
	suggest(namespace: string, workload: string): void;
	toggle(box: string): void;
	fit(box: string): void;
	/** The capture of what is chosen; null: packets are not taken there. */
	wish(what: NonNullable<Chosen>, source: string): CaptureWish | null;
}

/** An end that copies can be taken at: pods of a workload, a node's uplink. */
function sourceOf(map: MapState, id: string): string {
	const i = map.item(id);
	return i?.kind === "workload" || i?.kind === "node" ? id : "";
}

export function actionsOf(what: NonNullable<Chosen>, host: ActionHost): MenuItem[] {
	const { map } = host;
	if (what.kind === "box") {
		const g = map.groups.find((x) => x.id === what.id), closed = map.closed.has(what.id);
		const list: MenuItem[] = [{ title: closed ? "Open" : "Close", keys: "Enter", run: () => host.toggle(what.id) }, { title: "Fill the window with it", run: () => host.fit(what.id) }];
		if (g?.kind === "namespace")
			list.push(
				{ title: "Its flows", line: true, run: () => route.go("flows", [], { f: `ns == ${g.title}` }) },
				{ title: "Suggest policies", run: () => host.suggest(g.title, "") },
			);
		return list;
	}
	const link = what.kind === "link" ? map.links.get(what.id) : undefined;
	const from = map.item(link ? link.from : what.id), to = link ? map.item(link.to) : undefined;
	const filter = link ? [from && filterOf(from, "src"), to && filterOf(to, "dst")].filter(Boolean).join(" && ") : from ? filterOf(from) : "";
	/** Of a link's packets at one of its ends, those that are its own: copies are judged by packets, which name no workload. */
	const ports = [...new Set((link?.edges ?? []).filter((e) => e.port && /^(tcp|udp|sctp)$/i.test(e.protocol)).map((e) => `${e.protocol.toLowerCase()} && port == ${e.port}`))];
	const packets = ports.length > 1 ? ports.map((p) => `(${p})`).join(" || ") : (ports[0] ?? "");
	const source = link ? sourceOf(map, link.from) || sourceOf(map, link.to) : sourceOf(map, what.id);
	const namespace = link ? to?.namespace || from?.namespace || "" : (from?.namespace ?? "");
	const title = link ? `${map.title(link.from)} → ${map.title(link.to)}` : map.title(what.id);
	const take = (then: (w: CaptureWish) => void): (() => void) => () => {
		const w = host.wish(what, source);
		if (w) then(w);
	};
	const about = link ? (to?.kind === "workload" ? to : from) : from;
	return [
		{ title: "Send to a tool", disabled: !source, why: source ? "A copy of its packets goes to a tool" : "Copies are taken at pods and nodes", run: () => route.go("broker", [], { from: source, f: packets }) },
		{ title: "Capture", disabled: !source, why: source ? "" : "Packets are taken at pods and nodes", run: take((w) => route.go("captures", [], { from: source, f: w.filter })) },
		{ title: "Open in Wireshark", disabled: !source, why: source ? "" : "Packets are taken at pods and nodes", run: take((wish) => wireshark.open({ title, wish })) },
		{ title: "Flows", disabled: !filter, run: () => route.go("flows", [], { f: filter }) },
		...(link ? [{ title: "Explain", disabled: !link.edges.length, run: () => host.explain(link.id) }] : []),
		...(namespace && about?.kind === "workload" ? [{ title: "Suggest a policy", run: () => host.suggest(namespace, about.title) }] : []),
	];
}
