// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { captureCommand, captureSpec, emptyWish, shellWord } from "../../src/model/captureform.ts";
import { captured } from "../../src/model/captured.ts";
import { dissect } from "../../src/model/dissect.ts";
import { addressText, type CapturedPacket, PcapngReader } from "../../src/model/pcapng.ts";

const u16 = (n: number): number[] => [n & 255, n >> 8];
const u32 = (n: number): number[] => [n & 255, (n >>> 8) & 255, (n >>> 16) & 255, n >>> 24];
const padded = (b: number[]): number[] => [...b, ...Array<number>(-b.length & 3).fill(0)];
const words = (t: string): number[] => [...new TextEncoder().encode(t)];
const block = (kind: number, body: number[]): number[] => [...u32(kind), ...u32(body.length + 12), ...body, ...u32(body.length + 12)];
const option = (code: number, v: number[]): number[] => [...u16(code), ...u16(v.length), ...padded(v)];
const section = block(0x0a0d0d0a, [...u32(0x1a2b3c4d), ...u16(1), ...u16(0), ...u32(0xffffffff), ...u32(0xffffffff)]);
const face = (name: string): number[] => block(1, [...u16(1), ...u16(0), ...u32(0), ...option(2, words(name)), ...u32(0)]);
const names = block(4, [...u16(1), ...u16(4 + 10), ...padded([10, 0, 0, 5, ...words("shop/page"), 0]), ...u32(0)]);
const packet = (i: number, bytes: number[], comment = ""): number[] =>
	block(6, [...u32(i), ...u32(1), ...u32(5), ...u32(bytes.length), ...u32(bytes.length + 9), ...padded(bytes), ...(comment ? option(1, words(comment)) : []), ...option(2, u32(2)), ...u32(0)]);
const statistics = (i: number, lost: number): number[] => block(5, [...u32(i), ...u32(0), ...u32(0), ...option(7, [...u32(lost), ...u32(0)]), ...u32(0)]);
const ether = (type: number, ...rest: number[]): number[] => [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, type >> 8, type & 255, ...rest];
const ip4 = (protocol: number, ...rest: number[]): number[] => [0x45, 0, 0, 40, 0, 0, 0, 0, 64, protocol, 0, 0, 10, 0, 0, 5, 10, 0, 0, 7, ...rest];
const syn = ether(0x0800, ...ip4(6, 0x1f, 0x90, 0x1b, 0x58, 0, 0, 0, 0, 0, 0, 0, 0, 0x50, 0x12, 0, 0, 0, 0, 0, 0));

test("pcapng is read in pieces of any size, and lost packets are counted by interface", () => {
	const all = Uint8Array.from([...section, ...names, ...face("node-1/shop/page"), ...face("node-2/eth1"), ...packet(0, syn, "dropped: policy-ingress"), ...statistics(0, 3), ...packet(1, [1, 2, 3]), ...statistics(1, 4), ...statistics(0, 5)]);
	for (const size of [1, 7, 64, all.length]) {
		const r = new PcapngReader();
		const got: CapturedPacket[] = [];
		for (let at = 0; at < all.length; at += size) r.feed(all.slice(at, at + size), (p) => got.push({ ...p, bytes: p.bytes.slice() }));
		assert.equal(r.error, "");
		assert.deepEqual(got.map((p) => [p.number, p.place, p.length, p.direction, p.comments, p.time]), [[1, "node-1/shop/page", syn.length + 9, "out", ["dropped: policy-ingress"], (1n << 32n) + 5n], [2, "node-2/eth1", 12, "out", [], (1n << 32n) + 5n]]);
		assert.deepEqual([...(got[0]?.bytes ?? [])], syn);
		assert.deepEqual([r.packets, r.captured, r.lost, r.names.get("10.0.0.5")], [2, syn.length + 3, 9, "shop/page"]);
	}
});

test("what is no pcapng ends the reading", () => {
	for (const bad of [[...u32(6), ...u32(7), ...u32(7), ...u32(7)], [...u32(6), ...u32(16), ...u32(0), ...u32(12)], block(0x0a0d0d0a, Array<number>(16).fill(0)), [...section, ...block(6, [...u32(0), ...u32(0), ...u32(0), ...u32(999), ...u32(999)])]]) {
		const r = new PcapngReader();
		r.feed(Uint8Array.from(bad), () => assert.fail("a packet"));
		assert.notEqual(r.error, "");
	}
});

test("a packet in a line", () => {
	const at = (b: number[]): string => { const l = dissect(Uint8Array.from(b), (a) => (a === "10.0.0.5" ? "shop/page" : a)); return `${l.protocol} ${l.from} > ${l.to} ${l.info}`.trim(); };
	assert.equal(at(syn), "TCP shop/page:8080 > 10.0.0.7:7000 SYN ACK");
	assert.equal(at(ether(0x8100, 0, 9, 8, 0, ...ip4(17, 0, 53, 0, 54, 0, 8, 0, 0))), "UDP shop/page:53 > 10.0.0.7:54 VLAN 9");
	assert.equal(at(ether(0x0800, ...ip4(1, 8, 0, 0, 0))), "ICMP shop/page > 10.0.0.7 echo request");
	const later = ip4(17, 1, 2, 3, 4);
	later[7] = 9;
	assert.equal(at(ether(0x0800, ...later)), "UDP shop/page > 10.0.0.7 later fragment");
	const six = [0x60, 0, 0, 0, 0, 16, 0, 64, ...Array<number>(15).fill(0), 1, ...Array<number>(15).fill(0), 2, 17, 0, 1, 4, 0, 0, 0, 0, 0, 80, 0, 81, 0, 8, 0, 0];
	assert.equal(at(ether(0x86dd, ...six)), "UDP ::1:80 > ::2:81");
	assert.equal(at(ether(0x0806, 0, 1)), "ARP 02:00:00:00:00:02 > 02:00:00:00:00:01");
	assert.match(at([1, 2, 3]), /^cut short/);
	assert.equal(addressText(Uint8Array.from([0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9])), "fd00::9");
});

test("what is asked for, as a Capture and as a command", () => {
	const w = emptyWish();
	assert.deepEqual(captureSpec(w), {});
	assert.equal(captureCommand(w, "default").command, "weft capture | wireshark -k -i -");
	const shop = { matchLabels: { "kubernetes.io/metadata.name": "shop" } };
	const more = { ...w, from: [{ service: { namespace: "shop", name: "cart" } }, { pods: { namespaceSelector: shop } }, { uplink: {} }, { interface: { node: "node-1", name: "eth1" } }], filter: "tcp && ip == 10.0.0.1", packets: "Dropped" as const, snapBytes: "96", seconds: "9" };
	assert.equal(captureCommand(more, "x").command, "weft capture --name x --from svc/shop/cart --from ns/shop --from 'node/*' --from node-1:eth1 --dropped --snap 96 --seconds 9 'tcp && ip == 10.0.0.1' | wireshark -k -i -");
	assert.deepEqual(captureSpec(more), { from: more.from, packets: "Dropped", filter: more.filter, snapBytes: 96, seconds: 9 });
	const wider = captureCommand({ ...w, from: [{ pods: { namespaceSelector: shop, podSelector: { matchLabels: { app: "page" } } } }] }, "default");
	assert.deepEqual(wider, { command: "weft capture --from ns/shop | wireshark -k -i -", wider: true });
	assert.equal(shellWord("a'b"), `'a'\\''b'`);
});

test("lines of the audit log are joined to captures", () => {
	const rows = captured([
		{ time: "1", what: "capture-start", user: "ann", capture: "c-1", filter: "udp" }, { time: "2", what: "download-start", user: "bob", capture: "c-1" },
		{ time: "3", what: "download-end", user: "bob", capture: "c-1", packets: 7, bytes: 70, dropped: 1 }, { time: "4", what: "capture-end", user: "ann", capture: "c-1", packets: 7, bytes: 70, dropped: 1, why: "nobody reads it" },
		{ time: "5", what: "download-start", user: "ann", tool: "last" }, { time: "6", what: "download-end", user: "ann", tool: "last", packets: 3, bytes: 30, dropped: 0 },
		{ time: "7", what: "capture-start", user: "ann", capture: "c-1" },
	]);
	assert.deepEqual(rows.map((r) => [r.name, r.user, r.began, r.ended, r.packets, r.readers.join()]), [["c-1", "ann", "7", "", 0, ""], ["ring of last", "ann", "5", "6", 3, "ann"], ["c-1", "ann", "1", "4", 7, "bob"]]);
	assert.equal(rows[2]?.why, "nobody reads it");
});
