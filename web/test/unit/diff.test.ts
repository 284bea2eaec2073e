// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { diffLines, readUnified } from "../../src/model/diff.ts";

const signs = (a: string, b: string, context = 1): string => diffLines(a, b, context).map((l) => l.sign + l.text).join("|");

test("changed lines stand with their neighbours, the rest is folded", () => {
	assert.equal(signs("a\nb\nc\nd\ne\nf\n", "a\nb\nX\nd\ne\nf\n"), "…2 lines".replace("2", "1") + "| b|-c|+X| d|…2 lines");
	assert.equal(signs("a\n", "a\n"), "");
	assert.equal(signs("", "a\nb\n"), "+a|+b");
	assert.equal(signs("a\nb\n", ""), "-a|-b");
});

test("applying the signs gives both texts again", () => {
	let seed = 7;
	const random = (n: number): number => (seed = (seed * 1103515245 + 12345) % 2147483648) % n;
	for (let k = 0; k < 300; k++) {
		const a = Array.from({ length: random(12) }, () => "abc"[random(3)] ?? "a"), b = Array.from({ length: random(12) }, () => "abc"[random(3)] ?? "a");
		const text = (x: string[]): string => (x.length ? `${x.join("\n")}\n` : "");
		const d = diffLines(text(a), text(b), 99);
		if (text(a) === text(b)) continue;
		assert.deepEqual(d.filter((l) => l.sign !== "+").map((l) => l.text), a);
		assert.deepEqual(d.filter((l) => l.sign !== "-").map((l) => l.text), b);
	}
});

test("a unified difference is read with its line numbers", () => {
	const d = readUnified("--- a/x\n+++ b/x\n@@ -3,3 +3,3 @@\n a\n-b\n+c\n d\n");
	assert.deepEqual(d.map((l) => [l.sign, l.text, l.before, l.after]), [[" ", "a", 3, 3], ["-", "b", 4, 0], ["+", "c", 0, 4], [" ", "d", 5, 5]]);
});
