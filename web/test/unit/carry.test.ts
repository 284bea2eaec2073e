// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { neighbour } from "../../src/gesture/arrows.ts";
import { carry, type Carry, type CarryEvent, IDLE } from "../../src/gesture/carry.ts";
import { apart, wireAt, wirePath, wireWidth } from "../../src/layout/wires.ts";

function play(...events: CarryEvent[]): { end: Carry; clicked?: string; dropped?: { item: string; place: string } } {
	let end: Carry = IDLE;
	const out: { clicked?: string; dropped?: { item: string; place: string } } = {};
	for (const e of events) {
		const r = carry(end, e);
		end = r.next;
		if (r.clicked) out.clicked = r.clicked;
		if (r.dropped) out.dropped = r.dropped;
	}
	return { end, ...out };
}
const press: CarryEvent = { type: "press", item: "a", x: 10, y: 10 };

test("a press that hardly moves is a click, one that moves carries", () => {
	assert.deepEqual(play(press, { type: "move", x: 12, y: 12, over: "b" }, { type: "release" }), { end: IDLE, clicked: "a" });
	assert.deepEqual(play(press, { type: "move", x: 20, y: 10, over: null }, { type: "move", x: 60, y: 10, over: "b" }, { type: "release" }), { end: IDLE, dropped: { item: "a", place: "b" } });
	assert.deepEqual(play(press, { type: "move", x: 20, y: 10, over: null }, { type: "release" }), { end: IDLE }, "let go over nothing");
	assert.deepEqual(play(press, { type: "move", x: 90, y: 10, over: "b" }, { type: "cancel" }, { type: "release" }), { end: IDLE }, "Escape");
});

test("by keys it is taken up, led and let go; the mouse does not lead it away", () => {
	assert.deepEqual(play({ type: "pick", item: "a", first: "b" }, { type: "release" }).dropped, { item: "a", place: "b" });
	assert.deepEqual(play({ type: "pick", item: "a", first: "b" }, { type: "over", over: "c" }, { type: "move", x: 500, y: 5, over: "z" }, { type: "release" }).dropped, { item: "a", place: "c" });
	assert.deepEqual(play({ type: "pick", item: "a", first: "b" }, press, { type: "release" }).dropped, { item: "a", place: "b" }, "a press in between is none");
});

test("arrows lead to what lies that way", () => {
	const at = (id: string, x: number, y: number, width = 100): { id: string; x: number; y: number; width: number; height: number } => ({ id, x, y, width, height: 40 });
	const boxes = [at("s1", 0, 0), at("s2", 0, 60), at("m1", 200, 10, 180), at("m2", 200, 80, 180), at("chip", 210, 100, 40), at("t1", 500, 0)];
	assert.equal(neighbour(boxes, "s1", "ArrowDown"), "s2");
	assert.equal(neighbour(boxes, "s1", "ArrowRight"), "m1");
	assert.equal(neighbour(boxes, "m2", "ArrowLeft"), "s2");
	assert.equal(neighbour(boxes, "m1", "ArrowRight"), "t1");
	assert.equal(neighbour(boxes, "t1", "ArrowRight"), null);
	assert.equal(neighbour(boxes, "s1", "ArrowUp"), null);
});

test("wires leave to the right, are wider by rate, and labels do not cover each other", () => {
	const a = { x: 0, y: 0 }, b = { x: 100, y: 50 };
	assert.match(wirePath(a, b), /^M0\.0 0\.0C45\.0 0\.0 55\.0 50\.0 100\.0 50\.0$/);
	assert.deepEqual(wireAt(a, b, 0), a);
	assert.deepEqual(wireAt(a, b, 1), b);
	assert.equal(wireWidth(0), 1.5);
	assert.ok(wireWidth(1e4) < wireWidth(1e6) && wireWidth(1e12) <= 8);
	const placed = apart([{ id: "b", x: 0, y: 3 }, { id: "a", x: 0, y: 0 }, { id: "c", x: 300, y: 0 }, { id: "d", x: 10, y: 5 }], 70, 24);
	assert.deepEqual([...placed.entries()].map(([id, p]) => [id, p.y]).sort(), [["a", 0], ["b", 24], ["c", 0], ["d", 48]]);
});
