// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import type { ApiObject, BrokerEvent } from "../../src/api/wire.ts";
import { copiesOf, type CopyObjects, shownLines } from "../../src/model/copylines.ts";
import { addressesOf, portTerms, wishFor } from "../../src/model/packetwish.ts";

const object = (kind: string, name: string, namespace: string, spec: unknown, labels: Record<string, string> = {}): ApiObject => ({ apiVersion: "", kind, metadata: { name, ...(namespace ? { namespace } : {}), labels }, spec });
const pods = [object("Pod", "page-1", "shop", {}, { app: "page" }), object("Pod", "page-2", "shop", {}, { app: "page" }), object("Pod", "cart-1", "shop", {}, { app: "cart" })];
const from = (app: string): unknown => ({ pods: { podSelector: { matchLabels: { app } } } });
const map = (name: string, app: string, to: unknown[]): ApiObject => object("TrafficMap", name, "", { from: [from(app)], to });
const objects = (maps: ApiObject[]): CopyObjects => ({
	maps: maps as CopyObjects["maps"],
	groups: [object("ToolGroup", "pair", "", { members: [{ tool: "ids" }, { tool: "disk" }] })] as CopyObjects["groups"],
	tools: [object("Tool", "ids", "", {}), object("Tool", "disk", "", {})],
	known: { namespaces: [object("Namespace", "shop", "", {})], pods, services: [], nodes: [object("Node", "n1", "", {}), object("Node", "n2", "", {})], workloads: [], interfaces: [] },
	endOf: (p) => `shop/Deployment/${p.metadata.name.split("-")[0]}`,
});
const rate = (tool: string, node: string, sent: number, losses: Record<string, number> = {}): BrokerEvent["tools"][number] => ({ tool, port: "default", node, kind: "interface", taking: true, due: sent, sent, bytes: 100 * sent, losses, inFlight: 0, capacity: null, totals: { due: 0, added: 0, sent: 0, losses: {} } });
const place = (name: string, taken: number | null): BrokerEvent["places"][number] => ({ node: "n1", name, kind: "pod", seen: taken, taken, copied: 0 });
const event = (tools: BrokerEvent["tools"], places: BrokerEvent["places"]): BrokerEvent => ({ at: 0, maps: [], tools, places, sums: [] });

test("what one workload alone sends is what its tool got, on all nodes, with what was lost", () => {
	const c = copiesOf(objects([map("web", "page", [{ tool: "ids" }])]), event([rate("ids", "n1", 7), rate("ids", "n2", 3, { queue: 2 })], [place("shop/page-1", 6), place("shop/page-2", 4)]));
	assert.deepEqual(c.lines, [{ id: "shop/Deployment/page⇒tool/ids", from: "shop/Deployment/page", to: "tool/ids", tool: "ids", maps: ["web"], sent: 10, bytes: 1000, taken: 10 }]);
	assert.deepEqual([c.tools.get("ids")?.sent, c.tools.get("ids")?.lost, c.tools.get("ids")?.losses], [10, 2, "queue 2/s"]);
});

test("of several only the sum is known, and what each kernel took; a place that was not read is unknown, never 0", () => {
	const c = copiesOf(objects([map("web", "page", [{ tool: "ids" }]), map("more", "cart", [{ group: "pair" }])]), event([rate("ids", "n1", 9), rate("disk", "n1", 4)], [place("shop/page-1", 5), place("shop/page-2", null), place("shop/cart-1", 4)]));
	const line = (id: string) => c.lines.find((l) => l.id === id);
	assert.deepEqual([line("shop/Deployment/page⇒tool/ids")?.sent, line("shop/Deployment/page⇒tool/ids")?.taken], [null, null]);
	assert.deepEqual([line("shop/Deployment/cart⇒tool/ids")?.sent, line("shop/Deployment/cart⇒tool/ids")?.taken], [null, 4]);
	assert.deepEqual([line("shop/Deployment/cart⇒tool/disk")?.sent, c.tools.get("ids")?.sources], [4, 2]);
	const shown = shownLines(c.lines, (id) => (id.startsWith("shop/") ? "g:ns/shop" : id));
	assert.deepEqual(shown.map((l) => [l.id, l.sent, l.maps]), [["g:ns/shop⇒tool/disk", 4, ["more"]], ["g:ns/shop⇒tool/ids", null, ["more", "web"]]]);
});

test("a map to a tool that is not there draws nothing, and without a word of the broker nothing is known", () => {
	assert.deepEqual(copiesOf(objects([map("web", "page", [{ tool: "gone" }])]), null).lines, []);
	assert.equal(copiesOf(objects([map("web", "page", [{ tool: "ids" }])]), null).lines[0]?.sent, null);
});

test("a capture of a link asks for addresses and ports, as packets have them", () => {
	const pod = { ...object("Pod", "p", "shop", {}), status: { podIPs: [{ ip: "10.0.0.5" }, { ip: "fd00::5" }] } };
	const service = object("Service", "s", "shop", { clusterIPs: ["10.96.0.7", "None"] });
	assert.deepEqual(addressesOf([pod], [service]), ["10.0.0.5", "fd00::5", "10.96.0.7"]);
	assert.equal(portTerms([{ protocol: "tcp", port: 7000 }, { protocol: "tcp", port: 80 }], [8080]), "tcp && port in {7000, 80, 8080}");
	assert.equal(portTerms([{ protocol: "tcp", port: 0 }]), "tcp");
	assert.equal(portTerms([{ protocol: "icmp", port: 0 }]), "");
	const both = portTerms([{ protocol: "tcp", port: 53 }, { protocol: "udp", port: 53 }]);
	assert.equal(both, "(tcp && port == 53) || (udp && port == 53)");
	assert.equal(wishFor({ pods: {} }, both, ["10.0.0.5"]).filter, "((tcp && port == 53) || (udp && port == 53)) && ip == 10.0.0.5");
	assert.equal(wishFor({ pods: {} }, "", []).filter, "");
});
