// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import { manifest, toYaml } from "../../src/model/yaml.ts";

const hard = {
	plain: "shop/page", text: "a sentence, with (brackets) and more", number: 7, yes: true, words: ["true", "no", "1.5", "0x1f", "~", "null", "on", "1e3", ".5", "-", "- a", "a: b", "a #b", "#", "", " a", "a ", "'", "\"", "\\", "é", "\t", "*", "&x", "!t", "%", "@", "`", "{a}", "[a]", "2026-11-23", "12:30:00", "y"],
	list: [{ a: 1, b: { c: [], d: {} } }, [1, [2, "x"]], null], block: "one\n\n  two\nthree\n", bare: "one\ntwo", more: "one\n\n", "odd key: #": 1, none: null,
	filter: "tcp && dst.port in {443, 8443}", deep: { er: { still: ["x", { y: "z" }] } },
};

test("another reader of YAML reads back what was printed", () => {
	let read: string;
	try {
		read = execFileSync("python3", ["-c", "import sys,yaml,json; print(json.dumps(yaml.safe_load(sys.stdin)))"], { input: toYaml(hard), encoding: "utf8" });
	} catch {
		return; // no python3-yaml here
	}
	assert.deepEqual(JSON.parse(read), hard);
});

test("an object is printed as a person writes it", () => {
	const o = {
		apiVersion: "weft.network/v1alpha1", kind: "TrafficMap",
		metadata: { name: "web", uid: "1", resourceVersion: "5", annotations: { "kubectl.kubernetes.io/last-applied-configuration": "{}" } },
		spec: { from: [{ pods: { matchLabels: { app: "page" } } }], filter: "tcp", to: [{ tool: "ids" }] }, status: { x: 1 },
	};
	assert.equal(manifest(o), "apiVersion: weft.network/v1alpha1\nkind: TrafficMap\nmetadata:\n  name: web\nspec:\n  from:\n  - pods:\n      matchLabels:\n        app: page\n  filter: tcp\n  to:\n  - tool: ids\n");
});
