// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import type { ApiObject } from "../../src/api/wire.ts";
import { linksOf } from "../../src/model/graph.ts";
import { type MapObjects, readGroups, readItems } from "../../src/model/mapitems.ts";
import { pastGraph } from "../../src/model/past.ts";
import { selects } from "../../src/model/selector.ts";

const object = (kind: string, name: string, more: object = {}, meta: object = {}): ApiObject => ({ apiVersion: "v1", kind, metadata: { name, namespace: "shop", ...meta }, ...more });
const owner = (kind: string, name: string): object => ({ ownerReferences: [{ kind, name, uid: "u", controller: true }] });
const none: MapObjects = { namespaces: [], nodes: [], pods: [], replicasets: [], workloads: [], services: [], tools: [] };

test("pods are one workload by their controller's controller, with the Services in front", () => {
	const ready = { status: { conditions: [{ type: "Ready", status: "True" }] } };
	const { items, at } = readItems(
		{
			...none,
			replicasets: [object("ReplicaSet", "page-1", {}, owner("Deployment", "page"))],
			pods: [
				object("Pod", "page-1-a", { spec: { nodeName: "node-1" }, ...ready }, { ...owner("ReplicaSet", "page-1"), labels: { app: "page" } }),
				object("Pod", "page-1-b", { spec: { nodeName: "node-2" } }, { ...owner("ReplicaSet", "page-1"), labels: { app: "page" } }),
				object("Pod", "alone", { spec: { nodeName: "node-1" }, ...ready }),
				object("Pod", "over", { status: { phase: "Succeeded" } }),
			] as MapObjects["pods"],
			services: [object("Service", "web", { spec: { selector: { app: "page" } } }), object("Service", "nobody", { spec: { selector: { app: "x" } } })] as MapObjects["services"],
			workloads: [object("Deployment", "empty")] as MapObjects["workloads"],
			nodes: [object("Node", "node-1", {}, { namespace: undefined })],
		},
		[{ id: "outside", kind: "outside" }, { id: "shop/Service/web", kind: "service", namespace: "shop", name: "web" }, { id: "shop/Deployment/gone", kind: "workload", namespace: "shop", name: "gone", workloadKind: "Deployment" }],
	);
	const page = items.get("shop/Deployment/page");
	assert.deepEqual([page?.pods, page?.ready, page?.nodes, page?.services], [2, 1, ["node-1", "node-2"], ["shop/web"]]);
	assert.equal(at.get("shop/Service/web"), "shop/Deployment/page");
	assert.ok(items.has("shop/Service/nobody") && items.has("shop/Pod/alone") && items.has("shop/Deployment/empty") && items.has("shop/Deployment/gone"));
	assert.ok(!items.has("shop/Pod/over") && !items.has("shop/Service/web"));
	assert.deepEqual(readGroups(items.values(), "namespace").map((g) => g.id), ["g:machines", "g:outside", "g:ns/shop"]);
	const byNode = readGroups(items.values(), "node");
	assert.deepEqual(byNode.find((g) => g.id === "g:nodes")?.items.map((i) => i.id), ["shop/Deployment/page"]);
	assert.deepEqual(byNode.find((g) => g.id === "g:node/node-1")?.items.map((i) => i.id), ["shop/Pod/alone", "node/node-1"]);
});

test("the past has the live graph's names, rates and refusals", () => {
	const from = { kind: "pod", namespace: "shop", workloadKind: "Deployment", workload: "page" };
	const to = { kind: "pod", namespace: "shop", workloadKind: "Deployment", workload: "cart" };
	const g = pastGraph(
		{
			rows: [
				{ at: "", from, to, service: { namespace: "shop", name: "cart", port: 7000 }, port: 7000, protocol: "TCP", verdict: "forwarded", begun: 20, bytesThere: 1000, bytesBack: 3000, packetsThere: 40, packetsBack: 40, handshakes: 20, handshakeMicroseconds: 40000, handshakeMaxMicroseconds: 9000, retransmits: 5 },
				{ at: "", from, to, service: { namespace: "shop", name: "cart", port: 7000 }, port: 7000, protocol: "TCP", verdict: "dropped", reason: "policy-ingress", events: 30 },
				{ at: "", from: { kind: "outside", is: "Prefix", name: "203.0.113.0/24" }, to, port: 7000, protocol: "TCP", verdict: "forwarded", begun: 1 },
			],
		},
		5000, 10,
	);
	const [e, out] = [...g.edges.values()];
	assert.deepEqual([e?.from, e?.to, e?.service, e?.bytes, e?.begun, e?.drops, e?.latencyMs, e?.lost], ["shop/Deployment/page", "shop/Deployment/cart", "shop/cart", [100, 300], 2, { "policy-ingress": 3 }, [2, 9], 0.5]);
	assert.equal(out?.from, "outside/203.0.113.0/24");
	const links = linksOf(g.edges.values(), (id) => (id.startsWith("shop/") ? "shop" : id));
	assert.deepEqual([...links.keys()], ["outside/203.0.113.0/24→shop"]);
});

test("selectors take labels as Kubernetes says", () => {
	assert.ok(selects({}, { a: "1" }));
	assert.ok(selects({ matchLabels: { a: "1" }, matchExpressions: [{ key: "b", operator: "DoesNotExist" }, { key: "a", operator: "In", values: ["1", "2"] }] }, { a: "1" }));
	assert.ok(!selects({ matchExpressions: [{ key: "b", operator: "Exists" }] }, { a: "1" }));
	assert.ok(selects({ matchExpressions: [{ key: "b", operator: "NotIn", values: ["1"] }] }, { a: "1" }));
	assert.ok(!selects({ matchExpressions: [{ key: "a", operator: "NotIn", values: ["1"] }] }, { a: "1" }));
});
