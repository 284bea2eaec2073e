// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Board } from "../../src/model/board.ts";
import { boardOf } from "../../src/model/board.ts";
import { foretell, overlapWords, portsTouched } from "../../src/model/foretell.ts";
import { capacityBits, lossWords, portRate, sourceRate } from "../../src/model/rates.ts";
import { chainOf, labelsOf, toolDraft, toolSpec } from "../../src/model/toolform.ts";
import type { Step } from "../../src/model/wiring.ts";
import type { BrokerEvent } from "../../src/api/wire.ts";

const none = { namespaces: [], pods: [], services: [], nodes: [], workloads: [], interfaces: [] };
const b: Board = boardOf({ maps: [], tools: [], filters: [], groups: [{ apiVersion: "", kind: "ToolGroup", metadata: { name: "pair" }, spec: { members: [{ tool: "ids-1" }, { tool: "ids-2", port: "x" }] } }] }, none);
const step: Step = { title: "", deletes: [], puts: [{ kind: "TrafficMap", object: { apiVersion: "", kind: "TrafficMap", metadata: { name: "new" }, spec: { from: [], to: [{ tool: "ids-1" }] } } }] };

test("the forecast of what is carried: rate, free capacity, overlap in words, too small (BR95), MTU too small (BR59)", () => {
	const f = foretell(b, step, {
		tools: [
			{ tool: "ids-1", port: "default", bitsNow: 1e6, packets: 300, bits: 3e6, peakBits: 4e6, capacity: 10e6 },
			{ tool: "other", port: "default", bitsNow: 0, packets: 9, bits: 9e9, peakBits: 9e9, capacity: 1 },
		],
		overlaps: ["12 % of what map new takes for ids-1/default already reaches it through map web; it gets one copy", "50 % of what map web takes for ids-1/default already reaches it through map new; it gets one copy"],
		unknown: ["map new is not foretold: x", "map web is not foretold: x"],
		remarks: [{ level: "warning", tool: "ids-1", port: "default", text: "too large", hint: "a slice" }],
	});
	assert.deepEqual(f.lines, [
		{ level: "plain", text: "ids-1 would get 3.0 Mbit/s, 300 p/s, now 1.0 Mbit/s" },
		{ level: "plain", text: "6.0 Mbit/s of its 10 Mbit/s stay free at the busiest moment" },
		{ level: "warn", text: "too large (a slice)" },
		{ level: "plain", text: "12 % of this already reaches ids-1 through map web; it will get one copy" },
		{ level: "plain", text: "map new is not foretold: x" },
	]);
	assert.equal(f.bits, 2e6);
	const full = foretell(b, step, { tools: [{ tool: "ids-1", port: "default", bitsNow: 0, packets: 1, bits: 7e6, peakBits: 8.6e6, capacity: 10e6, full: true }] });
	assert.deepEqual(full.lines.at(-1), { level: "warn", text: "ids-1 would be too small: its busiest moment takes 86 % of its 10 Mbit/s" });
	assert.deepEqual([...portsTouched(b, { ...step, puts: [{ kind: "TrafficMap", object: { apiVersion: "", kind: "", metadata: { name: "n" }, spec: { from: [], to: [{ group: "pair" }] } } }] })], ["ids-1/default", "ids-2/x"]);
	assert.equal(overlapWords("something else", new Set(["new"]), new Set(["ids-1/default"])), "");
});

test("rates are summed over nodes, and a node whose tool takes nothing is named", () => {
	const tool = { tool: "ids", port: "default", kind: "interface", due: 10, sent: 8, bytes: 80, inFlight: 1, capacity: null };
	const e: BrokerEvent = {
		at: 0, maps: [], sums: [],
		tools: [
			{ ...tool, node: "a", taking: true, losses: { queue: 2 }, totals: { due: 100, added: 0, sent: 90, losses: { queue: 9 } } },
			{ ...tool, node: "b", taking: false, losses: {}, totals: { due: 1, added: 0, sent: 0, losses: { "no-outlet": 1 } } },
		],
		places: [{ node: "a", name: "shop/page-1", kind: "pod", seen: 5, taken: 4, copied: 4 }, { node: "b", name: "shop/cart-1", kind: "pod", seen: 7, taken: 7, copied: 7 }],
	};
	const r = portRate(e, "ids", "default");
	assert.deepEqual([r?.due, r?.sent, r?.lost, r?.stuck, r?.totals.lost], [20, 16, 2, ["b"], 10]);
	assert.equal(portRate(e, "ids", "other"), null);
	const source = { key: "", spec: { pods: {} }, kind: "pods" as const, title: "", detail: "", pods: 1 };
	assert.deepEqual(sourceRate(e, source, [{ apiVersion: "v1", kind: "Pod", metadata: { name: "page-1", namespace: "shop" } }]), { seen: 5, copied: 4 });
	assert.equal(lossWords({ a: 1, b: 3, c: 0 }, String), "b 3, a 1");
	assert.deepEqual(["10G", "1.5k", "x", undefined, "100"].map(capacityBits), [1e10, 1500, null, null, 100]);
});

test("a tool's form gives back what it was given, and leaves out what is the default", () => {
	for (const s of [
		{ interface: { name: "ids0", node: "n" }, capacity: "10G", mtu: 1500 },
		{ vxlan: { remote: "192.0.2.9", vni: 7 }, tooBig: "Slice" as const, dscp: 4, ports: [{ name: "a", chain: { slice: { bytes: 64 } } }, { name: "b" }] },
		{ gre: { remote: "fd00::1", key: 9 }, dontFragment: true }, { erspan: { remote: "192.0.2.9", session: 3 } },
		{ file: { path: "x.pcapng", rotate: { size: "1Gi", count: 3 } }, health: { withinSeconds: 5, answers: true } },
		{ ring: {} }, { ring: { size: "1Mi" } }, { ipfix: { collector: "192.0.2.9:4739", idleTimeoutSeconds: 5 } }, { discard: true },
		{ pod: { namespace: "shop", podSelector: { matchLabels: { app: "ids" }, matchExpressions: [{ key: "x", operator: "Exists" as const }] } } },
	])
		assert.deepEqual(toolSpec(toolDraft(s)), s);
	assert.deepEqual(labelsOf("a=b, c=d"), { a: "b", c: "d" });
	assert.equal(labelsOf("a"), null);
	assert.equal(chainOf({ strip: [], mask: { fields: [] }, stamp: {} }), undefined);
});
