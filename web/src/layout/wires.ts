// SPDX-License-Identifier: Apache-2.0
// The shape of a wire between two anchors, and its width by rate. Pure.

export interface Point {
	x: number;
	y: number;
}

/** A curve that leaves to the right and comes in from the left. */
export function wirePath(a: Point, b: Point): string {
	const bend = Math.max(24, Math.abs(b.x - a.x) * 0.45);
	return `M${a.x.toFixed(1)} ${a.y.toFixed(1)}C${(a.x + bend).toFixed(1)} ${a.y.toFixed(1)} ${(b.x - bend).toFixed(1)} ${b.y.toFixed(1)} ${b.x.toFixed(1)} ${b.y.toFixed(1)}`;
}

/** Where the curve is at a share t of its way. */
export function wireAt(a: Point, b: Point, t: number): Point {
	const bend = Math.max(24, Math.abs(b.x - a.x) * 0.45);
	const u = 1 - t;
	const mix = (p0: number, p1: number, p2: number, p3: number): number => u * u * u * p0 + 3 * u * u * t * p1 + 3 * u * t * t * p2 + t * t * t * p3;
	return { x: mix(a.x, a.x + bend, b.x - bend, b.x), y: mix(a.y, a.y, b.y, b.y) };
}

/** From 1.5 to 8 pixels: each ten times of the rate is as much wider. */
export function wireWidth(bytesPerSecond: number): number {
	return bytesPerSecond <= 0 ? 1.5 : Math.min(8, 1.5 + Math.max(0, Math.log10(bytesPerSecond / 100)) * 0.95);
}

/** Things that would stand on one another are moved apart, down, in the order of their places; nothing moves up. */
export function apart(places: readonly { id: string; x: number; y: number }[], width: number, height: number): Map<string, Point> {
	const out = new Map<string, Point>();
	const set: Point[] = [];
	for (const p of [...places].sort((a, b) => a.y - b.y || (a.id < b.id ? -1 : 1))) {
		let y = p.y;
		for (const q of set.filter((s) => Math.abs(s.x - p.x) < width).sort((a, b) => a.y - b.y)) if (Math.abs(q.y - y) < height) y = q.y + height;
		const at = { x: p.x, y };
		set.push(at);
		out.set(p.id, at);
	}
	return out;
}
