// SPDX-License-Identifier: Apache-2.0
// One packet in a line: who to whom, which protocol, what flags. As much as a list of packets needs; Wireshark has the rest.
// Pure; reads nothing behind the end.
import { addressText } from "./pcapng.ts";

export interface Line {
	protocol: string;
	from: string;
	to: string;
	info: string;
}

const FLAGS: readonly [number, string][] = [[2, "SYN"], [16, "ACK"], [1, "FIN"], [4, "RST"], [8, "PSH"], [32, "URG"]];
const PROTOCOLS: Readonly<Record<number, string>> = { 1: "ICMP", 6: "TCP", 17: "UDP", 58: "ICMPv6", 132: "SCTP", 47: "GRE", 4: "IP in IP" };
const EXTENSIONS = new Set([0, 43, 60, 51, 135]);

function u16(b: Uint8Array, at: number): number {
	return ((b[at] ?? 0) << 8) | (b[at + 1] ?? 0);
}
const mac = (b: Uint8Array, at: number): string => Array.from(b.subarray(at, at + 6), (x) => x.toString(16).padStart(2, "0")).join(":");

export function dissect(b: Uint8Array, nameOf: (address: string) => string = (a) => a): Line {
	let at = 12, vlan = "";
	let type = u16(b, at);
	while ((type === 0x8100 || type === 0x88a8) && at + 4 < b.length) {
		vlan += ` VLAN ${u16(b, at + 2) & 0xfff}`;
		at += 4;
		type = u16(b, at);
	}
	at += 2;
	const frame: Line = { protocol: type === 0x0806 ? "ARP" : `0x${type.toString(16).padStart(4, "0")}`, from: mac(b, 6), to: mac(b, 0), info: vlan.trim() };
	if (b.length < 14) return { ...frame, protocol: "cut short" };
	if (type === 0x0800 && b.length >= at + 20) return ip4(b, at, nameOf, vlan.trim());
	if (type === 0x86dd && b.length >= at + 40) return ip6(b, at, nameOf, vlan.trim());
	return frame;
}

function ip4(b: Uint8Array, at: number, nameOf: (a: string) => string, before: string): Line {
	const head = ((b[at] ?? 0) & 15) * 4;
	const from = nameOf(addressText(b.subarray(at + 12, at + 16))), to = nameOf(addressText(b.subarray(at + 16, at + 20)));
	const later = (u16(b, at + 6) & 0x1fff) > 0;
	return above(b, at + head, b[at + 9] ?? 0, from, to, later ? `${before} later fragment`.trim() : before, later);
}

function ip6(b: Uint8Array, at: number, nameOf: (a: string) => string, before: string): Line {
	const from = nameOf(addressText(b.subarray(at + 8, at + 24))), to = nameOf(addressText(b.subarray(at + 24, at + 40)));
	let next = b[at + 6] ?? 59, here = at + 40, later = false;
	for (let i = 0; i < 8 && here + 8 <= b.length && (EXTENSIONS.has(next) || next === 44); i++) {
		if (next === 44) later = u16(b, here + 2) >> 3 > 0;
		const size = next === 44 ? 8 : ((b[here + 1] ?? 0) + 1) * 8;
		next = b[here] ?? 59;
		here += size;
	}
	return above(b, here, next, from, to, later ? `${before} later fragment`.trim() : before, later);
}

function above(b: Uint8Array, at: number, protocol: number, from: string, to: string, before: string, later: boolean): Line {
	const name = PROTOCOLS[protocol] ?? `protocol ${protocol}`;
	if (later || b.length < at + 4) return { protocol: name, from, to, info: before };
	const say = (info: string): string => [before, info].filter(Boolean).join(" ");
	if (protocol === 6 || protocol === 17 || protocol === 132) {
		const ends = { from: `${from}:${u16(b, at)}`, to: `${to}:${u16(b, at + 2)}` };
		const f = b[at + 13] ?? 0;
		return { protocol: name, ...ends, info: say(protocol === 6 && b.length > at + 13 ? FLAGS.filter(([bit]) => f & bit).map(([, w]) => w).join(" ") : "") };
	}
	if (protocol === 1 || protocol === 58) {
		const type = b[at] ?? 0;
		const words: Readonly<Record<number, string>> = protocol === 1 ? { 0: "echo reply", 3: "unreachable", 8: "echo request", 11: "time exceeded" } : { 1: "unreachable", 2: "packet too big", 128: "echo request", 129: "echo reply", 135: "neighbour solicitation", 136: "neighbour advertisement" };
		return { protocol: name, from, to, info: say(words[type] ?? `type ${type} code ${b[at + 1] ?? 0}`) };
	}
	return { protocol: name, from, to, info: before };
}
