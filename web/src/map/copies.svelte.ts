// SPDX-License-Identifier: Apache-2.0
// The layer of copies: which end's packets reach which tool, with the tool's own counters. Reckons only while it is looked at, or
// while something chosen tells of it.
import type { ToolgroupSpec, TrafficmapSpec } from "../api/kinds.gen.ts";
import type { ApiObject } from "../api/wire.ts";
import { type Copies, type CopyLine, copiesOf, shownLines } from "../model/copylines.ts";
import type { Known } from "../model/source.ts";
import { world } from "../model/world.svelte.ts";
import type { MapState } from "./mapstate.svelte.ts";

/** More lines than this hide what they cross; the table has all. */
export const DRAWN_MOST = 300;

export class CopyState {
	on = $state(false);
	private readonly map: MapState;
	constructor(map: MapState) {
		this.map = map;
	}

	private readonly known: Known = $derived.by(() => {
		const o = world.objects;
		return { namespaces: o.of("namespaces"), pods: o.of("pods"), services: o.of("services"), nodes: o.of("nodes"), workloads: [], interfaces: [] };
	});
	/** As it is now: the past of tools is not kept. */
	readonly now: Copies = $derived.by(() => {
		const o = world.objects, map = this.map;
		return copiesOf(
			{ maps: o.of<ApiObject<TrafficmapSpec>>("trafficmaps"), groups: o.of<ApiObject<ToolgroupSpec>>("toolgroups"), tools: o.of("tools"), known: this.known, endOf: (p) => map.workloadIdOf(p) },
			world.broker,
		);
	});
	readonly live: boolean = $derived.by(() => this.map.moment.kind === "live");
	readonly shown: CopyLine[] = $derived.by(() => (this.on && this.live ? shownLines(this.now.lines, (id) => this.map.shownAt(id)) : []));
	of(item: string): CopyLine[] {
		return this.now.lines.filter((l) => l.from === item || l.to === item);
	}
}
