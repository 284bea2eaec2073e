// SPDX-License-Identifier: Apache-2.0
// Edits of the broker's objects that views made: the object that each one leaves is kept beside its text, because only the
// hub reads YAML. An edit that was written as text has none.
import type { ApiObject, Edit } from "../api/wire.ts";
import type { Board } from "./board.ts";
import { deleteEdit, putEdit } from "./draft.svelte.ts";
import type { Step } from "./wiring.ts";
import { manifest } from "./yaml.ts";

const objects = new WeakMap<Edit, ApiObject>();

export function objectOf(e: Edit): ApiObject | undefined {
	return objects.get(e);
}

function seenOf(b: Board, kind: string, name: string): ApiObject | undefined {
	const all = kind === "TrafficMap" ? b.maps : kind === "Tool" ? b.tools : kind === "ToolGroup" ? b.groups : b.filters;
	return all.find((x) => x.name === name)?.seen;
}

/** What a step puts into the draft. What is in the draft only, and goes, is a delete without a version. */
export function editsOf(b: Board, s: Step): Edit[] {
	const puts = s.puts.map((p) => {
		const name = p.object.metadata.name;
		const e = putEdit(p.kind, name, manifest(p.object), seenOf(b, p.kind, name));
		objects.set(e, p.object);
		return e;
	});
	const deletes = s.deletes.map((d) => deleteEdit(d.kind, seenOf(b, d.kind, d.name) ?? { apiVersion: "", kind: d.kind, metadata: { name: d.name } }));
	return [...puts, ...deletes];
}
