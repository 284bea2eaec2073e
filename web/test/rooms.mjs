// SPDX-License-Identifier: Apache-2.0
// The page's rooms in the order in which data flows: a file imports from its own room and from rooms before it, and no view
// imports another one. Prints each import that goes the other way; status 1 when there is one.
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const src = resolve(dirname(fileURLToPath(import.meta.url)), "../src");
const order = ["api", "model", "layout", "gesture", "tool", "panel"];
const room = (path) => {
	const first = relative(src, path).split("/");
	return first.length > 1 ? first[0] : "";
};
const rank = (name) => (name === "" ? order.length + 1 : order.indexOf(name) < 0 ? order.length : order.indexOf(name));

let wrong = 0;
for (const entry of readdirSync(src, { recursive: true, withFileTypes: true })) {
	if (!entry.isFile() || !/\.(ts|svelte)$/.test(entry.name)) continue;
	const path = join(entry.parentPath ?? entry.path, entry.name);
	for (const [, target] of readFileSync(path, "utf8").matchAll(/(?:from|import)\s*\(?\s*"(\.[^"]*)"/g)) {
		const from = room(path), to = room(resolve(dirname(path), target));
		if (from === to) continue;
		if (rank(to) > rank(from) || (rank(to) === rank(from) && rank(to) === order.length)) {
			console.log(`${relative(src, path)}: imports ${target}: ${to || "the top"} comes after ${from}`);
			wrong++;
		}
	}
}
process.exit(wrong ? 1 : 0);
