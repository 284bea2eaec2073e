// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Edit } from "../../src/api/wire.ts";
import { draftObject, draftText, editsOf, nameFor, sharedOf } from "../../src/model/shareddraft.ts";

test("what a person calls a draft becomes a name that an object may have", () => {
	assert.equal(nameFor("Allow the áuditor: step 2!"), "allow-the-auditor-step-2");
	assert.equal(nameFor("—"), "");
	assert.match(nameFor("x".repeat(59) + " y z"), /^x{59}$/);
});

test("edits go into an object and come back; one that does not say its namespace is of default", () => {
	const edits: Edit[] = [
		{ verb: "put", kind: "NetworkPolicy", namespace: "shop", name: "cart", yaml: "a: 1\n", resourceVersion: "7" },
		{ verb: "delete", kind: "Tool", name: "ids", resourceVersion: "8" },
		{ verb: "put", kind: "Service", name: "new", yaml: "b: 2", file: "x.yaml" },
	];
	const o = draftObject("n", "N", edits, (k) => k !== "Tool");
	assert.deepEqual(o.metadata, { name: "n" });
	assert.deepEqual(editsOf(o), [edits[0], edits[1], { ...edits[2], namespace: "default" }]);
	const s = sharedOf({ ...o, metadata: { name: "n", uid: "u", resourceVersion: "9" } });
	assert.deepEqual(draftObject("n", "N", edits, () => false, s).metadata, { name: "n", uid: "u", resourceVersion: "9" });
	assert.equal(draftText(edits), "# NetworkPolicy shop/cart\na: 1\n# Tool ids goes\n# Service new\nb: 2\n");
});
