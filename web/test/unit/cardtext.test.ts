// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { cut } from "../../src/map/cardtext.ts";

test("a text is cut to its room, at a whole character", () => {
	const width = (t: string): number => [...t].length * 10;
	assert.equal(cut("cart", 40, width), "cart");
	assert.equal(cut("recommendations", 60, width), "recom…");
	assert.equal(cut("a b c d e f", 50, width), "a b…");
	assert.equal(cut("🧵🧵🧵🧵🧵", 30, width), "🧵🧵…");
	assert.equal(cut("cart", 0, width), "…");
});
