// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import type { ToolSpec, TrafficmapSpec, TrafficSource } from "../../src/api/kinds.gen.ts";
import type { ApiObject } from "../../src/api/wire.ts";
import { type Board, boardOf, chainWords, type MapObject } from "../../src/model/board.ts";
import { draft, laidOver, putEdit } from "../../src/model/draft.svelte.ts";
import { editsOf, objectOf } from "../../src/model/drafted.ts";
import { type Known, sourceByLink, sourceKey } from "../../src/model/source.ts";
import { removal } from "../../src/model/unwire.ts";
import { idOf, isStep, type Item, meaning, type Place, placesFor, type Step } from "../../src/model/wiring.ts";

const object = <S>(kind: string, name: string, spec: S, at = "2026-01-01T00:00:00Z", more: object = {}): ApiObject<S, never> => ({
	apiVersion: "weft.network/v1alpha1", kind, metadata: { name, creationTimestamp: at, resourceVersion: "7", ...more }, spec,
});
const pod = (namespace: string, name: string, labels: Record<string, string>, owned = true): ApiObject => ({
	apiVersion: "v1", kind: "Pod", metadata: { name, namespace, labels, ...(owned ? { ownerReferences: [{ kind: "ReplicaSet", name: "x", uid: "1" }] } : {}) },
});
const inShop = (app: string): TrafficSource => ({ pods: { namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": "shop" } }, podSelector: { matchLabels: { app } } } });
const known: Known = {
	namespaces: [{ apiVersion: "v1", kind: "Namespace", metadata: { name: "shop" } }],
	pods: [pod("shop", "page-1", { app: "page" }), pod("shop", "page-2", { app: "page" }), pod("shop", "cart-1", { app: "cart" }), pod("shop", "lone", {}, false)],
	services: [{ apiVersion: "v1", kind: "Service", metadata: { name: "cart", namespace: "shop" }, spec: { selector: { app: "cart" } } }],
	nodes: [{ apiVersion: "v1", kind: "Node", metadata: { name: "node-1" } }],
	workloads: ["page", "cart"].map((app) => ({ apiVersion: "apps/v1", kind: "Deployment", metadata: { name: app, namespace: "shop" }, spec: { selector: { matchLabels: { app } } } })),
	interfaces: [],
};
const web: TrafficmapSpec = { from: [inShop("page")], filter: "tcp && port == 80", to: [{ tool: "ids" }] };
const objects = {
	maps: [object("TrafficMap", "web", web), object("TrafficMap", "all", { from: [{ pods: {} }], to: [{ tool: "archive", port: "masked" }] } as TrafficmapSpec, "2026-01-02T00:00:00Z")],
	tools: [
		object<ToolSpec>("Tool", "archive", { file: { path: "x" }, ports: [{ name: "default" }, { name: "masked", chain: { mask: { fields: ["SourceIP"] } } }] }),
		object<ToolSpec>("Tool", "ids", { interface: { name: "ids0" } }),
		object<ToolSpec>("Tool", "ids-2", { interface: { name: "ids1" } }),
	],
	groups: [object("ToolGroup", "pair", { members: [{ tool: "ids" }] })],
	filters: [object("TrafficFilter", "dns", { filter: "udp && port == 53" }), object("TrafficFilter", "old", { filter: "pcap:'port 9'" })],
};
const board = (): Board => boardOf(objects, known);
const done = (b: Board, a: Item, to: Place): Step => {
	const m = meaning(b, a, to);
	assert.ok(isStep(m), JSON.stringify(m));
	return m;
};
const spec = (s: Step, i = 0): TrafficmapSpec => s.puts[i]?.object.spec as TrafficmapSpec;
const why = (m: ReturnType<typeof meaning>): string => (m && !isStep(m) ? m.why : "");
const tool = (name: string, port = "default"): Item => ({ type: "tool", tool: name, port });
const map = (name: string): Item => ({ type: "map", name });
const source = (s: TrafficSource): Item => ({ type: "source", key: sourceKey(s) });

test("a source in other words that mean the same is the same source", () => {
	assert.equal(sourceKey({ pods: {} }), sourceKey({ pods: { podSelector: { matchLabels: {} } } }));
	assert.equal(sourceKey({ service: { name: "a" } }), sourceKey({ service: { namespace: "default", name: "a" } }));
	assert.notEqual(sourceKey(inShop("a")), sourceKey(inShop("b")));
	const used = board().used.map((s) => [s.title, s.pods]);
	assert.deepEqual(used, [["page", 2], ["all pods", 4]]);
	assert.equal(sourceByLink("shop/Deployment/page", known), sourceKey(inShop("page")));
	assert.equal(sourceByLink("shop/Pod/lone", known), null, "a pod without labels cannot be named");
	assert.equal(sourceByLink("shop/Service/cart", known), "service:shop/cart");
});

test("a source to a tool is a map, to a map one source more", () => {
	const b = board();
	const s = done(b, source(inShop("cart")), tool("archive", "masked"));
	assert.deepEqual(s.puts[0]?.object, { apiVersion: "weft.network/v1alpha1", kind: "TrafficMap", metadata: { name: "cart-to-archive-masked" }, spec: { from: [inShop("cart")], to: [{ tool: "archive", port: "masked" }] } });
	assert.deepEqual(spec(done(b, source(inShop("cart")), map("web"))), { ...web, from: [inShop("page"), inShop("cart")] });
	assert.match(why(meaning(b, source(inShop("page")), map("web"))), /already/);
	assert.deepEqual(spec(done(b, tool("ids-2"), map("web"))).to, [{ tool: "ids" }, { tool: "ids-2" }], "and the other way round");
	assert.equal(meaning(b, source(inShop("page")), source(inShop("cart"))), null);
});

test("a filter to a map is OR, to a filter AND, and brackets keep what each means", () => {
	const b = board();
	const dns: Item = { type: "filter", name: "dns" }, old: Item = { type: "filter", name: "old" };
	assert.deepEqual(spec(done(b, dns, map("web"))), { from: web.from, filter: web.filter, filterRefs: ["dns"], to: web.to });
	assert.deepEqual(spec(done(b, dns, { type: "wire", id: "x", map: "web" })).filterRefs, ["dns"]);
	assert.equal(spec(done(b, dns, { type: "clause", map: "web", index: 0 })).filter, "tcp && port == 80 && udp && port == 53");
	assert.deepEqual(spec(done(b, old, map("web"))).filterRefs, ["old"], "a pcap expression may stand beside others");
	assert.match(why(meaning(b, old, { type: "clause", map: "web", index: 0 })), /pcap/);
	const or = boardOf({ ...objects, maps: [object("TrafficMap", "web", { ...web, filter: "tcp || udp", filterRefs: ["dns"] })] }, known);
	assert.equal(spec(done(or, dns, { type: "clause", map: "web", index: 0 })).filter, "(tcp || udp) && udp && port == 53");
	const narrowed = spec(done(or, { type: "clause", map: "web", index: 0 }, { type: "clause", map: "web", index: 1 }));
	assert.equal(narrowed.filter, "(tcp || udp) || (udp && port == 53 && (tcp || udp))");
	assert.equal(narrowed.filterRefs, undefined, "the named one became part of the map's own");
});

test("a tool to a tool is a group that maps lead to; rest and except", () => {
	const b = board();
	const s = done(b, tool("ids-2"), tool("ids"));
	assert.deepEqual(s.puts.map((p) => p.kind), ["ToolGroup", "TrafficMap"]);
	assert.deepEqual(s.puts[0]?.object.spec, { members: [{ tool: "ids" }, { tool: "ids-2" }] });
	assert.deepEqual(spec(s, 1).to, [{ group: "ids-and-ids-2" }]);
	assert.match(why(meaning(b, tool("ids"), { type: "group", name: "pair" })), /already/);
	assert.deepEqual(done(b, tool("ids-2"), { type: "group", name: "pair" }).puts[0]?.object.spec, { members: [{ tool: "ids" }, { tool: "ids-2" }] });
	assert.deepEqual(spec(done(b, { type: "rest" }, tool("ids-2"))), { from: [inShop("page"), { pods: {} }], rest: true, to: [{ tool: "ids-2" }] });
	assert.deepEqual(spec(done(b, map("web"), map("all"))).except, ["web"]);
	assert.match(why(meaning(b, { type: "rest" }, map("x"))), /^$/);
});

test("what is taken away takes with it what would mean something else", () => {
	const b = board();
	const wire = b.wires.find((w) => w.map === "web" && w.way === "in");
	const one = removal(b, { type: "wire", id: wire?.id ?? "", map: "web" });
	assert.ok(isStep(one) && one.deletes[0]?.name === "web", "a map without a source goes");
	const t = removal(b, tool("archive"));
	assert.ok(isStep(t));
	assert.deepEqual(t.deletes, [{ kind: "TrafficMap", name: "all" }, { kind: "Tool", name: "archive" }]);
	assert.match(why(removal(b, tool("ids"))), /group pair/);
	const using = boardOf({ ...objects, maps: [object("TrafficMap", "web", { ...web, filterRefs: ["dns"] })] }, known);
	assert.match(why(removal(using, { type: "filter", name: "dns" })), /web/);
	const clause = removal(using, { type: "clause", map: "web", index: 0 });
	assert.ok(isStep(clause));
	assert.equal(spec(clause).filter, undefined);
});

test("the draft is laid over: new, changed and removed; undo brings each step back", () => {
	draft.clear();
	let b = board();
	const put = (s: Step): void => {
		draft.put(s.title, ...editsOf(b, s));
		b = boardOf(objects, known, draft.edits, objectOf);
	};
	put(done(b, source(inShop("cart")), tool("ids")));
	assert.deepEqual(b.maps.map((m) => [m.name, m.state]), [["web", "same"], ["all", "same"], ["cart-to-ids", "new"]]);
	put(done(b, { type: "filter", name: "dns" }, map("cart-to-ids")));
	assert.equal(draft.edits.length, 1, "one edit for each object");
	assert.match(draft.edits[0]?.yaml ?? "", /filterRefs:\n {2}- dns\n/);
	assert.equal(draft.edits[0]?.resourceVersion, undefined);
	const gone = removal(b, map("cart-to-ids"));
	assert.ok(isStep(gone));
	put(gone);
	assert.equal(draft.edits.length, 0, "what was in the draft only leaves nothing");
	draft.undo();
	b = boardOf(objects, known, draft.edits, objectOf);
	assert.equal(b.maps.at(-1)?.clauses[0]?.name, "dns");
	const web2 = removal(b, map("web"));
	assert.ok(isStep(web2));
	put(web2);
	assert.deepEqual(draft.edits.find((e) => e.name === "web"), { verb: "delete", kind: "TrafficMap", name: "web", resourceVersion: "7" });
	assert.equal(b.maps.find((m) => m.name === "web")?.state, "removed");
	const text = boardOf(objects, known, laidOver(draft.edits, [putEdit("Tool", "ids", "spec: {}")]), objectOf);
	assert.equal(text.asText.length, 1, "an edit that was made as text is told");
	draft.clear();
});

test("the order of a chain is fixed, and places for a thing exclude what is refused", () => {
	assert.deepEqual(chainWords({ name: "p", chain: { stamp: { vlan: 9 }, slice: { bytes: 64 }, sample: { oneIn: 10 }, mask: { ranges: [{ from: "Payload" }] } } }, "gre"), ["1 in 10", "mask Payload", "slice 64 B", "stamp VLAN 9", "encapsulate GRE"]);
	const b = board();
	const all: Place[] = [map("web"), map("all"), tool("ids"), { type: "filter", name: "dns" }];
	assert.deepEqual([...placesFor(b, source(inShop("page")), all).keys()], ["map all", "tool:ids/default"].map(String));
	assert.equal(idOf(tool("a", "b")), "tool:a/b");
	const m: MapObject | undefined = b.maps[0]?.object;
	assert.equal(m?.metadata.name, "web");
});
