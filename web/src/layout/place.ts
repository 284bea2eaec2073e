// SPDX-License-Identifier: Apache-2.0
// Where the map's boxes and what is in them stand: boxes in columns from callers to called, items in columns of their box, the
// same way. Stable: what has a slot keeps it, new things are appended, a box keeps the room that it had. Positions follow from
// slots and sizes alone. Pure but for the layout that it is given, which it changes.

export const ITEM = { w: 168, h: 56, gapX: 62, gapY: 20, pad: 16, head: 36 } as const;
export const CLOSED = { w: 200, h: 84 } as const;
const GROUP_GAP = { x: 64, y: 32 } as const;
const COLS_MAX = 6;
/** Width by height of what the map is seen in. */
const WINDOW = 1.25;

export interface Rect {
	x: number;
	y: number;
	w: number;
	h: number;
}
/** Rows may be halves: short columns stand in the middle of long ones. */
export interface Slot {
	group: string;
	col: number;
	row: number;
}
export interface Layout {
	slots: Map<string, Slot>;
	/** Columns and rows of a box; they never shrink. */
	sizes: Map<string, { cols: number; rows: number }>;
	/** Boxes that were laid out when links within them were known. */
	settled: Set<string>;
	/** The boxes, by column. */
	columns: string[][];
}
export interface Box {
	id: string;
	/** 0: left of all, 1: in the middle, 2: right of all. */
	rank: number;
	open: boolean;
	items: readonly string[];
}
export interface Placed {
	boxes: Map<string, Rect>;
	items: Map<string, Rect>;
}
export type Pair = readonly [from: string, to: string];

export function newLayout(): Layout {
	return { slots: new Map(), sizes: new Map(), settled: new Set(), columns: [] };
}

/** How far each is from who calls first; links that would close a ring do not count. */
export function layers(ids: readonly string[], pairs: readonly Pair[]): Map<string, number> {
	const out = new Map<string, string[]>(ids.map((i) => [i, []]));
	const called = new Set<string>();
	for (const [a, b] of pairs)
		if (a !== b && out.has(a) && out.has(b)) {
			out.get(a)?.push(b);
			called.add(b);
		}
	const depth = new Map<string, number>(), active = new Set<string>();
	const order: string[] = [], kept: Pair[] = [];
	// an explicit stack: depth of calls is not bounded
	const visit = (root: string): void => {
		const stack: { id: string; next: number }[] = [{ id: root, next: 0 }];
		active.add(root);
		while (stack.length) {
			const top = stack[stack.length - 1] as { id: string; next: number };
			const to = out.get(top.id)?.[top.next++];
			if (to === undefined) {
				stack.pop();
				active.delete(top.id);
				depth.set(top.id, 0);
				order.push(top.id);
			} else if (!active.has(to)) {
				kept.push([top.id, to]);
				if (!depth.has(to)) {
					active.add(to);
					stack.push({ id: to, next: 0 });
				}
			}
		}
	};
	for (const id of [...ids.filter((i) => !called.has(i)), ...ids]) if (!depth.has(id)) visit(id);
	const after = new Map<string, string[]>();
	for (const [a, b] of kept) {
		const l = after.get(a);
		if (l) l.push(b);
		else after.set(a, [b]);
	}
	for (const id of order.reverse()) for (const b of after.get(id) ?? []) depth.set(b, Math.max(depth.get(b) ?? 0, (depth.get(id) ?? 0) + 1));
	return depth;
}

/** Sorts each column by where its neighbours in the one before stand, then once more from the end. */
function untangle(columns: string[][], pairs: readonly Pair[]): void {
	const near = new Map<string, string[]>();
	for (const [a, b] of pairs) {
		near.set(a, [...(near.get(a) ?? []), b]);
		near.set(b, [...(near.get(b) ?? []), a]);
	}
	const pass = (from: string[], to: string[]): void => {
		const row = new Map(from.map((id, i) => [id, i - from.length / 2]));
		const mean = new Map(
			to.map((id, i) => {
				const rows = (near.get(id) ?? []).map((n) => row.get(n)).filter((r) => r !== undefined);
				return [id, rows.length ? rows.reduce((s, r) => s + r, 0) / rows.length : i - to.length / 2];
			}),
		);
		to.sort((a, b) => (mean.get(a) ?? 0) - (mean.get(b) ?? 0));
	};
	for (let i = 1; i < columns.length; i++) pass(columns[i - 1] ?? [], columns[i] ?? []);
	for (let i = columns.length - 2; i >= 0; i--) pass(columns[i + 1] ?? [], columns[i] ?? []);
}

function arrange(l: Layout, box: Box, pairs: readonly Pair[]): void {
	const linked = new Set(pairs.flat());
	const depth = layers(box.items, pairs);
	// chains that are longer than there are columns are pressed together
	const press = Math.min(1, (COLS_MAX - 1) / Math.max(1, ...depth.values()));
	const columns: string[][] = [];
	for (const id of box.items) if (linked.has(id)) (columns[Math.floor((depth.get(id) ?? 0) * press)] ??= []).push(id);
	for (let i = 0; i < columns.length; i++) columns[i] ??= [];
	untangle(columns, pairs);
	const loose = box.items.filter((i) => !linked.has(i));
	const wide = Math.max(columns.length, box.rank === 1 ? Math.min(COLS_MAX, Math.ceil(Math.sqrt(box.items.length / 2))) : Math.ceil(box.items.length / 12));
	while (columns.length < wide) columns.push([]);
	for (const id of loose) columns.reduce((a, b) => (b.length < a.length ? b : a)).push(id);
	const rows = Math.max(...columns.map((c) => c.length), 1);
	for (const [col, ids] of columns.entries())
		for (const [i, id] of ids.entries()) l.slots.set(id, { group: box.id, col, row: i + (linked.size ? (rows - ids.length) / 2 : 0) });
	l.sizes.set(box.id, { cols: columns.length, rows });
	if (linked.size) l.settled.add(box.id);
}

/** The first row of a column where nothing is in the way. */
function freeRow(l: Layout, box: Box, col: number): number {
	const taken = box.items.map((i) => l.slots.get(i)).filter((s) => s?.col === col).map((s) => s?.row ?? 0).sort((a, b) => a - b);
	let row = taken.length ? Math.min((taken[0] ?? 0) % 1, 0.5) : 0;
	for (const t of taken) if (t < row + 1) row = Math.max(row, t + 1);
	return row;
}

function append(l: Layout, box: Box, id: string, pairs: readonly Pair[]): void {
	const size = l.sizes.get(box.id) ?? { cols: 1, rows: 1 };
	const caller = pairs.find(([a, b]) => b === id && l.slots.has(a))?.[0], called = pairs.find(([a, b]) => a === id && l.slots.has(b))?.[1];
	let col = -1;
	if (caller) col = Math.min((l.slots.get(caller)?.col ?? 0) + 1, COLS_MAX - 1);
	else if (called) col = Math.max(0, (l.slots.get(called)?.col ?? 0) - 1);
	else
		for (let c = 0, best = Infinity; c < size.cols; c++) {
			const r = freeRow(l, box, c);
			if (r < best) [col, best] = [c, r];
		}
	const row = freeRow(l, box, Math.max(0, col));
	l.slots.set(id, { group: box.id, col: Math.max(0, col), row });
	l.sizes.set(box.id, { cols: Math.max(size.cols, col + 1), rows: Math.max(size.rows, Math.ceil(row + 1)) });
}

function sizeOf(l: Layout, box: Box): { w: number; h: number } {
	const s = l.sizes.get(box.id) ?? { cols: 1, rows: 1 };
	if (!box.open) return CLOSED;
	return {
		w: 2 * ITEM.pad + s.cols * ITEM.w + (s.cols - 1) * ITEM.gapX,
		h: ITEM.head + 2 * ITEM.pad + s.rows * ITEM.h + (s.rows - 1) * ITEM.gapY - ITEM.pad / 2,
	};
}

/** Boxes in their order, cut into columns that are at most so tall. */
function cut(order: readonly Box[], sizes: ReadonlyMap<string, { w: number; h: number }>, tall: number): string[][] {
	const columns: string[][] = [];
	let height = Infinity;
	for (const b of order) {
		const h = sizes.get(b.id)?.h ?? 0;
		if (height + h > tall) {
			columns.push([]);
			height = 0;
		}
		columns.at(-1)?.push(b.id);
		height += h + GROUP_GAP.y;
	}
	return columns;
}

/** Callers left of called, in as many columns as make the whole fit best into a window of the usual shape. */
function columnsAnew(l: Layout, boxes: readonly Box[], pairs: readonly Pair[]): string[][] {
	const middle = boxes.filter((b) => b.rank === 1);
	const boxOf = (id: string): string => l.slots.get(id)?.group ?? id;
	const depth = layers(middle.map((b) => b.id), pairs.map(([a, b]) => [boxOf(a), boxOf(b)] as const));
	const sizes = new Map(boxes.map((b) => [b.id, sizeOf(l, b)]));
	const order = [...middle].sort((x, y) => (depth.get(x.id) ?? 0) - (depth.get(y.id) ?? 0));
	const at = (rank: number): string[] => boxes.filter((b) => b.rank === rank).map((b) => b.id);
	const total = order.reduce((s, b) => s + (sizes.get(b.id)?.h ?? 0) + GROUP_GAP.y, 0);
	const tallest = Math.max(0, ...order.map((b) => sizes.get(b.id)?.h ?? 0));
	let best: string[][] = [at(0), at(2)], least = Infinity;
	for (let n = 1; n <= Math.min(order.length, 24); n++) {
		const columns = [at(0), ...cut(order, sizes, Math.max(tallest, total / n)), at(2)];
		const width = columns.reduce((s, c) => s + (c.length ? Math.max(...c.map((id) => sizes.get(id)?.w ?? 0)) + GROUP_GAP.x : 0), 0);
		const height = Math.max(...columns.map((c) => c.reduce((s, id) => s + (sizes.get(id)?.h ?? 0) + GROUP_GAP.y, 0)));
		const need = Math.max(width / WINDOW, height);
		if (need < least) [best, least] = [columns, need];
	}
	return best;
}

/** Boxes that are new go where they are the least in the way; the first column and the last are there from the start. */
function columnsGrow(l: Layout, boxes: readonly Box[]): void {
	const here = new Map(boxes.map((b) => [b.id, b]));
	l.columns = l.columns.map((c) => c.filter((id) => here.has(id)));
	const known = new Set(l.columns.flat());
	const height = (c: string[]): number => c.reduce((s, id) => s + sizeOf(l, here.get(id) as Box).h + GROUP_GAP.y, 0);
	for (const b of boxes) {
		if (known.has(b.id)) continue;
		const middle = l.columns.slice(1, -1);
		if (b.rank === 0) l.columns[0]?.push(b.id);
		else if (b.rank === 2) l.columns.at(-1)?.push(b.id);
		else if (middle.length) middle.reduce((x, y) => (height(y) < height(x) ? y : x)).push(b.id);
		else l.columns.splice(1, 0, [b.id]);
	}
}

/** Gives each box and each item of an open box its place. Links are between items. */
export function place(l: Layout, boxes: readonly Box[], pairs: readonly Pair[]): Placed {
	const home = new Map<string, string>();
	for (const b of boxes) for (const i of b.items) home.set(i, b.id);
	for (const [id, s] of l.slots) if (home.get(id) !== s.group) l.slots.delete(id);
	const inside = new Map<string, Pair[]>(boxes.map((b) => [b.id, []]));
	for (const p of pairs) {
		const g = home.get(p[0]);
		if (g !== undefined && g === home.get(p[1])) inside.get(g)?.push(p);
	}
	for (const b of boxes) {
		const links = inside.get(b.id) ?? [];
		const fresh = b.items.filter((i) => !l.slots.has(i));
		if (fresh.length === b.items.length || (links.length && !l.settled.has(b.id))) arrange(l, b, links);
		else for (const id of fresh) append(l, b, id, links);
	}
	if (!l.columns.length) l.columns = columnsAnew(l, boxes, pairs);
	else columnsGrow(l, boxes);

	const placed: Placed = { boxes: new Map(), items: new Map() };
	const here = new Map(boxes.map((b) => [b.id, b]));
	let x = 0;
	for (const column of l.columns) {
		let y = 0, widest = 0;
		for (const id of column) {
			const b = here.get(id) as Box;
			const size = sizeOf(l, b);
			placed.boxes.set(id, { x, y, ...size });
			if (b.open)
				for (const i of b.items) {
					const s = l.slots.get(i) as Slot;
					placed.items.set(i, { x: x + ITEM.pad + s.col * (ITEM.w + ITEM.gapX), y: y + ITEM.head + ITEM.pad / 2 + s.row * (ITEM.h + ITEM.gapY), w: ITEM.w, h: ITEM.h });
				}
			y += size.h + GROUP_GAP.y;
			widest = Math.max(widest, size.w);
		}
		if (widest) x += widest + GROUP_GAP.x;
	}
	return placed;
}
