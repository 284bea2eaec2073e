// SPDX-License-Identifier: Apache-2.0
// The line from one place to another: a cubic curve that leaves a side and enters a side, its parts, and how far a point is
// from it. Pure.
import type { Rect } from "./place.ts";

export interface Curve {
	x0: number;
	y0: number;
	x1: number;
	y1: number;
	x2: number;
	y2: number;
	x3: number;
	y3: number;
}

/** Lines out leave above the middle, lines in arrive below it: two that go both ways do not lie on each other. */
const OUT = 0.36, IN = 0.64;

export function curveBetween(a: Rect, b: Rect): Curve {
	const y0 = a.y + a.h * OUT, y3 = b.y + b.h * IN;
	if (b.x >= a.x + a.w) {
		const d = Math.max(28, (b.x - a.x - a.w) * 0.5);
		return { x0: a.x + a.w, y0, x1: a.x + a.w + d, y1: y0, x2: b.x - d, y2: y3, x3: b.x, y3 };
	}
	if (b.x + b.w <= a.x) {
		const d = Math.max(28, (a.x - b.x - b.w) * 0.5);
		return { x0: a.x, y0, x1: a.x - d, y1: y0, x2: b.x + b.w + d, y2: y3, x3: b.x + b.w, y3 };
	}
	const right = Math.max(a.x + a.w, b.x + b.w);
	const d = 34 + Math.min(60, Math.abs(y3 - y0) * 0.18);
	return { x0: a.x + a.w, y0, x1: right + d, y1: y0, x2: right + d, y2: y3, x3: b.x + b.w, y3 };
}

export function pointAt(c: Curve, t: number): { x: number; y: number } {
	const u = 1 - t, a = u * u * u, b = 3 * u * u * t, d = 3 * u * t * t, e = t * t * t;
	return { x: a * c.x0 + b * c.x1 + d * c.x2 + e * c.x3, y: a * c.y0 + b * c.y1 + d * c.y2 + e * c.y3 };
}

/** The part between two places of it, 0 ≤ from < to ≤ 1. */
export function part(c: Curve, from: number, to: number): Curve {
	const head = (q: Curve, t: number): Curve => {
		const m = (a: number, b: number): number => a + (b - a) * t;
		const ax = m(q.x0, q.x1), ay = m(q.y0, q.y1), bx = m(q.x1, q.x2), by = m(q.y1, q.y2), cx = m(q.x2, q.x3), cy = m(q.y2, q.y3);
		const dx = m(ax, bx), dy = m(ay, by), ex = m(bx, cx), ey = m(by, cy);
		return { x0: q.x0, y0: q.y0, x1: ax, y1: ay, x2: dx, y2: dy, x3: m(dx, ex), y3: m(dy, ey) };
	};
	const turn = (q: Curve): Curve => ({ x0: q.x3, y0: q.y3, x1: q.x2, y1: q.y2, x2: q.x1, y2: q.y1, x3: q.x0, y3: q.y0 });
	const first = to >= 1 ? c : head(c, to);
	return from <= 0 ? first : turn(head(turn(first), 1 - from / to));
}

export function boxOf(c: Curve): Rect {
	const x = Math.min(c.x0, c.x1, c.x2, c.x3), y = Math.min(c.y0, c.y1, c.y2, c.y3);
	return { x, y, w: Math.max(c.x0, c.x1, c.x2, c.x3) - x, h: Math.max(c.y0, c.y1, c.y2, c.y3) - y };
}

export function overlaps(a: Rect, b: Rect): boolean {
	return a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h;
}

const STEPS = 20;
/** How far a point is from it; Infinity where it is farther than `most` for sure. */
export function distance(c: Curve, x: number, y: number, most: number): number {
	const b = boxOf(c);
	if (x < b.x - most || x > b.x + b.w + most || y < b.y - most || y > b.y + b.h + most) return Infinity;
	let best = Infinity, px = c.x0, py = c.y0;
	for (let i = 1; i <= STEPS; i++) {
		const q = pointAt(c, i / STEPS);
		const dx = q.x - px, dy = q.y - py, len = dx * dx + dy * dy;
		const t = len ? Math.max(0, Math.min(1, ((x - px) * dx + (y - py) * dy) / len)) : 0;
		best = Math.min(best, Math.hypot(px + t * dx - x, py + t * dy - y));
		px = q.x;
		py = q.y;
	}
	return best;
}

/** The next thing in a direction: the nearest one that lies more that way than aside. */
export function nextTowards(at: Rect, key: "ArrowLeft" | "ArrowRight" | "ArrowUp" | "ArrowDown", others: Iterable<readonly [string, Rect]>): string | undefined {
	const cx = at.x + at.w / 2, cy = at.y + at.h / 2;
	let best: string | undefined, least = Infinity;
	for (const [id, r] of others) {
		const dx = r.x + r.w / 2 - cx, dy = r.y + r.h / 2 - cy;
		const along = key === "ArrowLeft" ? -dx : key === "ArrowRight" ? dx : key === "ArrowUp" ? -dy : dy;
		const aside = Math.abs(key === "ArrowLeft" || key === "ArrowRight" ? dy : dx);
		if (along <= 1 || aside > along * 2.2) continue;
		const cost = along + aside * 1.6;
		if (cost < least) [best, least] = [id, cost];
	}
	return best;
}
