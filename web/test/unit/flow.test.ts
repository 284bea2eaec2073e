// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { endId, type Flow, FLOW_COLUMNS, isWords, quoted, withTerm } from "../../src/model/flow.ts";

const flow: Flow = {
	record: "flow", verdict: "forwarded", state: "closed", first: "2026-01-01T00:00:00Z", last: "2026-01-01T00:00:01Z", protocol: "TCP",
	from: { address: "203.0.113.10", port: 5000, kind: "outside" },
	to: { address: "10.244.0.4", port: 8080, kind: "pod", namespace: "shop", name: "page-1-a", workloadKind: "Deployment", workload: "page", node: "node-1" },
	service: { kind: "service", namespace: "shop", name: "page" }, bytes: { there: 300, back: 700 }, handshakeMicroseconds: 36,
};

test("ends have the graph's names", () => {
	assert.equal(endId(flow.to, () => true), "shop/Deployment/page");
	assert.equal(endId(flow.from, (id) => id === "outside/203.0.113.0/24"), "outside/203.0.113.0/24");
	assert.equal(endId(flow.from, () => false), "outside");
	assert.equal(endId({ kind: "outside", address: "2001:db8:113::10" }, (id) => id === "outside/2001:db8:113::/48"), "outside/2001:db8:113::/48");
	assert.equal(endId({ kind: "outside", address: "2001:db8::1" }, (id) => id === "outside/2001:db8::/48"), "outside/2001:db8::/48");
	assert.equal(endId({ kind: "outside", address: "203.0.113.9", domain: "api.example" }, (id) => id === "outside/api.example"), "outside/api.example");
	assert.equal(endId({ kind: "node", name: "node-1" }, () => false), "node/node-1");
});

test("each value has its term", () => {
	const term = (id: string): string | undefined => FLOW_COLUMNS.find((c) => c.id === id)?.term?.(flow);
	assert.equal(term("from"), "src.ip == 203.0.113.10");
	assert.equal(term("to"), "dst.workload == shop/page");
	assert.equal(term("to.port"), "dst.port == 8080");
	assert.equal(term("service"), "service == shop/page");
	assert.equal(term("bytes"), "bytes >= 1000");
	assert.equal(term("handshake"), "tcp.handshake >= 36us");
	assert.equal(term("reason"), "");
});

test("terms are added once, around what has an or in it", () => {
	assert.equal(withTerm("", "tcp"), "tcp");
	assert.equal(withTerm("tcp", "dst.port == 80"), "tcp && dst.port == 80");
	assert.equal(withTerm("tcp && dst.port == 80", "dst.port == 80"), "tcp && dst.port == 80");
	assert.equal(withTerm("tcp || udp", "dst.port == 80"), "(tcp || udp) && dst.port == 80");
	assert.equal(quoted("a b"), '"a b"');
	assert.equal(quoted('"'), '"\\""');
});

test("words are told from filters", () => {
	assert.ok(isWords("cart") && isWords("shop/page"));
	assert.ok(!isWords("tcp") && !isWords("port == 80") && !isWords("pcap:x"));
});
