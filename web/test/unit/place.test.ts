// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { type Box, layers, newLayout, type Pair, place, type Placed, type Rect } from "../../src/layout/place.ts";

const box = (id: string, items: string[], rank = 1, open = true): Box => ({ id, items, rank, open });
const overlap = (a: Rect, b: Rect): boolean => a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h;
function noneOverlap(p: Placed): void {
	for (const m of [p.boxes, p.items]) {
		const list = [...m];
		for (const [i, [a, r]] of list.entries()) for (const [b, s] of list.slice(i + 1)) assert.ok(!overlap(r, s), `${a} lies on ${b}`);
	}
}
function inside(p: Placed, boxes: Box[]): void {
	for (const b of boxes)
		for (const i of b.items) {
			const r = p.items.get(i), g = p.boxes.get(b.id);
			if (!b.open) assert.equal(r, undefined);
			else assert.ok(r && g && r.x >= g.x && r.y >= g.y && r.x + r.w <= g.x + g.w && r.y + r.h <= g.y + g.h, `${i} is in ${b.id}`);
		}
}

test("callers stand left of what they call", () => {
	const l = newLayout();
	const p = place(l, [box("shop", ["cart", "catalogue", "page", "store"])], [["page", "cart"], ["page", "catalogue"], ["cart", "store"]]);
	const x = (id: string): number => p.items.get(id)?.x ?? -1;
	assert.ok(x("page") < x("cart") && x("cart") < x("store") && x("cart") === x("catalogue"));
	noneOverlap(p);
});

test("rings have an order, too", () => {
	const d = layers(["a", "b", "c"], [["a", "b"], ["b", "c"], ["c", "a"]]);
	assert.deepEqual([d.get("a"), d.get("b"), d.get("c")], [0, 1, 2]);
	assert.equal(layers(["a"], [["a", "a"]]).get("a"), 0);
});

test("what is new is appended; nothing that stood moves", () => {
	const l = newLayout();
	const items = ["a", "b", "c", "d"], pairs: Pair[] = [["a", "b"], ["b", "c"], ["a", "d"]];
	const out = box("out", ["world"], 0);
	const before = place(l, [out, box("ns", items)], pairs);
	const after = place(l, [out, box("ns", [...items, "e", "f"]), box("new", ["x"])], [...pairs, ["b", "e"], ["f", "a"], ["d", "a"]]);
	for (const [id, r] of before.items) assert.deepEqual(after.items.get(id), r, id);
	noneOverlap(after);
	// the same again changes nothing
	assert.deepEqual(place(l, [out, box("ns", [...items, "e", "f"]), box("new", ["x"])], pairs), after);
});

test("what comes back finds room; a box keeps its size", () => {
	const l = newLayout();
	const before = place(l, [box("ns", ["a", "b", "c"])], [["a", "b"]]);
	const less = place(l, [box("ns", ["a", "c"])], [["a", "b"]]);
	assert.deepEqual(less.boxes.get("ns"), before.boxes.get("ns"));
	assert.deepEqual(less.items.get("c"), before.items.get("c"));
	const again = place(l, [box("ns", ["a", "b", "c"])], [["a", "b"]]);
	assert.deepEqual(again.items.get("a"), before.items.get("a"));
	noneOverlap(again);
});

test("a box that was laid out before its links were known is laid out once more, and never again", () => {
	const l = newLayout();
	const b = [box("ns", ["a", "b", "c", "d"])];
	place(l, b, []);
	const p = place(l, b, [["d", "c"], ["c", "b"]]);
	assert.ok((p.items.get("d")?.x ?? 0) < (p.items.get("c")?.x ?? 0));
	const q = place(l, b, [["a", "d"], ["b", "a"]]);
	for (const [id, r] of p.items) assert.deepEqual(q.items.get(id), r);
});

test("opening and closing a box brings back what was", () => {
	const l = newLayout();
	const open = [box("one", ["a", "b"]), box("two", ["c", "d"]), box("tools", ["t"], 2)];
	const pairs: Pair[] = [["a", "c"], ["c", "d"]];
	const before = place(l, open, pairs);
	const closed = open.map((b) => (b.id === "one" ? { ...b, open: false } : b));
	const shut = place(l, closed, pairs);
	inside(shut, closed);
	noneOverlap(shut);
	assert.deepEqual(place(l, open, pairs), before);
});

test("random clusters: nothing overlaps, all is in its box, nothing jumps as they grow", () => {
	let seed = 7;
	const random = (n: number): number => {
		seed = (seed * 1103515245 + 12345) % 2147483648;
		return Math.floor((seed / 2147483648) * n);
	};
	for (let round = 0; round < 25; round++) {
		const l = newLayout();
		const boxes = Array.from({ length: 1 + random(12) }, (_, i) => box(`g${i}`, Array.from({ length: 1 + random(40) }, (_, k) => `g${i}.${k}`), i === 0 ? 0 : 1));
		const all = boxes.flatMap((b) => b.items);
		const pairs: Pair[] = Array.from({ length: random(200) }, () => [all[random(all.length)] ?? "", all[random(all.length)] ?? ""]);
		const p = place(l, boxes, pairs);
		noneOverlap(p);
		inside(p, boxes);
		const slots = new Map([...l.slots].map(([id, s]) => [id, { ...s }]));
		const grown = boxes.map((b) => ({ ...b, items: [...b.items, `${b.id}.new1`, `${b.id}.new2`] }));
		const q = place(l, grown, [...pairs, [all[0] ?? "", "g0.new1"]]);
		noneOverlap(q);
		inside(q, grown);
		for (const b of boxes) if (l.settled.has(b.id)) for (const id of b.items) if (pairs.some(([x, y]) => x !== y && b.items.includes(x) && b.items.includes(y))) assert.deepEqual(l.slots.get(id), slots.get(id));
	}
});
