// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Edge, GraphEvent } from "../../src/api/wire.ts";
import { emptyGraph, type Link, takeGraph } from "../../src/model/graph.ts";
import { MapState } from "../../src/map/mapstate.svelte.ts";

const edge = (id: string, from: string, to: string): Edge => ({ id, from, to, protocol: "tcp", port: 80, packets: [1, 1], bytes: [1, 1], begun: 0, open: 1, drops: {}, lost: 0, latencyMs: null, last: 0 });
const frame = (more: Partial<GraphEvent>): GraphEvent => ({ at: 1, seconds: 5, full: false, ends: [], edges: [], gone: [], ...more });
const outside = (name: string): GraphEvent["ends"][number] => ({ id: `outside/${name}`, kind: "outside", name });

test("an end goes with its last edge, as at the hub, and may come again", () => {
	const g = emptyGraph();
	takeGraph(g, frame({ full: true, ends: [outside("a"), outside("b"), outside("c")], edges: [edge("1", "outside/a", "outside/b"), edge("2", "outside/a", "outside/c")] }));
	assert.equal(takeGraph(g, frame({ edges: [edge("1", "outside/a", "outside/b")] })), false, "the same ends");
	assert.equal(takeGraph(g, frame({ gone: ["1"] })), true, "one less");
	assert.deepEqual([...g.ends.keys()], ["outside/a", "outside/c"], "a has an edge still");
	takeGraph(g, frame({ gone: ["2", "never there"] }));
	assert.equal(g.ends.size + g.edges.size, 0);
	assert.equal(takeGraph(g, frame({ ends: [outside("a"), outside("b")], edges: [edge("1", "outside/a", "outside/b")] })), true);
	assert.equal(g.ends.size, 2);
});

test("a thousand names that came and went leave nothing behind", () => {
	const g = emptyGraph();
	for (let i = 0; i < 1000; i++) takeGraph(g, frame({ ends: [outside("a"), outside(String(i))], edges: [edge(String(i), "outside/a", `outside/${i}`)], gone: i ? [String(i - 1)] : [] }));
	assert.deepEqual([g.ends.size, g.edges.size], [2, 1]);
});

test("the map remembers no lines of links that are long gone", () => {
	const map = new MapState();
	map.placed = { boxes: new Map(), items: new Map([["a", { x: 0, y: 0, w: 10, h: 10 }], ["b", { x: 100, y: 0, w: 10, h: 10 }]]) };
	for (let i = 0; i < 1000; i++) {
		const l: Link = { id: String(i), from: "a", to: "b", edges: [], bytes: 0, packets: 0, drops: 0, lost: 0, latency: null };
		const c = map.curveOf(l);
		assert.ok(c);
		assert.equal(map.curveOf(l), c, "the newest is remembered");
		map.middleOf(l, c);
	}
	assert.ok(map.remembered() <= 200, `${map.remembered()} are`);
});
