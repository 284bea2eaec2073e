// SPDX-License-Identifier: Apache-2.0
// The state of the broker view: what is drawn, what is chosen, what is carried and what that would mean. Mouse, keyboard,
// tables and dialogs act through it; it writes into the draft and nowhere else.
import type { InterfaceRef, TrafficmapSpec } from "../api/kinds.gen.ts";
import type { PortEvent } from "../api/wire.ts";
import { carry, type Carry, type CarryEvent, IDLE } from "../gesture/carry.ts";
import { type Board, boardOf, type FilterObject, type GroupObject, type MapObject, type ToolObject } from "../model/board.ts";
import { draft, laidOver } from "../model/draft.svelte.ts";
import { editsOf, objectOf } from "../model/drafted.ts";
import { type Foretold, foretell } from "../model/foretell.ts";
import { Foresight } from "../model/foresight.svelte.ts";
import { byPort } from "../model/ports.ts";
import type { Known } from "../model/source.ts";
import { bitsPerSecond, may, packetsPerSecond } from "../model/units.ts";
import { removal } from "../model/unwire.ts";
import { idOf, isStep, type Item, type Meaning, meaning, type Place, placesFor, type Step } from "../model/wiring.ts";
import { world } from "../model/world.svelte.ts";
import { notices } from "../tool/notices.svelte.ts";

export type Form =
	| { form: "map"; name: string | null; from?: string; to?: string; only?: string }
	| { form: "tool"; name: string | null }
	| { form: "group"; name: string }
	| { form: "filter"; name: string | null; map?: string }
	| { form: "interface" }
	| { form: "port"; from: string };

/** As many as a forecast is asked for when something is taken up, before the hand rests anywhere. */
const AHEAD = 2;

export class Bench {
	carried: Carry = $state.raw(IDLE);
	/** The id of what is chosen. */
	chosen = $state("");
	form: Form | null = $state.raw(null);
	/** The id of what was just made: it gets the focus. */
	made = $state("");
	/** Read aloud. */
	said = $state("");
	/** Interfaces that somebody named here and no object has yet. */
	named: InterfaceRef[] = $state.raw([]);
	readonly foresight = new Foresight();

	/** Of a broker host: its name, and its interfaces in their natural order. */
	readonly host: string | null = $derived(world.me?.host ?? null);
	readonly ports: PortEvent[] = $derived(this.host ? [...(world.broker?.ports ?? [])].sort(byPort) : []);
	/** All interfaces that somebody tells of; another text only when there is another one: the board is no other each second. */
	private readonly told: string = $derived([...new Set([...this.ports.map((p) => p.name), ...(world.broker?.places ?? []).filter((p) => p.kind === "interface").map((p) => p.name)])].join("\n"));
	readonly known: Known = $derived.by(() => {
		const o = world.objects;
		const interfaces = [...this.named];
		for (const name of this.told ? this.told.split("\n") : []) if (!interfaces.some((i) => i.name === name)) interfaces.push({ name });
		return {
			namespaces: o.of("namespaces"), pods: o.of("pods"), services: o.of("services"), nodes: o.of("nodes"),
			workloads: [...o.of("deployments"), ...o.of("statefulsets"), ...o.of("daemonsets"), ...o.of("jobs")], interfaces, host: this.host,
		};
	});
	readonly board: Board = $derived.by(() => {
		const o = world.objects;
		const objects = { maps: o.of<MapObject>("trafficmaps"), tools: o.of<ToolObject>("tools"), groups: o.of<GroupObject>("toolgroups"), filters: o.of<FilterObject>("trafficfilters") };
		return boardOf(objects, this.known, draft.edits, objectOf);
	});
	/** Everything that can be taken up or brought to, by id. */
	readonly places: Map<string, Place> = $derived.by(() => {
		const b = this.board;
		const all: Place[] = [
			...b.sources.map((s): Place => ({ type: "source", key: s.key })),
			...b.used.map((s): Place => ({ type: "source", key: s.key })),
			...b.filters.map((f): Place => ({ type: "filter", name: f.name })),
			{ type: "rest" },
			...b.groups.map((g): Place => ({ type: "group", name: g.name })),
		];
		for (const m of b.maps) {
			all.push({ type: "map", name: m.name });
			m.clauses.forEach((_, index) => all.push({ type: "clause", map: m.name, index }));
		}
		for (const t of b.tools) for (const p of t.ports) all.push({ type: "tool", tool: t.name, port: p.name });
		for (const p of this.ports) all.push({ type: "port", name: p.name });
		for (const w of b.wires) all.push({ type: "wire", id: w.id, map: w.map });
		return new Map(all.map((p) => [idOf(p), p]));
	});
	private readonly inHand: string = $derived(this.carried.state === "carried" ? this.carried.item : "");
	/** What is carried; the same while it is moved, so that its places are looked for once. */
	readonly item: Item | null = $derived.by(() => {
		const p = this.places.get(this.inHand);
		return p && p.type !== "wire" ? p : null;
	});
	/** What the carried thing can be brought to, by id. */
	readonly targets: Map<string, Step> = $derived.by(() => {
		const item = this.item;
		return item ? placesFor(this.board, item, [...this.places.values()]) : new Map<string, Step>();
	});
	/** What letting go here would mean. */
	readonly meant: Meaning | null = $derived.by(() => {
		const c = this.carried, item = this.item;
		const place = c.state === "carried" && c.over ? this.places.get(c.over) : undefined;
		return item && place ? meaning(this.board, item, place) : null;
	});
	readonly foretold: Foretold | null = $derived.by(() => {
		const seen = this.foresight.now;
		return isStep(this.meant) && seen?.state === "known" ? foretell(this.board, this.meant, seen.answer) : null;
	});
	readonly mayEdit: boolean = $derived(may(world.me?.levels ?? {}, "operate"));

	/** A host keeps no records of flows: what is known is how much its ports see now. */
	readonly seenNow: string = $derived.by(() => {
		const m = this.meant;
		if (!this.host || !isStep(m)) return "";
		const from = m.puts.flatMap((p) => (p.kind === "TrafficMap" ? ((p.object.spec as TrafficmapSpec).from ?? []) : []));
		const ports = this.ports.filter((p) => from.some((s) => s.interface?.name === p.name));
		return ports.map((p) => `${p.name} sees ${bitsPerSecond(p.in.bytes + p.out.bytes)} now, ${packetsPerSecond(p.in.packets + p.out.packets)}`).join("; ");
	});

	/** In words, for notices and for who listens. */
	title(id: string): string {
		const p = this.places.get(id);
		if (!p) return "nothing";
		switch (p.type) {
			case "source": return (this.board.sources.find((s) => s.key === p.key) ?? this.board.used.find((s) => s.key === p.key))?.title ?? "a source";
			case "clause": {
				const c = this.board.maps.find((m) => m.name === p.map)?.clauses[p.index];
				return `filter ${c?.name ?? c?.text ?? ""} of map ${p.map}`;
			}
			case "rest": return "the rest";
			case "tool": return `tool ${p.tool}${p.port === "default" ? "" : `, port ${p.port}`}`;
			case "wire": return `a wire of map ${p.map}`;
			default: return `${p.type} ${p.name}`;
		}
	}

	event(e: CarryEvent): void {
		const was = this.carried;
		const r = carry(was, e);
		this.carried = r.next;
		if (r.next.state === "carried" && was.state !== "carried") this.takenUp();
		if (r.next.state === "carried") this.look();
		else if (was.state === "carried") this.foresight.look(null);
		if (r.clicked !== undefined) this.clicked(r.clicked);
		if (r.dropped) this.drop(r.dropped.item, r.dropped.place);
		else if (was.state === "carried" && r.next.state === "idle") this.said = "Put back.";
	}

	/** A port that is clicked is taken up: the next click says where to. */
	private clicked(id: string): void {
		this.chosen = id;
		if (this.places.get(id)?.type === "port" && this.mayEdit) this.event({ type: "pick", item: id, first: null });
	}

	/** Takes a thing up by keyboard, and goes to the first place for it. */
	pick(id: string): void {
		const p = this.places.get(id);
		if (!p || p.type === "wire" || !this.allowed()) return;
		const first = [...placesFor(this.board, p, [...this.places.values()]).keys()].find((k) => k.startsWith(p.type === "port" ? "port " : "tool:") || k.startsWith("map ")) ?? null;
		if (first === null) {
			notices.error(`${this.title(id)} can be brought nowhere.`);
			return;
		}
		this.event({ type: "pick", item: id, first });
	}

	allowed(): boolean {
		if (!this.mayEdit) notices.error("Changes of maps and tools need the level operate.");
		return this.mayEdit;
	}

	/** Puts a step into the draft. */
	apply(s: Step): void {
		draft.put(s.title, ...editsOf(this.board, s));
		const map = s.puts.find((p) => p.kind === "TrafficMap") ?? s.puts[0];
		if (map?.kind === "TrafficMap") this.made = `map ${map.object.metadata.name}`;
		if (map?.kind === "ToolGroup") this.made = `group:${map.object.metadata.name}`;
		this.said = `In the draft: ${s.title}.`;
	}

	/** Takes the chosen thing away, or says why not. */
	remove(id: string): void {
		const p = this.places.get(id);
		const m = p ? removal(this.board, p) : null;
		if (!m || !this.allowed()) return;
		if (isStep(m)) this.apply(m);
		else notices.error(`${this.title(id)} stays: ${m.why}.`);
	}

	private takenUp(): void {
		const steps = [...this.targets.entries()].filter(([id]) => id.startsWith("tool:")).slice(0, AHEAD);
		this.said = `Taken up: ${this.title(this.carried.state === "carried" ? this.carried.item : "")}. ${this.targets.size} places.`;
		if (this.host) return;
		for (const [, s] of steps) this.foresight.ahead(laidOver(draft.edits, editsOf(this.board, s)));
	}

	private look(): void {
		const m = this.meant;
		this.foresight.look(isStep(m) && !this.host ? laidOver(draft.edits, editsOf(this.board, m)) : null);
		if (this.carried.state === "carried" && this.carried.by === "keys" && this.carried.over) this.said = isStep(m) ? m.title : this.title(this.carried.over);
	}

	private drop(item: string, place: string): void {
		const a = this.places.get(item), b = this.places.get(place);
		if (!a || !b || a.type === "wire" || !this.allowed()) return;
		const m = meaning(this.board, a, b);
		if (isStep(m)) this.apply(m);
		else if (m) notices.error(`${this.title(item)} to ${this.title(place)}: ${m.why}.`);
	}
}
