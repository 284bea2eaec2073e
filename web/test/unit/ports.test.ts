// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import type { ToolSpec, TrafficmapSpec } from "../../src/api/kinds.gen.ts";
import type { ApiObject, BrokerEvent, PortEvent } from "../../src/api/wire.ts";
import { type Board, boardOf } from "../../src/model/board.ts";
import { byPort, isFeed, linkState, loadOf, portWords, toolsAt, trouble, withFeed } from "../../src/model/ports.ts";
import { mapRate, sourceShare } from "../../src/model/rates.ts";
import type { Known } from "../../src/model/source.ts";
import { isStep, type Item, meaning, placesFor } from "../../src/model/wiring.ts";

const way = { packets: 0, bytes: 0, errors: 0, drops: 0, packetsAll: 0, bytesAll: 0, errorsAll: 0, dropsAll: 0 };
const port = (name: string, more: Partial<PortEvent> = {}): PortEvent => ({ name, kind: "ethernet", link: "up", role: "none", mtu: 1500, address: false, speed: 1e9, in: way, out: way, ...more });
const known: Known = { namespaces: [], pods: [], services: [], nodes: [], workloads: [], interfaces: [{ name: "eth1" }, { name: "eth2" }, { name: "eth10" }], host: "tap-1" };
const object = <S>(kind: string, name: string, spec: S): ApiObject<S, never> => ({ apiVersion: "weft.network/v1alpha1", kind, metadata: { name, resourceVersion: "1" }, spec });
const maps: { name: string; spec: TrafficmapSpec }[] = [
	{ name: "web", spec: { from: [{ interface: { name: "eth1", node: "tap-1" } }], filter: "tcp", to: [{ tool: "ids" }] } },
	{ name: "more", spec: { from: [{ interface: { name: "eth1", node: "tap-1" } }, { interface: { name: "eth10" } }], to: [{ tool: "ids" }] } },
];
const board = (with_: typeof maps = maps): Board => boardOf({ maps: with_.map((m) => object("TrafficMap", m.name, m.spec)), tools: [object<ToolSpec>("Tool", "ids", { interface: { name: "eth2" } })], groups: [], filters: [] }, known);
const p = (name: string): Item => ({ type: "port", name });
const step = (b: Board, from: string, to: string) => {
	const m = meaning(b, p(from), p(to));
	assert.ok(isStep(m), JSON.stringify(m));
	return m;
};

test("ports stand in the order in which people count", () => {
	assert.deepEqual(["eth10", "eth2", "lo", "eth1"].map((n) => port(n)).sort(byPort).map((x) => x.name), ["eth1", "eth2", "eth10", "lo"]);
});
test("each state of a link has a shape and a word of its own", () => {
	const all = (["up", "down", "no-carrier", "absent"] as const).map((link) => linkState(port("a", { link })));
	assert.equal(new Set(all.map((s) => s.mark)).size, 4);
	assert.equal(new Set(all.map((s) => s.word)).size, 4);
});
test("load is a share of the speed, and unknown without one", () => {
	const p1 = port("a", { in: { ...way, bytes: 62.5e6 } });
	assert.equal(loadOf(p1, "in"), 0.5);
	assert.equal(loadOf(p1, "out"), 0);
	assert.equal(loadOf({ ...p1, speed: null }, "in"), null);
	assert.equal(trouble(p1), "");
	assert.equal(trouble(port("a", { out: { ...way, drops: 3 } })), "3/s drops");
	assert.equal(portWords(port("eth1", { role: "feed" })), "Port eth1, link up, 1.0 Gbit/s, feed, in 0 p/s, 0 bit/s, out 0 p/s, 0 bit/s");
});
test("a port to a port is a map to the Tool of that interface, which is made where none leads there", () => {
	const b = board();
	const there = step(b, "eth3", "eth2");
	assert.deepEqual(there.puts.map((x) => x.kind), ["TrafficMap"]);
	assert.deepEqual((there.puts[0]?.object.spec as TrafficmapSpec), { from: [{ interface: { name: "eth3" } }], to: [{ tool: "ids" }] });
	const made = step(b, "eth1", "eth10");
	assert.equal(made.title, "eth1 to eth10");
	assert.deepEqual(made.puts.map((x) => [x.kind, x.object.metadata.name]), [["Tool", "eth10"], ["TrafficMap", "eth1-to-eth10"]]);
	assert.deepEqual(made.puts[0]?.object.spec, { interface: { name: "eth10" } });
	assert.deepEqual((made.puts[1]?.object.spec as TrafficmapSpec).from, [{ interface: { name: "eth1", node: "tap-1" } }], "in the words in which the file names it");
	assert.equal(toolsAt(b, "eth2")[0]?.name, "ids");
});
test("what is there already is refused with its name; a port is nowhere brought to itself", () => {
	const m = meaning(board(), p("eth1"), p("eth2"));
	assert.deepEqual(m, { why: "everything of eth1 leads to eth2 already, by map more" });
	assert.equal(meaning(board(), p("eth1"), p("eth1")), null);
	assert.deepEqual([...placesFor(board([]), p("eth1"), [p("eth1"), p("eth2"), { type: "tool", tool: "ids", port: "default" }, { type: "rest" }]).keys()], ["port eth2", "tool:ids/default"]);
});
test("a port to a map is one source more", () => {
	const m = meaning(board(), p("eth2"), { type: "map", name: "web" });
	assert.ok(isStep(m));
	assert.equal((m.puts[0]?.object.spec as TrafficmapSpec).from.length, 2);
});
test("one map says that a port is a feed; all that say so take it back", () => {
	const b = board();
	assert.equal(isFeed(b, "eth1"), false);
	const on = withFeed(b, "eth1", true);
	assert.equal(on.length, 1);
	assert.equal(on[0]?.object.spec?.from[0]?.feed, true);
	const fed = board(maps.map((m) => ({ ...m, spec: { ...m.spec, from: m.spec.from.map((s, i) => (i ? s : { ...s, feed: true })) } })));
	assert.equal(isFeed(fed, "eth1"), true);
	assert.equal(isFeed(fed, "eth10"), false);
	const off = withFeed(fed, "eth1", false);
	assert.equal(off.length, 2);
	assert.ok(off.every((x) => x.object.spec?.from.every((s) => !("feed" in s))));
});
test("a wire into a map has the map's rate where it is the only one, and none where a part is not counted", () => {
	const e = { at: 0, maps: [{ name: "a", packets: 5, bytes: 500 }, { name: "b", packets: 5, bytes: 500, part: true }], tools: [], places: [], sums: [] } as BrokerEvent;
	assert.equal(sourceShare(e, "a", 1)?.bytes, 500);
	assert.equal(sourceShare(e, "a", 2), null);
	assert.equal(mapRate(e, "b"), null);
});
