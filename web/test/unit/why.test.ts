// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { readKernel, readWhy } from "../../src/model/why.ts";

const side = (direction: string, allowed: boolean, more: object = {}): object => ({ direction, pod: direction === "egress" ? "a/x" : "b/y", peer: "", allowed, reason: allowed ? "not-selected" : "default-deny", passed: [], policies: [], missed: [], kernelAsked: true, ...more });
const family = (name: string, address: string, ingress: object): object => ({ family: name, destination: "d", allowed: false, flows: [{ port: 80, address, pod: "b/y", allowed: false, egress: side("egress", true), ingress }] });

test("families that say the same are told once, and which direction refuses", () => {
	const refused = side("ingress", false, { policies: [{ policy: "NetworkPolicy b/none", file: "p.yaml", line: 3, column: 1 }] });
	const w = readWhy({ to: { kind: "pod" }, families: [family("IPv4", "10.0.0.1", refused), family("IPv6", "fd::1", refused)] });
	assert.equal(w.length, 1);
	assert.equal(w[0]?.title, "IPv4 and IPv6");
	assert.deepEqual(w[0]?.refusedBy, { ingress: true, egress: false });
	assert.ok(w[0]?.byDefault);
	assert.deepEqual(w[0]?.steps.map((s) => s.verdict), ["allows", "refuses", ""]);
	assert.equal(w[0]?.steps[1]?.because[0]?.place, "p.yaml:3:1");
});

test("where they differ both are told; a rule that denies is no default", () => {
	const w = readWhy({ families: [family("IPv4", "10.0.0.1", side("ingress", false, { reason: "denied-by-rule" })), family("IPv6", "fd::1", side("ingress", false))] });
	assert.deepEqual(w.map((f) => [f.title, f.byDefault]), [["IPv4", false], ["IPv6", true]]);
});

test("the kernels' word: who was asked, and each difference once", () => {
	const good = { from: { node: "n1" }, families: [{ ...family("IPv4", "10.0.0.1", side("ingress", true)), allowed: true, flows: [{ port: 80, address: "a", pod: "b/y", node: "n2", allowed: true, egress: side("egress", true), ingress: side("ingress", true) }] }] };
	const model = readWhy(good);
	assert.deepEqual(readKernel(good, model), { asked: 2, nodes: ["n1", "n2"], differs: [], troubles: [] });
	const flow = { port: 80, address: "a", pod: "b/y", node: "n2", allowed: true, egress: side("egress", true), ingress: side("ingress", true, { differs: "the kernel refuses it" }) };
	assert.deepEqual(readKernel({ families: [{ flows: [flow, flow], family: "IPv4", allowed: true }] }, model).differs, ["entering b/y: the kernel refuses it"]);
	const refused = { families: [family("IPv4", "10.0.0.1", side("ingress", false))], troubles: [{ node: "n2", text: "its agent is away" }] };
	const word = readKernel(refused, model);
	assert.deepEqual([word.differs, word.troubles], [["the model says allowed, the nodes say refused"], ["n2: its agent is away"]]);
});
