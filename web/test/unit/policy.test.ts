// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { allowCall, refuseCall } from "../../src/model/allow.ts";
import { matrixOf } from "../../src/model/matrix.ts";
import { workloadsOf } from "../../src/model/workload.ts";

const pod = (ns: string, name: string, owner: [string, string] | null, labels: Record<string, string>): never =>
	({ apiVersion: "v1", kind: "Pod", metadata: { namespace: ns, name, labels, ...(owner ? { ownerReferences: [{ kind: owner[0], name: owner[1], uid: "", controller: true }] } : {}) } }) as never;
const rs = { apiVersion: "apps/v1", kind: "ReplicaSet", metadata: { namespace: "shop", name: "page-x", ownerReferences: [{ kind: "Deployment", name: "page", uid: "", controller: true }] } };

const all = workloadsOf(
	[
		pod("shop", "page-x-1", ["ReplicaSet", "page-x"], { app: "page", "pod-template-hash": "x" }),
		pod("shop", "page-x-2", ["ReplicaSet", "page-x"], { app: "page", "pod-template-hash": "x" }),
		pod("shop", "store-0", ["StatefulSet", "store"], { app: "store", "statefulset.kubernetes.io/pod-name": "store-0" }),
		pod("dev", "alone", null, { run: "alone" }),
	],
	[rs],
);

test("pods belong to their Deployment, by the labels that last", () => {
	assert.deepEqual([...all.keys()], ["shop/page", "shop/store", "dev/alone"]);
	assert.deepEqual(all.get("shop/page")?.labels, { app: "page" });
	assert.equal(all.get("shop/page")?.kind, "Deployment");
	assert.deepEqual(all.get("shop/store")?.labels, { app: "store" });
	assert.equal(all.get("dev/alone")?.kind, "Pod");
});

test("a matrix has a row for each workload; pods that differ make it some", () => {
	const r = (from: string, to: string, model: string): object => ({ from, to, port: 80, protocol: "TCP", family: "IPv4", model });
	const m = matrixOf({ results: [r("shop/page-x-1", "shop/store-0", "yes"), r("shop/page-x-2", "shop/store-0", "no"), r("outside", "shop/store-0", "no")] }, (p) => (p.startsWith("shop/page") ? "shop/page" : p === "shop/store-0" ? "shop/store" : p));
	assert.deepEqual(m.rows, ["outside", "shop/page"]);
	assert.equal(m.columns[0]?.id, "shop/store:80");
	assert.equal(m.cells.get("shop/page")?.get("shop/store:80"), "some");
	assert.equal(m.cells.get("outside")?.get("shop/store:80"), "no");
});

test("one call is allowed where it is refused, and nothing else", () => {
	const from = all.get("dev/alone"), to = all.get("shop/store");
	assert.ok(from && to);
	const both = allowCall({ from, to, protocol: "tcp", port: 6379 }, { ingress: true, egress: true }, true) as { metadata: { namespace: string; annotations?: object }; spec: { policyTypes: string[]; ingress?: { from: object[]; ports: object[] }[] } }[];
	assert.deepEqual(both.map((p) => [p.metadata.namespace, p.spec.policyTypes[0]]), [["shop", "Ingress"], ["dev", "Egress"]]);
	assert.deepEqual(both[0]?.spec.ingress, [{ from: [{ namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": "dev" } }, podSelector: { matchLabels: { run: "alone" } } }], ports: [{ protocol: "TCP", port: 6379 }] }]);
	assert.deepEqual(both[0]?.metadata.annotations, { "weft.network/staged": "true" });
	assert.equal(allowCall({ from, to, protocol: "tcp", port: 1 }, { ingress: true, egress: false }, false).length, 1);
	assert.match(JSON.stringify(refuseCall({ from, to, protocol: "UDP", port: 53 }, false)), /"action":"Deny".*"udp":\{"destinationPort":\{"number":53\}\}/);
});
