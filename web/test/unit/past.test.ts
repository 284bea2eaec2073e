// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { pastGraph, windowOf } from "../../src/model/past.ts";

test("a moment of which seconds are kept is asked for as it is", () => {
	assert.deepEqual(windowOf(10_000, 10, {}), { since: 9990, until: 10_000 });
	assert.deepEqual(windowOf(10_000, 10, { keptSeconds: 9990, keptMinutes: 0 }), { since: 9990, until: 10_000 });
});

test("of an older one the whole minute or hour is asked for, and rates are of all of it", () => {
	const minute = windowOf(10_000, 10, { keptSeconds: 9991 }), edge = windowOf(9960, 10, { keptSeconds: 10_000 });
	assert.deepEqual(minute, { since: 9960, until: 10_020, step: 60 });
	assert.deepEqual(edge, { since: 9900, until: 9960, step: 60 }, "ten seconds that end with a minute lie in that one");
	assert.deepEqual(windowOf(10_000, 10, { keptSeconds: 20_000, keptMinutes: 15_000 }), { since: 7200, until: 10_800, step: 3600 });
	const end = { kind: "outside", name: "10.0.0.0/24" };
	const g = pastGraph({ rows: [{ at: "", from: end, to: { ...end, name: "10.0.1.0/24" }, protocol: "TCP", port: 80, packetsThere: 600, bytesThere: 6000 }] }, minute.until * 1000, minute.until - minute.since);
	assert.deepEqual([...g.edges.values()].map((e) => [e.packets[0], e.bytes[0], g.seconds]), [[10, 100, 60]]);
});
