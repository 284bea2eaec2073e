// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { boxOf, curveBetween, distance, nextTowards, overlaps, part, pointAt } from "../../src/layout/curve.ts";

const a = { x: 0, y: 0, w: 100, h: 50 }, b = { x: 300, y: 200, w: 100, h: 50 };

test("a line leaves and enters at facing sides", () => {
	const there = curveBetween(a, b), back = curveBetween(b, a);
	assert.deepEqual([there.x0, there.x3], [100, 300]);
	assert.deepEqual([back.x0, back.x3], [300, 100]);
	assert.notEqual(there.y0, back.y3);
	const below = curveBetween(a, { ...a, y: 300 });
	assert.deepEqual([below.x0, below.x3], [100, 100]);
	assert.ok(below.x1 > 100);
});

test("parts lie on the line", () => {
	const c = curveBetween(a, b), p = part(c, 0.3, 0.6);
	const near = (x: { x: number; y: number }, y: { x: number; y: number }): void => assert.ok(Math.hypot(x.x - y.x, x.y - y.y) < 1e-6);
	near(pointAt(p, 0), pointAt(c, 0.3));
	near(pointAt(p, 1), pointAt(c, 0.6));
	near(pointAt(p, 0.5), pointAt(c, 0.45));
	assert.deepEqual(part(c, 0, 1), c);
});

test("distance finds the line and leaves out what is far", () => {
	const c = curveBetween(a, b), on = pointAt(c, 0.4);
	assert.ok(distance(c, on.x, on.y, 5) < 1);
	const d = distance(c, on.x, on.y + 30, 40);
	assert.ok(d > 8 && d <= 30.5);
	assert.equal(distance(c, -500, 0, 5), Infinity);
	assert.ok(overlaps(boxOf(c), { x: 200, y: 100, w: 1, h: 1 }));
	assert.ok(!overlaps(boxOf(c), { x: 500, y: 100, w: 1, h: 1 }));
});

test("arrows find what lies that way", () => {
	const others = [["right", { x: 200, y: 5, w: 100, h: 50 }], ["far", { x: 600, y: 0, w: 100, h: 50 }], ["below", { x: 10, y: 100, w: 100, h: 50 }]] as const;
	assert.equal(nextTowards(a, "ArrowRight", others), "right");
	assert.equal(nextTowards(a, "ArrowDown", others), "below");
	assert.equal(nextTowards(a, "ArrowLeft", others), undefined);
});
