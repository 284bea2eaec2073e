// SPDX-License-Identifier: Apache-2.0
// Reads pcapng as the hub streams it (little-endian, one section, times in nanoseconds), in pieces as they come. Pure; what it
// does not know is passed over, and what contradicts itself ends the reading.

export interface CapturedPacket {
	number: number;
	/** ns since 1970. */
	time: bigint;
	/** Where it was seen: NODE/NAMESPACE/POD, or NODE/INTERFACE. */
	place: string;
	bytes: Uint8Array;
	/** Length on the wire. */
	length: number;
	direction: "" | "in" | "out";
	comments: string[];
}

const SECTION = 0x0a0d0d0a, INTERFACE = 1, NAMES = 4, STATISTICS = 5, PACKET = 6;
const BLOCK_MAX = 16 << 20;

export class PcapngReader {
	packets = 0;
	/** Bytes of packets as captured. */
	captured = 0;
	/** By address as text. */
	readonly names = new Map<string, string>();
	/** What is wrong; "" as long as nothing is. */
	error = "";
	private rest = new Uint8Array(0);
	private interfaces: string[] = [];
	private readonly dropped = new Map<number, number>();
	private readonly text = new TextDecoder();

	/** Packets that were lost behind their source, as the statistics say. */
	get lost(): number {
		let n = 0;
		for (const v of this.dropped.values()) n += v;
		return n;
	}

	feed(piece: Uint8Array, onPacket: (p: CapturedPacket) => void): void {
		if (this.error) return;
		let b = piece;
		if (this.rest.length) {
			b = new Uint8Array(this.rest.length + piece.length);
			b.set(this.rest);
			b.set(piece, this.rest.length);
		}
		const v = new DataView(b.buffer, b.byteOffset, b.byteLength);
		let at = 0;
		while (b.length - at >= 12 && !this.error) {
			const kind = v.getUint32(at, true), n = v.getUint32(at + 4, true);
			if (n < 12 || n % 4 || n > BLOCK_MAX) this.error = "a block has no length that it can have";
			else if (at + n > b.length) break;
			else if (v.getUint32(at + n - 4, true) !== n) this.error = "a block's two lengths differ";
			else {
				this.block(kind, new DataView(b.buffer, b.byteOffset + at + 8, n - 12), onPacket);
				at += n;
			}
		}
		this.rest = b.slice(at);
	}

	private block(kind: number, v: DataView, onPacket: (p: CapturedPacket) => void): void {
		if (kind === SECTION) {
			if (v.byteLength < 16 || v.getUint32(0, true) !== 0x1a2b3c4d) this.error = "its byte order is not known";
			this.interfaces = [];
		} else if (kind === INTERFACE && v.byteLength >= 8) {
			let name = "";
			for (const o of this.options(v, 8)) if (o.code === 2) name = this.text.decode(o.value);
			this.interfaces.push(name);
		} else if (kind === PACKET && v.byteLength >= 20) this.packet(v, onPacket);
		else if (kind === STATISTICS && v.byteLength >= 12) {
			for (const o of this.options(v, 12)) if (o.code === 7 && o.value.length === 8) this.dropped.set(v.getUint32(0, true), Number(new DataView(o.value.buffer, o.value.byteOffset, 8).getBigUint64(0, true)));
		} else if (kind === NAMES) this.name(v);
	}

	private packet(v: DataView, onPacket: (p: CapturedPacket) => void): void {
		const caplen = v.getUint32(12, true);
		if (20 + caplen > v.byteLength) {
			this.error = "a packet is longer than its block";
			return;
		}
		let direction: CapturedPacket["direction"] = "";
		const comments: string[] = [];
		for (const o of this.options(v, 20 + caplen + (-caplen & 3))) {
			if (o.code === 1) comments.push(this.text.decode(o.value));
			if (o.code === 2 && o.value.length === 4) direction = ((o.value[0] ?? 0) & 3) === 1 ? "in" : ((o.value[0] ?? 0) & 3) === 2 ? "out" : "";
		}
		this.packets++;
		this.captured += caplen;
		onPacket({
			number: this.packets, time: (BigInt(v.getUint32(4, true)) << 32n) | BigInt(v.getUint32(8, true)), place: this.interfaces[v.getUint32(0, true)] ?? "?",
			bytes: new Uint8Array(v.buffer, v.byteOffset + 20, caplen), length: v.getUint32(16, true), direction, comments,
		});
	}

	private name(v: DataView): void {
		for (const o of this.options(v, 0)) {
			const size = o.code === 1 ? 4 : o.code === 2 ? 16 : 0;
			if (!size || o.value.length <= size) continue;
			const word = this.text.decode(o.value.slice(size)).split("\0")[0];
			if (word) this.names.set(addressText(o.value.subarray(0, size)), word);
		}
	}

	private *options(v: DataView, from: number): Generator<{ code: number; value: Uint8Array }> {
		for (let at = from; at + 4 <= v.byteLength; ) {
			const code = v.getUint16(at, true), n = v.getUint16(at + 2, true);
			if (code === 0 || at + 4 + n > v.byteLength) return;
			yield { code, value: new Uint8Array(v.buffer, v.byteOffset + at + 4, n) };
			at += 4 + n + (-n & 3);
		}
	}
}

/** 4 or 16 bytes as people write them. */
export function addressText(b: Uint8Array): string {
	if (b.length === 4) return b.join(".");
	const words = Array.from({ length: 8 }, (_, i) => (((b[2 * i] ?? 0) << 8) | (b[2 * i + 1] ?? 0)).toString(16));
	let best = -1, most = 1;
	for (let i = 0; i < 8; i++) {
		let n = 0;
		while (i + n < 8 && words[i + n] === "0") n++;
		if (n > most) [best, most] = [i, n];
	}
	return best < 0 ? words.join(":") : `${words.slice(0, best).join(":")}::${words.slice(best + most).join(":")}`;
}
