// SPDX-License-Identifier: Apache-2.0
// What the map shows: items in boxes, links between what is shown, where everything stands, what is chosen, lit and sought, and
// which time is looked at. Reads the world; the view's pieces read this.
import { post } from "../api/http.ts";
import { untrack } from "svelte";
import type { ApiObject, End } from "../api/wire.ts";
import { boxOf, type Curve, curveBetween, overlaps, pointAt } from "../layout/curve.ts";
import { type Layout, newLayout, type Pair, place, type Placed, type Rect } from "../layout/place.ts";
import { endId, type FlowsAnswer, isWords } from "../model/flow.ts";
import { type Graph, type Link, linksOf } from "../model/graph.ts";
import { type GroupKind, type Layer, LAYERS, type MapGroup, type MapItem, type MapObjects, readGroups, readItems } from "../model/mapitems.ts";
import { type PastAnswer, pastGraph, type PastWindow, windowOf } from "../model/past.ts";
import { bitsPerSecond } from "../model/units.ts";
import { behindSets, endOfWorkload, workloadOf } from "../model/workload.ts";
import { world } from "../model/world.svelte.ts";

/** Above so many items, namespaces are closed at first. */
const CLOSE_ABOVE = 60;
const FADE_MOST = 150;
const TOLD_A_FRAME = 120;
const KEPT_LEAST = 64;
export type LinkStatus = "idle" | "flow" | "loss" | "refused";

export function statusOf(l: Link): LinkStatus {
	if (l.drops > 0) return l.packets > 0 ? "loss" : "refused";
	if (l.lost > 0) return "loss";
	return l.packets > 0 ? "flow" : "idle";
}

/** Numbers that an item's card shows, told apart so that one card changes alone. */
export class Live {
	rate = $state("");
	refused = $state(0);
	dim = $state(false);
}
export type Chosen = { kind: "item" | "link" | "box"; id: string } | null;
export type Moment = { kind: "live" } | { kind: "paused"; graph: Graph } | { kind: "past"; graph: Graph; unknown: string[] };

const RANK: Record<GroupKind, number> = { outside: 0, namespace: 1, node: 1, tools: 2 };

export class MapState {
	by: Layer = $state("namespace");
	closed: ReadonlySet<string> = $state.raw(new Set());
	chosen: Chosen = $state.raw(null);
	/** A link under the pointer, or pointed at by a list. */
	hovered: string | null = $state(null);
	latency = $state(false);
	moment: Moment = $state.raw({ kind: "live" });
	filter = $state("");
	/** What the filter takes, or null; and why it cannot be told. */
	lit: { items: ReadonlySet<string>; links: ReadonlySet<string> } | null = $state.raw(null);
	filterError = $state("");
	placed: Placed = $state.raw({ boxes: new Map(), items: new Map() });
	/** What of the plane is seen from near enough to be read; null: everything counts as read. */
	sight: Rect | null = null;

	private layouts = Object.fromEntries(LAYERS.map((l) => [l.id, newLayout()])) as Record<Layer, Layout>;
	private lives = new Map<string, Live>();
	private curveCache = new Map<string, Curve>();
	private middles = new Map<string, number>();
	private decided = false;
	private telling = 0;
	private told = -1;
	private toldAt: Placed | null = null;
	/** Cards whose newest numbers are still to be shown, the oldest first. */
	private readonly due = new Set<string>();

	readonly graph = $derived.by(() => {
		if (this.moment.kind !== "live") return { g: this.moment.graph };
		void world.frame;
		return { g: world.graph };
	});
	private readonly objects = $derived.by((): MapObjects => {
		const o = world.objects;
		return {
			namespaces: o.of("namespaces"), nodes: o.of("nodes"), pods: o.of("pods"), replicasets: o.of("replicasets"), services: o.of("services"), tools: o.of("tools"),
			workloads: [...o.of<ApiObject<{ selector?: unknown }>>("deployments"), ...o.of<ApiObject<{ selector?: unknown }>>("statefulsets"), ...o.of<ApiObject<{ selector?: unknown }>>("daemonsets"), ...o.of<ApiObject<{ selector?: unknown }>>("jobs")],
		};
	});
	/** Names of the ends; another text only when there is another end. */
	private readonly endNames = $derived.by(() => {
		void world.ends;
		return [...this.ends().keys()].sort().join("\n");
	});
	readonly read = $derived.by(() => {
		void this.endNames;
		return readItems(this.objects, untrack(() => this.ends()).values());
	});
	/** Those of now stay on the map while the past is looked at: nothing jumps. */
	private ends(): ReadonlyMap<string, End> {
		return this.moment.kind === "live" ? world.graph.ends : new Map([...world.graph.ends, ...this.moment.graph.ends]);
	}
	readonly groups: MapGroup[] = $derived(readGroups(this.read.items.values(), this.by));
	private readonly homes = $derived(new Map(this.groups.flatMap((g) => g.items.map((i) => [i.id, g.id] as const))));

	private readonly owners = $derived(behindSets(this.objects.replicasets));
	workloadIdOf(pod: ApiObject): string {
		return endOfWorkload(workloadOf(pod, this.owners));
	}

	podsNamed(namespace: string, workload: string): ApiObject[] {
		return this.objects.pods.filter((p) => p.metadata.namespace === namespace && workloadOf(p, this.owners).name === workload);
	}

	/** Between items, whether their boxes are open or not. */
	readonly itemLinks = $derived.by(() => {
		const at = this.read.at;
		return linksOf(this.graph.g.edges.values(), (id) => at.get(id) ?? id);
	});
	/** Between what is shown. */
	readonly links = $derived.by(() => {
		if (!this.closed.size) return this.itemLinks;
		const at = this.read.at;
		return linksOf(this.graph.g.edges.values(), (id) => this.shownAt(at.get(id) ?? id));
	});

	/** The item itself, or its box where that is closed. */
	shownAt(id: string): string {
		const home = this.homes.get(id);
		return home !== undefined && this.closed.has(home) ? home : id;
	}
	groupOf(id: string): MapGroup | undefined {
		const home = this.homes.get(id);
		return this.groups.find((g) => g.id === (home ?? id));
	}
	item(id: string): MapItem | undefined {
		return this.read.items.get(id);
	}
	title(id: string): string {
		return this.item(id)?.title ?? this.groups.find((g) => g.id === id)?.title ?? id;
	}
	rectOf(id: string): Rect | undefined {
		return this.placed.items.get(id) ?? this.placed.boxes.get(id);
	}
	curveOf(l: Link): Curve | undefined {
		let c = this.curveCache.get(l.id);
		if (c) return c;
		const a = this.rectOf(l.from), b = this.rectOf(l.to);
		if (!a || !b) return undefined;
		c = curveBetween(a, b);
		keepFew(this.curveCache, this.links);
		this.curveCache.set(l.id, c);
		return c;
	}
	/** Where on a link its number is seen: no card lies there. */
	middleOf(l: Link, c: Curve): number {
		let t = this.middles.get(l.id);
		if (t === undefined) {
			const near = boxOf(c);
			const cards = [...this.placed.items.values()].filter((r) => overlaps(r, { x: near.x - 1, y: near.y - 1, w: near.w + 2, h: near.h + 2 }));
			const free = (at: number): boolean => {
				const p = pointAt(c, at);
				return !cards.some((r) => p.x > r.x - 30 && p.x < r.x + r.w + 30 && p.y > r.y - 12 && p.y < r.y + r.h + 12);
			};
			t = [0.5, 0.42, 0.58, 0.34, 0.66, 0.26, 0.74, 0.18, 0.82].find(free) ?? 0.5;
			keepFew(this.middles, this.links);
			this.middles.set(l.id, t);
		}
		return t;
	}
	/** Of links and cards, how much is remembered by name. */
	remembered(): number {
		return this.curveCache.size + this.middles.size + this.lives.size;
	}
	bounds(): Rect {
		let x = Infinity, y = Infinity, right = -Infinity, bottom = -Infinity;
		for (const r of this.placed.boxes.values()) {
			x = Math.min(x, r.x);
			y = Math.min(y, r.y);
			right = Math.max(right, r.x + r.w);
			bottom = Math.max(bottom, r.y + r.h);
		}
		return x < Infinity ? { x, y, w: right - x, h: bottom - y } : { x: 0, y: 0, w: 1, h: 1 };
	}
	liveOf(id: string): Live {
		let l = this.lives.get(id);
		if (!l) this.lives.set(id, (l = new Live()));
		return l;
	}

	/** Many namespaces are closed at first; called once, when everything has come. */
	decide(): void {
		if (this.decided || !this.groups.length) return;
		this.decided = true;
		if (this.read.items.size > CLOSE_ABOVE) this.closed = new Set(this.groups.filter((g) => g.kind === "namespace" || g.kind === "node").map((g) => g.id));
	}

	/** Places what is new; what stands keeps its place. */
	settle(): void {
		const pairs: Pair[] = [...this.itemLinks.values()].map((l) => [l.from, l.to]);
		const boxes = this.groups.map((g) => ({ id: g.id, rank: RANK[g.kind], open: !this.closed.has(g.id), items: g.items.map((i) => i.id) }));
		const p = place(this.layouts[this.by], boxes, pairs);
		if (same(p.boxes, this.placed.boxes) && same(p.items, this.placed.items)) return;
		this.curveCache.clear();
		this.middles.clear();
		this.placed = p;
		keepFew(this.lives, new Set([...p.items.keys(), ...p.boxes.keys()]));
	}
	/** Everything anew: the only way in which things jump. */
	arrange(): void {
		this.layouts = { ...this.layouts, [this.by]: newLayout() };
		this.settle();
	}
	toggle(group: string): void {
		const c = new Set(this.closed);
		if (!c.delete(group)) c.add(group);
		this.closed = c;
	}
	show(id: string): void {
		const home = this.homes.get(id);
		if (home && this.closed.has(home)) this.toggle(home);
	}

	/** The cards' numbers, so many cards with each frame, so that what a person does never waits for all of them: those that can be
	 *  read now first and each time, of the others so many each time, in turn. All at once after they were placed, and of a moment that stays. */
	tell(): void {
		const out = new Map<string, { bytes: number; refused: number }>();
		const add = (id: string, l: Link): void => {
			const s = out.get(id);
			if (s) {
				s.bytes += l.bytes;
				s.refused += l.drops;
			} else out.set(id, { bytes: l.bytes, refused: l.drops });
		};
		for (const l of this.links.values()) {
			add(l.from, l);
			add(l.to, l);
		}
		const others: string[] = [];
		const sight = this.moment.kind === "live" && this.toldAt === this.placed ? this.sight : null;
		this.toldAt = this.placed;
		for (const id of this.placed.boxes.keys()) this.due.add(id);
		for (const [id, r] of this.placed.items) {
			if (!sight || overlaps(r, sight)) this.due.add(id);
			else others.push(id);
		}
		for (let n = Math.min(others.length, TOLD_A_FRAME); n > 0; n--) {
			this.told = (this.told + 1) % others.length;
			this.due.add(others[this.told] as string);
		}
		const some = (): void => {
			let n = 0;
			for (const id of this.due) {
				if (n++ >= TOLD_A_FRAME) break;
				this.due.delete(id);
				if (!this.rectOf(id)) continue;
				const live = this.liveOf(id), s = out.get(id);
				live.rate = s && s.bytes >= 1 ? bitsPerSecond(s.bytes) : "";
				live.refused = s?.refused ?? 0;
			}
			this.telling = this.due.size ? requestAnimationFrame(some) : 0;
		};
		cancelAnimationFrame(this.telling);
		some();
	}
	/** Which cards step back: each is told alone, and only when it is another. */
	fade(): void {
		const bright = this.brightItems, fades = this.fades;
		for (const id of this.placed.items.keys()) this.liveOf(id).dim = fades && bright !== null && !bright.has(id);
		for (const id of this.placed.boxes.keys()) this.liveOf(id).dim = bright !== null && this.closed.has(id) && !bright.has(id);
	}

	/** Hundreds of cards fade too slowly without a GPU: then lines alone do, unless somebody searches. */
	readonly fades = $derived(this.lit !== null || this.placed.items.size <= FADE_MOST);
	/** Which links are shown bright; null: all. */
	readonly bright: ReadonlySet<string> | null = $derived.by(() => {
		if (this.lit) return this.lit.links;
		const c = this.chosen;
		if (!c || c.kind === "box") return null;
		if (c.kind === "link") return new Set([c.id]);
		const links = new Set<string>();
		for (const l of this.links.values()) if (l.from === c.id || l.to === c.id) links.add(l.id);
		return links;
	});
	readonly brightItems: ReadonlySet<string> | null = $derived.by(() => {
		if (this.lit) return this.lit.items;
		const c = this.chosen;
		if (!c || c.kind === "box") return null;
		const items = new Set<string>(c.kind === "item" ? [c.id] : []);
		for (const id of this.bright ?? []) {
			const l = this.links.get(id);
			if (l) items.add(l.from).add(l.to);
		}
		return items;
	});

	/** Lights what the filter takes: names by their letters, filters by asking the hub for the flows that they take. */
	async light(signal: AbortSignal): Promise<void> {
		const text = this.filter.trim();
		if (!text) {
			this.lit = null;
			this.filterError = "";
			return;
		}
		const links = new Set<string>(), items = new Set<string>();
		const shown = this.links;
		if (isWords(text)) {
			const words = text.toLowerCase().split(/\s+/);
			const named = (i: MapItem): boolean => words.every((w) => `${i.namespace}/${i.title} ${i.what} ${i.services.join(" ")}`.toLowerCase().includes(w));
			for (const i of this.read.items.values()) if (named(i)) items.add(this.shownAt(i.id));
			for (const l of shown.values()) if (items.has(l.from) || items.has(l.to)) links.add(l.id);
		} else {
			const g = this.graph.g, until = this.moment.kind === "live" ? undefined : g.at;
			const since = (until ?? Date.now()) - Math.max(30, g.seconds) * 1000;
			try {
				const a = await post<FlowsAnswer>("/page/flows", { filter: text, since: since * 1e6, limit: 5000, ...(until ? { until: until * 1e6 } : {}) }, signal);
				const at = this.read.at, has = (id: string): boolean => g.ends.has(id);
				const where = (e: FlowsAnswer["flows"][number]["from"]): string => {
					const id = endId(e, has);
					return this.shownAt(at.get(id) ?? id);
				};
				for (const f of a.flows) {
					const from = where(f.from), to = where(f.to);
					items.add(from).add(to);
					for (const id of [`${from}→${to}`, `${to}→${from}`]) if (shown.has(id)) links.add(id);
				}
			} catch (e) {
				if (!signal.aborted) this.filterError = (e as Error).message;
				return;
			}
		}
		if (signal.aborted) return;
		this.filterError = "";
		// letters that begin a filter are no reason to fade everything
		this.lit = isWords(text) && !items.size ? null : { items, links };
	}

	pause(): void {
		const g = this.graph.g;
		this.moment = { kind: "paused", graph: { ...g, ends: new Map(g.ends), edges: new Map(g.edges) } };
	}
	goLive(): void {
		this.moment = { kind: "live" };
	}
	/** The graph of the `seconds` that ended at `at`, ms. */
	async goBack(at: number, seconds: number, signal: AbortSignal): Promise<void> {
		const until = Math.floor(at / 1000);
		const question = (w: PastWindow): Promise<PastAnswer> => post<PastAnswer>("/page/history", { ...w, by: "from,to,service,port,protocol,verdict,reason", limit: 20000 }, signal);
		let w = windowOf(until, seconds, {});
		let a = await question(w);
		const coarse = windowOf(until, seconds, a);
		if (coarse.step) a = await question((w = coarse));
		if (signal.aborted) return;
		this.moment = { kind: "past", graph: pastGraph(a, coarse.step ? w.until * 1000 : at, w.until - w.since), unknown: [...new Set((a.unknown ?? []).map((u) => u.node))] };
	}

	/** The link that lies at a point, if any. */
	linkAt(x: number, y: number, within: number, distanceOf: (c: Curve, x: number, y: number, most: number) => number): string | null {
		let best: string | null = null, least = within;
		for (const l of this.links.values()) {
			const c = this.curveOf(l);
			if (!c) continue;
			const b = boxOf(c);
			if (x < b.x - within || x > b.x + b.w + within || y < b.y - within || y > b.y + b.h + within) continue;
			const d = distanceOf(c, x, y, within);
			if (d < least) [best, least] = [l.id, d];
		}
		return best;
	}
}

/** What is remembered of things by name: about twice as many as there are, however many come and go. */
function keepFew(of: Map<string, unknown>, there: { size: number; has(id: string): boolean }): void {
	if (of.size < 2 * there.size + KEPT_LEAST) return;
	for (const id of of.keys()) if (!there.has(id)) of.delete(id);
}

function same(a: ReadonlyMap<string, Rect>, b: ReadonlyMap<string, Rect>): boolean {
	if (a.size !== b.size) return false;
	for (const [id, r] of a) {
		const s = b.get(id);
		if (!s || s.x !== r.x || s.y !== r.y || s.w !== r.w || s.h !== r.h) return false;
	}
	return true;
}
